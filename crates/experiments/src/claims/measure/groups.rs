//! How groups act together, and how they share directions and neurons.

use disentangle_analysis::{
    Bootstrap,
    causal::interaction::{PairLogits, interaction, without},
    descriptive::{mean, std_dev},
    overlap::{VARIANCE, group_overlap},
    probing::{OneGroupVaries, one_group_varies},
};
use disentangle_data::Role;
use ndarray::Array2;

use super::asked::Asked;
use crate::ExperimentError;

/// Rows that stand still while one group varies, and values that it takes around each.
const BASES: usize = 8;
const DONORS: usize = 32;

/// How two sets of columns act together.
pub(super) struct Together {
    /// √E[D²] on the logit.
    pub(super) root_mean_square: Option<f64>,
    /// The same over the logit's standard deviation.
    pub(super) relative: Option<f64>,
    /// D of each row, the mean over draws.
    pub(super) by_row: Vec<f64>,
}

/// D = f(x) - f(x without the first) - f(x without the second) + f(x without both).
pub(super) fn together(asked: &Asked, first: &[usize], second: &[usize]) -> Result<Together, ExperimentError> {
    let seed = asked.seed.child("interaction");
    let replaced = |members: &[(usize, &[usize])]| -> Result<Vec<Vec<f64>>, ExperimentError> {
        let draws = (0..asked.draws).map(|draw| asked.say(&without(&asked.x, members, draw, seed)));
        draws.collect()
    };
    let pair = PairLogits {
        without_first: replaced(&[(0, first)])?,
        without_second: replaced(&[(1, second)])?,
        without_both: replaced(&[(0, first), (1, second)])?,
    };
    let by_row = (0..asked.logits.len()).map(|row| {
        let draws = (0..asked.draws).map(|draw| {
            asked.logits[row] - pair.without_first[draw][row] - pair.without_second[draw][row]
                + pair.without_both[draw][row]
        });
        draws.sum::<f64>() / asked.draws as f64
    });
    let by_row: Vec<f64> = by_row.collect();
    // The value alone is of use here: intervals are over repeats.
    let bootstrap = Bootstrap::new(1, 2, seed.child("unused"));
    let found = interaction(["genuine", "spurious"], &asked.logits, &pair, &bootstrap, 1);
    let root_mean_square = found.root_mean_square.value;
    let spread = std_dev(&asked.logits).filter(|spread| *spread > 0.0);
    Ok(Together {
        relative: root_mean_square.zip(spread).map(|(size, spread)| size / spread),
        root_mean_square,
        by_row,
    })
}

/// A site's activations while only one group varies, for every genuine and spurious group.
fn varied(asked: &Asked, site: &str) -> Result<Vec<(String, Array2<f64>)>, ExperimentError> {
    let settings = OneGroupVaries {
        bases: BASES,
        donors: DONORS,
        seed: asked.seed.child("one group varies"),
    };
    let groups = asked.dataset.groups.iter();
    let groups = groups.filter(|group| [Role::Genuine, Role::Spurious].contains(&group.role));
    let mut all = Vec::new();
    for group in groups {
        let found = one_group_varies(
            asked.model,
            asked.x.view(),
            &group.columns,
            &[site.to_string()],
            &settings,
            asked.device,
        )?;
        all.extend(found.into_iter().map(|activations| (group.name.clone(), activations)));
    }
    Ok(all)
}

/// Mean overlap of the groups' subspaces at a site, and its chance value.
pub(super) fn overlap(asked: &Asked, site: &str) -> Result<Option<[f64; 2]>, ExperimentError> {
    let varied = varied(asked, site)?;
    let views: Vec<_> = varied.iter().map(|(name, own)| (name.clone(), own.view())).collect();
    let found = group_overlap(&views, VARIANCE)?;
    Ok(found.mean.zip(found.mean_chance).map(|(mean, chance)| [mean, chance]))
}

/// The effective number of groups that move a neuron of a site, exp of the entropy of their shares of its variance; mean over neurons that move.
pub(super) fn groups_per_neuron(asked: &Asked, site: &str) -> Result<Option<f64>, ExperimentError> {
    let varied = varied(asked, site)?;
    let variances: Vec<Vec<f64>> = varied
        .iter()
        .map(|(_, own)| {
            let columns = own.columns().into_iter();
            columns
                .map(|column| column.iter().map(|a| a * a).sum::<f64>() / column.len().max(1) as f64)
                .collect()
        })
        .collect();
    let neurons = variances.first().map_or(0, Vec::len);
    let of_neuron = |neuron: usize| -> Vec<f64> { variances.iter().map(|own| own[neuron]).collect() };
    let largest = variances
        .iter()
        .flatten()
        .fold(0.0f64, |most, variance| most.max(*variance));
    let counts = (0..neurons).filter_map(|neuron| {
        let own = of_neuron(neuron);
        // A neuron that rounding alone moves has no groups.
        let moves = own.iter().sum::<f64>() > 1e-9 * largest;
        effective_number(&own).filter(|_| moves)
    });
    Ok(mean(&counts.collect::<Vec<f64>>()))
}

/// exp of the entropy of shares; `None` where all are 0.
pub(super) fn effective_number(sizes: &[f64]) -> Option<f64> {
    let total: f64 = sizes.iter().sum();
    let entropy = sizes.iter().filter(|size| **size > 0.0).map(|size| {
        let share = size / total;
        -share * share.ln()
    });
    (total > 0.0).then(|| entropy.sum::<f64>().exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_shares_count_all_and_one_share_counts_one() {
        assert!((effective_number(&[2.0; 5]).unwrap() - 5.0).abs() < 1e-12);
        assert!((effective_number(&[0.0, 3.0, 0.0]).unwrap() - 1.0).abs() < 1e-12);
        // exp(H(.5, .25, .25)) = 2^1.5.
        let found = effective_number(&[2.0, 1.0, 1.0]).unwrap();
        assert!((found - 2f64.powf(1.5)).abs() < 1e-12, "{found}");
        assert_eq!(effective_number(&[0.0, 0.0]), None);
    }
}
