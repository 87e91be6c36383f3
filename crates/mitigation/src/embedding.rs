//! What objectives on embeddings share: views of a row by columns, and the mean loss that they are added to.

use disentangle_models::train::{Loss, LossAndGradient};
use ndarray::{Array3, s};

/// The site before the head, which every family but the linear one has.
pub(crate) const POOL: &str = "pool";

/// Rows with some columns at their training mean, which is 0 in standardised units.
pub(crate) fn without(x: &Array3<f32>, columns: &[usize]) -> Array3<f32> {
    let mut changed = x.clone();
    for &column in columns {
        changed.slice_mut(s![.., .., column]).fill(0.0);
    }
    changed
}

/// Rows with all other columns at their training mean.
pub(crate) fn only(x: &Array3<f32>, columns: &[usize]) -> Array3<f32> {
    let mut changed = Array3::zeros(x.dim());
    for &column in columns {
        changed
            .slice_mut(s![.., .., column])
            .assign(&x.slice(s![.., .., column]));
    }
    changed
}

/// The mean loss over rows and its gradient.
pub(crate) fn mean_loss(loss: Loss, outputs: &[f32], labels: &[f32]) -> LossAndGradient {
    let n = outputs.len() as f64;
    let mut found = LossAndGradient::default();
    for (&z, &y) in outputs.iter().zip(labels) {
        let (value, slope) = loss.row(z, y);
        found.loss += value / n;
        found.gradient.push((slope / n) as f32);
    }
    found
}
