//! What a model loses without a feature group, and what it can do with only that group (notebook parts 16 and 26).

use disentangle_data::Seed;
use ndarray::Array3;
use serde::{Deserialize, Serialize};

use crate::{
    Bootstrap, Estimate,
    classification::{RankedScores, sigmoid},
    descriptive::mean,
    multiple::permutation_p,
};

/// Logits of some rows, and of the same rows with groups permuted.
#[derive(Clone, Debug, PartialEq)]
pub struct Ablated {
    /// The group.
    pub group: String,
    /// Logits with the group's rows permuted, one vector a draw.
    pub without: Vec<Vec<f64>>,
    /// Logits with everything but the group permuted, one vector a draw.
    pub only: Vec<Vec<f64>>,
}

/// Importance of one group on one set of rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Importance {
    /// The group.
    pub group: String,
    /// ROC AUC minus the mean AUC without the group. Its p value is that of the permutation test: the share of draws
    /// whose AUC reaches the unpermuted one. Exchangeable under the null are the group's windows between rows.
    pub auc_drop: Estimate,
    /// The same of the accuracy at 0.5; its p value likewise.
    pub accuracy_drop: Estimate,
    /// Mean AUC with only the group.
    pub auc_only: Estimate,
    /// Mean accuracy with only the group.
    pub accuracy_only: Estimate,
    /// E[(p(x) - p(x without the group))²]: how far the group moves the probability, whether that helps or not.
    pub probability_shift: Estimate,
}

/// `inputs` with the given columns taken from the rows in `order`: whole windows move, so that the group stays consistent in itself.
pub fn permute_columns(inputs: &Array3<f32>, columns: &[usize], order: &[usize]) -> Array3<f32> {
    let mut permuted = inputs.clone();
    for (row, &donor) in order.iter().enumerate() {
        for position in 0..inputs.dim().1 {
            for &column in columns {
                permuted[[row, position, column]] = inputs[[donor, position, column]];
            }
        }
    }
    permuted
}

/// Logits of `inputs` without each group and with only it, over `draws` permutations.
///
/// `logits` maps inputs to one logit a row; groups are names and columns; what is in no group is never permuted for `without`
/// and always for `only`. `order` gives each row its donor: a uniformly random permutation where rows are exchangeable.
pub fn ablate<E>(
    inputs: &Array3<f32>,
    groups: &[(String, Vec<usize>)],
    draws: usize,
    order: impl Fn(Seed) -> Vec<usize>,
    seed: Seed,
    logits: impl Fn(&Array3<f32>) -> Result<Vec<f64>, E>,
) -> Result<Vec<Ablated>, E> {
    let width = inputs.dim().2;
    groups
        .iter()
        .map(|(group, columns)| {
            let others: Vec<usize> = (0..width).filter(|column| !columns.contains(column)).collect();
            let permuted = |name: &str, columns: &[usize]| -> Result<Vec<Vec<f64>>, E> {
                let seed = seed.child(group).child(name);
                (0..draws)
                    .map(|draw| {
                        let order = order(seed.index(draw as u64));
                        logits(&permute_columns(inputs, columns, &order))
                    })
                    .collect()
            };
            Ok(Ablated {
                group: group.clone(),
                without: permuted("without", columns)?,
                only: permuted("only", &others)?,
            })
        })
        .collect()
}

/// Importance from logits; intervals resample rows, the same rows with and without the group.
pub fn importance(logits: &[f64], labels: &[f32], ablated: &Ablated, bootstrap: &Bootstrap) -> Importance {
    let n = labels.len();
    let ones = vec![1.0; n];
    let rank = |draws: &[Vec<f64>]| -> Vec<RankedScores> {
        draws.iter().map(|draw| RankedScores::new(draw, labels)).collect()
    };
    let right = |draw: &[f64]| -> Vec<f64> {
        draw.iter()
            .zip(labels)
            .map(|(z, y)| f64::from(u8::from((*z > 0.0) == (*y > 0.5))))
            .collect()
    };
    let mean_right = |draws: &[Vec<f64>]| -> Vec<f64> { mean_over_draws(draws, |draw| right(draw), n) };

    let (whole, without, only) = (
        RankedScores::new(logits, labels),
        rank(&ablated.without),
        rank(&ablated.only),
    );
    let mean_auc = |ranked: &[RankedScores], weights: &[f64]| -> Option<f64> {
        let values: Option<Vec<f64>> = ranked.iter().map(|ranked| ranked.auc(weights)).collect();
        mean(&values?)
    };
    let auc_drop =
        || bootstrap.estimate_weighted(n, |weights| Some(whole.auc(weights)? - mean_auc(&without, weights)?));
    let auc_only = || bootstrap.estimate_weighted(n, |weights| mean_auc(&only, weights));
    let (mut auc_drop, auc_only) = rayon::join(auc_drop, auc_only);
    let null: Vec<f64> = without.iter().filter_map(|ranked| ranked.auc(&ones)).collect();
    auc_drop.p = whole.auc(&ones).and_then(|observed| permutation_p(observed, &null));

    let (kept, lost) = (right(logits), mean_right(&ablated.without));
    let differences: Vec<f64> = kept.iter().zip(&lost).map(|(kept, lost)| kept - lost).collect();
    let mut accuracy_drop = weighted_mean(bootstrap, &differences);
    let null: Vec<f64> = ablated.without.iter().filter_map(|draw| mean(&right(draw))).collect();
    accuracy_drop.p = mean(&kept).and_then(|observed| permutation_p(observed, &null));

    let squares = |draw: &[f64]| -> Vec<f64> {
        draw.iter()
            .zip(logits)
            .map(|(&d, &z)| (sigmoid(z) - sigmoid(d)).powi(2))
            .collect()
    };
    Importance {
        group: ablated.group.clone(),
        auc_drop,
        accuracy_drop,
        auc_only: auc_only.within(0.0, 1.0),
        accuracy_only: weighted_mean(bootstrap, &mean_right(&ablated.only)).within(0.0, 1.0),
        probability_shift: weighted_mean(bootstrap, &mean_over_draws(&ablated.without, squares, n)).within(0.0, 1.0),
    }
}

/// Mean over rows with its interval.
pub fn weighted_mean(bootstrap: &Bootstrap, values: &[f64]) -> Estimate {
    bootstrap.estimate_weighted(values.len(), |weights| {
        let total: f64 = weights.iter().sum();
        let sum: f64 = weights.iter().zip(values).map(|(w, v)| w * v).sum();
        (total > 0.0).then(|| sum / total)
    })
}

/// For each row the mean over draws of what `of` gives it.
fn mean_over_draws(draws: &[Vec<f64>], of: impl Fn(&[f64]) -> Vec<f64>, n: usize) -> Vec<f64> {
    let mut sums = vec![0.0; n];
    for draw in draws {
        for (sum, value) in sums.iter_mut().zip(of(draw)) {
            *sum += value / draws.len() as f64;
        }
    }
    sums
}
