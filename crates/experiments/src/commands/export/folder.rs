//! A run's folder, as other tools take it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use chrono::SecondsFormat;
use disentangle_report::{Exported, ReportError, RunDir, State, Status, epoch_scalars, final_scalars, read_json};
use serde::Deserialize;
use serde_json::Value;

use crate::{ExperimentError, commands::rerender::outcome};

/// A name and a value that are noted of a run.
type Tag = (&'static str, String);

/// A folder that holds a run.
pub(super) struct Found {
    pub(super) folder: PathBuf,
    /// What is known of it beside what it holds itself.
    pub(super) tags: Vec<Tag>,
}

impl Found {
    /// A run that is part of nothing.
    pub(super) fn alone(path: &Path) -> Self {
        Self {
            folder: path.into(),
            tags: Vec::new(),
        }
    }
}

/// What a run and its seeds share.
struct Folder {
    path: PathBuf,
    status: Status,
    config: String,
    events: String,
    parameters: BTreeMap<String, Value>,
    tags: BTreeMap<String, String>,
    host: String,
    /// Of the configuration and the input.
    hash: String,
}

/// Reads a run that is done, with its seeds if there are several; `more` tags are added to its own.
pub(super) fn read(path: &Path, more: &[Tag]) -> Result<Exported, ExperimentError> {
    let status = RunDir::read_status(path)?;
    if status.state != State::Done {
        let reason = format!("the run is {:?}, expected one that is done", status.state).to_lowercase();
        return Err(ReportError::NotARun {
            path: path.into(),
            reason,
        }
        .into());
    }
    let environment: Value = read_json(path, "environment.json")?;
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let config_path = path.join("config.toml");
    let config = fs::read_to_string(&config_path).map_err(|error| ReportError::Read {
        path: config_path.clone(),
        reason: error.to_string(),
    })?;
    let table: toml::Table = config.parse().map_err(|error: toml::de::Error| {
        let reason = error.to_string().trim_end().replace('\n', " ");
        ExperimentError::Input(format!("{}: {reason}", config_path.display()))
    })?;
    let mut parameters = BTreeMap::new();
    flatten("", &toml::Value::Table(table), &mut parameters);
    let text = |key: &str| environment[key].as_str().unwrap_or_default().to_string();
    let hash = blake3::hash(format!("{config}\n{}", text("input_hash")).as_bytes()).to_hex();
    let folder = Folder {
        tags: tags(&path, &status, &environment, more),
        // Only runs that train their main model have events.
        events: fs::read_to_string(path.join("events.jsonl")).unwrap_or_default(),
        host: text("host"),
        hash: hash[..12].to_string(),
        path,
        status,
        config,
        parameters,
    };
    let name = folder.path.file_name().unwrap_or_default().display().to_string();
    let first = environment["seed"].as_u64().unwrap_or_default();
    let count = environment["seeds"].as_u64().unwrap_or(1);
    if count <= 1 {
        return folder.exported(&folder.path, name, Some(first));
    }
    let mut run = folder.exported(&folder.path, name, None)?;
    for seed in (0..count).map(|offset| first + offset) {
        let below = folder.path.join("seeds").join(seed.to_string());
        run.parts
            .push(folder.exported(&below, format!("seed-{seed}"), Some(seed))?);
    }
    let seeds: Vec<u64> = (0..count).map(|offset| first + offset).collect();
    run.parameters.insert("seeds".into(), seeds.into());
    Ok(run)
}

impl Folder {
    /// The numbers that lie in `at`, which is the run's folder or that of one of its seeds.
    fn exported(&self, at: &Path, name: String, seed: Option<u64>) -> Result<Exported, ExperimentError> {
        let (started, ended) = (self.status.started, self.status.updated);
        let mut scalars = match seed {
            Some(seed) => epoch_scalars(&self.events, seed, started),
            None => Vec::new(),
        };
        scalars.extend(final_scalars(&outcome(at)?.rows(), seed, ended));
        let (mut parameters, mut tags) = (self.parameters.clone(), self.tags.clone());
        let of = seed.map_or_else(|| "all".into(), |seed| seed.to_string());
        if let Some(seed) = seed {
            parameters.entry("seed".into()).or_insert(seed.into());
            tags.insert("seed".into(), of.clone());
        }
        let started_at = started.to_rfc3339_opts(SecondsFormat::Nanos, true);
        let identity = format!("{}\n{}\n{of}\n{started_at}", self.status.experiment, self.hash);
        Ok(Exported {
            name,
            folder: at.into(),
            experiment: self.status.experiment.clone(),
            id: blake3::hash(identity.as_bytes()).to_hex()[..32].to_string(),
            group: self.hash.clone(),
            host: self.host.clone(),
            started,
            ended,
            config: self.config.clone(),
            parameters,
            tags,
            scalars,
            parts: Vec::new(),
        })
    }
}

/// One entry a key; tables become `table.key`.
fn flatten(name: &str, value: &toml::Value, into: &mut BTreeMap<String, Value>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let name = match name.is_empty() {
                    true => key.clone(),
                    false => format!("{name}.{key}"),
                };
                flatten(&name, value, into);
            }
        }
        toml::Value::Datetime(date) => {
            into.insert(name.into(), date.to_string().into());
        }
        other => {
            into.insert(name.into(), serde_json::to_value(other).unwrap_or_default());
        }
    }
}

/// What `environment.json` knows, and where the run lies.
fn tags(path: &Path, status: &Status, environment: &Value, more: &[Tag]) -> BTreeMap<String, String> {
    let known = environment.as_object().into_iter().flatten();
    let known = known.filter(|(key, value)| !value.is_null() && !["seed", "seeds"].contains(&key.as_str()));
    let mut tags: BTreeMap<String, String> = known
        .map(|(key, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), Into::into);
            (key.clone(), text)
        })
        .collect();
    tags.insert("experiment".into(), status.experiment.clone());
    tags.insert("folder".into(), path.display().to_string());
    tags.extend(more.iter().map(|(key, value)| ((*key).to_string(), value.clone())));
    tags
}

/// What is read of a line of `manifest.jsonl`.
#[derive(Deserialize)]
struct Planned {
    index: u64,
    hash: String,
}

/// The runs of a sweep that are done, with their place in it, and a note if some are not.
pub(super) fn runs_of_sweep(path: &Path) -> Result<(Vec<Found>, Vec<String>), ExperimentError> {
    let manifest = path.join("manifest.jsonl");
    let text = fs::read_to_string(&manifest).map_err(|error| ReportError::Read {
        path: manifest.clone(),
        reason: error.to_string(),
    })?;
    let sweep = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let mut runs = Vec::new();
    let mut planned = 0;
    for (number, line) in text.lines().enumerate() {
        let bad = |reason: &str| {
            let place = format!("{}: line {}", manifest.display(), number + 1);
            ExperimentError::Input(format!("{place}: {reason}; expected a run with `index` and `hash`"))
        };
        let one: Planned = serde_json::from_str(line).map_err(|error| bad(&error.to_string()))?;
        if one.hash.is_empty() || !one.hash.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(bad(&format!("`{}` names no folder", one.hash)));
        }
        planned += 1;
        let folder = path.join("runs").join(&one.hash);
        if RunDir::read_status(&folder).is_ok_and(|status| status.state == State::Done) {
            let tags = vec![
                ("sweep", sweep.display().to_string()),
                ("sweep_index", one.index.to_string()),
            ];
            runs.push(Found { folder, tags });
        }
    }
    if runs.is_empty() {
        let reason = format!("none of the sweep's {planned} runs is done");
        return Err(ExperimentError::Input(format!("{}: {reason}", path.display())));
    }
    let left_out = planned - runs.len();
    let note = format!("{left_out} of the sweep's {planned} runs are not done and were left out");
    let notes = if left_out > 0 { vec![note] } else { Vec::new() };
    Ok((runs, notes))
}
