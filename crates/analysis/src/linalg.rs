//! Decompositions, by faer, in f64. (Small least-squares problems are solved by nalgebra in `regression`.)

use faer::Mat;
use ndarray::{Array1, Array2, ArrayView2};

/// A matrix could not be decomposed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the {rows} x {columns} matrix has no singular value decomposition (it holds values that are not finite, or the iteration did not converge)"
)]
pub struct NoDecomposition {
    rows: usize,
    columns: usize,
}

/// A = U diag(s) Vᵀ with k = min(n, d) components, singular values in descending order.
#[derive(Clone, Debug, PartialEq)]
pub struct Svd {
    /// `[n, k]`.
    pub u: Array2<f64>,
    /// `[k]`.
    pub s: Array1<f64>,
    /// `[k, d]`.
    pub vt: Array2<f64>,
}

/// Thin singular value decomposition of `[n, d]`.
pub fn svd(matrix: ArrayView2<f64>) -> Result<Svd, NoDecomposition> {
    let (rows, columns) = matrix.dim();
    let failed = || NoDecomposition { rows, columns };
    if matrix.iter().any(|x| !x.is_finite()) {
        return Err(failed());
    }
    let a = Mat::from_fn(rows, columns, |i, j| matrix[[i, j]]);
    let svd = a.thin_svd().map_err(|_| failed())?;
    let k = rows.min(columns);
    Ok(Svd {
        u: Array2::from_shape_fn((rows, k), |(i, j)| svd.U()[(i, j)]),
        s: Array1::from_shape_fn(k, |i| svd.S()[i]),
        vt: Array2::from_shape_fn((k, columns), |(i, j)| svd.V()[(j, i)]),
    })
}
