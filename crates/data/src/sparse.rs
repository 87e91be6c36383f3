//! Sparse features, as the toy models of superposition take them (Elhage et al. 2022).

use ndarray::Array2;

use crate::Random;

/// 2²⁶: half the bits of a draw.
const HALF: f64 = 67_108_864.0;

/// Draws that are made before they are used, so that both loops are short and without branches.
const BLOCK: usize = 256;

/// `[rows, features]`: each entry is, independently, uniform in [0, 1] with probability `density` and 0 otherwise (the paper's
/// sparsity S is 1 - density). `density` lies in (0, 1]; resolution is 2⁻²⁶.
pub fn sparse_features(rows: usize, features: usize, density: f64, rng: &mut Random) -> Array2<f32> {
    let mut x = Array2::zeros((rows, features));
    let (density, amplify) = (density as f32, (1.0 / density) as f32);
    // A uniform number up to the density is, given that, uniform after division; larger ones say that the feature is absent.
    let feature = |uniform: f32| if uniform <= density { uniform * amplify } else { 0.0 };
    let mut draws = [0.0; BLOCK];
    for block in x.as_slice_mut().unwrap_or_default().chunks_mut(2 * BLOCK) {
        let (first, second) = block.split_at_mut(block.len().div_ceil(2));
        // One draw has 53 bits: the first 26 make one uniform number, the others the next.
        for draw in &mut draws[..first.len()] {
            *draw = rng.uniform() * HALF;
        }
        for (x, draw) in first.iter_mut().zip(&draws) {
            *x = feature((*draw as i32) as f32 * (1.0 / HALF) as f32);
        }
        for (x, draw) in second.iter_mut().zip(&draws) {
            *x = feature((*draw - f64::from(*draw as i32)) as f32);
        }
    }
    x
}
