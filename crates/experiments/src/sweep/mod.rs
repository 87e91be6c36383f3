//! `sweep`: every combination of a grid of settings, with several seeds each, as runs of their own that processes of
//! this machine or a cluster execute. What is done is not done again; what fails is tried again; all of it ends as one
//! table and one report.
//!
//! The folder is the whole state: `sweep.json` says what was asked for, `manifest.jsonl` holds a line a run, and a
//! run's folder, `runs/<hash>`, is named by everything that its numbers depend on. A run is executed by `sweep-task`,
//! whoever calls it.

mod aggregate;
mod arguments;
mod collect;
mod drive;
mod figures;
mod folder;
mod grid;
mod hash;
mod hooks;
mod launcher;
mod local;
mod outcome;
mod plan;
mod render;
mod slurm;
mod task;

use std::path::{Path, PathBuf};

use serde_json::json;

pub use arguments::{SweepArguments, TaskArguments};
pub use task::task;

pub(crate) use hooks::Hooks;

use crate::{ExperimentError, registry};
use collect::{collect, report_path};
use drive::Driven;
use folder::{RunState, SweepDir};
use launcher::Launcher;
use plan::Plan;

/// Failed runs that are named on stderr, at most.
const MOST_NAMED: usize = 20;

/// What a sweep came to.
#[derive(Debug)]
pub struct Swept {
    /// For stdout.
    pub text: String,
    /// An error if a run is not done.
    pub verdict: Result<(), ExperimentError>,
}

/// Plans a sweep, executes what is not done of it, and collects all that is.
///
/// Fails before anything is written if a key is unknown or a value is of the wrong kind, and if another process works in the folder.
pub fn sweep(arguments: &SweepArguments) -> Result<Swept, ExperimentError> {
    let experiment = registry::experiment(&arguments.name)?;
    arguments.backend.open().map(drop)?;
    let mut launcher = launcher::open(arguments)?;
    let Plan { sweep, runs, lines } = plan::plan(arguments, &experiment.sweep, launcher.name())?;
    let mut folder = SweepDir::look(arguments.out.as_deref(), sweep, runs)?;
    if arguments.shown.plan {
        return Ok(Swept {
            text: planned(&folder, launcher.as_ref(), arguments.shown.json)?,
            verdict: Ok(()),
        });
    }
    folder.open(&lines)?;
    // Of 10,000 runs this is the largest thing in memory.
    drop(lines);
    let (retries, quiet) = (arguments.retries, arguments.shown.quiet);
    let driven = drive::drive(&folder, launcher.as_mut(), retries, quiet).inspect_err(|error| {
        let what = match error {
            ExperimentError::Interrupted => "interrupted",
            _ => "stopped",
        };
        eprintln!(
            "{what}; go on with the same command and --out {}",
            folder.path().display()
        );
    })?;
    conclude(&folder, &driven, arguments.shown.json)
}

/// Whether a folder holds a sweep.
pub(crate) fn is_sweep(path: &Path) -> bool {
    path.join("sweep.json").is_file()
}

/// Collects the finished runs of a sweep again; returns the report's path.
pub(crate) fn collect_again(path: &Path) -> Result<PathBuf, ExperimentError> {
    collect(&SweepDir::read(path)?)?;
    Ok(report_path(path))
}

fn conclude(folder: &SweepDir, driven: &Driven, as_json: bool) -> Result<Swept, ExperimentError> {
    say_failed(folder, driven);
    let all = folder.manifest().len();
    if driven.failed.len() == all {
        return Ok(Swept {
            text: String::new(),
            verdict: Err(unfinished(folder, all)),
        });
    }
    let (collected, json) = collect(folder)?;
    let text = match as_json {
        true => json,
        false => format!(
            "{}report: {}\n",
            render::summary(&collected, driven.skipped),
            report_path(folder.path()).display()
        ),
    };
    let open = all - collected.outcome.done();
    Ok(Swept {
        text,
        verdict: if open == 0 {
            Ok(())
        } else {
            Err(unfinished(folder, open))
        },
    })
}

fn unfinished(folder: &SweepDir, open: usize) -> ExperimentError {
    let (all, path) = (folder.manifest().len(), folder.path().display());
    ExperimentError::Failed(format!(
        "{open} of {all} runs failed; their logs lie in {path}/logs, and the same command with --out {path} tries them again"
    ))
}

fn say_failed(folder: &SweepDir, driven: &Driven) {
    for (index, reason) in driven.failed.iter().take(MOST_NAMED) {
        let run = &folder.manifest()[*index];
        eprintln!(
            "failed: {} ({}): {reason}; log: {}",
            run.hash,
            run.words(&folder.sweep().grid),
            folder.log_path(*index).display()
        );
    }
    if let Some(more @ 1..) = driven.failed.len().checked_sub(MOST_NAMED) {
        eprintln!("failed: and {more} more runs");
    }
}

/// What would be run.
fn planned(folder: &SweepDir, launcher: &dyn Launcher, as_json: bool) -> Result<String, ExperimentError> {
    let (sweep, runs) = (folder.sweep(), folder.manifest());
    let states: Vec<RunState> = (0..runs.len()).map(|index| folder.state(index)).collect();
    let done = states.iter().filter(|state| **state == RunState::Done).count();
    let work = launcher.plan(runs.len() - done)?;
    if as_json {
        let lines = runs.iter().zip(&states);
        let lines = lines.map(
            |(run, state)| json!({ "hash": run.hash, "seed": run.seed, "params": run.params, "state": state.name() }),
        );
        let document = json!({
            "schema_version": 1,
            "kind": "plan",
            "experiment": sweep.experiment,
            "grid": sweep.grid,
            "seeds": sweep.seeds,
            "launcher": work,
            "runs": lines.collect::<Vec<_>>(),
        });
        return Ok(format!("{document:#}\n"));
    }
    let keys: Vec<String> = sweep
        .grid
        .iter()
        .map(|key| {
            let values: Vec<String> = key.values.iter().map(grid::shown).collect();
            format!("  {}: {}\n", key.key, values.join(", "))
        })
        .collect();
    Ok(format!(
        "{}: {} runs, {} points with {} seed(s) each\n{}{done} runs are done, {} are to be run\n{work}\n",
        sweep.experiment,
        runs.len(),
        runs.len() / sweep.seeds.len().max(1),
        sweep.seeds.len(),
        keys.concat(),
        runs.len() - done
    ))
}

#[cfg(test)]
mod tests;
