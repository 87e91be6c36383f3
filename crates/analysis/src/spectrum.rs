//! Is there a season? Periodogram and Fisher's test against a first-order autoregression.

use rustfft::{FftPlanner, num_complex::Complex};
use serde::{Deserialize, Serialize};

use crate::regression;

/// `|Σ x_t exp(-2πi j t / n)|² / n` for j = 1 .. floor((n - 1) / 2): no mean, no Nyquist frequency.
pub fn periodogram(series: &[f64]) -> Vec<f64> {
    let n = series.len();
    let mut buffer: Vec<Complex<f64>> = series.iter().map(|&x| Complex::new(x, 0.0)).collect();
    FftPlanner::new().plan_fft_forward(n).process(&mut buffer);
    buffer
        .iter()
        .skip(1)
        .take(n.saturating_sub(1) / 2)
        .map(|x| x.norm_sqr() / n as f64)
        .collect()
}

/// p value of Fisher's g = max I / Σ I over `m` ordinates under white Gaussian noise (Fisher 1929).
///
/// Exact, `Σ_k (-1)^(k-1) C(m,k) (1 - k g)^(m-1)`, while its terms stay below 1e6; beyond that (only where p is
/// close to 1 anyway) the limit law `1 - (1 - exp(-m g))^m`.
pub fn fisher_g_p(g: f64, m: usize) -> f64 {
    let count = m as f64;
    let (mut p, mut log_binomial) = (0.0, 0.0);
    for k in 1..=((1.0 / g).floor() as usize).min(m) {
        log_binomial += ((m - k + 1) as f64 / k as f64).ln();
        let base = 1.0 - k as f64 * g;
        if base <= 0.0 {
            break;
        }
        let term = (log_binomial + (count - 1.0) * base.ln()).exp();
        if term > 1e6 {
            // Beyond this the alternating terms cancel to fewer than ten digits.
            return 1.0 - (1.0 - (-count * g).exp()).powf(count);
        }
        p += if k % 2 == 1 { term } else { -term };
    }
    p.clamp(0.0, 1.0)
}

/// The strongest period of a series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Season {
    /// Rows in one period: n / j of the largest ordinate.
    pub period: f64,
    /// Share of that ordinate in the sum of all, after division by the fitted spectrum.
    pub g: f64,
    /// Fisher's p value: exchangeable under the null are the ordinates of a first-order autoregression, each divided by its spectrum.
    pub p: f64,
    /// Persistence of the fitted autoregression.
    pub phi: f64,
}

/// Looks for a season after detrending. Ordinates are divided by the spectrum of a fitted first-order autoregression,
/// `1 / (1 + phi² - 2 phi cos(2π j / n))`, so that mere persistence is not taken for a long period.
///
/// `Err` says why there is no answer: fewer than 12 values, or nothing left after detrending.
pub fn season(series: &[f64]) -> Result<Season, String> {
    let n = series.len();
    if n < 12 {
        return Err(format!("too short: {n} values, 12 are needed"));
    }
    let trend = regression::trend(series).ok_or("no line can be fitted")?;
    let left: f64 = trend.detrended.iter().map(|x| x * x).sum();
    let whole: f64 = series.iter().map(|x| x * x).sum();
    if left <= 1e-20 * whole {
        return Err("nothing is left after detrending".into());
    }
    let phi = regression::autoregression(&trend.detrended)
        .ok_or("constant after detrending")?
        .phi
        .clamp(-0.99, 0.99);
    let whitened: Vec<f64> = periodogram(&trend.detrended)
        .iter()
        .enumerate()
        .map(|(index, power)| {
            let angle = std::f64::consts::TAU * (index + 1) as f64 / n as f64;
            power * (1.0 + phi * phi - 2.0 * phi * angle.cos())
        })
        .collect();
    let (index, largest) = whitened
        .iter()
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(b.1))
        .ok_or("no ordinates")?;
    let g = largest / whitened.iter().sum::<f64>();
    Ok(Season {
        period: n as f64 / (index + 1) as f64,
        g,
        p: fisher_g_p(g, whitened.len()),
        phi,
    })
}
