//! What a model loses without a feature group, and what it can do with only that group (notebook parts 16 and 26).

use disentangle_data::Seed;
use ndarray::Array3;
use serde::{Deserialize, Serialize};

use crate::{
    Bootstrap, Estimate,
    classification::{accuracy, roc_auc},
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
/// and always for `only`.
pub fn ablate<E>(
    inputs: &Array3<f32>,
    groups: &[(String, Vec<usize>)],
    draws: usize,
    seed: Seed,
    logits: impl Fn(&Array3<f32>) -> Result<Vec<f64>, E>,
) -> Result<Vec<Ablated>, E> {
    let (rows, _, width) = inputs.dim();
    groups
        .iter()
        .map(|(group, columns)| {
            let others: Vec<usize> = (0..width).filter(|column| !columns.contains(column)).collect();
            let permuted = |name: &str, columns: &[usize]| -> Result<Vec<Vec<f64>>, E> {
                let seed = seed.child(group).child(name);
                (0..draws)
                    .map(|draw| {
                        let order = seed.index(draw as u64).rng().permutation(rows);
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
    type Metric = fn(&[f64], &[f32]) -> Option<f64>;
    let take = |values: &[f64], rows: &[usize]| -> Vec<f64> { rows.iter().map(|&row| values[row]).collect() };
    let labels_of = |rows: &[usize]| -> Vec<f32> { rows.iter().map(|&row| labels[row]).collect() };
    let n = labels.len();
    let mean_of = |metric: Metric, draws: &[Vec<f64>], rows: &[usize]| -> Option<f64> {
        let labels = labels_of(rows);
        let values: Option<Vec<f64>> = draws.iter().map(|draw| metric(&take(draw, rows), &labels)).collect();
        crate::descriptive::mean(&values?)
    };
    let drop = |metric: Metric| {
        let mut estimate = bootstrap.estimate(n, |rows| {
            Some(metric(&take(logits, rows), &labels_of(rows))? - mean_of(metric, &ablated.without, rows)?)
        });
        let null: Vec<f64> = ablated.without.iter().filter_map(|draw| metric(draw, labels)).collect();
        estimate.p = metric(logits, labels).map(|observed| permutation_p(observed, &null));
        estimate
    };
    let only = |metric: Metric| bootstrap.estimate(n, |rows| mean_of(metric, &ablated.only, rows));
    let probability = crate::classification::sigmoid;
    let shift: Vec<f64> = (0..n)
        .map(|row| {
            let squares = ablated.without.iter().map(|draw| (probability(logits[row]) - probability(draw[row])).powi(2));
            squares.sum::<f64>() / ablated.without.len().max(1) as f64
        })
        .collect();
    Importance {
        group: ablated.group.clone(),
        auc_drop: drop(roc_auc),
        accuracy_drop: drop(accuracy),
        auc_only: only(roc_auc),
        accuracy_only: only(accuracy),
        probability_shift: bootstrap.estimate(n, |rows| crate::descriptive::mean(&take(&shift, rows))),
    }
}
