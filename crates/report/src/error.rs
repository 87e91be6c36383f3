//! What can go wrong while a run is written or read.

use std::path::{Path, PathBuf};

/// Every error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A file or folder could not be written.
    #[error("{}: cannot be written: {reason}", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A file could not be read.
    #[error("{}: cannot be read: {reason}", path.display())]
    Read {
        /// Where.
        path: PathBuf,
        /// What the system or the decoder said.
        reason: String,
    },
    /// The folder is taken.
    #[error("{}: {reason}; expected a folder that is empty or does not exist", path.display())]
    Taken {
        /// Where.
        path: PathBuf,
        /// By what.
        reason: String,
    },
    /// The folder is no run, or not one that can be used so.
    #[error("{}: {reason}", path.display())]
    NotARun {
        /// Where.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A tracking server did not take what it was sent.
    #[error("{uri}: {reason}")]
    Server {
        /// Its address, without credentials.
        uri: String,
        /// What it said, or why nothing could be sent.
        reason: String,
    },
    /// A figure could not be drawn.
    #[error("figure `{id}` cannot be drawn: {reason}")]
    Figure {
        /// Which.
        id: String,
        /// What the drawing library said.
        reason: String,
    },
}

impl ReportError {
    pub(crate) fn write(path: &Path, reason: impl ToString) -> Self {
        Self::Write {
            path: path.into(),
            reason: reason.to_string(),
        }
    }

    pub(crate) fn read(path: &Path, reason: impl ToString) -> Self {
        Self::Read {
            path: path.into(),
            reason: reason.to_string(),
        }
    }
}
