//! A model in, arrays out: where the pure half meets the network.
//!
//! A site's activation becomes a matrix whose rows are (row, position) and whose columns are (head, neuron).

mod capture;
mod decision;
mod effects;
mod gradients;
mod groups;
mod intervention;
mod neurons;
mod paths;
mod resume;

pub use capture::{Captured, SAMPLE, capture, capture_whole};
pub use decision::{DecisionMetrics, Decisions, STEP_LENGTH, decisions};
pub use effects::{
    GroupEffects, MediatorEffects, Passage, all_mediators, block_mediators, effect_map, passages, position_mediators,
};
pub use gradients::{Attack, attack, logit_gradient, model_integrated_gradients, occlusion};
pub use groups::{OneGroupVaries, one_group_varies};
pub use intervention::{Place, Value, WeightSlice, intervene};
pub use neurons::{NeuronImportance, Substitute, neuron_importance};
pub use paths::path_effect;

use burn::tensor::{Device, Tensor, TensorData};
use disentangle_models::{Classifier, Input, Model, ModelError, Tap, rows_at_once};
use ndarray::{Array2, Array3, ArrayView3, s};

use crate::{causal::CausalError, matrix::MatrixError};

/// Rows of many edits that pass at once, at most.
const ROWS: usize = 64;

/// What can go wrong between a model and its activations.
#[derive(Debug, thiserror::Error)]
pub enum ProbingError {
    /// From the model or its tap.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The activations cannot be measured.
    #[error(transparent)]
    Matrix(#[from] MatrixError),
    /// The question does not fit the groups or rows.
    #[error(transparent)]
    Causal(#[from] CausalError),
    /// The activations do not fit the memory that is allowed.
    #[error(
        "capturing {sites} sites needs {needed} MB, more than the {cap} MB allowed; name fewer sites or raise the cap"
    )]
    Memory {
        /// How many sites were asked for.
        sites: usize,
        /// What they need, in MB.
        needed: usize,
        /// What is allowed, in MB.
        cap: usize,
    },
}

/// Host rows as a model's input.
fn to_input(x: ArrayView3<f32>, device: &Device) -> Input {
    let (rows, positions, features) = x.dim();
    let values: Vec<f32> = x.iter().copied().collect();
    let data = TensorData::new(values, [rows, positions, features]);
    Input::new(Tensor::from_data(data, device))
}

/// `[row, head, position, neuron]` as `[row * position, head * neuron]`.
fn to_matrix(activation: Tensor<4>) -> Array2<f32> {
    let [rows, heads, positions, neurons] = activation.dims();
    let flat: Tensor<2> = activation.swap_dims(1, 2).reshape([rows * positions, heads * neurons]);
    // A backend may keep another type than `f32`; nothing is copied where it does not.
    let values = flat.into_data().convert::<f32>().try_into_vec().unwrap_or_default();
    Array2::from_shape_vec((rows * positions, heads * neurons), values).unwrap_or_default()
}

/// The activation of `site` for `[row, position, feature]`, as `[row, head * position * neuron]` in f64.
///
/// For `pool` that is `[row, hidden]`. Fails for an unknown site.
pub fn activations(model: &Model, x: ArrayView3<f32>, site: &str, device: &Device) -> Result<Array2<f64>, ModelError> {
    let mut tap = Tap::new().record(site)?;
    let at_once = rows_at_once(device);
    for start in (0..x.dim().0).step_by(at_once) {
        let part = x.slice(s![start..(start + at_once).min(x.dim().0), .., ..]);
        model.forward(&to_input(part, device), &mut tap);
    }
    let recorded = tap.finish()?.get(site)?;
    let rows = recorded.dims()[0];
    let values: Vec<f64> = recorded.into_data().iter::<f64>().collect();
    let width = values.len() / rows.max(1);
    Ok(Array2::from_shape_vec((rows, width), values).unwrap_or_else(|_| Array2::zeros((rows, width))))
}

/// Logits of the model, as [`crate::importance::ablate`] takes them.
pub fn logits(model: &Model, x: &Array3<f32>, device: &Device, threads: usize) -> Result<Vec<f64>, ModelError> {
    let logits = model.logits(x.view(), device, threads)?;
    Ok(logits.into_iter().map(f64::from).collect())
}

#[cfg(test)]
mod causal_tests;
#[cfg(test)]
mod tests;
