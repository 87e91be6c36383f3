//! Exports by the binary. What TensorBoard and MLflow make of them is asked by `tests/interop`.

mod common;

use std::{fs, path::Path};

use common::{disentangle, finance, succeed, text};

const SHORT: &[&str] = &["--set", "walk_forward=false", "--set", "epochs=2"];

/// The one event file below a folder.
fn event_file(folder: &Path) -> (String, Vec<u8>) {
    let found: Vec<_> = fs::read_dir(folder).unwrap().flatten().collect();
    assert_eq!(found.len(), 1, "{found:?}");
    let name = found[0].file_name().display().to_string();
    (name, fs::read(found[0].path()).unwrap())
}

#[test]
fn a_run_exports_itself_and_later_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let more = [SHORT, &["--json", "--tensorboard"]].concat();
    let output = succeed(&mut finance(folder.path(), "run", &more));
    let run = folder.path().join("run");
    assert_eq!(
        output.stdout,
        fs::read(run.join("metrics.json")).unwrap(),
        "results only"
    );
    let said = text(&output.stderr);
    assert!(
        said.contains("tensorboard: 1 event file(s); tensorboard --logdir run/tensorboard"),
        "{said}"
    );
    let (name, content) = event_file(&run.join("tensorboard"));
    assert!(
        name.starts_with("events.out.tfevents.") && name.ends_with(".disentangle"),
        "{name}"
    );
    // Every loss of every epoch is there, and the configuration.
    let count = |part: &[u8]| content.windows(part.len()).filter(|window| *window == part).count();
    assert_eq!(count(b"epoch/validation_loss"), 2);
    assert_eq!(count(b"feed_forward = 32\n"), 1);

    let arguments = ["export", "--run", "run", "--tensorboard", "events"];
    let output = succeed(disentangle(folder.path()).args(arguments));
    assert_eq!(
        text(&output.stdout),
        "tensorboard: 1 event file(s); tensorboard --logdir events\n"
    );
    assert_eq!(event_file(&folder.path().join("events/run")), (name, content));
}

#[test]
fn an_export_that_fails_leaves_the_run_whole() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "x").unwrap();
    let more = [SHORT, &["--quiet", "--tensorboard", "file"]].concat();
    let output = succeed(&mut finance(folder.path(), "run", &more));
    let said = text(&output.stderr);
    assert!(
        said.starts_with("note: the run is done, but was not exported: "),
        "{said}"
    );
    assert!(
        said.ends_with("try again with: disentangle export --run run --tensorboard file\n"),
        "{said}"
    );
    assert!(folder.path().join("run/report.html").is_file());
}

#[test]
fn a_wrong_address_is_told_before_anything_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let check = |more: &[&str], expected: &str| {
        let output = finance(folder.path(), "run", more).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = text(&output.stderr);
        assert!(said.contains(expected), "{said}");
        assert!(!folder.path().join("run").exists());
    };
    check(
        &["--mlflow", "localhost:5000"],
        "error: `--mlflow`: localhost:5000: expected the http or https address of an MLflow tracking server",
    );
    check(&["--experiment-name", "x"], "--mlflow <URI>");
}
