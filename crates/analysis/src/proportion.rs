//! Shares of counts.

use statrs::distribution::{Beta, ContinuousCDF};

use crate::Estimate;

/// `hits / n` with the exact 95 % interval of Clopper and Pearson (1934), which holds for counts of 0 and n too. Undefined for n = 0.
pub fn proportion(hits: usize, n: usize) -> Estimate {
    if n == 0 || hits > n {
        return Estimate::undefined("there is nothing to count", n);
    }
    let quantile = |a: f64, b: f64, p: f64| Beta::new(a, b).ok().map(|beta| beta.inverse_cdf(p));
    let (k, rest) = (hits as f64, (n - hits) as f64);
    Estimate {
        low: if hits == 0 {
            Some(0.0)
        } else {
            quantile(k, rest + 1.0, 0.025)
        },
        high: if hits == n {
            Some(1.0)
        } else {
            quantile(k + 1.0, rest, 0.975)
        },
        level: Some(0.95),
        method: Some("Clopper and Pearson".into()),
        ..Estimate::point(k / n as f64, n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against scipy.stats.binomtest(k, n).proportion_ci(method="exact").
    #[test]
    fn intervals_are_exact() {
        for (hits, n, low, high) in [
            (0, 20, 0.0, 0.168_433_470_983_087),
            (20, 20, 0.831_566_529_016_913, 1.0),
            (3, 50, 0.012_548_587_835_334, 0.165_481_946_600_797),
            (50, 100, 0.398_321_129_503_371, 0.601_678_870_496_629),
        ] {
            let found = proportion(hits, n);
            assert!((found.low.unwrap() - low).abs() < 1e-6, "{hits} of {n}: {found:?}");
            assert!((found.high.unwrap() - high).abs() < 1e-6, "{hits} of {n}: {found:?}");
            assert_eq!(found.value, Some(hits as f64 / n as f64));
        }
        assert_eq!(proportion(0, 0).value, None);
    }
}
