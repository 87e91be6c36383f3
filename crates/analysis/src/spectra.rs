//! How many directions a site uses: measures of its singular values (notebook part 29, Roy and Vetterli 2007).

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use crate::{
    linalg,
    matrix::{self, MatrixError},
};

/// Share of variance above which a component counts in [`Spectrum::effective_rank_one_percent`].
pub const ONE_PERCENT: f64 = 0.01;

/// Singular values of centred activations `[n, d]`; k = min(n, d) of them, those that are 0 included.
///
/// With s the singular values, the variances are λ = s² / (n - 1). Measures are `None` where nothing varies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spectrum {
    /// Samples behind it, n.
    pub rows: usize,
    /// Neurons, d.
    pub columns: usize,
    /// s, in descending order.
    pub singular_values: Vec<f64>,
    /// What is at most this is taken for rounding: the slope and the condition number leave it out.
    pub floor: f64,
}

/// The measures of a [`Spectrum`], for reports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpectrumSummary {
    /// [`Spectrum::explained_variance`].
    pub explained_variance: Vec<f64>,
    /// [`Spectrum::effective_rank`].
    pub effective_rank: Option<f64>,
    /// [`Spectrum::effective_rank_one_percent`].
    pub effective_rank_one_percent: Option<usize>,
    /// [`Spectrum::participation_ratio`].
    pub participation_ratio: Option<f64>,
    /// [`Spectrum::alignment`].
    pub alignment: Option<f64>,
    /// [`Spectrum::compression_ratio`].
    pub compression_ratio: Option<f64>,
    /// [`Spectrum::spectral_slope`].
    pub spectral_slope: Option<f64>,
    /// [`Spectrum::condition_number`].
    pub condition_number: Option<f64>,
    /// [`Spectrum::dropped`].
    pub dropped: usize,
}

impl Spectrum {
    /// Of activations `[n, d]`, n at least 2, centred here. The floor is max(n, d) · ε · s₁, as in numpy's `matrix_rank`.
    ///
    /// Fails for fewer rows, no columns, and values that are not finite.
    pub fn new(name: &str, matrix: ArrayView2<f64>) -> Result<Self, MatrixError> {
        matrix::check(name, matrix, 2)?;
        let (rows, columns) = matrix.dim();
        let centred = matrix::centred(matrix);
        let singular_values = linalg::singular_values(centred.view()).map_err(MatrixError::decomposition(name))?;
        let largest = singular_values.first().copied().unwrap_or(0.0);
        Ok(Self {
            rows,
            columns,
            singular_values,
            floor: rows.max(columns) as f64 * f64::EPSILON * largest,
        })
    }

    /// Of a covariance `[d, d]` (divisor n - 1) of `rows` samples, for activations that were streamed through
    /// [`crate::moments::Moments`].
    ///
    /// s = √(λ (n - 1)). A covariance holds squares, so that half the digits are lost: eigenvalues are known to
    /// max(n, d) · ε · λ₁, and the floor is √(max(n, d) · ε) · s₁, about 1e-6 of the largest singular value where
    /// [`Spectrum::new`] goes down to 1e-12. What dominates (ranks, participation, alignment) agrees to 1e-6; slope, condition number and
    /// dropped directions agree where no singular value lies between the two floors.
    pub fn from_covariance(name: &str, covariance: ArrayView2<f64>, rows: usize) -> Result<Self, MatrixError> {
        let columns = covariance.ncols();
        matrix::check(name, covariance, 1)?;
        matrix::check_equal("rows", (name, covariance.nrows()), ("its transpose", columns))?;
        if rows < 2 {
            return Err(MatrixError::TooFewRows {
                matrix: name.to_string(),
                rows,
                least: 2,
            });
        }
        let variances = linalg::symmetric_eigenvalues(covariance).map_err(MatrixError::decomposition(name))?;
        let freedom = (rows - 1) as f64;
        let singular_values: Vec<f64> = variances
            .iter()
            .take(rows.min(columns))
            .map(|variance| (variance.max(0.0) * freedom).sqrt())
            .collect();
        let largest = singular_values.first().copied().unwrap_or(0.0);
        Ok(Self {
            rows,
            columns,
            singular_values,
            floor: (rows.max(columns) as f64 * f64::EPSILON).sqrt() * largest,
        })
    }

    /// All measures at once.
    pub fn summary(&self) -> SpectrumSummary {
        SpectrumSummary {
            explained_variance: self.explained_variance(),
            effective_rank: self.effective_rank(),
            effective_rank_one_percent: self.effective_rank_one_percent(),
            participation_ratio: self.participation_ratio(),
            alignment: self.alignment(),
            compression_ratio: self.compression_ratio(),
            spectral_slope: self.spectral_slope(),
            condition_number: self.condition_number(),
            dropped: self.dropped(),
        }
    }

    /// λᵢ / Σλ over *all* k components; all 0 where nothing varies.
    pub fn explained_variance(&self) -> Vec<f64> {
        let Some(relative) = self.relative() else {
            return vec![0.0; self.singular_values.len()];
        };
        let total: f64 = relative.iter().map(|s| s * s).sum();
        relative.iter().map(|s| s * s / total).collect()
    }

    /// exp(-Σ p ln p) with p = s / Σs (Roy and Vetterli 2007), in [1, k].
    pub fn effective_rank(&self) -> Option<f64> {
        let relative = self.relative()?;
        let total: f64 = relative.iter().sum();
        let entropy: f64 = relative
            .iter()
            .map(|s| s / total)
            .filter(|&p| p > 0.0)
            .map(|p| -p * p.ln())
            .sum();
        Some(entropy.exp())
    }

    /// Components that hold more than [`ONE_PERCENT`] of the variance: the notebook's `sum(explained_ratios > 0.01)`.
    pub fn effective_rank_one_percent(&self) -> Option<usize> {
        self.relative()?;
        let shares = self.explained_variance();
        Some(shares.iter().filter(|&&share| share > ONE_PERCENT).count())
    }

    /// (Σλ)² / Σλ², in [1, k].
    pub fn participation_ratio(&self) -> Option<f64> {
        self.relative()?;
        let squares: f64 = self.explained_variance().iter().map(|share| share * share).sum();
        Some(1.0 / squares)
    }

    /// Participation ratio / d, in [1/d, 1]: 1 where every direction varies alike.
    pub fn alignment(&self) -> Option<f64> {
        Some(self.participation_ratio()? / self.columns as f64)
    }

    /// s₁² / mean s², the mean over all k singular values, in [1, k].
    pub fn compression_ratio(&self) -> Option<f64> {
        self.relative()?;
        let shares = self.explained_variance();
        Some(shares.first()? * shares.len() as f64)
    }

    /// Least-squares slope of ln sᵢ on i = 1, 2, .. over the singular values above the floor; `None` below two of them.
    pub fn spectral_slope(&self) -> Option<f64> {
        let logs: Vec<f64> = self.kept().iter().map(|s| s.ln()).collect();
        if logs.len() < 2 {
            return None;
        }
        let count = logs.len() as f64;
        let middle = (count - 1.0) / 2.0;
        let (mut along, mut across) = (0.0, 0.0);
        for (i, log) in logs.iter().enumerate() {
            // ln s₁ is subtracted for accuracy; a constant does not change the slope.
            across += (i as f64 - middle) * (log - logs[0]);
            along += (i as f64 - middle).powi(2);
        }
        Some(across / along)
    }

    /// s₁ over the smallest singular value above the floor, at least 1.
    pub fn condition_number(&self) -> Option<f64> {
        let kept = self.kept();
        Some(kept.first()? / kept.last()?)
    }

    /// Singular values of the k that are not above the floor.
    pub fn dropped(&self) -> usize {
        self.singular_values.len() - self.kept().len()
    }

    /// The singular values above the floor.
    pub fn kept(&self) -> &[f64] {
        let kept = self.singular_values.partition_point(|&s| s > self.floor);
        &self.singular_values[..kept]
    }

    /// s / s₁; `None` where all are 0.
    fn relative(&self) -> Option<Vec<f64>> {
        let largest = *self.singular_values.first().filter(|&&largest| largest > 0.0)?;
        Some(self.singular_values.iter().map(|s| s / largest).collect())
    }
}
