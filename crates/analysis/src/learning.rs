//! What the loss curves say.

use serde::{Deserialize, Serialize};

use crate::{Estimate, descriptive, regression};

/// Learning dynamics (notebook part 27).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dynamics {
    /// Factor by which the distance to the best training loss shrinks in an epoch; below 1 while learning.
    pub convergence_rate: Estimate,
    /// Mean over epochs of validation loss minus training loss.
    pub generalisation_gap: Estimate,
    /// Standard deviation (divisor n - 1) of the last 10 validation losses.
    pub stability: Estimate,
}

/// exp of the least-squares slope of ln(loss - best loss + 1e-6) on the epoch.
pub fn convergence_rate(losses: &[f64]) -> Option<f64> {
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let logs: Vec<f64> = losses.iter().map(|loss| (loss - best + 1e-6).ln()).collect();
    Some(regression::trend(&logs)?.slope.exp())
}

/// Dynamics of two curves of equal length.
pub fn dynamics(train: &[f64], validation: &[f64]) -> Dynamics {
    let n = train.len();
    let estimate = |value: Option<f64>, n: usize| match value {
        Some(value) => Estimate::point(value, n),
        None => Estimate::undefined("too few epochs", n),
    };
    let gaps: Vec<f64> = train.iter().zip(validation).map(|(t, v)| v - t).collect();
    let tail = &validation[validation.len().saturating_sub(10)..];
    Dynamics {
        convergence_rate: estimate(convergence_rate(train), n),
        generalisation_gap: estimate(descriptive::mean(&gaps), n),
        stability: estimate(descriptive::std_dev(tail), tail.len()),
    }
}
