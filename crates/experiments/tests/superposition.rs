//! Bad settings of the superposition experiments, and `analyze` on good and bad files.

mod common;

use std::path::Path;

use common::{disentangle, succeed, text};
use serde_json::Value;

fn check(folder: &Path, arguments: &[&str], expected: &str) {
    let output = disentangle(folder).args(arguments).output().unwrap();
    let error = text(&output.stderr).replace(&folder.display().to_string(), "DIR");
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
    assert!(
        error.starts_with("error: ") && error.trim_end().lines().count() == 1,
        "{error}"
    );
    assert!(
        error.contains(expected),
        "{arguments:?}: expected {expected:?} in {error}"
    );
    assert!(output.stdout.is_empty());
    assert!(!folder.join("run").exists(), "{arguments:?} left a folder");
}

#[test]
fn settings_that_cannot_work() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("w.safetensors"), b"\x08\0\0\0\0\0\0\0{\"a\":1}}").unwrap();
    let cases = [
        ("synthetic", "hiden=3", "unknown key `hiden`; expected one of: "),
        (
            "synthetic",
            "samples=0",
            "`samples = 0` cannot be used: expected at least 2",
        ),
        (
            "synthetic",
            "samples=3000000000",
            "expected rows times columns of at most",
        ),
        (
            "synthetic",
            "feature_dim=0",
            "`feature_dim = 0` cannot be used: expected at least 1",
        ),
        (
            "synthetic",
            "bias_strength=1.5",
            "`bias_strength = 1.5` cannot be used: expected a rate from 0.1 to 0.9",
        ),
        (
            "synthetic",
            "threshold=notebook",
            "biased: 200 of 200 train labels are positive; expected both classes",
        ),
        (
            "synthetic",
            "dataset=prices",
            "`dataset = prices` cannot be used: expected ",
        ),
        (
            "synthetic",
            "heads=5",
            "`heads = 5` cannot be used: expected a divisor of hidden = 64",
        ),
        ("synthetic", "model=lstm", "`model = lstm` cannot be used: expected "),
        (
            "synthetic",
            "sites=pol",
            "`sites`: `pol` is no site of this model; near names: ",
        ),
        (
            "synthetic",
            "sites=layers.7.resid",
            "near names: layers.0.resid, layers.1.resid",
        ),
        (
            "synthetic",
            "autoencoder_site=nowhere",
            "`autoencoder_site = nowhere` is no site of this model",
        ),
        (
            "synthetic",
            "representation_site=embedding",
            "`representation_site = embedding` is no site of this model; near names: input, embed,",
        ),
        (
            "synthetic",
            "weights=w.safetensors",
            "w.safetensors: not a safetensors file: ",
        ),
        (
            "synthetic",
            "weights=none.safetensors",
            "none.safetensors: cannot be read",
        ),
        (
            "synthetic",
            "epochs=0",
            "`epochs = 0` cannot be used: expected at least 1",
        ),
        (
            "synthetic",
            "bases=0",
            "`bases = 0` cannot be used: expected at least 1",
        ),
        (
            "synthetic",
            "permutations=0",
            "`permutations = 0` cannot be used: expected at least 1",
        ),
        (
            "capacity",
            "repeats=0",
            "`repeats = 0` cannot be used: expected at least 1",
        ),
        (
            "capacity",
            "grid_hidden=30",
            "`heads = 4` cannot be used: expected a divisor of hidden = 30",
        ),
        (
            "capacity",
            "grid_features=3,x",
            "cannot be used: expected a list, separated by commas",
        ),
        ("capacity", "grid_features=", "`grid_features` is empty"),
        (
            "disentangle",
            "orthogonality=-1",
            "`orthogonality = -1` cannot be used: expected a number from 0",
        ),
        (
            "toy-superposition",
            "densities=0",
            "`densities = [0.0]` cannot be used: expected numbers above 0",
        ),
        (
            "toy-superposition",
            "repeats=1",
            "`repeats = 1` cannot be used: expected at least 2",
        ),
    ];
    for (experiment, set, expected) in cases {
        check(
            folder.path(),
            &["experiment", experiment, "--fast", "--out", "run", "--set", set],
            expected,
        );
    }
}

/// The representation is that of the site which was asked for.
#[test]
fn representation_at_another_site() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = disentangle(folder.path());
    command.args(["experiment", "synthetic", "--fast", "--quiet", "--out", "run"]);
    succeed(command.args(["--set", "representation_site=embed", "--set", "autoencoder_steps=0"]));
    let metrics = std::fs::read(folder.path().join("run/metrics.json")).unwrap();
    let metrics: Value = serde_json::from_slice(&metrics).unwrap();
    let embed = metrics["sites"]
        .as_array()
        .unwrap()
        .iter()
        .find(|study| study["site"] == "embed");
    let representation = &metrics["representation"];
    assert_eq!(representation["site"], "embed");
    let points = representation["points"].as_array().unwrap();
    assert_eq!(points.len(), representation["labels"].as_array().unwrap().len());
    assert!(embed.is_some() && points.iter().any(|point| point[2].as_f64().unwrap().abs() > 1e-6));
    let page = std::fs::read_to_string(folder.path().join("run/report.html")).unwrap();
    assert!(page.contains("Representation at embed, by shortcut"));
}

/// A label that almost all rows share trains only where that is asked for, and the run says so.
#[test]
fn degenerate_labels_are_accepted_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let sets = ["threshold=notebook", "degenerate=true", "dataset=multifeature"];
    let mut command = disentangle(folder.path());
    command.args(["experiment", "synthetic", "--fast", "--quiet", "--out", "run"]);
    succeed(command.args(sets.iter().flat_map(|set| ["--set", set])));
    let page = std::fs::read_to_string(folder.path().join("run/report.html")).unwrap();
    assert!(page.contains("almost all rows have the same label"));
    std::fs::write(folder.path().join("prices.csv"), "Date,Close\n").unwrap();
    let arguments = ["predict", "--run", "run", "--data", "prices.csv"];
    let output = disentangle(folder.path()).args(arguments).output().unwrap();
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(
        error.contains("prices.csv: column `feature_1.1` is missing; found: Date, Close"),
        "{error}"
    );
}

#[test]
fn generated_rows_are_a_table_with_its_truth() {
    let folder = tempfile::tempdir().unwrap();
    let generate = |kind: &str, out: &str, set: &str| {
        let arguments = ["dataset", "generate", kind, "--out", out, "--set", set];
        succeed(disentangle(folder.path()).args(arguments));
        std::fs::read(folder.path().join(out)).unwrap()
    };
    let rows = generate("biased", "b.parquet", "samples=50");
    assert!(
        rows == generate("biased", "again.parquet", "samples=50") && rows != generate("biased", "c.parquet", "seed=4")
    );
    generate("multifeature", "m.parquet", "features=2");
    let truth: Value = serde_json::from_slice(&std::fs::read(folder.path().join("b.truth.json")).unwrap()).unwrap();
    assert_eq!(truth["groups"]["bias"]["role"], "spurious");
    assert_eq!(truth["groups"]["bias"]["columns"][0], "bias.1");
    check(
        folder.path(),
        &["dataset", "generate", "prices", "--out", "p"],
        "expected one of: market, multifeature, biased",
    );
    check(
        folder.path(),
        &["dataset", "generate", "biased", "--out", "p", "--set", "seed=x"],
        "expected a whole number",
    );
}

/// A matrix of f32 as an npy file.
fn npy(shape: &str, descriptor: &str, data: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descriptor}', 'fortran_order': False, 'shape': {shape}, }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn analyze_measures_matrices() {
    let folder = tempfile::tempdir().unwrap();
    let values: Vec<f32> = (0..40)
        .flat_map(|i| [(i as f32).sin(), (i as f32 * 0.7).cos(), 0.0])
        .collect();
    std::fs::write(folder.path().join("a.npy"), npy("(40, 3)", "<f4", &bytes(&values))).unwrap();
    std::fs::write(folder.path().join("b.npy"), npy("(20, 2, 3)", "<f4", &bytes(&values))).unwrap();
    let labels: String = (0..40)
        .map(|i| if (i as f32).sin() > 0.0 { "1\n" } else { "0\n" })
        .collect();
    std::fs::write(folder.path().join("y.csv"), "label\n".to_string() + &labels).unwrap();
    let arguments = ["analyze", "--activations", "a.npy", "b.npy", "--labels", "y.csv"];
    let printed = succeed(disentangle(folder.path()).args(arguments)).stdout;
    let json: Value = serde_json::from_slice(&printed).unwrap();
    let first = &json["matrices"][0];
    assert_eq!(
        (&first["name"], &first["n"], &first["d"]),
        (&"a".into(), &40.into(), &3.into())
    );
    assert_eq!((&first["dead_neurons"], &first["dtype"]), (&1.into(), &"f32".into()));
    assert!(first["probe_auc"]["value"].as_f64().unwrap() > 0.95, "{first}");
    let rank = first["effective_rank"].as_f64().unwrap();
    assert!((1.0..=2.0).contains(&rank), "{rank}");
    // Rank above two is flattened to [-1, d]: the same rows.
    assert_eq!(json["matrices"][1]["effective_rank"], first["effective_rank"]);
    let cka = json["cka"][0]["value"].as_f64().unwrap();
    assert!((cka - 1.0).abs() < 1e-12, "{cka}");
}

#[test]
fn analyze_refuses_what_it_cannot_measure() {
    let folder = tempfile::tempdir().unwrap();
    let mut values = vec![0.5f32; 12];
    values[4] = f32::NAN;
    values[7] = f32::INFINITY;
    let files: [(&str, Vec<u8>, &str); 10] = [
        (
            "nan.npy",
            npy("(4, 3)", "<f4", &bytes(&values)),
            "nan holds 1 NaN and 1 infinite values, the first at row 1, column 1",
        ),
        (
            "rank.npy",
            npy("(12,)", "<f4", &bytes(&values)),
            "`rank` has shape [12], expected at least two axes",
        ),
        (
            "row.npy",
            npy("(1, 3)", "<f4", &bytes(&[1.0, 2.0, 3.0])),
            "row has too few rows: 1, where at least 2 are needed",
        ),
        (
            "none.npy",
            npy("(0, 3)", "<f4", b""),
            "`none` has shape [0, 3], expected no axis of length 0",
        ),
        (
            "dtype.npy",
            npy("(2, 1)", "<i8", &[0; 16]),
            "dtype.npy: cannot be read: holds i64 values",
        ),
        (
            "complex.npy",
            npy("(1, 2)", "<c8", &[0; 16]),
            "complex.npy: cannot be read: holds values of type",
        ),
        (
            "lies.npy",
            npy("(99999999, 99999999)", "<f4", b""),
            "promises an array of shape [99999999, 99999999]",
        ),
        (
            "short.npy",
            npy("(2, 2)", "<f4", &bytes(&[1.0, 2.0])),
            "short.npy: cannot be read: not an npy file",
        ),
        (
            "cut.safetensors",
            b"\x40\0\0\0\0\0\0\0{\"a\":".to_vec(),
            "cut.safetensors: cannot be read: not a safetensors file",
        ),
        (
            "hostile.safetensors",
            b"\xff\xff\xff\xff\xff\xff\xff\x7f{}".to_vec(),
            "not a safetensors file: header too large",
        ),
    ];
    for (name, content, expected) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
        check(folder.path(), &["analyze", "--activations", name], expected);
    }
    check(
        folder.path(),
        &["analyze", "--activations", "gone.npy"],
        "gone.npy: cannot be read",
    );
    std::fs::write(folder.path().join("words.txt"), "x").unwrap();
    check(
        folder.path(),
        &["analyze", "--activations", "words.txt"],
        "expected a .safetensors, .npy or .parquet file",
    );

    std::fs::write(
        folder.path().join("a.npy"),
        npy("(2, 2)", "<f4", &bytes(&[1.0, 2.0, 3.0, 5.0])),
    )
    .unwrap();
    let labels = [
        (
            "few.csv",
            "1\n",
            "few.csv: holds 1 labels, expected one for each of the 2 rows of `a`",
        ),
        (
            "three.csv",
            "0\n3\n",
            "three.csv: row 2, column `label`: `3` is not 0 or 1",
        ),
        (
            "word.csv",
            "y\n0\nyes\n",
            "word.csv: row 3, column `label`: `yes` is not 0 or 1",
        ),
        (
            "wide.csv",
            "0,1\n1,0\n",
            "wide.csv: cannot be read: row 1 has 2 columns, expected one of labels",
        ),
    ];
    for (name, content, expected) in labels {
        std::fs::write(folder.path().join(name), content).unwrap();
        check(
            folder.path(),
            &["analyze", "--activations", "a.npy", "--labels", name],
            expected,
        );
    }
}
