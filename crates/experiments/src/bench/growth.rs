//! How the cost of the finance training grows with rows, width, depth and threads: seconds as a power of the size.

use disentangle_analysis::{Estimate, regression::least_squares};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{
    arguments::{Sizes, cores},
    document::BenchCell,
    matrix::Comparison,
    workloads,
};
use crate::{Backend, ExperimentError};

/// Passes over the rows: fewer than in the matrix, because the largest model is timed too.
const EPOCHS: usize = 3;
/// One turn each for us and the peer.
const REPEATS: usize = 2;

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Along {
    /// Windows, each of 30 positions.
    Rows,
    /// The residual stream's width, and the feed-forward part with it.
    Width,
    /// Encoder layers.
    Depth,
    /// Worker threads; the work stays.
    Threads,
}

impl Along {
    pub(super) const ALL: [Along; 4] = [Along::Rows, Along::Width, Along::Depth, Along::Threads];

    pub(super) fn name(self) -> &'static str {
        match self {
            Along::Rows => "rows",
            Along::Width => "width",
            Along::Depth => "depth",
            Along::Threads => "threads",
        }
    }

    fn sizes(self, cores: usize) -> Vec<usize> {
        match self {
            Along::Rows => vec![400, 800, 1600, 3200],
            Along::Width => vec![32, 64, 128, 256],
            Along::Depth => vec![1, 2, 4, 8],
            Along::Threads => {
                let mut threads: Vec<usize> = std::iter::successors(Some(1), |threads| Some(2 * threads))
                    .take_while(|threads| *threads < cores)
                    .collect();
                threads.push(cores);
                threads
            }
        }
    }

    /// The base with this one at another size.
    fn at(self, base: (Sizes, usize), size: usize) -> (Sizes, usize) {
        let (mut sizes, mut threads) = base;
        match self {
            Along::Rows => sizes.rows = size,
            Along::Width => sizes.hidden = size,
            Along::Depth => sizes.layers = size,
            Along::Threads => threads = size,
        }
        (sizes, threads)
    }
}

/// Times at growing sizes, and the exponents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Growth {
    /// What stays where something else grows.
    pub(super) base: Sizes,
    /// The same of threads.
    pub(super) threads: usize,
    pub(super) points: Vec<Point>,
    pub(super) trends: Vec<Trend>,
}

/// One size, by one of those who are compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Point {
    pub(super) along: Along,
    pub(super) size: usize,
    pub(super) cell: BenchCell,
}

/// How the seconds of one of them grow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Trend {
    pub(super) along: Along,
    pub(super) framework: String,
    /// b of seconds = a · size^b: 1 where twice the size takes twice as long, -1 where twice the threads take half as
    /// long.
    pub(super) slope: Estimate,
}

/// Times every size once, on `backend` and by the peer; `threads` is what rows, width and depth are timed with.
pub(super) fn measure(
    backend: Backend,
    threads: usize,
    repeats: Option<usize>,
    progress: &dyn Fn(usize) -> ProgressBar,
    compare: impl Fn(&Comparison) -> Result<Vec<BenchCell>, ExperimentError>,
) -> Result<Growth, ExperimentError> {
    let workload = workloads::find("finance")?;
    let base = Sizes {
        epochs: EPOCHS,
        ..Sizes::default()
    };
    let asked = asked(base, threads, cores());
    let mut done: Vec<((Sizes, usize), Vec<BenchCell>)> = Vec::new();
    let bar = progress(asked.len());
    let mut points = Vec::new();
    for (along, size, key) in asked {
        bar.set_message(format!("growth, {} {size}", along.name()));
        // The base lies on every axis.
        let known = done
            .iter()
            .find(|(other, _)| *other == key)
            .map(|(_, cells)| cells.clone());
        let cells = match known {
            Some(cells) => cells,
            None => {
                let cells = compare(&Comparison {
                    workload,
                    backends: vec![backend],
                    threads: key.1,
                    repeats: repeats.unwrap_or(REPEATS),
                    sizes: key.0,
                })?;
                done.push((key, cells.clone()));
                cells
            }
        };
        points.extend(cells.into_iter().map(|cell| Point { along, size, cell }));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let trends = trends(&points);
    Ok(Growth {
        base,
        threads,
        points,
        trends,
    })
}

/// Every size along every axis, and what is timed there.
fn asked(base: Sizes, threads: usize, cores: usize) -> Vec<(Along, usize, (Sizes, usize))> {
    let along = Along::ALL.into_iter();
    along
        .flat_map(|along| {
            let sizes = along.sizes(cores).into_iter();
            sizes.map(move |size| (along, size, along.at((base, threads), size)))
        })
        .collect()
}

/// A slope for each axis and each of those who were timed.
pub(super) fn trends(points: &[Point]) -> Vec<Trend> {
    let mut trends: Vec<Trend> = Vec::new();
    for point in points {
        let (along, framework) = (point.along, &point.cell.framework);
        if trends
            .iter()
            .any(|known| known.along == along && known.framework == *framework)
        {
            continue;
        }
        let own = points
            .iter()
            .filter(|other| other.along == along && other.cell.framework == *framework);
        let times = own.filter_map(|other| Some((other.size as f64, other.cell.measured.as_ref()?.median_seconds)));
        trends.push(Trend {
            along,
            framework: framework.clone(),
            slope: slope(&times.collect::<Vec<_>>()),
        });
    }
    trends
}

/// b of y = a · x^b by least squares of logarithms, with Student's t interval on as many degrees of freedom as there
/// are points beyond two. One point a size, the median of its repeats: that the growth is no power counts as error.
fn slope(points: &[(f64, f64)]) -> Estimate {
    let logs: Vec<(f64, f64)> = points
        .iter()
        .filter(|(x, y)| *x > 0.0 && *y > 0.0)
        .map(|(x, y)| (x.ln(), y.ln()))
        .collect();
    let n = logs.len();
    let design: Vec<f64> = logs.iter().flat_map(|(x, _)| [1.0, *x]).collect();
    let y: Vec<f64> = logs.iter().map(|(_, y)| *y).collect();
    let Some(fit) = least_squares(&design, 2, &y) else {
        return Estimate::undefined("fewer than two sizes have a time", n);
    };
    let slope = fit.coefficients[1];
    let middle = logs.iter().map(|(x, _)| x).sum::<f64>() / n as f64;
    let spread: f64 = logs.iter().map(|(x, _)| (x - middle).powi(2)).sum();
    let Some(freedom) = n.checked_sub(2).filter(|freedom| *freedom > 0) else {
        return Estimate {
            note: Some("two sizes: no interval".into()),
            ..Estimate::point(slope, n)
        };
    };
    let Ok(student) = StudentsT::new(0.0, 1.0, freedom as f64) else {
        return Estimate::point(slope, n);
    };
    let half = student.inverse_cdf(0.975) * (fit.rss / freedom as f64 / spread).sqrt();
    Estimate {
        low: Some(slope - half),
        high: Some(slope + half),
        level: Some(0.95),
        method: Some("least squares of logarithms, Student's t".into()),
        ..Estimate::point(slope, n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::document::Measured;

    #[track_caller]
    fn close(found: Option<f64>, expected: f64) {
        let found = found.unwrap();
        assert!((found - expected).abs() < 1e-7, "{found}, not {expected}");
    }

    /// ln y = 0, 1, 1 at ln x = 0, 1, 2: slope 1/2, residual sum of squares 1/6, one degree of freedom, whose 97.5 %
    /// quantile is 12.7062047; the standard error is √(1/6 / 2).
    #[test]
    fn a_slope_is_an_exponent_with_its_interval() {
        let e = std::f64::consts::E;
        let found = slope(&[(1.0, 1.0), (e, e), (e * e, e)]);
        close(found.value, 0.5);
        let half = 12.706_204_736_174_7 * (1.0f64 / 12.0).sqrt();
        close(found.low, 0.5 - half);
        close(found.high, 0.5 + half);
        assert_eq!((found.n, found.level), (3, Some(0.95)));

        let exact = slope(&[(1.0, 3.0), (2.0, 6.0), (4.0, 12.0), (8.0, 24.0)]);
        close(exact.value, 1.0);
        close(exact.low, 1.0);
        let two = slope(&[(1.0, 4.0), (2.0, 2.0)]);
        close(two.value, -1.0);
        assert_eq!((two.low, two.note.as_deref()), (None, Some("two sizes: no interval")));
        for few in [&[(1.0, 4.0)][..], &[], &[(1.0, 4.0), (0.0, 2.0)]] {
            assert!(slope(few).value.is_none(), "{few:?}");
        }
    }

    #[test]
    fn every_axis_passes_the_base_and_what_is_known_is_not_timed_again() {
        let check = |cores: usize, threads: &[usize]| assert_eq!(Along::Threads.sizes(cores), threads);
        check(1, &[1]);
        check(2, &[1, 2]);
        check(6, &[1, 2, 4, 6]);
        check(8, &[1, 2, 4, 8]);
        let timed = std::cell::RefCell::new(Vec::new());
        let compare = |asked: &Comparison| {
            timed.borrow_mut().push((asked.sizes, asked.threads));
            let (rows, threads) = (asked.sizes.rows as f64, asked.threads as f64);
            let measured = Measured {
                median_seconds: rows / threads,
                ..Measured::default()
            };
            Ok(vec![BenchCell {
                framework: "flex".into(),
                measured: Some(measured),
                ..BenchCell::default()
            }])
        };
        let hidden = |_: usize| ProgressBar::hidden();
        let growth = measure(Backend::Flex, cores(), None, &hidden, compare).unwrap();
        let timed = timed.into_inner();
        let again = timed
            .iter()
            .enumerate()
            .any(|(place, one)| timed[..place].contains(one));
        assert!(!again, "{timed:?}");
        // Three axes of four sizes share the base, and the threads that are timed with.
        assert_eq!(timed.len(), 9 + Along::Threads.sizes(cores()).len());
        assert_eq!(growth.points.len(), 12 + Along::Threads.sizes(cores()).len());
        let slope = |along: Along| {
            growth
                .trends
                .iter()
                .find(|trend| trend.along == along)
                .unwrap()
                .slope
                .value
        };
        close(slope(Along::Rows), 1.0);
        close(slope(Along::Width), 0.0);
        assert_eq!(slope(Along::Threads).is_some(), cores() > 1);
    }
}
