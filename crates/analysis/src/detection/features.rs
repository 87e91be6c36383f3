//! What a detector sees of a feature group.

use ndarray::{Array2, ArrayView2, ArrayView3, Axis, s};

use crate::matrix;

/// `[n, k]`, one row a window of `[row, position, feature]`: of each of `columns` the last value, and its mean and standard deviation (divided by the number of positions)
/// over positions. Where there is one position only, the value alone.
///
/// # Panics
/// If a column does not exist.
pub fn group_features(x: ArrayView3<f32>, columns: &[usize]) -> Array2<f64> {
    let (rows, positions, _) = x.dim();
    let each = if positions > 1 { 3 } else { 1 };
    let mut features = Array2::zeros((rows, columns.len() * each));
    for (place, &column) in columns.iter().enumerate() {
        for row in 0..rows {
            let values = x.slice(s![row, .., column]);
            let values = values.mapv(f64::from);
            features[[row, place * each]] = values.last().copied().unwrap_or(0.0);
            if each > 1 {
                features[[row, place * each + 1]] = values.mean().unwrap_or(0.0);
                features[[row, place * each + 2]] = values.std(0.0);
            }
        }
    }
    features
}

/// 1 - mean |correlation| between different columns of `[n, k]` (notebook part 34). `None` for one column or where none varies; columns that do not vary
/// are left out.
pub fn independence(features: ArrayView2<f64>) -> Option<f64> {
    let mut columns = matrix::centred(features);
    for mut column in columns.axis_iter_mut(Axis(1)) {
        let norm = column.dot(&column).sqrt();
        if norm > 0.0 {
            column /= norm;
        }
    }
    let live: Vec<usize> = (0..columns.ncols())
        .filter(|&column| columns.column(column).iter().any(|x| *x != 0.0))
        .collect();
    let mut total = 0.0;
    for (place, &a) in live.iter().enumerate() {
        for &b in &live[..place] {
            total += columns.column(a).dot(&columns.column(b)).abs();
        }
    }
    let pairs = live.len() * live.len().saturating_sub(1) / 2;
    (pairs > 0).then(|| 1.0 - total / pairs as f64)
}
