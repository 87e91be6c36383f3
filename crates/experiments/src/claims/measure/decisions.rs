//! What the output does near rows: noise, attacks, steepness, straightness.

use disentangle_analysis::{
    causal::robustness::{Disturbance, gaussian_noise},
    classification::roc_auc,
    descriptive::mean,
    probing::{Attack, attack, decisions, logit_gradient},
};

use super::asked::Asked;
use crate::ExperimentError;

/// Directions of a step, averaged.
const DIRECTIONS: usize = 3;

/// Mean norm of the logit's gradient at the input.
pub(super) fn sensitivity(asked: &Asked) -> Result<Option<f64>, ExperimentError> {
    let gradient = logit_gradient(asked.model, &asked.x, asked.device, 1)?;
    let norms = gradient
        .outer_iter()
        .map(|row| row.iter().map(|&slope| f64::from(slope).powi(2)).sum::<f64>().sqrt());
    Ok(mean(&norms.collect::<Vec<f64>>()))
}

/// 1 - what the gradient misses of a short step, as a share of the step's effect, cut to [0, 1]; `None` where the output does not move.
pub(super) fn linearity(asked: &Asked) -> Result<Option<f64>, ExperimentError> {
    let seed = asked.seed.child("directions");
    let found = decisions(asked.model, &asked.x, DIRECTIONS, seed, asked.device, 1)?;
    let (missed, moved): (f64, f64) = (found.residuals.iter().sum(), found.changes.iter().sum());
    Ok((moved > 0.0).then(|| (1.0 - missed / moved).clamp(0.0, 1.0)))
}

/// Logits under Gaussian noise of a level on some columns, one vector a draw.
pub(super) fn noisy(asked: &Asked, columns: &[usize], level: f64) -> Result<Vec<Vec<f64>>, ExperimentError> {
    let seed = asked.seed.child("noise");
    let draws =
        (0..asked.draws).map(|draw| asked.say(&gaussian_noise(&asked.x, columns, level, seed.index(draw as u64))));
    draws.collect()
}

/// ROC AUC after one step of an attack on all columns.
pub(super) fn attacked_auc(asked: &Asked, level: f64) -> Result<Option<f64>, ExperimentError> {
    let columns: Vec<usize> = (0..asked.x.dim().2).collect();
    let how = Attack {
        kind: Disturbance::Fgsm,
        level,
        columns: &columns,
    };
    let moved = attack(asked.model, &asked.x, &asked.labels, &how, asked.device, 1)?;
    Ok(roc_auc(&asked.say(&moved)?, &asked.labels))
}
