//! Everything that a training run needs to go on, in one file.

use std::{collections::HashMap, path::Path};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

use super::{Epoch, adam::Adam};
use crate::{
    ModelError,
    weights::{bytes, from_bytes, write_by_rename},
};

/// The state after a whole epoch. Randomness is counted, not streamed, so that no generator is part of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    pub(super) parameters: Vec<f32>,
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

impl Checkpoint {
    pub(super) fn start(parameters: Vec<f32>) -> Self {
        Self {
            best: parameters.clone(),
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
        let parts = [
            ("parameters", bytes(&self.parameters)),
            ("best", bytes(&self.best)),
            ("adam.first", bytes(&self.adam.first)),
            ("adam.second", bytes(&self.adam.second)),
        ];
        let shape = vec![self.parameters.len()];
        let views: Result<Vec<_>, _> = parts
            .iter()
            .map(|(name, part)| TensorView::new(Dtype::F32, shape.clone(), part).map(|view| (*name, view)))
            .collect();
        let text = |error_of: serde_json::Error| error(error_of.to_string());
        let metadata = HashMap::from([
            (
                "progress".to_string(),
                serde_json::to_string(&self.progress).map_err(text)?,
            ),
            ("steps".to_string(), self.adam.steps.to_string()),
        ]);
        let content = views
            .and_then(|views| safetensors::serialize(views, Some(metadata)))
            .map_err(|e| error(e.to_string()))?;
        write_by_rename(path, &content).map_err(|e| error(e.to_string()))
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
