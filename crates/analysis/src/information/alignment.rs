//! How alike two sites represent the same rows, with an interval: linear centred kernel alignment (CKA, Kornblith et al. 2019) from matrices
//! of rows by rows, so that it does not matter how wide a site is, and a resample of rows only weighs their sums.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use crate::{
    Bootstrap, Estimate, linalg,
    matrix::{self, MatrixError},
};

/// The inner products of a site's rows, and their sums over pieces of the rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    name: String,
    /// Rows of a piece; the last one may be shorter.
    size: usize,
    /// `[n, n]`, of centred rows.
    gram: Array2<f64>,
    /// `[n, pieces]`, each row's sums over the rows of a piece.
    sums: Array2<f64>,
    /// `[pieces, pieces]`, sums of squares.
    squares: Array2<f64>,
}

impl Kernel {
    /// Of activations `[n, d]`, n at least 2; every `size` rows, one after the other, are a piece. `None` where nothing varies.
    ///
    /// Fails for fewer rows, no columns, and values that are not finite. Takes n² d multiplications, spread over threads.
    pub fn new(name: &str, matrix: ArrayView2<f64>, size: usize) -> Result<Option<Self>, MatrixError> {
        matrix::check(name, matrix, 2)?;
        let mut centred = matrix::centred(matrix);
        let largest = matrix::largest(centred.view());
        if largest <= 0.0 {
            return Ok(None);
        }
        // Fourth powers of large values could overflow.
        centred /= largest;
        let size = size.max(1);
        let gram = linalg::product(centred.view(), centred.t());
        let rows = gram.nrows();
        let mut sums = Array2::zeros((rows, rows.div_ceil(size)));
        for (mut own, row) in sums.rows_mut().into_iter().zip(gram.rows()) {
            for (sum, piece) in own.iter_mut().zip(row.axis_chunks_iter(Axis(0), size)) {
                *sum = piece.sum();
            }
        }
        Ok(Some(Self {
            name: name.into(),
            size,
            squares: products(&gram, &gram, size),
            sums,
            gram,
        }))
    }

    fn rows(&self) -> usize {
        self.gram.nrows()
    }

    /// (Σλ)² / Σλ² of the eigenvalues λ.
    fn participation_ratio(&self) -> f64 {
        self.gram.diag().sum().powi(2) / self.squares.sum()
    }
}

/// Sums of products of entries over pairs of pieces, `[pieces, pieces]`.
fn products(a: &Array2<f64>, b: &Array2<f64>, size: usize) -> Array2<f64> {
    let pieces = a.nrows().div_ceil(size);
    let mut sums = Array2::zeros((pieces, pieces));
    for (row, (a, b)) in a.rows().into_iter().zip(b.rows()).enumerate() {
        let parts = a.axis_chunks_iter(Axis(0), size).zip(b.axis_chunks_iter(Axis(0), size));
        for (piece, (a, b)) in parts.enumerate() {
            sums[[row / size, piece]] += a.dot(&b);
        }
    }
    sums
}

/// How alike two sites are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Alignment {
    /// Linear CKA, in [0, 1]; 1 for a copy that is rotated, scaled or shifted. Its interval is centred, because rows that repeat make every two
    /// sites more alike.
    pub cka: Estimate,
    /// The mean over all permutations of the one site's rows: what sites of these spectra have without anything in common.
    pub chance: Option<f64>,
}

/// Linear CKA of two sites, the same rows in the same order and in the same pieces. `bootstrap` draws pieces.
///
/// Fails for different numbers or sizes of pieces.
pub fn alignment(a: &Kernel, b: &Kernel, bootstrap: &Bootstrap) -> Result<Alignment, MatrixError> {
    matrix::check_equal("rows", (a.name.as_str(), a.rows()), (b.name.as_str(), b.rows()))?;
    matrix::check_equal("rows of a piece", (a.name.as_str(), a.size), (b.name.as_str(), b.size))?;
    let across = across(a, b);
    let pieces = across.nrows();
    let resampled = bootstrap.estimate_many_centred(pieces, |weights| vec![weighted(a, b, &across, weights)]);
    let mut cka = resampled.into_iter().next().unwrap_or_default().within(0.0, 1.0);
    cka.n = a.rows();
    cka.method = cka
        .method
        .map(|method| format!("{method}, of {pieces} pieces of the rows"));
    let spread = (a.participation_ratio() * b.participation_ratio()).sqrt();
    Ok(Alignment {
        cka,
        // Averaged over permutations, a centred kernel is its trace over n - 1, times the centring matrix.
        chance: Some(spread / (a.rows() - 1) as f64).filter(|chance| chance.is_finite()),
    })
}

/// Sums of products of both kernels' entries over pairs of pieces.
pub(super) fn across(a: &Kernel, b: &Kernel) -> Array2<f64> {
    products(&a.gram, &b.gram, a.size)
}

/// CKA with every row of piece `i` counted `weights[i]` times.
pub(super) fn weighted(a: &Kernel, b: &Kernel, across: &Array2<f64>, weights: &[f64]) -> Option<f64> {
    let weights = Array1::from(weights.to_vec());
    let of_rows: Vec<f64> = (0..a.rows()).map(|row| weights[row / a.size]).collect();
    let total: f64 = of_rows.iter().sum();
    let (sums_a, sums_b) = (a.sums.dot(&weights), b.sums.dot(&weights));
    // Kernels are centred with the weights: what that takes away follows from the rows' weighted sums.
    let independence = |products: &Array2<f64>, left: &Array1<f64>, right: &Array1<f64>| {
        let (mut mixed, mut all_left, mut all_right) = (0.0, 0.0, 0.0);
        for ((weight, left), right) in of_rows.iter().zip(left).zip(right) {
            mixed += weight * left * right;
            all_left += weight * left;
            all_right += weight * right;
        }
        weights.dot(&products.dot(&weights)) - 2.0 * mixed / total + all_left * all_right / (total * total)
    };
    let (aa, bb) = (
        independence(&a.squares, &sums_a, &sums_a),
        independence(&b.squares, &sums_b, &sums_b),
    );
    let value = independence(across, &sums_a, &sums_b) / aa.sqrt() / bb.sqrt();
    (total > 0.0 && value.is_finite()).then(|| value.clamp(0.0, 1.0))
}
