//! How much each input contributes to the output, and whether methods agree on it.

use ndarray::{Array3, Zip};
use serde::{Deserialize, Serialize};

use crate::{Bootstrap, Estimate, descriptive::spearman};

/// Where on the path from baseline to input gradients are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Gauss-Legendre nodes and weights: exact for polynomials of degree 2·steps - 1.
    #[default]
    GaussLegendre,
    /// The middles of equal parts.
    Midpoint,
}

impl Rule {
    /// Nodes in (0, 1) and their weights, which add up to 1.
    pub fn nodes(self, steps: usize) -> Vec<(f64, f64)> {
        match self {
            Rule::Midpoint => (0..steps)
                .map(|k| ((k as f64 + 0.5) / steps as f64, 1.0 / steps as f64))
                .collect(),
            Rule::GaussLegendre => gauss_legendre(steps),
        }
    }
}

/// Newton's method on the Legendre polynomial, from Tricomi's guess; mapped from [-1, 1] to [0, 1].
fn gauss_legendre(n: usize) -> Vec<(f64, f64)> {
    let node = |k: usize| {
        let mut x = (std::f64::consts::PI * (k as f64 + 0.75) / (n as f64 + 0.5)).cos();
        let mut slope = 1.0;
        for _ in 0..100 {
            let (mut before, mut p) = (1.0, x);
            for degree in 2..=n {
                let d = degree as f64;
                (before, p) = (p, ((2.0 * d - 1.0) * x * p - (d - 1.0) * before) / d);
            }
            slope = n as f64 * (x * p - before) / (x * x - 1.0);
            let step = p / slope;
            x -= step;
            if step.abs() < 1e-15 {
                break;
            }
        }
        ((1.0 - x) / 2.0, 1.0 / ((1.0 - x * x) * slope * slope))
    };
    (0..n).map(node).collect()
}

/// Integrated gradients (Sundararajan, Taly and Yan 2017): (x - x') ∫₀¹ ∇F(x' + α(x - x')) dα, `[row, position, feature]` like `x` and
/// `baseline`. `gradient` maps rows to ∇F of each; it is called once a node.
pub fn integrated_gradients<E>(
    x: &Array3<f32>,
    baseline: &Array3<f32>,
    rule: Rule,
    steps: usize,
    gradient: impl Fn(&Array3<f32>) -> Result<Array3<f32>, E>,
) -> Result<Array3<f64>, E> {
    let mut sum = Array3::<f64>::zeros(x.dim());
    for (alpha, weight) in rule.nodes(steps) {
        let mut point = x.clone();
        Zip::from(&mut point)
            .and(baseline)
            .for_each(|x, &b| *x = (f64::from(b) + alpha * (f64::from(*x) - f64::from(b))) as f32);
        let slope = gradient(&point)?;
        Zip::from(&mut sum)
            .and(&slope)
            .for_each(|sum, &g| *sum += weight * f64::from(g));
    }
    Zip::from(&mut sum)
        .and(x)
        .and(baseline)
        .for_each(|sum, &x, &b| *sum *= f64::from(x) - f64::from(b));
    Ok(sum)
}

/// How far attributions miss what they should add up to: mean over rows of |Σ attributions - (F(x) - F(x'))|, over the mean of
/// |F(x) - F(x')|. `None` where the output never differs from the baseline's.
pub fn completeness_gap(attributions: &Array3<f64>, output: &[f64], at_baseline: &[f64]) -> Option<f64> {
    let rows = attributions.outer_iter().zip(output.iter().zip(at_baseline));
    let (gap, change) = rows.fold((0.0, 0.0), |(gap, change), (row, (f, f0))| {
        (gap + (row.sum() - (f - f0)).abs(), change + (f - f0).abs())
    });
    (change > 0.0).then(|| gap / change)
}

/// Spearman's rank correlation of two methods' importances of columns. `a` and `b` hold for each column its importance row by row; a column's
/// importance is the mean, and the interval resamples rows.
pub fn agreement(a: &[Vec<f64>], b: &[Vec<f64>], bootstrap: &Bootstrap) -> Estimate {
    let n = a.first().map_or(0, Vec::len);
    let means = |of: &[Vec<f64>], weights: &[f64]| -> Vec<f64> {
        of.iter()
            .map(|column| column.iter().zip(weights).map(|(value, weight)| value * weight).sum())
            .collect()
    };
    // Noise in a resample lowers a correlation: plain percentiles would lie below the value.
    let of = |weights: &[f64]| vec![spearman(&means(a, weights), &means(b, weights)).map(|found| found.r)];
    let found = bootstrap.estimate_many_centred(n, of).into_iter().next();
    let mut estimate = found.unwrap_or_default().within(-1.0, 1.0);
    if estimate.value.is_none() {
        estimate.note = Some("fewer than 3 columns, or all of equal importance".into());
    }
    estimate
}
