//! Grids, settings and hashes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;

fn hashes(words: &[&str]) -> BTreeSet<String> {
    let runs = planned(words).unwrap().runs;
    let hashes: BTreeSet<String> = runs.iter().map(|run| run.hash.clone()).collect();
    assert_eq!(hashes.len(), runs.len(), "every run has a hash of its own");
    hashes
}

#[test]
fn every_combination_has_every_seed() {
    let words = "capacity --grid n_features=3,5 --grid hidden=32,64 --seeds 2 --seed 7 --set epochs=4";
    let plan = planned(&words.split(' ').collect::<Vec<_>>()).unwrap();
    let found: Vec<(usize, Value, u64)> = (plan.runs.iter())
        .map(|run| (run.index, json!(run.params), run.seed))
        .collect();
    let mut expected = Vec::new();
    for features in [3, 5] {
        for hidden in [32, 64] {
            for seed in [7, 8] {
                let params = json!({ "n_features": features, "hidden": hidden });
                expected.push((expected.len(), params, seed));
            }
        }
    }
    assert_eq!(found, expected);
    let lines: Vec<Value> = plan
        .lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (line, run) in lines.iter().zip(&plan.runs) {
        let (config, hash) = (&line["config"], line["hash"].as_str().unwrap());
        assert_eq!(hash, run.hash);
        assert!(hash.len() == 16 && hash.chars().all(|digit| digit.is_ascii_hexdigit()));
        assert_eq!(config["grid_features"], json!([run.params["n_features"]]));
        assert_eq!(config["grid_hidden"], json!([run.params["hidden"]]));
        assert_eq!((&config["epochs"], &config["repeats"]), (&json!(4), &json!(1)));
    }
    assert_eq!(lines.len(), 8);
    assert_eq!(plan.sweep.seeds, [7, 8]);
}

#[test]
fn a_value_may_be_a_list_and_defaults_give_way() {
    let words = [
        "capacity",
        "--grid",
        "grid_features=2,3;4",
        "--set",
        "repeats=3",
        "--fast",
    ];
    let plan = planned(&words).unwrap();
    assert_eq!(plan.sweep.grid[0].values, [json!([2, 3]), json!(4)]);
    assert_eq!(grid::shown(&plan.sweep.grid[0].values[0]), "2,3");
    let first: Value = serde_json::from_str(plan.lines.lines().next().unwrap()).unwrap();
    assert_eq!(first["config"]["grid_features"], json!([2, 3]));
    assert_eq!(first["config"]["repeats"], 3, "--set comes after the sweep's defaults");
    assert_eq!(first["config"]["samples"], 200, "--fast acts");
    // `--set` names keys as `--grid` does.
    let plan = planned(&["capacity", "--grid", "epochs=1,2", "--set", "hidden=32"]).unwrap();
    assert_eq!(plan.sweep.config["grid_hidden"], json!([32]));
}

#[test]
fn grids_that_cannot_be_used_are_sentences() {
    let many = |key: &str| {
        let values: Vec<String> = (1..=400).map(|value| value.to_string()).collect();
        format!("{key}={}", values.join(","))
    };
    let (epochs, batches) = (many("epochs"), many("batch"));
    let too_many = ["--grid", &epochs, "--grid", &batches];
    let cases: Vec<(&[&str], &str)> = vec![
        (&["--grid", "hidden"], "`--grid hidden`: expected key=value,value,..."),
        (&["--grid", "=3"], "`--grid =3`: expected key=value,value,..."),
        (&["--grid", "hidden=32,,64"], "a value of `hidden` is empty"),
        (&["--grid", "hidden="], "a value of `hidden` is empty"),
        (&["--grid", "grid_hidden=32,64;"], "a value of `grid_hidden` is empty"),
        (
            &["--grid", "hidden=32", "--grid", "hidden=64"],
            "`--grid hidden=64`: `hidden` is there twice",
        ),
        (
            &["--grid", "features=3", "--grid", "n_features=5"],
            "`n_features` and `features` are the same key",
        ),
        (
            &["--grid", "hidden=32", "--set", "grid_hidden=64"],
            "`hidden` stands in --set too",
        ),
        (&["--grid", "hidden=32,64,32"], "`--grid hidden`: `32` is there twice"),
        (
            &["--grid", "learning_rate=0.1,0.10"],
            "`0.1` and `0.10` are the same value",
        ),
        (&["--grid", "hiden=3"], "unknown key `hiden`; expected one of: "),
        (
            &["--grid", "epochs=1,x"],
            "`epochs = x` cannot be used: expected a whole number, zero or more",
        ),
        (&["--grid", "n_features=3,x"], "`--grid n_features`: `grid_features = "),
        (
            &["--grid", "epochs=1", "--set", "epohs=2"],
            "unknown key `epohs`; expected one of: ",
        ),
        (
            &["--grid", "epochs=1", "--set", "batch"],
            "`--set batch`: expected key=value",
        ),
        (
            &["--grid", "epochs=1", "--config", "none.toml"],
            "none.toml: cannot be read",
        ),
        (
            &["--grid", "epochs=1", "--seeds", "0"],
            "`--seed 0 --seeds 0` cannot be used: expected 1 to 100000 seeds",
        ),
        (
            &["--grid", "epochs=1", "--seed", "18446744073709551615", "--seeds", "2"],
            "cannot be used: expected 1 to 100000 seeds",
        ),
        (
            &too_many,
            "a grid of 400 x 400 combinations with 1 seed(s) is too large: expected at most 100000 runs",
        ),
    ];
    for (words, expected) in cases {
        let words: Vec<&str> = ["capacity"].iter().chain(words).copied().collect();
        let error = planned(&words).err().unwrap_or_default();
        assert!(
            error.contains(expected),
            "{words:?}: expected {expected:?} in {error:?}"
        );
        assert_eq!(error.lines().count(), 1);
    }
    let error = planned(&["capacitie", "--grid", "a=1"]).err().unwrap_or_default();
    assert!(error.starts_with("unknown experiment `capacitie`"), "{error}");
}

#[test]
fn a_run_is_named_by_what_its_numbers_depend_on() {
    let base = ["capacity", "--grid", "hidden=32,64", "--grid", "epochs=1,2"];
    let with = |more: &[&str]| hashes(&[&base[..], more].concat());
    let expected = with(&[]);
    assert_eq!(expected, with(&[]));
    let turned = ["capacity", "--grid", "epochs=2,1", "--grid", "grid_hidden=64,32"];
    assert_eq!(expected, hashes(&turned), "the grid's order and spelling do not count");
    assert_eq!(
        expected,
        with(&["--threads", "3", "--retries", "0", "--metric", "accuracy"])
    );
    let larger = [
        "capacity",
        "--grid",
        "hidden=32,64,128",
        "--grid",
        "epochs=1,2",
        "--seeds",
        "2",
    ];
    assert!(
        expected.is_subset(&hashes(&larger)),
        "a larger grid holds the same runs"
    );
    let changes: [&[&str]; 3] = [&["--seed", "1"], &["--set", "samples=300"], &["--backend", "tch"]];
    for more in changes {
        assert!(expected.is_disjoint(&with(more)), "{more:?} changes every run");
    }
}

#[test]
fn contents_of_files_count() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("a"), "one").unwrap();
    std::fs::write(path("b"), "two").unwrap();
    let files = format!("weights={},{}", path("a"), path("b"));
    let of_files = || hashes(&["synthetic", "--grid", &files]);
    let before = of_files();
    std::fs::write(path("b"), "three").unwrap();
    let after = of_files();
    assert_eq!(
        before.intersection(&after).count(),
        1,
        "only the run of the file that changed is another"
    );
    std::fs::write(path("b"), "two").unwrap();
    assert_eq!(before, of_files());

    // Of folders a dataset counts, with all its files.
    std::fs::create_dir_all(path("ward/data/train")).unwrap();
    std::fs::write(path("ward/data/train/0.parquet"), "events").unwrap();
    let set = format!("dataset={}", path("ward"));
    let of_folder = || hashes(&["causal", "--grid", "epochs=1", "--set", &set]);
    let before = of_folder();
    assert_eq!(before, of_folder());
    std::fs::write(path("ward/data/train/0.parquet"), "others").unwrap();
    assert!(before.is_disjoint(&of_folder()));
}
