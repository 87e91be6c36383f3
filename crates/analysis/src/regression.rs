//! Ordinary least squares, trends, and the first-order autoregression.

use nalgebra::{DMatrix, DVector};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// A fitted linear model.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// One a column of the design.
    pub coefficients: Vec<f64>,
    /// Residual sum of squares.
    pub rss: f64,
    /// Residuals, one a row.
    pub residuals: Vec<f64>,
}

/// Least squares of `y` on the rows of `design` (`[row * columns + column]`) by Householder QR.
///
/// `None` if there are fewer rows than columns, or a column is a combination of those before it to 1e-10 of its size.
pub fn least_squares(design: &[f64], columns: usize, y: &[f64]) -> Option<Fit> {
    let n = y.len();
    if columns == 0 || n < columns || design.len() != n * columns {
        return None;
    }
    let x = DMatrix::from_row_slice(n, columns, design);
    let norms: Vec<f64> = x.column_iter().map(|column| column.norm()).collect();
    let target = DVector::from_column_slice(y);
    let qr = x.clone().qr();
    let r = qr.r();
    if (0..columns).any(|c| r[(c, c)].abs() <= 1e-10 * norms[c] || norms[c] == 0.0) {
        return None;
    }
    let mut rotated = target.clone();
    qr.q_tr_mul(&mut rotated);
    let solution = r.solve_upper_triangular(&rotated.rows(0, columns).into_owned())?;
    let residuals = target - x * &solution;
    Some(Fit {
        coefficients: solution.iter().copied().collect(),
        rss: residuals.norm_squared(),
        residuals: residuals.iter().copied().collect(),
    })
}

/// A straight line through a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Trend {
    /// Value at time 0.
    pub intercept: f64,
    /// Change a step.
    pub slope: f64,
    /// Standard error of the slope, for independent errors.
    pub standard_error: f64,
    /// 95 % interval of the slope, Student's t with n - 2 degrees of freedom, for independent errors.
    pub interval: [f64; 2],
    /// Two-sided p value of slope = 0, for independent errors.
    pub p: f64,
    /// The series minus the line.
    pub detrended: Vec<f64>,
}

/// Least-squares line on 0, 1, 2, ..; `None` below three values.
pub fn trend(series: &[f64]) -> Option<Trend> {
    let n = series.len();
    if n < 3 {
        return None;
    }
    if series.iter().all(|value| *value == series[0]) {
        // Rounding would give equal values a slope, and a p of any size.
        return Some(Trend {
            intercept: series[0],
            slope: 0.0,
            standard_error: 0.0,
            interval: [0.0; 2],
            p: 1.0,
            detrended: vec![0.0; n],
        });
    }
    let design: Vec<f64> = (0..n).flat_map(|t| [1.0, t as f64]).collect();
    let fit = least_squares(&design, 2, series)?;
    let (freedom, count) = ((n - 2) as f64, n as f64);
    let spread = (count * count - 1.0) * count / 12.0;
    let standard_error = (fit.rss / freedom / spread).sqrt();
    let (slope, student) = (fit.coefficients[1], StudentsT::new(0.0, 1.0, freedom).ok()?);
    let t = slope / standard_error;
    let half = student.inverse_cdf(0.975) * standard_error;
    Some(Trend {
        interval: [slope - half, slope + half],
        intercept: fit.coefficients[0],
        slope,
        standard_error,
        p: if t.is_nan() { 1.0 } else { 2.0 * student.sf(t.abs()) },
        detrended: fit.residuals,
    })
}

/// `y_t = intercept + phi * y_{t-1} + e_t` by least squares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Autoregression {
    /// Persistence.
    pub phi: f64,
    /// Constant.
    pub intercept: f64,
    /// Variance of e, divisor n - 3 (n - 1 rows, 2 coefficients).
    pub variance: f64,
}

/// Fits a first-order autoregression; `None` below four values or for a constant series.
pub fn autoregression(series: &[f64]) -> Option<Autoregression> {
    let n = series.len();
    if n < 4 {
        return None;
    }
    let design: Vec<f64> = series[..n - 1].iter().flat_map(|&previous| [1.0, previous]).collect();
    let fit = least_squares(&design, 2, &series[1..])?;
    Some(Autoregression {
        phi: fit.coefficients[1],
        intercept: fit.coefficients[0],
        variance: fit.rss / (n - 3) as f64,
    })
}
