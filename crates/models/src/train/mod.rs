//! Training: fixed micro-batches over worker threads, one order of summation, one stream of randomness.
//!
//! A run with the same seed gives the same bits for any number of threads, and after an interruption and a resume.

mod adam;
mod checkpoint;
mod engine;
mod flat;
mod loss;
mod strategy;
mod whole_batch;
mod workers;

pub use checkpoint::Checkpoint;
pub use engine::{Control, Monitor, Stop, Task, TrainConfig, Trained, train};
pub use loss::Loss;
pub use strategy::{Ask, Batch, Erm, LossAndGradient, Outputs, Strategy};

use serde::{Deserialize, Serialize};

/// What is measured after each epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: usize,
    /// Mean over the epoch's batches, with dropout, before each step.
    pub train_loss: f64,
    /// Mean over validation rows, without dropout, after the epoch.
    pub validation_loss: f64,
    /// Mean over the epoch's steps of the model's penalty on its weights, which the training loss does not contain; 0 without one.
    #[serde(default)]
    pub penalty: f64,
    /// Euclidean norm of the last batch's gradient.
    pub gradient_norm: f64,
    /// Euclidean norm of the gradient of each of [`crate::Classifier::parts`], mean over the epoch's steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub part_norms: Vec<f64>,
}

#[cfg(test)]
pub(crate) mod tests;
