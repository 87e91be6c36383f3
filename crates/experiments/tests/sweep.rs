//! Sweeps by processes of this machine: what comes out, what is not done twice, and every fault that must lose nothing.

mod common;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use common::{SMALL, disentangle, succeed, text};
use disentangle_data::tabular::Table;
use serde_json::{Value, json};

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A sweep of `capacity` in seconds, of these values of `hidden`.
fn capacity(folder: &Path, hidden: &str) -> Command {
    let mut command = disentangle(folder);
    let hidden = format!("hidden={hidden}");
    command.args([
        "sweep",
        "capacity",
        "--fast",
        "--quiet",
        // Reports are large, which the test of a full disk needs.
        "--reports",
        "--seeds",
        "2",
        "--grid",
        "n_features=2,3",
    ]);
    command.args(["--grid", &hidden]);
    command
}

/// Settings of a run of `finance` that lives long enough to be stopped.
fn slow() -> Vec<&'static str> {
    let others = SMALL.iter().filter(|set| !set.starts_with("epochs"));
    others.copied().chain(["walk_forward=false"]).collect()
}

/// A sweep of one such run.
fn finance(folder: &Path, out: &str) -> Command {
    let mut command = disentangle(folder);
    command.args([
        "sweep",
        "finance",
        "--grid",
        "epochs=30",
        "--quiet",
        "--reports",
        "--workers",
        "1",
    ]);
    command.args(["--checkpoint-seconds", "0", "--out", out]);
    command.args(slow().iter().flat_map(|set| ["--set", set]));
    command
}

/// The only entry of a folder.
fn only(folder: &Path) -> PathBuf {
    let entries: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries[0].clone()
}

/// Waits for what a process does; fails once it has ended without that.
fn until(child: &mut Child, what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(child.try_wait().unwrap().is_none(), "the process ended before {what}");
        assert!(start.elapsed() < Duration::from_mins(10), "{what} never came");
        std::thread::yield_now();
    }
}

fn has_epochs(run: &Path) -> bool {
    fs::read_to_string(run.join("events.jsonl")).is_ok_and(|events| events.lines().count() >= 3)
}

fn send(signal: &str, process: &str) {
    assert!(Command::new("kill").args([signal, process]).status().unwrap().success());
}

/// Every file below a folder, with its content and when it was written.
fn files(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            let written = path.metadata().unwrap().modified().unwrap();
            all.insert(path.clone(), (fs::read(&path).unwrap(), written));
        }
    }
    all
}

/// Every number of `metrics.json` is the mean of its rows in `metrics.parquet`.
fn check_numbers(sweep: &Path) {
    let metrics = read(&sweep.join("metrics.json"));
    let (names, rows) = Table::peek(&sweep.join("metrics.parquet"), usize::MAX).unwrap();
    let column = |name: &str| names.iter().position(|other| other == name).unwrap();
    let cell = |row: &[String], name: &str| row[column(name)].clone();
    let is = |row: &[String], name: &str, value: &Value| match value {
        Value::Null => cell(row, name).is_empty(),
        Value::Number(number) => cell(row, name).parse::<f64>().ok() == number.as_f64(),
        value => cell(row, name) == value.as_str().unwrap(),
    };
    let mut compared = 0;
    for point in metrics["points"].as_array().unwrap() {
        for metric in point["metrics"].as_array().unwrap() {
            let own = rows.iter().filter(|row| {
                let of_point = ["n_features", "hidden"]
                    .iter()
                    .all(|key| is(row, &format!("grid.{key}"), &point["params"][key]));
                of_point
                    && ["metric", "site", "stage", "split"]
                        .iter()
                        .all(|key| is(row, key, &metric[key]))
            });
            let values: Vec<f64> = own.filter_map(|row| cell(row, "value").parse().ok()).collect();
            let estimate = &metric["estimate"];
            assert_eq!(estimate["n"], values.len(), "{metric}");
            if let Some(mean) = estimate["value"].as_f64() {
                assert!(
                    (mean - values.iter().sum::<f64>() / values.len() as f64).abs() < 1e-9,
                    "{metric}"
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 50, "{compared} numbers");
    for run in metrics["runs"].as_array().unwrap() {
        let of_run = rows.iter().filter(|row| is(row, "run", &run["hash"]));
        let seeds: Vec<String> = of_run.map(|row| cell(row, "seed")).collect();
        // Accuracy, ROC AUC and 11 measures of two sites.
        assert_eq!(seeds, vec![run["seed"].to_string(); 24], "{run}");
    }
}

#[test]
fn a_grid_becomes_one_table_one_document_and_one_report() {
    let folder = tempfile::tempdir().unwrap();
    let sweep = folder.path().join("sweep");
    let printed = succeed(capacity(folder.path(), "16,32").args(["--out", "sweep", "--workers", "2", "--json"]));
    assert_eq!(text(&printed.stderr), "", "quiet");
    assert_eq!(printed.stdout, fs::read(sweep.join("metrics.json")).unwrap());
    let metrics = read(&sweep.join("metrics.json"));
    assert_eq!((&metrics["kind"], &metrics["seeds"]), (&json!("sweep"), &json!([0, 1])));
    assert_eq!(metrics["points"].as_array().unwrap().len(), 4);
    let states: Vec<&Value> = metrics["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| &run["state"])
        .collect();
    assert_eq!(states, vec!["done"; 8]);
    check_numbers(&sweep);
    let page = fs::read_to_string(sweep.join("report.html")).unwrap();
    assert!(page.contains("all 8 runs are done") && page.contains("Simulated data"));
    for name in ["figures/number-01.svg", "figures/number-01.png", "sweep.json"] {
        assert!(sweep.join(name).metadata().unwrap().len() > 100, "{name}");
    }
    assert_eq!(
        fs::read_to_string(sweep.join("manifest.jsonl"))
            .unwrap()
            .lines()
            .count(),
        8
    );

    // A run of the sweep is the run that `experiment` makes.
    let first = &metrics["runs"][0];
    let sets = ["grid_features=2", "grid_hidden=16", "repeats=1"];
    let mut alone = disentangle(folder.path());
    alone.args(["experiment", "capacity", "--fast", "--quiet", "--out", "alone"]);
    succeed(alone.args(sets.iter().flat_map(|set| ["--set", set])));
    let run = sweep.join("runs").join(first["hash"].as_str().unwrap());
    for name in ["metrics.json", "metrics.parquet", "config.toml", "report.html"] {
        let same = fs::read(run.join(name)).unwrap() == fs::read(folder.path().join("alone").join(name)).unwrap();
        assert!(same, "{name}");
    }

    // What is done is not done again, also when the grid grows.
    let before = files(&sweep.join("runs"));
    let shown = text(&succeed(capacity(folder.path(), "16,32").args(["--out", "sweep"])).stdout);
    assert!(shown.contains("8 runs were done before and were skipped\n"), "{shown}");
    assert!(shown.ends_with("report: sweep/report.html\n"), "{shown}");
    assert!(before == files(&sweep.join("runs")), "a finished run was touched");
    let plan = succeed(capacity(folder.path(), "64,16,32").args(["--out", "sweep", "--plan"]));
    assert!(text(&plan.stdout).contains("8 runs are done, 4 are to be run\nlocal: 4 runs, "));
    let shown = text(&succeed(capacity(folder.path(), "64,16,32").args(["--out", "sweep"])).stdout);
    assert!(shown.contains("all 12 runs are done"), "{shown}");
    let after = files(&sweep.join("runs"));
    assert!(before.iter().all(|(path, content)| after.get(path) == Some(content)));
    let attempts = files(&sweep.join("attempts"));
    assert_eq!(attempts.len(), 12);
    for path in attempts.keys() {
        let attempt = read(path);
        assert_eq!((&attempt["attempts"], &attempt["exit_code"]), (&json!(1), &json!(0)));
    }
    check_numbers(&sweep);

    // Other commands on a sweep.
    fs::remove_file(sweep.join("report.html")).unwrap();
    let path = succeed(disentangle(folder.path()).args(["report", "sweep"])).stdout;
    assert_eq!(text(&path), "sweep/report.html\n");
    assert!(sweep.join("report.html").exists());
    let compared = disentangle(folder.path())
        .args(["compare", "sweep", "alone"])
        .output()
        .unwrap();
    assert_eq!(
        (compared.status.code(), text(&compared.stderr).as_str()),
        (
            Some(2),
            "error: sweep: is a sweep; expected one of its runs, which lie in runs/\n"
        )
    );
}

#[test]
fn bad_sweeps_are_sentences_and_plans_write_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let check = |arguments: &[&str], expected: &str| {
        let output = disentangle(folder.path())
            .arg("sweep")
            .args(arguments)
            .output()
            .unwrap();
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.starts_with("error: ") && error.lines().count() == 1, "{error}");
        assert!(
            error.contains(expected),
            "{arguments:?}: expected {expected:?} in {error}"
        );
    };
    check(&["capacitie", "--grid", "hidden=1"], "unknown experiment `capacitie`");
    check(
        &["capacity", "--grid", "hiden=1"],
        "unknown key `hiden`; expected one of: ",
    );
    check(
        &["finance", "--grid", "epochs=1,x"],
        "`epochs = x` cannot be used: expected a whole number, zero or more",
    );
    check(
        &["capacity", "--grid", "epochs=1", "--backend", "tch"],
        "backend `tch` is not compiled in",
    );
    check(
        &["capacity", "--grid", "epochs=1", "--slurm", "time=1"],
        "`--slurm` needs `--launcher slurm`",
    );
    let plan = text(&succeed(capacity(folder.path(), "16,32").args(["--plan", "--workers", "3"])).stdout);
    let expected = "capacity: 8 runs, 4 points with 2 seed(s) each\n  n_features: 2, 3\n  hidden: 16, 32\n\
        0 runs are done, 8 are to be run\nlocal: 8 runs, 3 at a time, with ";
    assert!(plan.starts_with(expected), "{plan}");
    let document = succeed(capacity(folder.path(), "16,32").args(["--plan", "--json"])).stdout;
    let document: Value = serde_json::from_slice(&document).unwrap();
    assert_eq!(document["runs"].as_array().unwrap().len(), 8);
    assert_eq!(document["runs"][7]["params"], json!({ "n_features": 3, "hidden": 32 }));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "something was written");
}

#[cfg(unix)]
#[test]
fn a_killed_run_is_tried_again_and_ends_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    succeed(&mut finance(folder.path(), "whole"));
    let whole = only(&folder.path().join("whole/runs"));
    let hash = whole.file_name().unwrap().to_str().unwrap();
    let sweep = folder.path().join("killed");
    let run = sweep.join("runs").join(hash);
    let mut child = finance(folder.path(), "killed").stdout(Stdio::null()).spawn().unwrap();
    until(&mut child, "three epochs", || has_epochs(&run));
    let attempt = read(&sweep.join("attempts").join(format!("{hash}.json")));
    assert_eq!((&attempt["attempts"], &attempt["ended"]), (&json!(1), &Value::Null));
    assert_eq!(read(&run.join("status.json"))["state"], "running");
    send("-KILL", &attempt["pid"].to_string());
    assert!(child.wait().unwrap().success());
    for name in [
        "metrics.json",
        "metrics.parquet",
        "events.jsonl",
        "model.safetensors",
        "report.html",
    ] {
        assert!(
            fs::read(run.join(name)).unwrap() == fs::read(whole.join(name)).unwrap(),
            "{name} differs after a kill"
        );
    }
    let attempt = read(&sweep.join("attempts").join(format!("{hash}.json")));
    assert_eq!((&attempt["attempts"], &attempt["exit_code"]), (&json!(2), &json!(0)));
    let log = fs::read_to_string(sweep.join("logs").join(format!("{hash}.log"))).unwrap();
    for said in [
        "--- attempt 1 at ",
        "the process was killed: signal: 9",
        "--- attempt 2 at ",
    ] {
        assert!(log.contains(said), "{log}");
    }
    assert!(!sweep.join("failed").exists(), "it was gone on with");
}

#[test]
fn two_sweeps_cannot_work_in_one_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = capacity(folder.path(), "16,32");
    let mut first = first.args(["--out", "sweep"]).stdout(Stdio::null()).spawn().unwrap();
    let sweep = folder.path().join("sweep");
    until(&mut first, "the sweep began", || sweep.join("sweep.json").exists());
    let second = capacity(folder.path(), "16,32")
        .args(["--out", "sweep"])
        .output()
        .unwrap();
    assert_eq!(
        (second.status.code(), text(&second.stderr).as_str()),
        (Some(2), "error: sweep: another process is running this sweep\n")
    );
    assert!(first.wait().unwrap().success());
    check_numbers(&sweep);
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_said_and_the_sweep_goes_on_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    // Files may grow to 1 or 2 MiB, as the shell counts: all of a run but its report fits.
    let limited = "trap '' XFSZ; ulimit -f 2048; exec \"$@\"";
    let mut command = Command::new("sh");
    command.current_dir(folder.path()).args(["-c", limited, "sh"]);
    let inner = capacity(folder.path(), "16");
    command
        .arg(inner.get_program())
        .args(inner.get_args())
        .args(["--retries", "1"]);
    let output = command.output().unwrap();
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    let sweep = only(&folder.path().join("sweeps/capacity"));
    let shown = sweep.strip_prefix(folder.path()).unwrap().display().to_string();
    assert_eq!(
        error.matches("report.html: cannot be written: File too large").count(),
        4,
        "{error}"
    );
    assert!(
        error.contains(&format!(
            "error: 4 of 4 runs failed; their logs lie in {shown}/logs, and "
        )),
        "{error}"
    );
    assert!(!sweep.join("failed").exists() && !sweep.join("report.html").exists());
    for entry in fs::read_dir(sweep.join("runs")).unwrap() {
        let run = entry.unwrap().path();
        assert_eq!(read(&run.join("status.json"))["state"], "failed");
        assert!(!run.join("report.tmp").exists(), "half a file was left");
    }
    let shown = text(&succeed(capacity(folder.path(), "16").args(["--out", &shown])).stdout);
    assert!(shown.contains("all 4 runs are done"), "{shown}");
    check_undisturbed(&sweep);
}

/// The report is there, and the runs are those that no full disk disturbed.
fn check_undisturbed(sweep: &Path) {
    let folder = tempfile::tempdir().unwrap();
    succeed(capacity(folder.path(), "16").args(["--out", "sweep"]));
    for name in ["metrics.json", "report.html"] {
        let undisturbed = fs::read(folder.path().join("sweep").join(name)).unwrap();
        assert!(undisturbed == fs::read(sweep.join(name)).unwrap(), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn a_run_with_a_broken_checkpoint_is_kept_and_run_afresh() {
    let folder = tempfile::tempdir().unwrap();
    succeed(&mut finance(folder.path(), "sweep"));
    let run = only(&folder.path().join("sweep/runs"));
    let hash = run.file_name().unwrap().to_str().unwrap().to_string();
    let expected = fs::read(run.join("metrics.json")).unwrap();
    fs::rename(&run, folder.path().join("aside")).unwrap();

    // The same run, interrupted, and half of its checkpoint lost.
    let name = format!("sweep/runs/{hash}");
    let mut command = disentangle(folder.path());
    command.args(["experiment", "finance", "--quiet", "--threads", "1", "--out", &name]);
    command.args(["--checkpoint-seconds", "0", "--set", "epochs=30"]);
    command.args(slow().iter().flat_map(|set| ["--set", set]));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until(&mut child, "three epochs", || has_epochs(&run));
    send("-INT", &child.id().to_string());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let checkpoint = run.join("checkpoint/state.safetensors");
    let content = fs::read(&checkpoint).unwrap();
    let half = content[..content.len() / 2].to_vec();
    fs::write(&checkpoint, &half).unwrap();
    let kept = [
        "checkpoint/state.safetensors",
        "events.jsonl",
        "config.toml",
        "environment.json",
    ];
    let before: Vec<Vec<u8>> = kept.iter().map(|name| fs::read(run.join(name)).unwrap()).collect();

    let resumed = disentangle(folder.path())
        .args(["experiment", "finance", "--resume", &name, "--quiet"])
        .output()
        .unwrap();
    let error = text(&resumed.stderr);
    assert_eq!(resumed.status.code(), Some(2), "{error}");
    assert!(
        error.starts_with(&format!(
            "error: {name}/checkpoint/state.safetensors: not a checkpoint: "
        )),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1, "{error}");
    let after: Vec<Vec<u8>> = kept.iter().map(|name| fs::read(run.join(name)).unwrap()).collect();
    assert!(before == after, "a run that cannot be gone on with is not changed");

    succeed(&mut finance(folder.path(), "sweep"));
    assert!(
        fs::read(run.join("metrics.json")).unwrap() == expected,
        "run afresh, it is the same run"
    );
    let failed = only(&folder.path().join("sweep/failed"));
    assert_eq!(failed.file_name().unwrap().to_str().unwrap(), format!("{hash}-2"));
    assert!(fs::read(failed.join("checkpoint/state.safetensors")).unwrap() == half);
    let log = fs::read_to_string(folder.path().join(format!("sweep/logs/{hash}.log"))).unwrap();
    assert!(log.contains("the run cannot be gone on with: "), "{log}");
}
