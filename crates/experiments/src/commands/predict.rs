//! `predict --run DIR --data FILE`: new rows through a run's model.

use std::path::Path;

use burn::tensor::Device;
use disentangle_analysis::classification::{accuracy, roc_auc};
use disentangle_report::{Prediction, write_file, write_predictions};

use crate::{ExperimentError, saved::SavedRun};

/// Rows that pass at once.
const ROWS: usize = 4096;

/// Scores a price file, a table or a MEDS folder, whichever the run was made of. Writes Parquet to `out` if it ends in `.parquet`, CSV
/// otherwise; without `out` the CSV is returned. Labels are not needed; where they are known, it is said how well the model did.
pub fn predict(
    run: &Path,
    data: &Path,
    out: Option<&Path>,
    device: &Device,
    threads: usize,
) -> Result<String, ExperimentError> {
    let saved = SavedRun::open(run, device)?;
    let new = saved.read(data)?;
    for notice in &new.dataset.notices {
        eprintln!("note: {notice}");
    }
    let family = saved.family();
    let all: Vec<usize> = (0..new.labels.len()).collect();
    let mut rows = Vec::with_capacity(all.len());
    for windows in all.chunks(ROWS) {
        let logits = saved.logits(&new.dataset, windows, device, threads)?;
        rows.extend(windows.iter().zip(logits).map(|(&place, logit)| {
            let window = &new.dataset.windows[place];
            Prediction {
                split: "new".into(),
                row: window.target as u64,
                time: saved.time(&new, place),
                subject: new.dataset.subjects[window.subject as usize].clone(),
                environment: new.dataset.environments[window.environment as usize].clone(),
                seed: 0,
                model: family.clone(),
                strategy: None,
                label: new.labels[place],
                logit,
            }
        }));
    }
    let Some(path) = out else {
        if let Some(said) = score(&rows) {
            eprintln!("note: {said}");
        }
        return Ok(csv(&rows));
    };
    if path.extension().is_some_and(|extension| extension == "parquet") {
        write_predictions(path, &rows)?;
    } else {
        write_file(path, csv(&rows).as_bytes())?;
    }
    let said = score(&rows).map_or_else(String::new, |said| format!("; {said}"));
    Ok(format!("{} rows in {}{said}\n", rows.len(), path.display()))
}

/// How well the model did where labels are known.
fn score(rows: &[Prediction]) -> Option<String> {
    let labelled = rows.iter().filter_map(|row| Some((row.logit, row.label?)));
    let (logits, labels): (Vec<f64>, Vec<f32>) = labelled.unzip();
    let right = accuracy(&logits, &labels)?;
    let auc = roc_auc(&logits, &labels).map_or_else(
        || "no AUC, because there is one label only".into(),
        |auc| format!("AUC {auc:.3}"),
    );
    Some(format!(
        "{auc}, accuracy {right:.3} on {} rows with a label",
        labels.len()
    ))
}

fn csv(rows: &[Prediction]) -> String {
    let quoted = |name: &str| match name.contains([',', '"', '\n']) {
        true => format!("\"{}\"", name.replace('"', "\"\"")),
        false => name.to_string(),
    };
    let mut text = String::from("subject,row,time,label,logit,probability\n");
    for row in rows {
        let label = row.label.map_or_else(String::new, |label| label.to_string());
        let probability = 1.0 / (1.0 + (-row.logit).exp());
        text += &format!(
            "{},{},{},{label},{:.6},{probability:.6}\n",
            quoted(&row.subject),
            row.row,
            row.time,
            row.logit
        );
    }
    text
}
