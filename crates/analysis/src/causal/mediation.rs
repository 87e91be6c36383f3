//! Effects of a group through a place in the network and around it.

use serde::{Deserialize, Serialize};

use crate::{Bootstrap, Estimate};

/// Effects row by row, means over draws of the counterfactual.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowEffects {
    /// Y(x', M(x)) - Y(x), or around the place.
    pub direct: Vec<f64>,
    /// Y(x, M(x')) - Y(x), or through it.
    pub indirect: Vec<f64>,
}

/// Effects over all rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mediation {
    /// E[Y(x', M(x)) - Y(x, M(x))].
    pub direct: Estimate,
    /// E[Y(x, M(x')) - Y(x, M(x))].
    pub indirect: Estimate,
    /// Total minus direct minus indirect.
    pub interaction: Estimate,
    /// Indirect over total, not clipped; undefined where the interval of the total effect includes 0.
    pub share: Estimate,
}

/// The mean total effect, `weights` (an orientation, or 1) times each row's.
pub fn total_effect(total: &[f64], weights: &[f64], bootstrap: &Bootstrap) -> Estimate {
    weighted(total, weights, bootstrap)
}

/// Means over rows of what a place mediates, each row's effects times its `weights`. All slices hold one value a row.
pub fn mediation(total: &[f64], effects: &RowEffects, weights: &[f64], bootstrap: &Bootstrap) -> Mediation {
    let n = total.len();
    let interaction: Vec<f64> = (0..n)
        .map(|row| total[row] - effects.direct[row] - effects.indirect[row])
        .collect();
    let sums = |counts: &[f64]| {
        let sum = |values: &[f64]| -> f64 {
            let rows = counts.iter().zip(weights).zip(values);
            rows.map(|((count, weight), value)| count * weight * value).sum()
        };
        let rows: f64 = counts.iter().sum();
        let parts = [
            sum(&effects.direct),
            sum(&effects.indirect),
            sum(&interaction),
            sum(total),
        ];
        let share = (parts[3] != 0.0).then(|| parts[1] / parts[3]);
        let mut values: Vec<Option<f64>> = parts.iter().map(|part| (rows > 0.0).then(|| part / rows)).collect();
        values.push(share);
        values
    };
    let mut estimates = bootstrap.estimate_many(n, sums).into_iter();
    let mut next = || estimates.next().unwrap_or_default();
    let (direct, indirect, interaction, total, share) = (next(), next(), next(), next(), next());
    let clear = total.above(0.0) || total.below(0.0);
    Mediation {
        direct,
        indirect,
        interaction,
        share: match clear {
            true => share,
            false => Estimate::undefined("the interval of the total effect includes 0", n),
        },
    }
}

fn weighted(values: &[f64], weights: &[f64], bootstrap: &Bootstrap) -> Estimate {
    let values: Vec<f64> = values
        .iter()
        .zip(weights)
        .map(|(value, weight)| value * weight)
        .collect();
    crate::importance::weighted_mean(bootstrap, &values)
}
