//! What a model does when a group, or an independent component of it, is set to another row's values (notebook part 36).

use disentangle_data::Seed;
use ndarray::{Array2, Array3};
use serde::{Deserialize, Serialize};

use crate::{
    classification::sigmoid,
    descriptive::mean,
    ica::{IcaConfig, independent_components},
    importance::permute_columns,
    matrix::MatrixError,
};

/// What moves the model's output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CausalStrength {
    /// Mean over components of E|p(x) - p(do(component))|, or of the whole group.
    pub value: Option<f64>,
    /// What was set: components, or the whole group and why.
    pub of: String,
    /// Independent components that are not normal.
    pub components: usize,
    /// Whether the components were found; `None` where they were not looked for.
    pub converged: Option<bool>,
    /// Least of their stabilities over starts.
    pub stability: Option<f64>,
}

/// E|p(x) - p(x with the group of another row)|, a mean over rows and `draws` permutations: counterfactual impact. Probabilities are of the model's logits.
pub fn counterfactual_impact<E>(
    inputs: &Array3<f32>,
    columns: &[usize],
    draws: usize,
    seed: Seed,
    logits: impl Fn(&Array3<f32>) -> Result<Vec<f64>, E>,
) -> Result<Option<f64>, E> {
    let before = logits(inputs)?;
    let mut moved = Vec::with_capacity(draws);
    for draw in 0..draws {
        let order = seed.index(draw as u64).rng().permutation(inputs.dim().0);
        moved.extend(shift(&before, &logits(&permute_columns(inputs, columns, &order))?));
    }
    Ok(mean(&moved))
}

/// Mean |difference of probabilities|.
fn shift(before: &[f64], after: &[f64]) -> Option<f64> {
    let differences: Vec<f64> = before
        .iter()
        .zip(after)
        .map(|(a, b)| (sigmoid(*a) - sigmoid(*b)).abs())
        .collect();
    mean(&differences)
}

/// The effect of do(component) on the model's probability, for the independent components of the group's columns.
///
/// Components are those of all positions of all rows. Only components that are not normal (Jarque and Bera, after Benjamini and Hochberg at 0.05) are
/// identified; each is set to that of another row, all positions together, and the columns follow by the mixing. Where none is, or where they did not converge,
/// the whole group is set instead, and [`CausalStrength::of`] says so.
pub fn causal_strength<E: From<MatrixError>>(
    inputs: &Array3<f32>,
    columns: &[usize],
    config: &IcaConfig,
    seed: Seed,
    logits: impl Fn(&Array3<f32>) -> Result<Vec<f64>, E>,
) -> Result<CausalStrength, E> {
    let (rows, positions, _) = inputs.dim();
    let whole = |why: &str, converged: Option<bool>| -> Result<CausalStrength, E> {
        Ok(CausalStrength {
            value: counterfactual_impact(inputs, columns, 3, seed.child("whole"), &logits)?,
            of: format!("the whole group: {why}"),
            components: 0,
            converged,
            stability: None,
        })
    };
    if columns.len() < 2 {
        return whole("it has one column", None);
    }
    let stacked = Array2::from_shape_fn((rows * positions, columns.len()), |(row, column)| {
        f64::from(inputs[[row / positions, row % positions, columns[column]]])
    });
    let found = match independent_components("the group's columns", stacked.view(), config, seed.child("components")) {
        Ok(found) => found,
        // A constant group has no components; what else is wrong is an error.
        Err(MatrixError::Constant { .. }) => return whole("its columns do not vary", None),
        Err(error) => return Err(error.into()),
    };
    if !found.converged {
        return whole("the search for components did not converge", Some(false));
    }
    let identified: Vec<usize> = (0..found.sources.ncols())
        .filter(|&component| found.normality[component].q <= 0.05)
        .collect();
    if identified.is_empty() {
        return whole("no component rejects normality", Some(true));
    }
    let before = logits(inputs)?;
    let mut strengths = Vec::new();
    for &component in &identified {
        let order = seed.child("do").index(component as u64).rng().permutation(rows);
        let mut changed = inputs.clone();
        for (row, donor) in order.into_iter().enumerate() {
            for position in 0..positions {
                let difference = found.sources[[donor * positions + position, component]]
                    - found.sources[[row * positions + position, component]];
                for (place, &column) in columns.iter().enumerate() {
                    changed[[row, position, column]] += (difference * found.mixing[[place, component]]) as f32;
                }
            }
        }
        strengths.extend(shift(&before, &logits(&changed)?));
    }
    let stability = identified.iter().map(|&component| found.stability[component]);
    Ok(CausalStrength {
        value: mean(&strengths),
        of: format!("{} independent components", identified.len()),
        components: identified.len(),
        converged: Some(true),
        stability: stability.reduce(f64::min),
    })
}
