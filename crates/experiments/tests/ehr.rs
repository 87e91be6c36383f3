//! `experiment ehr` and `audit`: what they measure agrees with itself and with what was planted, and what they refuse.

mod common;

use std::path::Path;

use common::{disentangle, succeed, text, write_table, write_ward};
use serde_json::Value;

fn run(folder: &Path, out: &str, arguments: &[&str]) -> Value {
    let mut command = disentangle(folder);
    command.args(arguments);
    command.args(["--fast", "--quiet", "--json", "--out", out, "--threads", "2"]);
    serde_json::from_slice(&succeed(&mut command).stdout).unwrap()
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

fn names(list: &Value, key: &str) -> Vec<String> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|one| one[key].as_str().unwrap().into())
        .collect()
}

#[test]
fn files_and_memory_give_the_same_run() {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), "records", &["shard_rows=20000"]);
    let memory = run(folder.path(), "memory", &["experiment", "ehr"]);
    let files = run(folder.path(), "files", &["audit", "--data", "records"]);
    assert_eq!(
        (&memory["experiment"], &files["experiment"]),
        (&"ehr".into(), &"audit".into())
    );
    for part in [
        "performance",
        "attention",
        "associations",
        "attributes",
        "stability",
        "accusations",
        "single_columns",
    ] {
        assert!(
            memory[part] == files[part],
            "{part} depends on whether the ward was read from files"
        );
        assert!(!memory[part].is_null(), "{part}");
    }
    for part in ["importance", "total_effects", "traced", "training"] {
        assert!(memory["causal"][part] == files["causal"][part], "causal {part}");
    }
}

#[test]
fn every_part_of_a_ward_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let found = run(folder.path(), "run", &["experiment", "ehr"]);
    assert_eq!(list(&found["audit"]).len(), 4);
    let environments = names(&found["causal"]["data"]["environments"], "name");
    assert_eq!(environments, ["in-distribution", "hospital=D"]);
    let models = names(&found["performance"], "model");
    assert_eq!(
        models,
        ["healthcare", "logistic regression", "gradient boosting"].repeat(2)
    );
    // Both attentions, and the encoder's layer.
    let sites = names(&found["attention"], "site");
    assert_eq!(
        sites,
        ["clinical.attn.pattern", "admin.attn.pattern", "layers.0.attn.pattern"]
    );
    for site in list(&found["attention"]) {
        let received: f64 = list(&site["received"]).iter().map(|x| x.as_f64().unwrap()).sum();
        assert!((received - 1.0).abs() < 1e-5, "{site}");
    }
    assert_eq!(
        found["gradient_parts"],
        serde_json::json!(["clinical_attention", "admin_attention"])
    );
    for epoch in list(&found["causal"]["training"]["history"]) {
        assert_eq!(list(&epoch["part_norms"]).len(), 2);
    }
    // Subgroups of an attribute are all rows, once.
    for attribute in list(&found["attributes"]) {
        let environment = attribute["environment"].as_str().unwrap();
        let whole = list(&found["performance"])
            .iter()
            .find(|one| one["environment"] == environment)
            .unwrap();
        let of = |key: &str| -> u64 {
            let groups = list(&attribute["subgroups"]["groups"]).iter();
            groups.map(|group| group[key].as_u64().unwrap()).sum()
        };
        assert_eq!(of("rows"), whole["rows"].as_u64().unwrap(), "{attribute}");
    }
    let attributes: std::collections::BTreeSet<String> = names(&found["attributes"], "attribute").into_iter().collect();
    let expected = [
        "admission_day",
        "admission_type",
        "age",
        "facility_type",
        "insurance",
        "sex",
    ];
    assert_eq!(attributes.into_iter().collect::<Vec<_>>(), expected);
    let periods = list(&found["stability"]["periods"]);
    let rows: u64 = periods.iter().map(|period| period["rows"].as_u64().unwrap()).sum();
    assert_eq!(rows, found["performance"][0]["rows"].as_u64().unwrap());
    assert!(
        periods
            .windows(2)
            .all(|pair| pair[0]["span"][1].as_str() <= pair[1]["span"][0].as_str())
    );
    // The planted attribute goes with the label in training and not in the held-out hospital.
    let insurance = |environment: &str| {
        let mut all = list(&found["associations"]).iter();
        let one = all.find(|one| one["attribute"] == "insurance" && one["environment"] == environment);
        one.unwrap()["label"]["value"].as_f64().unwrap()
    };
    assert!(insurance("training") > 0.5 && insurance("hospital=D") < 0.35);
}

/// Wards whose shortcut is strong, with a model that sees the groups: the shortcut is found and the clinical group is not accused.
#[test]
fn the_planted_shortcut_is_found_and_the_causes_are_not_accused() {
    let folder = tempfile::tempdir().unwrap();
    for seed in ["0", "1"] {
        let sets = [
            "model=sequence",
            "epochs=12",
            "patients=900",
            "vitals_minutes=480",
            "rows=300",
            "permutations=19",
            "resamples=200",
        ];
        let mut arguments = vec!["experiment", "ehr", "--seed", seed];
        arguments.extend(sets.iter().flat_map(|set| ["--set", set]));
        let found = run(folder.path(), &format!("run{seed}"), &arguments);
        let standing = |group: &str| {
            let mut all = list(&found["accusations"]).iter();
            all.find(|one| one["group"] == group).unwrap()["standing"]
                .as_str()
                .unwrap()
                .to_string()
        };
        assert_eq!(standing("administrative"), "shortcut", "seed {seed}");
        assert_eq!(standing("clinical"), "holds", "seed {seed}");
        assert_ne!(standing("demographic"), "shortcut", "seed {seed}");
    }
}

#[test]
fn a_table_is_audited() {
    let folder = tempfile::tempdir().unwrap();
    write_table(folder.path());
    let found = run(
        folder.path(),
        "run",
        &["audit", "--data", "visits.csv", "--schema", "visits.toml"],
    );
    assert!(found["stability"].is_null());
    assert!(found["no_stability"].as_str().unwrap().contains("no times that differ"));
    // Two visits a patient: all rows are scored, and patients are drawn.
    let whole = &found["performance"][0];
    let (rows, cases) = (whole["rows"].as_u64().unwrap(), whole["cases"].as_u64().unwrap());
    assert_eq!((rows, cases), (280, 140));
    assert!(whole["auc"]["method"].as_str().unwrap().contains("140 clusters"));
    let attributes = names(&found["attributes"], "attribute");
    assert!(attributes.iter().all(|name| name == "bed"), "{attributes:?}");
    let chosen = run(
        folder.path(),
        "chosen",
        &[
            "audit",
            "--data",
            "visits.csv",
            "--schema",
            "visits.toml",
            "--set",
            "subgroups=drug;pulse",
        ],
    );
    assert_eq!(names(&chosen["attributes"], "attribute")[0], "drug");
    let report = std::fs::read_to_string(folder.path().join("run/report.html")).unwrap();
    assert!(report.contains("Audit: visits.csv") && report.contains("Leakage audit"));
}

/// Weights that were trained elsewhere are audited as they are; strategies, which would train them, are left out.
#[test]
fn given_weights_are_audited_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_table(folder);
    let visits = ["audit", "--data", "visits.csv", "--schema", "visits.toml"];
    let trained = run(folder, "trained", &visits);
    let given = ["--set", "weights=trained/model.safetensors", "--set", "epochs=0"];
    let given = [&visits[..], &given].concat();
    let taken = run(folder, "taken", &given);
    let weights = |run: &str| std::fs::read(folder.join(run).join("model.safetensors")).unwrap();
    assert!(weights("trained") == weights("taken"));
    assert_eq!(taken["causal"]["training"]["history"], serde_json::json!([]));
    for part in ["performance", "attributes"] {
        assert_eq!(taken[part], trained[part], "{part}");
    }
    let report = std::fs::read_to_string(folder.join("taken/report.html")).unwrap();
    assert!(report.contains("nothing was trained"));
    assert!(report.contains("strategies would train them"));
}

#[cfg(unix)]
#[test]
fn a_killed_audit_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_table(folder);
    let visits = [
        "audit",
        "--data",
        "visits.csv",
        "--schema",
        "visits.toml",
        "--set",
        "strategies=none",
    ];
    let whole = run(folder, "whole", &visits);
    let mut command = disentangle(folder);
    let mut child = command
        .args(visits)
        .args(["--fast", "--out", "killed"])
        .spawn()
        .unwrap();
    while !folder.join("killed/events.jsonl").exists() {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before it could be stopped"
        );
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let resumed = succeed(disentangle(folder).args(["audit", "--resume", "killed", "--json", "--quiet"]));
    let resumed: Value = serde_json::from_slice(&resumed.stdout).unwrap();
    assert_eq!(resumed["performance"], whole["performance"]);
}

#[test]
fn records_are_described_and_validated() {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), "records", &[]);
    let said = text(&succeed(disentangle(folder.path()).args(["dataset", "validate", "records"])).stdout);
    assert!(
        said.contains("a valid MEDS dataset") && said.contains("no column uses an event after"),
        "{said}"
    );
    let proposed = succeed(disentangle(folder.path()).args(["dataset", "describe", "records"])).stdout;
    let task = text(&proposed);
    assert!(task.contains("labels = \"labels/deterioration.parquet\""), "{task}");
    assert!(
        task.contains("code = \"VITAL//HEART_RATE\"") && task.contains("value = \"category\""),
        "{task}"
    );
    std::fs::write(folder.path().join("proposed.toml"), &proposed).unwrap();
    let arguments = ["dataset", "validate", "records", "--task", "proposed.toml"];
    let said = text(&succeed(disentangle(folder.path()).args(arguments)).stdout);
    assert!(said.contains("measurements (Unknown)"), "{said}");
}

#[test]
fn what_cannot_be_audited() {
    let folder = tempfile::tempdir().unwrap();
    write_table(folder.path());
    write_ward(folder.path(), "records", &[]);
    write_ward(folder.path(), "leaky", &["leak=true"]);
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let check = |arguments: &[&str], expected: &str| {
        let mut command = disentangle(folder.path());
        let output = command
            .args(arguments)
            .args(["--fast", "--out", "run"])
            .output()
            .unwrap();
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(
            error.starts_with("error: ") && error.trim_end().lines().count() == 1,
            "{error}"
        );
        assert!(
            error.contains(expected),
            "{arguments:?}: expected {expected:?} in {error}"
        );
        assert!(!folder.path().join("run").exists(), "{arguments:?} left a folder");
    };
    let ehr = |set: &str, expected: &str| check(&["experiment", "ehr", "--set", set], expected);
    ehr(
        "dataset=market",
        "`dataset = market` holds prices, whose rows follow each other; expected `ward`",
    );
    ehr(
        "subgroups=insurence",
        "there is no attribute `insurence`; expected some of: ",
    );
    ehr("patients=5", "`patients = 5` cannot be used: expected 20 to ");
    ehr(
        "agreement=0.9,2",
        "`agreement = 2` cannot be used: expected a rate from 0 to 1",
    );
    ehr("leak=true", "leakage audit: column `final_stay` is the number of days");
    ehr("periods=1", "`periods = 1` cannot be used: expected 2 to ");
    ehr(
        "dataset=empty",
        "empty: says nothing of what to predict from what; expected task=FILE.toml",
    );
    ehr(
        "task=none.toml",
        "`task` belongs to a MEDS dataset, but `dataset = ward` is none",
    );
    ehr("environments=hospital=Z", "unknown environment `hospital=Z`");
    check(
        &["audit", "--data", "none.csv"],
        "none.csv: there is no such file or folder",
    );
    check(&["audit", "--data", "visits.csv"], "visits.csv: needs `--schema FILE`");
    // A folder of that name, and not the simulated ward.
    std::fs::create_dir(folder.path().join("ward")).unwrap();
    check(
        &["audit", "--data", "ward"],
        "ward: says nothing of what to predict from what",
    );
    check(
        &["audit", "--data", "visits.csv", "--resume", "visits.csv"],
        "`--resume` takes its data from the run; expected no --data",
    );
    let visits = ["audit", "--data", "visits.csv", "--schema", "visits.toml", "--set"];
    check(
        &[&visits[..], &["epochs=0"]].concat(),
        "`epochs = 0` cannot be used: expected at least 1, or `weights`",
    );
    check(&["audit", "--data", "leaky"], "leakage audit: column `final_stay`");
    check(
        &["audit", "--data", "records", "--task", "visits.toml"],
        "visits.toml: line ",
    );
    std::fs::remove_file(folder.path().join("records/labels/deterioration.parquet")).unwrap();
    check(&["audit", "--data", "records"], "records/labels/deterioration.parquet");
    // What is accepted is said.
    let found = run(
        folder.path(),
        "accepted",
        &["audit", "--data", "leaky", "--set", "allow_leaks=true"],
    );
    let notices = names_of(&found["causal"]["data"]["notices"]);
    assert!(
        notices.iter().any(|notice| notice.contains("allow_leaks = true")),
        "{notices:?}"
    );
}

fn names_of(list: &Value) -> Vec<String> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|one| one.as_str().unwrap().into())
        .collect()
}
