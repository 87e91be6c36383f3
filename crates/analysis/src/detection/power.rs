//! How well a group tells the label at all.

use disentangle_data::Seed;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    probe::{System, centred_labels, gram},
    verdict::Units,
};
use crate::{
    Bootstrap, Estimate,
    classification::{RankedScores, roc_auc},
    multiple::permutation_p,
};

/// Association of a group with the label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Power {
    /// AUC of a cross-fitted probe on the group's columns and their squares, with an interval over rows (or blocks) for the probes as they are. Its p is that of
    /// the permutation test: labels permuted among rows, or shifted around the series where rows follow one another; q is over groups.
    pub auc: Estimate,
    /// max(0, 2 AUC - 1).
    pub power: Option<f64>,
}

/// Rows dealt to folds whole block by whole block; what does not depend on the labels is computed once.
struct Folds {
    /// Rows of each fold.
    rows: Vec<Vec<usize>>,
    /// The factorised system of the rows outside of each fold.
    systems: Vec<System>,
    /// Design of the fold's rows.
    designs: Vec<Array2<f64>>,
}

impl Folds {
    fn new(design: ArrayView2<f64>, units: &Units, folds: usize, seed: Seed) -> Self {
        let blocks = units.blocks();
        let order = seed.rng().permutation(blocks.len());
        let mut rows: Vec<Vec<usize>> = vec![Vec::new(); folds];
        for (place, block) in order.into_iter().enumerate() {
            rows[place % folds].extend(blocks[block].clone());
        }
        rows.retain(|own| !own.is_empty());
        let total = gram(design);
        let designs: Vec<Array2<f64>> = rows.iter().map(|own| design.select(Axis(0), own)).collect();
        let systems = designs
            .iter()
            .map(|own| System::new(&(&total - &gram(own.view())), design.nrows() - own.nrows()))
            .collect();
        Self { rows, systems, designs }
    }

    /// The score of every row by the probe of the other folds. The columns are centred over all rows, labels over the rows of the fit.
    fn scores(&self, design: ArrayView2<f64>, labels: &[f32]) -> Vec<f64> {
        let y = centred_labels(labels);
        let total: Array1<f64> = design.t().dot(&y);
        let mut scores = vec![0.0; labels.len()];
        for ((own, system), design) in self.rows.iter().zip(&self.systems).zip(&self.designs) {
            let own_labels: Array1<f64> = own.iter().map(|&row| y[row]).collect();
            let weights = system.solve(&(&total - &design.t().dot(&own_labels)));
            let fitted = design.dot(&ArrayView1::from(weights.as_slice()));
            for (&row, score) in own.iter().zip(fitted) {
                scores[row] = score;
            }
        }
        scores
    }
}

/// Tests one group, and gives the cross-fitted score of each row.
pub(super) fn power(
    design: ArrayView2<f64>,
    labels: &[f32],
    units: &Units,
    [folds, permutations]: [usize; 2],
    seed: Seed,
) -> (Power, Vec<f64>) {
    let folds = Folds::new(design, units, folds, seed.child("folds"));
    let scores = folds.scores(design, labels);
    let ranked = RankedScores::new(&scores, labels);
    let bootstrap = Bootstrap::new(units.block, 500, seed.child("bootstrap"));
    let mut auc = bootstrap
        .estimate_weighted(labels.len(), |weights| ranked.auc(weights))
        .within(0.0, 1.0);
    if let Some(value) = auc.value {
        let draws: Vec<Option<f64>> = (0..permutations)
            .into_par_iter()
            .map(|draw| {
                let labels = units.relabelled(labels, seed.child("permutations").index(draw as u64));
                roc_auc(&folds.scores(design, &labels), &labels)
            })
            .collect();
        let draws: Vec<f64> = draws.into_iter().flatten().collect();
        auc.p = permutation_p(value, &draws);
    }
    let power = auc.value.map(|auc| (2.0 * auc - 1.0).max(0.0));
    (Power { auc, power }, scores)
}

/// 1 - mean |A_t - A_{t+1}| over consecutive windows of `window` rows, A_t the AUC of cross-fitted `scores` there (notebook part 36). Rows are in the order
/// of time. `None` for fewer than two windows with both labels.
pub fn temporal_consistency(scores: &[f64], labels: &[f32], window: usize) -> Option<f64> {
    let aucs: Vec<f64> = scores
        .chunks_exact(window.max(1))
        .zip(labels.chunks_exact(window.max(1)))
        .filter_map(|(scores, labels)| roc_auc(scores, labels))
        .collect();
    let changes: Vec<f64> = aucs.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
    crate::descriptive::mean(&changes).map(|change| 1.0 - change)
}
