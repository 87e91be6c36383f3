//! Rounds over the runs that are not done, until all are or no try is left.

use std::sync::atomic::Ordering;

use indicatif::{ProgressBar, ProgressStyle};

use super::{
    folder::{RunState, SweepDir},
    launcher::Launcher,
    task::Attempt,
};
use crate::{CANCEL, ExperimentError};

/// What became of a sweep's runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Driven {
    /// Runs that were done before.
    pub(super) skipped: usize,
    /// Runs that are not done, with the first line of why.
    pub(super) failed: Vec<(usize, String)>,
}

/// Launches what is not done, once and `retries` times more.
pub(super) fn drive(
    sweep: &SweepDir,
    launcher: &mut dyn Launcher,
    retries: usize,
    quiet: bool,
) -> Result<Driven, ExperimentError> {
    let all: Vec<usize> = (0..sweep.manifest().len()).collect();
    let mut pending = not_done(sweep, &all);
    let skipped = all.len() - pending.len();
    for round in 0..=retries {
        if pending.is_empty() {
            break;
        }
        let bar = progress(quiet, round, pending.len());
        let launched = launcher.launch(sweep, &pending, &mut |_| bar.inc(1));
        bar.finish_and_clear();
        launched?;
        if CANCEL.load(Ordering::Relaxed) {
            return Err(ExperimentError::Interrupted);
        }
        pending = not_done(sweep, &pending);
    }
    let failed = pending.into_iter().map(|index| (index, reason(sweep, index)));
    Ok(Driven {
        skipped,
        failed: failed.collect(),
    })
}

fn not_done(sweep: &SweepDir, among: &[usize]) -> Vec<usize> {
    let open = among.iter().filter(|&&index| sweep.state(index) != RunState::Done);
    open.copied().collect()
}

/// Why a run is not done, in one line.
fn reason(sweep: &SweepDir, index: usize) -> String {
    let first = |text: &str| text.lines().next().unwrap_or_default().to_string();
    match sweep.state(index) {
        RunState::Failed(message) if !message.is_empty() => first(&message),
        RunState::AtWork => "another process is writing this run".into(),
        _ => {
            let last = Attempt::last(sweep.path(), &sweep.manifest()[index].hash);
            match last.and_then(|last| last.message) {
                Some(message) => first(&message),
                None => "its process was killed, or ended without a word".into(),
            }
        }
    }
}

fn progress(quiet: bool, round: usize, runs: usize) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(runs as u64);
    let style = ProgressStyle::with_template("{msg:<24} {bar:32} {pos}/{len}  {elapsed} elapsed, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(match round {
        0 => "runs".to_string(),
        round => format!("runs, retry {round}"),
    });
    bar.tick();
    bar
}
