//! How evenly single neurons use their range, and how large the cloud of a site's activations is.

use ndarray::{ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use crate::{
    activations::{NeuronStatistics, neuron_statistics},
    matrix::{self, MatrixError},
    spectra::Spectrum,
};

/// Bins of equal width for a neuron's standardised activation.
const BINS: usize = 20;
/// Standardised activations are clipped to ± this.
const LIMIT: f64 = 4.0;
/// What a normally distributed neuron comes to in [`Histograms::neurons`], without sampling error.
pub const NORMAL: f64 = 0.781_5;

/// Histograms of a site's live neurons, one set a piece of its rows, so that a resample of pieces only adds counts.
///
/// A neuron is standardised by its mean and standard deviation (divisor n) over all rows and clipped to ±4; resamples keep these bins.
/// Dead neurons (see [`NeuronStatistics::dead`]) are left out and counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Histograms {
    /// Neurons with a histogram.
    pub live: usize,
    /// Neurons left out.
    pub dead: usize,
    /// One a piece, counts of every bin of every live neuron.
    pieces: Vec<Vec<f64>>,
}

impl Histograms {
    /// Of activations `[n, d]`, n at least 2; every `size` rows, one after the other, are a piece.
    ///
    /// Fails for fewer rows, no columns, and values that are not finite.
    pub fn new(name: &str, matrix: ArrayView2<f64>, size: usize) -> Result<Self, MatrixError> {
        matrix::check(name, matrix, 2)?;
        let statistics = neuron_statistics(matrix);
        let live: Vec<(usize, &NeuronStatistics)> =
            statistics.iter().enumerate().filter(|(_, one)| !one.dead).collect();
        let pieces = matrix.axis_chunks_iter(Axis(0), size.max(1)).map(|piece| {
            let mut counts = vec![0.0; live.len() * BINS];
            for row in piece.rows() {
                for (own, (column, neuron)) in counts.chunks_mut(BINS).zip(&live) {
                    own[bin((row[*column] - neuron.mean) / neuron.std)] += 1.0;
                }
            }
            counts
        });
        Ok(Self {
            live: live.len(),
            dead: statistics.len() - live.len(),
            pieces: pieces.collect(),
        })
    }

    /// How many pieces there are.
    pub fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// Entropy of every live neuron over ln 20, piece `i` counted `weights[i]` times: 0 for one value, [`NORMAL`] for a normal
    /// distribution. With the correction of Miller and Madow (1955), (occupied bins - 1) / (2 n). Empty without rows.
    pub fn neurons(&self, weights: &[f64]) -> Vec<f64> {
        let mut counts = vec![0.0; self.live * BINS];
        for (piece, weight) in self.pieces.iter().zip(weights).filter(|(_, weight)| **weight > 0.0) {
            for (count, own) in counts.iter_mut().zip(piece) {
                *count += weight * own;
            }
        }
        let entropies = counts.chunks(BINS).filter_map(miller_madow);
        entropies.map(|entropy| entropy / (BINS as f64).ln()).collect()
    }

    /// Mean of [`Histograms::neurons`]; `None` without a live neuron.
    pub fn mean(&self, weights: &[f64]) -> Option<f64> {
        crate::descriptive::mean(&self.neurons(weights))
    }
}

/// The bin of a standardised value; what lies beyond the limit is in the first or the last one.
fn bin(value: f64) -> usize {
    let place = (value.clamp(-LIMIT, LIMIT) + LIMIT) / (2.0 * LIMIT) * BINS as f64;
    (place as usize).min(BINS - 1)
}

/// In nats; `None` without counts.
fn miller_madow(counts: &[f64]) -> Option<f64> {
    let total: f64 = counts.iter().sum();
    if total <= 0.0 {
        return None;
    }
    let (mut entropy, mut occupied) = (0.0, 0.0);
    for count in counts.iter().filter(|count| **count > 0.0) {
        let share = count / total;
        entropy -= share * share.ln();
        occupied += 1.0;
    }
    Some(entropy + (occupied - 1.0) / (2.0 * total))
}

/// Entropy of a normal distribution with the variances of a site's main directions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GaussianEntropy {
    /// ½ Σ ln(2πe λ), in nats: of a density, so that it depends on the activations' scale and may be negative.
    pub nats: f64,
    /// Principal components in the sum.
    pub components: usize,
}

/// Of the first `most` principal components, λ = s² / (n - 1), or of as many as lie above the spectrum's floor. `None` where none does.
pub fn gaussian_entropy(spectrum: &Spectrum, most: usize) -> Option<GaussianEntropy> {
    let kept = spectrum.kept();
    let used = &kept[..most.min(kept.len())];
    let freedom = spectrum.rows.saturating_sub(1).max(1) as f64;
    let nats = used.iter().map(|s| {
        let variance = s * s / freedom;
        0.5 * (std::f64::consts::TAU * std::f64::consts::E * variance).ln()
    });
    (!used.is_empty()).then(|| GaussianEntropy {
        nats: nats.sum(),
        components: used.len(),
    })
}
