//! A site's activations while only one feature group varies (for [`crate::overlap`]).

use burn::tensor::Device;
use disentangle_data::Seed;
use disentangle_models::Model;
use ndarray::{Array2, Array3, ArrayView3, Axis, s};

use super::{ProbingError, capture_whole};

/// How many rows stand still, and how many values the group takes around each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OneGroupVaries {
    /// Rows whose other columns stay.
    pub bases: usize,
    /// Rows from which the group's columns are taken.
    pub donors: usize,
    /// Which rows these are.
    pub seed: Seed,
}

/// Activations of each of `sites`, `[base * donor * position, d]` in f64, of rows that differ from a base row in `columns` only, centred
/// around each base row and position: what is left is what the group does.
///
/// Bases and donors are drawn from `[row, position, feature]` without replacement, as many as there are.
pub fn one_group_varies(
    model: &Model,
    x: ArrayView3<f32>,
    columns: &[usize],
    sites: &[String],
    settings: &OneGroupVaries,
    device: &Device,
) -> Result<Vec<Array2<f64>>, ProbingError> {
    let (rows, positions, features) = x.dim();
    let drawn = |name: &str, count: usize| {
        let mut order = settings.seed.child(name).rng().permutation(rows);
        order.truncate(count);
        order
    };
    let (bases, donors) = (drawn("bases", settings.bases), drawn("donors", settings.donors));
    let mut varied = Array3::zeros((bases.len() * donors.len(), positions, features));
    let pairs = bases
        .iter()
        .flat_map(|base| donors.iter().map(move |donor| (*base, *donor)));
    for (mut row, (base, donor)) in varied.outer_iter_mut().zip(pairs) {
        row.assign(&x.slice(s![base, .., ..]));
        for &column in columns {
            row.column_mut(column).assign(&x.slice(s![donor, .., column]));
        }
    }
    let captured = capture_whole(model, varied.view(), sites, device)?;
    let centred = captured.into_iter().map(|activations| {
        let mut activations = activations.mapv(f64::from);
        let tokens = activations.nrows() / (bases.len() * donors.len()).max(1);
        for mut around in activations.axis_chunks_iter_mut(Axis(0), (donors.len() * tokens).max(1)) {
            for token in 0..tokens {
                let mut own = around.slice_mut(s![token..;tokens, ..]);
                if let Some(mean) = own.mean_axis(Axis(0)) {
                    own -= &mean;
                }
            }
        }
        activations
    });
    Ok(centred.collect())
}
