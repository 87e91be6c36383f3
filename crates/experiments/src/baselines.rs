//! What a network must beat on tables: a logistic regression and boosted trees, on the flat window.

use disentangle_analysis::{
    boosting::{Boosting, Rows},
    classification::log_loss,
    logistic::Logistic,
};
use disentangle_data::{Dataset, Split};
use ndarray::{Array2, Array3};

/// Windows laid out flat, `[window, lookback * feature]`.
fn flat(inputs: Array3<f32>) -> Array2<f64> {
    let (rows, positions, features) = inputs.dim();
    let values = inputs.iter().map(|&x| f64::from(x)).collect();
    Array2::from_shape_vec((rows, positions * features), values).unwrap_or_default()
}

/// Training rows of a baseline, at most: they are held in f64.
const MOST_ROWS: usize = 20_000;

/// The latest training rows.
fn latest_train(dataset: &Dataset) -> Vec<usize> {
    let mut train = dataset.part(Split::Train);
    let first = train.len().saturating_sub(MOST_ROWS);
    train.drain(..first);
    train
}

/// A logistic regression on the flat window, fitted on training rows; its ridge penalty is the one of {1, 10, 100, 1000}
/// with the smallest log loss on validation rows.
pub(crate) fn fit_logistic(dataset: &Dataset) -> Result<Logistic, String> {
    let train = latest_train(dataset);
    let validation = dataset.part(Split::Validation);
    let (x, y) = (flat(dataset.inputs(&train)), dataset.labels(&train));
    let (x_validation, y_validation) = (flat(dataset.inputs(&validation)), dataset.labels(&validation));
    let mut best: Option<(f64, Logistic)> = None;
    for penalty in [1.0, 10.0, 100.0, 1000.0] {
        let fit = Logistic::fit(x.view(), &y, penalty)?;
        let loss = log_loss(&fit.logits(&x_validation), &y_validation).unwrap_or(f64::INFINITY);
        if best.as_ref().is_none_or(|(least, _)| loss < *least) {
            best = Some((loss, fit));
        }
    }
    best.map(|(_, fit)| fit)
        .ok_or_else(|| "no penalty could be fitted".into())
}

/// Its logits of some windows.
pub(crate) fn logistic_logits(fit: &Logistic, dataset: &Dataset, rows: &[usize]) -> Vec<f64> {
    fit.logits(&flat(dataset.inputs(rows)))
}

/// Boosted trees on the flat window, fitted on training rows and stopped by validation rows.
pub(crate) fn fit_boosting(dataset: &Dataset) -> Result<Boosting, String> {
    let (train, validation) = (latest_train(dataset), dataset.part(Split::Validation));
    let (x, y) = (flat(dataset.inputs(&train)), dataset.labels(&train));
    let (x_validation, y_validation) = (flat(dataset.inputs(&validation)), dataset.labels(&validation));
    let rows = |x, labels| Rows { x, labels };
    Boosting::fit(rows(x.view(), &y), rows(x_validation.view(), &y_validation))
}

/// Its logits of some windows.
pub(crate) fn boosting_logits(fit: &Boosting, dataset: &Dataset, rows: &[usize]) -> Result<Vec<f64>, String> {
    fit.logits(flat(dataset.inputs(rows)).view())
}
