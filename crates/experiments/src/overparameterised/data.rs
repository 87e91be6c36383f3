//! Rows whose attribute agrees with the label in most of them, and the exact errors of a linear model on such rows.

use disentangle_data::Seed;
use faer::{Col, Mat};
use statrs::function::erf::erfc;

/// (label, attribute) of each group; the first and the third are the majorities.
const GROUPS: [(f64, f64); 4] = [(1.0, 1.0), (1.0, -1.0), (-1.0, -1.0), (-1.0, 1.0)];
const CORE_VARIANCE: f64 = 1.0;
const SHORTCUT_VARIANCE: f64 = 0.01;
/// Columns before the noise: core and shortcut.
pub(super) const SIGNALS: usize = 2;

/// Training rows.
pub(super) struct Sample {
    /// Each row (core, shortcut, noise) times its label: what a linear model without intercept learns from.
    pub(super) rows: Mat<f64>,
    /// The group of each row.
    pub(super) groups: Vec<usize>,
    /// Rows of each group.
    pub(super) counts: [usize; 4],
}

/// Rows of each group: labels in halves, of each half the `majority` share in agreement with its attribute.
pub(super) fn counts(n: usize, majority: f64) -> [usize; 4] {
    let half = n / 2;
    let most = ((n as f64 * majority / 2.0).round() as usize).min(half);
    [most, half - most, most, half - most]
}

/// Draws training rows with `noise` noise dimensions, column by column, so that core and shortcut do not depend on `noise`.
pub(super) fn draw(n: usize, majority: f64, noise: usize, seed: Seed) -> Sample {
    let counts = counts(n, majority);
    let groups: Vec<usize> = (0..4)
        .flat_map(|group| std::iter::repeat_n(group, counts[group]))
        .collect();
    let mut rng = seed.rng();
    let mut rows = Mat::zeros(groups.len(), SIGNALS + noise);
    for (row, &group) in groups.iter().enumerate() {
        let y = GROUPS[group].0;
        rows[(row, 0)] = y * (y + CORE_VARIANCE.sqrt() * rng.normal());
    }
    for (row, &group) in groups.iter().enumerate() {
        let (y, a) = GROUPS[group];
        rows[(row, 1)] = y * (a + SHORTCUT_VARIANCE.sqrt() * rng.normal());
    }
    let spread = 1.0 / (noise as f64).sqrt();
    for column in SIGNALS..SIGNALS + noise {
        for (row, &group) in groups.iter().enumerate() {
            rows[(row, column)] = GROUPS[group].0 * spread * rng.normal();
        }
    }
    Sample { rows, groups, counts }
}

impl Sample {
    /// Weights by which all groups count alike; their mean is 1.
    pub(super) fn balancing(&self) -> Vec<f64> {
        let n = self.groups.len() as f64;
        let weight = |&group: &usize| n / (4.0 * self.counts[group] as f64);
        self.groups.iter().map(weight).collect()
    }

    /// The rows of a random subset in which every group is as large as the smallest.
    pub(super) fn undersampled(&self, seed: Seed) -> Vec<usize> {
        let least = self.counts.iter().copied().min().unwrap_or(0);
        let mut kept = Vec::with_capacity(4 * least);
        for group in 0..4 {
            let own: Vec<usize> = (0..self.groups.len())
                .filter(|&row| self.groups[row] == group)
                .collect();
            let order = seed.index(group as u64).rng().permutation(own.len());
            kept.extend(order.into_iter().take(least).map(|place| own[place]));
        }
        kept
    }

    /// Some of the rows.
    pub(super) fn take(&self, kept: &[usize]) -> Mat<f64> {
        Mat::from_fn(kept.len(), self.rows.ncols(), |row, column| {
            self.rows[(kept[row], column)]
        })
    }
}

/// Φ, the distribution function of the standard normal.
pub(super) fn normal_cdf(z: f64) -> f64 {
    0.5 * erfc(-z / std::f64::consts::SQRT_2)
}

/// Errors on fresh rows whose attribute agrees with the label, and on fresh rows whose attribute does not. Both are exact: the
/// margin of a linear model is normal in each group, and the same for both labels.
pub(super) fn errors(weights: &Col<f64>) -> [f64; 2] {
    let (core, shortcut) = (weights[0], weights[1]);
    let noise = weights.nrows() - SIGNALS;
    let squares: f64 = weights.iter().skip(SIGNALS).map(|w| w * w).sum();
    let variance = core * core * CORE_VARIANCE + shortcut * shortcut * SHORTCUT_VARIANCE + squares / noise as f64;
    if variance == 0.0 {
        // All margins are 0: a model that says nothing is wrong half of the time.
        return [0.5; 2];
    }
    [core + shortcut, core - shortcut].map(|mean| normal_cdf(-mean / variance.sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phi_has_known_values() {
        for (z, phi) in [(-1.0, 0.158_655_253_931_457), (0.0, 0.5), (1.96, 0.975_002_104_851_780)] {
            assert!((normal_cdf(z) - phi).abs() < 1e-9, "{z}");
        }
    }

    #[test]
    fn errors_are_those_of_sampled_rows() {
        let noise = 3;
        let weights = Col::from_fn(SIGNALS + noise, |i| [1.2, 0.9, -0.8, 0.5, 1.1][i]);
        // 100,000 rows of each agreement and label.
        let sample = draw(400_000, 0.5, noise, Seed::new(5));
        let margins = &sample.rows * &weights;
        let exact = errors(&weights);
        for group in 0..4 {
            let own = (0..sample.groups.len()).filter(|&row| sample.groups[row] == group);
            let wrong = own.filter(|&row| margins[row] < 0.0).count() as f64;
            let count = sample.counts[group] as f64;
            let expected = exact[group % 2];
            let tolerance = 5.0 * (expected * (1.0 - expected) / count).sqrt();
            assert!((wrong / count - expected).abs() < tolerance, "group {group}");
        }
        assert!(exact[0] < 0.1 && exact[1] > 0.3, "{exact:?}");
        assert_eq!(errors(&Col::zeros(3)), [0.5; 2]);
        let core = errors(&Col::from_fn(3, |i| if i == 0 { 2.0 } else { 0.0 }));
        assert!((core[0] - normal_cdf(-1.0)).abs() < 1e-15 && core[0] == core[1]);
    }

    #[test]
    fn groups_have_their_counts_and_moments() {
        assert_eq!(counts(3000, 0.9), [1350, 150, 1350, 150]);
        assert_eq!(counts(300, 0.9), [135, 15, 135, 15]);
        let sample = draw(20_000, 0.9, 50, Seed::new(1));
        assert_eq!(sample.groups.len(), 20_000);
        let mean = |column: usize, group: usize| {
            let own = (0..20_000).filter(|&row| sample.groups[row] == group);
            own.map(|row| sample.rows[(row, column)]).sum::<f64>() / sample.counts[group] as f64
        };
        for group in 0..4 {
            // Times the label, the core is 1 everywhere and the shortcut tells the majority.
            let count = sample.counts[group] as f64;
            let shortcut = if group % 2 == 0 { 1.0 } else { -1.0 };
            assert!((mean(0, group) - 1.0).abs() < 5.0 / count.sqrt());
            assert!((mean(1, group) - shortcut).abs() < 0.5 / count.sqrt());
        }
        let squares: f64 = (0..20_000).map(|row| sample.rows[(row, 7)].powi(2)).sum();
        assert!((squares / 20_000.0 * 50.0 - 1.0).abs() < 0.05);
        let other = draw(20_000, 0.9, 2, Seed::new(1));
        assert_eq!(other.rows[(77, 1)], sample.rows[(77, 1)]);
    }

    #[test]
    fn undersampling_keeps_as_many_rows_of_each_group_and_other_ones_with_another_seed() {
        let sample = draw(300, 0.9, 2, Seed::new(1));
        let kept = sample.undersampled(Seed::new(2));
        assert_eq!(kept.len(), 60);
        for group in 0..4 {
            assert_eq!(kept.iter().filter(|&&row| sample.groups[row] == group).count(), 15);
        }
        let mut distinct = kept.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 60);
        assert_ne!(kept, sample.undersampled(Seed::new(3)));
        let rows = sample.take(&kept);
        assert_eq!((rows.nrows(), rows.ncols()), (60, 4));
        assert_eq!(rows[(59, 3)], sample.rows[(kept[59], 3)]);
    }

    #[test]
    fn balancing_gives_groups_the_same_weight() {
        let sample = draw(300, 0.9, 1, Seed::new(1));
        let weights = sample.balancing();
        for group in 0..4 {
            let of_group = (0..300).filter(|&row| sample.groups[row] == group);
            let total: f64 = of_group.map(|row| weights[row]).sum();
            assert!((total - 75.0).abs() < 1e-9);
        }
    }
}
