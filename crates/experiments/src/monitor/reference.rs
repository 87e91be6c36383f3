//! Held-out rows that a run keeps, so that new rows can be compared with them.

use std::{collections::BTreeSet, path::Path};

use disentangle_analysis::{detection::group_features, probing};
use disentangle_data::{Dataset, FeatureGroup, Reference, Seed, Split};
use disentangle_models::Model;
use disentangle_report::ReportError;
use ndarray::{Array2, ArrayBase, ArrayView2, Axis, concatenate};

use crate::{
    Context, ExperimentError,
    saved::{RowsOfRun, time},
};

/// Rows that are kept, at most.
const MOST: usize = 5000;
/// Rows that pass at once.
const ROWS: usize = 1024;
const FILE: &str = "reference.parquet";

/// Writes `reference.parquet`: rows on which nothing was fitted and of which the same holds as of training, in their order. Where rows
/// `follow` each other in time these are the latest of validation, the days after training; else test rows of environments that training
/// saw, random ones where there are too many.
pub(crate) fn save(dataset: &Dataset, model: &Model, follow: bool, context: &Context) -> Result<(), ExperimentError> {
    let rows = like_training(dataset, follow, context.root().child("reference"));
    let mut logits = Vec::with_capacity(rows.len());
    for part in rows.chunks(ROWS) {
        logits.extend(probing::logits(
            model,
            &dataset.inputs(part),
            context.device,
            context.threads,
        )?);
    }
    let windows = || rows.iter().map(|&row| &dataset.windows[row]);
    let reference = Reference {
        rows: windows().map(|window| window.target as u64).collect(),
        times: windows().map(|window| time(window.time)).collect(),
        subjects: windows()
            .map(|window| dataset.subjects[window.subject as usize].clone())
            .collect(),
        environments: windows()
            .map(|window| dataset.environments[window.environment as usize].clone())
            .collect(),
        labels: dataset.labels(&rows),
        logits,
        missing: missing(dataset, &rows),
        columns: column_names(&dataset.groups, &dataset.features, dataset.lookback),
        features: features(dataset, &rows)?,
    };
    Ok(reference.write(&context.path(FILE))?)
}

/// What [`save`] wrote. Fails for a run without it, and where groups are not those of the run.
pub(super) fn load(run: &Path, of: &RowsOfRun) -> Result<Reference, ExperimentError> {
    let unusable = |reason: &str| ReportError::NotARun {
        path: run.into(),
        reason: reason.into(),
    };
    let path = run.join(FILE);
    if !path.is_file() {
        let reason = "holds no reference.parquet, because an older version made it; run it again";
        return Err(unusable(reason).into());
    }
    let reference = Reference::read(&path)?;
    if reference.columns != column_names(&of.groups, &of.features, of.lookback) {
        let reason = "its reference.parquet has other columns than its groups; run it again";
        return Err(unusable(reason).into());
    }
    Ok(reference)
}

fn like_training(dataset: &Dataset, follow: bool, seed: Seed) -> Vec<usize> {
    if follow {
        let rows = dataset.part(Split::Validation);
        return rows[rows.len().saturating_sub(MOST)..].to_vec();
    }
    let of = |row: &usize| dataset.windows[*row].environment;
    let trained: BTreeSet<u32> = dataset.part(Split::Train).iter().map(of).collect();
    let test = dataset.part(Split::Test);
    let known: Vec<usize> = test.iter().copied().filter(|row| trained.contains(&of(row))).collect();
    let rows = if known.is_empty() { test } else { known };
    if rows.len() <= MOST {
        return rows;
    }
    let order = seed.rng().permutation(rows.len());
    let mut kept: Vec<usize> = order[..MOST].iter().map(|&place| rows[place]).collect();
    kept.sort_unstable();
    kept
}

/// The share of values that a window misses, for each.
pub(super) fn missing(dataset: &Dataset, windows: &[usize]) -> Vec<f64> {
    let share = |&window: &usize| {
        let start = dataset.windows[window].start;
        let values = (start..start + dataset.lookback).flat_map(|row| dataset.rows.row(row).to_vec());
        let absent = values.filter(|value| !value.is_finite()).count();
        absent as f64 / (dataset.lookback * dataset.features.len()).max(1) as f64
    };
    windows.iter().map(share).collect()
}

/// `[window, column]`: of every group its features, side by side.
pub(super) fn features(dataset: &Dataset, windows: &[usize]) -> Result<Array2<f64>, ExperimentError> {
    let failed = |error: ndarray::ShapeError| ExperimentError::Failed(format!("features of groups: {error}"));
    let mut parts: Vec<Array2<f64>> = Vec::new();
    for part in windows.chunks(ROWS) {
        let inputs = dataset.inputs(part);
        let of_groups: Vec<Array2<f64>> = dataset
            .groups
            .iter()
            .map(|group| group_features(inputs.view(), &group.columns))
            .collect();
        let views: Vec<ArrayView2<f64>> = of_groups.iter().map(ArrayBase::view).collect();
        parts.push(concatenate(Axis(1), &views).map_err(failed)?);
    }
    let views: Vec<ArrayView2<f64>> = parts.iter().map(ArrayBase::view).collect();
    match views.is_empty() {
        true => Ok(Array2::zeros((0, 0))),
        false => concatenate(Axis(0), &views).map_err(failed),
    }
}

/// Columns that [`features`] has for each column of a group.
pub(super) fn width(lookback: usize) -> usize {
    if lookback == 1 { 1 } else { 3 }
}

/// Their names: the group, and what of which column.
fn column_names(groups: &[FeatureGroup], features: &[String], lookback: usize) -> Vec<String> {
    let whats: &[&str] = match width(lookback) {
        1 => &[""],
        _ => &["last ", "mean ", "spread of "],
    };
    let of_group = |group: &FeatureGroup| -> Vec<String> {
        let columns = group.columns.iter().flat_map(|&column| {
            let name = |what: &&str| format!("{}/{what}{}", group.name, features[column]);
            whats.iter().map(name).collect::<Vec<_>>()
        });
        columns.collect()
    };
    groups.iter().flat_map(of_group).collect()
}
