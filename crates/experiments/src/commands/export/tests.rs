//! Folders made by hand, so that nothing is trained.

use std::{collections::BTreeMap, fs};

use disentangle_analysis::Estimate;
use serde_json::json;

use super::*;
use crate::{Aggregate, AggregateRow};

const CONFIG: &str = "epochs = 3\nrate = 0.001\nsizes = [4, 8]\nstart = 2020-01-02\n\n[model]\nfamily = \"gated\"\n";

/// Numbers that `outcome` reads whatever the experiment.
fn write_metrics(folder: &Path, value: f64) {
    let row = AggregateRow {
        name: [Some("gated".into()), Some("test".into()), Some("bias".into()), None],
        metric: "roc_auc_drop".into(),
        dataset: "biased".into(),
        environment: None,
        params: Some(json!({"window": 7}).to_string()),
        estimate: Estimate {
            low: Some(value - 0.25),
            ..Estimate::point(value, 9)
        },
    };
    let aggregate = Aggregate {
        schema_version: 1,
        kind: "aggregate".into(),
        experiment: "synthetic".into(),
        seeds: vec![3],
        metrics: vec![row],
        first_verdicts: BTreeMap::new(),
        simulated: true,
    };
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("metrics.json"), serde_json::to_vec(&aggregate).unwrap()).unwrap();
}

/// A run of `seeds` seeds from 3 on, in the state.
fn write_run(folder: &Path, state: &str, seeds: u64, second: u32) {
    write_metrics(folder, 0.5);
    let status = json!({
        "state": state,
        "experiment": "synthetic",
        "started": format!("2026-01-02T03:04:{second:02}.5Z"),
        "updated": "2026-01-02T03:05:00Z",
        "message": null,
    });
    let environment = json!({
        "seed": 3, "seeds": seeds, "backend": "flex", "input_hash": "abc", "version": "0.1.0",
        "git_revision": "f00", "git_dirty": false, "host": "here", "threads": 2,
    });
    let mut events = String::from("{\"epoch\":1,\"train_loss\":0.75,\"seed\":3}\n");
    events += "{\"epoch\":1,\"train_loss\":0.875,\"seed\":4}\n";
    for (name, content) in [
        ("status.json", status.to_string()),
        ("environment.json", environment.to_string()),
        ("config.toml", CONFIG.into()),
        ("events.jsonl", events),
    ] {
        fs::write(folder.join(name), content).unwrap();
    }
}

fn tensorboard(folder: &Path) -> ExportTargets {
    ExportTargets {
        tensorboard: Some(folder.into()),
        ..ExportTargets::default()
    }
}

fn numbers(run: &Exported) -> Vec<(&str, i64, f64)> {
    let all = run.scalars.iter();
    all.map(|one| (one.name.as_str(), one.step, one.value)).collect()
}

#[test]
fn a_folder_is_read_as_it_is() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("first");
    write_run(&folder, "done", 1, 5);
    let run = read(&folder, &[("sweep_index", "7".into())]).unwrap();
    assert_eq!((run.name.as_str(), run.experiment.as_str()), ("first", "synthetic"));
    let name = "test/roc_auc_drop/bias/gated/window=7";
    let low = format!("{name}/low");
    assert_eq!(
        numbers(&run),
        [("epoch/train_loss", 1, 0.75), (name, 0, 0.5), (low.as_str(), 0, 0.25)]
    );
    let times: Vec<i64> = run.scalars.iter().map(|one| one.time.timestamp_millis()).collect();
    assert_eq!(times[1] - times[0], 54_500);
    let parameters = json!({
        "epochs": 3, "rate": 0.001, "sizes": [4, 8], "start": "2020-01-02", "model.family": "gated", "seed": 3,
    });
    assert_eq!(serde_json::to_value(&run.parameters).unwrap(), parameters);
    for (key, value) in [
        ("backend", "flex"),
        ("git_revision", "f00"),
        ("git_dirty", "false"),
        ("threads", "2"),
        ("seed", "3"),
        ("experiment", "synthetic"),
        ("sweep_index", "7"),
    ] {
        assert_eq!(run.tags[key], value, "{key}");
    }
    assert_eq!(
        run.tags["folder"],
        fs::canonicalize(&folder).unwrap().display().to_string()
    );
}

#[test]
fn a_run_keeps_its_identity_and_shares_it_with_no_other() {
    let base = tempfile::tempdir().unwrap();
    let id = |name: &str| {
        let run = read(&base.path().join(name), &[]).unwrap();
        (run.id, run.group)
    };
    write_run(&base.path().join("a"), "done", 1, 5);
    let first = id("a");
    fs::rename(base.path().join("a"), base.path().join("moved")).unwrap();
    assert_eq!(id("moved"), first);
    // Another start, another configuration.
    write_run(&base.path().join("b"), "done", 1, 6);
    let later = id("b");
    assert!(later.0 != first.0 && later.1 == first.1);
    write_run(&base.path().join("c"), "done", 1, 5);
    fs::write(base.path().join("c/config.toml"), "epochs = 4\n").unwrap();
    let other = id("c");
    assert!(other.0 != first.0 && other.1 != first.1);
}

#[test]
fn each_seed_is_a_part() {
    let base = tempfile::tempdir().unwrap();
    write_run(base.path(), "done", 2, 5);
    write_metrics(&base.path().join("seeds/3"), 0.25);
    write_metrics(&base.path().join("seeds/4"), 0.75);
    let run = read(base.path(), &[]).unwrap();
    assert_eq!(numbers(&run)[0].2, 0.5, "no epochs, because they are of one seed");
    assert_eq!(run.parameters["seeds"], json!([3, 4]));
    let parts: Vec<(&str, f64, f64)> = run
        .parts
        .iter()
        .map(|part| (part.name.as_str(), numbers(part)[0].2, numbers(part)[1].2))
        .collect();
    assert_eq!(parts, [("seed-3", 0.75, 0.25), ("seed-4", 0.875, 0.75)]);
    let mut ids = vec![&run.id, &run.parts[0].id, &run.parts[1].id];
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert_eq!(run.parts[1].group, run.group);
}

#[test]
fn event_files_lie_where_they_are_asked_for() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("first");
    write_run(&folder, "done", 1, 5);
    let check = |target: &Path, expected: &Path, shown: &Path| {
        let said = export(&folder, &tensorboard(target)).unwrap();
        let line = format!(
            "tensorboard: 1 event file(s); tensorboard --logdir {}\n",
            shown.display()
        );
        assert_eq!(said, line);
        assert_eq!(fs::read_dir(expected).unwrap().count(), 1, "{}", expected.display());
    };
    let own = folder.join("tensorboard");
    check(Path::new(""), &own, &own);
    let other = base.path().join("other");
    check(&other, &other.join("first"), &other);
}

#[test]
fn a_sweep_exports_what_is_done() {
    let base = tempfile::tempdir().unwrap();
    let line = |index: u64, hash: &str| json!({"index": index, "hash": hash, "seed": 0, "params": {}}).to_string();
    let manifest = |lines: &[String]| fs::write(base.path().join("manifest.jsonl"), lines.join("\n")).unwrap();
    manifest(&[line(0, "aa"), line(1, "bb"), line(2, "cc")]);
    write_run(&base.path().join("runs/aa"), "done", 1, 5);
    write_run(&base.path().join("runs/bb"), "running", 1, 5);
    let events = base.path().join("events");
    let said = export(base.path(), &tensorboard(&events)).unwrap();
    assert_eq!(
        said,
        format!(
            "tensorboard: 1 event file(s); tensorboard --logdir {}\n\
             note: 2 of the sweep's 3 runs are not done and were left out\n",
            events.display()
        )
    );
    assert!(events.join("aa").is_dir() && !events.join("bb").exists());

    let fails = |expected: &str| {
        let error = export(base.path(), &tensorboard(&events)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    manifest(&[line(0, "bb")]);
    fails(": none of the sweep's 1 runs is done");
    manifest(&[line(0, "../aa")]);
    fails("manifest.jsonl: line 1: `../aa` names no folder; expected a run with `index` and `hash`");
    manifest(&[line(0, "aa"), "{\"index\":1}".into()]);
    fails("manifest.jsonl: line 2: missing field `hash`");
}

#[test]
fn what_cannot_be_exported_is_a_sentence() {
    let base = tempfile::tempdir().unwrap();
    write_run(base.path(), "interrupted", 1, 5);
    let check = |targets: &ExportTargets, expected: &str| {
        let error = export(base.path(), targets).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().ends_with(expected), "{error}");
    };
    check(
        &ExportTargets::default(),
        "nothing to do: expected `--tensorboard [DIR]`, `--mlflow URI` or both",
    );
    let events = base.path().join("events");
    check(
        &tensorboard(&events),
        ": the run is interrupted, expected one that is done",
    );
    let mlflow = ExportTargets {
        mlflow: Some("sqlite:///mlflow.db".into()),
        ..ExportTargets::default()
    };
    check(
        &mlflow,
        "`--mlflow`: sqlite:///mlflow.db: expected the http or https address of an MLflow tracking server, for \
         example http://127.0.0.1:5000",
    );
    fs::remove_file(base.path().join("status.json")).unwrap();
    check(&tensorboard(&events), ": no run: it holds no status.json");
    assert!(!events.exists());
}

#[test]
fn the_command_to_try_again_is_whole_and_holds_no_password() {
    let check = |targets: ExportTargets, expected: &str| {
        assert_eq!(
            targets.command(Path::new("runs/x")),
            format!("disentangle export --run runs/x{expected}")
        );
    };
    check(tensorboard(Path::new("")), " --tensorboard");
    let all = ExportTargets {
        mlflow: Some("http://127.0.0.1:5000".into()),
        experiment_name: Some("my own".into()),
        ..tensorboard(Path::new("events"))
    };
    check(
        all,
        " --tensorboard events --mlflow http://127.0.0.1:5000 --experiment-name \"my own\"",
    );
    let secret = ExportTargets {
        mlflow: Some("http://me:secret@127.0.0.1:5000".into()),
        ..ExportTargets::default()
    };
    check(secret, " --mlflow URI");
}
