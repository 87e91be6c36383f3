//! What is read off one trained model.

use burn::tensor::Device;
use disentangle_analysis::{
    causal::contrast::{Contrast, counterfactual},
    classification::roc_auc,
    descriptive::mean,
    importance::permute_columns,
    probing,
    site::SiteMeasures,
};
use disentangle_data::{Dataset, FeatureGroup, Seed, Split};
use disentangle_models::{Model, train::Trained};
use ndarray::{Array2, Array3, s};

use super::config::MitigateSettings;
use crate::{
    ExperimentError,
    rows::LoadedRows,
    scores::{Scores, scores},
};

/// Draws of counterfactual rows.
const DRAWS: usize = 3;
/// Rows of which pooled activations are kept to compare models by, at most.
const POOLED: usize = 2000;

/// One model.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// In the order of [`VALUES`]; they do not depend on an environment.
    pub values: Vec<Option<f64>>,
    /// One an environment: accuracy, ROC AUC, worst-group accuracy.
    pub environments: Vec<Scores>,
    /// Logits of each environment's rows; the first are the main ones.
    pub logits: Vec<Vec<f64>>,
    /// AUC lost on the main rows without each group, by its name.
    pub importance: Vec<(String, Option<f64>)>,
    /// Pooled activations of evenly spaced main rows, `[row, neuron]`; a linear model has none.
    pub pool: Option<Array2<f32>>,
}

/// Names of the values of one model.
pub(super) const VALUES: [&str; 9] = [
    "validation_accuracy",
    "validation_worst_group",
    "shortcut_effect",
    "shortcut_auc_drop",
    "pool_interference",
    "pool_effective_rank",
    "pool_disentanglement",
    "gradient_norm",
    "epochs",
];

/// Training and validation windows.
pub(super) fn parts(dataset: &Dataset) -> (Vec<usize>, Vec<usize>) {
    (dataset.part(Split::Train), dataset.part(Split::Validation))
}

/// A model, and the main rows on which it is asked.
struct Asked<'a> {
    model: &'a Model,
    device: &'a Device,
    x: Array3<f32>,
    labels: Vec<f32>,
    logits: &'a [f64],
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
    let say = |rows: &[usize]| probing::logits(model, &dataset.inputs(rows), device, 1);
    let validation = dataset.part(Split::Validation);
    let [chosen_by, _, worst] = scores(dataset, &validation, &say(&validation)?);
    let logits: Vec<Vec<f64>> = rows
        .environments
        .iter()
        .map(|one| say(&one.rows))
        .collect::<Result<_, _>>()?;
    let by_environment = rows.environments.iter().zip(&logits);
    let environments = by_environment.map(|(one, logits)| scores(dataset, &one.rows, logits));
    let environments = environments.collect();

    let main = &rows.environments[0].rows;
    let asked = Asked {
        model,
        device,
        x: dataset.inputs(main),
        labels: dataset.labels(main),
        logits: &logits[0],
    };
    let importance: Vec<(String, Option<f64>)> = dataset
        .groups
        .iter()
        .map(|group| {
            Ok((
                group.name.clone(),
                asked.lost_without(&group.columns, config.permutations, seed)?,
            ))
        })
        .collect::<Result<_, ExperimentError>>()?;
    let of_shortcut = importance.iter().find(|(name, _)| name == group);
    let shortcut_drop = of_shortcut.and_then(|(_, drop)| *drop);
    let shortcut_effect = match dataset.group(group) {
        Some(group) => asked.effect(group, &rows.sides(group, main).1, seed)?,
        None => None,
    };
    let gradient_norm = asked.gradient_norm()?;
    let pool = probing::activations(model, asked.x.view(), "pool", device).ok();
    let site = pool
        .as_ref()
        .and_then(|pool| SiteMeasures::new("pool", pool.view()).ok());
    let of_site = |value: fn(&SiteMeasures) -> Option<f64>| site.as_ref().and_then(value);
    let step = main.len().div_ceil(POOLED).max(1);
    Ok(Measured {
        values: vec![
            chosen_by,
            worst,
            shortcut_effect,
            shortcut_drop,
            of_site(|site| site.excess_interference.value),
            of_site(|site| site.effective_rank.value),
            of_site(|site| site.interference.value.map(|shared| 1.0 - shared)),
            gradient_norm,
            Some(trained.history.len() as f64),
        ],
        environments,
        importance,
        pool: pool.map(|pool| pool.slice(s![..;step, ..]).mapv(|value| value as f32)),
        logits,
    })
}

impl Asked<'_> {
    fn logits(&self, x: &Array3<f32>) -> Result<Vec<f64>, ExperimentError> {
        Ok(probing::logits(self.model, x, self.device, 1)?)
    }

    /// E[change of the logit] when the group comes from a row of the other side, oriented from side 0 to side 1, over the standard deviation
    /// of the logit: what a unit of output the shortcut moves.
    fn effect(&self, group: &FeatureGroup, sides: &[f32], seed: Seed) -> Result<Option<f64>, ExperimentError> {
        let seed = seed.child("counterfactual");
        let found = counterfactual(&self.x, &group.columns, sides, Contrast::Opposite, DRAWS, seed)?;
        let whole = self.logits;
        let mean = whole.iter().sum::<f64>() / whole.len() as f64;
        let spread = (whole.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / whole.len() as f64).sqrt();
        let mut total = 0.0;
        for changed in &found.draws {
            let changed = self.logits(changed)?;
            let moved = changed.iter().zip(whole).zip(&found.orientation);
            total += moved
                .map(|((changed, z), orientation)| orientation * (changed - z))
                .sum::<f64>();
        }
        let count = (found.draws.len() * whole.len()) as f64;
        Ok((spread > 0.0).then(|| total / count / spread))
    }

    /// AUC lost when a group's columns come from random rows, a mean over draws. The permutations depend on the seed alone: they are the same
    /// for every group and every strategy of a training.
    fn lost_without(&self, columns: &[usize], draws: usize, seed: Seed) -> Result<Option<f64>, ExperimentError> {
        let mut without = 0.0;
        for draw in 0..draws {
            let order = seed
                .child("permuted")
                .index(draw as u64)
                .rng()
                .permutation(self.labels.len());
            let logits = self.logits(&permute_columns(&self.x, columns, &order))?;
            without += roc_auc(&logits, &self.labels).unwrap_or(0.5) / draws as f64;
        }
        Ok(roc_auc(self.logits, &self.labels).map(|whole| whole - without))
    }

    /// E‖∂logit/∂x‖ over rows, the Euclidean norm over all positions and features: how steep the output is where rows lie.
    fn gradient_norm(&self) -> Result<Option<f64>, ExperimentError> {
        let gradient = probing::logit_gradient(self.model, &self.x, self.device, 1)?;
        let norms = gradient
            .outer_iter()
            .map(|row| row.iter().map(|&slope| f64::from(slope).powi(2)).sum::<f64>().sqrt());
        Ok(mean(&norms.collect::<Vec<f64>>()))
    }
}
