//! Intervals by resampling blocks of rows.

use std::{collections::BTreeMap, sync::Arc};

use disentangle_data::{Random, Seed};

use crate::{
    Estimate,
    descriptive::{mean, quantile},
};

/// How rows are drawn again.
#[derive(Clone, Debug, PartialEq)]
pub struct Bootstrap {
    /// Rows in a block: 1 where rows are independent, at least lookback plus the longest indicator window for windows of a series.
    pub block: usize,
    /// Resamples.
    pub draws: usize,
    /// Coverage of the interval.
    pub level: f64,
    /// Where the draws come from.
    pub seed: Seed,
    /// Rows of each cluster, if whole clusters are drawn.
    clusters: Option<Arc<Vec<Vec<usize>>>>,
}

impl Bootstrap {
    /// 95 % intervals.
    pub fn new(block: usize, draws: usize, seed: Seed) -> Self {
        Self {
            block,
            draws,
            level: 0.95,
            seed,
            clusters: None,
        }
    }

    /// The same for rows that belong to clusters (several visits of a patient): whole clusters are drawn, with replacement, as many as there
    /// are (Davison and Hinkley 1997, 3.8; "strategy 1"). `of` names the cluster of each row; statistics must be of as many rows.
    #[must_use]
    pub fn clustered(&self, of: &[u32]) -> Self {
        let mut rows: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (row, cluster) in of.iter().enumerate() {
            rows.entry(*cluster).or_default().push(row);
        }
        Self {
            block: 1,
            clusters: Some(Arc::new(rows.into_values().collect())),
            ..self.clone()
        }
    }

    /// Clusters that are drawn, if any are.
    fn cluster_count(&self) -> Option<usize> {
        self.clusters.as_ref().map(|clusters| clusters.len())
    }

    /// One resample of `n` rows.
    fn draw(&self, n: usize, rng: &mut Random) -> Vec<usize> {
        if let Some(clusters) = &self.clusters {
            let drawn = (0..clusters.len()).map(|_| &clusters[rng.below(clusters.len())]);
            return drawn.flatten().copied().collect();
        }
        let block = self.block.max(1);
        let mut rows = Vec::with_capacity(n + block);
        while rows.len() < n {
            let start = rng.below(n);
            rows.extend((start..start + block).map(|row| row % n));
        }
        rows.truncate(n);
        rows
    }

    /// Percentile interval, widened by 1 / √(1 - block / n), of `statistic` by the circular moving-block bootstrap (Politis and Romano 1992): blocks wrap around
    /// the end, so that every row is drawn equally often. The widening undoes the shortfall of the bootstrap's variance, which
    /// misses the variance of the blocks' common mean. Below two blocks there is no interval, only the value.
    ///
    /// `statistic` takes row indices (the rows in order for the value, a resample for the interval) and is `None` where
    /// it is undefined, for example on one class only; such resamples are drawn again, and counted in the note if many.
    pub fn estimate(&self, n: usize, statistic: impl Fn(&[usize]) -> Option<f64>) -> Estimate {
        self.resample(n, statistic)
    }

    /// [`Bootstrap::estimate`] for statistics of weighted rows: `statistic` takes how often each row was drawn (1 for the
    /// value), so that what does not depend on the draw, such as an order of scores, is computed once.
    pub fn estimate_weighted(&self, n: usize, statistic: impl Fn(&[f64]) -> Option<f64>) -> Estimate {
        self.resample(n, |rows| {
            let mut weights = vec![0.0; n];
            for &row in rows {
                weights[row] += 1.0;
            }
            statistic(&weights)
        })
    }

    /// [`Bootstrap::estimate_weighted`] of several statistics of the same resamples, each interval shifted so that its draws have
    /// the value as their mean: for measures that depend on the number of distinct rows, such as ranks, whose every resample lies
    /// to one side of the value. The interval says how the measure varies between samples of this size. A resample on which
    /// any statistic is undefined that is defined on all rows is drawn again.
    pub fn estimate_many_centred(&self, n: usize, statistics: impl Fn(&[f64]) -> Vec<Option<f64>>) -> Vec<Estimate> {
        self.many(n, true, statistics)
    }

    /// [`Bootstrap::estimate_weighted`] of several statistics of the same resamples. A resample on which any statistic is undefined that
    /// is defined on all rows is drawn again.
    pub fn estimate_many(&self, n: usize, statistics: impl Fn(&[f64]) -> Vec<Option<f64>>) -> Vec<Estimate> {
        self.many(n, false, statistics)
    }

    fn many(&self, n: usize, centred: bool, statistics: impl Fn(&[f64]) -> Vec<Option<f64>>) -> Vec<Estimate> {
        self.resample_many(n, centred, |rows| {
            let mut weights = vec![0.0; n];
            for &row in rows {
                weights[row] += 1.0;
            }
            statistics(&weights)
        })
    }

    fn resample(&self, n: usize, statistic: impl Fn(&[usize]) -> Option<f64>) -> Estimate {
        let estimates = self.resample_many(n, false, |rows| vec![statistic(rows)]);
        // One statistic, one estimate.
        estimates.into_iter().next().unwrap_or_default()
    }

    fn resample_many(
        &self,
        n: usize,
        centred: bool,
        statistics: impl Fn(&[usize]) -> Vec<Option<f64>>,
    ) -> Vec<Estimate> {
        let all: Vec<usize> = (0..n).collect();
        let finite = |values: Vec<Option<f64>>| values.into_iter().map(|value| value.filter(|value| value.is_finite()));
        let values: Vec<Option<f64>> = finite(statistics(&all)).collect();
        let block = self.block.max(1);
        let mut refused = 0;
        let mut drawn: Vec<Vec<f64>> = vec![Vec::with_capacity(self.draws); values.len()];
        // Clusters of other rows would be resampled wrongly in silence.
        let fits = self
            .clusters
            .as_ref()
            .is_none_or(|clusters| clusters.iter().map(Vec::len).sum::<usize>() == n);
        let possible = n >= 2 * block && fits && self.cluster_count().is_none_or(|count| count > 1);
        if possible && values.iter().any(Option::is_some) {
            let mut rng = self.seed.rng();
            let mut count = 0;
            while count < self.draws && refused <= 10 * self.draws {
                let rows = self.draw(n, &mut rng);
                let resampled: Vec<Option<f64>> = finite(statistics(&rows)).collect();
                if values
                    .iter()
                    .zip(&resampled)
                    .any(|(value, again)| value.is_some() && again.is_none())
                {
                    refused += 1;
                    continue;
                }
                count += 1;
                for (drawn, value) in drawn.iter_mut().zip(resampled) {
                    drawn.extend(value);
                }
            }
        }
        let summarised = values.into_iter().zip(drawn);
        summarised
            .map(|(value, drawn)| match value {
                Some(value) => {
                    let shift = if centred {
                        value - mean(&drawn).unwrap_or(value)
                    } else {
                        0.0
                    };
                    let drawn = drawn.into_iter().map(|drawn| drawn + shift).collect();
                    let mut estimate = self.summary(n, value, drawn, refused);
                    if centred {
                        estimate.method = estimate.method.map(|method| method + ", centred");
                    }
                    estimate
                }
                None => Estimate::undefined(
                    "undefined on these rows, for example because they hold one class only",
                    n,
                ),
            })
            .collect()
    }

    /// The estimate from its value and its values on resamples.
    fn summary(&self, n: usize, value: f64, mut drawn: Vec<f64>, refused: usize) -> Estimate {
        let mut estimate = Estimate::point(value, n);
        let block = self.block.max(1);
        if n < 2 * block {
            estimate.note = Some(format!("no interval: {n} rows are fewer than two blocks of {block}"));
            return estimate;
        }
        if let Some(count) = self.cluster_count().filter(|_| drawn.is_empty()) {
            estimate.note = Some(format!("no interval: {count} clusters cannot be resampled"));
            return estimate;
        }
        drawn.sort_by(f64::total_cmp);
        let tail = (1.0 - self.level) / 2.0;
        let widen = if block > 1 {
            1.0 / (1.0 - block as f64 / n as f64).sqrt()
        } else {
            1.0
        };
        let end = |share: f64| quantile(&drawn, share).map(|end| value + widen * (end - value));
        (estimate.low, estimate.high) = (end(tail), end(1.0 - tail));
        estimate.level = Some(self.level);
        estimate.method = Some(match block {
            _ if self.clusters.is_some() => format!(
                "bootstrap over {} clusters of rows, {} draws, percentiles",
                self.cluster_count().unwrap_or(0),
                drawn.len()
            ),
            1 => format!("bootstrap over rows, {} draws, percentiles", drawn.len()),
            _ => format!(
                "circular moving-block bootstrap, blocks of {block}, {} draws, percentiles widened by {widen:.2}",
                drawn.len()
            ),
        });
        if let Some(count) = self.cluster_count().filter(|count| *count < 20) {
            estimate.note = Some(format!("only {count} clusters: the interval is rough"));
        } else if n < 5 * block {
            estimate.note = Some(format!(
                "only {:.1} blocks of {block} rows: the interval is rough",
                n as f64 / block as f64
            ));
        } else if refused > self.draws / 10 {
            estimate.note = Some(format!("{refused} resamples were undefined and drawn again"));
        }
        estimate
    }
}

/// Mean over repeated runs (seeds) with Student's t interval. `None` entries are left out and counted.
pub fn over_seeds(values: &[Option<f64>]) -> Estimate {
    use statrs::distribution::{ContinuousCDF, StudentsT};
    let present: Vec<f64> = values.iter().flatten().copied().collect();
    let n = present.len();
    let Some(mean) = crate::descriptive::mean(&present) else {
        return Estimate::undefined("undefined for every seed", 0);
    };
    let mut estimate = Estimate::point(mean, n);
    if n < values.len() {
        estimate.note = Some(format!("undefined for {} of {} seeds", values.len() - n, values.len()));
    }
    let spread = crate::descriptive::std_dev(&present);
    let t = StudentsT::new(0.0, 1.0, n.saturating_sub(1).max(1) as f64).map(|t| t.inverse_cdf(0.975));
    if let (Some(spread), Ok(t)) = (spread, t) {
        let half = t * spread / (n as f64).sqrt();
        estimate.low = Some(mean - half);
        estimate.high = Some(mean + half);
        estimate.level = Some(0.95);
        estimate.method = Some(format!("Student's t over {n} seeds"));
    }
    estimate
}
