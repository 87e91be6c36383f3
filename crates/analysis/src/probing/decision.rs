//! What the logit does near single rows: how far the decision boundary is, how straight and how steep the output (notebook part 30).

use burn::tensor::Device;
use disentangle_data::Seed;
use disentangle_models::Model;
use ndarray::{Array3, Axis, Zip};
use serde::{Deserialize, Serialize};

use super::{ProbingError, logit_gradient, logits};
use crate::{Bootstrap, Estimate, classification::sigmoid, importance::weighted_mean};

/// ‖δ‖ of the steps that [`decisions`] takes from every row, in standard deviations of a feature.
pub const STEP_LENGTH: f64 = 0.1;

/// The logit at every row and near it; one entry a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decisions {
    /// z(x).
    pub logits: Vec<f64>,
    /// ‖∇ₓz‖ over all positions and features.
    pub slopes: Vec<f64>,
    /// |z(x + δ) - z(x)|, the mean over directions of δ.
    pub changes: Vec<f64>,
    /// |z(x + δ) - z(x) - ∇z·δ|, the mean over the same directions.
    pub residuals: Vec<f64>,
}

/// Takes a step of length [`STEP_LENGTH`] from every row of `[row, position, feature]` into `directions` random directions, each row its
/// own, uniform over all positions and features; without dropout. Does not depend on `threads`.
///
/// Fails if the shape is not the model's, and without rows.
pub fn decisions(
    model: &Model,
    x: &Array3<f32>,
    directions: usize,
    seed: Seed,
    device: &Device,
    threads: usize,
) -> Result<Decisions, ProbingError> {
    let gradient = logit_gradient(model, x, device, threads)?;
    let plain = logits(model, x, device, threads)?;
    let rows = plain.len();
    let slopes = gradient.axis_iter(Axis(0)).map(|row| {
        let squares = row.iter().map(|g| f64::from(*g).powi(2));
        squares.sum::<f64>().sqrt()
    });
    let mut found = Decisions {
        slopes: slopes.collect(),
        changes: vec![0.0; rows],
        residuals: vec![0.0; rows],
        logits: plain,
    };
    for direction in 0..directions {
        let moved = stepped(x, seed.index(direction as u64));
        let after = logits(model, &moved, device, threads)?;
        for (row, after) in after.into_iter().enumerate() {
            let mut expected = 0.0;
            // The step that was taken, which f32 has rounded.
            Zip::from(gradient.index_axis(Axis(0), row))
                .and(moved.index_axis(Axis(0), row))
                .and(x.index_axis(Axis(0), row))
                .for_each(|g, to, from| expected += f64::from(*g) * (f64::from(*to) - f64::from(*from)));
            let change = after - found.logits[row];
            found.changes[row] += change.abs() / directions as f64;
            found.residuals[row] += (change - expected).abs() / directions as f64;
        }
    }
    Ok(found)
}

/// Every row moved by [`STEP_LENGTH`] into a direction that is uniform on the sphere.
fn stepped(x: &Array3<f32>, seed: Seed) -> Array3<f32> {
    let mut rng = seed.rng();
    let mut moved = x.clone();
    for mut row in moved.axis_iter_mut(Axis(0)) {
        let direction: Vec<f64> = (0..row.len()).map(|_| rng.normal()).collect();
        let length = direction.iter().map(|d| d * d).sum::<f64>().sqrt();
        for (value, d) in row.iter_mut().zip(direction) {
            *value = (f64::from(*value) + STEP_LENGTH * d / length) as f32;
        }
    }
    moved
}

/// The notebook's robustness of decisions, made definite.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DecisionMetrics {
    /// Median of |z| / ‖∇ₓz‖: to first order, how far half of the rows at least are from the decision boundary, in standard deviations of a
    /// feature. Where the output does not move, the boundary is infinitely far.
    pub boundary_width: Estimate,
    /// 1 - E|z(x + δ) - z(x) - ∇z·δ| / E|z(x + δ) - z(x)|, cut to [0, 1]: 1 where the output is straight within [`STEP_LENGTH`].
    pub local_linearity: Estimate,
    /// E‖∇ₓz‖: the logit's change a standard deviation in the steepest direction.
    pub sensitivity: Estimate,
    /// E|p - ½|, in [0, ½].
    pub confidence: Estimate,
}

impl Decisions {
    /// Intervals resample rows.
    pub fn metrics(&self, bootstrap: &Bootstrap) -> DecisionMetrics {
        let n = self.logits.len();
        let widths = self.widths();
        let confidence: Vec<f64> = self.logits.iter().map(|z| (sigmoid(*z) - 0.5).abs()).collect();
        let mut boundary_width = bootstrap.estimate_weighted(n, |weights| weighted_median(&widths, weights));
        if boundary_width.value.is_none() {
            boundary_width.note = Some("the output does not move at half of the rows".into());
        }
        let mut local_linearity = bootstrap.estimate_weighted(n, |weights| self.linearity(weights));
        if local_linearity.value.is_none() {
            local_linearity.note = Some("the output does not move".into());
        }
        DecisionMetrics {
            boundary_width,
            local_linearity: local_linearity.within(0.0, 1.0),
            sensitivity: weighted_mean(bootstrap, &self.slopes),
            confidence: weighted_mean(bootstrap, &confidence).within(0.0, 0.5),
        }
    }

    /// |z| / ‖∇z‖ with its row, in ascending order.
    fn widths(&self) -> Vec<(f64, usize)> {
        let width = |(z, slope): (&f64, &f64)| match (*z, *slope) {
            (0.0, _) => 0.0,
            (_, 0.0) => f64::INFINITY,
            (z, slope) => z.abs() / slope,
        };
        let widths = self.logits.iter().zip(&self.slopes).map(width);
        let mut widths: Vec<(f64, usize)> = widths.enumerate().map(|(row, width)| (width, row)).collect();
        widths.sort_by(|a, b| a.0.total_cmp(&b.0));
        widths
    }

    fn linearity(&self, weights: &[f64]) -> Option<f64> {
        let sum = |values: &[f64]| weights.iter().zip(values).map(|(w, v)| w * v).sum::<f64>();
        let (changes, residuals) = (sum(&self.changes), sum(&self.residuals));
        (changes > 0.0).then(|| (1.0 - residuals / changes).clamp(0.0, 1.0))
    }
}

/// Median of rows that are counted `weights[row]` times, a whole number; the mean of the middle two where there are two. `None` where it
/// is not finite.
fn weighted_median(ascending: &[(f64, usize)], weights: &[f64]) -> Option<f64> {
    let total: f64 = weights.iter().sum();
    let at = |rank: f64| {
        let mut below = 0.0;
        let mut values = ascending.iter();
        values.find_map(|(value, row)| {
            below += weights[*row];
            (below > rank).then_some(*value)
        })
    };
    let middle = (total - 1.0) / 2.0;
    let median = 0.5 * (at(middle.floor())? + at(middle.ceil())?);
    Some(median).filter(|median| median.is_finite())
}

#[cfg(test)]
mod tests {
    use disentangle_models::{Layout, LinearConfig, ModelConfig, SmallConfig};
    use ndarray::s;

    use super::*;

    fn normal(rows: usize, positions: usize, features: usize) -> Array3<f32> {
        let mut rng = Seed::new(4).rng();
        Array3::from_shape_simple_fn((rows, positions, features), || rng.normal() as f32)
    }

    fn near(what: &str, found: &Estimate, expected: f64, tolerance: f64) {
        let found = found.value.unwrap();
        assert!(
            (found - expected).abs() <= tolerance,
            "{what}: {found} instead of {expected}"
        );
    }

    fn median(mut values: Vec<f64>) -> f64 {
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        0.5 * (values[middle] + values[(values.len() - 1) / 2])
    }

    #[test]
    fn a_linear_model_is_straight_and_its_boundary_a_plane() {
        let device = Device::flex();
        let model = ModelConfig::Linear(LinearConfig::new(5, 3))
            .init(Seed::new(2), &device)
            .unwrap();
        let x = normal(80, 3, 5);
        // The weights by differences: of a linear model these are exact.
        let zero = Array3::<f32>::zeros((1, 3, 5));
        let at = |x: &Array3<f32>| logits(&model, x, &device, 1).unwrap()[0];
        let squares = (0..15).map(|place| {
            let mut unit = zero.clone();
            unit[[0, place / 5, place % 5]] = 1.0;
            (at(&unit) - at(&zero)).powi(2)
        });
        let norm = squares.sum::<f64>().sqrt();
        let found = decisions(&model, &x, 3, Seed::new(9), &device, 1).unwrap();
        assert_eq!(found, decisions(&model, &x, 3, Seed::new(9), &device, 2).unwrap());
        let bootstrap = Bootstrap::new(1, 200, Seed::new(1));
        let metrics = found.metrics(&bootstrap);
        let z = logits(&model, &x, &device, 1).unwrap();
        near("sensitivity", &metrics.sensitivity, norm, 1e-5);
        near("linearity", &metrics.local_linearity, 1.0, 1e-4);
        let widths = z.iter().map(|z| z.abs() / norm).collect();
        near("width", &metrics.boundary_width, median(widths), 1e-5);
        let confidence = z.iter().map(|z| (sigmoid(*z) - 0.5).abs()).sum::<f64>() / 80.0;
        near("confidence", &metrics.confidence, confidence, 1e-9);
        let width = &metrics.boundary_width;
        assert!(width.low < width.value && width.value < width.high, "{width:?}");
        // A step of .1 into a random direction of 15: on average √(2/π) · .1 ‖w‖ / √15, roughly.
        let mean = found.changes.iter().sum::<f64>() / 80.0;
        let expected = (2.0 / std::f64::consts::PI).sqrt() * STEP_LENGTH * norm / 15.0_f64.sqrt();
        assert!((mean / expected - 1.0).abs() < 0.2, "{mean} instead of {expected}");
    }

    #[test]
    fn a_transformer_is_not_straight() {
        let device = Device::flex();
        let config = SmallConfig {
            layout: Layout::Flat,
            hidden: 16,
            ..SmallConfig::new(6)
        };
        let model = ModelConfig::Small(config).init(Seed::new(1), &device).unwrap();
        let x = normal(70, 1, 6);
        let found = decisions(&model, &x, 2, Seed::new(3), &device, 1).unwrap();
        let linearity = found.linearity(&[1.0; 70]).unwrap();
        assert!((0.3..0.9999).contains(&linearity), "{linearity}");
        // Row by row, by the gradient of differences.
        let row = 40;
        let at = |x: &Array3<f32>| logits(&model, x, &device, 1).unwrap()[0];
        let own = x.slice(s![row..=row, .., ..]).to_owned();
        let mut gradient = [0.0; 6];
        for (feature, slope) in gradient.iter_mut().enumerate() {
            let by = |step: f32| {
                let mut moved = own.clone();
                moved[[0, 0, feature]] += step;
                (at(&moved), f64::from(moved[[0, 0, feature]]))
            };
            let (ahead, behind) = (by(0.01), by(-0.01));
            *slope = (ahead.0 - behind.0) / (ahead.1 - behind.1);
        }
        let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        assert!(
            (found.slopes[row] - norm).abs() < 0.02 * norm,
            "{} instead of {norm}",
            found.slopes[row]
        );
        let (mut change, mut residual) = (0.0, 0.0);
        for direction in 0..2 {
            let moved = stepped(&x, Seed::new(3).index(direction))
                .slice(s![row..=row, .., ..])
                .to_owned();
            let step: Vec<f64> = moved.iter().zip(&own).map(|(to, from)| f64::from(to - from)).collect();
            let length = step.iter().map(|d| d * d).sum::<f64>().sqrt();
            assert!((length - STEP_LENGTH).abs() < 1e-5, "{length}");
            let moves = at(&moved) - at(&own);
            let straight: f64 = step.iter().zip(&gradient).map(|(d, g)| d * g).sum();
            change += moves.abs() / 2.0;
            residual += (moves - straight).abs() / 2.0;
        }
        assert!(
            (found.changes[row] - change).abs() < 1e-5,
            "{} instead of {change}",
            found.changes[row]
        );
        assert!((found.residuals[row] - residual).abs() < 0.01 * STEP_LENGTH * norm + 1e-6);
    }

    #[test]
    fn rows_on_the_boundary_and_rows_that_do_not_move() {
        let decisions = |slopes: [f64; 4], changes: f64| Decisions {
            logits: vec![0.0, -3.0, 1.0, 2.0],
            slopes: slopes.to_vec(),
            changes: vec![changes; 4],
            residuals: vec![0.25 * changes, 0.0, 0.25 * changes, 0.5 * changes],
        };
        let bootstrap = Bootstrap::new(1, 200, Seed::new(1));
        let found = decisions([0.0, 2.0, 2.0, 0.0], 0.5).metrics(&bootstrap);
        near("width", &found.boundary_width, 1.0, 1e-12);
        near("linearity", &found.local_linearity, 0.75, 1e-12);
        near("sensitivity", &found.sensitivity, 1.0, 1e-12);
        let found = decisions([0.0; 4], 0.0).metrics(&bootstrap);
        for undefined in [&found.boundary_width, &found.local_linearity] {
            assert!(undefined.value.is_none() && undefined.note.is_some(), "{undefined:?}");
        }
        let ascending: Vec<(f64, usize)> = (0..3).map(|row| (row as f64, row)).collect();
        let median = |weights: &[f64]| weighted_median(&ascending, weights);
        assert_eq!(median(&[1.0, 1.0, 1.0]), Some(1.0));
        assert_eq!(median(&[2.0, 0.0, 2.0]), Some(1.0));
        assert_eq!(median(&[3.0, 1.0, 1.0]), Some(0.0));
        assert_eq!(median(&[0.0; 3]), None);
    }
}
