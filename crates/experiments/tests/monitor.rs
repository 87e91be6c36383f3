//! `monitor`: what drifts is found, what does not is left alone, and what cannot be watched is refused.

mod common;

use std::path::Path;

use chrono::NaiveDate;
use common::{disentangle, finance, succeed, text, write_table};
use disentangle_data::{
    Seed,
    market::{MarketConfig, simulate},
    write_parquet,
};
use serde_json::Value;

fn watch(folder: &Path, data: &str, more: &[&str]) -> Value {
    let mut command = disentangle(folder);
    command.args(["monitor", "--run", "run", "--data", data, "--json", "--threads", "2"]);
    serde_json::from_slice(&succeed(command.args(more)).stdout).unwrap()
}

fn statistic<'v>(found: &'v Value, kind: &str, group: &str) -> &'v Value {
    let mut all = found["statistics"].as_array().unwrap().iter();
    let one = all.find(|one| one["kind"] == kind && (group.is_empty() || one["group"] == group));
    one.unwrap_or_else(|| panic!("no {kind} of {group:?} in {found}"))
}

fn verdicts(found: &Value) -> Vec<String> {
    let all = found["verdicts"].as_array().unwrap().iter();
    all.map(|one| one["text"].as_str().unwrap().into()).collect()
}

fn alarmed(found: &Value) -> Vec<u64> {
    let windows = found["alarmed"].as_array().unwrap().iter();
    windows.map(|window| window.as_u64().unwrap()).collect()
}

/// New visits, drawn as those of [`write_table`]; pulses after row `from` are faster, and with `broken` the bed says nothing from there on.
fn visits(folder: &Path, name: &str, seed: u64, from: usize, faster: f64, broken: bool) {
    let mut rng = Seed::new(seed).child("visits").rng();
    let mut rows = String::from("patient,hospital,pulse,drug,bed,died\n");
    for visit in 0..1400 {
        let died = rng.uniform() < 0.4;
        let late = visit >= from;
        let pulse = 70.0 + 20.0 * rng.normal() + if died { 15.0 } else { 0.0 } + if late { faster } else { 0.0 };
        let agrees = rng.uniform() < if late && broken { 0.5 } else { 0.8 };
        let drug = ["a", "b", "?"][rng.below(3)];
        rows += &format!(
            "N{},H{},{pulse:.1},{drug},{},{}\n",
            visit / 2,
            visit % 4 / 2,
            u8::from(agrees == died),
            u8::from(died)
        );
    }
    std::fs::write(folder.join(name), rows).unwrap();
}

#[test]
fn a_table_that_drifts_half_way() {
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
    let (mut false_alarms, mut quiet) = (0, 0);
    for seed in 1..=3 {
        visits(folder, "new.csv", seed, 700, 25.0, false);
        let found = watch(folder, "new.csv", &[]);
        // 280 held-out rows hold four windows of 70, and 1400 rows twenty of these.
        assert_eq!((&found["window"], &found["windows"]), (&70.into(), &20.into()));
        assert!(
            found["notices"][0].as_str().unwrap().contains("instead of 200"),
            "{found}"
        );
        let body = statistic(&found, "distance", "body");
        let from = body["from"].as_u64().unwrap();
        assert!(body["drift"] == true && (10..=11).contains(&from), "{body}");
        let alarms: Vec<u64> = body["alarms"]
            .as_array()
            .unwrap()
            .iter()
            .map(|w| w.as_u64().unwrap())
            .collect();
        assert!((11..=20).all(|window| alarms.contains(&window)), "{alarms:?}");
        assert_eq!(statistic(&found, "distance", "ward")["drift"], false);
        assert_eq!(statistic(&found, "probe", "ward")["drift"], false);
        let first = &verdicts(&found)[0];
        let expected = format!(
            "covariate drift in group `body` from window {from} on (row {})",
            70 * (from - 1)
        );
        assert!(first.starts_with(&expected), "{first}");
        false_alarms += alarmed(&found).iter().filter(|&&window| window <= 10).count();
        quiet += 10;
    }
    // 1.5 of 30 are allowed by the level; windows share a reference.
    assert!(false_alarms <= 5, "{false_alarms} of {quiet}");

    visits(folder, "still.csv", 8, 0, 0.0, false);
    let still = watch(folder, "still.csv", &["--alarm", "0.01"]);
    assert!(verdicts(&still)[0].starts_with("no drift"), "{still}");

    // What the bed said ends, and nothing else does.
    visits(folder, "broken.csv", 4, 700, 0.0, true);
    let found = watch(folder, "broken.csv", &["--out", "watched"]);
    let ward = statistic(&found, "probe", "ward");
    assert_eq!(ward["drift"], true, "{ward}");
    assert!(ward["from"].as_u64().unwrap().abs_diff(11) <= 2, "{ward}");
    assert_eq!(statistic(&found, "probe", "body")["drift"], false);
    assert_eq!(statistic(&found, "distance", "body")["drift"], false);
    let said = verdicts(&found).join("\n");
    assert!(said.contains("group `ward` no longer predicts the label") && said.contains("while `body` still does"));

    // The log says the same, a line a window.
    let log = std::fs::read_to_string(folder.join("watched/drift.jsonl")).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 20);
    for (index, line) in lines.iter().enumerate() {
        let first = 70 * index as u64;
        assert_eq!(line["rows"], serde_json::json!([first, first + 69]));
        assert_eq!(line["alarm"], alarmed(&found).contains(&(index as u64 + 1)));
        assert_eq!(line["labelled"], 70);
        for one in line["statistics"].as_array().unwrap() {
            let alarm = one["p"].as_f64().is_some_and(|p| p <= found["level"].as_f64().unwrap());
            assert_eq!(one["alarm"], alarm, "{one}");
        }
    }
    let summary = std::fs::read(folder.join("watched/monitor.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&summary).unwrap(), found);
    let report = std::fs::read_to_string(folder.join("watched/report.html")).unwrap();
    assert!(report.contains("Monitor: broken.csv") && report.contains("Drift log"));
    assert!(folder.join("watched/figures/statistic_1.svg").exists());
    let mut command = disentangle(folder);
    command.args([
        "monitor",
        "--run",
        "run",
        "--data",
        "broken.csv",
        "--json",
        "--threads",
        "1",
    ]);
    assert_eq!(
        succeed(&mut command).stdout,
        summary,
        "the answer depends on the number of threads"
    );

    // Without labels the columns alone are watched.
    let table = std::fs::read_to_string(folder.join("broken.csv")).unwrap();
    let rows: Vec<&str> = table
        .lines()
        .filter_map(|line| Some(line.rsplit_once(',')?.0))
        .collect();
    std::fs::write(folder.join("unlabelled.csv"), rows.join("\n")).unwrap();
    let found = watch(folder, "unlabelled.csv", &[]);
    let kinds = found["statistics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["kind"].as_str().unwrap());
    assert_eq!(kinds.collect::<Vec<_>>(), ["distance", "distance", "prediction"]);

    refusals(folder);
}

fn refusals(folder: &Path) {
    let table = std::fs::read_to_string(folder.join("broken.csv")).unwrap();
    let few: Vec<&str> = table.lines().take(31).collect();
    std::fs::write(folder.join("few.csv"), few.join("\n")).unwrap();
    std::fs::write(folder.join("other.csv"), table.replacen("pulse", "rate", 1)).unwrap();
    let check = |arguments: &[&str], expected: &str| {
        let output = disentangle(folder).arg("monitor").args(arguments).output().unwrap();
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
    };
    let with = |data: &'static str| vec!["--run", "run", "--data", data];
    check(
        &with("few.csv"),
        "few.csv: 30 rows are too few, expected at least 70 (one window)",
    );
    check(
        &with("other.csv"),
        "other.csv: column `pulse` is missing; found: patient, hospital, rate",
    );
    check(&with("none.csv"), "none.csv: cannot be read");
    check(
        &["--run", "watched", "--data", "few.csv"],
        "watched: no run: it holds no status.json",
    );
    check(
        &[&with("few.csv")[..], &["--window", "5"]].concat(),
        "`--window = 5` cannot be used: expected at least 20",
    );
    check(
        &[&with("few.csv")[..], &["--alarm", "2"]].concat(),
        "`--alarm = 2` cannot be used: expected a chance from",
    );
    check(
        &[&with("broken.csv")[..], &["--out", "watched"]].concat(),
        "watched: is not empty; expected a folder",
    );
    std::fs::remove_file(folder.join("run/reference.parquet")).unwrap();
    check(
        &with("broken.csv"),
        "run: holds no reference.parquet, because an older version made it; run it again",
    );
}

#[test]
fn a_market_whose_shortcut_ends() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let day = |year: i32| NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
    let write = |name: &str, seed: u64, span: [i32; 2], shortcut_end: Option<NaiveDate>| {
        let config = MarketConfig {
            seed,
            start: day(span[0]),
            end: day(span[1]),
            shortcut_end,
            ..MarketConfig::default()
        };
        write_parquet(&folder.join(name), &simulate(&config)).unwrap();
    };
    write("old.parquet", 1, [2005, 2020], None);
    write("new.parquet", 2, [2020, 2028], Some(day(2024)));
    let sets = ["dataset=old.parquet", "stationary=true", "walk_forward=false"];
    let more: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    succeed(&mut finance(folder, "run", &more));
    let found = watch(folder, "new.parquet", &["--window", "150", "--out", "watched"]);
    assert!(
        found["drawn"]
            .as_str()
            .unwrap()
            .contains("moving blocks of 50 consecutive rows"),
        "{found}"
    );
    let calendar = statistic(&found, "probe", "calendar");
    assert_eq!(calendar["drift"], true, "{calendar}");
    // 2020 to 2023 are about a thousand days.
    assert!((6..=8).contains(&calendar["from"].as_u64().unwrap()), "{calendar}");
    assert_eq!(statistic(&found, "distance", "calendar")["drift"], false);
    let said = verdicts(&found).join("\n");
    assert!(said.contains("group `calendar` no longer predicts the label"), "{said}");
    let log = std::fs::read_to_string(folder.join("watched/drift.jsonl")).unwrap();
    assert!(log.lines().next().unwrap().contains("\"times\":[\"2020-"), "{log}");
}
