//! Losses of one logit a row.

use serde::{Deserialize, Serialize};

/// The loss that belongs to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Loss {
    /// Binary cross-entropy of a logit: `softplus(z) - y z`, natural logarithm.
    Bce,
    /// Squared error `(z - y)²`.
    Mse,
}

impl Loss {
    /// Loss of one row and its derivative with respect to the output.
    pub fn row(self, output: f32, label: f32) -> (f64, f64) {
        let (z, y) = (f64::from(output), f64::from(label));
        match self {
            // softplus(z) = max(z, 0) + ln(1 + exp(-|z|)) does not overflow.
            Loss::Bce => (
                z.max(0.0) + (-z.abs()).exp().ln_1p() - y * z,
                1.0 / (1.0 + (-z).exp()) - y,
            ),
            Loss::Mse => ((z - y) * (z - y), 2.0 * (z - y)),
        }
    }

    /// Mean over rows; 0 for no rows.
    pub fn mean(self, outputs: &[f32], labels: &[f32]) -> f64 {
        let total: f64 = outputs.iter().zip(labels).map(|(&z, &y)| self.row(z, y).0).sum();
        total / outputs.len().max(1) as f64
    }
}
