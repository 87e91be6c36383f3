//! Means and covariances of activations too many to keep, in one pass (Chan, Golub and LeVeque 1979).

use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use rayon::prelude::*;

use crate::{
    activations::is_dead,
    interference::{Interference, interference_from_covariance},
    matrix::{self, MatrixError},
    spectra::Spectrum,
};

/// Rows that are absorbed at once, so that the working set does not grow with the batch.
const ROWS: usize = 1024;

/// Columns of the covariance that are updated at once.
const BLOCK: usize = 128;

/// Mean, covariance and range of the columns of a stream of batches `[n, d]`.
///
/// Sums of squares are kept around the running mean, in f64, so that a large mean costs no digits. Memory: see
/// [`Moments::bytes`]. The result depends on the order of the rows and on how they are cut into batches only in the last places, and not
/// on the number of threads. Quantities that need the site's rms first (sparsity) need a second pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    rows: usize,
    mean: Array1<f64>,
    /// Σ (x - mean)(x - mean)ᵀ, upper triangle, row after row.
    scatter: Vec<f64>,
    least: Array1<f64>,
    most: Array1<f64>,
}

impl Moments {
    /// No rows yet, of `columns` neurons.
    pub fn new(columns: usize) -> Self {
        Self {
            rows: 0,
            mean: Array1::zeros(columns),
            scatter: vec![0.0; offset(columns, columns)],
            least: Array1::from_elem(columns, f64::INFINITY),
            most: Array1::from_elem(columns, f64::NEG_INFINITY),
        }
    }

    /// Bytes that moments of `columns` neurons keep, about 4 d², for comparing with a cap: 2.4 MB for 768 neurons, 2.1 GB for
    /// 30 positions of 768. An update takes 8 kB a neuron more, and 1 kB a neuron and thread.
    pub fn bytes(columns: usize) -> usize {
        size_of::<f64>() * (offset(columns, columns) + 3 * columns)
    }

    /// Takes in the rows of `[n, d]`; no rows change nothing.
    ///
    /// Fails for another number of columns and for values that are not finite, and then takes in nothing.
    pub fn update(&mut self, name: &str, batch: ArrayView2<f32>) -> Result<(), MatrixError> {
        matrix::check_equal("columns", (name, batch.ncols()), ("the moments", self.mean.len()))?;
        matrix::check_finite(name, batch)?;
        for part in batch.axis_chunks_iter(Axis(0), ROWS) {
            self.absorb(part);
        }
        Ok(())
    }

    /// Takes in the rows that `other` took in. Fails for another number of columns.
    pub fn merge(&mut self, other: &Self) -> Result<(), MatrixError> {
        let columns = ("the merged moments", other.mean.len());
        matrix::check_equal("columns", columns, ("the moments", self.mean.len()))?;
        if other.rows == 0 {
            return Ok(());
        }
        let (shift, weight) = self.shift(&other.mean, other.rows);
        let mut entries = self.scatter.iter_mut().zip(&other.scatter);
        for (i, first) in shift.iter().enumerate() {
            for (second, (entry, added)) in shift.iter().skip(i).zip(entries.by_ref()) {
                *entry += added + weight * first * second;
            }
        }
        self.advance(&shift, other.rows);
        self.least.zip_mut_with(&other.least, |least, &x| *least = least.min(x));
        self.most.zip_mut_with(&other.most, |most, &x| *most = most.max(x));
        Ok(())
    }

    /// Rows taken in.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Column means, `[d]`; 0 before the first row.
    pub fn mean(&self) -> &Array1<f64> {
        &self.mean
    }

    /// Smallest values, `[d]`; infinity before the first row.
    pub fn least(&self) -> &Array1<f64> {
        &self.least
    }

    /// Largest values, `[d]`; minus infinity before the first row.
    pub fn most(&self) -> &Array1<f64> {
        &self.most
    }

    /// Variances with divisor n - 1, `[d]`; `None` below two rows.
    pub fn variance(&self) -> Option<Array1<f64>> {
        let width = self.mean.len();
        let divisor = self.rows.checked_sub(1).filter(|&divisor| divisor > 0)? as f64;
        Some(Array1::from_shape_fn(width, |i| {
            self.scatter[offset(i, width)] / divisor
        }))
    }

    /// Covariance with divisor n - 1, `[d, d]`, symmetric; `None` below two rows.
    pub fn covariance(&self) -> Option<Array2<f64>> {
        let width = self.mean.len();
        let divisor = self.rows.checked_sub(1).filter(|&divisor| divisor > 0)? as f64;
        Some(Array2::from_shape_fn((width, width), |(i, j)| {
            let (first, second) = (i.min(j), i.max(j));
            self.scatter[offset(first, width) + second - first] / divisor
        }))
    }

    /// Root mean square over all entries; 0 for none.
    pub fn rms(&self) -> f64 {
        let width = self.mean.len();
        if self.rows == 0 || width == 0 {
            return 0.0;
        }
        let squares: f64 = (0..width)
            .map(|i| self.scatter[offset(i, width)] / self.rows as f64 + self.mean[i].powi(2))
            .sum();
        (squares / width as f64).sqrt()
    }

    /// Whether each neuron is live, by the rule of [`crate::activations::live_neurons`]; none is before the first row.
    pub fn live(&self) -> Vec<bool> {
        let rms = self.rms();
        let ends = self.least.iter().zip(&self.most);
        ends.map(|(&least, &most)| !is_dead(least, most, rms)).collect()
    }

    /// [`Spectrum::from_covariance`]. Fails below two rows and for no columns.
    pub fn spectrum(&self, name: &str) -> Result<Spectrum, MatrixError> {
        Spectrum::from_covariance(name, self.covariance_of(name)?.view(), self.rows)
    }

    /// [`interference_from_covariance`] of the live neurons. Fails below two rows and for no columns.
    pub fn interference(&self, name: &str) -> Result<Interference, MatrixError> {
        interference_from_covariance(name, self.covariance_of(name)?.view(), &self.live(), self.rows)
    }

    fn covariance_of(&self, name: &str) -> Result<Array2<f64>, MatrixError> {
        self.covariance().ok_or_else(|| MatrixError::TooFewRows {
            matrix: name.to_string(),
            rows: self.rows,
            least: 2,
        })
    }

    /// One part of a batch.
    fn absorb(&mut self, part: ArrayView2<f32>) {
        let rows = part.nrows();
        let mut centred = part.mapv(f64::from);
        let mean = centred.sum_axis(Axis(0)) / rows as f64;
        for row in centred.rows() {
            self.least.zip_mut_with(&row, |least, &x| *least = least.min(x));
            self.most.zip_mut_with(&row, |most, &x| *most = most.max(x));
        }
        centred -= &mean;
        let (shift, weight) = self.shift(&mean, rows);
        let width = mean.len();
        let mut blocks = Vec::new();
        let mut rest = self.scatter.as_mut_slice();
        for start in (0..width).step_by(BLOCK) {
            let end = (start + BLOCK).min(width);
            let (block, after) = std::mem::take(&mut rest).split_at_mut(offset(end, width) - offset(start, width));
            blocks.push((start, end, block));
            rest = after;
        }
        blocks.into_par_iter().for_each(|(start, end, block)| {
            let added = centred
                .slice(s![.., start..end])
                .t()
                .dot(&centred.slice(s![.., start..]));
            let shift = shift.slice(s![start..]);
            let mut entries = block.iter_mut();
            for (i, (row, first)) in added.rows().into_iter().zip(&shift).enumerate() {
                let columns = row.into_iter().zip(&shift).skip(i);
                for ((added, second), entry) in columns.zip(entries.by_ref()) {
                    *entry += added + weight * first * second;
                }
            }
        });
        self.advance(&shift, rows);
    }

    /// How far the mean of `rows` more rows lies from ours, and the weight of its square in the scatter.
    fn shift(&self, mean: &Array1<f64>, rows: usize) -> (Array1<f64>, f64) {
        let (before, added) = (self.rows as f64, rows as f64);
        (mean - &self.mean, before * added / (before + added))
    }

    /// Counts `rows` more rows, whose mean lies `shift` away.
    fn advance(&mut self, shift: &Array1<f64>, rows: usize) {
        self.rows += rows;
        self.mean.scaled_add(rows as f64 / self.rows as f64, shift);
    }
}

/// Where row `i` of the packed upper triangle of `[width, width]` starts.
fn offset(i: usize, width: usize) -> usize {
    i * (2 * width + 1 - i) / 2
}
