//! What a matrix of activations must be before it is measured: rows are samples, columns are neurons.

use ndarray::{Array2, ArrayView2, Axis, Zip};

use crate::linalg::NoDecomposition;

/// The largest magnitude that is measured: sums of squares of larger values could overflow.
pub const LARGEST: f64 = 1e100;

/// Why a matrix, or the settings that go with it, cannot be measured.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MatrixError {
    /// Values that are not finite.
    #[error(
        "{matrix} holds {nan} NaN and {infinite} infinite values, the first at row {row}, column {column} (counted from 0); every value must be finite"
    )]
    NotFinite {
        /// Name of the matrix or site.
        matrix: String,
        /// How many are NaN.
        nan: usize,
        /// How many are infinite.
        infinite: usize,
        /// Row of the first of both.
        row: usize,
        /// Column of the first of both.
        column: usize,
    },
    /// A value whose square could overflow in a sum.
    #[error(
        "{matrix} holds {value:e} at row {row}, column {column} (counted from 0); magnitudes up to 1e100 are expected"
    )]
    TooLarge {
        /// Name of the matrix or site.
        matrix: String,
        /// The value.
        value: f64,
        /// Its row.
        row: usize,
        /// Its column.
        column: usize,
    },
    /// Fewer rows than the measure needs.
    #[error("{matrix} has too few rows: {rows}, where at least {least} are needed")]
    TooFewRows {
        /// Name of the matrix or site.
        matrix: String,
        /// Rows it has.
        rows: usize,
        /// Rows it needs.
        least: usize,
    },
    /// Nothing to measure.
    #[error("{matrix} has no columns")]
    NoColumns {
        /// Name of the matrix or site.
        matrix: String,
    },
    /// Two matrices that do not fit.
    #[error("the number of {what} of {matrix} is {found}, that of {other} is {expected}; they must be equal")]
    Mismatch {
        /// Name of the matrix or site.
        matrix: String,
        /// What it was compared with.
        other: String,
        /// `rows` or `columns`.
        what: &'static str,
        /// Of `matrix`.
        found: usize,
        /// Of `other`.
        expected: usize,
    },
    /// No column varies.
    #[error("{matrix} is constant: no column varies over the rows")]
    Constant {
        /// Name of the matrix or site.
        matrix: String,
    },
    /// A regression without a unique solution.
    #[error("the columns of {matrix} are linearly dependent, so that the regression on them has no unique solution")]
    Dependent {
        /// Name of the matrix or site.
        matrix: String,
    },
    /// A label that is neither 0 nor 1.
    #[error("{matrix} hold {found} at row {row} (counted from 0); labels must be 0 or 1")]
    Label {
        /// Name of the labels.
        matrix: String,
        /// The label.
        found: f32,
        /// Its row.
        row: usize,
    },
    /// A decomposition that failed.
    #[error("{matrix} could not be decomposed: {source}")]
    NoDecomposition {
        /// Name of the matrix or site.
        matrix: String,
        /// Why.
        source: NoDecomposition,
    },
    /// Independent components that were not found.
    #[error("independent components of {matrix} were not found: {reason}")]
    NoComponents {
        /// Name of the matrix or site.
        matrix: String,
        /// Why.
        reason: String,
    },
    /// A setting outside its range.
    #[error("{key} is {found}; expected is {expected}")]
    Setting {
        /// Name of the setting.
        key: &'static str,
        /// Its value.
        found: String,
        /// What it can be.
        expected: &'static str,
    },
}

impl MatrixError {
    /// For `map_err` after a decomposition of the matrix called `name`.
    pub(crate) fn decomposition(name: &str) -> impl Fn(NoDecomposition) -> Self {
        move |source| Self::NoDecomposition {
            matrix: name.to_string(),
            source,
        }
    }
}

/// Refuses NaN, infinities and magnitudes above [`LARGEST`]; counts them and names the matrix.
pub fn check_finite<A: Copy + Into<f64>>(name: &str, matrix: ArrayView2<A>) -> Result<(), MatrixError> {
    let good = |value: f64| value.abs() <= LARGEST;
    if matrix.iter().all(|&value| good(value.into())) {
        return Ok(());
    }
    let (mut nan, mut infinite) = (0, 0);
    let (mut broken, mut large) = (None, None);
    for ((row, column), &value) in matrix.indexed_iter() {
        let value: f64 = value.into();
        if good(value) {
            continue;
        }
        if value.is_finite() {
            large = large.or(Some((value, row, column)));
            continue;
        }
        nan += usize::from(value.is_nan());
        infinite += usize::from(value.is_infinite());
        broken = broken.or(Some((row, column)));
    }
    let matrix = name.to_string();
    match (broken, large) {
        (Some((row, column)), _) => Err(MatrixError::NotFinite {
            matrix,
            nan,
            infinite,
            row,
            column,
        }),
        (None, Some((value, row, column))) => Err(MatrixError::TooLarge {
            matrix,
            value,
            row,
            column,
        }),
        (None, None) => Ok(()),
    }
}

/// [`check_finite`], at least `least` rows and at least one column.
pub fn check<A: Copy + Into<f64>>(name: &str, matrix: ArrayView2<A>, least: usize) -> Result<(), MatrixError> {
    let (rows, columns) = matrix.dim();
    if columns == 0 {
        return Err(MatrixError::NoColumns {
            matrix: name.to_string(),
        });
    }
    if rows < least {
        return Err(MatrixError::TooFewRows {
            matrix: name.to_string(),
            rows,
            least,
        });
    }
    check_finite(name, matrix)
}

/// Refuses two numbers of rows or columns that differ.
pub(crate) fn check_equal(
    what: &'static str,
    (name, found): (&str, usize),
    (other, expected): (&str, usize),
) -> Result<(), MatrixError> {
    if found == expected {
        return Ok(());
    }
    Err(MatrixError::Mismatch {
        matrix: name.to_string(),
        other: other.to_string(),
        what,
        found,
        expected,
    })
}

/// `[n, d]` minus its column means. A column whose values are all equal becomes exactly 0, whatever its mean rounds to.
pub(crate) fn centred(matrix: ArrayView2<f64>) -> Array2<f64> {
    let mean = matrix.sum_axis(Axis(0)) / matrix.nrows().max(1) as f64;
    let mut centred = &matrix - &mean;
    let Some(first) = matrix.rows().into_iter().next() else {
        return centred;
    };
    let mut varies = vec![false; matrix.ncols()];
    for row in matrix.rows() {
        Zip::from(&mut varies)
            .and(row)
            .and(first)
            .for_each(|varies, x, first| *varies |= x != first);
    }
    for (column, _) in varies.iter().enumerate().filter(|(_, varies)| !**varies) {
        centred.column_mut(column).fill(0.0);
    }
    centred
}

/// The largest magnitude; 0 for no values.
pub(crate) fn largest(matrix: ArrayView2<f64>) -> f64 {
    matrix.iter().fold(0.0, |most, x| x.abs().max(most))
}
