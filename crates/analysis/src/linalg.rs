//! Decompositions, by faer, in f64. (Small least-squares problems are solved by nalgebra in `regression`.)

use faer::{Mat, Side};
use ndarray::{Array1, Array2, ArrayView2, Axis, LinalgScalar, linalg::general_mat_mul};
use rayon::prelude::*;

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

/// Singular values of `[n, d]`, all min(n, d) of them, in descending order.
///
/// Where one side is much longer than the other, QR decompositions of pieces shorten it first, in parallel; the pieces depend on
/// the shape only, so that the values are the same for any number of threads. Accurate to the last places of the largest.
pub fn singular_values(matrix: ArrayView2<f64>) -> Result<Vec<f64>, NoDecomposition> {
    let (rows, columns) = matrix.dim();
    let failed = || NoDecomposition { rows, columns };
    if matrix.iter().any(|x| !x.is_finite()) {
        return Err(failed());
    }
    if matrix.is_empty() {
        return Ok(Vec::new());
    }
    let tall = if rows < columns { matrix.reversed_axes() } else { matrix };
    shortened(tall).singular_values().map_err(|_| failed())
}

/// Singular values of `[n, d]` and the right singular vectors `[k, d]`, k = min(n, d), without the left ones.
pub fn right_svd(matrix: ArrayView2<f64>) -> Result<(Array1<f64>, Array2<f64>), NoDecomposition> {
    let (rows, columns) = matrix.dim();
    let failed = || NoDecomposition { rows, columns };
    if matrix.iter().any(|x| !x.is_finite()) {
        return Err(failed());
    }
    let short = if rows < 2 * columns || columns == 0 {
        Mat::from_fn(rows, columns, |i, j| matrix[[i, j]])
    } else {
        shortened(matrix).qr().thin_R().to_owned()
    };
    let svd = short.thin_svd().map_err(|_| failed())?;
    let k = rows.min(columns);
    Ok((
        Array1::from_shape_fn(k, |i| svd.S()[i]),
        Array2::from_shape_fn((k, columns), |(i, j)| svd.V()[(j, i)]),
    ))
}

/// Eigenvalues of a symmetric matrix in descending order; only the lower triangle is read.
pub fn symmetric_eigenvalues(matrix: ArrayView2<f64>) -> Result<Vec<f64>, NoDecomposition> {
    let (rows, columns) = matrix.dim();
    let failed = || NoDecomposition { rows, columns };
    if rows != columns || matrix.iter().any(|x| !x.is_finite()) {
        return Err(failed());
    }
    if rows == 0 {
        return Ok(Vec::new());
    }
    let a = Mat::from_fn(rows, columns, |i, j| matrix[[i, j]]);
    let mut values = a.self_adjoint_eigenvalues(Side::Lower).map_err(|_| failed())?;
    values.reverse();
    Ok(values)
}

/// A matrix with the same singular values and right singular vectors as `tall` (more rows than columns) and fewer rows:
/// the R factors of up to 8 pieces, each at least six times as long as wide, one under the other.
fn shortened(tall: ArrayView2<f64>) -> Mat<f64> {
    let (rows, columns) = tall.dim();
    let pieces = (rows / (6 * columns.max(1))).min(8);
    if pieces < 2 {
        return Mat::from_fn(rows, columns, |i, j| tall[[i, j]]);
    }
    let parts: Vec<ArrayView2<f64>> = tall.axis_chunks_iter(Axis(0), rows.div_ceil(pieces)).collect();
    let factors: Vec<Mat<f64>> = parts
        .par_iter()
        .map(|part| {
            let part = Mat::from_fn(part.nrows(), columns, |i, j| part[[i, j]]);
            part.qr().thin_R().to_owned()
        })
        .collect();
    let mut stack = Mat::zeros(factors.iter().map(Mat::nrows).sum(), columns);
    let mut start = 0;
    for factor in &factors {
        for j in 0..columns {
            for i in 0..factor.nrows() {
                stack[(start + i, j)] = factor[(i, j)];
            }
        }
        start += factor.nrows();
    }
    stack
}

/// A B for `[n, k]` and `[k, d]`, in blocks of rows over the threads; the blocks depend on the shape only, so that the result is
/// the same for any number of threads.
pub fn product<A: LinalgScalar + Send + Sync>(a: ArrayView2<A>, b: ArrayView2<A>) -> Array2<A> {
    let (rows, columns) = (a.nrows(), b.ncols());
    let mut out = Array2::zeros((rows, columns));
    if rows * a.ncols() * columns < 1 << 20 {
        general_mat_mul(A::one(), &a, &b, A::zero(), &mut out);
        return out;
    }
    let height = rows.div_ceil(16).max(32);
    let blocks: Vec<_> = out
        .axis_chunks_iter_mut(Axis(0), height)
        .zip(a.axis_chunks_iter(Axis(0), height))
        .collect();
    blocks
        .into_par_iter()
        .for_each(|(mut out, a)| general_mat_mul(A::one(), &a, &b, A::zero(), &mut out));
    out
}
