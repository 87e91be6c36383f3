//! `monitor --run DIR --data FILE`: windows of new rows against what a run kept.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use disentangle_report::{ReportError, page, save_figures, write_file};

use crate::{
    ExperimentError,
    monitor::{Question, report, table, watch},
};

/// What to watch.
#[derive(Clone, Debug, clap::Args)]
pub struct MonitorArguments {
    /// The run's folder.
    #[arg(long)]
    run: PathBuf,
    /// A price file, a table or the folder of a MEDS dataset, as the run was made of.
    #[arg(long)]
    data: PathBuf,
    /// Rows of a window.
    #[arg(long, default_value_t = 200)]
    window: usize,
    /// The chance that a window alarms although nothing changed.
    #[arg(long, default_value_t = 0.05)]
    alarm: f64,
    /// A new folder for drift.jsonl, monitor.json and report.html; nothing is written if absent.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Prints monitor.json on stdout instead of a table.
    #[arg(long)]
    json: bool,
}

/// Compares windows of new rows with a run's reference, writes what `--out` asks for, and returns what is printed.
///
/// Fails for a folder that holds anything, a run without a reference, and rows that the run does not take.
pub fn monitor(arguments: &MonitorArguments, device: &Device, threads: usize) -> Result<String, ExperimentError> {
    if let Some(out) = &arguments.out {
        is_free(out)?;
    }
    let question = Question {
        run: &arguments.run,
        data: &arguments.data,
        window: arguments.window,
        alarm: arguments.alarm,
    };
    let watched = watch(&question, device, threads)?;
    let failed = |error: serde_json::Error| ExperimentError::Failed(error.to_string());
    let json = serde_json::to_string_pretty(&watched).map_err(failed)? + "\n";
    let mut text = match arguments.json {
        true => json.clone(),
        false => table(&watched),
    };
    if let Some(out) = &arguments.out {
        std::fs::create_dir_all(out).map_err(|error| ReportError::Write {
            path: out.clone(),
            reason: error.to_string(),
        })?;
        let report = report(&watched);
        save_figures(&report, &out.join("figures"))?;
        write_file(&out.join("report.html"), page(&report).as_bytes())?;
        write_file(&out.join("drift.jsonl"), watched.log().map_err(failed)?.as_bytes())?;
        write_file(&out.join("monitor.json"), json.as_bytes())?;
        if !arguments.json {
            text += &format!("report: {}\n", out.join("report.html").display());
        }
    }
    Ok(text)
}

/// Refuses a folder that holds anything.
fn is_free(out: &Path) -> Result<(), ReportError> {
    let taken = |reason: &str| ReportError::Taken {
        path: out.into(),
        reason: reason.into(),
    };
    if !out.exists() {
        return Ok(());
    }
    let mut inside = std::fs::read_dir(out).map_err(|_| taken("is not a folder"))?;
    match inside.next() {
        None => Ok(()),
        Some(_) => Err(taken("is not empty")),
    }
}
