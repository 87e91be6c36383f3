//! `compare DIR DIR...`: runs side by side.

use std::{collections::BTreeMap, path::PathBuf};

use disentangle_report::MetricRow;
use serde_json::json;

use super::rerender::outcome;
use crate::ExperimentError;

/// A table with one line a number that all runs have and one column a run; `*` where two intervals do not overlap. JSON on request.
pub fn compare(paths: &[PathBuf], as_json: bool) -> Result<String, ExperimentError> {
    if paths.len() < 2 {
        return Err(ExperimentError::Input("`compare` needs two run folders or more".into()));
    }
    let mut lines: BTreeMap<String, Vec<Option<MetricRow>>> = BTreeMap::new();
    let mut order = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        for row in outcome(path)?.rows().into_iter().filter(|row| row.params.is_none()) {
            let parts = [&row.split, &row.model, &row.group, &row.site];
            let name: Vec<&str> = parts
                .into_iter()
                .flatten()
                .map(String::as_str)
                .chain([row.metric.as_str()])
                .collect();
            let key = name.join(" ");
            if !lines.contains_key(&key) {
                order.push(key.clone());
            }
            lines.entry(key).or_insert_with(|| vec![None; paths.len()])[index] = Some(row);
        }
    }
    if as_json {
        let runs: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        let rows: Vec<_> = order
            .iter()
            .map(|key| json!({"metric": key, "runs": lines[key]}))
            .collect();
        let document = json!({"schema_version": 1, "runs": runs, "metrics": rows});
        return serde_json::to_string_pretty(&document).map_err(|error| ExperimentError::Failed(error.to_string()));
    }
    let mut text = String::new();
    for (index, path) in paths.iter().enumerate() {
        text += &format!("[{}] {}\n", index + 1, path.display());
    }
    text += &format!("\n{:<52}", "");
    for index in 0..paths.len() {
        text += &format!("{:<26}", format!("[{}]", index + 1));
    }
    for key in &order {
        let rows = &lines[key];
        let mark = if rows
            .iter()
            .enumerate()
            .any(|(i, a)| rows[..i].iter().any(|b| apart(a.as_ref(), b.as_ref())))
        {
            "*"
        } else {
            " "
        };
        text += &format!("\n{mark} {key:<50}");
        for row in rows {
            text += &format!("{:<26}", show(row.as_ref()));
        }
    }
    text += "\n\n* two intervals do not overlap\n";
    Ok(text)
}

fn apart(a: Option<&MetricRow>, b: Option<&MetricRow>) -> bool {
    let ends = |row: Option<&MetricRow>| row.and_then(|row| row.low.zip(row.high));
    ends(a).zip(ends(b)).is_some_and(|(a, b)| a.1 < b.0 || b.1 < a.0)
}

fn show(row: Option<&MetricRow>) -> String {
    match row.and_then(|row| Some((row.value?, row.low.zip(row.high)))) {
        Some((value, Some((low, high)))) => format!("{value:.3} [{low:.3}, {high:.3}]"),
        Some((value, None)) => format!("{value:.4}"),
        None => "–".into(),
    }
}
