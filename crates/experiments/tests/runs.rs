//! Whole runs: what is in the folder, other commands on it, seeds, and resuming after every kind of stop.

mod common;

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Child, Stdio},
};

use common::{disentangle, finance, good_rows, succeed, text, write};
use serde_json::Value;

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Content of every file that must not depend on how a run went.
fn results(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = [
        "metrics.json",
        "metrics.parquet",
        "predictions.parquet",
        "model.safetensors",
        "model.json",
        "preprocess.json",
        "config.toml",
        "events.jsonl",
        "report.html",
    ];
    names
        .iter()
        .map(|name| (name.to_string(), std::fs::read(run.join(name)).unwrap()))
        .collect()
}

#[test]
fn a_run_is_complete_and_other_commands_take_it() {
    let folder = tempfile::tempdir().unwrap();
    let output = succeed(&mut finance(folder.path(), "run", &["--json", "--quiet"]));
    assert_eq!(text(&output.stderr), "", "quiet");
    let run = folder.path().join("run");
    assert_eq!(
        output.stdout,
        std::fs::read(run.join("metrics.json")).unwrap(),
        "--json prints metrics.json"
    );
    assert_eq!(json(&run.join("status.json"))["state"], "done");
    assert!(!run.join("checkpoint").exists());
    for name in [
        "environment.json",
        "report.html",
        "figures/importance.svg",
        "figures/representation.png",
        "predictions.parquet",
    ] {
        assert!(run.join(name).metadata().unwrap().len() > 100, "{name}");
    }
    let metrics = json(&run.join("metrics.json"));
    assert_eq!(
        (&metrics["schema_version"], &metrics["kind"]),
        (&1.into(), &"run".into())
    );
    assert_eq!(metrics["walk_forward"]["Ok"]["windows"].as_array().unwrap().len(), 4);

    // Scoring the data of the run again gives its own predictions.
    let mut prices = folder.path().join("prices.csv");
    write(folder.path(), "prices.csv", &good_rows());
    let scored =
        text(&succeed(disentangle(folder.path()).args(["predict", "--run", "run", "--data", "prices.csv"])).stdout);
    assert_eq!(
        scored.lines().next().unwrap(),
        "subject,row,time,label,logit,probability"
    );
    // 500 rows, 49 without enough history, and the day after the last.
    assert_eq!(scored.lines().count(), 1 + 500 - 49 + 1);
    assert!(scored.lines().last().unwrap().contains(",after 20") && scored.lines().last().unwrap().contains(",,"));
    succeed(disentangle(folder.path()).args([
        "predict",
        "--run",
        "run",
        "--data",
        "prices.csv",
        "--out",
        "scores.parquet",
    ]));
    prices.set_file_name("scores.parquet");
    assert!(prices.exists());

    // Rendering again changes nothing.
    let before = std::fs::read(run.join("report.html")).unwrap();
    succeed(disentangle(folder.path()).args(["report", "run"]));
    assert_eq!(std::fs::read(run.join("report.html")).unwrap(), before);

    // Another seed gives other numbers, and `compare` puts them side by side.
    succeed(&mut finance(
        folder.path(),
        "other",
        &["--seed", "5", "--set", "walk_forward=false"],
    ));
    let compared = text(&succeed(disentangle(folder.path()).args(["compare", "run", "other"])).stdout);
    let line = compared
        .lines()
        .find(|line| line.contains("test sequence roc_auc "))
        .unwrap();
    assert_eq!(line.matches('[').count(), 2, "{line}");
    let document: Value =
        serde_json::from_slice(&succeed(disentangle(folder.path()).args(["compare", "--json", "run", "other"])).stdout)
            .unwrap();
    assert!(document["metrics"].as_array().unwrap().len() > 20);
    let listed = text(&succeed(disentangle(folder.path()).arg("list")).stdout);
    assert!(listed.contains("layers.1.attn.pattern") && listed.contains("finance"));
}

#[test]
fn predictions_of_the_run_agree_with_predict() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "prices.csv", &good_rows());
    succeed(&mut finance(
        folder.path(),
        "run",
        &["--set", "dataset=prices.csv", "--set", "walk_forward=false"],
    ));
    let scored =
        text(&succeed(disentangle(folder.path()).args(["predict", "--run", "run", "--data", "prices.csv"])).stdout);
    let metrics = json(&folder.path().join("run/metrics.json"));
    let test = metrics["data"]["parts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|p| p["part"] == "test")
        .unwrap()
        .clone();
    let first = test["span"][0].as_str().unwrap()[..10].to_string();
    // AUC of the scored rows from the first test day on, computed here by counting pairs.
    let rows: Vec<(f64, bool)> = scored
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect::<Vec<_>>())
        .filter(|cells| cells[2] >= first.as_str() && !cells[3].is_empty() && !cells[2].starts_with("after"))
        .map(|cells| (cells[4].parse().unwrap(), cells[3] == "1"))
        .collect();
    assert_eq!(rows.len() as u64, test["windows"].as_u64().unwrap());
    for line in scored.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let (logit, probability): (f64, f64) = (cells[4].parse().unwrap(), cells[5].parse().unwrap());
        assert!((probability - logit.exp() / (1.0 + logit.exp())).abs() < 2e-6, "{line}");
    }
    let (mut wins, mut pairs) = (0.0, 0.0);
    for up in rows.iter().filter(|row| row.1) {
        for down in rows.iter().filter(|row| !row.1) {
            pairs += 1.0;
            wins += if up.0 > down.0 {
                1.0
            } else if up.0 == down.0 {
                0.5
            } else {
                0.0
            };
        }
    }
    let found = metrics["performance"]
        .as_array()
        .unwrap()
        .iter()
        .find(|p| p["model"] == "sequence" && p["part"] == "test")
        .unwrap();
    let auc = found["auc"]["value"].as_f64().unwrap();
    assert!((auc - wins / pairs).abs() < 2e-3, "{auc} and {}", wins / pairs);
}

#[test]
fn threads_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let run = |out: &str, threads: &str| {
        let mut command = disentangle(folder.path());
        command.args([
            "experiment",
            "finance",
            "--out",
            out,
            "--threads",
            threads,
            "--set",
            "window=400",
        ]);
        for set in common::SMALL.iter().filter(|set| !set.starts_with("window")) {
            command.args(["--set", set]);
        }
        succeed(&mut command);
        results(&folder.path().join(out))
    };
    let (one, four) = (run("one", "1"), run("four", "4"));
    for (name, content) in one {
        assert!(content == four[&name], "{name} depends on the number of threads");
    }
}

/// Waits until `events.jsonl` holds `lines` lines, without a clock.
fn until_epochs(run: &Path, lines: usize, child: &mut Child) {
    loop {
        let events = std::fs::read_to_string(run.join("events.jsonl")).unwrap_or_default();
        if events.lines().count() >= lines {
            return;
        }
        assert!(
            child.try_wait().unwrap().is_none(),
            "the run ended before it could be stopped"
        );
        std::thread::yield_now();
    }
}

#[cfg(unix)]
#[test]
fn stopped_runs_resume_and_end_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--set", "epochs=30", "--set", "window=400", "--checkpoint-seconds", "0"];
    succeed(&mut finance(folder.path(), "whole", &more));
    let expected = results(&folder.path().join("whole"));
    for (out, signal, state) in [("killed", "-KILL", "running"), ("interrupted", "-INT", "interrupted")] {
        let run = folder.path().join(out);
        let mut child = finance(folder.path(), out, &more)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        until_epochs(&run, 3, &mut child);
        let sent = std::process::Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
        let stopped = child.wait_with_output().unwrap();
        assert!(!stopped.status.success());
        assert_eq!(json(&run.join("status.json"))["state"], state);
        if state == "interrupted" {
            assert_eq!(stopped.status.code(), Some(130));
            assert!(
                text(&stopped.stderr).contains("--resume interrupted"),
                "{}",
                text(&stopped.stderr)
            );
        }
        let before = std::fs::read_to_string(run.join("events.jsonl"))
            .unwrap()
            .lines()
            .count();
        assert!(before < 30, "it was stopped in the middle");
        succeed(disentangle(folder.path()).args(["experiment", "finance", "--resume", out, "--threads", "1"]));
        for (name, content) in results(&run) {
            assert!(content == expected[&name], "{out}: {name} differs after resuming");
        }
    }
}

/// A run of given weights without training predicts what the run that they are from predicted.
#[test]
fn given_weights_are_taken_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let short = ["--set", "epochs=2", "--set", "walk_forward=false"];
    succeed(&mut finance(folder.path(), "trained", &short));
    let given = ["--set", "epochs=0", "--set", "weights=trained/model.safetensors"];
    succeed(&mut finance(folder.path(), "given", &given));
    let [trained, given] = ["trained", "given"].map(|run| folder.path().join(run));
    for file in ["model.safetensors", "predictions.parquet"] {
        let content = [&trained, &given].map(|run| std::fs::read(run.join(file)).unwrap());
        assert!(content[0] == content[1], "{file} differs");
    }
    let page = std::fs::read_to_string(given.join("report.html")).unwrap();
    assert!(page.contains("nothing was trained") && page.contains("refits would train them"));
}

#[test]
fn seeds_are_aggregated() {
    let folder = tempfile::tempdir().unwrap();
    let more = [
        "--seed",
        "3",
        "--seeds",
        "2",
        "--set",
        "walk_forward=false",
        "--set",
        "epochs=2",
    ];
    let shown = text(&succeed(&mut finance(folder.path(), "run", &more)).stdout);
    assert!(shown.contains("finance over 2 seeds"), "{shown}");
    let run = folder.path().join("run");
    let auc = |metrics: &Value| {
        let all = metrics["performance"].as_array().unwrap();
        all.iter()
            .find(|p| p["model"] == "sequence" && p["part"] == "test")
            .unwrap()["auc"]["value"]
            .as_f64()
            .unwrap()
    };
    let values = [3, 4].map(|seed| auc(&json(&run.join(format!("seeds/{seed}/metrics.json")))));
    assert_ne!(values[0], values[1]);
    let aggregate = json(&run.join("metrics.json"));
    let rows = aggregate["metrics"].as_array().unwrap();
    let row = rows
        .iter()
        .find(|r| r["metric"] == "roc_auc" && r["name"][0] == "sequence" && r["name"][1] == "test")
        .unwrap();
    let mean = row["estimate"]["value"].as_f64().unwrap();
    assert!((mean - f64::midpoint(values[0], values[1])).abs() < 1e-12);
    assert!(row["estimate"]["low"].as_f64().unwrap() < mean);
    succeed(disentangle(folder.path()).args(["report", "run"]));
    succeed(disentangle(folder.path()).args(["report", "run/seeds/4"]));
    write(folder.path(), "prices.csv", &good_rows());
    succeed(disentangle(folder.path()).args(["predict", "--run", "run/seeds/4", "--data", "prices.csv"]));
    let several = disentangle(folder.path())
        .args(["predict", "--run", "run", "--data", "prices.csv"])
        .output()
        .unwrap();
    assert!(text(&several.stderr).contains("holds several seeds; expected one of the folders below seeds/"));
}

#[test]
fn the_embedded_market_is_what_generate_makes() {
    let folder = tempfile::tempdir().unwrap();
    succeed(disentangle(folder.path()).args(["dataset", "generate", "market", "--out", "market.parquet"]));
    let embedded = disentangle_data::parse_parquet("embedded", disentangle_experiments::finance::EMBEDDED)
        .unwrap()
        .0;
    let made = disentangle_data::read_parquet(&folder.path().join("market.parquet"))
        .unwrap()
        .0;
    assert_eq!(made[0].close, embedded[0].close);
    assert_eq!(made[0].volume, embedded[0].volume);
    let truth = json(&folder.path().join("market.truth.json"));
    assert_eq!(truth["simulated"], true);
    assert_eq!(truth["shortcut"]["holds_until_before"], "2023-06-08");
    let described = text(&succeed(disentangle(folder.path()).args(["dataset", "describe", "market.parquet"])).stdout);
    assert!(
        described.contains("1006 rows from 2020-01-02 to 2023-12-29"),
        "{described}"
    );
}
