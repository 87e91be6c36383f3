//! Everything that a training run needs to go on, in one file.

use std::{borrow::Cow, collections::HashMap, path::Path};

use safetensors::{Dtype, SafeTensorError, SafeTensors, View};
use serde::{Deserialize, Serialize};

use super::{Epoch, adam::Adam};
use crate::{
    ModelError,
    weights::{by_rename, bytes, from_bytes},
};

/// The state after a whole epoch. Randomness is counted, not streamed, so that no generator is part of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    pub(super) parameters: Vec<f32>,
    /// Empty if no loss is watched: then the last ones are the best.
    pub(super) best: Vec<f32>,
    pub(super) adam: Adam,
    pub(super) progress: Progress,
}

/// Where early stopping and the history stand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    pub(super) best_epoch: usize,
    pub(super) best_loss: Option<f64>,
    pub(super) history: Vec<Epoch>,
}

/// A vector on its way to the file. Bytes are made of one at a time: together they would be as much memory as training takes.
struct Part<'a> {
    values: &'a [f32],
    shape: [usize; 1],
}

impl<'a> Part<'a> {
    fn new(values: &'a [f32]) -> Self {
        Self {
            values,
            shape: [values.len()],
        }
    }
}

impl View for Part<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(bytes(self.values))
    }

    fn data_len(&self) -> usize {
        size_of_val(self.values)
    }
}

impl Checkpoint {
    pub(super) fn start(parameters: Vec<f32>, watched: bool) -> Self {
        Self {
            best: if watched { parameters.clone() } else { Vec::new() },
            adam: Adam::new(parameters.len()),
            parameters,
            progress: Progress {
                best_epoch: 0,
                best_loss: None,
                history: Vec::new(),
            },
        }
    }

    /// The epochs that are done.
    pub fn history(&self) -> &[Epoch] {
        &self.progress.history
    }

    /// Writes the file by rename: after a crash at any moment there is the old one or the new one.
    pub fn save(&self, path: &Path) -> Result<(), ModelError> {
        let error = |reason: String| ModelError::File {
            path: path.display().to_string(),
            reason: format!("the checkpoint cannot be written: {reason}"),
        };
        let best = if self.best.is_empty() {
            &self.parameters
        } else {
            &self.best
        };
        let parts = [
            ("parameters", Part::new(&self.parameters)),
            ("best", Part::new(best)),
            ("adam.first", Part::new(&self.adam.first)),
            ("adam.second", Part::new(&self.adam.second)),
        ];
        let progress = serde_json::to_string(&self.progress).map_err(|e| error(e.to_string()))?;
        let metadata = HashMap::from([
            ("progress".to_string(), progress),
            ("steps".to_string(), self.adam.steps.to_string()),
        ]);
        by_rename(path, |temporary| {
            safetensors::serialize_to_file(parts, Some(metadata), temporary)
        })
        .map_err(|e: SafeTensorError| error(e.to_string()))
    }

    /// Reads what [`Checkpoint::save`] wrote.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        let error = |reason: &str| ModelError::File {
            path: path.display().to_string(),
            reason: format!("not a checkpoint: {reason}"),
        };
        let content = std::fs::read(path).map_err(|e| error(&e.to_string()))?;
        let (_, metadata) = SafeTensors::read_metadata(&content).map_err(|e| error(&e.to_string()))?;
        let field = |name: &str| metadata.metadata().as_ref().and_then(|map| map.get(name));
        let unknown = || error("it does not say how far training was");
        let progress = field("progress")
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(unknown)?;
        let steps = field("steps").and_then(|text| text.parse().ok()).ok_or_else(unknown)?;
        let file = SafeTensors::deserialize(&content).map_err(|e| error(&e.to_string()))?;
        let part = |name: &str| -> Result<Vec<f32>, ModelError> {
            let view = file.tensor(name).map_err(|_| error(&format!("`{name}` is missing")))?;
            if view.dtype() != Dtype::F32 {
                return Err(error(&format!("`{name}` is not F32")));
            }
            Ok(from_bytes(view.data()))
        };
        let checkpoint = Self {
            parameters: part("parameters")?,
            best: part("best")?,
            adam: Adam {
                first: part("adam.first")?,
                second: part("adam.second")?,
                steps,
            },
            progress,
        };
        let lengths = [&checkpoint.best, &checkpoint.adam.first, &checkpoint.adam.second].map(Vec::len);
        if lengths.iter().any(|&length| length != checkpoint.parameters.len()) {
            return Err(error("its parts have different lengths"));
        }
        Ok(checkpoint)
    }
}
