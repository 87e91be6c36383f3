//! Means, spreads, quantiles, correlations.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Arithmetic mean; `None` for no values.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Standard deviation with divisor n - 1; `None` below two values.
pub fn std_dev(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let sum: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    Some((sum / (values.len() - 1) as f64).sqrt())
}

/// Quantile by linear interpolation between order statistics (numpy's default; type 7 of Hyndman and Fan 1996).
/// `sorted` is in ascending order; `None` if it is empty.
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = share.clamp(0.0, 1.0) * last as f64;
    let (below, weight) = (position.floor() as usize, position.fract());
    let above = (below + 1).min(last);
    Some(sorted[below] + weight * (sorted[above] - sorted[below]))
}

/// A correlation and its two-sided p value under independence, from Student's t with n - 2 degrees of freedom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Correlation {
    /// In [-1, 1].
    pub r: f64,
    /// Two-sided.
    pub p: f64,
}

/// Pearson's correlation; `None` below three values or where a side is constant.
pub fn pearson(x: &[f64], y: &[f64]) -> Option<Correlation> {
    let n = x.len();
    if n != y.len() || n < 3 {
        return None;
    }
    let (mx, my) = (mean(x)?, mean(y)?);
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (a, b) in x.iter().zip(y) {
        xx += (a - mx) * (a - mx);
        yy += (b - my) * (b - my);
        xy += (a - mx) * (b - my);
    }
    // Rounding leaves a constant column with a spread of the order of the last place.
    let flat = |sum: f64, mean: f64| sum <= n as f64 * (1e-14 * mean.abs()).powi(2);
    if flat(xx, mx) || flat(yy, my) {
        return None;
    }
    let r = xy / (xx * yy).sqrt();
    if !r.is_finite() {
        return None;
    }
    let r = r.clamp(-1.0, 1.0);
    let freedom = (n - 2) as f64;
    let t = r * (freedom / ((1.0 - r) * (1.0 + r)).max(f64::MIN_POSITIVE)).sqrt();
    Some(Correlation {
        r,
        p: 2.0 * StudentsT::new(0.0, 1.0, freedom).ok()?.sf(t.abs()),
    })
}

/// Spearman's correlation: Pearson's of mean ranks.
pub fn spearman(x: &[f64], y: &[f64]) -> Option<Correlation> {
    pearson(&ranks(x), &ranks(y))
}

/// Ranks from 1; ties share their mean rank.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        // Positions are counted while chunks pass, so that a tie's mean rank is the mean of its ends.
        let first = ranks_before(tied, &order);
        let rank = first as f64 + (tied.len() + 1) as f64 / 2.0;
        for &index in tied {
            ranks[index] = rank;
        }
    }
    ranks
}

// Both slices are of one allocation: the offset of the chunk in the order.
fn ranks_before(chunk: &[usize], order: &[usize]) -> usize {
    (chunk.as_ptr() as usize - order.as_ptr() as usize) / size_of::<usize>()
}
