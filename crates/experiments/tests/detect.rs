//! `experiment detect`: planted shortcuts are found, causes are not accused, and what cannot be told is not.

mod common;

use common::{disentangle, succeed, text, write_table};
use serde_json::Value;

fn run(folder: &std::path::Path, sets: &[&str]) -> Value {
    let mut command = disentangle(folder);
    command.args([
        "experiment",
        "detect",
        "--quiet",
        "--json",
        "--out",
        "run",
        "--threads",
        "2",
    ]);
    command.args(sets.iter().flat_map(|set| ["--set", set]));
    serde_json::from_slice(&succeed(&mut command).stdout).unwrap()
}

/// How many groups of a role have a standing, over all draws.
fn count(plant: &Value, role: &str, standing: &str) -> usize {
    let repeats = plant["repeats"].as_array().unwrap();
    let groups = repeats.iter().flat_map(|repeat| repeat["groups"].as_array().unwrap());
    let own = groups.filter(|group| group["role"] == role && group["detected"]["standing"] == standing);
    own.count()
}

/// Four draws of each; the rates over twenty are in the README.
#[test]
fn planted_shortcuts_are_found() {
    for (dataset, sets, expected) in [
        // Which draws find the shortcut (of 4), and how many causes are accused at most.
        (
            "biased",
            &["permutations=199"][..],
            &[("biased", 4, 1), ("biased, one strong cause", 4, 1)][..],
        ),
        (
            "market",
            &["permutations=199"],
            &[("market, shortcut ends", 4, 1), ("market, shortcut stays", 0, 1)],
        ),
        ("multifeature", &["permutations=99"], &[("multifeature", 0, 0)]),
        // Rates that differ more than those of the default ward.
        (
            "ward",
            &["permutations=199", "patients=800", "agreement=0.95,0.6"],
            &[("ward", 4, 1)],
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let dataset = format!("dataset={dataset}");
        let mut all = vec![dataset.as_str(), "repeats=4", "trainings=0"];
        all.extend(sets);
        let found = run(folder.path(), &all);
        let plants = found["plants"].as_array().unwrap();
        assert_eq!(plants.len(), expected.len());
        for (plant, (name, shortcuts, accused)) in plants.iter().zip(expected) {
            assert_eq!(plant["name"], *name);
            assert_eq!(count(plant, "spurious", "shortcut"), *shortcuts, "{name}");
            assert!(count(plant, "genuine", "shortcut") <= *accused, "{name}");
            let accuracy = &plant["accuracy"]["accused"];
            let share = count(plant, "genuine", "shortcut") as f64 / accuracy["n"].as_f64().unwrap();
            assert!((accuracy["value"].as_f64().unwrap() - share).abs() < 1e-12, "{name}");
        }
    }
}

#[test]
fn a_table_of_one_s_own_is_asked_once() {
    let folder = tempfile::tempdir().unwrap();
    write_table(folder.path());
    let found = run(
        folder.path(),
        &[
            "dataset=visits.csv",
            "schema=visits.toml",
            "epochs=1",
            "permutations=49",
        ],
    );
    let plants = found["plants"].as_array().unwrap();
    assert_eq!((plants.len(), &plants[0]["generated"]), (1, &false.into()));
    let repeats = plants[0]["repeats"].as_array().unwrap();
    assert_eq!(repeats.len(), 1);
    for group in repeats[0]["groups"].as_array().unwrap() {
        assert!(!group["detected"]["reason"].as_str().unwrap().is_empty());
        // A model was trained too.
        assert!(
            group["impact"].as_f64().unwrap() >= 0.0 && group["causal"]["of"].is_string(),
            "{group}"
        );
    }
    assert!(!repeats[0]["superposition"].as_array().unwrap().is_empty());
}

#[test]
fn what_cannot_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    for (set, expected) in [
        ("repeats=0", "`repeats = 0` cannot be used: expected 1 to 100000"),
        ("window=2", "`window = 2` cannot be used: expected 10 to 1000000"),
        (
            "permutations=3",
            "permutations is 3; expected is a whole number from 19",
        ),
        ("tolerance=0", "tolerance is 0; expected is a number above 0"),
        ("false_discovery_rate=1", "false_discovery_rate is 1"),
        ("bias_strength=2", "bias_strength"),
        ("dataset=nothing", "`dataset = nothing` cannot be used"),
        ("market_shortcut_end=soon", "market_shortcut_end"),
        ("tests=1", "tests"),
    ] {
        let mut command = disentangle(folder.path());
        let output = command
            .args(["experiment", "detect", "--fast", "--out", "run", "--set", set])
            .output()
            .unwrap();
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{set}: {error}");
        assert!(error.contains(expected) && error.lines().count() == 1, "{set}: {error}");
        assert!(!folder.path().join("run").exists(), "{set}");
    }
}
