//! Running the binary, and price files to run it on.
#![allow(dead_code)] // Each test file uses its part.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use disentangle_data::market::{MarketConfig, simulate};

/// Small enough for seconds, with every stage switched on.
pub(crate) const SMALL: &[&str] = &[
    "hidden=16",
    "feed_forward=32",
    "epochs=4",
    "permutations=9",
    "resamples=20",
    "granger_draws=9",
    "window=200",
    "refit_rows=200",
];

/// The binary, without a proxy that could reach a network.
pub(crate) fn disentangle(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_disentangle"));
    command.current_dir(folder).env("HTTPS_PROXY", "http://127.0.0.1:9");
    command
}

/// `experiment finance` with the small settings and more arguments.
pub(crate) fn finance(folder: &Path, out: &str, more: &[&str]) -> Command {
    let mut command = disentangle(folder);
    command.args(["experiment", "finance", "--out", out, "--threads", "2"]);
    for set in SMALL {
        command.args(["--set", set]);
    }
    command.args(more);
    command
}

#[track_caller]
pub(crate) fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Rows of a good price file, header first.
pub(crate) fn good_rows() -> Vec<String> {
    let prices = simulate(&MarketConfig::default());
    let mut rows = vec!["Date,Open,High,Low,Close,Adj Close,Volume".to_string()];
    for i in 0..500 {
        let values = [
            prices.open[i],
            prices.high[i],
            prices.low[i],
            prices.close[i],
            prices.adjusted[i],
        ]
        .map(|v| v.to_string());
        rows.push(format!(
            "{},{},{}",
            prices.times[i].date(),
            values.join(","),
            prices.volume[i]
        ));
    }
    rows
}

pub(crate) fn write(folder: &Path, name: &str, rows: &[String]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, rows.join("\n") + "\n").unwrap();
    path
}

/// A table of one's own: 700 patients with two visits each in two hospitals.
pub(crate) fn write_table(folder: &Path) {
    let mut rng = disentangle_data::Seed::new(1).rng();
    let mut rows = String::from("patient,hospital,pulse,drug,bed,died\n");
    for visit in 0..1400 {
        let died = rng.uniform() < 0.4;
        let pulse = 70.0 + 20.0 * rng.normal() + if died { 15.0 } else { 0.0 };
        let bed = if rng.uniform() < 0.8 {
            u8::from(died)
        } else {
            u8::from(!died)
        };
        let drug = ["a", "b", "?"][rng.below(3)];
        rows += &format!(
            "P{},H{},{pulse:.1},{drug},{bed},{}\n",
            visit / 2,
            visit % 4 / 2,
            u8::from(died)
        );
    }
    std::fs::write(folder.join("visits.csv"), rows).unwrap();
    let schema = "label = \"died\"\nsubject = \"patient\"\nenvironment = \"hospital\"\nmissing = [\"?\"]\n\
        [groups.body]\nrole = \"genuine\"\nnumeric = [\"pulse\"]\ncategorical = [\"drug\"]\n\
        [groups.ward]\nrole = \"spurious\"\nnumeric = [\"bed\"]\n";
    std::fs::write(folder.join("visits.toml"), schema).unwrap();
}

/// A simulated ward of 250 patients as a MEDS dataset.
pub(crate) fn write_ward(folder: &Path, name: &str, sets: &[&str]) {
    let mut command = disentangle(folder);
    command.args(["dataset", "generate", "ward", "--out", name, "--set", "patients=250"]);
    succeed(command.args(sets.iter().flat_map(|set| ["--set", set])));
}
