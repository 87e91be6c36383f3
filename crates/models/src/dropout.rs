//! Dropout whose masks depend on counters only, so that threads and micro-batches cannot change a run.

use burn::tensor::{Tensor, TensorData};

use crate::SiteName;

/// The masks of one micro-batch of one step: keyed by (seed, step, micro-batch, site).
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    /// Probability that an entry becomes 0; the others are divided by `1 - rate`.
    pub rate: f64,
    /// Seed, step and micro-batch, mixed.
    pub key: u64,
}

impl Dropout {
    /// The masks of micro-batch `micro` of step `step`.
    pub fn new(rate: f64, seed: u64, step: u64, micro: u64) -> Self {
        Self {
            rate,
            key: mix(mix(mix(seed) ^ step) ^ micro),
        }
    }

    /// Drops entries of `x` at the site `name`.
    pub(crate) fn apply<const D: usize>(&self, name: SiteName, x: Tensor<D>) -> Tensor<D> {
        if self.rate == 0.0 {
            return x;
        }
        let shape = x.dims();
        let mask = self.mask(name, shape.iter().product());
        let device = x.device().without_autodiff();
        x * Tensor::from_data(TensorData::new(mask, shape), &device)
    }

    // 16 random bits an entry: the rate is exact to 2^-16, and one 64-bit word serves four entries.
    fn mask(&self, name: SiteName, length: usize) -> Vec<f32> {
        let threshold = (self.rate * 65536.0).round() as u16;
        // Scaling by what is kept on average, not by the rate asked for, leaves the mean unchanged.
        let keep = (65536.0 / (65536.0 - f64::from(threshold))) as f32;
        let key = self.key ^ name.hash();
        let mut mask = vec![0.0; length.next_multiple_of(4)];
        for (counter, entries) in mask.chunks_exact_mut(4).enumerate() {
            let word = mix(key.wrapping_add((counter as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            for (lane, entry) in entries.iter_mut().enumerate() {
                let bits = (word >> (16 * lane)) as u16;
                *entry = if bits >= threshold { keep } else { 0.0 };
            }
        }
        mask.truncate(length);
        mask
    }
}

// The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_and_mean_are_right_and_masks_differ() {
        let n = 1_000_000;
        for rate in [0.1, 0.25, 0.5] {
            let mask = Dropout::new(rate, 1, 2, 3).mask(SiteName::new("pool"), n);
            let dropped = mask.iter().filter(|&&m| m == 0.0).count() as f64 / n as f64;
            let error = (rate * (1.0 - rate) / n as f64).sqrt();
            assert!((dropped - rate).abs() < 5.0 * error + 1e-5, "{rate}: {dropped}");
            let mean = mask.iter().map(|&m| f64::from(m)).sum::<f64>() / n as f64;
            assert!((mean - 1.0).abs() < 0.01, "{mean}");
        }
        let mask = |step, micro, site| Dropout::new(0.5, 1, step, micro).mask(SiteName::new(site), 64);
        assert_ne!(mask(0, 0, "pool"), mask(1, 0, "pool"));
        assert_ne!(mask(0, 0, "pool"), mask(0, 1, "pool"));
        assert_ne!(mask(0, 0, "pool"), mask(0, 0, "embed"));
        assert_eq!(mask(0, 0, "pool"), mask(0, 0, "pool"));
    }

    #[test]
    fn neighbours_are_uncorrelated() {
        let n = 400_000;
        let mask = Dropout::new(0.5, 9, 0, 0).mask(SiteName::new("pool"), n);
        for lag in [1, 2, 4, 64] {
            let both = mask.windows(lag + 1).filter(|w| w[0] > 0.0 && w[lag] > 0.0).count() as f64;
            assert!((both / (n - lag) as f64 - 0.25).abs() < 0.005, "lag {lag}");
        }
    }
}
