//! What can go wrong with models, weights and taps.

/// Every error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A setting of a model cannot be used.
    #[error("model setting `{key} = {value}` cannot be used: expected {expected}")]
    Setting {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What was expected.
        expected: String,
    },
    /// The input does not fit the model.
    #[error("the model takes {expected}, got {found}")]
    Input {
        /// What the model takes.
        expected: String,
        /// What it was given.
        found: String,
    },
    /// A weights file cannot be read or written.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// A weights file holds other tensors than the model.
    #[error("{path}: not the weights of this model: {reason}")]
    Weights {
        /// The file.
        path: String,
        /// The missing, unexpected and misshaped tensors.
        reason: String,
    },
    /// A tap asked for something that did not happen.
    #[error("tap `{site}`: {reason}")]
    Tap {
        /// The site as it was asked for.
        site: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Training cannot start or go on.
    #[error("training: {0}")]
    Train(String),
}

impl ModelError {
    pub(crate) fn setting(key: &'static str, value: impl ToString, expected: impl ToString) -> Self {
        Self::Setting {
            key,
            value: value.to_string(),
            expected: expected.to_string(),
        }
    }
}
