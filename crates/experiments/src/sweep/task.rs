//! `sweep-task`: one run of a sweep, by whoever starts it.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::{DateTime, Utc};
use disentangle_data::DataError;
use disentangle_models::ModelError;
use disentangle_report::{ReportError, read_json, write_file};
use serde::{Deserialize, Serialize};

use super::{
    arguments::TaskArguments,
    folder::{self, RunState},
    hash::{self, Inputs},
    plan::{ManifestLine, Sweep},
};
use crate::{
    ExperimentError, Options,
    registry::{self, Registered},
};

/// `attempts/<hash>.json`: the last attempt at a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Attempt {
    /// Which, from 1.
    pub(super) attempts: usize,
    /// Of the process.
    pub(super) pid: u32,
    /// The machine's name.
    pub(super) host: Option<String>,
    /// When it began.
    pub(super) started: DateTime<Utc>,
    /// When it ended; absent while it is at work, or if it was killed.
    pub(super) ended: Option<DateTime<Utc>>,
    /// Of the process.
    pub(super) exit_code: Option<u8>,
    /// The error, if it failed.
    pub(super) message: Option<String>,
}

impl Attempt {
    fn path(sweep: &Path, hash: &str) -> PathBuf {
        sweep.join("attempts").join(format!("{hash}.json"))
    }

    /// The last attempt at a run, if there was one.
    pub(super) fn last(sweep: &Path, hash: &str) -> Option<Self> {
        read_json(&sweep.join("attempts"), &format!("{hash}.json")).ok()
    }

    /// The error that ended it; none while it is at work, or if it was killed or asked to stop.
    pub(super) fn error(self) -> Option<String> {
        match self.exit_code {
            Some(code) if code != 0 && code != ExperimentError::Interrupted.exit_code() => self.message,
            _ => None,
        }
    }

    fn next(sweep: &Path, hash: &str) -> Self {
        Self {
            attempts: Self::last(sweep, hash).map_or(0, |last| last.attempts) + 1,
            pid: std::process::id(),
            host: fs::read_to_string("/proc/sys/kernel/hostname")
                .ok()
                .map(|name| name.trim().to_string()),
            started: Utc::now(),
            ..Self::default()
        }
    }

    fn write(&self, sweep: &Path, hash: &str) -> Result<(), ExperimentError> {
        let text = serde_json::to_string_pretty(self).map_err(|error| ExperimentError::Failed(error.to_string()))?;
        Ok(write_file(&Self::path(sweep, hash), (text + "\n").as_bytes())?)
    }
}

/// Executes a run: at once over if it is done, gone on with if it was stopped, from its start otherwise.
///
/// Fails, and touches nothing, if a living process writes the run.
pub fn task(arguments: &TaskArguments) -> Result<(), ExperimentError> {
    let folder = arguments.sweep.as_path();
    let sweep: Sweep = read_json(folder, "sweep.json")?;
    let experiment = registry::experiment(&sweep.experiment)?;
    let line = manifest_line(folder, arguments.index)?;
    let path = folder::run_path(folder, &line.run.hash);
    if folder::state(&path) == RunState::Done {
        return Ok(());
    }
    if folder::is_held(&path) {
        return Err(held(&path));
    }
    let mut attempt = Attempt::next(folder, &line.run.hash);
    attempt.write(folder, &line.run.hash)?;
    say(&format!(
        "--- attempt {} at {} ({}), process {} on {}",
        attempt.attempts,
        attempt.started.format("%Y-%m-%dT%H:%M:%SZ"),
        line.run.words(&sweep.grid),
        attempt.pid,
        attempt.host.as_deref().unwrap_or("an unnamed machine"),
    ));
    let options = options(&sweep, &line, &path, arguments.threads());
    let result = unchanged(&sweep, &line)
        .and_then(|()| execute(&experiment, &options, &line, &folder.join("failed"), attempt.attempts));
    attempt.ended = Some(Utc::now());
    attempt.exit_code = Some(result.as_ref().err().map_or(0, ExperimentError::exit_code));
    attempt.message = result.as_ref().err().map(ToString::to_string);
    if let Err(later) = attempt.write(folder, &line.run.hash) {
        // On a full disk this fails too, and the first error is the one that helps.
        say(&format!("note: {later}"));
    }
    result
}

/// Fails if the run is not any more what the name of its folder stands for.
fn unchanged(sweep: &Sweep, line: &ManifestLine) -> Result<(), ExperimentError> {
    let files = Inputs::default().of(&line.config)?;
    let config = serde_json::to_string(&line.config).map_err(|error| ExperimentError::Failed(error.to_string()))?;
    if hash::of_run(&sweep.experiment, &config, line.run.seed, sweep.backend, &files) == line.run.hash {
        return Ok(());
    }
    Err(ExperimentError::Input(
        "an input file or this program's version changed since the sweep was planned; expected the sweep's command again, which plans anew".into(),
    ))
}

fn options(sweep: &Sweep, line: &ManifestLine, path: &Path, threads: usize) -> Options {
    Options {
        backend: sweep.backend,
        seed: line.run.seed,
        seeds: 1,
        sets: Vec::new(),
        config: None,
        out: Some(path.into()),
        threads,
        quiet: true,
        resume: None,
        fast: false,
        checkpoint_every: Duration::from_secs(sweep.checkpoint_seconds),
        report: sweep.reports,
    }
}

fn execute(
    experiment: &Registered,
    options: &Options,
    line: &ManifestLine,
    failed: &Path,
    attempt: usize,
) -> Result<(), ExperimentError> {
    let path = options.out.clone().unwrap_or_default();
    if path.join("status.json").exists() {
        let resumed = Options {
            resume: Some(path.clone()),
            out: None,
            ..options.clone()
        };
        let before = folder::state(&path);
        match (experiment.run)(&resumed) {
            Ok(_) => return Ok(()),
            Err(error) if stays(&error) => return Err(error),
            // The same again: begun afresh it would only come once more. A broken file is another matter.
            Err(error)
                if before == RunState::Failed(error.to_string())
                    && !matches!(error, ExperimentError::Model(ModelError::File { .. })) =>
            {
                return Err(error);
            }
            // It may have come between the first look and now.
            Err(_) if folder::is_held(&path) => return Err(held(&path)),
            Err(error) => say(&format!("the run cannot be gone on with: {error}")),
        }
        set_aside(&path, failed, attempt)?;
    } else if fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_some()) {
        // Its process was killed before it wrote anything that could be gone on with.
        set_aside(&path, failed, attempt)?;
    }
    (experiment.sweep.run)(options, &line.config).map(|_| ())
}

/// Whether a run can still be gone on with after an error: it was asked to stop, or its disk is full.
fn stays(error: &ExperimentError) -> bool {
    match error {
        ExperimentError::Interrupted
        | ExperimentError::Report(ReportError::Write { .. })
        | ExperimentError::Data(DataError::Write { .. }) => true,
        // Of weights and checkpoints, where one error stands for reading and for writing.
        ExperimentError::Model(ModelError::File { reason, .. }) => reason.contains("cannot be written"),
        _ => false,
    }
}

/// Moves a run's folder to `failed/<hash>-<attempt>`, so that nothing of it is lost.
fn set_aside(path: &Path, failed: &Path, attempt: usize) -> Result<(), ExperimentError> {
    folder::make(failed)?;
    let hash = path.file_name().unwrap_or_default().display().to_string();
    let mut names = (attempt..).map(|number| failed.join(format!("{hash}-{number}")));
    let target = names.find(|name| !name.exists()).unwrap_or_else(|| failed.join(&hash));
    fs::rename(path, &target).map_err(|error| {
        let error = ReportError::Write {
            path: target.clone(),
            reason: error.to_string(),
        };
        ExperimentError::from(error)
    })?;
    say(&format!("its folder is kept as {}", target.display()));
    Ok(())
}

fn held(path: &Path) -> ExperimentError {
    let error = ReportError::NotARun {
        path: path.into(),
        reason: "another process is writing this run".into(),
    };
    error.into()
}

/// A line of the manifest, without reading those after it.
fn manifest_line(folder: &Path, index: usize) -> Result<ManifestLine, ExperimentError> {
    let path = folder.join("manifest.jsonl");
    let wrong = |reason: String| ReportError::Read {
        path: path.clone(),
        reason,
    };
    let file = File::open(&path).map_err(|error| wrong(error.to_string()))?;
    let line = match BufReader::new(file).lines().nth(index) {
        None => return Err(wrong(format!("holds no run {index}; they count from 0")).into()),
        Some(line) => line.map_err(|error| wrong(error.to_string()))?,
    };
    Ok(serde_json::from_str(&line).map_err(|error| wrong(format!("line {}: {error}", index + 1)))?)
}

/// Says it in the log; that a full disk takes no more is no reason to stop.
fn say(words: &str) {
    let _ = writeln!(std::io::stderr(), "{words}");
}
