//! `slurm/jobs.json`: every job array that was submitted, so that a launcher that starts again follows them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use disentangle_report::{ReportError, read_json, write_file};
use serde::{Deserialize, Serialize};

use super::{
    host::Host,
    queue::{self, Task},
};
use crate::ExperimentError;

const NAME: &str = "jobs.json";

/// The jobs of a sweep, and where they are noted.
pub(super) struct Jobs {
    folder: PathBuf,
    noted: Noted,
}

#[derive(Serialize, Deserialize)]
struct Noted {
    schema_version: u32,
    /// Makes names of this sweep's jobs like no other's, also where one folder holds a new sweep after another.
    token: String,
    jobs: Vec<Job>,
}

/// One job array. It is noted before it is submitted, and its number after.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Job {
    /// Its name in the queue, like no other's: by it a job is found whose number could not be noted.
    pub(super) name: String,
    /// Slurm's number.
    pub(super) id: Option<String>,
    /// The cluster, where there are several.
    pub(super) cluster: Option<String>,
    /// The round and, within it, the chunk that it executes.
    pub(super) round: usize,
    pub(super) chunk: usize,
    /// The run that each task executes, by its number in the manifest.
    pub(super) runs: Vec<usize>,
    /// The names of these runs' folders: a run's number means another run once the sweep's grid has changed.
    pub(super) names: Vec<String>,
    /// Whether no task is in the queue any more.
    pub(super) ended: bool,
}

impl Jobs {
    /// Reads what is noted in `folder`; nothing is fine.
    pub(super) fn read(folder: &Path) -> Result<Self, ExperimentError> {
        let noted = if folder.join(NAME).exists() {
            read_json(folder, NAME)?
        } else {
            Noted {
                schema_version: 1,
                token: token(folder),
                jobs: Vec::new(),
            }
        };
        Ok(Self {
            folder: folder.into(),
            noted,
        })
    }

    /// Writes them by rename.
    pub(super) fn save(&self) -> Result<(), ExperimentError> {
        let path = self.folder.join(NAME);
        let text = serde_json::to_string(&self.noted).map_err(|error| ReportError::Write {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        Ok(write_file(&path, format!("{text}\n").as_bytes())?)
    }

    /// All of them, in the order of submission.
    pub(super) fn all(&mut self) -> &mut Vec<Job> {
        &mut self.noted.jobs
    }

    /// One of them, by its place.
    pub(super) fn get(&self, place: usize) -> &Job {
        &self.noted.jobs[place]
    }

    /// Those with tasks in the queue, with their places.
    fn live(&self) -> Vec<(usize, &Job)> {
        let jobs = self.noted.jobs.iter().enumerate();
        jobs.filter(|(_, job)| !job.ended && job.id.is_some()).collect()
    }

    /// The numbers of those with tasks in the queue, separated by spaces.
    pub(super) fn live_ids(&self) -> String {
        let ids: Vec<&str> = self
            .live()
            .into_iter()
            .filter_map(|(_, job)| job.id.as_deref())
            .collect();
        ids.join(" ")
    }

    /// The tasks of these jobs that are in the queue, with the places of their jobs.
    ///
    /// Fails with what `squeue` said if it cannot tell.
    pub(super) fn tasks(&self, host: &dyn Host) -> Result<Vec<(usize, Task)>, String> {
        let live = self.live();
        if live.is_empty() {
            return Ok(Vec::new());
        }
        let places = live
            .iter()
            .filter_map(|(place, job)| Some((job.id.as_deref()?, *place)));
        let places: BTreeMap<&str, usize> = places.collect();
        let jobs: Vec<&Job> = live.iter().map(|(_, job)| *job).collect();
        let tasks = queue::tasks(host, &jobs)?.into_iter();
        Ok(tasks
            .filter_map(|task| Some((*places.get(task.job.as_str())?, task)))
            .collect())
    }

    /// Notes which jobs have none of these tasks, which are all that is in the queue.
    pub(super) fn retire(&mut self, tasks: &[(usize, Task)]) -> Result<(), ExperimentError> {
        let present: BTreeSet<usize> = tasks.iter().map(|(place, _)| *place).collect();
        let live: Vec<usize> = self.live().iter().map(|(place, _)| *place).collect();
        let ended: Vec<usize> = live.into_iter().filter(|place| !present.contains(place)).collect();
        if ended.is_empty() {
            return Ok(());
        }
        for place in ended {
            self.noted.jobs[place].ended = true;
        }
        self.save()
    }

    /// Part of the names of this sweep's jobs.
    pub(super) fn token(&self) -> &str {
        &self.noted.token
    }

    /// A round that no job belongs to yet.
    pub(super) fn next_round(&self) -> usize {
        self.noted.jobs.iter().map(|job| job.round + 1).max().unwrap_or(1)
    }
}

fn token(folder: &Path) -> String {
    let text = format!(
        "{} {} {}",
        folder.display(),
        std::process::id(),
        chrono::Utc::now().to_rfc3339()
    );
    blake3::hash(text.as_bytes()).to_hex().chars().take(8).collect()
}
