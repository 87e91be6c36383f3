//! A probe that sees more than lines and is fitted in a millisecond, so that it can be fitted anew for every permutation.

use nalgebra::{Cholesky, DMatrix, DVector, Dyn};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, linalg::general_mat_mul};

use crate::classification::roc_auc;

/// Ridge penalty in rows: as if so many rows said that the probe knows nothing. It only has to keep systems solvable.
const RIDGE: f64 = 1.0;

/// Least squares of the label on standardised columns and their squares: Fisher's linear discriminant on both (Hastie, Tibshirani and Friedman
/// 2009, exercise 4.2), whose scores rank rows. The squares see what a sum of squares says; a linear probe would not (notebook part 34).
#[derive(Clone, Debug, PartialEq)]
pub struct GroupProbe {
    scale: Scale,
    weights: Vec<f64>,
}

/// Mean and standard deviation of each column, and of the squares of the standardised ones.
#[derive(Clone, Debug, PartialEq)]
struct Scale {
    columns: Vec<[f64; 2]>,
    squares: Vec<[f64; 2]>,
}

impl GroupProbe {
    /// Fits on `[n, k]` and labels (0 or 1). Columns that do not vary have no weight.
    pub fn fit(features: ArrayView2<f64>, labels: &[f32]) -> Self {
        let scale = Scale::new(features);
        let design = scale.apply(features);
        let y = centred_labels(labels);
        let weights = System::new(&gram(design.view()), design.nrows()).solve(&design.t().dot(&y));
        Self { scale, weights }
    }

    /// One score a row; the higher, the more like label 1. Only their order has a meaning.
    pub fn scores(&self, features: ArrayView2<f64>) -> Vec<f64> {
        let weights = ArrayView1::from(self.weights.as_slice());
        self.scale.apply(features).dot(&weights).to_vec()
    }
}

impl Scale {
    fn new(features: ArrayView2<f64>) -> Self {
        let columns: Vec<[f64; 2]> = features.axis_iter(Axis(1)).map(moments).collect();
        let squares = features.axis_iter(Axis(1)).zip(&columns).map(|(column, scale)| {
            let squares = column.mapv(|x| standard(x, *scale).powi(2));
            moments(squares.view())
        });
        let squares = squares.collect();
        Self { columns, squares }
    }

    /// `[n, 2k]`: standardised columns, then their standardised squares.
    fn apply(&self, features: ArrayView2<f64>) -> Array2<f64> {
        let width = self.columns.len();
        let mut design = Array2::zeros((features.nrows(), 2 * width));
        for (row, values) in features.axis_iter(Axis(0)).enumerate() {
            for column in 0..width {
                let z = standard(values[column], self.columns[column]);
                design[[row, column]] = z;
                design[[row, width + column]] = standard(z * z, self.squares[column]);
            }
        }
        design
    }
}

/// Standardised columns and squares of `[n, k]`, by their own moments: what probes on these rows are fitted on. Labels have no part in it.
pub(super) fn design(features: ArrayView2<f64>) -> Array2<f64> {
    Scale::new(features).apply(features)
}

fn moments(values: ArrayView1<f64>) -> [f64; 2] {
    [values.mean().unwrap_or(0.0), values.std(0.0)]
}

/// 0 where a column does not vary beyond rounding.
fn standard(x: f64, [mean, deviation]: [f64; 2]) -> f64 {
    if deviation > 1e-12 * mean.abs().max(1e-300) {
        (x - mean) / deviation
    } else {
        0.0
    }
}

/// Labels minus their mean.
pub(super) fn centred_labels(labels: &[f32]) -> Array1<f64> {
    let mean = labels.iter().copied().map(f64::from).sum::<f64>() / labels.len().max(1) as f64;
    labels.iter().map(|&y| f64::from(y) - mean).collect()
}

/// Inner products of columns.
pub(super) fn gram(design: ArrayView2<f64>) -> Array2<f64> {
    let mut gram = Array2::zeros((design.ncols(), design.ncols()));
    general_mat_mul(1.0, &design.t(), &design, 0.0, &mut gram);
    gram
}

/// Gram matrix, sums of columns, sums of columns times label, rows and positive rows: all that a fit needs of some rows.
#[derive(Clone, Debug)]
pub(super) struct Sums {
    gram: Array2<f64>,
    columns: Array1<f64>,
    positive: Array1<f64>,
    rows: f64,
    ones: f64,
}

impl Sums {
    /// Of the rows of `design`.
    pub(super) fn new(design: ArrayView2<f64>, labels: &[f32]) -> Self {
        let y: Array1<f64> = labels.iter().copied().map(f64::from).collect();
        Self {
            gram: gram(design),
            columns: design.sum_axis(Axis(0)),
            positive: design.t().dot(&y),
            rows: labels.len() as f64,
            ones: y.sum(),
        }
    }

    /// Of these rows without others.
    pub(super) fn without(&self, others: &Self) -> Self {
        Self {
            gram: &self.gram - &others.gram,
            columns: &self.columns - &others.columns,
            positive: &self.positive - &others.positive,
            rows: self.rows - others.rows,
            ones: self.ones - others.ones,
        }
    }

    /// Weights of least squares with intercept; the intercept is left out, as it changes no order. `None` where a label is absent.
    pub(super) fn weights(&self) -> Option<Vec<f64>> {
        if self.ones < 0.5 || self.rows - self.ones < 0.5 {
            return None;
        }
        let mean = &self.columns / self.rows;
        let mut centred = self.gram.clone();
        for (i, mut row) in centred.axis_iter_mut(Axis(0)).enumerate() {
            row.scaled_add(-self.columns[i], &mean);
        }
        let right = &self.positive - &(&mean * self.ones);
        Some(System::new(&centred, self.rows as usize).solve(&right))
    }
}

/// Normal equations with the ridge, factorised.
pub(super) struct System(Option<Cholesky<f64, Dyn>>, usize);

impl System {
    pub(super) fn new(gram: &Array2<f64>, rows: usize) -> Self {
        let width = gram.nrows();
        // Larger where rows are few beside columns.
        let ridge = RIDGE + 1e-9 * rows as f64;
        let matrix = DMatrix::from_fn(width, width, |i, j| gram[[i, j]] + if i == j { ridge } else { 0.0 });
        Self(Cholesky::new(matrix), width)
    }

    /// Zeros where the system could not be factorised: a probe that knows nothing.
    pub(super) fn solve(&self, right: &Array1<f64>) -> Vec<f64> {
        let right = DVector::from_iterator(self.1, right.iter().copied());
        match &self.0 {
            Some(factors) => factors.solve(&right).iter().copied().collect(),
            None => vec![0.0; self.1],
        }
    }
}

/// A_e in ascending order of environment: the AUC in environment e of one probe that was fitted on all the others. `None` where e, or all the others, hold one
/// label only. Columns are standardised over all rows, without labels.
pub fn auc_by_environment(features: ArrayView2<f64>, labels: &[f32], environments: &[u32]) -> Vec<(u32, Option<f64>)> {
    let mut names: Vec<u32> = environments.to_vec();
    names.sort_unstable();
    names.dedup();
    let places: Vec<usize> = environments
        .iter()
        .map(|environment| names.binary_search(environment).unwrap_or(0))
        .collect();
    let held = held_out(design(features).view(), labels, &places, names.len());
    names.into_iter().zip(held.iter().map(Held::auc)).collect()
}

/// The rows of one environment, by the probe that was fitted on all the others.
pub(super) struct Held {
    pub(super) labels: Vec<f32>,
    /// `None` where the other environments hold one label only.
    pub(super) scores: Option<Vec<f64>>,
}

impl Held {
    pub(super) fn auc(&self) -> Option<f64> {
        roc_auc(self.scores.as_ref()?, &self.labels)
    }
}

/// Every environment held out once; `places` are indices of environments, below `count`.
pub(super) fn held_out(design: ArrayView2<f64>, labels: &[f32], places: &[usize], count: usize) -> Vec<Held> {
    let total = Sums::new(design, labels);
    let one = |environment: usize| {
        let own: Vec<usize> = (0..labels.len()).filter(|&row| places[row] == environment).collect();
        let rows = design.select(Axis(0), &own);
        let labels: Vec<f32> = own.iter().map(|&row| labels[row]).collect();
        let others = total.without(&Sums::new(rows.view(), &labels));
        let weights = others.weights();
        Held {
            labels,
            scores: weights.map(|weights| rows.dot(&ArrayView1::from(weights.as_slice())).to_vec()),
        }
    };
    (0..count).map(one).collect()
}
