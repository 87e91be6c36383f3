//! What single neurons of a site do (notebook part 19).
//!
//! A site's activations are a matrix `[n, d]`: a row a sample, a column a neuron. Thresholds are relative to the site's root mean
//! square over *all* entries, so that they mean the same at every site and for every scale.

use ndarray::{Array1, ArrayView2, Axis, Zip};
use serde::{Deserialize, Serialize};

use crate::matrix::{self, MatrixError};

/// A neuron is dead if max - min is at most this times the site's rms.
pub const DEAD: f64 = 1e-6;

/// An activation counts as silent if its magnitude is at most this times the site's rms.
pub const SILENT: f64 = 0.01;

/// One neuron over the rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NeuronStatistics {
    /// Arithmetic mean.
    pub mean: f64,
    /// Standard deviation with divisor n (numpy's default, as in the notebook); exactly 0 where all values are equal.
    pub std: f64,
    /// Share of rows with |a| ≤ [`SILENT`] · rms of the site.
    pub sparsity: f64,
    /// Smallest value.
    pub least: f64,
    /// Largest value.
    pub most: f64,
    /// Whether max - min ≤ [`DEAD`] · rms of the site.
    pub dead: bool,
}

/// A site over all its neurons.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SiteStatistics {
    /// Samples.
    pub rows: usize,
    /// Neurons.
    pub columns: usize,
    /// Root mean square over all entries.
    pub rms: f64,
    /// Mean over all entries.
    pub mean: f64,
    /// Standard deviation over all entries, divisor n · d.
    pub std: f64,
    /// Share of all entries with |a| ≤ [`SILENT`] · rms.
    pub sparsity: f64,
    /// Neurons with max - min ≤ [`DEAD`] · rms. All of them where the site is constant.
    pub dead: usize,
    /// Neurons whose values are all equal; these are dead too.
    pub constant: usize,
    /// Standard deviation (divisor d) over neurons of the mean activation (notebook part 46).
    pub selectivity: f64,
    /// One a column.
    pub neurons: Vec<NeuronStatistics>,
}

/// Statistics of a site `[n, d]`, n at least 2.
///
/// Fails for fewer rows, no columns, and values that are not finite, which are counted and named with the site.
pub fn site_statistics(name: &str, matrix: ArrayView2<f64>) -> Result<SiteStatistics, MatrixError> {
    matrix::check(name, matrix, 2)?;
    let neurons = neuron_statistics(matrix);
    let (rows, columns) = matrix.dim();
    let width = columns as f64;
    let over = |of: &dyn Fn(&NeuronStatistics) -> f64| neurons.iter().map(of).sum::<f64>() / width;
    let mean = over(&|neuron| neuron.mean);
    let between = over(&|neuron| (neuron.mean - mean).powi(2));
    let within = over(&|neuron| neuron.std.powi(2));
    Ok(SiteStatistics {
        rows,
        columns,
        rms: rms(matrix),
        mean,
        // Every neuron has the same number of rows, so that variances within and between add up.
        std: (within + between).sqrt(),
        sparsity: over(&|neuron| neuron.sparsity),
        dead: neurons.iter().filter(|neuron| neuron.dead).count(),
        constant: neurons.iter().filter(|neuron| neuron.least == neuron.most).count(),
        selectivity: between.sqrt(),
        neurons,
    })
}

/// Statistics of every column of `[n, d]`, whose values must be finite; empty without rows. [`site_statistics`] checks them.
pub fn neuron_statistics(matrix: ArrayView2<f64>) -> Vec<NeuronStatistics> {
    if matrix.nrows() == 0 {
        return Vec::new();
    }
    let rows = matrix.nrows() as f64;
    let rms = rms(matrix);
    let (least, most) = range(matrix);
    let mean = matrix.sum_axis(Axis(0)) / rows;
    let mut squares: Array1<f64> = Array1::zeros(matrix.ncols());
    let mut silent: Array1<f64> = Array1::zeros(matrix.ncols());
    for row in matrix.rows() {
        Zip::from(&mut squares)
            .and(&mut silent)
            .and(row)
            .and(&mean)
            .for_each(|squares, silent, &x, &mean| {
                *squares += (x - mean) * (x - mean);
                *silent += f64::from(u8::from(x.abs() <= SILENT * rms));
            });
    }
    (0..matrix.ncols())
        .map(|column| {
            let (least, most) = (least[column], most[column]);
            let varies = least < most;
            NeuronStatistics {
                mean: if varies { mean[column] } else { least },
                std: if varies { (squares[column] / rows).sqrt() } else { 0.0 },
                sparsity: silent[column] / rows,
                least,
                most,
                dead: is_dead(least, most, rms),
            }
        })
        .collect()
}

/// Whether each column of `[n, d]` is live: not dead, as [`NeuronStatistics::dead`] says. Without rows none is.
pub fn live_neurons(matrix: ArrayView2<f64>) -> Vec<bool> {
    let rms = rms(matrix);
    let (least, most) = range(matrix);
    let ends = least.iter().zip(&most);
    ends.map(|(&least, &most)| !is_dead(least, most, rms)).collect()
}

/// The one rule for dead neurons.
pub(crate) fn is_dead(least: f64, most: f64, rms: f64) -> bool {
    most - least <= DEAD * rms
}

/// Root mean square over all entries; 0 for none.
pub(crate) fn rms(matrix: ArrayView2<f64>) -> f64 {
    if matrix.is_empty() {
        return 0.0;
    }
    let sum: f64 = matrix.iter().map(|x| x * x).sum();
    (sum / matrix.len() as f64).sqrt()
}

/// Smallest and largest value of every column.
fn range(matrix: ArrayView2<f64>) -> (Array1<f64>, Array1<f64>) {
    let least = matrix.fold_axis(Axis(0), f64::INFINITY, |least, &x| least.min(x));
    let most = matrix.fold_axis(Axis(0), f64::NEG_INFINITY, |most, &x| most.max(x));
    (least, most)
}
