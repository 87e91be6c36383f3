//! Logistic regression with an ℓ1 penalty, by accelerated proximal gradient steps (FISTA, Beck and Teboulle 2009).

use ndarray::{Array1, Array2, ArrayView2};

/// Coefficients and a constant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SparseLogistic {
    pub(crate) coefficients: Array1<f64>,
    pub(crate) intercept: f64,
}

/// Steps, at most.
const STEPS: usize = 2000;

impl SparseLogistic {
    /// Minimises ‖w‖₁ + c Σ log loss (scikit-learn's objective for `penalty="l1"`); the intercept is free.
    pub(crate) fn fit(x: ArrayView2<f64>, labels: &[f32], c: f64) -> Self {
        let (n, d) = x.dim();
        // The intercept is a last column of ones without a penalty.
        let mut design = Array2::ones((n, d + 1));
        design.slice_mut(ndarray::s![.., ..d]).assign(&x);
        let y: Array1<f64> = labels.iter().map(|&y| f64::from(u8::from(y > 0.5))).collect();
        let mut w = Array1::<f64>::zeros(d + 1);
        let (mut ahead, mut momentum) = (w.clone(), 1.0f64);
        // The curvature is at most c ‖design‖² / 4, whose largest eigenvalue the trace bounds.
        let curvature = c * largest_eigenvalue(&design) / 4.0;
        let step = 1.0 / curvature.max(1e-12);
        for _ in 0..STEPS {
            let p = design.dot(&ahead).mapv(|z| 1.0 / (1.0 + (-z).exp()));
            let gradient = design.t().dot(&(p - &y)) * c;
            let mut next = &ahead - &(gradient * step);
            for value in next.iter_mut().take(d) {
                *value = value.signum() * (value.abs() - step).max(0.0);
            }
            let grown = f64::midpoint(1.0, (1.0 + 4.0 * momentum * momentum).sqrt());
            let moved = &next - &w;
            ahead = &next + &(&moved * ((momentum - 1.0) / grown));
            let change = moved.iter().fold(0.0f64, |most, m| most.max(m.abs()));
            (w, momentum) = (next, grown);
            if change < 1e-9 {
                break;
            }
        }
        Self {
            intercept: w[d],
            coefficients: w.slice(ndarray::s![..d]).to_owned(),
        }
    }

    pub(crate) fn logits(&self, x: ArrayView2<f64>) -> Vec<f64> {
        (x.dot(&self.coefficients) + self.intercept).to_vec()
    }
}

/// Of XᵀX, by power iteration, a little above.
fn largest_eigenvalue(x: &Array2<f64>) -> f64 {
    let mut v = Array1::from_elem(x.ncols(), 1.0 / (x.ncols() as f64).sqrt());
    let mut value = 0.0;
    for _ in 0..100 {
        let next = x.t().dot(&x.dot(&v));
        value = next.dot(&next).sqrt();
        if value == 0.0 {
            return 0.0;
        }
        v = next / value;
    }
    1.01 * value
}
