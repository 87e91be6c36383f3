//! How well labels can be read from a matrix: the AUC of a cross-fitted linear probe.

use disentangle_data::Seed;
use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    Bootstrap, Estimate,
    classification::RankedScores,
    linalg,
    logistic::Logistic,
    matrix::{self, MatrixError},
};

/// How a probe is fitted and judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProbeConfig {
    /// Folds, at least 2.
    pub folds: usize,
    /// Matrices with more columns are reduced to this many principal components.
    pub components: usize,
    /// Ridge penalty on the coefficients of standardised columns: Σ log loss + penalty / 2 · ‖w‖².
    pub penalty: f64,
    /// Bootstrap draws of the interval.
    pub draws: usize,
    /// Rows of a bootstrap block, 1 where rows are independent.
    pub block: usize,
}

impl Default for ProbeConfig {
    fn default() -> Self {
        Self {
            folds: 5,
            components: 50,
            penalty: 1.0,
            draws: 1000,
            block: 1,
        }
    }
}

impl ProbeConfig {
    /// Says which setting is out of range.
    pub fn check(&self) -> Result<(), MatrixError> {
        let wrong = |key: &'static str, found: String, expected: &'static str| {
            Err(MatrixError::Setting { key, found, expected })
        };
        if self.folds < 2 {
            return wrong("folds", self.folds.to_string(), "a whole number of at least 2");
        }
        for (key, found) in [("components", self.components), ("block", self.block)] {
            if found == 0 {
                return wrong(key, found.to_string(), "a whole number above 0");
            }
        }
        if !(self.penalty.is_finite() && self.penalty > 0.0) {
            return wrong("penalty", self.penalty.to_string(), "a number above 0");
        }
        Ok(())
    }
}

/// AUC with which a linear probe reads `labels` (0 or 1, one a row) from `[n, d]` on rows that it was not fitted on.
///
/// Rows are dealt to folds at random, each class evenly. For each fold, a ridge-logistic regression is fitted on the other folds: columns
/// are standardised there (constant ones become 0), and where there are more than `components` columns, reduced to the leading principal components of
/// the standardised columns there. The logits of all folds are pooled into one AUC. Its interval resamples rows with the probes
/// as they are, so that it does not contain the probes' own variation. Without signal the pooled AUC lies slightly below 1/2 on average,
/// as for any cross-fitted score.
///
/// Undefined, with a note, where a class has fewer rows than there are folds, or no column varies. Fails for labels other than 0 and 1,
/// a different number of them, settings out of range, no columns, and values that are not finite.
pub fn probe_auc(
    name: &str,
    matrix: ArrayView2<f64>,
    labels: &[f32],
    config: &ProbeConfig,
    seed: Seed,
) -> Result<Estimate, MatrixError> {
    config.check()?;
    matrix::check(name, matrix, 1)?;
    let labels_name = format!("the labels of {name}");
    matrix::check_equal("rows", (labels_name.as_str(), labels.len()), (name, matrix.nrows()))?;
    if let Some(row) = labels.iter().position(|&label| label != 0.0 && label != 1.0) {
        return Err(MatrixError::Label {
            matrix: labels_name,
            found: labels[row],
            row,
        });
    }
    let n = labels.len();
    let positive = labels.iter().filter(|&&label| label > 0.5).count();
    let least = positive.min(n - positive);
    if least < config.folds {
        let reason = format!("the smaller class has {least} rows, {} are needed", config.folds);
        return Ok(Estimate::undefined(reason, n));
    }
    if matrix::largest(matrix::centred(matrix).view()) <= 0.0 {
        return Ok(Estimate::undefined("no column varies", n));
    }
    let folds = stratified_folds(labels, config.folds, seed.child("folds"));
    let logits = match cross_fitted_logits(matrix, labels, &folds, config) {
        Ok(logits) => logits,
        Err(reason) => return Ok(Estimate::undefined(reason, n)),
    };
    let ranked = RankedScores::new(&logits, labels);
    let bootstrap = Bootstrap::new(config.block, config.draws, seed.child("bootstrap"));
    Ok(bootstrap
        .estimate_weighted(n, |weights| ranked.auc(weights))
        .within(0.0, 1.0))
}

/// A fold for each row: each class is shuffled and dealt out in turn, so that folds differ by at most one row of a class, and by at most one row.
pub fn stratified_folds(labels: &[f32], folds: usize, seed: Seed) -> Vec<usize> {
    let mut rng = seed.rng();
    let mut assigned = vec![0; labels.len()];
    let mut dealt = 0;
    for positive in [true, false] {
        let mut rows: Vec<usize> = (0..labels.len())
            .filter(|&row| (labels[row] > 0.5) == positive)
            .collect();
        rng.shuffle(&mut rows);
        for row in rows {
            assigned[row] = dealt % folds.max(1);
            dealt += 1;
        }
    }
    assigned
}

/// Logits of every row of `[n, d]` by the probe that was fitted without its fold; `Err` says why a probe could not be fitted.
pub fn cross_fitted_logits(
    matrix: ArrayView2<f64>,
    labels: &[f32],
    folds: &[usize],
    config: &ProbeConfig,
) -> Result<Vec<f64>, String> {
    let count = folds.iter().max().map_or(0, |last| last + 1);
    let parts: Result<Vec<_>, String> = (0..count)
        .into_par_iter()
        .map(|fold| {
            let (held, kept): (Vec<usize>, Vec<usize>) = (0..folds.len()).partition(|&row| folds[row] == fold);
            let targets: Vec<f32> = kept.iter().map(|&row| labels[row]).collect();
            let train = matrix.select(Axis(0), &kept);
            let test = matrix.select(Axis(0), &held);
            let (train, test) = prepared(train.view(), test.view(), config.components)?;
            let probe = Logistic::fit(train.view(), &targets, config.penalty)?;
            Ok((held, probe.logits(&test)))
        })
        .collect();
    let mut logits = vec![0.0; folds.len()];
    for (rows, values) in parts? {
        for (row, value) in rows.into_iter().zip(values) {
            logits[row] = value;
        }
    }
    Ok(logits)
}

/// Both standardised by the first, and reduced to its leading components where there are more columns than `components`.
fn prepared(
    train: ArrayView2<f64>,
    test: ArrayView2<f64>,
    components: usize,
) -> Result<(Array2<f64>, Array2<f64>), String> {
    let rows = train.nrows().max(1) as f64;
    let mean = train.sum_axis(Axis(0)) / rows;
    let mut first = matrix::centred(train);
    let spread = first.map_axis(Axis(0), |column| {
        (column.iter().map(|x| x * x).sum::<f64>() / rows).sqrt()
    });
    let mut second = &test - &mean;
    for (column, &spread) in spread.iter().enumerate() {
        // What does not vary in training says nothing: 0 in both.
        let factor = if spread > 0.0 { 1.0 / spread } else { 0.0 };
        first.column_mut(column).mapv_inplace(|x| x * factor);
        second.column_mut(column).mapv_inplace(|x| x * factor);
    }
    if first.ncols() <= components {
        return Ok((first, second));
    }
    let (_, directions) = linalg::right_svd(first.view()).map_err(|error| error.to_string())?;
    let kept = directions.slice(ndarray::s![..components.min(directions.nrows()), ..]);
    Ok((
        linalg::product(first.view(), kept.t()),
        linalg::product(second.view(), kept.t()),
    ))
}
