//! What a run is: everything that its numbers depend on, as a hash that names its folder.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{Backend, ExperimentError};

/// The first 16 hex digits of BLAKE3 over experiment, configuration, seed, backend, the program's version and input
/// files.
pub(super) fn of_run(experiment: &str, config: &str, seed: u64, backend: Backend, inputs: &[String]) -> String {
    let mut hasher = blake3::Hasher::new();
    let seed = seed.to_string();
    let parts = [experiment, config, &seed, backend.name(), env!("CARGO_PKG_VERSION")];
    for part in parts.into_iter().chain(inputs.iter().map(String::as_str)) {
        hasher.update(part.as_bytes());
        hasher.update(b"\n");
    }
    hasher.finalize().to_hex()[..16].to_string()
}

/// Hashes of the files that configurations name; each is read once.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    known: HashMap<(String, bool), Option<String>>,
}

impl Inputs {
    /// The hash of each string in a configuration that is a file, in the configuration's order. Of folders only a
    /// dataset counts: a string may be a folder's name by chance, for example that of a cache which every run changes.
    pub(super) fn of(&mut self, config: &Value) -> Result<Vec<String>, ExperimentError> {
        let mut found = Vec::new();
        self.visit(config, false, &mut found)?;
        Ok(found)
    }

    fn visit(&mut self, value: &Value, dataset: bool, found: &mut Vec<String>) -> Result<(), ExperimentError> {
        match value {
            Value::String(text) => found.extend(self.hash(text, dataset)?),
            Value::Array(values) => {
                for value in values {
                    self.visit(value, dataset, found)?;
                }
            }
            Value::Object(map) => {
                for (key, value) in map {
                    self.visit(value, key == "dataset", found)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn hash(&mut self, text: &str, dataset: bool) -> Result<Option<String>, ExperimentError> {
        let key = (text.to_string(), dataset);
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let path = Path::new(text);
        let mut hasher = blake3::Hasher::new();
        let read = if path.is_file() {
            add_file(&mut hasher, path).map(|()| true)
        } else if dataset && path.join("data").is_dir() {
            add_folder(&mut hasher, path).map(|()| true)
        } else {
            Ok(false)
        };
        let is_input = read.map_err(|error| ExperimentError::Input(format!("{text}: cannot be read: {error}")))?;
        let hash = is_input.then(|| hasher.finalize().to_hex().to_string());
        self.known.insert(key, hash.clone());
        Ok(hash)
    }
}

fn add_file(hasher: &mut blake3::Hasher, path: &Path) -> io::Result<()> {
    hasher.update_reader(File::open(path)?).map(|_| ())
}

/// Names and contents, in the order of names; links to folders are not followed.
fn add_folder(hasher: &mut blake3::Hasher, folder: &Path) -> io::Result<()> {
    let entries = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths: Vec<PathBuf> = entries.collect::<Result<_, _>>()?;
    paths.sort();
    for path in paths {
        hasher.update(path.as_os_str().as_encoded_bytes());
        if path.symlink_metadata()?.is_dir() {
            add_folder(hasher, &path)?;
        } else if path.is_file() {
            add_file(hasher, &path)?;
        }
    }
    Ok(())
}
