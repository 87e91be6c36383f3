//! How far groups of features share directions at a site (notebook part 17).
//!
//! For each group g the site is recorded while only g varies. U_g holds the principal components that reach 95 % of that
//! variance. The overlap of g and h is ‖U_gᵀ U_h‖²_F / min(k_g, k_h): 1 where the smaller subspace lies inside the larger, 0 where they
//! are orthogonal. Subspaces in random directions overlap by max(k_g, k_h) / d on average, which is reported beside it.

use ndarray::{Array2, ArrayView2, s};
use serde::{Deserialize, Serialize};

use crate::{
    Pca, activations,
    matrix::{self, MatrixError},
};

/// Share of a group's variance that its components must reach.
pub const VARIANCE: f64 = 0.95;

/// Overlaps of all pairs of groups. What involves a group without variance is `None`; its `notes` entry says why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupOverlap {
    /// Names, in the order given.
    pub groups: Vec<String>,
    /// Components of each group, k.
    pub components: Vec<Option<usize>>,
    /// ‖U_gᵀ U_h‖²_F / min(k_g, k_h), symmetric, in [0, 1]; 1 on the diagonal.
    pub overlap: Vec<Vec<Option<f64>>>,
    /// max(k_g, k_h) / d, the mean for random directions; on the diagonal too, where it means nothing.
    pub chance: Vec<Vec<Option<f64>>>,
    /// Mean over the defined pairs g ≠ h.
    pub mean: Option<f64>,
    /// Largest over the defined pairs g ≠ h.
    pub most: Option<f64>,
    /// Mean of the chance values over the same pairs.
    pub mean_chance: Option<f64>,
    /// Why a group has no components.
    pub notes: Vec<Option<String>>,
}

/// Overlaps from one matrix `[n_g, d]` a group: the site's activations while only that group varies, n_g at least 2, all of the
/// same site. `share` is [`VARIANCE`] unless another share of variance is wanted; it must lie in (0, 1].
///
/// A group has no variance if every neuron of its matrix is dead (see [`activations::live_neurons`]).
pub fn group_overlap(groups: &[(String, ArrayView2<f64>)], share: f64) -> Result<GroupOverlap, MatrixError> {
    if !(share > 0.0 && share <= 1.0) {
        return Err(MatrixError::Setting {
            key: "variance share",
            found: share.to_string(),
            expected: "a number above 0 and at most 1",
        });
    }
    let mut bases = Vec::new();
    for (name, activations) in groups {
        matrix::check(name, *activations, 2)?;
        let (first, width) = (groups[0].0.as_str(), groups[0].1.ncols());
        matrix::check_equal("columns", (name.as_str(), activations.ncols()), (first, width))?;
        bases.push(basis(name, *activations, share)?);
    }
    let width = groups.first().map_or(1, |group| group.1.ncols()) as f64;
    let count = groups.len();
    let mut overlap = vec![vec![None; count]; count];
    let mut chance = vec![vec![None; count]; count];
    let mut pairs = Vec::new();
    for (g, first) in bases.iter().enumerate() {
        for (h, second) in bases.iter().enumerate().skip(g) {
            let (Some(first), Some(second)) = (first, second) else {
                continue;
            };
            let (least, most) = (first.nrows().min(second.nrows()), first.nrows().max(second.nrows()));
            let shared = if g == h {
                1.0
            } else {
                let cosines = first.dot(&second.t());
                (cosines.iter().map(|c| c * c).sum::<f64>() / least as f64).clamp(0.0, 1.0)
            };
            let random = most as f64 / width;
            (overlap[g][h], overlap[h][g]) = (Some(shared), Some(shared));
            (chance[g][h], chance[h][g]) = (Some(random), Some(random));
            if g < h {
                pairs.push((shared, random));
            }
        }
    }
    let mean = |of: fn(&(f64, f64)) -> f64| {
        (!pairs.is_empty()).then(|| pairs.iter().map(of).sum::<f64>() / pairs.len() as f64)
    };
    let missing = "the site does not vary with this group".to_string();
    Ok(GroupOverlap {
        groups: groups.iter().map(|group| group.0.clone()).collect(),
        components: bases.iter().map(|basis| basis.as_ref().map(Array2::nrows)).collect(),
        overlap,
        chance,
        mean: mean(|pair| pair.0),
        most: pairs.iter().map(|pair| pair.0).reduce(f64::max),
        mean_chance: mean(|pair| pair.1),
        notes: bases
            .iter()
            .map(|basis| basis.is_none().then(|| missing.clone()))
            .collect(),
    })
}

/// The fewest leading principal components `[k, d]` that hold `share` of the variance; `None` where no neuron is live.
fn basis(name: &str, activations: ArrayView2<f64>, share: f64) -> Result<Option<Array2<f64>>, MatrixError> {
    if !activations::live_neurons(activations).contains(&true) {
        return Ok(None);
    }
    let centred = matrix::centred(activations);
    let pca = Pca::fit(centred.view()).map_err(MatrixError::decomposition(name))?;
    let mut reached = 0.0;
    let before = pca.share.iter().take_while(|&&part| {
        // Rounding must not ask for one more component than the variance needs.
        let wanted = reached < share - 1e-12;
        reached += part;
        wanted
    });
    let count = before.count().max(1);
    Ok(Some(pca.components.slice(s![..count, ..]).to_owned()))
}
