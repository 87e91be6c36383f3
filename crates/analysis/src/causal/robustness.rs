//! Rows with noise, and how fast a model loses by it (notebook part 23).

use disentangle_data::Seed;
use ndarray::Array3;
use serde::{Deserialize, Serialize};

use crate::{Bootstrap, Estimate, classification::RankedScores};

/// How rows are disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disturbance {
    /// Independent normal noise; the level is its standard deviation, in standard deviations of a feature.
    GaussianNoise,
    /// Entries become 0, the training mean; the level is their share.
    FeatureDropout,
    /// One step of the level's size along the sign of the loss's gradient (Goodfellow, Shlens and Szegedy 2015).
    Fgsm,
    /// Ten smaller such steps, kept within the level of the row (Madry et al. 2018).
    Pgd,
}

impl Disturbance {
    /// All, in the order of reports.
    pub const ALL: [Disturbance; 4] = [
        Disturbance::GaussianNoise,
        Disturbance::FeatureDropout,
        Disturbance::Fgsm,
        Disturbance::Pgd,
    ];

    /// As in reports.
    pub fn name(self) -> &'static str {
        match self {
            Disturbance::GaussianNoise => "Gaussian noise",
            Disturbance::FeatureDropout => "feature dropout",
            Disturbance::Fgsm => "FGSM",
            Disturbance::Pgd => "PGD",
        }
    }

    /// Whether it uses the model's gradient.
    pub fn is_attack(self) -> bool {
        matches!(self, Disturbance::Fgsm | Disturbance::Pgd)
    }
}

/// `inputs` with noise of standard deviation `level` on `columns`.
pub fn gaussian_noise(inputs: &Array3<f32>, columns: &[usize], level: f64, seed: Seed) -> Array3<f32> {
    let mut rng = seed.rng();
    change(inputs, columns, |x| x + (level * rng.normal()) as f32)
}

/// `inputs` in which each entry of `columns` is 0 with probability `level`; not rescaled, as in the notebook.
pub fn feature_dropout(inputs: &Array3<f32>, columns: &[usize], level: f64, seed: Seed) -> Array3<f32> {
    let mut rng = seed.rng();
    change(inputs, columns, |x| if rng.uniform() < level { 0.0 } else { x })
}

fn change(inputs: &Array3<f32>, columns: &[usize], mut of: impl FnMut(f32) -> f32) -> Array3<f32> {
    let mut changed = inputs.clone();
    for mut row in changed.outer_iter_mut() {
        for mut position in row.outer_iter_mut() {
            for &column in columns {
                position[column] = of(position[column]);
            }
        }
    }
    changed
}

/// ROC AUC at each level of a disturbance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Degradation {
    /// The disturbance.
    pub disturbance: Disturbance,
    /// Its levels.
    pub levels: Vec<f64>,
    /// ROC AUC at each, the mean over draws of the noise.
    pub auc: Vec<Estimate>,
    /// OLS slope of 1 - AUC on the level, the undisturbed rows at level 0 included: how much AUC a unit of the level costs.
    pub slope: Estimate,
}

/// From logits of undisturbed rows, and of disturbed ones by level and draw. Intervals resample rows, the same ones at every level.
pub fn degradation(
    disturbance: Disturbance,
    labels: &[f32],
    undisturbed: &[f64],
    levels: &[(f64, Vec<Vec<f64>>)],
    bootstrap: &Bootstrap,
) -> Degradation {
    let rank = |logits: &[f64]| RankedScores::new(logits, labels);
    let clean = rank(undisturbed);
    let ranked: Vec<Vec<RankedScores>> = levels
        .iter()
        .map(|(_, draws)| draws.iter().map(|logits| rank(logits)).collect())
        .collect();
    let mean_auc = |draws: &[RankedScores], weights: &[f64]| -> Option<f64> {
        let values: Option<Vec<f64>> = draws.iter().map(|ranked| ranked.auc(weights)).collect();
        crate::descriptive::mean(&values?)
    };
    let n = labels.len();
    let x: Vec<f64> = std::iter::once(0.0)
        .chain(levels.iter().map(|(level, _)| *level))
        .collect();
    let slope = bootstrap.estimate_weighted(n, |weights| {
        let mut y = vec![1.0 - clean.auc(weights)?];
        for draws in &ranked {
            y.push(1.0 - mean_auc(draws, weights)?);
        }
        slope(&x, &y)
    });
    Degradation {
        disturbance,
        levels: levels.iter().map(|(level, _)| *level).collect(),
        auc: ranked
            .iter()
            .map(|draws| {
                bootstrap
                    .estimate_weighted(n, |weights| mean_auc(draws, weights))
                    .within(0.0, 1.0)
            })
            .collect(),
        slope,
    }
}

/// OLS slope of `y` on `x`. `None` where x does not vary.
pub fn slope(x: &[f64], y: &[f64]) -> Option<f64> {
    let (mx, my) = (crate::descriptive::mean(x)?, crate::descriptive::mean(y)?);
    let (cross, square) = x.iter().zip(y).fold((0.0, 0.0), |(cross, square), (x, y)| {
        (cross + (x - mx) * (y - my), square + (x - mx) * (x - mx))
    });
    (square > 0.0).then(|| cross / square)
}
