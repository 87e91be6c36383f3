//! One error for pipelines: bad input, or something else.

use disentangle_analysis::{causal::CausalError, matrix::MatrixError, probing::ProbingError};
use disentangle_data::DataError;
use disentangle_models::ModelError;
use disentangle_report::ReportError;

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// From reading or checking data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// From a model, its weights or its training.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// From a matrix of activations that cannot be measured.
    #[error(transparent)]
    Matrix(#[from] MatrixError),
    /// From a causal question that the groups or rows cannot answer.
    #[error(transparent)]
    Causal(#[from] CausalError),
    /// From capturing activations.
    #[error(transparent)]
    Probing(#[from] ProbingError),
    /// From the run's folder or its report.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A key, value, name or option of the command line or a configuration file.
    #[error("{0}")]
    Input(String),
    /// Stopped on request; the run can be resumed.
    #[error("interrupted")]
    Interrupted,
    /// A computation that should not fail did.
    #[error("{0}")]
    Failed(String),
}

impl ExperimentError {
    /// 2 for bad input, 130 for an interruption (as shells do), 1 otherwise.
    pub fn exit_code(&self) -> u8 {
        match self {
            ExperimentError::Interrupted => 130,
            ExperimentError::Failed(_)
            | ExperimentError::Report(ReportError::Figure { .. } | ReportError::Server { .. }) => 1,
            _ => 2,
        }
    }
}
