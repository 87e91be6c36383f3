//! `monitor`: a detector over consecutive windows of new rows (notebook, "real-time monitoring and adaptation", which it never wrote).
//!
//! A run keeps held-out rows of which the same holds as of its training. Of every window of new rows it is measured how far each feature
//! group lies from them, what the model predicts, and, where labels are known, how well the model and a probe of each group predict. What
//! such windows look like when nothing changes is drawn from the kept rows: the null of every statistic is the same statistic of windows
//! of the reference, each compared with the rest of it.

mod detector;
mod drawing;
mod outcome;
mod reference;
mod render;
mod statistics;
mod verdicts;

use std::path::Path;

use burn::tensor::Device;
use disentangle_analysis::multiple::permutation_p;
use disentangle_data::{DataError, NewRows};
use disentangle_report::ReportError;

pub(crate) use reference::save as save_reference;
pub(crate) use render::{report, table};

use crate::{ExperimentError, saved::SavedRun};
use outcome::{Band, Sizes, Tested, Watched, WindowLine};
use statistics::{Detector, Measured, Rows, Side};

/// Rows that a window needs, at least.
const LEAST_WINDOW: usize = 20;
/// Windows that the reference must hold, at least, so that a window drawn from it leaves something to be compared with.
const LEAST_SHARE: usize = 4;
/// Draws of the null, at least; more where many statistics share a small level.
const LEAST_DRAWS: usize = 999;

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Question<'a> {
    /// The run's folder.
    pub(crate) run: &'a Path,
    /// New rows.
    pub(crate) data: &'a Path,
    /// Rows of a window.
    pub(crate) window: usize,
    /// The chance that a window alarms although nothing changed.
    pub(crate) alarm: f64,
}

/// Reads new rows and compares every whole window of them with the run's reference. Windows are given in order of time, those without
/// times in order of the file.
///
/// Fails for a run without a reference or with too small a one, rows that the run's preprocessing does not take, and fewer rows than a
/// window has.
pub(crate) fn watch(question: &Question, device: &Device, threads: usize) -> Result<Watched, ExperimentError> {
    let (run, alarm) = (question.run, question.alarm);
    if !(0.001..=0.5).contains(&alarm) {
        return Err(DataError::setting("--alarm", alarm, "a chance from 0.001 to 0.5").into());
    }
    if question.window < LEAST_WINDOW {
        let expected = format!("at least {LEAST_WINDOW} rows");
        return Err(DataError::setting("--window", question.window, expected).into());
    }
    let saved = SavedRun::open(run, device)?;
    let reference = reference::load(run, &saved.rows)?;
    let most = reference.len() / LEAST_SHARE;
    if most < LEAST_WINDOW {
        let reason = format!(
            "its reference.parquet holds {} held-out rows; expected at least {}, {LEAST_SHARE} windows of {LEAST_WINDOW} rows",
            reference.len(),
            LEAST_SHARE * LEAST_WINDOW
        );
        return Err(ReportError::NotARun {
            path: run.into(),
            reason,
        }
        .into());
    }
    let new = saved.read(question.data)?;
    let mut notices = new.dataset.notices.clone();
    let window = question.window.min(most);
    if window < question.window {
        notices.push(format!(
            "windows hold {window} rows instead of {}: the run's reference has {} rows, which must be {LEAST_SHARE} windows or more",
            question.window,
            reference.len()
        ));
    }
    let order = in_order(&saved, &new);
    if order.len() < window {
        return Err(DataError::TooFewRows {
            name: question.data.display().to_string(),
            found: order.len(),
            needed: window,
            why: "one window".into(),
        }
        .into());
    }
    let labelled = order.iter().any(|&row| new.labels[row].is_some());
    if !labelled {
        notices.push("no row has a label: how well anything predicts it is not asked".into());
    }
    let detector = detector::fitted(&reference, &saved, labelled)?;
    notices.extend(detector.without_probe.iter().filter(|_| labelled).map(|group| {
        format!("group `{group}` does not predict the label in the reference: whether it still does is not asked")
    }));
    let count = detector.statistics.len();
    let draws = LEAST_DRAWS.max((2.0 * count as f64 / alarm).ceil() as usize);
    let level = alarm / count as f64;
    let null = detector.null(window, draws, detector::seed().child("null"));
    let bands: Vec<Option<Band>> = detector
        .statistics
        .iter()
        .zip(&null)
        .map(|(statistic, draws)| Band::new(statistic.kind.side(), draws, level))
        .collect();
    let mut lines = Vec::new();
    for chunk in order.chunks_exact(window) {
        let rows = windowed(&saved, &detector, &new, chunk, device, threads)?;
        let measured = detector.measure(&rows);
        let tested: Vec<Tested> = (0..count)
            .map(|place| tested(&detector, place, measured[place], &null[place], bands[place], level))
            .collect();
        let ends = [chunk[0], chunk[window - 1]];
        lines.push(WindowLine::new(
            lines.len() + 1,
            ends.map(|row| new.dataset.windows[row].target as u64),
            ends.map(|row| saved.time(&new, row)),
            rows.labels.iter().flatten().count(),
            tested,
        ));
    }
    Ok(Watched::new(
        question,
        &detector,
        Sizes {
            window,
            left_over: order.len() % window,
            draws,
        },
        &bands,
        lines,
        notices,
    ))
}

/// Windows of new rows by time; of prices those whose label is known.
fn in_order(saved: &SavedRun, new: &NewRows) -> Vec<usize> {
    let prices = saved.block(1).is_some();
    let mut order: Vec<usize> = (0..new.labels.len())
        .filter(|&row| !prices || new.labels[row].is_some())
        .collect();
    order.sort_by_key(|&row| new.dataset.windows[row].time);
    order
}

/// One window as statistics take it.
fn windowed(
    saved: &SavedRun,
    detector: &detector::Fitted,
    new: &NewRows,
    chunk: &[usize],
    device: &Device,
    threads: usize,
) -> Result<Rows, ExperimentError> {
    let features = detector.standardised(reference::features(&new.dataset, chunk)?);
    Ok(Rows {
        scores: Detector::scores(&detector.groups, &features),
        features,
        logits: saved.logits(&new.dataset, chunk, device, threads)?,
        labels: chunk.iter().map(|&row| new.labels[row]).collect(),
        missing: reference::missing(&new.dataset, chunk),
    })
}

/// A statistic of a window against its null.
fn tested(
    detector: &detector::Fitted,
    place: usize,
    measured: Measured,
    null: &[f64],
    band: Option<Band>,
    level: f64,
) -> Tested {
    let statistic = &detector.statistics[place];
    let p = measured
        .value
        .and_then(|value| p_value(statistic.kind.side(), value, null));
    Tested {
        kind: statistic.kind,
        group: statistic.group.map(|group| detector.groups[group].name.clone()),
        column: measured.column.map(|column| detector.columns[column].clone()),
        value: measured.value,
        low: band.and_then(|band| band.low),
        high: band.and_then(|band| band.high),
        p,
        alarm: p.is_some_and(|p| p <= level),
    }
}

/// By permutation, one added to both counts; twice the smaller side where either counts.
fn p_value(side: Side, value: f64, null: &[f64]) -> Option<f64> {
    let above = || permutation_p(value, null);
    let below = || permutation_p(-value, &null.iter().map(|draw| -draw).collect::<Vec<_>>());
    match side {
        Side::Above => above(),
        Side::Below => below(),
        Side::Both => Some((2.0 * above()?.min(below()?)).min(1.0)),
    }
}

#[cfg(test)]
mod tests;
