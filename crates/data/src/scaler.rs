//! Standardisation fitted on training rows only.

use ndarray::{ArrayView2, Axis};
use serde::{Deserialize, Serialize};

/// Standardises each column: `(x - mean) / scale`.
///
/// `scale` is the population standard deviation (divides by n), as scikit-learn's `StandardScaler`; a constant column has
/// scale 1. Missing values (NaN) are left out of the statistics and become the median before scaling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaler {
    /// Column means.
    pub mean: Vec<f64>,
    /// Column standard deviations, 1 where a column is constant.
    pub scale: Vec<f64>,
    /// Column medians, the value for what is missing.
    pub median: Vec<f64>,
}

impl Scaler {
    /// A scaler that changes nothing.
    pub fn identity(columns: usize) -> Self {
        Self {
            mean: vec![0.0; columns],
            scale: vec![1.0; columns],
            median: vec![0.0; columns],
        }
    }

    /// Fits on the given rows of `[row, feature]`. Each row counts once, however many windows hold it.
    pub fn fit(rows: ArrayView2<f32>, which: &[usize]) -> Self {
        let mut scaler = Self::identity(rows.len_of(Axis(1)));
        for column in 0..rows.len_of(Axis(1)) {
            let mut values: Vec<f64> = which
                .iter()
                .map(|&row| f64::from(rows[[row, column]]))
                .filter(|x| x.is_finite())
                .collect();
            if values.is_empty() {
                continue;
            }
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
            scaler.mean[column] = mean;
            // Rounding leaves a constant column with a spread of about one unit in the last place.
            let constant = variance.sqrt() <= 1e-12 * mean.abs().max(1e-300);
            scaler.scale[column] = if constant { 1.0 } else { variance.sqrt() };
            scaler.median[column] = median(&mut values);
        }
        scaler
    }

    /// Appends one scaled row to `out`.
    pub(crate) fn extend_scaled(&self, row: impl Iterator<Item = f32>, out: &mut Vec<f32>) {
        out.extend(row.enumerate().map(|(column, x)| {
            let x = if x.is_finite() {
                f64::from(x)
            } else {
                self.median[column]
            };
            ((x - self.mean[column]) / self.scale[column]) as f32
        }));
    }
}

fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    let (below, &mut upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if below.len() == middle && values.len() % 2 == 1 {
        return upper;
    }
    let lower = values[..middle].iter().copied().fold(f64::NEG_INFINITY, f64::max);
    f64::midpoint(lower, upper)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn fits_on_the_given_rows_only() {
        let rows = array![
            [1.0f32, 5.0, f32::NAN],
            [3.0, 5.0, 1.0],
            [5.0, 5.0, 2.0],
            [1e9, 9.0, 3.0]
        ];
        let scaler = Scaler::fit(rows.view(), &[0, 1, 2]);
        assert_eq!(scaler.mean, [3.0, 5.0, 1.5]);
        assert!((scaler.scale[0] - (8.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(scaler.scale[1], 1.0, "a constant column keeps scale 1");
        assert_eq!(scaler.median, [3.0, 5.0, 1.5]);
        let mut out = Vec::new();
        scaler.extend_scaled([3.0, 5.0, f32::NAN].into_iter(), &mut out);
        assert_eq!(out, [0.0, 0.0, 0.0]);
    }

    #[test]
    fn median_of_even_and_odd() {
        for (values, expected) in [
            (vec![3.0, 1.0, 2.0], 2.0),
            (vec![4.0, 1.0, 3.0, 2.0], 2.5),
            (vec![7.0], 7.0),
        ] {
            assert_eq!(median(&mut values.clone()), expected);
        }
    }
}
