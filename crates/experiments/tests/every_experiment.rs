//! Every registered experiment goes through each of these: whole folder, same bits for any number of threads, seeds, rendering again.

mod common;

use std::{collections::BTreeSet, path::Path};

use common::{disentangle, succeed, text};
use disentangle_experiments::registry;
use serde_json::Value;

fn run(folder: &Path, name: &str, out: &str, threads: &str, more: &[&str]) -> Vec<u8> {
    let mut command = disentangle(folder);
    command.args([
        "experiment",
        name,
        "--fast",
        "--quiet",
        "--json",
        "--out",
        out,
        "--threads",
        threads,
    ]);
    succeed(command.args(more)).stdout
}

/// Names of the metrics that `list` describes.
fn described(folder: &Path) -> Vec<String> {
    let listed = text(&succeed(disentangle(folder).arg("list")).stdout);
    let (_, metrics) = listed.split_once("\nmetrics\n").unwrap();
    let (metrics, _) = metrics.split_once("\nstrategies\n").unwrap();
    let names = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("    ")?.split_whitespace().next());
    names.map(Into::into).collect()
}

/// By its whole name, by how it begins (`roc_auc_under_*`), or by how it ends (`*_over_erm`) if the rest is described too.
fn is_described(known: &[String], name: &str) -> bool {
    known.iter().any(|one| match one.split_once('*') {
        None => one == name,
        Some(("", end)) => name
            .strip_suffix(end)
            .is_some_and(|rest| !end.is_empty() && is_described(known, rest)),
        Some((start, _)) => name.starts_with(start),
    })
}

#[test]
fn folders_are_whole_and_threads_change_no_bit() {
    let known = described(tempfile::tempdir().unwrap().path());
    assert!(known.len() > 100 && !is_described(&known, "nothing_over_erm"));
    for experiment in registry::experiments() {
        let folder = tempfile::tempdir().unwrap();
        let name = experiment.name;
        let printed = run(folder.path(), name, "one", "1", &[]);
        run(folder.path(), name, "two", "2", &[]);
        for file in ["metrics.json", "metrics.parquet", "report.html", "config.toml"] {
            let read = |out: &str| std::fs::read(folder.path().join(out).join(file)).unwrap();
            assert!(
                read("one") == read("two"),
                "{name}: {file} depends on the number of threads"
            );
        }
        let config = std::fs::read_to_string(folder.path().join("one/config.toml")).unwrap();
        assert!(
            config.parse::<toml::Table>().is_ok(),
            "{name}: its config.toml cannot be read"
        );
        let metrics = std::fs::read(folder.path().join("one/metrics.json")).unwrap();
        assert!(printed == metrics, "{name}: --json prints metrics.json");
        let json: Value = serde_json::from_slice(&metrics).unwrap();
        assert_eq!(
            (&json["schema_version"], &json["kind"], &json["experiment"]),
            (&1.into(), &"run".into(), &name.into())
        );
        let rows = (experiment.read)(&folder.path().join("one")).unwrap().rows();
        let emitted: BTreeSet<String> = rows.into_iter().map(|row| row.metric).collect();
        let unknown: Vec<&String> = emitted.iter().filter(|metric| !is_described(&known, metric)).collect();
        assert!(
            unknown.is_empty() && !emitted.is_empty(),
            "{name}: `list` does not say what {unknown:?} are"
        );
        let figures = std::fs::read_dir(folder.path().join("one/figures")).unwrap().count();
        assert!(figures >= 4 && figures.is_multiple_of(2), "{name}: {figures} figures");

        // Rendering again changes nothing, and another seed changes the numbers.
        let report = || std::fs::read(folder.path().join("one/report.html")).unwrap();
        let before = report();
        succeed(disentangle(folder.path()).args(["report", "one"]));
        assert!(before == report(), "{name}: rendering again changed the report");
        let other = run(folder.path(), name, "other", "2", &["--seed", "3"]);
        assert!(other != metrics, "{name}: the seed changes nothing");
    }
}

#[test]
fn seeds_are_summarised() {
    for experiment in registry::experiments() {
        let folder = tempfile::tempdir().unwrap();
        let printed = run(folder.path(), experiment.name, "run", "2", &["--seeds", "2"]);
        let json: Value = serde_json::from_slice(&printed).unwrap();
        assert_eq!(
            (&json["kind"], &json["seeds"]),
            (&"aggregate".into(), &serde_json::json!([0, 1]))
        );
        let rows = json["metrics"].as_array().unwrap();
        let with_interval = rows.iter().filter(|row| row["estimate"]["low"].is_number()).count();
        assert!(
            with_interval > 5,
            "{}: {with_interval} of {} numbers",
            experiment.name,
            rows.len()
        );
        assert!(folder.path().join("run/seeds/1/report.html").exists());
    }
}

#[test]
fn all_are_listed_and_an_unknown_one_is_told_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let listed = text(&succeed(disentangle(folder.path()).arg("list")).stdout);
    let output = disentangle(folder.path())
        .args(["experiment", "finanze"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    assert!(
        error.starts_with("error: unknown experiment `finanze`; expected one of: finance, "),
        "{error}"
    );
    for experiment in registry::experiments() {
        assert!(listed.contains(experiment.name) && listed.contains(experiment.about));
        assert!(error.contains(experiment.name), "{error}");
    }
}
