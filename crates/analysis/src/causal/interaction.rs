//! Whether groups act together (notebook part 24): D_gh(x) = f(x) - f(x without g) - f(x without h) + f(x without both) on the logit.

use disentangle_data::Seed;
use ndarray::{Array3, s};
use serde::{Deserialize, Serialize};

use crate::{Bootstrap, Estimate, importance::permute_columns};

/// How two groups act together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interaction {
    /// The groups.
    pub groups: [String; 2],
    /// `E[D]`; its p value is that of [`sign_flip_p`]. With permuted groups it is 0 where the groups are independent of each other, whatever f:
    /// it says whether the model uses that they go together.
    pub mean: Estimate,
    /// `√E[D²]`, where D of a row is the mean over draws; squares are estimated without the draws' own variance. 1 for that f.
    pub root_mean_square: Estimate,
    /// Friedman's H² (Friedman and Popescu 2008): may exceed 1 where groups are correlated.
    pub h_squared: Estimate,
}

/// Logits of rows with two groups each replaced, one vector a draw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PairLogits {
    /// Without the first.
    pub without_first: Vec<Vec<f64>>,
    /// Without the second.
    pub without_second: Vec<Vec<f64>>,
    /// Without both.
    pub without_both: Vec<Vec<f64>>,
}

/// Rows with the `columns` of every listed group taken from another row, each group from a donor of its own: group `g` of draw `k`
/// has the same donors whichever groups are replaced beside it, so that an additive f has D = 0.
pub fn without(inputs: &Array3<f32>, groups: &[(usize, &[usize])], draw: usize, seed: Seed) -> Array3<f32> {
    let rows = inputs.dim().0;
    let mut changed = inputs.clone();
    for (index, columns) in groups {
        let order = seed.index(*index as u64).index(draw as u64).rng().permutation(rows);
        let donated = permute_columns(inputs, columns, &order);
        for &column in *columns {
            let column = s![.., .., column];
            changed.slice_mut(column).assign(&donated.slice(column));
        }
    }
    changed
}

/// Mean and root mean square of D; the sign-flip test flips blocks of rows as long as the bootstrap's. H² is left undefined.
pub fn interaction(
    groups: [&str; 2],
    whole: &[f64],
    pair: &PairLogits,
    bootstrap: &Bootstrap,
    flips: usize,
) -> Interaction {
    let n = whole.len();
    let draws = pair.without_both.len();
    let d = |draw: usize, row: usize| {
        whole[row] - pair.without_first[draw][row] - pair.without_second[draw][row] + pair.without_both[draw][row]
    };
    let mut means = vec![0.0; n];
    let mut squares = vec![0.0; n];
    for row in 0..n {
        let values: Vec<f64> = (0..draws).map(|draw| d(draw, row)).collect();
        let (sum, sum_of_squares) = (
            values.iter().sum::<f64>(),
            values.iter().map(|value| value * value).sum::<f64>(),
        );
        means[row] = sum / draws.max(1) as f64;
        // The mean over pairs of different draws: unbiased for the square of the mean over all possible draws.
        squares[row] = match draws {
            0 | 1 => means[row] * means[row],
            _ => (sum * sum - sum_of_squares) / (draws * (draws - 1)) as f64,
        };
    }
    let mut mean = crate::importance::weighted_mean(bootstrap, &means);
    mean.p = sign_flip_p(&means, bootstrap.block, flips, bootstrap.seed.child("sign-flips"));
    let root_mean_square = bootstrap.estimate_weighted(n, |weights| {
        let total: f64 = weights.iter().sum();
        let sum: f64 = weights.iter().zip(&squares).map(|(w, s)| w * s).sum();
        (total > 0.0).then(|| (sum / total).max(0.0).sqrt())
    });
    Interaction {
        groups: groups.map(Into::into),
        mean,
        root_mean_square,
        h_squared: Estimate::undefined("not asked for", n),
    }
}

/// Up to this many blocks all signs are tried.
const EXACT: usize = 12;

/// Two-sided p value of mean = 0: under the null the blocks' signs are exchangeable, that is D is symmetric around 0. All signs are tried
/// up to 12 blocks; beyond, `draws` random ones, (1 + as far from 0) / (1 + draws). `None` for no values.
pub fn sign_flip_p(values: &[f64], block: usize, draws: usize, seed: Seed) -> Option<f64> {
    let sums: Vec<f64> = values.chunks(block.max(1)).map(|block| block.iter().sum()).collect();
    if sums.is_empty() {
        return None;
    }
    let observed = sums.iter().sum::<f64>().abs();
    // Sums of the same numbers in another order differ in their last bits.
    let reach = observed - 1e-9 * sums.iter().map(|sum| sum.abs()).sum::<f64>();
    let far = |sign: &mut dyn FnMut(usize) -> bool| {
        let sum: f64 = sums
            .iter()
            .enumerate()
            .map(|(block, sum)| if sign(block) { -sum } else { *sum })
            .sum();
        sum.abs() >= reach
    };
    if sums.len() <= EXACT {
        let all = 1usize << sums.len();
        let count = (0..all)
            .filter(|signs| far(&mut |block| signs >> block & 1 == 1))
            .count();
        return Some(count as f64 / all as f64);
    }
    let mut rng = seed.rng();
    let count = (0..draws).filter(|_| far(&mut |_| rng.uniform() < 0.5)).count();
    Some((1 + count) as f64 / (1 + draws) as f64)
}

/// Partial dependence of `f` on some columns at each row: the mean of f over `background` rows that hold the row's own values there.
///
/// The background is the same for all rows, so that an additive f has H² = 0 exactly.
pub fn partial_dependence<E>(
    inputs: &Array3<f32>,
    background: &Array3<f32>,
    columns: &[usize],
    logits: impl Fn(&Array3<f32>) -> Result<Vec<f64>, E>,
) -> Result<Vec<f64>, E> {
    let rows = inputs.dim().0;
    let mut sums = vec![0.0; rows];
    for base in background.outer_iter() {
        let mut mixed = Array3::from_shape_fn(inputs.dim(), |(_, position, feature)| base[[position, feature]]);
        for &column in columns {
            let column = s![.., .., column];
            mixed.slice_mut(column).assign(&inputs.slice(column));
        }
        for (sum, logit) in sums.iter_mut().zip(logits(&mixed)?) {
            *sum += logit / background.dim().0 as f64;
        }
    }
    Ok(sums)
}

/// Friedman's H² of partial dependences on two groups together and on each: Σ(F_jk - F_j - F_k)² / ΣF_jk², each centred over the rows.
/// Undefined where F_jk does not vary. The interval resamples rows; the background stays.
pub fn friedman_h_squared(both: &[f64], first: &[f64], second: &[f64], bootstrap: &Bootstrap) -> Estimate {
    let n = both.len();
    let scale = both
        .iter()
        .chain(first)
        .chain(second)
        .fold(0.0f64, |most, f| most.max(f.abs()));
    let of = |weights: &[f64]| {
        let total: f64 = weights.iter().sum();
        let centred = |values: &[f64]| -> Vec<f64> {
            let mean = weights.iter().zip(values).map(|(w, f)| w * f).sum::<f64>() / total;
            values.iter().map(|f| f - mean).collect()
        };
        let (both, first, second) = (centred(both), centred(first), centred(second));
        let sum = |of: &dyn Fn(usize) -> f64| (0..n).map(|row| weights[row] * of(row).powi(2)).sum::<f64>();
        let together = sum(&|row| both[row] - first[row] - second[row]);
        let all = sum(&|row| both[row]);
        (total > 0.0 && (all / total).sqrt() > 1e-6 * scale).then(|| together / all)
    };
    let mut estimate = bootstrap.estimate_weighted(n, of);
    if estimate.value.is_none() {
        estimate.note = Some("the output does not vary with these groups".into());
    }
    estimate
}
