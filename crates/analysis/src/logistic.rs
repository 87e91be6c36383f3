//! The linear baseline: logistic regression with a ridge penalty, by linfa.

use linfa::{dataset::DatasetBase, prelude::Fit as _};
use linfa_logistic::LogisticRegression;
use ndarray::{Array1, Array2, ArrayView2};

/// A fitted logistic regression.
#[derive(Clone, Debug, PartialEq)]
pub struct Logistic {
    /// One a column.
    pub coefficients: Array1<f64>,
    /// Constant.
    pub intercept: f64,
}

impl Logistic {
    /// Minimises Σ log loss + penalty / 2 · ‖w‖² (scikit-learn's objective with C = 1 / penalty; the intercept is free).
    ///
    /// `Err` says why not: one class only, or the optimiser failed.
    pub fn fit(x: ArrayView2<f64>, labels: &[f32], penalty: f64) -> Result<Self, String> {
        let targets: Array1<bool> = labels.iter().map(|&y| y > 0.5).collect();
        if targets.iter().all(|&y| y) || targets.iter().all(|&y| !y) {
            return Err("the labels hold one class only".into());
        }
        let fitted = LogisticRegression::default()
            .alpha(penalty)
            .max_iterations(1000)
            .gradient_tolerance(1e-8)
            .fit(&DatasetBase::new(x.to_owned(), targets))
            .map_err(|error| error.to_string())?;
        // linfa calls one of the classes positive; the sign follows it.
        let sign = if fitted.labels().pos.class { 1.0 } else { -1.0 };
        Ok(Self {
            coefficients: fitted.params() * sign,
            intercept: fitted.intercept() * sign,
        })
    }

    /// Logits of `[n, d]`.
    pub fn logits(&self, x: &Array2<f64>) -> Vec<f64> {
        (x.dot(&self.coefficients) + self.intercept).to_vec()
    }
}
