//! Sweeps on a real Slurm. `tests/slurm/run.sh` starts one, with `MaxArraySize=4`, and runs the tests that are ignored
//! here.
#![cfg(unix)]

mod common;

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, Command, Stdio},
};

use common::{disentangle, succeed, text};
use serde_json::Value;

/// A sweep of six runs of a second each.
fn sweep(folder: &Path, out: &str, more: &[&str]) -> Command {
    let mut command = disentangle(folder);
    command.args(["sweep", "capacity", "--fast", "--out", out]);
    command.args(["--grid", "n_features=2,3", "--grid", "hidden=16,32,64"]);
    command.args(more);
    command
}

/// The same by Slurm, looking at the queue often.
fn by_slurm(folder: &Path, out: &str, more: &[&str]) -> Command {
    assert!(
        std::env::var_os("SLURM_CONF").is_some(),
        "no Slurm: run this test by tests/slurm/run.sh"
    );
    let mut command = sweep(folder, out, &["--launcher", "slurm", "--slurm", "poll=0.2"]);
    command.args(more);
    command
}

/// The number of runs of each job array that was submitted.
fn sizes(sweep: &Path) -> Vec<usize> {
    let text = std::fs::read_to_string(sweep.join("slurm/jobs.json")).unwrap();
    let noted: Value = serde_json::from_str(&text).unwrap();
    let jobs = noted["jobs"].as_array().unwrap().iter();
    jobs.map(|job| job["runs"].as_array().unwrap().len()).collect()
}

/// `metrics.json` of every run, by the run's name; each must be done.
fn metrics(sweep: &Path) -> BTreeMap<String, Vec<u8>> {
    let runs = std::fs::read_dir(sweep.join("runs"))
        .unwrap()
        .map(|run| run.unwrap().path());
    let read = |run: &Path, name: &str| std::fs::read(run.join(name)).unwrap();
    runs.map(|run| {
        let status: Value = serde_json::from_slice(&read(&run, "status.json")).unwrap();
        assert_eq!(status["state"], "done", "{}", run.display());
        let name = run.file_name().unwrap().to_str().unwrap().to_string();
        (name, read(&run, "metrics.json"))
    })
    .collect()
}

/// Reads the launcher's stderr up to a line that holds `words`.
fn until_said(stderr: &mut BufReader<impl std::io::Read>, words: &str) -> String {
    let mut said = String::new();
    loop {
        let mut line = String::new();
        assert_ne!(
            stderr.read_line(&mut line).unwrap(),
            0,
            "it ended without `{words}`:\n{said}"
        );
        said += &line;
        if line.contains(words) {
            return said;
        }
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

#[test]
fn without_slurm_it_is_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let output = sweep(folder.path(), "out", &["--launcher", "slurm"])
        .env("PATH", folder.path())
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("`--launcher slurm` does not find `sbatch`, `squeue`, `scontrol` on PATH"),
        "{said}"
    );
    assert!(!folder.path().join("out").exists(), "nothing is written");
}

#[test]
#[ignore = "needs root and Slurm: tests/slurm/run.sh"]
fn a_sweep_is_chunked_survives_scancel_and_has_the_bits_of_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    succeed(&mut sweep(folder.path(), "local", &["--quiet"]));
    let expected = metrics(&folder.path().join("local"));
    assert_eq!(expected.len(), 6);

    let plan = text(&succeed(&mut by_slurm(folder.path(), "it's here", &["--plan"])).stdout);
    assert!(
        plan.contains("slurm: 6 runs in 2 job arrays of at most 4 tasks"),
        "{plan}"
    );
    // The first task that comes by cancels itself.
    let setup =
        "setup=if mkdir once 2>/dev/null; then scancel \"${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID\"; sleep 600; fi";
    let more = ["--slurm", "comment=a \"b\" c", "--slurm", setup];
    succeed(&mut by_slurm(folder.path(), "it's here", &more));
    let swept = folder.path().join("it's here");
    assert_eq!(
        sizes(&swept),
        [4, 2, 1],
        "two arrays, and again the run that was cancelled"
    );
    assert!(metrics(&swept) == expected, "the launcher changes no bit");
    let logs = std::fs::read_dir(swept.join("logs")).unwrap();
    let logs: Vec<String> = logs
        .map(|log| std::fs::read_to_string(log.unwrap().path()).unwrap())
        .collect();
    assert_eq!(logs.len(), 6);
    let cancelled = logs.iter().filter(|log| log.contains("CANCELLED")).count();
    assert_eq!(cancelled, 1, "what Slurm said lies in the run's log");

    // What is done is not submitted again.
    succeed(&mut by_slurm(folder.path(), "it's here", &[]));
    assert_eq!(sizes(&swept), [4, 2, 1]);
}

#[test]
#[ignore = "needs root and Slurm: tests/slurm/run.sh"]
fn a_launcher_that_was_stopped_follows_its_jobs() {
    let folder = tempfile::tempdir().unwrap();
    let start = |more: &[&str]| {
        let mut command = by_slurm(folder.path(), "out", more);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        (child, stderr)
    };
    let out = folder.path().join("out");

    // Held jobs do not start, and the user is told.
    let (mut child, mut stderr) = start(&["--slurm", "hold"]);
    until_said(&mut stderr, "has 2 runs");
    until_said(
        &mut stderr,
        "with the reason `JobHeldUser` and may not start by themselves",
    );
    signal(&child, "-KILL");
    assert!(!child.wait().unwrap().success());

    let (mut child, mut stderr) = start(&[]);
    let said = until_said(&mut stderr, "6 runs are in the queue already, in jobs ");
    signal(&child, "-INT");
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    let ids = said.trim_end().rsplit("jobs ").next().unwrap();
    assert_eq!(ids.split(' ').count(), 2, "{said}");
    assert!(rest.contains(&format!("slurm: jobs {ids} go on; ")), "{rest}");
    assert!(rest.contains(&format!("`scancel {ids}` cancels them")), "{rest}");

    succeed(Command::new("scontrol").args(["release", &ids.replace(' ', ",")]));
    succeed(&mut by_slurm(folder.path(), "out", &[]));
    assert_eq!(metrics(&out).len(), 6);
    assert_eq!(sizes(&out), [4, 2], "nothing was submitted twice");
}

#[test]
#[ignore = "needs root and Slurm: tests/slurm/run.sh"]
fn what_sbatch_refuses_is_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let output = by_slurm(folder.path(), "out", &["--slurm", "partition=nowhere"])
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("`sbatch` does not take the job: "), "{said}");
    assert!(said.contains("Invalid partition name specified"), "{said}");
    // The same sweep with a partition that is there.
    succeed(&mut by_slurm(folder.path(), "out", &["--slurm", "partition=all"]));
    assert_eq!(metrics(&folder.path().join("out")).len(), 6);
}
