//! From the command line to a manifest: every run resolved and named before anything is written.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    arguments::SweepArguments,
    grid::{self, GridKey, Written},
    hash::{self, Inputs},
    hooks::Hooks,
};
use crate::{Backend, ExperimentError};

/// More runs are a slip of the hand.
const MOST_RUNS: usize = 100_000;

/// `sweep.json`: what all runs share.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sweep {
    /// Of this layout.
    pub(super) schema_version: u32,
    /// The experiment.
    pub(super) experiment: String,
    /// Of the program.
    pub(super) version: String,
    /// Where tensors live.
    pub(super) backend: Backend,
    /// The seeds of each combination.
    pub(super) seeds: Vec<u64>,
    /// Keys and values.
    pub(super) grid: Vec<GridKey>,
    /// `key=value` settings of all runs.
    pub(super) sets: Vec<String>,
    /// Whether they are smoke runs.
    pub(super) fast: bool,
    /// The configuration that the grid changes, resolved.
    pub(super) config: Value,
    /// Who executes the runs.
    pub(super) launcher: String,
    /// Threads of each run.
    pub(super) threads: usize,
    /// Seconds between two checkpoints, at least.
    pub(super) checkpoint_seconds: u64,
    /// Metrics to report; if none, those that the grid changes.
    pub(super) metrics: Vec<String>,
    /// Whether runs draw reports of their own.
    #[serde(default)]
    pub(super) reports: bool,
}

/// A line of `manifest.jsonl` without its configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PlannedRun {
    /// Its place, from 0.
    pub(crate) index: usize,
    /// Names its folder.
    pub(crate) hash: String,
    /// Its seed.
    pub(crate) seed: u64,
    /// Its value of each key of the grid.
    pub(crate) params: Map<String, Value>,
}

impl PlannedRun {
    /// `hidden=32 seed=1`, keys in the grid's order.
    pub(super) fn words(&self, grid: &[GridKey]) -> String {
        format!("{} seed={}", point_words(grid, &self.params), self.seed)
    }
}

/// A combination as `hidden=32 layers=2`, keys in the grid's order.
pub(super) fn point_words(grid: &[GridKey], params: &Map<String, Value>) -> String {
    let words = grid.iter().map(|key| {
        let value = params.get(&key.key).map(grid::shown).unwrap_or_default();
        format!("{}={value}", key.key)
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A whole line of `manifest.jsonl`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ManifestLine {
    #[serde(flatten)]
    pub(super) run: PlannedRun,
    /// The resolved configuration.
    pub(super) config: Value,
}

/// A sweep that can be written.
pub(super) struct Plan {
    pub(super) sweep: Sweep,
    pub(super) runs: Vec<PlannedRun>,
    /// `manifest.jsonl`.
    pub(super) lines: String,
}

/// Resolves every run. Combinations follow each other with later keys varying fastest, and seeds fastest of all.
///
/// Fails for unknown keys, values of the wrong kind and counts that cannot be used, with the sentence that `experiment` has for them.
pub(super) fn plan(arguments: &SweepArguments, hooks: &Hooks, launcher: &str) -> Result<Plan, ExperimentError> {
    let seeds = seeds(arguments.seed, arguments.seeds)?;
    let written = grid::parse(&arguments.grid, &arguments.sets, hooks.key)?;
    let sets = grid::canonical_sets(&arguments.sets, hooks.key);
    let base = (hooks.base)(arguments.config.as_deref(), arguments.fast, &sets)?;
    let values: Vec<Vec<Value>> = written
        .iter()
        .map(|key| values(key, &base, hooks))
        .collect::<Result<_, _>>()?;
    count_runs(&values, seeds.len())?;
    let grid: Vec<GridKey> = written
        .iter()
        .zip(&values)
        .map(|(key, values)| GridKey {
            key: key.key.clone(),
            values: values.iter().cloned().map(grid::scalar).collect(),
        })
        .collect();
    let sweep = Sweep {
        schema_version: 1,
        experiment: arguments.name.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        backend: arguments.backend,
        seeds,
        grid,
        sets: arguments.sets.clone(),
        fast: arguments.fast,
        config: base,
        launcher: launcher.into(),
        threads: arguments.machine().1,
        checkpoint_seconds: arguments.checkpoint_seconds,
        metrics: arguments.metrics.clone(),
        reports: arguments.reports,
    };
    let (runs, lines) = runs(&sweep, &written, &values, hooks)?;
    Ok(Plan { sweep, runs, lines })
}

fn seeds(first: u64, count: usize) -> Result<Vec<u64>, ExperimentError> {
    let last = first.checked_add((count as u64).saturating_sub(1));
    match last {
        Some(last) if (1..=MOST_RUNS).contains(&count) => Ok((first..=last).collect()),
        _ => Err(ExperimentError::Input(format!(
            "`--seed {first} --seeds {count}` cannot be used: expected 1 to {MOST_RUNS} seeds"
        ))),
    }
}

/// The values of a key as the configuration holds them; two that are the same are refused.
fn values(key: &Written, base: &Value, hooks: &Hooks) -> Result<Vec<Value>, ExperimentError> {
    let mut values: Vec<Value> = Vec::new();
    for text in &key.texts {
        let value = (hooks.value)(base, &key.canonical, text).map_err(|error| match error {
            // The sentence names the configuration's own key.
            ExperimentError::Input(reason) if key.key != key.canonical => {
                ExperimentError::Input(format!("`--grid {}`: {reason}", key.key))
            }
            other => other,
        })?;
        if let Some(before) = values.iter().position(|other| *other == value) {
            let reason = match key.texts[before] == *text {
                true => format!("`{text}` is there twice"),
                false => format!("`{}` and `{text}` are the same value", key.texts[before]),
            };
            return Err(ExperimentError::Input(format!("`--grid {}`: {reason}", key.key)));
        }
        values.push(value);
    }
    Ok(values)
}

fn count_runs(values: &[Vec<Value>], seeds: usize) -> Result<(), ExperimentError> {
    let all = values
        .iter()
        .try_fold(seeds, |all, values| all.checked_mul(values.len()));
    all.filter(|all| *all <= MOST_RUNS).map(|_| ()).ok_or_else(|| {
        let lengths: Vec<String> = values.iter().map(|values| values.len().to_string()).collect();
        ExperimentError::Input(format!(
            "a grid of {} combinations with {seeds} seed(s) is too large: expected at most {MOST_RUNS} runs",
            lengths.join(" x ")
        ))
    })
}

type Runs = (Vec<PlannedRun>, String);

fn runs(sweep: &Sweep, written: &[Written], values: &[Vec<Value>], hooks: &Hooks) -> Result<Runs, ExperimentError> {
    let failed = |error: serde_json::Error| ExperimentError::Failed(error.to_string());
    let lengths: Vec<usize> = values.iter().map(Vec::len).collect();
    let (mut runs, mut lines, mut inputs) = (Vec::new(), String::new(), Inputs::default());
    for places in grid::combinations(&lengths) {
        let (mut changes, mut params) = (Vec::new(), Map::new());
        for ((key, values), (shown, &place)) in written.iter().zip(values).zip(sweep.grid.iter().zip(&places)) {
            changes.push((key.canonical.clone(), values[place].clone()));
            params.insert(key.key.clone(), shown.values[place].clone());
        }
        let config = (hooks.with)(&sweep.config, &changes)?;
        let files = inputs.of(&config)?;
        let text = serde_json::to_string(&config).map_err(failed)?;
        let mut line = ManifestLine {
            run: PlannedRun {
                index: 0,
                hash: String::new(),
                seed: 0,
                params,
            },
            config,
        };
        for &seed in &sweep.seeds {
            line.run.index = runs.len();
            line.run.hash = hash::of_run(&sweep.experiment, &text, seed, sweep.backend, &files);
            line.run.seed = seed;
            lines += &serde_json::to_string(&line).map_err(failed)?;
            lines.push('\n');
            runs.push(line.run.clone());
        }
    }
    Ok((runs, lines))
}
