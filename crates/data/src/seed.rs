//! Seeds derived by name, and the one generator that everything draws from.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng};

/// A seed that derives sub-seeds by name.
///
/// `seed.child("split")` depends on the parent and the name only, so adding a consumer changes nobody else's numbers.
/// Derivation is BLAKE3 keyed by the parent; the generator is ChaCha with 8 rounds, pinned by a golden-value test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed([u8; 32]);

impl Seed {
    /// The root seed of a run.
    pub fn new(root: u64) -> Self {
        Self(*blake3::keyed_hash(&[0; 32], &root.to_le_bytes()).as_bytes())
    }

    /// The sub-seed called `name`.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        Self(*blake3::keyed_hash(&self.0, name.as_bytes()).as_bytes())
    }

    /// The `index`-th sub-seed of this one.
    #[must_use]
    pub fn index(&self, index: u64) -> Self {
        Self(*blake3::keyed_hash(&self.0, &index.to_le_bytes()).as_bytes())
    }

    /// A 64-bit key, for counter-based generators.
    pub fn key(&self) -> u64 {
        u64::from_le_bytes(self.0[..8].try_into().unwrap_or_default())
    }

    /// A generator that starts at this seed.
    pub fn rng(&self) -> Random {
        Random {
            rng: ChaCha8Rng::from_seed(self.0),
            spare: None,
        }
    }
}

/// Draws from one ChaCha8 stream.
///
/// The transformations are written out here, because a distribution crate may change how it consumes the stream.
#[derive(Clone, Debug)]
pub struct Random {
    rng: ChaCha8Rng,
    spare: Option<f64>,
}

impl Random {
    /// Uniform in [0, 1), 53 bits.
    pub fn uniform(&mut self) -> f64 {
        (self.rng.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Standard normal, by the polar method of Marsaglia.
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (u, v) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let s = u * u + v * v;
            if s > 0.0 && s < 1.0 {
                let scale = (-2.0 * s.ln() / s).sqrt();
                self.spare = Some(v * scale);
                return u * scale;
            }
        }
    }

    /// Uniform in `0..n`, without modulo bias; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        let n = n as u64;
        if n == 0 {
            return 0;
        }
        let zone = u64::MAX - u64::MAX % n;
        loop {
            let draw = self.rng.next_u64();
            if draw < zone {
                return (draw % n) as usize;
            }
        }
    }

    /// Puts `items` into a uniformly random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last + 1);
            items.swap(last, other);
        }
    }

    /// A uniformly random permutation of `0..n`.
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        self.shuffle(&mut order);
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_values_never_change() {
        let mut rng = Seed::new(7).child("split").rng();
        let drawn: Vec<f64> = (0..3).map(|_| rng.uniform()).collect();
        assert_eq!(
            drawn,
            [0.4591591760100542, 0.4043572569734384, 0.9879673429306173],
            "the pinned stream changed: every published number would change with it"
        );
        assert_eq!(Seed::new(7).child("a").index(3).key(), 13_761_166_742_143_491_832);
    }

    #[test]
    fn children_depend_on_name_and_parent_only() {
        let root = Seed::new(1);
        assert_ne!(root.child("a"), root.child("b"));
        assert_ne!(root.child("a"), Seed::new(2).child("a"));
        assert_ne!(root.child("a").child("b"), root.child("b").child("a"));
    }

    #[test]
    fn normal_has_the_right_moments() {
        let mut rng = Seed::new(0).rng();
        let n = 200_000;
        let draws: Vec<f64> = (0..n).map(|_| rng.normal()).collect();
        let moment = |p: i32| draws.iter().map(|x| x.powi(p)).sum::<f64>() / n as f64;
        // Five standard errors of each sample moment.
        let tolerance = |variance: f64| 5.0 * (variance / n as f64).sqrt();
        assert!(moment(1).abs() < tolerance(1.0));
        assert!((moment(2) - 1.0).abs() < tolerance(2.0));
        assert!(moment(3).abs() < tolerance(15.0));
        assert!((moment(4) - 3.0).abs() < tolerance(96.0));
    }

    #[test]
    fn permutation_is_uniform() {
        let mut rng = Seed::new(3).rng();
        let mut counts = [[0u32; 4]; 4];
        for _ in 0..24_000 {
            for (position, item) in rng.permutation(4).into_iter().enumerate() {
                counts[position][item] += 1;
            }
        }
        // 6000 expected, standard deviation 67.
        assert!(counts.iter().flatten().all(|&c| c.abs_diff(6000) < 340), "{counts:?}");
    }
}
