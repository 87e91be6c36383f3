//! Every bad input: one sentence that names the place, exit code 2, and no folder left behind.

mod common;

use common::{disentangle, finance, good_rows, succeed, text, write};

struct Case<'a> {
    arguments: Vec<&'a str>,
    expected: &'a str,
}

fn check(folder: &std::path::Path, case: &Case) {
    let output = finance(folder, "run", &case.arguments).output().unwrap();
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{:?}: {error}", case.arguments);
    let shown = error.replace(&folder.display().to_string(), "DIR");
    assert!(
        shown.starts_with("error: ") && shown.trim_end().lines().count() == 1,
        "{shown}"
    );
    assert!(
        shown.contains(case.expected),
        "{:?}: expected {:?} in {shown}",
        case.arguments,
        case.expected
    );
    assert!(output.stdout.is_empty());
    assert!(!folder.join("run").exists(), "{:?} left a folder", case.arguments);
}

#[test]
fn price_files() {
    let folder = tempfile::tempdir().unwrap();
    let good = good_rows();
    let changed = |row: usize, change: &dyn Fn(&str) -> String| {
        let mut rows = good.clone();
        rows[row] = change(&rows[row]);
        rows
    };
    let column = |row: &str, index: usize, value: &str| {
        let mut cells: Vec<&str> = row.split(',').collect();
        cells[index] = value;
        cells.join(",")
    };
    let mut rising = good.clone();
    for (index, row) in rising.iter_mut().enumerate().skip(1) {
        *row = column(&column(row, 4, &index.to_string()), 5, &index.to_string());
    }
    let files: Vec<(&str, Vec<String>, &str)> = vec![
        (
            "missing.csv",
            changed(0, &|row| row.replace("Close,Adj", "Last,Adj")),
            "column `Close` is missing; found: Date, Open",
        ),
        (
            "number.csv",
            changed(7, &|row| column(row, 4, "12a")),
            "number.csv: row 8, column `Close`: `12a` is not a number",
        ),
        (
            "date.csv",
            changed(7, &|row| column(row, 0, "2020-02-30")),
            "row 8, column `Date`: `2020-02-30` is not a date",
        ),
        (
            "twice.csv",
            changed(7, &|row| column(row, 0, good[6].split(',').next().unwrap())),
            "rows 7 and 8 have the same date",
        ),
        (
            "zero.csv",
            changed(7, &|row| column(row, 4, "0")),
            "`0` is not a price, which is above zero",
        ),
        (
            "negative.csv",
            changed(7, &|row| column(row, 1, "-3")),
            "row 8, column `Open`: `-3` is not a price",
        ),
        (
            "nan.csv",
            changed(7, &|row| column(row, 5, "nan")),
            "row 8, column `Adj Close`: `nan` is not a finite number",
        ),
        (
            "empty-cell.csv",
            changed(7, &|row| column(row, 6, "")),
            "row 8, column `Volume`: `` is not a number",
        ),
        (
            "few.csv",
            good[..100].to_vec(),
            "few.csv: 99 rows are too few, expected at least 309",
        ),
        (
            "fewer.csv",
            good[..20].to_vec(),
            "19 rows are too few, expected at least 50",
        ),
        ("header.csv", good[..1].to_vec(), "header.csv: 0 rows are too few"),
        ("rising.csv", rising, "train labels are positive; expected both classes"),
    ];
    for (name, rows, expected) in &files {
        write(folder.path(), name, rows);
        let path = format!("dataset={name}");
        check(
            folder.path(),
            &Case {
                arguments: vec!["--set", &path],
                expected,
            },
        );
    }
    std::fs::write(folder.path().join("junk.parquet"), b"not parquet").unwrap();
    std::fs::write(folder.path().join("broken.csv.gz"), [0x1f, 0x8b, 8, 0, 1, 2, 3]).unwrap();
    for (name, expected) in [
        ("junk.parquet", "junk.parquet: cannot be read: "),
        ("broken.csv.gz", "broken.csv.gz: cannot be read: "),
        ("absent.csv", "absent.csv: cannot be read: "),
        (".", ".: cannot be read: "),
    ] {
        let path = format!("path={name}");
        check(
            folder.path(),
            &Case {
                arguments: vec!["--set", &path],
                expected,
            },
        );
    }
}

#[test]
fn unsorted_dates_are_sorted_with_a_notice() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = good_rows();
    rows.swap(5, 300);
    write(folder.path(), "unsorted.csv", &rows);
    succeed(&mut finance(
        folder.path(),
        "run",
        &[
            "--set",
            "dataset=unsorted.csv",
            "--set",
            "walk_forward=false",
            "--set",
            "epochs=1",
        ],
    ));
    let report = std::fs::read_to_string(folder.path().join("run/report.html")).unwrap();
    assert!(report.contains("unsorted.csv: dates were not in order; they were sorted"));
}

#[test]
fn settings_and_options() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    std::fs::write(&config, "epocs = 3\n").unwrap();
    let cases: Vec<(&[&str], &str)> = vec![
        (
            &["--set", "epocs=3"],
            "unknown key `epocs`; expected one of: adjusted, batch",
        ),
        (&["--config", "config.toml"], "config.toml: unknown key `epocs`"),
        (&["--config", "none.toml"], "none.toml: cannot be read"),
        (
            &["--set", "epochs=many"],
            "`epochs = many` cannot be used: expected a whole number, zero or more",
        ),
        (
            &["--set", "epochs=0"],
            "`epochs = 0` cannot be used: expected at least 1",
        ),
        (
            &["--set", "learning_rate=0"],
            "`learning_rate = 0` cannot be used: expected a number above 0",
        ),
        (
            &["--set", "lookback=5000"],
            "1006 rows are too few, expected at least 5020 (lookback 5000",
        ),
        (
            &["--set", "lookback=0"],
            "`lookback = 0` cannot be used: expected at least 1 row",
        ),
        (
            &["--set", "heads=5"],
            "`heads = 5` cannot be used: expected a divisor of hidden = 16",
        ),
        (&["--set", "dropout=1"], "`dropout = 1` cannot be used"),
        (
            &["--set", "rsi=fast"],
            "`rsi = fast` cannot be used: expected `simple` or `wilder`",
        ),
        (
            &["--set", "dataset=market", "--set", "path=prices.csv"],
            "`path = prices.csv` cannot be used: expected no file, because `dataset` or `source` names another source",
        ),
        (
            &["--set", "source=csv"],
            "`source = csv` cannot be used: expected `path` to be set too",
        ),
        (
            &["--set", "start=2023-01-01", "--set", "end=2022-01-01"],
            "`end = 2022-01-01` cannot be used: expected a day after start = 2023-01-01",
        ),
        (&["--set", "start=2050-01-01"], "0 rows are too few"),
        (
            &["--set", "symbols=XYZ"],
            "`symbols = XYZ` cannot be used: expected symbols that simulated market holds: SIMULATED",
        ),
        (
            &["--set", "weights=none.safetensors"],
            "none.safetensors: cannot be read",
        ),
        (
            &["--set", "dataset=yahoo", "--set", "cache=cache"],
            "symbol `SPY`: no connection to Yahoo: ",
        ),
        (
            &["--backend", "tch"],
            "backend `tch` is not compiled in; expected flex, or build it: ",
        ),
        (
            &["--seeds", "0"],
            "`--seed 0 --seeds 0` cannot be used: expected 1 to 10000 seeds",
        ),
        (
            &["--seed", "18446744073709551615", "--seeds", "2"],
            "cannot be used: expected 1 to 10000 seeds",
        ),
        (
            &["--set", "lookback=18446744073709551615"],
            "`lookback = 18446744073709551615` cannot be used: expected at most 1000000",
        ),
        (
            &["--set", "window=18446744073709551615"],
            "cannot be used: expected at most 1000000",
        ),
        (
            &["--set", "monitor=best"],
            "`monitor = best` cannot be used: expected one of `validation`, `train`, `off`",
        ),
        (
            &["--set", "resamples=0"],
            "`resamples = 0` cannot be used: expected at least 1",
        ),
        (
            &["--set", "permutations=0"],
            "`permutations = 0` cannot be used: expected at least 1",
        ),
    ];
    for (arguments, expected) in cases {
        check(
            folder.path(),
            &Case {
                arguments: arguments.to_vec(),
                expected,
            },
        );
    }
}

#[test]
fn folders_and_weights() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("full")).unwrap();
    std::fs::write(folder.path().join("full/file"), "x").unwrap();
    let fail = |out: &str, more: &[&str]| {
        let output = finance(folder.path(), out, more).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        text(&output.stderr)
    };
    let quick = ["--set", "walk_forward=false", "--set", "epochs=1"];
    assert_eq!(
        fail("full", &quick),
        "error: full: is not empty; expected a folder that is empty or does not exist\n"
    );
    assert!(fail("full/file/below", &quick).contains("cannot be written"));
    succeed(&mut finance(folder.path(), "done", &quick));
    assert!(fail("done", &quick).contains("done: already holds a run"));
    let resumed = disentangle(folder.path())
        .args(["experiment", "finance", "--resume", "done"])
        .output()
        .unwrap();
    assert_eq!(
        text(&resumed.stderr),
        "error: done: the run is complete; there is nothing to resume\n"
    );
    // Weights of other sizes name their tensors.
    let error = fail(
        "other",
        &["--set", "weights=done/model.safetensors", "--set", "hidden=32"],
    );
    assert!(
        error.contains("`feature_embedding.weight` is [16, 5], expected [32, 5]"),
        "{error}"
    );
    assert!(!folder.path().join("other").exists());
    // The same sizes are taken.
    succeed(&mut finance(
        folder.path(),
        "again",
        &["--set", "weights=done/model.safetensors", "--set", "walk_forward=false"],
    ));
    for (command, expected) in [
        (vec!["report", "full"], "full: no run: it holds no status.json"),
        (
            vec!["predict", "--run", "full", "--data", "x.csv"],
            "full: no run: it holds no status.json",
        ),
        (
            vec!["predict", "--run", "done", "--data", "x.csv"],
            "x.csv: cannot be read",
        ),
        (vec!["compare", "done", "full"], "full/metrics.json: cannot be read"),
        (vec!["dataset", "describe", "none.csv"], "none.csv: cannot be read"),
        (
            vec!["dataset", "generate", "moon", "--out", "x.parquet"],
            "unknown dataset `moon`; expected one of: market",
        ),
        (
            vec!["dataset", "generate", "market", "--out", "x.parquet", "--set", "beta=1"],
            "expected a volatility above 0",
        ),
        (
            vec!["bench", "--workloads", "moon"],
            "unknown workload `moon`; expected one of: all, small, finance",
        ),
    ] {
        let output = disentangle(folder.path()).args(&command).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{command:?}");
        assert!(
            text(&output.stderr).contains(expected),
            "{command:?}: {}",
            text(&output.stderr)
        );
    }
}
