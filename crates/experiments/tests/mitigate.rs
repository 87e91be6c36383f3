//! `experiment mitigate`: every strategy is compared, and what it refuses.

mod common;

use common::{disentangle, succeed, text};
use serde_json::Value;

#[test]
fn every_strategy_is_compared_with_plain_training() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = disentangle(folder.path());
    command.args(["experiment", "mitigate", "--fast", "--quiet", "--json", "--out", "run"]);
    let found: Value = serde_json::from_slice(&succeed(&mut command).stdout).unwrap();
    let strategies = found["strategies"].as_array().unwrap();
    assert_eq!(strategies.len(), 10);
    assert_eq!(strategies[0]["name"], "erm");
    for one in strategies {
        for environment in one["environments"].as_array().unwrap() {
            for metric in environment.as_array().unwrap() {
                let value = metric["value"]["value"].as_f64().unwrap();
                let plain = &strategies[0]["environments"];
                assert!((0.0..=1.0).contains(&value), "{one}");
                assert!(plain.is_array() && metric["over_erm"]["n"] == 2, "{metric}");
            }
        }
    }
    // Plain training differs from itself by nothing.
    for value in strategies[0]["values"].as_array().unwrap() {
        assert_eq!(value["over_erm"]["value"], 0.0);
    }
    for file in [
        "model.safetensors",
        "model.json",
        "preprocess.json",
        "predictions.parquet",
    ] {
        assert!(folder.path().join("run").join(file).exists(), "{file}");
    }
}

#[test]
fn what_cannot_be_compared() {
    let folder = tempfile::tempdir().unwrap();
    for (set, expected) in [
        (
            "strategies=irmm",
            "`strategies`: unknown strategy `irmm`; expected `all`, or some of: erm, ",
        ),
        (
            "irm_weight=-1",
            "`irm_weight = -1` cannot be used: expected a number from 0",
        ),
        ("repeats=1", "`repeats = 1` cannot be used: expected 2 to "),
        ("group=x", "`group = x` cannot be used: expected one of: feature_1, "),
        (
            "dataset=multifeature",
            "no group of `multifeature` is spurious; name the shortcut by group=NAME",
        ),
    ] {
        let mut command = disentangle(folder.path());
        let output = command
            .args(["experiment", "mitigate", "--fast", "--out", "run", "--set", set])
            .output()
            .unwrap();
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{set}: {error}");
        assert!(error.contains(expected), "{set}: expected {expected:?} in {error}");
        assert!(!folder.path().join("run").exists(), "{set} left a folder");
    }
}
