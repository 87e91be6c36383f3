//! The sweep's folder: a manifest of runs, a folder for each, logs and attempts, held by one launching process.

use std::{
    fs,
    path::{Path, PathBuf},
};

use chrono::Utc;
use disentangle_report::{FolderLock, ReportError, RunDir, State, Status, read_json, write_file};
use serde::Serialize;

use super::{
    plan::{PlannedRun, Sweep},
    task::Attempt,
};
use crate::ExperimentError;

/// How far a run of a sweep is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RunState {
    /// Not begun.
    Absent,
    /// A living process writes it.
    AtWork,
    /// Stopped on request, or killed.
    Interrupted,
    /// Stopped by an error.
    Failed(String),
    /// Complete.
    Done,
}

impl RunState {
    /// One word.
    pub(super) fn name(&self) -> &'static str {
        match self {
            RunState::Absent => "absent",
            RunState::AtWork => "running",
            RunState::Interrupted => "interrupted",
            RunState::Failed(_) => "failed",
            RunState::Done => "done",
        }
    }
}

/// A sweep's folder; locked once it was opened, for as long as this value lives.
#[derive(Debug)]
pub(crate) struct SweepDir {
    path: PathBuf,
    /// The same for processes of another working folder.
    absolute: String,
    program: PathBuf,
    sweep: Sweep,
    manifest: Vec<PlannedRun>,
    lock: Option<FolderLock>,
}

impl SweepDir {
    /// A sweep in `out`, or below `sweeps`; nothing is written yet.
    ///
    /// Fails if the folder holds something else than a sweep of this experiment.
    pub(super) fn look(out: Option<&Path>, sweep: Sweep, manifest: Vec<PlannedRun>) -> Result<Self, ExperimentError> {
        let path = out.map_or_else(|| named(&sweep, &manifest), Path::to_path_buf);
        is_free(&path, &sweep.experiment)?;
        Self::new(path, sweep, manifest)
    }

    /// The sweep that lies in a folder, locked.
    pub(super) fn read(path: &Path) -> Result<Self, ExperimentError> {
        let sweep: Sweep = read_json(path, "sweep.json")?;
        let file = path.join("manifest.jsonl");
        let wrong = |reason: String| ReportError::Read {
            path: file.clone(),
            reason,
        };
        let text = fs::read_to_string(&file).map_err(|error| wrong(error.to_string()))?;
        let lines = text.lines().map(serde_json::from_str::<PlannedRun>);
        let manifest: Vec<PlannedRun> = lines
            .collect::<Result<_, _>>()
            .map_err(|error: serde_json::Error| wrong(error.to_string()))?;
        let mut folder = Self::new(path.into(), sweep, manifest)?;
        folder.hold()?;
        Ok(folder)
    }

    fn new(path: PathBuf, sweep: Sweep, manifest: Vec<PlannedRun>) -> Result<Self, ExperimentError> {
        let failed = |error: std::io::Error| ExperimentError::Failed(format!("{}: {error}", path.display()));
        let absolute = std::path::absolute(&path).map_err(failed)?;
        let absolute = absolute.to_str().map(String::from).ok_or_else(|| {
            ExperimentError::Input(format!(
                "{}: cannot be used: expected a path that is UTF-8",
                path.display()
            ))
        })?;
        let program = std::env::current_exe()
            .map_err(|error| ExperimentError::Failed(format!("this program cannot be found: {error}")))?;
        Ok(Self {
            path,
            absolute,
            program,
            sweep,
            manifest,
            lock: None,
        })
    }

    fn hold(&mut self) -> Result<(), ExperimentError> {
        self.lock = FolderLock::take(&self.path)?;
        match self.lock {
            Some(_) => Ok(()),
            None => Err(self.refuse("another process is running this sweep")),
        }
    }

    fn refuse(&self, reason: &str) -> ExperimentError {
        let refused = ReportError::NotARun {
            path: self.path.clone(),
            reason: reason.into(),
        };
        refused.into()
    }

    /// Creates the folder, or goes on with the sweep that it holds: locks it and writes `sweep.json` and the manifest,
    /// of which `lines` is the text.
    pub(super) fn open(&mut self, lines: &str) -> Result<(), ExperimentError> {
        make(&self.path)?;
        self.hold()?;
        self.write_json("sweep.json", &self.sweep)?;
        write_file(&self.path.join("manifest.jsonl"), lines.as_bytes())?;
        for name in ["runs", "logs", "attempts"] {
            make(&self.path.join(name))?;
        }
        Ok(())
    }

    /// Writes indented JSON into the folder; returns its text.
    pub(super) fn write_json(&self, name: &str, value: &impl Serialize) -> Result<String, ExperimentError> {
        let mut text =
            serde_json::to_string_pretty(value).map_err(|error| ExperimentError::Failed(error.to_string()))?;
        text.push('\n');
        write_file(&self.path.join(name), text.as_bytes())?;
        Ok(text)
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What all runs share.
    pub(super) fn sweep(&self) -> &Sweep {
        &self.sweep
    }

    /// All runs; seeds of a combination follow each other.
    pub(crate) fn manifest(&self) -> &[PlannedRun] {
        &self.manifest
    }

    /// A run's folder.
    pub(crate) fn run_path(&self, index: usize) -> PathBuf {
        run_path(&self.path, &self.manifest[index].hash)
    }

    /// Where a run's tasks say what went wrong; attempts follow each other.
    pub(crate) fn log_path(&self, index: usize) -> PathBuf {
        let name = format!("{}.log", self.manifest[index].hash);
        self.path.join("logs").join(name)
    }

    /// How far a run is.
    pub(crate) fn state(&self, index: usize) -> RunState {
        let found = state(&self.run_path(index));
        if found != RunState::Absent {
            return found;
        }
        // An error before there was a folder stands with the attempt only.
        let last = Attempt::last(&self.path, &self.manifest[index].hash);
        last.and_then(Attempt::error).map_or(found, RunState::Failed)
    }

    /// Notes that a run that was done must be executed again, and why.
    pub(super) fn undo(&self, index: usize, reason: &str) -> Result<(), ExperimentError> {
        let path = self.run_path(index);
        let status = Status {
            state: State::Failed,
            updated: Utc::now(),
            message: Some(reason.into()),
            ..RunDir::read_status(&path)?
        };
        let text = serde_json::to_string_pretty(&status).map_err(|error| ExperimentError::Failed(error.to_string()))?;
        Ok(write_file(&path.join("status.json"), (text + "\n").as_bytes())?)
    }

    /// Program and arguments that execute a run; the last argument is its place in the manifest.
    pub(crate) fn task_command(&self, index: usize) -> (PathBuf, Vec<String>) {
        let (index, threads) = (index.to_string(), self.sweep.threads.to_string());
        let arguments = [
            "sweep-task",
            "--sweep",
            &self.absolute,
            "--threads",
            &threads,
            "--index",
            &index,
        ];
        (self.program.clone(), arguments.map(Into::into).into())
    }
}

/// Where a run of the sweep in `folder` lies.
pub(super) fn run_path(folder: &Path, hash: &str) -> PathBuf {
    folder.join("runs").join(hash)
}

/// How far the run in a folder is.
pub(super) fn state(path: &Path) -> RunState {
    let status = match RunDir::read_status(path) {
        Ok(status) => status,
        Err(ReportError::NotARun { .. }) => return RunState::Absent,
        Err(error) => return RunState::Failed(error.to_string()),
    };
    match status.state {
        State::Done => RunState::Done,
        State::Failed => RunState::Failed(status.message.unwrap_or_default()),
        State::Running if is_held(path) => RunState::AtWork,
        // Killed, it could not write that it was interrupted.
        State::Interrupted | State::Running => RunState::Interrupted,
    }
}

/// Whether a living process writes the run in a folder.
pub(super) fn is_held(path: &Path) -> bool {
    path.join(".lock").exists() && matches!(FolderLock::take(path), Ok(None))
}

/// Makes a folder and those on the way to it.
pub(super) fn make(path: &Path) -> Result<(), ExperimentError> {
    fs::create_dir_all(path).map_err(|error| {
        let error = ReportError::Write {
            path: path.into(),
            reason: error.to_string(),
        };
        error.into()
    })
}

/// `sweeps/<experiment>/<time>-<hash>`.
fn named(sweep: &Sweep, manifest: &[PlannedRun]) -> PathBuf {
    let mut hasher = blake3::Hasher::new();
    for run in manifest {
        hasher.update(run.hash.as_bytes());
    }
    let hash = hasher.finalize().to_hex();
    let name = format!("{}-{}", Utc::now().format("%Y%m%dT%H%M%SZ"), &hash[..12]);
    Path::new("sweeps").join(&sweep.experiment).join(name)
}

/// Whether a sweep of this experiment can lie in a folder: it is absent, empty, or holds one.
fn is_free(path: &Path, experiment: &str) -> Result<(), ExperimentError> {
    if !path.exists() {
        return Ok(());
    }
    let refuse = |reason: String| Err(ExperimentError::Input(format!("{}: {reason}", path.display())));
    if path.join("sweep.json").is_file() {
        let held: Sweep = read_json(path, "sweep.json")?;
        if held.experiment != experiment {
            return refuse(format!("is a sweep of `{}`, not of `{experiment}`", held.experiment));
        }
        return Ok(());
    }
    let Ok(entries) = fs::read_dir(path) else {
        return refuse("is not a folder".into());
    };
    // A sweep that was stopped before its first file leaves these.
    let foreign = |name: &std::ffi::OsStr| name != ".lock" && name != "sweep.tmp";
    if entries.flatten().any(|entry| foreign(&entry.file_name())) {
        return refuse(format!(
            "is not empty and holds no sweep; expected a folder that is empty, does not exist, or holds a sweep of `{experiment}`"
        ));
    }
    Ok(())
}
