//! All finished runs of a sweep as one Parquet file, one JSON document and one report.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use disentangle_report::{MetricRow, MetricsWriter, RunColumn, page, save_figures, write_file};
use serde_json::{Map, Value};

use super::{
    aggregate::{self, Numbers},
    folder::{RunState, SweepDir},
    grid,
    outcome::{NumberName, Point, RunLine, SweepOutcome},
    plan::{PlannedRun, Sweep},
    render,
};
use crate::{
    ExperimentError,
    registry::{self, Registered},
};

/// Estimates in `metrics.json`, at most: beyond this the numbers that occur first are kept.
const MOST_ESTIMATES: usize = 200_000;

/// Everything that a report says.
pub(super) struct Collected {
    pub(super) outcome: SweepOutcome,
    /// The names of the outcome's numbers, by their places.
    pub(super) names: Vec<NumberName>,
    /// The numbers to show.
    pub(super) chosen: Vec<usize>,
    /// Whether a generator made the data of some run.
    pub(super) simulated: bool,
    /// What must be known before any number is read.
    pub(super) notices: Vec<String>,
}

/// Reads every finished run and writes `metrics.parquet`, `metrics.json`, the report and its figures; returns the JSON
/// too.
pub(super) fn collect(sweep: &SweepDir) -> Result<(Collected, String), ExperimentError> {
    let collected = read(sweep)?;
    let report = render::report(&collected);
    let figures = sweep.path().join("figures");
    clear(&figures);
    save_figures(&report, &figures)?;
    write_file(&report_path(sweep.path()), page(&report).as_bytes())?;
    let json = sweep.write_json("metrics.json", &collected.outcome)?;
    Ok((collected, json))
}

/// Removes the figures of an earlier collection, which may have had more.
fn clear(figures: &Path) {
    for entry in fs::read_dir(figures).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("number-") {
            // One that cannot be removed is no reason to have no report.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Where a sweep's report lies.
pub(super) fn report_path(folder: &Path) -> PathBuf {
    folder.join("report.html")
}

/// Reads every finished run and writes `metrics.parquet` on the way, so that the rows of all never lie in memory
/// together.
fn read(folder: &SweepDir) -> Result<Collected, ExperimentError> {
    let sweep = folder.sweep();
    let experiment = registry::experiment(&sweep.experiment)?;
    let mut writer = MetricsWriter::create(folder.path(), columns(sweep))?;
    let points = (folder.manifest().len() / sweep.seeds.len().max(1)).max(1);
    let mut numbers = Numbers::new(&sweep.metrics, (MOST_ESTIMATES / points).max(1));
    let mut outcome = SweepOutcome::of(sweep);
    let (mut datasets, mut simulated) = (HashSet::new(), false);
    for of_point in folder.manifest().chunks(sweep.seeds.len().max(1)) {
        let params = of_point.first().map(|run| run.params.clone()).unwrap_or_default();
        let mut gathered = numbers.point(by_own_key(&params, &experiment), experiment.sweep.key);
        for run in of_point {
            let mut state = folder.state(run.index);
            if state == RunState::Done {
                match read_run(folder, run, &experiment, &mut datasets) {
                    Ok((rows, is_simulated)) => {
                        simulated |= is_simulated;
                        gathered.add(&rows);
                        writer.add(rows, values(run, sweep))?;
                    }
                    Err(error) => {
                        eprintln!("failed: {}: {error}", run.hash);
                        folder.undo(run.index, &error.to_string())?;
                        state = RunState::Failed(error.to_string());
                    }
                }
            }
            outcome.runs.push(RunLine::new(run, state));
        }
        let metrics = gathered.finish();
        outcome.points.push(Point { params, metrics });
    }
    writer.finish()?;
    let mut notices = notices(sweep, &numbers, &outcome);
    let chosen = aggregate::chosen(numbers.names.len(), &outcome.points, !sweep.metrics.is_empty());
    if !sweep.metrics.is_empty() && chosen.len() < numbers.names.len() {
        notices.push(format!(
            "the report shows the first {} of {} numbers; metrics.json holds all of them",
            chosen.len(),
            numbers.names.len()
        ));
    }
    Ok(Collected {
        outcome,
        names: numbers.names,
        chosen,
        simulated,
        notices,
    })
}

/// A run's rows with its seed, and whether its data is simulated, which is asked once for each dataset.
fn read_run(
    folder: &SweepDir,
    run: &PlannedRun,
    experiment: &Registered,
    datasets: &mut HashSet<String>,
) -> Result<(Vec<MetricRow>, bool), ExperimentError> {
    let outcome = (experiment.read)(&folder.run_path(run.index))?;
    let mut rows = outcome.rows();
    for row in &mut rows {
        row.seed = row.seed.or(Some(run.seed));
    }
    let is_new = rows.first().is_some_and(|row| datasets.insert(row.dataset.clone()));
    let simulated = is_new && outcome.report().simulated;
    Ok((rows, simulated))
}

/// A point's values under the configuration's own keys.
fn by_own_key(params: &Map<String, Value>, experiment: &Registered) -> Map<String, Value> {
    let own = params
        .iter()
        .map(|(key, value)| ((experiment.sweep.key)(key).to_string(), value.clone()));
    own.collect()
}

/// `run`, and `grid.<key>` for each key: numbers if all its values are.
fn columns(sweep: &Sweep) -> Vec<RunColumn> {
    let run = RunColumn {
        name: "run".into(),
        numbers: false,
    };
    let keys = sweep.grid.iter().map(|key| RunColumn {
        name: format!("grid.{}", key.key),
        numbers: key.numbers().is_some(),
    });
    std::iter::once(run).chain(keys).collect()
}

fn values(run: &PlannedRun, sweep: &Sweep) -> Vec<Value> {
    let keys = sweep.grid.iter().map(|key| {
        let value = run.params.get(&key.key).cloned().unwrap_or_default();
        match key.numbers() {
            Some(_) => value,
            None => grid::shown(&value).into(),
        }
    });
    std::iter::once(Value::from(run.hash.clone())).chain(keys).collect()
}

fn notices(sweep: &Sweep, numbers: &Numbers, outcome: &SweepOutcome) -> Vec<String> {
    let mut notices = Vec::new();
    let open = outcome.runs.len() - outcome.done();
    if open > 0 {
        notices.push(format!(
            "{open} of {} runs are not done: their points have fewer seeds, or none",
            outcome.runs.len()
        ));
    }
    let mut known: Vec<&str> = numbers.metrics.iter().map(String::as_str).collect();
    known.sort_unstable();
    for metric in sweep.metrics.iter().filter(|metric| !numbers.metrics.contains(*metric)) {
        notices.push(format!(
            "no run has a metric `{metric}`; their metrics are: {}",
            known.join(", ")
        ));
    }
    if numbers.left_out {
        notices.push(format!(
            "there are more numbers than metrics.json holds: the first {} of each point are there, metrics.parquet holds all; `--metric` chooses",
            numbers.names.len()
        ));
    }
    notices
}
