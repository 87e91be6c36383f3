//! What is read off one trained model.

use burn::tensor::Device;
use disentangle_analysis::{
    causal::contrast::{Contrast, counterfactual},
    classification::{accuracy, roc_auc},
    importance::permute_columns,
    probing,
    site::SiteMeasures,
};
use disentangle_data::{Dataset, Seed, Split};
use disentangle_models::{Model, train::Trained};
use serde::{Deserialize, Serialize};

use super::config::MitigateSettings;
use crate::{ExperimentError, rows::LoadedRows};

/// Draws of counterfactual rows.
const DRAWS: usize = 3;

/// One model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Measured {
    /// In the order of [`VALUES`] where they do not depend on an environment.
    pub values: Vec<Option<f64>>,
    /// One an environment: accuracy, ROC AUC, worst-group accuracy.
    pub environments: Vec<[Option<f64>; 3]>,
}

/// Names of the values of one model.
pub(super) const VALUES: [&str; 7] = [
    "validation_accuracy",
    "validation_worst_group",
    "shortcut_effect",
    "shortcut_auc_drop",
    "pool_interference",
    "pool_effective_rank",
    "epochs",
];

/// Training and validation windows.
pub(super) fn parts(dataset: &Dataset) -> (Vec<usize>, Vec<usize>) {
    (dataset.part(Split::Train), dataset.part(Split::Validation))
}

/// Accuracy, ROC AUC, and the least accuracy over (label, shortcut) groups where these are known.
fn on_rows(dataset: &Dataset, rows: &[usize], logits: &[f64]) -> [Option<f64>; 3] {
    let labels = dataset.labels(rows);
    let worst = dataset.subgroups(rows).and_then(|groups| {
        let of = |group: u32| {
            let own = (0..rows.len()).filter(|&row| groups[row] == group);
            let (z, y): (Vec<f64>, Vec<f32>) = own.map(|row| (logits[row], labels[row])).unzip();
            accuracy(&z, &y)
        };
        (0..4).filter_map(of).min_by(f64::total_cmp)
    });
    [accuracy(logits, &labels), roc_auc(logits, &labels), worst]
}

pub(super) fn measure(
    config: &MitigateSettings,
    rows: &LoadedRows,
    group: &str,
    trained: &Trained,
    seed: Seed,
    device: &Device,
) -> Result<Measured, ExperimentError> {
    let (dataset, model) = (&rows.dataset, &trained.model);
    let logits = |rows: &[usize]| probing::logits(model, &dataset.inputs(rows), device, 1);
    let validation = dataset.part(Split::Validation);
    let [chosen_by, _, worst] = on_rows(dataset, &validation, &logits(&validation)?);
    let environments = rows
        .environments
        .iter()
        .map(|one| Ok(on_rows(dataset, &one.rows, &logits(&one.rows)?)))
        .collect::<Result<Vec<_>, ExperimentError>>()?;
    let main = &rows.environments[0].rows;
    let pool = probing::activations(model, dataset.inputs(main).view(), "pool", device);
    // A linear model has no pool.
    let site = pool.ok().and_then(|pool| SiteMeasures::new("pool", pool.view()).ok());
    let of_site = |value: fn(&SiteMeasures) -> Option<f64>| site.as_ref().and_then(value);
    Ok(Measured {
        values: vec![
            chosen_by,
            worst,
            effect(rows, group, model, seed, device)?,
            drop_without(config, rows, group, model, seed, device)?,
            of_site(|site| site.excess_interference.value),
            of_site(|site| site.effective_rank.value),
            Some(trained.history.len() as f64),
        ],
        environments,
    })
}

/// E[change of the logit] when the group comes from a row of the other side, oriented from side 0 to side 1, over the standard deviation of the
/// logit: what a unit of output the shortcut moves.
fn effect(
    rows: &LoadedRows,
    group: &str,
    model: &Model,
    seed: Seed,
    device: &Device,
) -> Result<Option<f64>, ExperimentError> {
    let Some(group) = rows.dataset.group(group) else {
        return Ok(None);
    };
    let main = &rows.environments[0].rows;
    let x = rows.dataset.inputs(main);
    let (_, sides) = rows.sides(group, main);
    let found = counterfactual(
        &x,
        &group.columns,
        &sides,
        Contrast::Opposite,
        DRAWS,
        seed.child("counterfactual"),
    )?;
    let whole = probing::logits(model, &x, device, 1)?;
    let mean = whole.iter().sum::<f64>() / whole.len() as f64;
    let spread = (whole.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / whole.len() as f64).sqrt();
    let mut total = 0.0;
    for changed in &found.draws {
        let changed = probing::logits(model, changed, device, 1)?;
        let moved = changed.iter().zip(&whole).zip(&found.orientation);
        total += moved
            .map(|((changed, z), orientation)| orientation * (changed - z))
            .sum::<f64>();
    }
    let count = (found.draws.len() * whole.len()) as f64;
    Ok((spread > 0.0).then(|| total / count / spread))
}

/// AUC lost on the main rows when the group's columns come from random rows.
fn drop_without(
    config: &MitigateSettings,
    rows: &LoadedRows,
    group: &str,
    model: &Model,
    seed: Seed,
    device: &Device,
) -> Result<Option<f64>, ExperimentError> {
    let Some(group) = rows.dataset.group(group) else {
        return Ok(None);
    };
    let main = &rows.environments[0].rows;
    let (x, labels) = (rows.dataset.inputs(main), rows.dataset.labels(main));
    let whole = roc_auc(&probing::logits(model, &x, device, 1)?, &labels);
    let mut without = 0.0;
    for draw in 0..config.permutations {
        let order = seed.child("permuted").index(draw as u64).rng().permutation(main.len());
        let logits = probing::logits(model, &permute_columns(&x, &group.columns, &order), device, 1)?;
        without += roc_auc(&logits, &labels).unwrap_or(0.5) / config.permutations as f64;
    }
    Ok(whole.map(|whole| whole - without))
}
