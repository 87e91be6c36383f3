//! `bench.json`: every cell, what it is against the others, and the machine.

use disentangle_analysis::descriptive::quantile;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{growth::Growth, machine::Machine, measure::Answer};

/// Version 1 had no backends, and one number of threads.
pub(super) const SCHEMA_VERSION: u32 = 2;

/// What `--json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Document {
    pub(super) schema_version: u32,
    /// The day, in UTC.
    pub(super) date: String,
    pub(super) machine: Machine,
    /// Workload by workload, threads by threads: ours, then the peers.
    pub(super) cells: Vec<BenchCell>,
    /// Only where it was asked for.
    pub(super) growth: Option<Growth>,
}

/// One workload on one backend, or by one peer, with one number of threads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct BenchCell {
    pub(super) workload: String,
    /// `flex`, `tch`, .., or the peer's name.
    pub(super) framework: String,
    /// Whether it is not ours.
    pub(super) peer: bool,
    pub(super) threads: usize,
    /// `None` where it failed.
    pub(super) measured: Option<Measured>,
    /// Why it failed.
    pub(super) error: Option<String>,
    /// Of ours: against each peer, and against flex.
    pub(super) against: Vec<Against>,
}

/// Times, memory and what was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Measured {
    /// Rows that pass in one repeat, epochs counted.
    pub(super) rows: usize,
    /// Of each repeat, in the order in which they were taken.
    pub(super) seconds: Vec<f64>,
    pub(super) median_seconds: f64,
    /// First and third, interpolated: of two times, a quarter of the way in from each.
    pub(super) quartiles: [f64; 2],
    pub(super) rows_per_second: f64,
    /// The largest resident set of the process, in MiB.
    pub(super) peak_memory_mb: Option<f64>,
    /// What the work found.
    pub(super) number: Option<f64>,
    /// What must agree with the others; too long for a document.
    #[serde(skip)]
    pub(super) check: Vec<f64>,
    /// What else the process said.
    pub(super) extra: Map<String, Value>,
}

/// Ours against somebody else who did the same work in turns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Against {
    /// Who.
    pub(super) framework: String,
    /// Median seconds of the other by ours: above 1 where ours is faster.
    pub(super) times_as_fast: f64,
    /// The same of quartiles that lie against and for us: other's first by our third, and the other way round.
    pub(super) range: [f64; 2],
    /// Our peak memory by the other's: below 1 where ours is smaller.
    pub(super) memory_share: Option<f64>,
    /// The largest absolute difference of what must agree. `None` where nothing was compared.
    pub(super) difference: Option<f64>,
}

impl Measured {
    /// `None` where nothing was timed.
    pub(super) fn new(answer: &Answer) -> Option<Self> {
        let mut sorted = answer.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        let median = quantile(&sorted, 0.5)?;
        Some(Self {
            rows: answer.rows,
            seconds: answer.seconds.clone(),
            median_seconds: median,
            quartiles: [quantile(&sorted, 0.25)?, quantile(&sorted, 0.75)?],
            rows_per_second: answer.rows as f64 / median,
            peak_memory_mb: answer.peak_memory_mb,
            number: answer.number,
            check: answer.check.clone(),
            extra: answer.extra.clone(),
        })
    }

    /// This one against somebody else.
    fn against(&self, framework: &str, other: &Self) -> Against {
        let comparable = !self.check.is_empty() && self.check.len() == other.check.len();
        let pairs = self.check.iter().zip(&other.check);
        Against {
            framework: framework.into(),
            times_as_fast: other.median_seconds / self.median_seconds,
            range: [
                other.quartiles[0] / self.quartiles[1],
                other.quartiles[1] / self.quartiles[0],
            ],
            memory_share: self
                .peak_memory_mb
                .zip(other.peak_memory_mb)
                .map(|(own, other)| own / other),
            difference: comparable.then(|| pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)),
        }
    }
}

impl BenchCell {
    /// What it is against the one called `framework`.
    pub(super) fn versus(&self, framework: &str) -> Option<&Against> {
        self.against.iter().find(|other| other.framework == framework)
    }
}

/// Compares each of ours with every peer and, where it is another backend, with flex.
pub(super) fn compare(cells: &mut [BenchCell]) {
    let others: Vec<(String, Measured)> = cells
        .iter()
        .filter(|cell| cell.peer || cell.framework == "flex")
        .filter_map(|cell| Some((cell.framework.clone(), cell.measured.clone()?)))
        .collect();
    for cell in cells.iter_mut().filter(|cell| !cell.peer) {
        let Some(own) = &cell.measured else { continue };
        let others = others.iter().filter(|(framework, _)| *framework != cell.framework);
        let against = others.map(|(framework, other)| own.against(framework, other));
        cell.against = against.collect();
    }
}
