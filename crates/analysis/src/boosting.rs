//! Gradient-boosted trees, the baseline that tables are hard to beat with (forust, the algorithm of XGBoost).

use forust_ml::{GradientBooster, Matrix};
use ndarray::ArrayView2;

/// Trees, at most; early stopping on validation rows decides.
const TREES: usize = 500;
/// Trees without a better validation loss before boosting stops.
const PATIENCE: usize = 20;

/// Fitted trees.
pub struct Boosting {
    booster: GradientBooster,
    columns: usize,
}

/// Rows to fit on, or to stop by.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// `[row, column]`; NaN is missing.
    pub x: ArrayView2<'a, f64>,
    /// 0 or 1.
    pub labels: &'a [f32],
}

impl Boosting {
    /// Minimises the log loss: learning rate 0.1, depth 4, ridge penalty 1; stops when the log loss on `validation` has not fallen for 20
    /// trees and keeps the best number of them.
    ///
    /// `Err` says why not: one class only, or the booster failed.
    pub fn fit(train: Rows, validation: Rows) -> Result<Self, String> {
        if train.labels.iter().all(|&y| y > 0.5) || train.labels.iter().all(|&y| y <= 0.5) {
            return Err("the labels hold one class only".into());
        }
        let (x, y) = (by_column(train.x), targets(train.labels));
        let (x_validation, y_validation) = (by_column(validation.x), targets(validation.labels));
        let weights = vec![1.0; y_validation.len()];
        let watched = Matrix::new(&x_validation, validation.x.nrows(), validation.x.ncols());
        // One thread: sums keep their order, whatever the machine.
        let mut booster = GradientBooster::default()
            .set_iterations(TREES)
            .set_learning_rate(0.1)
            .set_max_depth(4)
            .set_initialize_base_score(true)
            .set_early_stopping_rounds(Some(PATIENCE))
            .set_parallel(false);
        booster
            .fit_unweighted(
                &Matrix::new(&x, train.x.nrows(), train.x.ncols()),
                &y,
                Some(vec![(watched, &y_validation, &weights)]),
            )
            .map_err(|error| error.to_string())?;
        Ok(Self {
            booster,
            columns: train.x.ncols(),
        })
    }

    /// One logit a row. Fails for another number of columns.
    pub fn logits(&self, x: ArrayView2<f64>) -> Result<Vec<f64>, String> {
        if x.ncols() != self.columns {
            return Err(format!("{} columns, expected {}", x.ncols(), self.columns));
        }
        let values = by_column(x);
        Ok(self.booster.predict(&Matrix::new(&values, x.nrows(), x.ncols()), false))
    }
}

/// Values column by column.
fn by_column(x: ArrayView2<f64>) -> Vec<f64> {
    x.t().iter().copied().collect()
}

fn targets(labels: &[f32]) -> Vec<f64> {
    labels.iter().map(|&y| f64::from(u8::from(y > 0.5))).collect()
}
