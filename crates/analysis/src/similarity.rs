//! How alike two sites represent the same samples: linear centred kernel alignment (Kornblith et al. 2019).

use ndarray::{Array2, ArrayView2};

use crate::{
    linalg,
    matrix::{self, MatrixError},
};

/// ‖YᵀX‖²_F / (‖XᵀX‖_F ‖YᵀY‖_F) of `[n, d₁]` and `[n, d₂]`, the same n ≥ 2 samples in the same order, columns centred here.
///
/// In [0, 1]; 1 for a copy that is rotated, scaled or shifted; `None` where a side is constant. Computed from d × d or from n × n
/// matrices, whichever takes less; both give the same. For n not well above d the value is biased upwards: compare at equal n.
///
/// Fails for fewer rows, no columns, different numbers of rows, and values that are not finite.
pub fn linear_cka(
    (name, x): (&str, ArrayView2<f64>),
    (other, y): (&str, ArrayView2<f64>),
) -> Result<Option<f64>, MatrixError> {
    matrix::check(name, x, 2)?;
    matrix::check(other, y, 2)?;
    matrix::check_equal("rows", (name, x.nrows()), (other, y.nrows()))?;
    let (Some(x), Some(y)) = (scaled(x), scaled(y)) else {
        return Ok(None);
    };
    let (n, dx, dy) = (x.nrows(), x.ncols(), y.ncols());
    let (across, xx, yy) = if n * (dx + dy) < dx * dx + dx * dy + dy * dy {
        let (k, l) = (linalg::product(x.view(), x.t()), linalg::product(y.view(), y.t()));
        let across: f64 = k.iter().zip(&l).map(|(k, l)| k * l).sum();
        (across, squares(&k), squares(&l))
    } else {
        let gram = |a: &Array2<f64>, b: &Array2<f64>| squares(&linalg::product(a.t(), b.view()));
        (gram(&y, &x), gram(&x, &x), gram(&y, &y))
    };
    Ok(Some((across / xx.sqrt() / yy.sqrt()).clamp(0.0, 1.0)))
}

/// Centred, and divided by the largest magnitude so that fourth powers cannot overflow; `None` if constant.
fn scaled(matrix: ArrayView2<f64>) -> Option<Array2<f64>> {
    let mut centred = matrix::centred(matrix);
    let largest = matrix::largest(centred.view());
    if largest <= 0.0 {
        return None;
    }
    centred /= largest;
    Some(centred)
}

/// Σ of squared entries.
fn squares(matrix: &Array2<f64>) -> f64 {
    matrix.iter().map(|x| x * x).sum()
}
