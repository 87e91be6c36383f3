//! `bench`: workloads, backends and threads against each other and against peers in Python.
//!
//! Every cell of the matrix runs in a process of its own, ours (`bench-cell`) as well as a peer's script: its peak
//! memory is its own, and a crash loses one cell. Those that are compared with each other take turns, A B A B, each
//! with half of the repeats, so that a machine that slows down slows down all of them. What must agree is exchanged as
//! a safetensors file: the rows and, where there is a model, our initial weights, which the peer loads strictly.

mod arguments;
mod document;
mod exchange;
mod growth;
mod machine;
mod matrix;
mod measure;
mod process;
mod report;
mod results;
mod table;
#[cfg(test)]
mod tests;
mod work;
mod workloads;

use std::{path::Path, sync::atomic::Ordering};

use chrono::Utc;
use disentangle_report::{RunDir, State, page, save_figures, write_file};
use indicatif::{ProgressBar, ProgressStyle};

pub use arguments::{BenchArguments, CellArguments};

use crate::{CANCEL, ExperimentError};
use arguments::Plan;
use document::{Document, SCHEMA_VERSION};
use machine::Machine;
use matrix::Comparison;
use measure::{Answer, Job};
use process::Place;

/// Measures what is asked, writes what `--out` and `--results` name, and returns what is printed: a table, or one JSON
/// document.
///
/// Fails for unknown workloads, backends that are not compiled in, a peer that is no Python with torch, and a folder
/// that holds anything, all before the first measurement. A cell that fails afterwards is a row with its message.
pub fn run(arguments: &BenchArguments) -> Result<String, ExperimentError> {
    let plan = arguments.plan()?;
    let place = Place::new(arguments.peer.as_deref())?;
    for &backend in &plan.backends {
        place.probe(backend)?;
    }
    let versions = place.versions()?;
    let out = arguments.out.as_deref();
    let mut folder = out
        .map(|out| RunDir::create(Path::new("runs"), Some(out), "bench", 0, ""))
        .transpose()?;
    let mut document = Document {
        schema_version: SCHEMA_VERSION,
        date: Utc::now().format("%Y-%m-%d").to_string(),
        machine: Machine::read(versions),
        cells: Vec::new(),
        growth: None,
    };
    let measured = measure(&plan, &place, &mut document, folder.as_ref())
        .and_then(|()| write(&document, folder.as_ref(), arguments.results.as_deref()));
    if let Some(folder) = &mut folder {
        match &measured {
            Ok(()) => folder.set(State::Done, None)?,
            Err(ExperimentError::Interrupted) => folder.set(State::Interrupted, None)?,
            Err(error) => folder.set(State::Failed, Some(error.to_string()))?,
        }
    }
    measured?;
    if arguments.json {
        return json(&document);
    }
    let mut text = table::table(&document);
    if let Some(folder) = &folder {
        text += &format!("report: {}\n", folder.path().join("report.html").display());
    }
    Ok(text)
}

/// The body of one cell's process: one JSON line. With `--repeats 0` only the backend is opened.
///
/// Fails for an unknown workload, a backend that is not compiled in, and where the work fails.
pub fn cell(arguments: &CellArguments) -> Result<String, ExperimentError> {
    let workload = workloads::find(&arguments.workload)?;
    let device = arguments.backend.open()?;
    let threads = arguments.threads.max(1);
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|error| ExperimentError::Failed(error.to_string()))?;
    let mut answer = match arguments.repeats {
        0 => Answer::default(),
        repeats => (workload.ours)(&Job {
            device: &device,
            threads,
            repeats,
            sizes: arguments.sizes,
            exchange: arguments.exchange.as_deref(),
        })?,
    };
    answer.framework = arguments.backend.name().into();
    answer.version = env!("CARGO_PKG_VERSION").into();
    answer.threads = threads;
    let line = serde_json::to_string(&answer).map_err(|error| ExperimentError::Failed(error.to_string()))?;
    Ok(line + "\n")
}

/// Fills the document, and keeps what there is after every comparison.
fn measure(
    plan: &Plan,
    place: &Place,
    document: &mut Document,
    folder: Option<&RunDir>,
) -> Result<(), ExperimentError> {
    let comparisons = plan.comparisons();
    let bar = progress(comparisons.len());
    for comparison in &comparisons {
        bar.set_message(comparison.to_string());
        document.cells.extend(matrix::compare(place, comparison)?);
        bar.inc(1);
        if let Some(folder) = folder {
            folder.write_json("bench.json", document)?;
        }
    }
    bar.finish_and_clear();
    if plan.growth {
        let backend = plan.backends[0];
        let most = plan.threads.iter().copied().max().unwrap_or(1);
        let compare = |comparison: &Comparison| matrix::compare(place, comparison);
        document.growth = Some(growth::measure(backend, most, plan.repeats, &progress, compare)?);
    }
    Ok(())
}

/// A bar on stderr; hidden where that is no terminal.
fn progress(steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64);
    let style = ProgressStyle::with_template("{msg:<32} {bar:32} {pos}/{len}  {elapsed} elapsed, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn write(document: &Document, folder: Option<&RunDir>, results: Option<&Path>) -> Result<(), ExperimentError> {
    if let Some(folder) = folder {
        folder.write_json("bench.json", document)?;
        let report = report::report(document);
        save_figures(&report, &folder.path().join("figures"))?;
        folder.write("report.html", page(&report).as_bytes())?;
    }
    if let Some(results) = results {
        write_file(results, results::markdown(document).as_bytes())?;
    }
    Ok(())
}

fn json(document: &Document) -> Result<String, ExperimentError> {
    let text = serde_json::to_string_pretty(document).map_err(|error| ExperimentError::Failed(error.to_string()))?;
    Ok(text + "\n")
}

/// Fails once Ctrl-C was pressed.
fn go_on() -> Result<(), ExperimentError> {
    match CANCEL.load(Ordering::Relaxed) {
        true => Err(ExperimentError::Interrupted),
        false => Ok(()),
    }
}
