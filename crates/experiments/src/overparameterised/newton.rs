//! Logistic regression with a very small ridge, to its minimum by Newton's method.
//!
//! Separable rows have no minimum without the ridge, and with it one that lies far out: margins there are of the order of the
//! ridge's logarithm. A whole Newton step adds about 1 to a margin; a search for the minimum along each step nearly halves their number.

use faer::{
    Accum, Col, Mat, Par, Side,
    linalg::matmul::triangular::{BlockStructure, matmul},
    prelude::Solve,
};

use crate::ExperimentError;

/// Half of it times the squared norm is added to the mean loss.
pub(super) const RIDGE: f64 = 1e-9;
/// The gradient's norm at which a fit ends.
pub(super) const TOLERANCE: f64 = 1e-10;
/// A dozen are usual.
const MOST_STEPS: usize = 200;

/// A minimum.
pub(super) struct Fit {
    pub(super) weights: Col<f64>,
    /// Newton steps.
    pub(super) steps: usize,
    /// The gradient's norm.
    pub(super) gradient: f64,
}

/// Rows times their labels, and what fits with different weights share.
pub(super) struct Problem<'a> {
    rows: &'a Mat<f64>,
    /// Inner products of rows, where there are more dimensions than rows: the minimum is a sum of rows, and as such has fewer
    /// unknowns.
    kernel: Option<Mat<f64>>,
}

impl<'a> Problem<'a> {
    pub(super) fn new(rows: &'a Mat<f64>) -> Self {
        let kernel = (rows.ncols() > rows.nrows()).then(|| kernel(rows));
        Self { rows, kernel }
    }

    /// Minimises the mean of `weights` times log(1 + exp(-margin)) plus the ridge.
    pub(super) fn fit(&self, weights: &[f64]) -> Result<Fit, ExperimentError> {
        let n = self.rows.nrows();
        // Weights of columns, or, in the kernel's form, of rows.
        let unknowns = if self.kernel.is_some() { n } else { self.rows.ncols() };
        let mut at: Col<f64> = Col::zeros(unknowns);
        let mut margins: Col<f64> = Col::zeros(n);
        let mut norm = f64::INFINITY;
        for steps in 0..MOST_STEPS {
            let pull = Col::from_fn(n, |i| weights[i] * sigmoid(-margins[i]) / n as f64);
            let (rest, gradient) = self.gradient(&at, &pull);
            let square = dot(&rest, &gradient);
            // Rounding can push it below 0; what is no number must stay none.
            norm = if square < 0.0 { 0.0 } else { square.sqrt() };
            if norm < TOLERANCE {
                let weights = match &self.kernel {
                    None => at,
                    Some(_) => self.rows.transpose() * &at,
                };
                return Ok(Fit {
                    weights,
                    steps,
                    gradient: norm,
                });
            }
            let roots: Vec<f64> = (0..n).map(|i| (pull[i] * sigmoid(margins[i])).sqrt()).collect();
            let step = self.step(&rest, &gradient, &roots)?;
            let change = self.kernel.as_ref().unwrap_or(self.rows) * &step;
            let products = match &self.kernel {
                None => [dot(&at, &step), dot(&step, &step)],
                Some(_) => [dot(&at, &change), dot(&step, &change)],
            };
            let length = Line {
                margins: &margins,
                change: &change,
                weights,
                products,
            }
            .length();
            at = Col::from_fn(unknowns, |i| at[i] + length * step[i]);
            margins = Col::from_fn(n, |i| margins[i] + length * change[i]);
        }
        Err(ExperimentError::Failed(format!(
            "Newton's method did not converge on {n} rows of {} columns: after {MOST_STEPS} steps the gradient's norm is {norm:e}",
            self.rows.ncols()
        )))
    }

    /// The gradient, twice; in the kernel's form the weights of rows that make it, and its inner products with rows. The product
    /// of the two is its squared norm in either form.
    fn gradient(&self, at: &Col<f64>, pull: &Col<f64>) -> (Col<f64>, Col<f64>) {
        match &self.kernel {
            None => {
                let toward = self.rows.transpose() * pull;
                let gradient = Col::from_fn(at.nrows(), |i| RIDGE * at[i] - toward[i]);
                (gradient.clone(), gradient)
            }
            Some(kernel) => {
                let rest = Col::from_fn(at.nrows(), |i| RIDGE * at[i] - pull[i]);
                let gradient = kernel * &rest;
                (rest, gradient)
            }
        }
    }

    /// Minus the inverse Hessian times the gradient; `roots` are those of the rows' second derivatives.
    fn step(&self, rest: &Col<f64>, gradient: &Col<f64>, roots: &[f64]) -> Result<Col<f64>, ExperimentError> {
        match &self.kernel {
            None => {
                let scaled = Mat::from_fn(self.rows.nrows(), self.rows.ncols(), |i, j| {
                    roots[i] * self.rows[(i, j)]
                });
                let mut hessian = lower_product(&scaled, true);
                for i in 0..hessian.nrows() {
                    hessian[(i, i)] += RIDGE;
                }
                let solved = solve(&hessian, gradient)?;
                Ok(Col::from_fn(solved.nrows(), |i| -solved[i]))
            }
            Some(kernel) => {
                // By the identity of Woodbury, which leaves a symmetric system of as many unknowns as rows.
                let n = kernel.nrows();
                let system = Mat::from_fn(n, n, |i, j| match i.cmp(&j) {
                    std::cmp::Ordering::Less => 0.0,
                    std::cmp::Ordering::Equal => roots[i] * kernel[(i, i)] * roots[i] + RIDGE,
                    std::cmp::Ordering::Greater => roots[i] * kernel[(i, j)] * roots[j],
                });
                let solved = solve(&system, &Col::from_fn(n, |i| roots[i] * gradient[i]))?;
                Ok(Col::from_fn(n, |i| (roots[i] * solved[i] - rest[i]) / RIDGE))
            }
        }
    }
}

/// The objective along a step.
struct Line<'a> {
    margins: &'a Col<f64>,
    change: &'a Col<f64>,
    weights: &'a [f64],
    /// Of the weights with the step, and of the step with itself.
    products: [f64; 2],
}

impl Line<'_> {
    /// Its derivative, which rises.
    fn slope(&self, t: f64) -> f64 {
        let [cross, square] = self.products;
        let rows = self.margins.iter().zip(self.change.iter()).zip(self.weights);
        let pulls = rows.map(|((margin, change), weight)| weight * change * sigmoid(-(margin + t * change)));
        RIDGE * (cross + t * square) - pulls.sum::<f64>() / self.weights.len() as f64
    }

    /// About where the objective is least: 1 if a whole step nearly gets there, so that the last steps converge quadratically.
    fn length(&self) -> f64 {
        let whole = self.slope(1.0);
        if whole.abs() < 0.1 * self.slope(0.0).abs() {
            return 1.0;
        }
        let (mut low, mut high) = (0.0, 1.0);
        while high < 1e6 && self.slope(high) < 0.0 {
            (low, high) = (high, 2.0 * high);
        }
        while high - low > 0.01 * high {
            let middle = f64::midpoint(low, high);
            if self.slope(middle) < 0.0 {
                low = middle;
            } else {
                high = middle;
            }
            if high < 1e-12 {
                break;
            }
        }
        f64::midpoint(low, high)
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn dot(a: &Col<f64>, b: &Col<f64>) -> f64 {
    a.iter().zip(b.iter()).map(|(a, b)| a * b).sum()
}

/// The lower triangle of AᵀA (`of_columns`) or AAᵀ, on this thread alone, so that the threads change no bit.
fn lower_product(a: &Mat<f64>, of_columns: bool) -> Mat<f64> {
    let (left, right) = match of_columns {
        true => (a.transpose(), a.as_ref()),
        false => (a.as_ref(), a.transpose()),
    };
    let mut out = Mat::zeros(left.nrows(), left.nrows());
    matmul(
        &mut out,
        BlockStructure::TriangularLower,
        Accum::Replace,
        left,
        BlockStructure::Rectangular,
        right,
        BlockStructure::Rectangular,
        1.0,
        Par::Seq,
    );
    out
}

/// Inner products of rows.
fn kernel(rows: &Mat<f64>) -> Mat<f64> {
    let mut kernel = lower_product(rows, false);
    for j in 0..kernel.nrows() {
        for i in j + 1..kernel.nrows() {
            kernel[(j, i)] = kernel[(i, j)];
        }
    }
    kernel
}

/// Solves a positive definite system of which the lower triangle is read.
fn solve(system: &Mat<f64>, right: &Col<f64>) -> Result<Col<f64>, ExperimentError> {
    let factors = system.llt(Side::Lower).map_err(|error| {
        ExperimentError::Failed(format!(
            "a Hessian of {} unknowns is not positive definite: {error}",
            system.nrows()
        ))
    })?;
    Ok(factors.solve(right))
}

#[cfg(test)]
mod tests {
    use disentangle_data::Seed;

    use super::*;

    fn fitted(rows: &Mat<f64>, weights: &[f64]) -> Fit {
        let fit = Problem::new(rows).fit(weights).unwrap();
        assert!(fit.gradient < TOLERANCE && fit.steps < 30);
        fit
    }

    #[test]
    fn one_weight_is_the_logarithm_of_the_odds() {
        // Three rows say yes and one says no: the weight at which both pull alike is ln 3.
        let rows = Mat::from_fn(4, 1, |i, _| if i < 3 { 1.0 } else { -1.0 });
        assert!((fitted(&rows, &[1.0; 4]).weights[0] - 3_f64.ln()).abs() < 1e-7);
        // The one counts for six: ln 1/2.
        let half = fitted(&rows, &[1.0, 1.0, 1.0, 6.0]).weights[0];
        assert!((half + 2_f64.ln()).abs() < 1e-7);
    }

    #[test]
    fn separable_rows_are_held_by_the_ridge_alone() {
        // Two orthogonal rows in three dimensions: sigmoid(-w) / 2 = 1e-9 w, so that w = 17.186, and nothing where there is no row.
        let rows = Mat::from_fn(2, 3, |i, j| if i == j { 1.0 } else { 0.0 });
        let weights = fitted(&rows, &[1.0; 2]).weights;
        assert!((weights[0] - 17.186).abs() < 0.02 && (weights[1] - weights[0]).abs() < 1e-9);
        assert_eq!(weights[2], 0.0);
    }

    #[test]
    fn both_forms_find_the_same_minimum() {
        let mut rng = Seed::new(4).rng();
        let mut narrow = Mat::zeros(40, 2);
        for i in 0..40 {
            narrow[(i, 0)] = 0.5 + rng.normal();
            narrow[(i, 1)] = rng.normal();
        }
        // Columns of zeros add nothing but the kernel's form.
        let wide = Mat::from_fn(40, 50, |i, j| if j < 2 { narrow[(i, j)] } else { 0.0 });
        let weights: Vec<f64> = (0..40).map(|i| 1.0 + f64::from(i % 3)).collect();
        let (primal, kernel) = (Problem::new(&narrow), Problem::new(&wide));
        assert!(primal.kernel.is_none() && kernel.kernel.is_some());
        let (primal, kernel) = (primal.fit(&weights).unwrap(), kernel.fit(&weights).unwrap());
        for j in 0..2 {
            assert!((primal.weights[j] - kernel.weights[j]).abs() < 1e-6);
        }
        assert!(kernel.weights.iter().skip(2).all(|w| *w == 0.0));
    }

    #[test]
    fn a_minimum_of_separable_rows_has_no_gradient_by_the_formula() {
        let mut rng = Seed::new(9).rng();
        let mut rows = Mat::zeros(30, 60);
        for j in 0..60 {
            for i in 0..30 {
                rows[(i, j)] = rng.normal() / 60_f64.sqrt();
            }
        }
        let fit = fitted(&rows, &[1.0; 30]);
        let margins = &rows * &fit.weights;
        let pull = Col::from_fn(30, |i| sigmoid(-margins[i]) / 30.0);
        let toward = rows.transpose() * &pull;
        let squares = (0..60).map(|j| (RIDGE * fit.weights[j] - toward[j]).powi(2));
        assert!(squares.sum::<f64>().sqrt() < 2.0 * TOLERANCE);
        assert!(margins.iter().all(|margin| *margin > 5.0));
    }

    #[test]
    fn rows_that_are_no_numbers_are_refused() {
        let rows = Mat::from_fn(3, 1, |i, _| if i == 1 { f64::NAN } else { 1.0 });
        assert!(Problem::new(&rows).fit(&[1.0; 3]).is_err());
    }
}
