//! `experiment mitigate`: every strategy is compared, and what it refuses.

mod common;

use common::{disentangle, succeed, text, write_table};
use serde_json::Value;

#[test]
fn every_strategy_is_compared_with_plain_training() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = disentangle(folder.path());
    command.args(["experiment", "mitigate", "--fast", "--quiet", "--json", "--out", "run"]);
    let found: Value = serde_json::from_slice(&succeed(&mut command).stdout).unwrap();
    let strategies = found["strategies"].as_array().unwrap();
    assert_eq!(strategies.len(), 15);
    // Single rows have no past to smooth over.
    let skipped = found["skipped"].as_array().unwrap();
    assert_eq!(
        (skipped.len(), &skipped[0]["strategy"]),
        (1, &"temporal_smoothing".into())
    );
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
    assert_eq!(
        (&found["hardest"]["environment"], &found["hardest"]["metric"]),
        (&"reversed".into(), &"accuracy".into())
    );
    impact_is_of_pairs(&found);
    for file in [
        "model.safetensors",
        "model.json",
        "preprocess.json",
        "predictions.parquet",
    ] {
        assert!(folder.path().join("run").join(file).exists(), "{file}");
    }
    let times = std::fs::read(folder.path().join("run/times.json")).unwrap();
    let times: Value = serde_json::from_slice(&times).unwrap();
    for (one, name) in times["strategies"].as_array().unwrap().iter().zip(strategies) {
        assert_eq!(one["strategy"], name["name"]);
        let seconds = one["seconds"].as_array().unwrap();
        assert!(
            seconds.len() == 2 && seconds.iter().all(|second| second.as_f64() > Some(0.0)),
            "{one}"
        );
        assert_eq!(one["epochs"].as_array().unwrap().len(), 2, "{one}");
    }
    assert_eq!(times["strategies"].as_array().unwrap().len(), 15);
    assert!(found.get("seconds").is_none(), "metrics.json holds times");
    let svg = std::fs::read_to_string(folder.path().join("run/figures/trade-off.svg")).unwrap();
    for name in strategies.iter().map(|one| one["name"].as_str().unwrap()) {
        assert!(svg.contains(&format!(">\n{name}\n</text>")), "{name} is not named");
    }
}

/// Plain training changes nothing in itself; others change probabilities, and the shortcut's importance is that of its group.
fn impact_is_of_pairs(found: &Value) {
    let groups = found["groups"].as_array().unwrap();
    let shortcut = groups.iter().position(|group| *group == found["group"]).unwrap();
    for (place, one) in found["strategies"].as_array().unwrap().iter().enumerate() {
        let impact = &one["impact"];
        let importance = impact["importance"].as_array().unwrap();
        assert_eq!(importance.len(), groups.len());
        // `shortcut_auc_drop` is the fourth value.
        assert_eq!(importance[shortcut], one["values"][3], "{one}");
        let shift = impact["boundary_shift"]["value"].as_f64().unwrap();
        let distance = impact["representation_distance"]["value"].as_f64().unwrap();
        match place {
            0 => assert!(shift == 0.0 && distance < 1e-6, "{impact}"),
            _ => assert!(
                (0.0..=1.0).contains(&shift) && (0.0..=1.0).contains(&distance),
                "{impact}"
            ),
        }
        let norm = one["values"][7]["value"]["value"].as_f64().unwrap();
        assert!(norm > 0.0, "{one}");
    }
    let moved = found["strategies"].as_array().unwrap().iter();
    let moved = moved.filter(|one| one["impact"]["boundary_shift"]["value"].as_f64() > Some(0.0));
    assert!(moved.count() >= 6, "most strategies move probabilities");
}

/// Which intervals differences have says how rows depend on each other.
#[test]
fn dependent_rows_have_intervals_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    write_table(folder.path());
    let check = |out: &str, sets: &[&str], vary: &str, one_a_subject: bool, says: &str| {
        let mut command = disentangle(folder.path());
        command.args(["experiment", "mitigate", "--fast", "--quiet", "--json", "--out", out]);
        let sets = sets.iter().chain(&["strategies=consistency"]);
        command.args(sets.flat_map(|set| ["--set", set]));
        let found: Value = serde_json::from_slice(&succeed(&mut command).stdout).unwrap();
        assert_eq!(found["vary"], vary, "{out}");
        assert_eq!(found["one_a_subject"], one_a_subject, "{out}");
        for environment in found["strategies"][1]["environments"].as_array().unwrap() {
            for difference in &environment.as_array().unwrap()[..2] {
                let over_trainings = difference["over_erm"]["method"].as_str().unwrap();
                assert_eq!(over_trainings, "Student's t over 2 trainings");
                let over_rows = difference["over_erm_rows"]["method"].as_str();
                assert_eq!(over_rows.is_some(), vary == "fixed", "{out}: {difference}");
                assert!(
                    over_rows.is_none_or(|method| method.starts_with("circular moving-block bootstrap")),
                    "{difference}"
                );
                if vary == "fixed" {
                    // The same mean difference, once over trainings and once over rows.
                    let of = |name: &str| difference[name]["value"].as_f64().unwrap();
                    assert!(
                        (of("over_erm") - of("over_erm_rows")).abs() < 1e-9,
                        "{out}: {difference}"
                    );
                }
            }
        }
        let report = std::fs::read_to_string(folder.path().join(out).join("report.html")).unwrap();
        assert!(report.contains(says), "{out}: {says}");
    };
    check(
        "prices",
        &["dataset=market", "rows=400"],
        "fixed",
        false,
        "over erm, rows",
    );
    check(
        "table",
        &["dataset=visits.csv", "schema=visits.toml"],
        "divided",
        true,
        "divides the same rows anew",
    );
    check("drawn", &["test=100"], "drawn", false, "each with rows of its own");
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
            "no group of `multifeature` is spurious; find the shortcut by experiment detect, or name it by group=NAME",
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
