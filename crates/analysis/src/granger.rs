//! Granger causality with the lag chosen by AIC, and a p value that knows about the choice.

use disentangle_data::Seed;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, FisherSnedecor};

use crate::{multiple::permutation_p, regression};

/// Lags that are tried.
pub const MAX_LAG: usize = 5;

/// Both regressions at one lag, fitted on the rows that every lag has (`series length - 5`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LagFit {
    /// Lags of each series.
    pub lag: usize,
    /// Residual sum of squares with the effect's own past only.
    pub rss_restricted: f64,
    /// Residual sum of squares with the cause's past too.
    pub rss_unrestricted: f64,
    /// `((RSS_r - RSS_u) / p) / (RSS_u / (T - 2p - 1))`.
    pub f: f64,
    /// Upper tail of F(p, T - 2p - 1): right for a lag fixed beforehand.
    pub nominal_p: f64,
    /// `T ln(RSS_u / T) + 2 (2p + 1)`.
    pub aic: f64,
}

/// The result of a test that the past of one series helps to predict another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Granger {
    /// The lag with the smallest AIC.
    pub lag: usize,
    /// F at that lag.
    pub f: f64,
    /// p value of that F if the lag had been fixed beforehand; too small, because it was chosen.
    pub nominal_p: f64,
    /// p value by parametric bootstrap of the restricted model, with the lag chosen anew each time.
    pub p: f64,
    /// Rows fitted on.
    pub rows: usize,
}

/// Tests whether `cause` helps to predict `effect` (Granger 1969). Both are detrended first.
///
/// The nominal p value rejects 10-13 % of independent pairs at 5 %, because the lag is chosen by AIC; the bootstrap
/// simulates the effect from its own past (Gaussian errors) and repeats the choice. Its statistic is the nominal p, which is comparable over lags.
///
/// `Err` says why there is no answer: fewer than 35 values (30 after the lags), a constant series, or an effect that its own past determines.
pub fn granger(cause: &[f64], effect: &[f64], draws: usize, seed: Seed) -> Result<Granger, String> {
    let n = effect.len();
    if cause.len() != n {
        return Err("the series have different lengths".into());
    }
    if n < 30 + MAX_LAG {
        return Err(format!("too short: {n} values, {} are needed", 30 + MAX_LAG));
    }
    let detrend = |series: &[f64]| {
        regression::trend(series)
            .map(|trend| trend.detrended)
            .ok_or("a series has no trend fit")
    };
    let (cause, effect) = (standardised(detrend(cause)?)?, standardised(detrend(effect)?)?);
    let observed = best(&lag_fits(&cause, &effect)?);
    let restricted = restricted_fit(&effect, observed.lag).ok_or("the effect's own past is collinear")?;
    let scale = (restricted.rss / (n - observed.lag) as f64).sqrt();
    let mut rng = seed.rng();
    let mut null = Vec::with_capacity(draws);
    for _ in 0..draws {
        let mut simulated = effect[..observed.lag].to_vec();
        for t in observed.lag..n {
            let past = (1..=observed.lag).map(|k| restricted.coefficients[k] * simulated[t - k]);
            let next = restricted.coefficients[0] + past.sum::<f64>() + scale * rng.normal();
            simulated.push(next);
        }
        // A draw that explodes or collapses says nothing about the lag's p.
        if let Ok(fits) = detrend(&simulated)
            .map_err(String::from)
            .and_then(|s| lag_fits(&cause, &s))
        {
            null.push(-best(&fits).nominal_p);
        }
    }
    Ok(Granger {
        lag: observed.lag,
        f: observed.f,
        nominal_p: observed.nominal_p,
        p: permutation_p(-observed.nominal_p, &null).ok_or("fewer than 19 bootstrap draws cannot give a p value")?,
        rows: n - MAX_LAG,
    })
}

/// Both regressions for each lag from 1 to 5, all on the same rows.
///
/// All ten share one cross-product matrix, whose Cholesky factors give the residual sums: the bootstrap does this thousands of times.
pub fn lag_fits(cause: &[f64], effect: &[f64]) -> Result<Vec<LagFit>, String> {
    let rows = effect.len().saturating_sub(MAX_LAG);
    if rows < 2 * MAX_LAG + 2 {
        return Err(format!("too short: {} values", effect.len()));
    }
    let products = products(cause, effect);
    (1..=MAX_LAG)
        .map(|lag| {
            let freedom = rows as f64 - 2.0 * lag as f64 - 1.0;
            let own: Vec<usize> = (0..=lag).collect();
            let both: Vec<usize> = own.iter().copied().chain(MAX_LAG + 1..=MAX_LAG + lag).collect();
            let collinear = || "a series is constant or determined by the past".to_string();
            let restricted = residual_sum(&products, &own).ok_or_else(collinear)?;
            let unrestricted = residual_sum(&products, &both).ok_or_else(collinear)?;
            let f = ((restricted - unrestricted) / lag as f64 / (unrestricted / freedom)).max(0.0);
            let distribution = FisherSnedecor::new(lag as f64, freedom).map_err(|e| e.to_string())?;
            Ok(LagFit {
                lag,
                rss_restricted: restricted,
                rss_unrestricted: unrestricted,
                f,
                nominal_p: distribution.sf(f),
                aic: rows as f64 * (unrestricted / rows as f64).ln() + 2.0 * (2 * lag + 1) as f64,
            })
        })
        .collect()
}

/// Columns of the largest design: the constant, five lags of the effect, five of the cause, and last the effect itself.
const COLUMNS: usize = 2 * MAX_LAG + 2;

fn products(cause: &[f64], effect: &[f64]) -> [[f64; COLUMNS]; COLUMNS] {
    let mut sums = [[0.0; COLUMNS]; COLUMNS];
    for t in MAX_LAG..effect.len() {
        let mut row = [1.0; COLUMNS];
        for lag in 1..=MAX_LAG {
            row[lag] = effect[t - lag];
            row[MAX_LAG + lag] = cause[t - lag];
        }
        row[COLUMNS - 1] = effect[t];
        for (sums, a) in sums.iter_mut().zip(row) {
            for (sum, b) in sums.iter_mut().zip(row) {
                *sum += a * b;
            }
        }
    }
    sums
}

/// Residual sum of squares of the effect on the given columns. `None` if a column is a combination of those before it, or
/// nothing is left over (both to 1e-10 of the column's own sum of squares).
fn residual_sum(products: &[[f64; COLUMNS]; COLUMNS], columns: &[usize]) -> Option<f64> {
    let order: Vec<usize> = columns.iter().copied().chain([COLUMNS - 1]).collect();
    let mut factor = [[0.0; COLUMNS]; COLUMNS];
    for (i, &a) in order.iter().enumerate() {
        for (j, &b) in order[..=i].iter().enumerate() {
            let explained: f64 = factor[i][..j].iter().zip(&factor[j][..j]).map(|(x, y)| x * y).sum();
            let left = products[a][b] - explained;
            if i > j {
                factor[i][j] = left / factor[j][j];
            } else if left <= 1e-10 * products[a][a] {
                return None;
            } else if i == columns.len() {
                return Some(left);
            } else {
                factor[i][i] = left.sqrt();
            }
        }
    }
    None
}

fn best(fits: &[LagFit]) -> LagFit {
    let mut best = fits[0];
    for fit in fits {
        if fit.aic < best.aic {
            best = *fit;
        }
    }
    best
}

fn restricted_fit(effect: &[f64], lag: usize) -> Option<regression::Fit> {
    let design: Vec<f64> = (lag..effect.len())
        .flat_map(|t| std::iter::once(1.0).chain((1..=lag).map(move |k| effect[t - k])))
        .collect();
    regression::least_squares(&design, lag + 1, &effect[lag..])
}

// F does not depend on the scale; collinearity is judged better at scale 1.
fn standardised(series: Vec<f64>) -> Result<Vec<f64>, String> {
    let spread = crate::descriptive::std_dev(&series).unwrap_or(0.0);
    if spread <= 1e-12 {
        return Err("a series is constant".into());
    }
    Ok(series.into_iter().map(|x| x / spread).collect())
}
