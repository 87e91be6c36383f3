//! Who executes the runs of a sweep: processes of this machine, or a scheduler.

use super::{arguments::SweepArguments, folder::SweepDir, local::Local, slurm::Slurm};
use crate::ExperimentError;

/// Executes runs of a sweep, each by one call of `sweep-task`.
pub(crate) trait Launcher {
    /// As on the command line.
    fn name(&self) -> &'static str;

    /// Executes every run of `pending`, by its place in the manifest, once; returns when none of them is at work. Calls
    /// `ended` for each run that has come to an end, however it ended: its folder says how.
    fn launch(
        &mut self,
        sweep: &SweepDir,
        pending: &[usize],
        ended: &mut dyn FnMut(usize),
    ) -> Result<(), ExperimentError>;

    /// One line of what it would do with so many runs.
    fn plan(&self, pending: usize) -> Result<String, ExperimentError>;
}

/// Which launcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LauncherName {
    /// Processes of this machine.
    Local,
    /// A job array of a Slurm cluster, over a file system that its nodes share.
    Slurm,
}

/// The launcher that the command line names.
pub(super) fn open(arguments: &SweepArguments) -> Result<Box<dyn Launcher>, ExperimentError> {
    let (workers, threads) = arguments.machine();
    match arguments.launcher {
        LauncherName::Local if !arguments.slurm.is_empty() => Err(ExperimentError::Input(
            "`--slurm` needs `--launcher slurm`; expected no --slurm with processes of this machine".into(),
        )),
        LauncherName::Local => Ok(Box::new(Local::new(workers, threads))),
        LauncherName::Slurm => Ok(Box::new(Slurm::new(&arguments.slurm, threads, arguments.shown.quiet)?)),
    }
}
