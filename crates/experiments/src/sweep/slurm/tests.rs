//! Sweeps on a simulated cluster; `tests/slurm.rs` of this crate takes a real one.

mod cluster;

use super::*;
use cluster::{Scene, State};

#[test]
fn ten_thousand_runs_are_ten_job_arrays() {
    let scene = Scene::new(1001, 2500);
    let plan = scene.slurm(&[]).plan(10_000).unwrap();
    assert_eq!(plan, "slurm: 10000 runs in 10 job arrays of at most 1001 tasks");
    let plan = scene.slurm(&["max-array=1"]).plan(1).unwrap();
    assert_eq!(plan, "slurm: 1 run in 1 job array of at most 1 task");
    let all: Vec<usize> = (0..10_000).collect();
    scene.finish(&all);
    assert_eq!(
        scene.sizes(),
        [1001, 1001, 1001, 1001, 1001, 1001, 1001, 1001, 1001, 991]
    );
    assert_eq!(scene.cluster.state().done.len(), 10_000);
    let left = std::fs::read_dir(scene.path().join("slurm")).unwrap();
    let left = left.filter(|entry| {
        entry
            .as_ref()
            .unwrap()
            .path()
            .extension()
            .is_some_and(|end| end == "out")
    });
    assert_eq!(left.count(), 0, "outputs that say nothing are removed");
}

#[test]
fn a_full_queue_is_waited_for() {
    let check = |room: usize, expected: &[usize]| {
        let scene = Scene::new(1001, 100);
        scene.cluster.state().room = room;
        let all: Vec<usize> = (0..2100).collect();
        scene.finish(&all);
        let sizes = scene.sizes();
        assert_eq!(sizes, expected, "{room}");
        assert!(scene.cluster.state().peak <= room);
        scene.said("note: slurm: the queue takes no more for now")
    };
    assert_eq!(check(2100, &[1001, 1001, 98]), 0);
    assert_eq!(check(1500, &[1001, 1001, 98]), 1);
    // Where a whole array has no room at all, arrays become smaller.
    assert_eq!(check(600, &[501, 501, 501, 501, 96]), 1);
}

#[test]
fn what_sbatch_refuses_for_good_is_an_error() {
    let check = |change: fn(&mut State), said: &str| {
        let scene = Scene::new(4, 1);
        change(&mut scene.cluster.state());
        let (result, ended) = scene.launch(&[0, 1, 2, 3, 4, 5]);
        let error = result.unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!((error.exit_code(), ended.len()), (2, 0));
        // Once the cause is gone the same call goes on.
        let mut state = scene.cluster.state();
        (state.room, state.refusal) = (usize::MAX, None);
        drop(state);
        scene.finish(&[0, 1, 2, 3, 4, 5]);
        assert_eq!(scene.sizes(), [4, 2]);
    };
    check(
        |state| state.refusal = Some("Invalid partition name specified"),
        "`sbatch` does not take the job: sbatch: error: Batch job submission failed: Invalid partition name specified",
    );
    check(
        |state| state.room = 0,
        "`sbatch` takes no job at all: sbatch: error: QOSMaxSubmitJobPerUserLimit; sbatch: error: ",
    );
}

#[test]
fn forgotten_jobs_have_ended() {
    for strict in [false, true] {
        let scene = Scene::new(3, 2);
        scene.cluster.state().strict = strict;
        scene.finish(&[0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(scene.sizes(), [3, 3, 1]);
    }
}

/// As if the process had been killed after `sbatch` and before it noted the number of job 2.
fn forget_number(scene: &Scene) {
    let path = scene.path().join("slurm/jobs.json");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"id\":\"2\""), "{text}");
    std::fs::write(&path, text.replace("\"id\":\"2\"", "\"id\":null")).unwrap();
}

/// Somebody cancels job 2.
fn cancel(scene: &Scene) {
    scene.cluster.state().jobs.remove(&2);
}

#[test]
fn a_launcher_that_starts_again_follows_what_is_in_the_queue() {
    let check = |meanwhile: &[fn(&Scene)], expected: &[usize]| {
        let scene = Scene::new(4, 1);
        scene.cluster.state().stop_at = Some(1);
        let (result, _) = scene.launch(&scene.pending(10));
        assert!(matches!(result, Err(ExperimentError::Interrupted)));
        let said = "slurm: jobs 1 2 3 go on; the same command follows them again, `scancel 1 2 3`";
        assert_eq!(scene.said(said), 1);
        assert_eq!(scene.sizes(), [4, 4, 2]);
        scene.cluster.state().stop_at = None;
        for change in meanwhile {
            change(&scene);
        }
        scene.finish(&scene.pending(10));
        assert_eq!(scene.sizes(), expected);
        assert!(scene.pending(10).is_empty());
        // With nothing pending nothing happens.
        scene.finish(&[]);
        assert_eq!(scene.sizes(), expected);
    };
    check(&[], &[4, 4, 2]);
    check(&[forget_number], &[4, 4, 2]);
    check(&[cancel], &[4, 4, 2, 4]);
    check(&[forget_number, cancel], &[4, 4, 2, 4]);
}

#[test]
fn nothing_is_submitted_beside_jobs_that_cannot_be_judged() {
    let check = |change: fn(&mut Scene), said: &str| {
        let mut scene = Scene::new(4, 1);
        scene.cluster.state().stop_at = Some(1);
        let _ = scene.launch(&[0, 1, 2, 3]);
        scene.cluster.state().stop_at = None;
        change(&mut scene);
        let error = scene.launch(&[0, 1, 2, 3]).0.unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
        assert_eq!(scene.sizes(), [4]);
    };
    check(
        |scene| scene.grid = "second",
        "jobs 1 of this sweep's former grid are in the queue",
    );
    check(
        |scene| scene.cluster.state().silent = 1,
        "Unable to contact slurm controller",
    );
    check(
        |scene| std::fs::write(scene.path().join("slurm/jobs.json"), "{").unwrap(),
        "jobs.json: cannot be read",
    );
}

#[test]
fn a_run_that_failed_is_submitted_again_in_the_next_round() {
    let scene = Scene::new(4, 3);
    scene.cluster.state().failing = [(3, 1)].into();
    scene.finish(&scene.pending(6));
    assert_eq!(scene.pending(6), [3]);
    let log = scene.log_path(3);
    assert_eq!(
        std::fs::read_to_string(&log).unwrap(),
        "DUE TO TIME LIMIT\n",
        "what Slurm said is kept"
    );
    scene.finish(&[3]);
    assert_eq!(scene.sizes(), [4, 2, 1]);
    assert!(scene.pending(6).is_empty());
    let list = std::fs::read_to_string(scene.path().join("slurm/2-0.txt")).unwrap();
    assert_eq!(list, format!("3\t{}\n", log.display()));
}

#[test]
fn reasons_that_may_last_are_shown_once() {
    let check = |reason: &'static str, shown: &str, expected: usize| {
        let scene = Scene::new(4, 2);
        scene.cluster.state().reason = Some((reason, 4));
        scene.finish(&[0, 1, 2, 3]);
        assert_eq!(scene.said("note: slurm:"), expected, "{reason}");
        assert_eq!(scene.said(shown), expected);
    };
    check(
        "PartitionTimeLimit",
        "4 tasks wait with the reason `PartitionTimeLimit`",
        1,
    );
    check("DependencyNeverSatisfied", "`scancel 1` cancels them", 1);
    check("JobHeldUser", "`scontrol show job 1` says more", 1);
    check("ReqNodeNotAvail, UnavailableNodes:a", "the reason `ReqNodeNotAvail`", 1);
    check("Resources", "reason", 0);
    check("JobArrayTaskLimit", "reason", 0);
}

#[test]
fn a_silent_queue_ends_no_run() {
    let scene = Scene::new(4, 1);
    scene.cluster.state().silent = 3;
    scene.finish(&[0, 1, 2, 3]);
    assert_eq!(
        scene.said("note: slurm: `squeue` does not answer (squeue: error: Unable to contact"),
        1
    );

    let scene = Scene::new(4, 1);
    scene.cluster.state().silent = usize::MAX;
    let (result, ended) = scene.launch(&[0, 1, 2, 3]);
    let error = result.unwrap_err().to_string();
    assert!(
        error.contains("keeps failing") && error.contains("jobs 1 go on"),
        "{error}"
    );
    assert!(ended.is_empty());
}

#[test]
fn a_file_system_that_lags_is_waited_for_and_not_for_ever() {
    for (lag, seen) in [(0, true), (2, true), (1000, false)] {
        let scene = Scene::new(4, 4);
        scene.cluster.state().lag = lag;
        let result = scene.slurm(&[]).launch_runs(&scene, &[0, 1], &mut |run| {
            assert_eq!(scene.state(run) == RunState::Done, seen, "{lag}");
        });
        result.unwrap();
        assert!(scene.cluster.state().waits < 10);
    }
}
