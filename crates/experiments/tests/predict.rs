//! `predict`: new rows of every kind of run through what training fitted.

mod common;

use std::{collections::BTreeMap, path::Path};

use common::{disentangle, succeed, text, write_table, write_ward};
use disentangle_data::read_matrices;

/// Logits of `predictions.parquet` by row: its numeric columns are row, seed, label, logit and probability.
fn saved(run: &Path) -> BTreeMap<u64, f64> {
    let matrix = read_matrices(&run.join("predictions.parquet"))
        .unwrap()
        .remove(0)
        .values;
    assert_eq!(matrix.ncols(), 5);
    matrix.rows().into_iter().map(|row| (row[0] as u64, row[3])).collect()
}

/// Row, label and logit of every line that `predict` prints.
fn scored(folder: &Path, data: &str) -> BTreeMap<u64, (String, f64)> {
    let output = succeed(disentangle(folder).args(["predict", "--run", "run", "--data", data]));
    let printed = text(&output.stdout);
    let mut lines = printed.lines();
    assert_eq!(lines.next(), Some("subject,row,time,label,logit,probability"));
    let cells = lines.map(|line| line.split(',').map(String::from).collect::<Vec<_>>());
    cells
        .map(|cells| (cells[1].parse().unwrap(), (cells[3].clone(), cells[4].parse().unwrap())))
        .collect()
}

#[track_caller]
fn refused(folder: &Path, data: &str, expected: &str) {
    let arguments = ["predict", "--run", "run", "--data", data];
    let output = disentangle(folder).args(arguments).output().unwrap();
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{data}: {error}");
    assert!(
        error.starts_with("error: ") && error.trim_end().lines().count() == 1,
        "{error}"
    );
    assert!(error.contains(expected), "{data}: expected {expected:?} in {error}");
}

/// The table with every row changed.
fn changed(folder: &Path, name: &str, change: impl Fn(usize, Vec<&str>) -> String) {
    let table = std::fs::read_to_string(folder.join("visits.csv")).unwrap();
    let rows = table.lines().enumerate();
    let rows: Vec<String> = rows.map(|(row, line)| change(row, line.split(',').collect())).collect();
    std::fs::write(folder.join(name), rows.join("\n") + "\n").unwrap();
}

#[test]
fn tables_by_what_training_rows_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_table(folder);
    let audit = [
        "audit",
        "--data",
        "visits.csv",
        "--schema",
        "visits.toml",
        "--fast",
        "--quiet",
        "--out",
        "run",
    ];
    succeed(disentangle(folder).args(audit));
    let (of_run, all) = (saved(&folder.join("run")), scored(folder, "visits.csv"));
    assert_eq!((of_run.len(), all.len()), (1400, 1400));
    for (row, logit) in &of_run {
        assert!(
            (all[row].1 - logit).abs() < 1e-4,
            "row {row}: {} and {logit}",
            all[row].1
        );
    }

    // The last third alone, without labels and hospitals: medians, categories and scales are the run's, not its own.
    changed(folder, "new.csv", |row, cells| {
        let kept = [cells[0], cells[2], cells[3], cells[4]].join(",");
        if row == 0 || row > 933 { kept } else { String::new() }
    });
    let new = std::fs::read_to_string(folder.join("new.csv")).unwrap();
    let new: Vec<&str> = new.lines().filter(|line| !line.is_empty()).collect();
    std::fs::write(folder.join("new.csv"), new.join("\n")).unwrap();
    let unlabelled = scored(folder, "new.csv");
    assert_eq!(unlabelled.len(), 467);
    for (row, (label, logit)) in &unlabelled {
        let before = all[&(row + 933)].1;
        assert!(
            label.is_empty() && (before - logit).abs() < 1e-5,
            "row {row}: {before} and {logit}"
        );
    }

    // Categories that training never saw are all the same one, and no known one; a missing number is the training median.
    let drugs = |name: &str, drug: &'static str, pulse: &'static str| {
        changed(folder, name, |row, mut cells| {
            if row > 0 {
                (cells[2], cells[3]) = (if pulse.is_empty() { cells[2] } else { pulse }, drug);
            }
            cells.join(",")
        });
        scored(folder, name)
    };
    let (first, second, known) = (
        drugs("y.csv", "y", ""),
        drugs("z.csv", "z", ""),
        drugs("a.csv", "a", ""),
    );
    assert!(first == second);
    assert!(first.iter().any(|(row, one)| (one.1 - known[row].1).abs() > 1e-5));
    let absent = drugs("absent.csv", "a", "?");
    let preprocess = std::fs::read(folder.join("run/preprocess.json")).unwrap();
    let preprocess: serde_json::Value = serde_json::from_slice(&preprocess).unwrap();
    let pulse = preprocess["features"]
        .as_array()
        .unwrap()
        .iter()
        .position(|name| name == "pulse");
    let median = preprocess["scaler"]["median"][pulse.unwrap()].as_f64().unwrap();
    let median: &'static str = Box::leak(median.to_string().into_boxed_str());
    let middle = drugs("middle.csv", "a", median);
    for (row, one) in &absent {
        assert!((one.1 - middle[row].1).abs() < 1e-5, "row {row}: {one:?}");
    }

    // With labels it is said how well the model did.
    let out = ["predict", "--run", "run", "--data", "visits.csv", "--out", "scores.csv"];
    let said = text(&succeed(disentangle(folder).args(out)).stdout);
    assert!(
        said.starts_with("1400 rows in scores.csv; AUC 0.") && said.contains("1400 rows with a label"),
        "{said}"
    );
    let out = ["predict", "--run", "run", "--data", "new.csv", "--out", "new.parquet"];
    let said = text(&succeed(disentangle(folder).args(out)).stdout);
    assert_eq!(said, "467 rows in new.parquet\n");

    changed(folder, "short.csv", |_, cells| cells[..2].join(","));
    changed(folder, "text.csv", |row, mut cells| {
        if row == 4 {
            cells[2] = "fast";
        }
        cells.join(",")
    });
    changed(folder, "label.csv", |row, mut cells| {
        if row == 4 {
            cells[5] = "perhaps";
        }
        cells.join(",")
    });
    std::fs::write(folder.join("empty.csv"), "patient,pulse,drug,bed\n").unwrap();
    refused(
        folder,
        "short.csv",
        "short.csv: column `bed` is missing; found: patient, hospital",
    );
    refused(
        folder,
        "text.csv",
        "text.csv: row 5, column `pulse`: `fast` is not a number",
    );
    refused(folder, "label.csv", "row 5, column `died`: `perhaps` is not 0 or 1");
    refused(folder, "empty.csv", "empty.csv: cannot be read: holds no rows");
    refused(folder, "none.csv", "none.csv: cannot be read");
    refused(
        folder,
        ".",
        ".: is a folder, but the run has rows of a table; expected a file",
    );

    // What an older version kept is not enough, and says so.
    let mut older = preprocess;
    older.as_object_mut().unwrap().remove("encodings");
    std::fs::write(folder.join("run/preprocess.json"), older.to_string()).unwrap();
    refused(
        folder,
        "visits.csv",
        "run: an older version made it, which did not keep how columns were encoded",
    );
}

#[test]
fn records_by_what_training_rows_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_ward(folder, "records", &[]);
    write_ward(folder, "others", &["seed=9"]);
    succeed(disentangle(folder).args(["audit", "--data", "records", "--fast", "--quiet", "--out", "run"]));
    let (of_run, all) = (saved(&folder.join("run")), scored(folder, "records"));
    assert_eq!(of_run.len(), all.len());
    for (row, logit) in &of_run {
        assert!(
            (all[row].1 - logit).abs() < 1e-4,
            "row {row}: {} and {logit}",
            all[row].1
        );
    }
    // Other patients, of whom no split is read.
    std::fs::remove_file(folder.join("others/metadata/subject_splits.parquet")).unwrap();
    let others = scored(folder, "others");
    assert!(
        others.len() > 300
            && others
                .values()
                .all(|(label, logit)| !label.is_empty() && logit.is_finite())
    );
    assert!(others.values().next() != all.values().next());
    write_table(folder);
    refused(
        folder,
        "visits.csv",
        "visits.csv: is a file, but the run has rows of a MEDS dataset; expected its folder",
    );
    std::fs::remove_file(folder.join("others/labels/deterioration.parquet")).unwrap();
    refused(folder, "others", "others/labels/deterioration.parquet: cannot be read");
}

#[test]
fn drawn_rows_are_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    succeed(disentangle(folder).args(["experiment", "synthetic", "--fast", "--quiet", "--out", "run"]));
    let generate = [
        "dataset",
        "generate",
        "biased",
        "--out",
        "rows.parquet",
        "--set",
        "samples=50",
    ];
    succeed(disentangle(folder).args(generate));
    let rows = scored(folder, "rows.parquet");
    assert!(rows.len() > 50 && rows.values().all(|(label, _)| label == "0" || label == "1"));
}
