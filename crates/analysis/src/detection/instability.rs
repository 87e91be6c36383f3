//! Whether a group tells the label alike in all environments.

use disentangle_data::Seed;
use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    probe::{Held, held_out},
    verdict::Units,
};
use crate::{
    Bootstrap, Estimate,
    classification::RankedScores,
    descriptive::{mean, quantile},
    multiple::permutation_p,
};

/// How far the AUCs of a group lie apart between environments, and how far chance would put them apart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Instability {
    /// A_e of each environment, in ascending order: the AUC there of one probe that was fitted on all the others.
    pub environments: Vec<EnvironmentAuc>,
    /// Environments with fewer than 30 rows, or fewer than three blocks of a series, which have no part in any of this.
    pub left_out: Vec<u32>,
    /// max A_e - min A_e over environments where it is defined. `None` for fewer than two of them.
    pub value: Option<f64>,
    /// Its mean under the null: environments permuted among rows of the same label.
    pub null_mean: Option<f64>,
    /// Its 95 % quantile under the null.
    pub null_quantile: Option<f64>,
    /// One-sided: the share of permutations that reach the value.
    pub p: Option<f64>,
    /// p after Benjamini and Hochberg over groups.
    pub q: Option<f64>,
}

/// The AUC in one environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnvironmentAuc {
    /// Index of the environment.
    pub environment: u32,
    /// Its rows.
    pub rows: usize,
    /// AUC there, with an interval over rows (or blocks of them) for the probe as it is.
    pub auc: Estimate,
}

/// Tests one group. `design` is `[n, columns and squares]`.
pub(super) fn instability(
    design: ArrayView2<f64>,
    labels: &[f32],
    units: &Units,
    permutations: usize,
    seed: Seed,
) -> Instability {
    let (rows, units, left_out) = units.comparable();
    let design = design.select(Axis(0), &rows);
    let design = design.view();
    let labels: &[f32] = &rows.iter().map(|&row| labels[row]).collect::<Vec<_>>();
    let count = units.environments.len();
    let held = held_out(design, labels, &units.places, count);
    let environments = (0..count).map(|place| {
        let bootstrap = Bootstrap::new(units.block, 500, seed.child("intervals").index(place as u64));
        EnvironmentAuc {
            environment: units.environments[place],
            rows: held[place].labels.len(),
            auc: estimate(&held[place], &bootstrap),
        }
    });
    let mut found = Instability {
        environments: environments.collect(),
        left_out,
        value: range(&held),
        ..Instability::default()
    };
    let Some(value) = found.value else { return found };
    let draws: Vec<Option<f64>> = (0..permutations)
        .into_par_iter()
        .map(|draw| {
            let places = units.permuted(seed.child("permutations").index(draw as u64));
            range(&held_out(design, labels, &places, count))
        })
        .collect();
    let mut draws: Vec<f64> = draws.into_iter().flatten().collect();
    found.p = permutation_p(value, &draws);
    draws.sort_by(f64::total_cmp);
    found.null_mean = mean(&draws);
    found.null_quantile = quantile(&draws, 0.95);
    found
}

fn estimate(held: &Held, bootstrap: &Bootstrap) -> Estimate {
    let Some(scores) = &held.scores else {
        return Estimate::undefined("the other environments hold one label only", held.labels.len());
    };
    let ranked = RankedScores::new(scores, &held.labels);
    bootstrap
        .estimate_weighted(scores.len(), |weights| ranked.auc(weights))
        .within(0.0, 1.0)
}

/// Greatest minus least AUC, where at least two are defined.
fn range(held: &[Held]) -> Option<f64> {
    let aucs: Vec<f64> = held.iter().filter_map(Held::auc).collect();
    let greatest = aucs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let least = aucs.iter().copied().fold(f64::INFINITY, f64::min);
    (aucs.len() > 1).then_some(greatest - least)
}
