//! Rounds over 10,000 runs, with a launcher that writes how runs ended instead of running them; and the sweep's folder.

use std::path::Path;

use chrono::Utc;
use disentangle_report::{State, Status};

use super::*;

/// How an attempt at a run ends.
#[derive(Clone, Copy)]
enum End {
    Done,
    Failed,
    /// At work for ever, but its process is gone.
    Killed,
    /// Before there was a folder.
    Nothing,
}

/// Ends runs as planned, by the run's place and the attempt, from 1.
struct Simulated {
    ends: fn(usize, usize) -> End,
    attempts: Vec<usize>,
    /// How many runs each round had.
    rounds: Vec<usize>,
    interrupted: bool,
}

impl Simulated {
    fn new(runs: usize, ends: fn(usize, usize) -> End) -> Self {
        Self {
            ends,
            attempts: vec![0; runs],
            rounds: Vec::new(),
            interrupted: false,
        }
    }
}

fn write_status(path: &Path, state: State, message: Option<&str>) {
    let status = Status {
        state,
        experiment: "capacity".into(),
        started: Utc::now(),
        updated: Utc::now(),
        message: message.map(Into::into),
    };
    std::fs::create_dir_all(path).unwrap();
    std::fs::write(path.join("status.json"), serde_json::to_string(&status).unwrap()).unwrap();
}

impl Launcher for Simulated {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn launch(
        &mut self,
        sweep: &SweepDir,
        pending: &[usize],
        ended: &mut dyn FnMut(usize),
    ) -> Result<(), ExperimentError> {
        self.rounds.push(pending.len());
        for &index in pending {
            self.attempts[index] += 1;
            let path = sweep.run_path(index);
            match (self.ends)(index, self.attempts[index]) {
                End::Done => write_status(&path, State::Done, None),
                End::Failed => write_status(&path, State::Failed, Some("it broke\nfor a reason")),
                End::Killed => write_status(&path, State::Running, None),
                End::Nothing => {}
            }
            ended(index);
        }
        match self.interrupted {
            true => Err(ExperimentError::Interrupted),
            false => Ok(()),
        }
    }

    fn plan(&self, pending: usize) -> Result<String, ExperimentError> {
        Ok(format!("simulated: {pending} runs"))
    }
}

/// A folder with so many runs, 100 by 100 combinations at most.
fn opened(path: &Path, epochs: usize, samples: usize) -> SweepDir {
    let values = |key: &str, count: usize| {
        let values: Vec<String> = (0..count).map(|value| (value + 10).to_string()).collect();
        format!("{key}={}", values.join(","))
    };
    let grid = (values("epochs", epochs), values("samples", samples));
    let Plan { sweep, runs, lines } = planned(&["capacity", "--grid", &grid.0, "--grid", &grid.1]).unwrap();
    let mut folder = SweepDir::look(Some(path), sweep, runs).unwrap();
    folder.open(&lines).unwrap();
    folder
}

fn most_fail_once(index: usize, attempt: usize) -> End {
    match (index % 1000, index % 10, attempt) {
        (7, ..) | (_, 3, 1) => End::Failed,
        (8, ..) => End::Nothing,
        (_, 4, 1) => End::Killed,
        _ => End::Done,
    }
}

#[test]
fn ten_thousand_runs_are_planned_launched_and_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let sweep = opened(folder.path(), 100, 100);
    assert_eq!(sweep.manifest().len(), 10_000);
    let mut launcher = Simulated::new(10_000, most_fail_once);
    let driven = drive::drive(&sweep, &mut launcher, 2, true).unwrap();
    assert_eq!(launcher.rounds, [10_000, 2020, 20]);
    assert_eq!((driven.skipped, driven.failed.len()), (0, 20));
    for (index, reason) in &driven.failed {
        let expected = match index % 1000 {
            7 => "it broke",
            _ => "its process was killed, or ended without a word",
        };
        assert_eq!(reason, expected, "run {index}");
    }
    // The same again: what is done is left alone.
    let again = drive::drive(&sweep, &mut launcher, 0, true).unwrap();
    assert_eq!(launcher.rounds[3..], [20]);
    assert_eq!((again.skipped, again.failed), (9980, driven.failed));
    assert!(launcher.attempts.iter().all(|&attempts| attempts <= 4));
    let text = super::super::planned(&sweep, &launcher, false).unwrap();
    assert!(
        text.contains("9980 runs are done, 20 are to be run\nsimulated: 20 runs\n"),
        "{text}"
    );
}

#[test]
fn an_interruption_ends_the_rounds() {
    let folder = tempfile::tempdir().unwrap();
    let sweep = opened(folder.path(), 2, 2);
    let mut launcher = Simulated::new(4, |_, _| End::Killed);
    launcher.interrupted = true;
    let error = drive::drive(&sweep, &mut launcher, 2, true).unwrap_err();
    assert!(matches!(error, ExperimentError::Interrupted));
    assert_eq!(launcher.rounds, [4]);
}

#[test]
fn a_folder_is_held_by_one_process_and_only_by_sweeps_of_its_experiment() {
    let base = tempfile::tempdir().unwrap();
    let path = |name: &str| base.path().join(name);
    let look = |name: &str, experiment: &str| -> Result<SweepDir, ExperimentError> {
        let Plan { sweep, runs, lines } = planned(&[experiment, "--grid", "epochs=1,2"]).unwrap();
        let mut folder = SweepDir::look(Some(&path(name)), sweep, runs)?;
        folder.open(&lines)?;
        Ok(folder)
    };
    let check = |name: &str, experiment: &str, expected: &str| {
        let error = look(name, experiment).unwrap_err();
        let shown = error.to_string().replace(&base.path().display().to_string(), "DIR");
        assert_eq!((shown.as_str(), error.exit_code()), (expected, 2));
    };
    let held = look("sweep", "capacity").unwrap();
    check("sweep", "capacity", "DIR/sweep: another process is running this sweep");
    check(
        "sweep",
        "finance",
        "DIR/sweep: is a sweep of `capacity`, not of `finance`",
    );
    drop(held);
    let again = look("sweep", "capacity").unwrap();
    assert_eq!(again.manifest().len(), 2);
    drop(again);
    let read = SweepDir::read(&path("sweep")).unwrap();
    assert_eq!(
        read.manifest(),
        planned(&["capacity", "--grid", "epochs=1,2"]).unwrap().runs
    );

    std::fs::write(path("file"), "x").unwrap();
    check("file", "capacity", "DIR/file: is not a folder");
    std::fs::create_dir(path("full")).unwrap();
    std::fs::write(path("full/notes.txt"), "x").unwrap();
    check(
        "full",
        "capacity",
        "DIR/full: is not empty and holds no sweep; expected a folder that is empty, does not exist, or holds a sweep of `capacity`",
    );
    // What is left of a sweep that was stopped before its first file is no obstacle.
    std::fs::create_dir(path("begun")).unwrap();
    std::fs::write(path("begun/.lock"), "").unwrap();
    look("begun", "capacity").unwrap();
}

#[test]
fn a_run_at_work_is_told_from_one_that_was_killed() {
    let base = tempfile::tempdir().unwrap();
    let sweep = opened(base.path(), 2, 1);
    assert_eq!(sweep.state(0), RunState::Absent);
    write_status(&sweep.run_path(0), State::Running, None);
    assert_eq!(sweep.state(0), RunState::Interrupted);
    let lock = disentangle_report::FolderLock::take(&sweep.run_path(0))
        .unwrap()
        .unwrap();
    assert_eq!(sweep.state(0), RunState::AtWork);
    drop(lock);
    assert_eq!(sweep.state(0), RunState::Interrupted);
    write_status(&sweep.run_path(0), State::Failed, Some("why"));
    assert_eq!(sweep.state(0), RunState::Failed("why".into()));
    std::fs::write(sweep.run_path(0).join("status.json"), "{").unwrap();
    assert!(matches!(sweep.state(0), RunState::Failed(_)), "a broken file is said");
    let (_, arguments) = sweep.task_command(1);
    assert_eq!(arguments[0], "sweep-task");
    assert_eq!(arguments[arguments.len() - 2..], ["--index", "1"]);
}
