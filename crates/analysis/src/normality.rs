//! Is a sample normal? The test of Jarque and Bera (1987).

use serde::{Deserialize, Serialize};

use crate::{descriptive::mean, multiple::benjamini_hochberg};

/// The test of one sample among several.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normality {
    /// n / 6 · (skewness² + (kurtosis - 3)² / 4), of moments with divisor n.
    pub statistic: f64,
    /// Of its limit law under normality, chi-squared with 2 degrees of freedom, for independent values. Rough below
    /// some hundreds of them.
    pub p: f64,
    /// p after Benjamini and Hochberg over the samples.
    pub q: f64,
}

/// Statistic and p value of one sample of finite values, as [`Normality`] has them; `None` below two values and for a
/// constant.
pub fn jarque_bera(values: &[f64]) -> Option<(f64, f64)> {
    let n = values.len() as f64;
    let mean = mean(values)?;
    let (mut second, mut third, mut fourth) = (0.0, 0.0, 0.0);
    for value in values {
        let (from_mean, square) = (value - mean, (value - mean).powi(2));
        second += square / n;
        third += square * from_mean / n;
        fourth += square * square / n;
    }
    // Rounding leaves a constant with a spread of the order of the last place.
    if second <= (1e-14 * mean).powi(2) {
        return None;
    }
    let skewness = third / second.powf(1.5);
    let excess = fourth / second.powi(2) - 3.0;
    let statistic = n / 6.0 * (skewness * skewness + excess * excess / 4.0);
    // The upper tail of chi-squared with 2 degrees of freedom is exactly this.
    statistic.is_finite().then(|| (statistic, (-statistic / 2.0).exp()))
}

/// [`jarque_bera`] of several samples, with q over all of them; `None` where any has no test.
pub fn normality(samples: &[Vec<f64>]) -> Option<Vec<Normality>> {
    let tests: Vec<(f64, f64)> = samples
        .iter()
        .map(|sample| jarque_bera(sample))
        .collect::<Option<_>>()?;
    let (statistics, p): (Vec<f64>, Vec<f64>) = tests.into_iter().unzip();
    let q = benjamini_hochberg(&p);
    let each = statistics.into_iter().zip(p).zip(q);
    Some(each.map(|((statistic, p), q)| Normality { statistic, p, q }).collect())
}
