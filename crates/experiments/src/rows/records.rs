//! Health records: a MEDS dataset from its folder, and the simulated ward.

use std::path::Path;

use disentangle_data::{
    Encoding, FeatureGroup, InputLayer, NewRows, Scaler, Seed,
    meds::{Audited, MedsTask},
};
use serde::{Deserialize, Serialize};

use super::{LoadedRows, RowSettings, environments};
use crate::ExperimentError;

/// All that turns events into a model's input: `preprocess.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MedsPreprocess {
    /// `meds`.
    kind: String,
    task: MedsTask,
    /// Of the task's columns, in the order of the features.
    encodings: Vec<Encoding>,
    features: Vec<String>,
    groups: Vec<FeatureGroup>,
    scaler: Scaler,
    #[serde(default)]
    layer: InputLayer,
    lookback: usize,
}

impl MedsPreprocess {
    /// The rows of another dataset with the same codes.
    pub(crate) fn new_rows(&self, folder: &Path) -> Result<NewRows, ExperimentError> {
        Ok(self.task.new_rows(folder, &self.encodings)?)
    }
}

impl RowSettings {
    /// The simulated ward: hospitals of training, and the one held out.
    pub(super) fn ward(&self, seed: Seed) -> Result<LoadedRows, ExperimentError> {
        let audited = self.ward.dataset(self.allow_leaks, seed.child("data"))?;
        let hash = blake3::hash(b"").to_hex().to_string();
        loaded(audited, self.ward.task()?, hash)
    }

    /// A MEDS dataset. Its hash is of the task and of the names, sizes and times of change of its files, which may be large.
    pub(super) fn records(&self, folder: &Path, seed: Seed) -> Result<LoadedRows, ExperimentError> {
        let own = folder.join("task.toml");
        let path = match &self.task {
            Some(path) => path,
            None if own.is_file() => &own,
            None => {
                let reason = format!(
                    "{}: says nothing of what to predict from what; expected task=FILE.toml, which `dataset describe` proposes",
                    folder.display()
                );
                return Err(ExperimentError::Input(reason));
            }
        };
        let task = MedsTask::read(path)?;
        let audited = task.dataset(folder, self.allow_leaks, seed.child("split"))?;
        let hash = hash(folder, path)
            .map_err(|error| ExperimentError::Input(format!("{}: cannot be read: {error}", folder.display())))?;
        loaded(audited, task, hash)
    }
}

fn loaded(audited: Audited, task: MedsTask, hash: String) -> Result<LoadedRows, ExperimentError> {
    let Audited {
        mut dataset,
        encodings,
        checks,
    } = audited;
    let environments = environments::of_test_rows(
        &mut dataset,
        task.environment_kind().as_deref(),
        "test rows, whose subjects training did not see",
    );
    let preprocess = serde_json::to_value(MedsPreprocess {
        kind: "meds".into(),
        task,
        encodings,
        features: dataset.features.clone(),
        groups: dataset.groups.clone(),
        scaler: dataset.scaler.clone(),
        layer: dataset.layer.clone(),
        lookback: dataset.lookback,
    });
    Ok(LoadedRows {
        preprocess: preprocess.map_err(|error| ExperimentError::Failed(error.to_string()))?,
        block: 1,
        environments,
        audit: checks,
        hash,
        dataset,
    })
}

fn hash(root: &Path, task: &Path) -> std::io::Result<String> {
    let mut hash = blake3::Hasher::new();
    hash.update(&std::fs::read(task)?);
    let mut folders = vec![root.to_path_buf()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?.path();
            if entry.is_dir() {
                folders.push(entry);
            } else {
                files.push(entry);
            }
        }
    }
    files.sort();
    for file in files {
        let about = file.metadata()?;
        let changed = about
            .modified()?
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        let name = file.strip_prefix(root).unwrap_or(&file).display();
        hash.update(format!("{name} {} {}\n", about.len(), changed.as_nanos()).as_bytes());
    }
    Ok(hash.finalize().to_hex().to_string())
}
