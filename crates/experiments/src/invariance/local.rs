//! What *invariant directions* knows of an environment: second moments, and linear coefficients on any set of features.

use ndarray::{Array1, Array2};

use super::{
    moments::Cholesky,
    problem::{DIM, Rows},
};

/// Second moments of an environment.
pub(super) struct Local {
    pub(super) rows: f64,
    /// Covariances, within classes if there are any.
    pub(super) within: Array2<f64>,
    /// Covariances with the target, or the difference of class means.
    pub(super) effect: Array1<f64>,
    /// Variance of the target, or 1/n₀ + 1/n₁.
    pub(super) rest: f64,
}

impl Local {
    pub(super) fn of(rows: &Rows, regression: bool) -> Self {
        let n = rows.y.len() as f64;
        // Centred at the mean of all rows, or of the row's class.
        let classes: &[f64] = if regression { &[f64::NAN] } else { &[0.0, 1.0] };
        let mut within = Array2::<f64>::zeros((DIM, DIM));
        let (mut means, mut counts) = (Vec::new(), Vec::new());
        let (mut cross, mut variance) = (Array1::<f64>::zeros(DIM), 0.0);
        for class in classes {
            let own = || rows.x.iter().zip(&rows.y).filter(|(_, y)| regression || **y == *class);
            let count = own().count() as f64;
            let mut mean = [0.0; DIM + 1];
            for (x, y) in own() {
                for (mean, value) in mean.iter_mut().zip(x.iter().chain([y])) {
                    *mean += value / count;
                }
            }
            for (x, y) in own() {
                let (centred, y): ([f64; DIM], f64) = (std::array::from_fn(|j| x[j] - mean[j]), y - mean[DIM]);
                for i in 0..DIM {
                    for j in 0..DIM {
                        within[[i, j]] += centred[i] * centred[j];
                    }
                    cross[i] += centred[i] * y / n;
                }
                variance += y * y / n;
            }
            means.push(mean);
            counts.push(count);
        }
        let (effect, rest) = match regression {
            true => (cross, variance),
            false => (
                (0..DIM).map(|j| means[1][j] - means[0][j]).collect(),
                1.0 / counts[0] + 1.0 / counts[1],
            ),
        };
        Self {
            rows: n,
            within: within / if regression { n } else { n - 2.0 },
            effect,
            rest,
        }
    }

    /// The same of other coordinates.
    pub(super) fn seen_along(&self, directions: &[[f64; DIM]]) -> Self {
        let to = Array2::from_shape_fn((directions.len(), DIM), |(i, j)| directions[i][j]);
        Self {
            rows: self.rows,
            within: to.dot(&self.within).dot(&to.t()),
            effect: to.dot(&self.effect),
            rest: self.rest,
        }
    }

    /// What must not differ between environments if `set` is invariant, each with the inverse of its covariance: linear coefficients,
    /// and for labels also the difference of class means.
    pub(super) fn effects(&self, set: &[usize], regression: bool) -> Option<Vec<(Array1<f64>, Array2<f64>)>> {
        let n = set.len();
        let within = Array2::from_shape_fn((n, n), |(i, j)| self.within[[set[i], set[j]]]);
        let effect: Array1<f64> = set.iter().map(|&i| self.effect[i]).collect();
        let factor = Cholesky::of(&within)?;
        let theta = factor.solve(&effect);
        let explained = effect.dot(&theta);
        if regression {
            let left = (self.rest - explained).max(f64::MIN_POSITIVE) * self.rows / (self.rows - n as f64 - 1.0);
            return Some(vec![(theta, within * (self.rows / left))]);
        }
        let inverse = factor.inverse();
        let mut covariance = &inverse * (self.rest + explained / self.rows);
        for i in 0..n {
            for j in 0..n {
                covariance[[i, j]] += theta[i] * theta[j] / self.rows;
            }
        }
        let precision = Cholesky::of(&covariance)?.inverse();
        Some(vec![(theta, precision), (effect, inverse / self.rest)])
    }
}

#[cfg(test)]
mod tests {
    use disentangle_data::Seed;

    use super::*;
    use crate::invariance::problem::{Kind, Problem, Shortcut};

    #[test]
    fn coefficients_and_their_spread_are_those_of_many_samples() {
        let problem = Problem::new(Kind::Three, false, Seed::new(1));
        let set = [0, 1, 2];
        let samples: Vec<(Array1<f64>, Array2<f64>)> = (0..400)
            .map(|i| {
                let rows = &problem.split(200, Shortcut::Kept, Seed::new(2).index(i))[0];
                Local::of(rows, false).effects(&set, false).unwrap().swap_remove(0)
            })
            .collect();
        let mean = samples.iter().map(|(theta, _)| theta[0]).sum::<f64>() / 400.0;
        let spread = samples.iter().map(|(theta, _)| (theta[0] - mean).powi(2)).sum::<f64>() / 399.0;
        let stated = samples
            .iter()
            .map(|(_, precision)| Cholesky::of(precision).unwrap().inverse()[[0, 0]])
            .sum::<f64>()
            / 400.0;
        // True coefficient -.2 / .01 with a few percent of bias at 200 rows; the spread of a variance of 400 draws is 7 %.
        assert!((mean / -20.0 - 1.0).abs() < 0.05, "{mean}");
        assert!((spread / stated - 1.0).abs() < 0.25, "{spread} against {stated}");
    }

    #[test]
    fn regressions_have_the_coefficients_of_their_equations() {
        let problem = Problem::new(Kind::One, false, Seed::new(1));
        let rows = &problem.split(20_000, Shortcut::Kept, Seed::new(2));
        let set = [0, 1, 2, 3, 4];
        let each: Vec<_> = rows
            .iter()
            .map(|rows| Local::of(rows, true).effects(&set, true).unwrap().swap_remove(0))
            .collect();
        for (theta, precision) in &each {
            let away = theta - &each[0].0;
            // 28 is beyond the .9999 quantile for five coefficients, each difference having twice their variance.
            assert!(away.dot(&precision.dot(&away)) < 2.0 * 28.0);
            // Noise of the target over the spread of a cause: 5 e² / e².
            let spread = Cholesky::of(precision).unwrap().inverse()[[0, 0]];
            assert!((spread * 20_000.0 / 5.0 - 1.0).abs() < 0.1, "{spread}");
        }
    }
}
