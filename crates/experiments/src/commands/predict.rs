//! `predict --run DIR --data FILE`: new rows through a run's model.

use std::path::Path;

use burn::tensor::Device;
use disentangle_data::read_prices;
use disentangle_report::{Prediction, ReportError, RunDir, read_json, write_file, write_predictions};

use crate::{ExperimentError, finance};

/// Scores a price file. Writes Parquet to `out` if it ends in `.parquet`, CSV otherwise; without `out` the CSV is returned.
pub fn predict(
    run: &Path,
    data: &Path,
    out: Option<&Path>,
    device: &Device,
    threads: usize,
) -> Result<String, ExperimentError> {
    if !run.join("preprocess.json").exists() {
        // Says so if it is no run at all; a seed's folder has its model, and no status of its own.
        RunDir::read_status(run)?;
        let reason = if run.join("seeds").exists() {
            "holds several seeds; expected one of the folders below seeds/".into()
        } else {
            "holds no trained model (preprocess.json is absent)".into()
        };
        return Err(ReportError::NotARun {
            path: run.into(),
            reason,
        }
        .into());
    }
    let preprocess: serde_json::Value = read_json(run, "preprocess.json")?;
    if preprocess["kind"] != "finance" {
        let kind = preprocess["kind"].as_str().unwrap_or("another kind");
        return Err(ReportError::NotARun {
            path: run.into(),
            reason: format!("its model takes {kind} rows; `predict` scores price files, by runs of `finance`"),
        }
        .into());
    }
    let parquet = |path: &Path| path.extension().is_some_and(|extension| extension == "parquet");
    let (symbols, notices) = read_prices(data)?;
    for notice in notices {
        eprintln!("note: {notice}");
    }
    let rows = finance::predict(run, &data.display().to_string(), &symbols, device, threads)?;
    match out {
        None => Ok(csv(&rows)),
        Some(path) if parquet(path) => {
            write_predictions(path, &rows)?;
            Ok(format!("{} rows in {}\n", rows.len(), path.display()))
        }
        Some(path) => {
            write_file(path, csv(&rows).as_bytes())?;
            Ok(format!("{} rows in {}\n", rows.len(), path.display()))
        }
    }
}

fn csv(rows: &[Prediction]) -> String {
    let mut text = String::from("subject,row,time,label,logit,probability\n");
    for row in rows {
        let subject = if row.subject.contains([',', '"', '\n']) {
            format!("\"{}\"", row.subject.replace('"', "\"\""))
        } else {
            row.subject.clone()
        };
        let label = row.label.map_or_else(String::new, |label| label.to_string());
        let probability = 1.0 / (1.0 + (-row.logit).exp());
        text += &format!(
            "{subject},{},{},{label},{:.6},{probability:.6}\n",
            row.row, row.time, row.logit
        );
    }
    text
}
