//! The folder of one run. Nothing in it is ever half written, and no run overwrites another.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::Write as _,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::ReportError;

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// At work, or killed at work.
    Running,
    /// Stopped on request; can be resumed.
    Interrupted,
    /// Stopped by an error.
    Failed,
    /// Complete.
    Done,
}

/// `status.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// How far the run is.
    pub state: State,
    /// The experiment's name.
    pub experiment: String,
    /// When it was created.
    pub started: DateTime<Utc>,
    /// When this state was reached.
    pub updated: DateTime<Utc>,
    /// The error, if it failed.
    pub message: Option<String>,
}

/// An open run folder. It is locked while this value lives, so that two processes never write one run.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    status: Status,
    _lock: FolderLock,
}

impl RunDir {
    /// Creates `out`, or `runs/<experiment>/<time>-<seed>-<hash>` below `base`.
    ///
    /// Fails if the folder holds anything already or cannot be written.
    pub fn create(
        base: &Path,
        out: Option<&Path>,
        experiment: &str,
        seed: u64,
        hash: &str,
    ) -> Result<Self, ReportError> {
        let now = Utc::now();
        let path = match out {
            Some(out) => out.to_path_buf(),
            None => base
                .join(experiment)
                .join(format!("{}-{seed}-{hash}", now.format("%Y%m%dT%H%M%SZ"))),
        };
        if path.join("status.json").exists() {
            return Err(taken(&path, "already holds a run"));
        }
        if path.exists()
            && fs::read_dir(&path)
                .map_err(|_| taken(&path, "is not a folder"))?
                .next()
                .is_some()
        {
            return Err(taken(&path, "is not empty"));
        }
        fs::create_dir_all(&path).map_err(|error| ReportError::write(&path, error))?;
        let status = Status {
            state: State::Running,
            experiment: experiment.into(),
            started: now,
            updated: now,
            message: None,
        };
        let run = Self {
            _lock: lock(&path)?,
            path,
            status,
        };
        run.write_json("status.json", &run.status)?;
        Ok(run)
    }

    /// Opens a run to go on with it; one that is done, or that another process writes, is refused.
    pub fn resume(path: &Path) -> Result<Self, ReportError> {
        let status: Status = Self::read_status(path)?;
        if status.state == State::Done {
            return Err(ReportError::NotARun {
                path: path.into(),
                reason: "the run is complete; there is nothing to resume".into(),
            });
        }
        let mut run = Self {
            _lock: lock(path)?,
            path: path.into(),
            status,
        };
        run.set(State::Running, None)?;
        Ok(run)
    }

    /// `status.json` of a folder; fails if it is no run.
    pub fn read_status(path: &Path) -> Result<Status, ReportError> {
        if !path.join("status.json").is_file() {
            return Err(ReportError::NotARun {
                path: path.into(),
                reason: "no run: it holds no status.json".into(),
            });
        }
        read_json(path, "status.json")
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How far it is.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// Notes how far the run is.
    pub fn set(&mut self, state: State, message: Option<String>) -> Result<(), ReportError> {
        self.status.state = state;
        self.status.updated = Utc::now();
        self.status.message = message;
        self.write_json("status.json", &self.status).map(|_| ())
    }

    /// Writes a file by rename; folders on the way are made.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf, ReportError> {
        let path = self.path.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| ReportError::write(folder, error))?;
        }
        write_file(&path, content)?;
        Ok(path)
    }

    /// Writes indented JSON.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<PathBuf, ReportError> {
        let mut text =
            serde_json::to_string_pretty(value).map_err(|error| ReportError::write(&self.path.join(name), error))?;
        text.push('\n');
        self.write(name, text.as_bytes())
    }

    /// Appends one line to `events.jsonl`.
    pub fn event(&self, value: &impl Serialize) -> Result<(), ReportError> {
        let path = self.path.join("events.jsonl");
        let mut line = serde_json::to_string(value).map_err(|error| ReportError::write(&path, error))?;
        line.push('\n');
        let file = OpenOptions::new().create(true).append(true).open(&path);
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .map_err(|error| ReportError::write(&path, error))
    }

    /// Keeps the events for which `keep` holds; a line that was cut off by a crash goes.
    pub fn truncate_events(&self, keep: impl Fn(&serde_json::Value) -> bool) -> Result<(), ReportError> {
        let path = self.path.join("events.jsonl");
        let Ok(text) = fs::read_to_string(&path) else {
            return Ok(());
        };
        let mut kept = String::new();
        for line in text.lines() {
            if serde_json::from_str(line).is_ok_and(|event| keep(&event)) {
                kept.push_str(line);
                kept.push('\n');
            }
        }
        self.write("events.jsonl", kept.as_bytes()).map(|_| ())
    }

    /// Removes a file or folder of the run; absent is fine.
    pub fn remove(&self, name: &str) -> Result<(), ReportError> {
        let path = self.path.join(name);
        let removed = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(ReportError::write(&path, error)),
            _ => Ok(()),
        }
    }
}

/// Writes a file by rename: a reader sees the old one or the new one, and nothing is left behind where the disk is full.
pub fn write_file(path: &Path, content: &[u8]) -> Result<(), ReportError> {
    let temporary = path.with_extension("tmp");
    let written = fs::write(&temporary, content).and_then(|()| fs::rename(&temporary, path));
    written.map_err(|error| {
        // Its own failure adds nothing to the error that is reported.
        let _ = fs::remove_file(&temporary);
        ReportError::write(path, error)
    })
}

/// Reads a JSON file of a run.
pub fn read_json<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<T, ReportError> {
    let path = folder.join(name);
    let text = fs::read_to_string(&path).map_err(|error| ReportError::read(&path, error))?;
    serde_json::from_str(&text).map_err(|error| ReportError::read(&path, error))
}

fn taken(path: &Path, reason: &str) -> ReportError {
    ReportError::Taken {
        path: path.into(),
        reason: reason.into(),
    }
}

fn lock(path: &Path) -> Result<FolderLock, ReportError> {
    FolderLock::take(path)?.ok_or_else(|| ReportError::NotARun {
        path: path.into(),
        reason: "another process is writing this run".into(),
    })
}

/// A folder's `.lock`, held while this value lives. The system frees it when the process ends, however it ends.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the lock of a folder that exists; `None` if somebody holds it.
    pub fn take(folder: &Path) -> Result<Option<Self>, ReportError> {
        let name = folder.join(".lock");
        let file = File::create(&name).map_err(|error| ReportError::write(&name, error))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(None),
            // A file system may have no locks at all: the work goes on unguarded.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(Self { _file: file })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_goes_through_its_states_and_is_never_shared() {
        let base = tempfile::tempdir().unwrap();
        let mut run = RunDir::create(base.path(), None, "finance", 7, "abc").unwrap();
        let path = run.path().to_path_buf();
        assert!(path.display().to_string().ends_with("Z-7-abc"));
        let error = RunDir::resume(&path).unwrap_err().to_string();
        assert!(error.ends_with("another process is writing this run"), "{error}");
        run.event(&serde_json::json!({"epoch": 1})).unwrap();
        run.event(&serde_json::json!({"epoch": 2})).unwrap();
        run.set(State::Interrupted, None).unwrap();
        drop(run);

        fs::write(
            path.join("events.jsonl"),
            fs::read_to_string(path.join("events.jsonl")).unwrap() + "{\"epo",
        )
        .unwrap();
        let mut run = RunDir::resume(&path).unwrap();
        assert_eq!(run.status().state, State::Running);
        run.truncate_events(|event| event["epoch"] == 1).unwrap();
        assert_eq!(
            fs::read_to_string(path.join("events.jsonl")).unwrap(),
            "{\"epoch\":1}\n"
        );
        run.set(State::Done, None).unwrap();
        drop(run);
        assert!(
            RunDir::resume(&path)
                .unwrap_err()
                .to_string()
                .ends_with("nothing to resume")
        );
        assert!(
            RunDir::create(base.path(), Some(&path), "finance", 7, "abc")
                .unwrap_err()
                .to_string()
                .contains("already holds a run")
        );
    }

    #[test]
    fn bad_folders_are_sentences() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("file");
        fs::write(&file, "x").unwrap();
        let create = |path: &Path| {
            RunDir::create(base.path(), Some(path), "finance", 0, "h")
                .unwrap_err()
                .to_string()
        };
        assert!(create(&file).ends_with("is not a folder; expected a folder that is empty or does not exist"));
        assert!(create(base.path()).contains("is not empty"));
        assert!(create(&file.join("below")).contains("cannot be written"));
        assert!(
            RunDir::resume(base.path())
                .unwrap_err()
                .to_string()
                .ends_with("no run: it holds no status.json")
        );
    }
}
