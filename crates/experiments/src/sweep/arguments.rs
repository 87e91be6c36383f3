//! Options of `sweep` and of its hidden `sweep-task`.

use std::path::PathBuf;

use clap::Args;

use super::launcher::LauncherName;
use crate::Backend;

/// What to sweep, and who does the work.
#[derive(Clone, Debug, Args)]
pub struct SweepArguments {
    /// The experiment; see `list`.
    pub(super) name: String,
    /// A setting and its values, separated by commas, or by `;` where one value is a list itself; may be repeated:
    /// every combination is run.
    #[arg(long = "grid", value_name = "KEY=A,B,...", required = true)]
    pub(super) grid: Vec<String>,
    /// How many seeds to run of each combination, counted on from the first.
    #[arg(long, default_value_t = 1)]
    pub(super) seeds: usize,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
    /// A setting of every run; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) sets: Vec<String>,
    /// A TOML file with settings of every run.
    #[arg(long)]
    pub(super) config: Option<PathBuf>,
    /// Smoke runs of seconds.
    #[arg(long)]
    pub(super) fast: bool,
    /// The sweep's folder; below `sweeps` if absent. A sweep that lies there is gone on with: runs that are done are
    /// not run again.
    #[arg(long)]
    pub(super) out: Option<PathBuf>,
    /// Runs at a time on this machine; as many as its cores allow if absent.
    #[arg(long)]
    pub(super) workers: Option<usize>,
    /// Draws report and figures of every run too, about 5 MB each; without it `report RUN` draws those of one.
    #[arg(long)]
    pub(super) reports: bool,
    /// Threads of each run; 1 if absent, or what `--workers` leaves. Changes no number.
    #[arg(long)]
    pub(super) threads: Option<usize>,
    /// Where tensors live.
    #[arg(long, value_enum, default_value = "flex")]
    pub(super) backend: Backend,
    /// Who executes the runs.
    #[arg(long, value_enum, default_value = "local")]
    pub(super) launcher: LauncherName,
    /// An option of Slurm's, for example partition=short or time=01:00:00; may be repeated.
    #[arg(long = "slurm", value_name = "KEY=VALUE")]
    pub(super) slurm: Vec<String>,
    /// How often a run that failed or was killed is tried again.
    #[arg(long, default_value_t = 2)]
    pub(super) retries: usize,
    /// A metric to report; may be repeated. The report and metrics.json then hold its numbers only. If absent, the
    /// report shows the first 12 numbers that the grid changes, and metrics.json holds all, or as many as fit.
    /// metrics.parquet always holds every number of every run.
    #[arg(long = "metric", value_name = "NAME")]
    pub(super) metrics: Vec<String>,
    #[command(flatten)]
    pub(super) shown: Shown,
    /// Seconds between two checkpoints of a run, at least.
    #[arg(long, default_value_t = 2, hide = true)]
    pub(super) checkpoint_seconds: u64,
}

/// What is shown, and whether anything is done.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Shown {
    /// Says what would be run, and writes nothing.
    #[arg(long)]
    pub(super) plan: bool,
    /// Prints metrics.json on stdout instead of a summary.
    #[arg(long)]
    pub(super) json: bool,
    /// No progress on stderr.
    #[arg(long)]
    pub(super) quiet: bool,
}

impl SweepArguments {
    /// Runs at a time, and threads of each.
    pub(super) fn machine(&self) -> (usize, usize) {
        let cores = std::thread::available_parallelism().map_or(1, Into::into);
        // Another machine's cores are shared out by its scheduler.
        let workers = self.workers.filter(|_| self.launcher == LauncherName::Local);
        let left = workers.map_or(1, |workers| cores / workers.max(1));
        let threads = self.threads.unwrap_or(left).max(1);
        (workers.unwrap_or(cores / threads).max(1), threads)
    }
}

/// One run of a sweep, as its launcher starts it.
#[derive(Clone, Debug, Args)]
pub struct TaskArguments {
    /// The sweep's folder.
    #[arg(long)]
    pub(super) sweep: PathBuf,
    /// The run's place in the manifest, from 0.
    #[arg(long)]
    pub(super) index: usize,
    /// Worker threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

impl TaskArguments {
    /// Worker threads.
    pub fn threads(&self) -> usize {
        self.threads.max(1)
    }
}
