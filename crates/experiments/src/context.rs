//! What surrounds an experiment: seed, device, threads, cancellation, progress, the run's folder.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use burn::tensor::Device;
use disentangle_data::Seed;
use disentangle_report::RunDir;
use indicatif::{ProgressBar, ProgressStyle};

use crate::ExperimentError;

/// Set by Ctrl-C.
pub static CANCEL: AtomicBool = AtomicBool::new(false);

/// What an experiment is given beside its configuration.
#[derive(Clone)]
pub struct Context<'a> {
    /// The run's seed.
    pub seed: u64,
    /// Where tensors live.
    pub device: &'a Device,
    /// Worker threads; changes no number.
    pub threads: usize,
    /// Whether progress is shown on stderr.
    pub quiet: bool,
    /// The run's folder.
    pub run: &'a RunDir,
    /// Below the run's folder: empty, or `seeds/<n>/`.
    pub prefix: String,
    /// The shortest time between two checkpoints.
    pub checkpoint_every: Duration,
}

impl Context<'_> {
    /// The root of all randomness of this run.
    pub fn root(&self) -> Seed {
        Seed::new(self.seed)
    }

    /// A file's name below the run's folder.
    pub fn name(&self, file: &str) -> String {
        format!("{}{file}", self.prefix)
    }

    /// Where a file lies.
    pub fn path(&self, file: &str) -> PathBuf {
        self.run.path().join(self.name(file))
    }

    /// Fails once Ctrl-C was pressed.
    pub fn go_on(&self) -> Result<(), ExperimentError> {
        if CANCEL.load(Ordering::Relaxed) {
            Err(ExperimentError::Interrupted)
        } else {
            Ok(())
        }
    }

    /// A bar with the time that is left, on stderr; hidden when quiet or not on a terminal.
    pub fn progress(&self, what: &str, steps: usize) -> ProgressBar {
        if self.quiet {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(steps as u64);
        let style = ProgressStyle::with_template("{msg:<24} {bar:32} {pos}/{len}  {elapsed} elapsed, {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what.to_string());
        bar
    }
}
