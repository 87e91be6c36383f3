//! The launcher `slurm`: the runs of a sweep as job arrays of a Slurm cluster.
//!
//! It needs Slurm's commands and a file system that the nodes share, and no server. The sweep's folder gets `slurm/`
//! with a script and a list for each job array and `jobs.json`, which says what was submitted. `squeue` says when a run
//! has left the queue, and the run's own folder how it ended. Who starts the same sweep again first follows the jobs
//! that are still in the queue.

mod array;
mod host;
mod jobs;
mod options;
mod queue;
mod round;
mod script;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use host::{Host, ThisHost};
use options::SlurmOptions;
use round::Round;

use super::{
    folder::{RunState, SweepDir},
    launcher::Launcher,
};
use crate::ExperimentError;

/// The most tasks of a job array if the cluster does not say: Slurm's own default of `MaxArraySize`.
const USUAL_LIMIT: usize = 1001;

/// Submits job arrays and follows them.
pub(crate) struct Slurm {
    options: SlurmOptions,
    host: Box<dyn Host>,
}

/// What is asked of a sweep's folder.
trait Runs {
    fn path(&self) -> &Path;
    fn run_path(&self, index: usize) -> PathBuf;
    fn log_path(&self, index: usize) -> PathBuf;
    fn state(&self, index: usize) -> RunState;
    /// Program and arguments that execute one run.
    fn task_command(&self, index: usize) -> (PathBuf, Vec<String>);
}

impl Runs for SweepDir {
    fn path(&self) -> &Path {
        SweepDir::path(self)
    }

    fn run_path(&self, index: usize) -> PathBuf {
        SweepDir::run_path(self, index)
    }

    fn log_path(&self, index: usize) -> PathBuf {
        SweepDir::log_path(self, index)
    }

    fn state(&self, index: usize) -> RunState {
        SweepDir::state(self, index)
    }

    fn task_command(&self, index: usize) -> (PathBuf, Vec<String>) {
        SweepDir::task_command(self, index)
    }
}

impl Slurm {
    /// Of the values of `--slurm`, for runs of so many threads each.
    ///
    /// Fails if a value is wrong or Slurm's commands are not installed here.
    pub(crate) fn new(options: &[String], threads: usize, quiet: bool) -> Result<Self, ExperimentError> {
        Ok(Self {
            options: SlurmOptions::parse(options, threads, quiet)?,
            host: Box::new(ThisHost::open()?),
        })
    }

    /// The most tasks of a job array.
    fn limit(&self) -> Result<usize, ExperimentError> {
        let reply = self.host.run("scontrol", &["show".into(), "config".into()])?;
        if !reply.success {
            let reason = format!("`scontrol show config` does not answer: {}", reply.message());
            return Err(ExperimentError::Failed(reason));
        }
        let value = |line: &str| {
            let (key, value) = line.split_once('=')?;
            (key.trim() == "MaxArraySize").then(|| value.trim().parse::<usize>().ok())?
        };
        let cluster = reply.stdout.lines().find_map(value).unwrap_or(USUAL_LIMIT);
        Ok(self.options.max_array.map_or(cluster, |ours| ours.min(cluster)).max(1))
    }

    fn launch_runs(
        &self,
        runs: &dyn Runs,
        pending: &[usize],
        ended: &mut dyn FnMut(usize),
    ) -> Result<(), ExperimentError> {
        if pending.is_empty() {
            return Ok(());
        }
        let size = self.limit()?;
        Round::start(self.host.as_ref(), &self.options, runs, size, pending)?.follow(ended)
    }
}

impl Launcher for Slurm {
    fn name(&self) -> &'static str {
        "slurm"
    }

    fn launch(
        &mut self,
        sweep: &SweepDir,
        pending: &[usize],
        ended: &mut dyn FnMut(usize),
    ) -> Result<(), ExperimentError> {
        self.launch_runs(sweep, pending, ended)
    }

    fn plan(&self, pending: usize) -> Result<String, ExperimentError> {
        let limit = self.limit()?;
        let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
        Ok(format!(
            "slurm: {} in {} of at most {}",
            count(pending, "run"),
            count(pending.div_ceil(limit), "job array"),
            count(limit, "task")
        ))
    }
}
