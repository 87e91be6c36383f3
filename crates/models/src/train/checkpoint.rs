//! Everything that a training run needs to go on, in one file.

use std::{
    collections::HashMap,
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

use safetensors::{Dtype, SafeTensorError, tensor::Metadata};
use serde::{Deserialize, Serialize};

use super::{Epoch, adam::Adam};
use crate::{
    ModelError,
    weights::{Stored, by_rename, from_bytes},
};

/// The state after a whole epoch. Randomness is counted, not streamed, so that no generator is part of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    pub(super) parameters: Vec<f32>,
    /// Those of the best epoch; empty while they are the last ones.
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
            best: Vec::new(),
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

    /// The parameters of the best epoch.
    pub(super) fn best(&self) -> &[f32] {
        match self.best.is_empty() {
            true => &self.parameters,
            false => &self.best,
        }
    }

    /// Writes the file by rename: after a crash at any moment there is the old one or the new one.
    pub fn save(&self, path: &Path) -> Result<(), ModelError> {
        let error = |reason: String| ModelError::File {
            path: path.display().to_string(),
            reason: format!("the checkpoint cannot be written: {reason}"),
        };
        let parts = [
            ("parameters", &self.parameters[..]),
            ("best", self.best()),
            ("adam.first", &self.adam.first),
            ("adam.second", &self.adam.second),
        ];
        let parts = parts.map(|(name, values)| {
            let shape = vec![values.len()];
            let transposed = false;
            (
                name,
                Stored {
                    values,
                    shape,
                    transposed,
                },
            )
        });
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
        let (mut file, header, start) = open(path).map_err(|e| error(&e.to_string()))?;
        let field = |name: &str| header.metadata().as_ref().and_then(|map| map.get(name));
        let unknown = || error("it does not say how far training was");
        let progress = field("progress")
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(unknown)?;
        let steps = field("steps").and_then(|text| text.parse().ok()).ok_or_else(unknown)?;
        let mut part = |name: &str| -> Result<Vec<f32>, ModelError> {
            let info = header
                .info(name)
                .ok_or_else(|| error(&format!("`{name}` is missing")))?;
            if info.dtype != Dtype::F32 {
                return Err(error(&format!("`{name}` is not F32")));
            }
            let (from, to) = info.data_offsets;
            let mut content = vec![0; to.saturating_sub(from)];
            file.seek(SeekFrom::Start(start + from as u64))
                .and_then(|_| file.read_exact(&mut content))
                .map_err(|e| error(&e.to_string()))?;
            Ok(from_bytes(&content))
        };
        let mut checkpoint = Self {
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
        if checkpoint.best == checkpoint.parameters {
            checkpoint.best = Vec::new();
        }
        Ok(checkpoint)
    }
}

/// The file, what its header says, and where its values begin. They are read one part at a time: the file beside all that is made of it
/// would be twice the memory.
fn open(path: &Path) -> std::io::Result<(File, Metadata, u64)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut size = [0; 8];
    file.read_exact(&mut size)?;
    let size = u64::from_le_bytes(size);
    let short = || std::io::Error::other("it is shorter than its header says");
    let start = size.checked_add(8).filter(|&start| start <= length).ok_or_else(short)?;
    let mut header = Vec::new();
    file.by_ref().take(size).read_to_end(&mut header)?;
    let header: Metadata = serde_json::from_slice(&header)?;
    if start + header.data_len() as u64 > length {
        return Err(short());
    }
    Ok((file, header, start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(path: &Path) -> Vec<u8> {
        let checkpoint = Checkpoint::start(vec![1.0, 2.0, 3.0]);
        checkpoint.save(path).unwrap();
        assert_eq!(Checkpoint::load(path).unwrap(), checkpoint);
        std::fs::read(path).unwrap()
    }

    #[test]
    fn files_that_are_no_checkpoint_are_sentences() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let good = written(file.path());
        let check = |content: &[u8], expected: &str| {
            std::fs::write(file.path(), content).unwrap();
            let error = Checkpoint::load(file.path()).unwrap_err().to_string();
            let start = format!("{}: not a checkpoint: ", file.path().display());
            assert!(
                error.starts_with(&start) && error.contains(expected),
                "{error}, not {expected}"
            );
        };
        let short = "it is shorter than its header says";
        check(b"", "failed to fill whole buffer");
        check(b"junk", "failed to fill whole buffer");
        check(b"junk that is longer than a header's length", short);
        check(&[0xff; 64], short);
        for length in (8..good.len()).step_by(7) {
            check(&good[..length], short);
        }
        // Of the same length, so that the header still fits.
        let renamed = |from: &str, to: &str| {
            let at = good
                .windows(from.len())
                .position(|part| part == from.as_bytes())
                .unwrap();
            [&good[..at], to.as_bytes(), &good[at + from.len()..]].concat()
        };
        check(&renamed("\"adam.first\"", "\"adam.fifth\""), "`adam.first` is missing");
        check(&renamed("\"F32\"", "\"I32\""), "is not F32");
        check(
            &renamed("\"steps\"", "\"stepz\""),
            "it does not say how far training was",
        );
        check(
            &renamed("\"progress\"", "\"progrezz\""),
            "it does not say how far training was",
        );
        check(&renamed("{", "["), "expected");
    }

    #[test]
    fn parts_of_different_lengths_are_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut checkpoint = Checkpoint::start(vec![1.0, 2.0, 3.0]);
        checkpoint.adam.second.pop();
        checkpoint.save(file.path()).unwrap();
        let error = Checkpoint::load(file.path()).unwrap_err().to_string();
        assert!(error.ends_with("its parts have different lengths"), "{error}");
    }

    #[test]
    fn the_best_parameters_are_written_beside_the_last_ones() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut checkpoint = Checkpoint::start(vec![1.0, 2.0, 3.0]);
        assert_eq!(checkpoint.best(), [1.0, 2.0, 3.0]);
        checkpoint.best = vec![4.0, 5.0, 6.0];
        checkpoint.save(file.path()).unwrap();
        let read = Checkpoint::load(file.path()).unwrap();
        assert_eq!(
            (read.best(), &read.parameters[..]),
            (&[4.0, 5.0, 6.0][..], &[1.0, 2.0, 3.0][..])
        );
    }
}
