//! `experiment scaling`, `variants`, `components` and `claims`: closed forms and planted truths, resuming, and what is refused.

mod common;

#[path = "scale/claims.rs"]
mod claims;
#[path = "scale/components.rs"]
mod components;
#[path = "scale/scaling.rs"]
mod scaling;
#[path = "scale/variants.rs"]
mod variants;

use std::path::Path;

use common::{disentangle, succeed, text};
use serde_json::Value;

/// A smoke run: what it printed, and `metrics.json`.
pub(crate) fn run(folder: &Path, experiment: &str, sets: &[&str]) -> (String, Value) {
    let mut command = disentangle(folder);
    command.args(["experiment", experiment, "--fast", "--quiet", "--out", "run"]);
    command.args(["--threads", "2"]);
    let printed = text(&succeed(command.args(sets.iter().flat_map(|set| ["--set", set]))).stdout);
    let metrics = std::fs::read(folder.join("run/metrics.json")).unwrap();
    (printed, serde_json::from_slice(&metrics).unwrap())
}

#[track_caller]
pub(crate) fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

#[track_caller]
pub(crate) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

#[track_caller]
pub(crate) fn close(what: &str, found: f64, expected: f64) {
    let scale = expected.abs().max(1e-3);
    assert!(
        (found - expected).abs() <= 1e-6 * scale,
        "{what}: {found}, not {expected}"
    );
}

/// A share, or undefined with the reason.
#[track_caller]
pub(crate) fn is_share(what: &str, estimate: &Value) {
    match estimate["value"].as_f64() {
        Some(value) => assert!((0.0..=1.0).contains(&value), "{what}: {estimate}"),
        None => assert!(estimate["note"].is_string(), "{what}: {estimate}"),
    }
}

/// Whatever looks like an estimate with an interval by Student's t: it holds its value. Returns how many there are.
pub(crate) fn intervals_hold_their_values(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(intervals_hold_their_values).sum(),
        Value::Object(fields) => {
            let of = |name: &str| fields.get(name).and_then(Value::as_f64);
            let students = fields
                .get("method")
                .and_then(Value::as_str)
                .is_some_and(|method| method.starts_with("Student's t"));
            if let (true, Some(value), Some(low), Some(high)) = (students, of("value"), of("low"), of("high")) {
                let slack = 1e-9 * value.abs().max(1.0);
                assert!(low <= value + slack && value <= high + slack, "{fields:?}");
                return 1;
            }
            fields.values().map(intervals_hold_their_values).sum()
        }
        _ => 0,
    }
}

#[test]
fn settings_that_cannot_work_are_refused_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    for (experiment, set, expected) in [
        (
            "scaling",
            "widths=16",
            "`widths = [16]` cannot be used: expected two or more numbers in ascending order",
        ),
        ("scaling", "widths=32,16", "`widths = [32, 16]` cannot be used"),
        (
            "scaling",
            "depths=0,1",
            "`heads = 2` cannot be used with width 16 and depth 0: expected sizes of at least 1",
        ),
        (
            "scaling",
            "heads=3",
            "`heads = 3` cannot be used with width 8 and depth 1: expected sizes of at least 1 and heads that divide every width",
        ),
        (
            "scaling",
            "repeats=1",
            "`repeats = 1` cannot be used: expected 2 to 1000",
        ),
        (
            "scaling",
            "sites=attn.pattern",
            "`sites`: unknown site `attn.pattern`; expected some of: embed, ",
        ),
        ("scaling", "width=16", "unknown key `width`; expected one of: "),
        (
            "variants",
            "families=small",
            "`families` holds 1 of them; expected at least two of: small, ",
        ),
        (
            "variants",
            "families=gated,gated",
            "`families`: `gated` stands there twice; expected each family once",
        ),
        (
            "variants",
            "families=small,linear",
            "`families`: unknown family `linear`; expected some of: small, sequence, ",
        ),
        (
            "variants",
            "noise_levels=0",
            "`noise_levels = [0.0]` cannot be used: expected numbers above 0",
        ),
        (
            "variants",
            "heads=3",
            "`heads = 3` cannot be used: expected a divisor of hidden = 16",
        ),
        ("components", "model=linear", "`model = linear` has no components"),
        ("components", "rows=5", "`rows = 5` cannot be used: expected 20 to 5000"),
        (
            "components",
            "environment=nowhere",
            "unknown environment `nowhere`; expected some of: in-distribution, ",
        ),
        (
            "claims",
            "hidden=10",
            "`hidden = 10` cannot be used: expected a multiple of 4",
        ),
        (
            "claims",
            "depths=2",
            "`depths = [2]` cannot be used: expected at least two ascending multiples of 1",
        ),
        (
            "claims",
            "patients=10",
            "`patients = 10` cannot be used: expected 200 to ",
        ),
    ] {
        let mut command = disentangle(folder.path());
        let output = command
            .args(["experiment", experiment, "--fast", "--out", "run", "--set", set])
            .output()
            .unwrap();
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{experiment} {set}: {error}");
        assert!(
            error.starts_with("error: ") && error.trim_end().lines().count() == 1 && error.contains(expected),
            "{experiment} {set}: expected {expected:?} in {error}"
        );
        assert!(output.stdout.is_empty());
        assert!(!folder.path().join("run").exists(), "{experiment} {set} left a folder");
    }
}
