//! Whether columns act together (notebook part 46, which lost signs and made a pass for every pair).

use disentangle_analysis::{
    causal::interaction::without,
    descriptive::{mean, std_dev},
    probing,
};
use disentangle_data::Seed;
use ndarray::{Array3, Axis, concatenate};

use super::measure::Subject;
use crate::ExperimentError;

impl Subject<'_> {
    /// How far pairs of columns act together: D = f(x) - f(x without a) - f(x without b) + f(x without both) on the
    /// logit, a column taken from a random row; the root mean square over rows and pairs, over the standard deviation
    /// of the logit. All pairs pass together.
    pub(super) fn interaction(&self, rows: &[usize]) -> Result<Option<f64>, ExperimentError> {
        let x = self.repeat.rows.dataset.inputs(rows);
        let columns = x.dim().2;
        if columns < 2 {
            return Ok(None);
        }
        // The same pairs and donors for every size.
        let seed = self.repeat.seed.child("pairs");
        let mut parts = vec![x.clone()];
        for pair in 0..self.config.pairs {
            parts.extend(replaced(&x, seed.index(pair as u64)));
        }
        let views: Vec<_> = parts.iter().map(Array3::view).collect();
        let all = concatenate(Axis(0), &views).map_err(|error| ExperimentError::Failed(error.to_string()))?;
        let logits = probing::logits(self.model, &self.repeat.shape.rows(&all), self.device, 1)?;
        let parts: Vec<&[f64]> = logits.chunks(rows.len()).collect();
        Ok(relative_interaction(&parts))
    }
}

/// Rows without a random column, without another, and without both.
fn replaced(x: &Array3<f32>, seed: Seed) -> [Array3<f32>; 3] {
    let columns = seed.child("columns").rng().permutation(x.dim().2);
    let (first, second) = (&columns[..1], &columns[1..2]);
    let donors = seed.child("donors");
    let lacks = |groups: &[(usize, &[usize])]| without(x, groups, 0, donors);
    [
        lacks(&[(0, first)]),
        lacks(&[(1, second)]),
        lacks(&[(0, first), (1, second)]),
    ]
}

/// Of logits of whole rows, followed for each pair by those without the first, the second, and both. `None` where the
/// logit does not vary.
fn relative_interaction(parts: &[&[f64]]) -> Option<f64> {
    let (whole, pairs) = parts.split_first()?;
    let scale = std_dev(whole).filter(|scale| *scale > 0.0)?;
    let mut squares = Vec::new();
    for pair in pairs.chunks(3) {
        let [first, second, both] = pair else { continue };
        squares.extend((0..whole.len()).map(|row| (whole[row] - first[row] - second[row] + both[row]).powi(2)));
    }
    Some(mean(&squares)?.sqrt() / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// f = ab of standardised a and b whose signs are taken from others: D = (a - a')(b - b').
    #[test]
    fn additive_outputs_do_not_interact_and_products_do() {
        let (a, b) = ([1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0]);
        let (other_a, other_b) = ([-1.0, 1.0, -1.0, 1.0], [-1.0, -1.0, 1.0, 1.0]);
        let check = |f: fn(f64, f64) -> f64, expected: f64| {
            let of = |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect() };
            let parts = [of(&a, &b), of(&other_a, &b), of(&a, &other_b), of(&other_a, &other_b)];
            let parts: Vec<&[f64]> = parts.iter().map(Vec::as_slice).collect();
            let found = relative_interaction(&parts).unwrap();
            assert!((found - expected).abs() < 1e-12, "{found}");
        };
        check(|a, b| 3.0 * a + b, 0.0);
        // D = 4 ab, and the standard deviation of ab with divisor 3 is √(4/3).
        check(|a, b| 7.0 * a * b, 4.0 / (4.0f64 / 3.0).sqrt());
        assert_eq!(
            relative_interaction(&[&[1.0, 1.0], &[1.0, 1.0], &[1.0, 1.0], &[1.0, 1.0]]),
            None
        );
    }
}
