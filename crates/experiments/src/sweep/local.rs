//! Runs as processes of this machine, a few at a time.

use std::{
    fs::OpenOptions,
    io::Write as _,
    process::{Command, Stdio},
    sync::{Mutex, PoisonError, atomic::Ordering, mpsc},
    time::Duration,
};

use disentangle_report::ReportError;

use super::{
    folder::{RunState, SweepDir},
    launcher::Launcher,
};
use crate::{CANCEL, ExperimentError};

/// Processes of this machine.
pub(super) struct Local {
    workers: usize,
    threads: usize,
}

impl Local {
    /// So many runs at a time, each with so many threads.
    pub(super) fn new(workers: usize, threads: usize) -> Self {
        Self { workers, threads }
    }
}

impl Launcher for Local {
    fn name(&self) -> &'static str {
        "local"
    }

    /// After Ctrl-C no run is started any more. Those at work have got the signal from the terminal too, and are waited
    /// for.
    fn launch(
        &mut self,
        sweep: &SweepDir,
        pending: &[usize],
        ended: &mut dyn FnMut(usize),
    ) -> Result<(), ExperimentError> {
        let queue = Mutex::new(pending.iter().copied());
        let (sender, receiver) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..self.workers.min(pending.len()) {
                let (queue, sender) = (&queue, sender.clone());
                scope.spawn(move || {
                    // Not within the condition: the lock would be held while the run is at work.
                    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                    while !CANCEL.load(Ordering::Relaxed)
                        && let Some(index) = next()
                    {
                        let result = execute(sweep, index);
                        let stuck = result.is_err();
                        if sender.send((index, result)).is_err() || stuck {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            let mut first = Ok(());
            for (index, result) in receiver {
                ended(index);
                first = first.and(result);
            }
            first
        })
    }

    fn plan(&self, pending: usize) -> Result<String, ExperimentError> {
        Ok(format!(
            "local: {pending} runs, {} at a time, with {} thread(s) each",
            self.workers.min(pending.max(1)),
            self.threads
        ))
    }
}

/// Runs one task to its end; that a task fails is no error, that none can be started is one.
fn execute(sweep: &SweepDir, index: usize) -> Result<(), ExperimentError> {
    // A launcher that was killed leaves its runs at work: such a run is waited for.
    while sweep.state(index) == RunState::AtWork {
        if CANCEL.load(Ordering::Relaxed) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let path = sweep.log_path(index);
    let unwritable = |error: std::io::Error| ReportError::Write {
        path: path.clone(),
        reason: error.to_string(),
    };
    let mut log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(unwritable)?;
    let (program, arguments) = sweep.task_command(index);
    let status = Command::new(&program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log.try_clone().map_err(unwritable)?)
        .status()
        .map_err(|error| ExperimentError::Failed(format!("{}: cannot be started: {error}", program.display())))?;
    if status.code().is_none() {
        // The task could not say so itself. A disk that takes no more is no reason to stop.
        let _ = writeln!(log, "the process was killed: {status}");
    }
    Ok(())
}
