//! All measures of one site at once, with intervals.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use crate::{
    Bootstrap, Estimate,
    activations::{self, SiteStatistics},
    interference::{interference, interference_from_covariance},
    linalg,
    matrix::MatrixError,
    moments::Moments,
    spectra::{Spectrum, SpectrumSummary},
};

/// Measures of one site. Those that are estimates of the distribution behind the rows have intervals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SiteMeasures {
    /// Samples: rows times positions.
    pub rows: usize,
    /// Neurons.
    pub columns: usize,
    /// Whether only moments were kept; `statistics` then describe a sample of the rows.
    pub streamed: bool,
    /// Mean, spread, sparsity, dead neurons.
    pub statistics: SiteStatistics,
    /// From the singular values of the centred activations.
    pub spectrum: SpectrumSummary,
    /// exp(H(σ / Σσ)).
    pub effective_rank: Estimate,
    /// (Σλ)² / Σλ².
    pub participation_ratio: Estimate,
    /// Participation ratio over neurons.
    pub alignment: Estimate,
    /// Mean |correlation| of two live neurons.
    pub interference: Estimate,
    /// The same minus its noise level.
    pub excess_interference: Estimate,
}

const UNDEFINED: &str = "undefined: the site is constant, or has fewer than two live neurons";

fn point(value: Option<f64>, n: usize) -> Estimate {
    value.map_or_else(|| Estimate::undefined(UNDEFINED, n), |value| Estimate::point(value, n))
}

impl SiteMeasures {
    /// Of activations `[n, d]`, without intervals. Fails for fewer than two rows and values that are not finite, naming the site.
    pub fn new(name: &str, matrix: ArrayView2<f64>) -> Result<Self, MatrixError> {
        let statistics = activations::site_statistics(name, matrix)?;
        let spectrum = Spectrum::new(name, matrix)?;
        let interference = interference(name, matrix)?;
        Ok(Self::from_parts(statistics, &spectrum, &interference, false))
    }

    /// Of streamed moments; `sample` stands for all rows where moments do not tell.
    pub fn from_moments(name: &str, moments: &Moments, sample: ArrayView2<f64>) -> Result<Self, MatrixError> {
        let statistics = activations::site_statistics(name, sample)?;
        let (spectrum, interference) = (moments.spectrum(name)?, moments.interference(name)?);
        Ok(Self::from_parts(statistics, &spectrum, &interference, true))
    }

    fn from_parts(
        statistics: SiteStatistics,
        spectrum: &Spectrum,
        interference: &crate::interference::Interference,
        streamed: bool,
    ) -> Self {
        let (n, live) = (spectrum.rows, interference.live > 0);
        let of = |value: Option<f64>| point(value.filter(|_| live), n);
        Self {
            rows: n,
            columns: spectrum.columns,
            streamed,
            effective_rank: of(spectrum.effective_rank()),
            participation_ratio: of(spectrum.participation_ratio()),
            alignment: of(spectrum.alignment()),
            interference: of(interference.value),
            excess_interference: of(interference.excess),
            spectrum: spectrum.summary(),
            statistics,
        }
    }

    /// The same with intervals by resampling the `units` (rows of input) behind the matrix, whose samples lie one after the other;
    /// positions of one row stay together. Units are resampled in 50 blocks, whose sums are taken once. Intervals are centred:
    /// resampled rows repeat, which lowers ranks and raises correlations. None are made of fewer than 20 units.
    #[must_use]
    pub fn with_intervals(mut self, matrix: ArrayView2<f64>, units: usize, bootstrap: &Bootstrap) -> Self {
        if units < 20 {
            return self;
        }
        let live = activations::live_neurons(matrix);
        let tokens = matrix.nrows() / units;
        let size = units.div_ceil(BLOCKS.min(units)) * tokens;
        let blocks: Vec<Block> = matrix.axis_chunks_iter(Axis(0), size).map(Block::new).collect();
        let estimates = bootstrap.estimate_many_centred(blocks.len(), |weights| resampled(&blocks, weights, &live));
        let d = self.columns as f64;
        let bounds = [(1.0, d), (1.0, d), (0.0, 1.0), (0.0, 1.0), (-1.0, 1.0)];
        let own = [
            &mut self.effective_rank,
            &mut self.participation_ratio,
            &mut self.alignment,
            &mut self.interference,
            &mut self.excess_interference,
        ];
        for ((own, resampled), (least, most)) in own.into_iter().zip(estimates).zip(bounds) {
            if let (Some(value), Some(_)) = (own.value, resampled.value) {
                *own = Estimate {
                    // From the singular values themselves, which a covariance knows to half the digits only.
                    value: Some(value),
                    n: own.n,
                    method: Some(format!(
                        "bootstrap over {} blocks of rows, {} draws, percentiles centred at the value",
                        blocks.len(),
                        bootstrap.draws
                    )),
                    ..resampled.within(least, most)
                };
            }
        }
        self
    }
}

/// Blocks of rows that are resampled, at most.
const BLOCKS: usize = 50;

/// Sums over the rows of one block.
struct Block {
    rows: f64,
    sum: Array1<f64>,
    /// XᵀX.
    gram: Array2<f64>,
}

impl Block {
    fn new(rows: ArrayView2<f64>) -> Self {
        Self {
            rows: rows.nrows() as f64,
            sum: rows.sum_axis(Axis(0)),
            gram: linalg::product(rows.t(), rows),
        }
    }
}

/// The five estimated measures with block `i` counted `weights[i]` times.
fn resampled(blocks: &[Block], weights: &[f64], live: &[bool]) -> Vec<Option<f64>> {
    let width = live.len();
    let (mut rows, mut sum, mut gram) = (0.0, Array1::<f64>::zeros(width), Array2::<f64>::zeros((width, width)));
    for (block, &weight) in blocks.iter().zip(weights).filter(|(_, weight)| **weight > 0.0) {
        rows += weight * block.rows;
        sum.scaled_add(weight, &block.sum);
        gram.scaled_add(weight, &block.gram);
    }
    if rows < 2.0 {
        return vec![None; 5];
    }
    let column = sum.view().insert_axis(Axis(1));
    let covariance = (gram - column.dot(&column.t()) / rows) / (rows - 1.0);
    let rows = rows.round() as usize;
    let spectrum = Spectrum::from_covariance("resample", covariance.view(), rows);
    let interference = interference_from_covariance("resample", covariance.view(), live, rows);
    match (spectrum, interference) {
        (Ok(spectrum), Ok(interference)) => vec![
            spectrum.effective_rank(),
            spectrum.participation_ratio(),
            spectrum.alignment(),
            interference.value,
            interference.excess,
        ],
        _ => vec![None; 5],
    }
}

#[cfg(test)]
mod tests {
    use disentangle_data::Seed;

    use super::*;

    /// Rows of `tokens` positions each, which share half of their variance.
    fn rows(seed: u64, units: usize, tokens: usize) -> Array2<f64> {
        let mut rng = Seed::new(seed).rng();
        let scale = [3.0, 2.0, 1.5, 1.0, 0.7, 0.5];
        let mut matrix = Array2::zeros((units * tokens, 6));
        for unit in 0..units {
            let shared: Vec<f64> = (0..6).map(|_| rng.normal()).collect();
            for token in 0..tokens {
                for (column, scale) in scale.iter().enumerate() {
                    matrix[[unit * tokens + token, column]] = scale * (shared[column] + rng.normal());
                }
            }
        }
        matrix
    }

    #[test]
    fn intervals_are_as_wide_as_measures_vary_between_samples() {
        for tokens in [1, 3] {
            let samples: Vec<SiteMeasures> = (0..60)
                .map(|seed| {
                    let matrix = rows(seed, 200, tokens);
                    let bootstrap = Bootstrap::new(1, 200, Seed::new(1000 + seed));
                    let measures = SiteMeasures::new("site", matrix.view()).unwrap();
                    measures.with_intervals(matrix.view(), 200, &bootstrap)
                })
                .collect();
            let check = |of: fn(&SiteMeasures) -> &Estimate| {
                let values: Vec<f64> = samples.iter().map(|sample| of(sample).value.unwrap()).collect();
                let spread = crate::descriptive::std_dev(&values).unwrap();
                let width = |sample: &SiteMeasures| of(sample).high.unwrap() - of(sample).low.unwrap();
                let mean_width = samples.iter().map(width).sum::<f64>() / 60.0;
                // Of a normal distribution 95 % lie within 1.96 standard deviations.
                let ratio = mean_width / (2.0 * 1.96 * spread);
                assert!((0.75..1.35).contains(&ratio), "{tokens} tokens: {ratio}");
                for sample in &samples {
                    let estimate = of(sample);
                    assert!(
                        estimate.low < estimate.value && estimate.value < estimate.high,
                        "{estimate:?}"
                    );
                }
            };
            check(|sample| &sample.effective_rank);
            check(|sample| &sample.participation_ratio);
        }
    }

    #[test]
    fn what_is_not_defined_has_a_reason_and_few_rows_have_no_interval() {
        let constant = Array2::from_elem((30, 4), 2.0);
        let bootstrap = Bootstrap::new(1, 20, Seed::new(0));
        let measures = SiteMeasures::new("site", constant.view()).unwrap();
        let measures = measures.with_intervals(constant.view(), 30, &bootstrap);
        assert_eq!(measures.statistics.dead, 4);
        for estimate in [&measures.effective_rank, &measures.alignment, &measures.interference] {
            assert!(estimate.value.is_none() && estimate.note.is_some() && estimate.low.is_none());
        }
        let few = rows(1, 10, 1);
        let measures = SiteMeasures::new("site", few.view()).unwrap();
        let measures = measures.with_intervals(few.view(), 10, &bootstrap);
        assert!(measures.effective_rank.value.is_some() && measures.effective_rank.low.is_none());
    }
}
