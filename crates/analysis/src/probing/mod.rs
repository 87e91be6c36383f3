//! A model in, arrays out: where the pure half meets the network.

use burn::tensor::{Device, Tensor, TensorData};
use disentangle_models::{Classifier, Input, Model, ModelError, Tap};
use ndarray::{Array2, Array3, ArrayView3, s};

/// Rows that pass at once.
const ROWS: usize = 64;

/// The activation of `site` for `[row, position, feature]`, as `[row, head * position * neuron]` in f64.
///
/// For `pool` that is `[row, hidden]`. Fails for an unknown site.
pub fn activations(model: &Model, x: ArrayView3<f32>, site: &str, device: &Device) -> Result<Array2<f64>, ModelError> {
    let mut tap = Tap::new().record(site)?;
    for start in (0..x.dim().0).step_by(ROWS) {
        let part = x.slice(s![start..(start + ROWS).min(x.dim().0), .., ..]);
        let (rows, positions, features) = part.dim();
        let values: Vec<f32> = part.iter().copied().collect();
        let input = Input::new(Tensor::from_data(
            TensorData::new(values, [rows, positions, features]),
            device,
        ));
        model.forward(&input, &mut tap);
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
