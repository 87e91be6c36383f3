//! Mutual information of two sites, from the nearest neighbours of their main directions.

use disentangle_data::Seed;
use ndarray::{Array2, ArrayView2, Axis, s};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::{
    Estimate,
    descriptive::std_dev,
    linalg,
    matrix::{self, MatrixError},
};

/// Mutual information in nats of `[n, a]` and `[n, b]`, the same n rows in the same order, by the first estimator of Kraskov, Stögbauer and
/// Grassberger (2004): ψ(k) + ψ(n) - ⟨ψ(n_x + 1) + ψ(n_y + 1)⟩, maximum norm, n_x and n_y the rows that are strictly nearer than the k-th
/// neighbour of both together.
///
/// Consistent for densities, below 0 by chance for independent blocks, and too low where the true value is large for n. Takes n² steps:
/// made for blocks of few columns and n up to some thousands.
///
/// Fails for n ≤ k, k = 0, no columns, different numbers of rows, and values that are not finite.
pub fn ksg(x: ArrayView2<f64>, y: ArrayView2<f64>, neighbours: usize) -> Result<f64, MatrixError> {
    if neighbours == 0 {
        return Err(MatrixError::Setting {
            key: "neighbours",
            found: "0".into(),
            expected: "at least 1",
        });
    }
    check_pair(x, y, neighbours + 1)?;
    let n = x.nrows();
    let (x, y) = (columns(x), columns(y));
    let harmonic = harmonic_numbers(n);
    let (mut to_x, mut to_y, mut to_both) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    let mut within = 0.0;
    for row in 0..n {
        distances(&x, row, &mut to_x);
        distances(&y, row, &mut to_y);
        for (both, (x, y)) in to_both.iter_mut().zip(to_x.iter().zip(&to_y)) {
            *both = f64::max(*x, *y);
        }
        let (_, radius, _) = to_both.select_nth_unstable_by(neighbours - 1, f64::total_cmp);
        let nearer = |distances: &[f64]| distances.iter().filter(|distance| **distance < *radius).count();
        within += harmonic[nearer(&to_x)] + harmonic[nearer(&to_y)];
    }
    // ψ(m) is the (m - 1)-th harmonic number minus Euler's constant, which drops out.
    Ok(harmonic[neighbours - 1] + harmonic[n - 1] - within / n as f64)
}

fn check_pair(x: ArrayView2<f64>, y: ArrayView2<f64>, least: usize) -> Result<(), MatrixError> {
    matrix::check("the first block", x, least)?;
    matrix::check("the second block", y, least)?;
    matrix::check_equal("rows", ("the first block", x.nrows()), ("the second block", y.nrows()))
}

fn columns(matrix: ArrayView2<f64>) -> Vec<Vec<f64>> {
    matrix.columns().into_iter().map(|column| column.to_vec()).collect()
}

/// Maximum-norm distances of all rows to `row`; a row is no neighbour of itself.
fn distances(columns: &[Vec<f64>], row: usize, out: &mut [f64]) {
    out.fill(0.0);
    for column in columns {
        let own = column[row];
        for (distance, value) in out.iter_mut().zip(column) {
            *distance = f64::max(*distance, (value - own).abs());
        }
    }
    out[row] = f64::INFINITY;
}

/// 0, 1, 1 + 1/2, ..: `n` of them.
fn harmonic_numbers(n: usize) -> Vec<f64> {
    let mut sum = 0.0;
    let numbers = (0..n).map(|m| {
        if m > 0 {
            sum += 1.0 / m as f64;
        }
        sum
    });
    numbers.collect()
}

/// What the mutual information would be if `[n, a]` and `[n, b]` were jointly normal: -½ Σ ln(1 - ρ²) over their canonical correlations, in nats.
///
/// 0 where a side is constant; `None` where a combination of one side is one of the other, so that it is infinite. Fails for fewer than two
/// rows, no columns, different numbers of rows, and values that are not finite.
pub fn gaussian_information(x: ArrayView2<f64>, y: ArrayView2<f64>) -> Result<Option<f64>, MatrixError> {
    check_pair(x, y, 2)?;
    let (x, y) = (basis("the first block", x)?, basis("the second block", y)?);
    let across = x.t().dot(&y);
    let correlations = linalg::singular_values(across.view()).map_err(MatrixError::decomposition("the blocks"))?;
    if correlations.iter().any(|r| *r > 1.0 - 1e-12) {
        return Ok(None);
    }
    Ok(Some(correlations.iter().map(|r| -0.5 * (1.0 - r * r).ln()).sum()))
}

/// Orthonormal columns that span the centred columns.
fn basis(name: &str, matrix: ArrayView2<f64>) -> Result<Array2<f64>, MatrixError> {
    let svd = linalg::svd(matrix::centred(matrix).view()).map_err(MatrixError::decomposition(name))?;
    let floor = matrix.nrows() as f64 * f64::EPSILON * svd.s.first().copied().unwrap_or(0.0);
    let kept = svd.s.iter().filter(|s| **s > floor).count();
    Ok(svd.u.slice(s![.., ..kept]).to_owned())
}

/// Coordinates of `[n, d]` along its first `most` principal components, each with variance 1 (divisor n - 1) and mean 0: `[n, k]`, k ≤ `most`.
///
/// Components with less than 1e-6 of the first one's standard deviation are left out; `None` where nothing varies. The sign of each is
/// arbitrary. Fails for fewer than two rows, no columns, and values that are not finite.
pub fn top_components(name: &str, matrix: ArrayView2<f64>, most: usize) -> Result<Option<Array2<f64>>, MatrixError> {
    matrix::check(name, matrix, 2)?;
    let failed = MatrixError::decomposition(name);
    let mut centred = matrix::centred(matrix);
    let largest = matrix::largest(centred.view());
    if largest <= 0.0 {
        return Ok(None);
    }
    centred /= largest;
    let (rows, width) = centred.dim();
    // The left singular vectors are those of the smaller of both Gram matrices, or follow from the right ones.
    let (left, values) = if width > rows {
        let svd = linalg::svd(linalg::product(centred.view(), centred.t()).view()).map_err(failed)?;
        (svd.u, svd.s.mapv(|s| s.max(0.0).sqrt()))
    } else {
        let (values, right) = linalg::right_svd(centred.view()).map_err(failed)?;
        let first = right.slice(s![..most.min(right.nrows()), ..]);
        let mut left = centred.dot(&first.t());
        for (mut column, s) in left.columns_mut().into_iter().zip(&values) {
            column.mapv_inplace(|x| if *s > 0.0 { x / s } else { 0.0 });
        }
        (left, values)
    };
    let first = values.first().copied().unwrap_or(0.0);
    let kept = values.iter().take(most).take_while(|s| **s > 1e-6 * first).count();
    let scale = ((rows - 1) as f64).sqrt();
    Ok(Some(left.slice(s![.., ..kept]).mapv(|u| u * scale)))
}

/// How two blocks of components are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SharedSettings {
    /// k of the estimator.
    pub neighbours: usize,
    /// Standard deviation of the normal noise that is added to every column of both blocks: what follows from the other without noise shares
    /// infinitely much with it.
    pub noise: f64,
    /// Rows that depend on each other: 1 where rows are independent.
    pub block: usize,
}

/// Mutual information of two blocks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shared {
    /// By [`ksg`] on all rows, in nats. Its interval is Student's t over disjoint parts of the rows, whose estimates vary by their number
    /// times the variance of that of all rows (Holmes and Nemenman 2019): resampled rows would be neighbours of themselves.
    pub ksg: Estimate,
    /// [`gaussian_information`] on the same rows.
    pub gaussian: Option<f64>,
    /// By [`ksg`] on half of the rows, the mean over the even and the odd ones; far from `ksg` where there are too few rows.
    pub half: Option<f64>,
}

impl Shared {
    /// Whether the estimate from half of the rows lies within the interval of that from all; `None` without an interval.
    pub fn agrees(&self) -> Option<bool> {
        let (low, high, half) = (self.ksg.low?, self.ksg.high?, self.half?);
        Some((low..=high).contains(&half))
    }
}

/// Disjoint parts for the interval, at most.
const PARTS: usize = 10;
/// Rows of a part, at least.
const LEAST_ROWS: usize = 20;

/// Mutual information of `[n, a]` and `[n, b]` after adding noise to both; columns should have variance 1, as those of [`top_components`].
///
/// Fails for n ≤ k, k = 0, no columns, different numbers of rows, and values that are not finite.
pub fn shared_information(
    x: ArrayView2<f64>,
    y: ArrayView2<f64>,
    settings: &SharedSettings,
    seed: Seed,
) -> Result<Shared, MatrixError> {
    let mut rng = seed.rng();
    let mut noisy = |block: ArrayView2<f64>| block.mapv(|value| value + settings.noise * rng.normal());
    let (x, y) = (noisy(x), noisy(y));
    let n = x.nrows();
    let of_all = ksg(x.view(), y.view(), settings.neighbours)?;
    let of = |rows: &[usize]| -> Result<f64, MatrixError> {
        let (x, y) = (x.select(Axis(0), rows), y.select(Axis(0), rows));
        ksg(x.view(), y.view(), settings.neighbours)
    };
    let half = if n / 2 > settings.neighbours {
        let every_other = |first: usize| (first..n).step_by(2).collect::<Vec<usize>>();
        Some(0.5 * (of(&every_other(0))? + of(&every_other(1))?))
    } else {
        None
    };
    // Parts of two blocks and more hold little of what their neighbours hold.
    let least = LEAST_ROWS.max(2 * settings.block).max(settings.neighbours + 1);
    let parts = (n / least).min(PARTS);
    let of_parts = (0..parts).map(|part| of(&(part * n / parts..(part + 1) * n / parts).collect::<Vec<usize>>()));
    let of_parts: Vec<f64> = of_parts.collect::<Result<_, _>>()?;
    Ok(Shared {
        ksg: with_interval(of_all, &of_parts, n, least),
        gaussian: gaussian_information(x.view(), y.view())?,
        half,
    })
}

fn with_interval(value: f64, parts: &[f64], n: usize, least: usize) -> Estimate {
    let mut estimate = Estimate::point(value, n);
    let count = parts.len() as f64;
    let spread = std_dev(parts).filter(|_| parts.len() > 2);
    let t = StudentsT::new(0.0, 1.0, (count - 1.0).max(1.0)).map(|t| t.inverse_cdf(0.975));
    let (Some(spread), Ok(t)) = (spread, t) else {
        estimate.note = Some(format!("no interval: {n} rows hold fewer than three parts of {least}"));
        return estimate;
    };
    let half_width = t * spread / count.sqrt();
    (estimate.low, estimate.high) = (Some(value - half_width), Some(value + half_width));
    estimate.level = Some(0.95);
    estimate.method = Some(format!("Student's t over {} disjoint parts of the rows", parts.len()));
    estimate
}

/// The most that two blocks of `components` columns of variance 1 can share once each has noise of standard deviation `noise`, in nats, if they
/// are normal: what a block shares with a copy of itself.
pub fn ceiling(components: usize, noise: f64) -> f64 {
    let correlation = 1.0 / (1.0 + noise * noise);
    -0.5 * components as f64 * (1.0 - correlation * correlation).ln()
}
