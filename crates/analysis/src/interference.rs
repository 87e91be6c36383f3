//! How much neurons share: mean correlation between them (notebook part 35).

use ndarray::{Array2, ArrayView2, Axis, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    activations,
    matrix::{self, MatrixError},
};

/// Columns of the correlation matrix that are computed at once.
const BLOCK: usize = 128;

/// Mean |correlation| between the live neurons of a site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interference {
    /// Mean over pairs of distinct live neurons of |correlation|, in [0, 1]; `None` below two live neurons.
    pub value: Option<f64>,
    /// `value` minus `noise`: 0 in expectation for independent normal neurons; negative by chance.
    pub excess: Option<f64>,
    /// √(2 / (πn)): the mean |correlation| of independent normal neurons over n rows, for n not too small.
    pub noise: f64,
    /// Live neurons.
    pub live: usize,
    /// Dead neurons, left out (see [`crate::activations::live_neurons`]).
    pub dead: usize,
}

/// Interference of a site `[n, d]`, n at least 2.
///
/// Fails for fewer rows, no columns, and values that are not finite. Takes d² / 2 · n multiplications, spread over threads, and
/// one copy of the live columns.
pub fn interference(name: &str, matrix: ArrayView2<f64>) -> Result<Interference, MatrixError> {
    matrix::check(name, matrix, 2)?;
    let live = activations::live_neurons(matrix);
    let mut unit = matrix::centred(live_columns(matrix, &live).view());
    let norms = unit.map_axis(Axis(0), |column| column.iter().map(|x| x * x).sum::<f64>().sqrt());
    unit /= &norms;
    let width = unit.ncols();
    let starts: Vec<usize> = (0..width).step_by(BLOCK).collect();
    // Sums of blocks are added in order, so that the result is the same for any number of threads.
    let sums: Vec<f64> = starts
        .par_iter()
        .map(|&start| {
            let end = (start + BLOCK).min(width);
            let correlations = unit.slice(s![.., start..end]).t().dot(&unit.slice(s![.., start..]));
            above_diagonal(correlations.view())
        })
        .collect();
    Ok(summary(sums.iter().sum(), matrix.nrows(), width, live.len()))
}

/// Interference from a covariance `[d, d]` of `rows` samples, with `live[i]` for each neuron, for activations that were
/// streamed through [`crate::moments::Moments`].
///
/// Fails where the shapes differ, and for values that are not finite. A live neuron whose variance is not positive counts as dead.
pub fn interference_from_covariance(
    name: &str,
    covariance: ArrayView2<f64>,
    live: &[bool],
    rows: usize,
) -> Result<Interference, MatrixError> {
    matrix::check(name, covariance, 1)?;
    matrix::check_equal(
        "rows",
        (name, covariance.nrows()),
        ("its transpose", covariance.ncols()),
    )?;
    matrix::check_equal("rows", (name, covariance.nrows()), ("the live neurons", live.len()))?;
    let live: Vec<usize> = (0..live.len())
        .filter(|&i| live[i] && covariance[[i, i]] > 0.0)
        .collect();
    let mut sum = 0.0;
    for (place, &i) in live.iter().enumerate() {
        for &j in &live[place + 1..] {
            let correlation = covariance[[i, j]] / covariance[[i, i]].sqrt() / covariance[[j, j]].sqrt();
            sum += correlation.abs().min(1.0);
        }
    }
    Ok(summary(sum, rows, live.len(), covariance.nrows()))
}

/// The columns of `matrix` that are live.
fn live_columns(matrix: ArrayView2<f64>, live: &[bool]) -> Array2<f64> {
    let columns: Vec<usize> = (0..live.len()).filter(|&column| live[column]).collect();
    matrix.select(Axis(1), &columns)
}

/// Σ |entry| right of the diagonal of a block whose diagonal starts at its first entry.
fn above_diagonal(block: ArrayView2<f64>) -> f64 {
    block
        .rows()
        .into_iter()
        .enumerate()
        .map(|(i, row)| row.iter().skip(i + 1).map(|r| r.abs().min(1.0)).sum::<f64>())
        .sum()
}

/// From the sum over pairs.
fn summary(sum: f64, rows: usize, live: usize, all: usize) -> Interference {
    let pairs = live * live.saturating_sub(1) / 2;
    let noise = (2.0 / (std::f64::consts::PI * rows.max(1) as f64)).sqrt();
    let value = (pairs > 0).then(|| sum / pairs as f64);
    Interference {
        value,
        excess: value.map(|value| value - noise),
        noise,
        live,
        dead: all - live,
    }
}
