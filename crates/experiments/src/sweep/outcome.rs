//! `metrics.json` of a sweep.

use disentangle_analysis::Estimate;
use disentangle_report::MetricRow;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    folder::RunState,
    grid::GridKey,
    plan::{PlannedRun, Sweep},
};

/// Every number of every point of the grid over its seeds, and how far every run is.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SweepOutcome {
    /// Of this layout.
    pub(super) schema_version: u32,
    /// `sweep`.
    pub(super) kind: &'static str,
    /// The experiment.
    pub(super) experiment: String,
    /// Keys and values.
    pub(super) grid: Vec<GridKey>,
    /// The seeds of each point.
    pub(super) seeds: Vec<u64>,
    /// The points of the grid, later keys varying fastest.
    pub(super) points: Vec<Point>,
    /// The runs, in the order of the manifest.
    pub(super) runs: Vec<RunLine>,
}

/// One point of the grid.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Point {
    /// Its value of each key.
    pub(super) params: Map<String, Value>,
    /// Its numbers, those that came first leading.
    pub(super) metrics: Vec<PointMetric>,
}

impl Point {
    /// The estimate of a number.
    pub(super) fn estimate(&self, id: usize) -> Option<&Estimate> {
        let place = self.metrics.binary_search_by_key(&id, |metric| metric.id).ok()?;
        Some(&self.metrics[place].estimate)
    }
}

/// One number over the seeds of a point.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PointMetric {
    /// Which of the sweep's numbers.
    #[serde(skip)]
    pub(super) id: usize,
    #[serde(flatten)]
    pub(super) name: NumberName,
    /// Mean and interval, the seed as the unit.
    pub(super) estimate: Estimate,
}

/// What tells numbers of a run apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub(super) struct NumberName {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) strategy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) environment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) split: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) site: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) head: Option<u32>,
    pub(super) metric: String,
    /// JSON of the number's own keys, without those of the grid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) params: Option<String>,
}

impl NumberName {
    pub(super) fn of(row: &MetricRow) -> Self {
        Self {
            model: row.model.clone(),
            strategy: row.strategy.clone(),
            stage: row.stage.clone(),
            environment: row.environment.clone(),
            split: row.split.clone(),
            group: row.group.clone(),
            site: row.site.clone(),
            head: row.head,
            metric: row.metric.clone(),
            params: row.params.clone(),
        }
    }

    /// In words, the metric first.
    pub(super) fn words(&self) -> String {
        let head = self.head.map(|head| format!("head {head}"));
        let about = [
            &self.model,
            &self.strategy,
            &self.stage,
            &self.split,
            &self.environment,
            &self.group,
            &self.site,
            &head,
            &self.params,
        ];
        let about: Vec<&str> = about.into_iter().flatten().map(String::as_str).collect();
        match about.is_empty() {
            true => self.metric.clone(),
            false => format!("{} ({})", self.metric, about.join(", ")),
        }
    }
}

/// One run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RunLine {
    /// Names its folder.
    pub(super) hash: String,
    /// Its seed.
    pub(super) seed: u64,
    /// Its value of each key.
    pub(super) params: Map<String, Value>,
    /// `done`, `failed`, `interrupted`, `running` or `absent`.
    pub(super) state: &'static str,
    /// The error, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
}

impl RunLine {
    pub(super) fn new(run: &PlannedRun, state: RunState) -> Self {
        Self {
            hash: run.hash.clone(),
            seed: run.seed,
            params: run.params.clone(),
            state: state.name(),
            message: match state {
                RunState::Failed(message) => Some(message),
                _ => None,
            },
        }
    }
}

impl SweepOutcome {
    /// Without points and runs.
    pub(super) fn of(sweep: &Sweep) -> Self {
        Self {
            schema_version: 1,
            kind: "sweep",
            experiment: sweep.experiment.clone(),
            grid: sweep.grid.clone(),
            seeds: sweep.seeds.clone(),
            points: Vec::new(),
            runs: Vec::new(),
        }
    }

    /// Runs that are done.
    pub(super) fn done(&self) -> usize {
        self.runs
            .iter()
            .filter(|run| run.state == RunState::Done.name())
            .count()
    }
}
