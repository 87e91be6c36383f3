//! Which neurons matter: each is ablated in turn, and the output is watched (notebook part 15).

use burn::tensor::{Device, Tensor, TensorData};
use disentangle_models::{Classifier, Model, ModelError, Tap, parallel};
use ndarray::{Array3, ArrayView3, s};
use serde::{Deserialize, Serialize};

use super::{ProbingError, capture_whole, to_input};

/// What an ablated neuron is set to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Substitute {
    /// Its mean over the rows and positions given.
    #[default]
    Mean,
    /// 0, as in the notebook.
    Zero,
}

/// What ablating one neuron at all positions does to the logit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NeuronImportance {
    /// E[logit without - logit with]: positive where the neuron lowers the logit.
    pub mean_change: f64,
    /// E[(logit without - logit with)²].
    pub mean_square: f64,
}

/// Rows of the tiled batch that pass at once.
const TILE: usize = 512;

/// Importance of every neuron (head times neuron) of `site` over `[row, position, feature]`: the rows are tiled, each tile has one
/// neuron ablated. Does not depend on `threads`.
///
/// Fails for an unknown site and for no rows.
pub fn neuron_importance(
    model: &Model,
    x: ArrayView3<f32>,
    site: &str,
    substitute: Substitute,
    device: &Device,
    threads: usize,
) -> Result<Vec<NeuronImportance>, ProbingError> {
    let rows = x.dim().0;
    if rows == 0 {
        return Err(ModelError::Input {
            expected: "at least one row".into(),
            found: "none".into(),
        }
        .into());
    }
    let whole = capture_whole(model, x, &[site.to_string()], device)?;
    let activations = &whole[0];
    let width = activations.ncols();
    let means: Vec<f32> = match substitute {
        Substitute::Zero => vec![0.0; width],
        Substitute::Mean => activations
            .columns()
            .into_iter()
            .map(|column| (column.iter().map(|&a| f64::from(a)).sum::<f64>() / column.len() as f64) as f32)
            .collect(),
    };
    let plain = model.logits(x, device, threads)?;
    let per_pass = (TILE / rows).max(1);
    let starts: Vec<usize> = (0..width).step_by(per_pass).collect();
    let passed = parallel::map_with(
        threads,
        &starts,
        || model.fork(device),
        |model, &first| {
            let neurons = first..(first + per_pass).min(width);
            let tiled = tile(x, neurons.len());
            let edit = |activation: Tensor<4>| ablate(activation, neurons.clone(), rows, &means);
            let mut tap = Tap::new().edit(site, edit)?;
            let logits = model.forward(&to_input(tiled.view(), device), &mut tap);
            tap.finish()?;
            let logits: Vec<f32> = logits.into_data().iter::<f32>().collect();
            Ok(logits.chunks(rows).map(|logits| change(&plain, logits)).collect())
        },
    );
    let parts: Result<Vec<Vec<NeuronImportance>>, ModelError> = passed.into_iter().collect();
    Ok(parts?.concat())
}

fn tile(x: ArrayView3<f32>, times: usize) -> Array3<f32> {
    let (rows, positions, features) = x.dim();
    let mut tiled = Array3::zeros((rows * times, positions, features));
    for tile in 0..times {
        tiled.slice_mut(s![tile * rows..(tile + 1) * rows, .., ..]).assign(&x);
    }
    tiled
}

/// Sets neuron `neurons.start + t` of tile t to its mean, at all positions.
fn ablate(activation: Tensor<4>, neurons: std::ops::Range<usize>, rows: usize, means: &[f32]) -> Tensor<4> {
    let [all, heads, _, width] = activation.dims();
    let (mut keep, mut put) = (vec![1.0f32; all * heads * width], vec![0.0f32; all * heads * width]);
    for (tile, neuron) in neurons.enumerate() {
        for row in tile * rows..(tile + 1) * rows {
            // (head, neuron) lie side by side in both.
            let place = row * heads * width + neuron;
            (keep[place], put[place]) = (0.0, means[neuron]);
        }
    }
    let device = activation.device();
    let tensor = |values: Vec<f32>| Tensor::<4>::from_data(TensorData::new(values, [all, heads, 1, width]), &device);
    activation * tensor(keep) + tensor(put)
}

fn change(plain: &[f32], without: &[f32]) -> NeuronImportance {
    let n = plain.len() as f64;
    let changes = || plain.iter().zip(without).map(|(&z, &w)| f64::from(w) - f64::from(z));
    NeuronImportance {
        mean_change: changes().sum::<f64>() / n,
        mean_square: changes().map(|change| change * change).sum::<f64>() / n,
    }
}
