//! What can go wrong with a strategy, each in one sentence.

use disentangle_models::ModelError;

/// Every error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MitigationError {
    /// The data lacks what a strategy needs.
    #[error("`{strategy}` needs {needs}, but {found}")]
    Needs {
        /// The strategy.
        strategy: &'static str,
        /// What it needs.
        needs: String,
        /// What there is instead.
        found: String,
    },
    /// A setting that cannot work.
    #[error("`{key} = {value}` cannot be used: expected {expected}")]
    Setting {
        /// The key.
        key: &'static str,
        /// Its value.
        value: f64,
        /// What was expected.
        expected: &'static str,
    },
    /// From training.
    #[error(transparent)]
    Model(#[from] ModelError),
}
