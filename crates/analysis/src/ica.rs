//! Independent components by linfa's FastICA, with what it leaves out: whether it converged, and whether another start
//! finds the same.
//!
//! linfa says nothing when it stops at its iteration limit, and keeps what it fitted. So rows are whitened here, the
//! rotation is read off what linfa predicts for 0 and for the identity, and one fixed-point step of our own shows how
//! far from converged it is.

use disentangle_data::Seed;
use linfa::{
    dataset::DatasetBase,
    prelude::{Fit as _, Predict as _},
};
use linfa_ica::fast_ica::{FastIca, GFunc};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    linalg::{self, NoDecomposition},
    matrix::{self, MatrixError},
    normality::{Normality, normality},
};

/// E ln cosh x of a standard normal x.
const NORMAL_CONTRAST: f64 = 0.374_567_207_491_438;

/// How components are looked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IcaConfig {
    /// Components, at most.
    pub components: usize,
    /// Rows are first reduced to the fewest principal components that hold this share of the variance.
    pub variance: f64,
    /// Fixed-point steps of a start, at most.
    pub iterations: usize,
    /// Converged if a step turns no component further: 1 - |cosine| of the angle.
    pub tolerance: f64,
    /// Random starts, at least 2: one alone says nothing about stability.
    pub seeds: usize,
}

impl Default for IcaConfig {
    fn default() -> Self {
        Self {
            components: 10,
            variance: 0.99,
            iterations: 200,
            tolerance: 1e-4,
            seeds: 5,
        }
    }
}

impl IcaConfig {
    /// Says which setting is out of range.
    pub fn check(&self) -> Result<(), MatrixError> {
        let wrong = |key: &'static str, found: String, expected: &'static str| {
            Err(MatrixError::Setting { key, found, expected })
        };
        for (key, found) in [("components", self.components), ("iterations", self.iterations)] {
            if found == 0 {
                return wrong(key, found.to_string(), "a whole number above 0");
            }
        }
        if self.seeds < 2 {
            return wrong("seeds", self.seeds.to_string(), "a whole number of at least 2");
        }
        if !(self.variance > 0.0 && self.variance <= 1.0) {
            return wrong("variance", self.variance.to_string(), "a number above 0 and at most 1");
        }
        if !(self.tolerance > 0.0 && self.tolerance < 1.0) {
            return wrong("tolerance", self.tolerance.to_string(), "a number between 0 and 1");
        }
        Ok(())
    }
}

/// Components of `[n, d]`, k of them, the least normal first. The sign of each is chosen so that its largest loading is
/// positive.
#[derive(Clone, Debug, PartialEq)]
pub struct Ica {
    /// `[n, k]`, uncorrelated, mean 0 and variance 1 (divisor n).
    pub sources: Array2<f64>,
    /// Loadings, `[d, k]`, in the units of the columns: centred rows are sources · mixingᵀ but for the variance that
    /// was left out.
    pub mixing: Array2<f64>,
    /// `[k, d]`: sources are centred rows · unmixingᵀ.
    pub unmixing: Array2<f64>,
    /// Column means, `[d]`.
    pub mean: Array1<f64>,
    /// Whether `change` is below the tolerance.
    pub converged: bool,
    /// How far one more step turned the components: the largest 1 - |cosine| of the angle between before and after.
    pub change: f64,
    /// For each component, the mean over the other starts of its largest absolute correlation with one of theirs: 1 if
    /// all found it.
    pub stability: Vec<f64>,
    /// For each component; q over all of them. Rows are taken to be independent, and components were looked for where
    /// rows are not normal, so that p and q are too small where k is not small against n.
    pub normality: Vec<Normality>,
}

/// Independent components of the rows of `[n, d]` (Hyvärinen 1999: FastICA with ln cosh, all components at once).
///
/// Centred rows are whitened to their leading principal components; constant columns and columns that follow from
/// others cost nothing. Of all starts, those that converged come first, and of these the one whose components differ
/// most from a normal, Σ (E ln cosh s - E ln cosh ν)². The same seed gives the same components for any number of
/// threads.
///
/// Normal sources have no directions of their own: what is found among them is chance. A component is a finding where
/// it is stable and its normality is rejected.
///
/// Fails for settings out of range, fewer than 2 rows, no columns, values that are not finite, and where no column
/// varies.
pub fn independent_components(
    name: &str,
    matrix: ArrayView2<f64>,
    config: &IcaConfig,
    seed: Seed,
) -> Result<Ica, MatrixError> {
    config.check()?;
    matrix::check(name, matrix, 2)?;
    let white = White::new(name, matrix::centred(matrix).view(), config)?;
    let starts: Vec<Result<Start, MatrixError>> = (0..config.seeds)
        .into_par_iter()
        .map(|index| Start::run(name, white.rows.view(), config, seed.index(index as u64)))
        .collect();
    let starts = starts.into_iter().collect::<Result<Vec<Start>, MatrixError>>()?;
    let rank = |start: &Start| (start.change < config.tolerance, start.contrast);
    let mut best = 0;
    for (index, start) in starts.iter().enumerate() {
        if rank(start) > rank(&starts[best]) {
            best = index;
        }
    }

    let found = &starts[best];
    let sources = linalg::product(white.rows.view(), found.rotation.t());
    let columns: Vec<Vec<f64>> = sources.columns().into_iter().map(|column| column.to_vec()).collect();
    let tests = normality(&columns).ok_or_else(|| constant(name))?;
    let mut order: Vec<usize> = (0..tests.len()).collect();
    order.sort_by(|&a, &b| tests[b].statistic.total_cmp(&tests[a].statistic));

    let mixing = white.back.dot(&found.rotation.t()).select(Axis(1), &order);
    let unmixing = found.rotation.dot(&white.whitening).select(Axis(0), &order);
    let signs: Array1<f64> = mixing.columns().into_iter().map(sign_of_largest).collect();
    Ok(Ica {
        sources: sources.select(Axis(1), &order) * &signs,
        unmixing: unmixing * signs.view().insert_axis(Axis(1)),
        mixing: mixing * &signs,
        mean: matrix.sum_axis(Axis(0)) / matrix.nrows() as f64,
        converged: found.change < config.tolerance,
        change: found.change,
        stability: order.iter().map(|&row| stability(&starts, best, row)).collect(),
        normality: order.iter().map(|&row| tests[row]).collect(),
    })
}

/// -1 where the entry of largest magnitude is negative, otherwise 1.
fn sign_of_largest(loadings: ArrayView1<f64>) -> f64 {
    let larger = |most: f64, &next: &f64| if next.abs() > most.abs() { next } else { most };
    if loadings.fold(0.0, larger) < 0.0 { -1.0 } else { 1.0 }
}

fn constant(name: &str) -> MatrixError {
    MatrixError::Constant {
        matrix: name.to_string(),
    }
}

/// Centred rows, uncorrelated and of variance 1, and the way there and back.
struct White {
    /// `[n, k]`.
    rows: Array2<f64>,
    /// `[k, d]`: rows are centred rows · whiteningᵀ.
    whitening: Array2<f64>,
    /// `[d, k]`.
    back: Array2<f64>,
}

impl White {
    fn new(name: &str, centred: ArrayView2<f64>, config: &IcaConfig) -> Result<Self, MatrixError> {
        let largest = matrix::largest(centred);
        if largest <= 0.0 {
            return Err(constant(name));
        }
        // At scale 1 no square overflows or vanishes.
        let svd = linalg::svd((&centred / largest).view()).map_err(MatrixError::decomposition(name))?;
        let total: f64 = svd.s.iter().map(|s| s * s).sum();
        let mut reached = 0.0;
        let needed = svd.s.iter().take_while(|&&s| {
            // Rounding must not ask for one more component than the variance needs.
            let wanted = reached < config.variance - 1e-12;
            reached += s * s / total;
            wanted
        });
        let needed = needed.count().max(1);
        // What is left of columns that follow from others is rounding.
        let rank = svd.s.iter().filter(|&&s| s > 1e-10 * svd.s[0]).count();
        let count = needed.min(rank).min(config.components);
        // The left singular vectors themselves: nothing is as close to uncorrelated.
        let scale = (centred.nrows() as f64).sqrt();
        let deviations = svd.s.slice(s![..count]).mapv(|s| s * largest / scale);
        let directions = svd.vt.slice(s![..count, ..]);
        Ok(Self {
            rows: &svd.u.slice(s![.., ..count]) * scale,
            whitening: &directions / &deviations.view().insert_axis(Axis(1)),
            back: &directions.t() * &deviations,
        })
    }
}

/// What one random start found.
struct Start {
    /// `[k, k]`, orthogonal: sources are whitened rows · rotationᵀ.
    rotation: Array2<f64>,
    /// How far the last step turned it.
    change: f64,
    /// Σ (E ln cosh s - E ln cosh ν)², ν standard normal.
    contrast: f64,
}

impl Start {
    fn run(name: &str, white: ArrayView2<f64>, config: &IcaConfig, seed: Seed) -> Result<Self, MatrixError> {
        let no_rotation = MatrixError::decomposition(name);
        let before = if white.ncols() == 1 {
            // Nothing to rotate.
            Array2::eye(1)
        } else {
            let found = rotation_by_linfa(white, config, seed).map_err(|reason| MatrixError::NoComponents {
                matrix: name.to_string(),
                reason,
            })?;
            decorrelated(found.view()).map_err(&no_rotation)?
        };
        let rotation = fixed_point(white, before.view()).map_err(&no_rotation)?;
        let sources = linalg::product(white, rotation.t());
        let contrast = sources.columns().into_iter().map(|source| {
            let mean = source.iter().map(|&s| log_cosh(s)).sum::<f64>() / source.len() as f64;
            (mean - NORMAL_CONTRAST).powi(2)
        });
        Ok(Self {
            change: turned(before.view(), rotation.view()),
            contrast: contrast.sum(),
            rotation,
        })
    }
}

/// ln cosh, without the overflow of cosh.
fn log_cosh(x: f64) -> f64 {
    x.abs() + (-2.0 * x.abs()).exp().ln_1p() - std::f64::consts::LN_2
}

/// linfa's rotation `[k, k]` of whitened rows `[n, k]`, orthogonal up to rounding. It may not have converged.
fn rotation_by_linfa(white: ArrayView2<f64>, config: &IcaConfig, seed: Seed) -> Result<Array2<f64>, String> {
    let (rows, count) = white.dim();
    let fitted = FastIca::params()
        .ncomponents(count)
        .gfunc(GFunc::Logcosh(1.0))
        .max_iter(config.iterations)
        .tol(config.tolerance)
        .random_state(seed.key() as usize)
        .fit(&DatasetBase::from(white))
        .map_err(|error| error.to_string())?;
    let origin: Array2<f64> = fitted.predict(&Array2::<f64>::zeros((1, count)));
    let axes: Array2<f64> = fitted.predict(&Array2::<f64>::eye(count));
    // Its sources have the sum of squares 1, not the variance.
    let scale = (rows as f64).sqrt();
    Ok((&axes - &origin.row(0)).t().mapv(|x| x * scale))
}

/// One step of FastICA with ln cosh (Hyvärinen 1999) from an orthogonal `[k, k]`: E[tanh(w z) z] - E[1 - tanh²(w z)] w
/// for all rows w, decorrelated; z are the whitened rows `[n, k]`.
pub(crate) fn fixed_point(white: ArrayView2<f64>, rotation: ArrayView2<f64>) -> Result<Array2<f64>, NoDecomposition> {
    let n = white.nrows() as f64;
    let slopes = linalg::product(white, rotation.t()).mapv_into(f64::tanh);
    let pull = linalg::product(slopes.t(), white) / n;
    let curvature = slopes.map_axis(Axis(0), |column| column.iter().map(|g| 1.0 - g * g).sum::<f64>() / n);
    decorrelated((pull - &rotation * &curvature.insert_axis(Axis(1))).view())
}

/// The largest 1 - |cosine| of the angle between a row before and after.
pub(crate) fn turned(before: ArrayView2<f64>, after: ArrayView2<f64>) -> f64 {
    let cosines = (&before * &after).sum_axis(Axis(1));
    cosines.fold(0.0, |most: f64, cosine| most.max((1.0 - cosine.abs()).abs()))
}

/// (W Wᵀ)^(-1/2) W, the orthogonal matrix nearest to W.
fn decorrelated(rotation: ArrayView2<f64>) -> Result<Array2<f64>, NoDecomposition> {
    let svd = linalg::svd(rotation)?;
    Ok(svd.u.dot(&svd.vt))
}

/// Mean over the other starts of the largest absolute correlation of component `row` of the best start with one of
/// theirs.
fn stability(starts: &[Start], best: usize, row: usize) -> f64 {
    let component = starts[best].rotation.row(row);
    let others = starts.iter().enumerate().filter(|(index, _)| *index != best);
    // Of whitened rows, correlations are cosines.
    let likeness = others.map(|(_, other)| {
        other
            .rotation
            .dot(&component)
            .fold(0.0, |most: f64, c| most.max(c.abs()))
    });
    (likeness.sum::<f64>() / (starts.len() - 1) as f64).min(1.0)
}
