//! ARCHITECTURE.md's invariants, checked against what Cargo knows.

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
            "--manifest-path",
        ])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn package(name: &str) -> Value {
    packages()
        .into_iter()
        .find(|p| p["name"] == format!("disentangle-{name}"))
        .unwrap()
}

/// Names of what a crate depends on outside its own tests.
fn dependencies(package: &Value) -> BTreeSet<String> {
    let all = package["dependencies"].as_array().unwrap().iter();
    all.filter(|d| d["kind"] != "dev")
        .map(|d| d["name"].as_str().unwrap().to_string())
        .collect()
}

fn own(package: &Value) -> BTreeSet<String> {
    dependencies(package)
        .iter()
        .filter_map(|name| name.strip_prefix("disentangle-").map(Into::into))
        .collect()
}

/// experiments -> mitigation -> analysis -> models -> data; experiments -> report -> data.
#[test]
fn arrows_point_down() {
    let allowed: [(&str, &[&str]); 6] = [
        ("data", &[]),
        ("models", &["data"]),
        ("analysis", &["data", "models"]),
        ("mitigation", &["data", "models", "analysis"]),
        ("report", &["data"]),
        ("experiments", &["data", "models", "analysis", "mitigation", "report"]),
    ];
    for (name, below) in allowed {
        let below: BTreeSet<String> = below.iter().map(ToString::to_string).collect();
        let found = own(&package(name));
        assert!(
            found.is_subset(&below),
            "{name} depends on {found:?}, allowed are {below:?}"
        );
    }
    let known: BTreeSet<&str> = allowed
        .iter()
        .map(|(name, _)| *name)
        .chain(["tests", "benches"])
        .collect();
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        let last = name.strip_prefix("disentangle-").unwrap_or(name);
        assert!(
            known.contains(last) || last == "xtask",
            "{name} has no place in this test"
        );
    }
}

#[test]
fn crates_do_not_know_what_they_must_not() {
    let forbidden: [(&str, &[&str]); 6] = [
        (
            "data",
            &["burn", "nalgebra", "faer", "linfa", "plotly", "plotters", "clap"],
        ),
        (
            "models",
            &[
                "polars",
                "tokio",
                "reqwest",
                "yahoo_finance_api",
                "csv",
                "nalgebra",
                "faer",
                "linfa",
                "plotly",
                "clap",
            ],
        ),
        (
            "analysis",
            &["polars", "tokio", "reqwest", "plotly", "plotters", "clap"],
        ),
        (
            "mitigation",
            &["polars", "tokio", "reqwest", "plotly", "plotters", "clap"],
        ),
        ("report", &["burn", "nalgebra", "faer", "linfa", "clap"]),
        ("experiments", &["polars", "reqwest", "tokio", "plotly", "plotters"]),
    ];
    for (name, forbidden) in forbidden {
        let found = dependencies(&package(name));
        for other in forbidden {
            assert!(!found.contains(*other), "{name} must not know {other}");
        }
    }
    // xtask builds before anything else, so that it costs nothing.
    let xtask = packages().into_iter().find(|p| p["name"] == "xtask").unwrap();
    assert!(dependencies(&xtask).is_empty());
}

#[test]
fn a_tap_or_a_metric_pulls_no_files_and_no_network() {
    for name in ["models", "analysis"] {
        let package = package(name);
        let all = package["dependencies"].as_array().unwrap();
        let data = all
            .iter()
            .find(|d| d["name"] == "disentangle-data" && d["kind"] != "dev")
            .unwrap();
        assert_eq!(data["uses_default_features"], false, "{name}");
        assert!(data["features"].as_array().unwrap().is_empty(), "{name}");
    }
    // Without default features the analysis crate has no burn.
    let analysis = package("analysis");
    for name in ["burn", "disentangle-models"] {
        let all = analysis["dependencies"].as_array().unwrap();
        let dependency = all.iter().find(|d| d["name"] == name && d["kind"] != "dev").unwrap();
        assert_eq!(dependency["optional"], true, "{name}");
    }
}

/// Reports and event files are written offline; a tracking server is a feature that somebody must ask for.
#[test]
fn a_report_pulls_no_network_by_itself() {
    let report = package("report");
    let all = report["dependencies"].as_array().unwrap();
    for name in ["reqwest", "tokio"] {
        let found: Vec<&Value> = all.iter().filter(|d| d["name"] == name).collect();
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!(found[0]["optional"], true, "{name}");
    }
    // No default feature, and no other one that brings them.
    let features = serde_json::json!({"mlflow": ["dep:reqwest", "dep:tokio"]});
    assert_eq!(report["features"], features);
}

#[test]
fn heavy_backends_are_not_default() {
    let features = package("experiments")["features"].clone();
    assert_eq!(features["default"], serde_json::json!(["flex"]));
    let of_tests = package("tests")["features"].clone();
    assert!(of_tests.get("default").is_none());
    for backend in ["tch", "wgpu", "cuda"] {
        assert_eq!(features[backend], serde_json::json!([format!("burn/{backend}")]));
        let passed_on = serde_json::json!([format!("disentangle-experiments/{backend}")]);
        assert_eq!(of_tests[backend], passed_on);
    }
}
