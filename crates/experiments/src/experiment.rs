//! The contract of every experiment, and how one is run: validated first, then in a folder, resumable.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::Duration,
};

use burn::tensor::Device;
use disentangle_analysis::over_seeds;
use disentangle_report::{
    Block, Cell, MetricRow, Report, ReportError, RunDir, Section, State, Table, Tone, Verdict, page, read_json,
    save_figures, write_metrics,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Backend, Context, ExperimentError, environment, settings};

/// One experiment: a name, a configuration, and what comes out.
pub trait Experiment {
    /// As on the command line.
    const NAME: &'static str;
    /// One line for `list`.
    const ABOUT: &'static str;
    /// Keys that users set.
    type Config: Serialize + DeserializeOwned + Default + Clone;
    /// Data that was read and checked before anything is written.
    type Input;
    /// Everything measured: `metrics.json`.
    type Outcome: Serialize + DeserializeOwned + Render;

    /// Makes a configuration a smoke run of seconds.
    fn fast(config: &mut Self::Config);

    /// Reads and checks all input. Writes nothing into the run.
    fn load(config: &Self::Config, seed: u64, device: &Device) -> Result<Self::Input, ExperimentError>;

    /// Hashes of the input files, for the run's name.
    fn input_hash(input: &Self::Input) -> String;

    /// Runs one seed, writing what belongs to it into the context's folder.
    fn run(config: &Self::Config, input: &Self::Input, context: &Context) -> Result<Self::Outcome, ExperimentError>;

    /// The configuration's key that `sweep` means by `key`: another name where the plain one would be taken for a setting
    /// that does not act.
    fn sweep_key(key: &str) -> &str {
        key
    }

    /// `key=value` settings that a sweep starts with; `--config` and `--set` come after them.
    fn sweep_defaults() -> &'static [&'static str] {
        &[]
    }
}

/// What every outcome can show of itself.
pub trait Render {
    /// Every number as a row.
    fn rows(&self) -> Vec<MetricRow>;
    /// The report.
    fn report(&self) -> Report;
    /// The short table for the terminal, and the verdicts.
    fn summary(&self) -> String;
}

/// Options that every experiment shares.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where tensors live.
    pub backend: Backend,
    /// The first seed.
    pub seed: u64,
    /// Seeds to run.
    pub seeds: usize,
    /// `key=value` settings.
    pub sets: Vec<String>,
    /// A TOML file with settings.
    pub config: Option<PathBuf>,
    /// The run's folder; made below `runs` if absent.
    pub out: Option<PathBuf>,
    /// Worker threads.
    pub threads: usize,
    /// No progress on stderr.
    pub quiet: bool,
    /// A run to go on with.
    pub resume: Option<PathBuf>,
    /// A smoke run of seconds.
    pub fast: bool,
    /// The shortest time between two checkpoints.
    pub checkpoint_every: Duration,
    /// Whether report and figures are drawn; the command `report` draws them later from a run's numbers.
    pub report: bool,
}

/// What a command prints.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The run's folder.
    pub path: PathBuf,
    /// `metrics.json`.
    pub json: String,
    /// For the terminal.
    pub summary: String,
}

/// What a run was started with, so that it can be resumed.
#[derive(Debug, Serialize, Deserialize)]
struct Started {
    seed: u64,
    seeds: usize,
    backend: Backend,
    input_hash: String,
    #[serde(flatten)]
    environment: environment::Environment,
}

const MOST_SEEDS: usize = 10_000;

/// Runs an experiment from options to a finished folder.
pub fn execute<E: Experiment>(options: &Options) -> Result<Finished, ExperimentError> {
    let mut options = options.clone();
    let mut config = E::Config::default();
    if let Some(path) = &options.resume {
        let status = RunDir::read_status(path)?;
        if status.experiment != E::NAME {
            let reason = format!(
                "{}: is a run of `{}`, not of `{}`",
                path.display(),
                status.experiment,
                E::NAME
            );
            return Err(ExperimentError::Input(reason));
        }
        if !options.sets.is_empty() || options.config.is_some() || options.fast {
            return Err(ExperimentError::Input(
                "`--resume` takes its settings from the run; expected no --set, --config or --fast".into(),
            ));
        }
        config = settings::resolve(&config, Some(&path.join("config.toml")), &[])?;
        let started: Started = read_json(path, "environment.json")?;
        (options.seed, options.seeds, options.backend) = (started.seed, started.seeds, started.backend);
    } else {
        if options.fast {
            E::fast(&mut config);
        }
        config = settings::resolve(&config, options.config.as_deref(), &options.sets)?;
    }
    execute_resolved::<E>(&options, &config)
}

/// Runs an experiment whose configuration is resolved: of the options, `config`, `sets` and `fast` count no more.
pub(crate) fn execute_resolved<E: Experiment>(
    options: &Options,
    config: &E::Config,
) -> Result<Finished, ExperimentError> {
    let last = options.seed.checked_add((options.seeds as u64).saturating_sub(1));
    if options.seeds == 0 || options.seeds > MOST_SEEDS || last.is_none() {
        let reason = format!(
            "`--seed {} --seeds {}` cannot be used: expected 1 to {MOST_SEEDS} seeds",
            options.seed, options.seeds
        );
        return Err(ExperimentError::Input(reason));
    }
    let device = options.backend.open()?;
    let input = E::load(config, options.seed, &device)?;

    let run = open_run::<E>(options, config, &input)?;
    finish::<E>(run, |run| run_seeds::<E>(options, config, &input, &device, run))
}

fn open_run<E: Experiment>(options: &Options, config: &E::Config, input: &E::Input) -> Result<RunDir, ExperimentError> {
    if let Some(path) = &options.resume {
        let run = RunDir::resume(path)?;
        let started: Started = read_json(path, "environment.json")?;
        if started.input_hash != E::input_hash(input) {
            let reason = format!("{}: the input data changed since the run was started", path.display());
            return Err(ExperimentError::Input(reason));
        }
        return Ok(run);
    }
    let resolved = serde_json::to_string(config).map_err(|error| ExperimentError::Failed(error.to_string()))?;
    let input_hash = E::input_hash(input);
    let hash = blake3::hash(format!("{resolved}\n{input_hash}").as_bytes()).to_hex();
    let run = RunDir::create(
        Path::new("runs"),
        options.out.as_deref(),
        E::NAME,
        options.seed,
        &hash[..12],
    )?;
    let text = toml::to_string(config).map_err(|error| ExperimentError::Failed(error.to_string()))?;
    run.write("config.toml", text.as_bytes())?;
    let started = Started {
        seed: options.seed,
        seeds: options.seeds,
        backend: options.backend,
        input_hash,
        environment: environment::Environment::read(options.threads),
    };
    run.write_json("environment.json", &started)?;
    Ok(run)
}

/// Notes in the folder how the work ended.
fn finish<E: Experiment>(
    mut run: RunDir,
    work: impl FnOnce(&RunDir) -> Result<Finished, ExperimentError>,
) -> Result<Finished, ExperimentError> {
    let worked = catch_unwind(AssertUnwindSafe(|| work(&run)));
    match worked.unwrap_or_else(|_| {
        Err(ExperimentError::Failed(
            "a bug in this program stopped the run; what it said stands above".into(),
        ))
    }) {
        Ok(finished) => {
            run.remove("checkpoint")?;
            run.set(State::Done, None)?;
            Ok(finished)
        }
        Err(ExperimentError::Interrupted) => {
            keep_first(run.set(State::Interrupted, None));
            eprintln!(
                "interrupted; go on with: disentangle experiment {} --resume {}",
                E::NAME,
                run.path().display()
            );
            Err(ExperimentError::Interrupted)
        }
        Err(error) => {
            // On a full disk this fails too, and the first error is the one that helps.
            keep_first(run.set(State::Failed, Some(error.to_string())));
            Err(error)
        }
    }
}

fn keep_first(later: Result<(), ReportError>) {
    if let Err(later) = later {
        eprintln!("note: {later}");
    }
}

fn run_seeds<E: Experiment>(
    options: &Options,
    config: &E::Config,
    input: &E::Input,
    device: &Device,
    run: &RunDir,
) -> Result<Finished, ExperimentError> {
    let context = |seed: u64, prefix: String| Context {
        seed,
        device,
        threads: options.threads,
        quiet: options.quiet,
        run,
        prefix,
        checkpoint_every: options.checkpoint_every,
    };
    if options.seeds == 1 {
        let outcome = E::run(config, input, &context(options.seed, String::new()))?;
        return write_outcome(run, "", &outcome, options.report);
    }
    let mut outcomes = Vec::new();
    for seed in (0..options.seeds as u64).map(|offset| options.seed + offset) {
        let context = context(seed, format!("seeds/{seed}/"));
        // A seed that was finished before an interruption is not run again.
        let outcome: E::Outcome = match read_json(&run.path().join(&context.prefix), "metrics.json") {
            Ok(outcome) => {
                run.remove(&context.name("checkpoint"))?;
                outcome
            }
            Err(_) => {
                let outcome = E::run(config, input, &context)?;
                write_outcome(run, &context.prefix, &outcome, options.report)?;
                run.remove(&context.name("checkpoint"))?;
                outcome
            }
        };
        outcomes.push(outcome);
    }
    let aggregate = Aggregate::new(E::NAME, options.seed, &outcomes);
    write_outcome(run, "", &aggregate, options.report)
}

/// `metrics.json`, `metrics.parquet`, and if it `draws`, figures and the report of one outcome.
pub fn write_outcome(
    run: &RunDir,
    prefix: &str,
    outcome: &(impl Serialize + Render),
    draws: bool,
) -> Result<Finished, ExperimentError> {
    let folder = run.path().join(prefix);
    std::fs::create_dir_all(&folder)
        .map_err(|error| ExperimentError::Failed(format!("{}: {error}", folder.display())))?;
    if draws {
        let report = outcome.report();
        save_figures(&report, &folder.join("figures"))?;
        run.write(&format!("{prefix}report.html"), page(&report).as_bytes())?;
    }
    write_metrics(&folder, &outcome.rows())?;
    let path = run.write_json(&format!("{prefix}metrics.json"), outcome)?;
    let json = std::fs::read_to_string(&path)
        .map_err(|error| ExperimentError::Failed(format!("{}: {error}", path.display())))?;
    Ok(Finished {
        path: run.path().into(),
        json,
        summary: outcome.summary(),
    })
}

/// The same numbers over several seeds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Aggregate {
    /// Of this layout.
    pub schema_version: u32,
    /// `aggregate`.
    pub kind: String,
    /// The experiment.
    pub experiment: String,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// Mean and interval of every number, the seed as the unit.
    pub metrics: Vec<AggregateRow>,
    /// How many seeds came to each first verdict.
    pub first_verdicts: BTreeMap<String, usize>,
    /// Whether the data was made by a generator.
    pub simulated: bool,
}

/// One number over seeds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AggregateRow {
    /// Model, split, group, site and metric, those that apply.
    pub name: [Option<String>; 4],
    /// The metric.
    pub metric: String,
    /// The dataset.
    pub dataset: String,
    /// The environment, if the number is of one.
    pub environment: Option<String>,
    /// JSON of grid keys, for example the span of a window.
    pub params: Option<String>,
    /// Mean and interval.
    pub estimate: disentangle_analysis::Estimate,
}

impl Aggregate {
    fn new<O: Render>(experiment: &str, first: u64, outcomes: &[O]) -> Self {
        let mut order = Vec::new();
        let mut values: BTreeMap<String, (AggregateRow, Vec<Option<f64>>)> = BTreeMap::new();
        for row in outcomes.iter().flat_map(Render::rows) {
            let name = [
                row.model.clone(),
                row.split.clone(),
                row.group.clone(),
                row.site.clone(),
            ];
            let key = format!("{name:?} {} {:?} {:?}", row.metric, row.environment, row.params);
            if !values.contains_key(&key) {
                order.push(key.clone());
            }
            let entry = values.entry(key).or_insert_with(|| {
                let row = AggregateRow {
                    name,
                    metric: row.metric.clone(),
                    dataset: row.dataset.clone(),
                    environment: row.environment.clone(),
                    params: row.params.clone(),
                    estimate: disentangle_analysis::Estimate::default(),
                };
                (row, Vec::new())
            });
            entry.1.push(row.value);
        }
        let metrics = order.into_iter().filter_map(|key| {
            let (mut row, values) = values.remove(&key)?;
            row.estimate = over_seeds(&values);
            Some(row)
        });
        let reports: Vec<Report> = outcomes.iter().map(Render::report).collect();
        let mut first_verdicts = BTreeMap::new();
        for verdict in reports.iter().filter_map(|report| report.verdicts.first()) {
            // Without its numbers, which differ from seed to seed.
            let words = verdict.text.split(':').next().unwrap_or_default();
            *first_verdicts.entry(words.to_string()).or_insert(0) += 1;
        }
        Self {
            schema_version: 1,
            kind: "aggregate".into(),
            experiment: experiment.into(),
            seeds: (0..outcomes.len() as u64).map(|offset| first + offset).collect(),
            metrics: metrics.collect(),
            first_verdicts,
            simulated: reports.iter().any(|report| report.simulated),
        }
    }
}

impl Render for Aggregate {
    fn rows(&self) -> Vec<MetricRow> {
        self.metrics
            .iter()
            .map(|row| {
                let [model, split, group, site] = row.name.clone();
                MetricRow {
                    experiment: self.experiment.clone(),
                    dataset: row.dataset.clone(),
                    model,
                    split,
                    group,
                    site,
                    environment: row.environment.clone(),
                    params: row.params.clone(),
                    ..metric_row(&row.metric, &row.estimate)
                }
            })
            .collect()
    }

    fn report(&self) -> Report {
        let verdicts = self.first_verdicts.iter().map(|(text, count)| Verdict {
            text: format!("{count} of {} seeds: {text}", self.seeds.len()),
            tone: Tone::Neutral,
        });
        let rows = self.metrics.iter().filter(|row| row.params.is_none()).map(|row| {
            let [model, split, group, _] = &row.name;
            let about = [model, split, &row.environment, group];
            let mut cells: Vec<Cell> = about.map(|part| part.clone().unwrap_or_default().into()).into();
            cells.push(row.metric.clone().into());
            cells.push(Cell::Number {
                value: row.estimate.value,
                shown: row.estimate.show(4),
            });
            cells.push(row.estimate.n.to_string().into());
            cells
        });
        let table = Table {
            caption: "Mean over seeds with Student's t interval; each seed's own report lies in seeds/".into(),
            columns: [
                "model",
                "split",
                "environment",
                "group",
                "metric",
                "mean [95 %]",
                "seeds",
            ]
            .map(Into::into)
            .into(),
            rows: rows.collect(),
        };
        Report {
            title: format!("{} over {} seeds", self.experiment, self.seeds.len()),
            subtitle: format!("seeds {:?}", self.seeds),
            simulated: self.simulated,
            verdicts: verdicts.collect(),
            sections: vec![Section {
                title: "Numbers".into(),
                text: vec!["The interval is over training seeds: it says how much the training's randomness matters, not how much the sample of rows does.".into()],
                blocks: vec![Block::Table(table)],
            }],
            ..Report::default()
        }
    }

    fn summary(&self) -> String {
        let mut text = format!("{} over {} seeds\n", self.experiment, self.seeds.len());
        for row in self
            .metrics
            .iter()
            .filter(|row| row.params.is_none() && ["roc_auc", "accuracy"].contains(&row.metric.as_str()))
        {
            let [model, split, group, site] = &row.name;
            let about = [model, split, &row.environment, group, site];
            let name: Vec<&str> = about.into_iter().flatten().map(String::as_str).collect();
            text += &format!(
                "  {:<56} {}\n",
                format!("{} {}", name.join(" "), row.metric),
                row.estimate.show(3)
            );
        }
        for (verdict, count) in &self.first_verdicts {
            text += &format!("{count} of {} seeds: {verdict}\n", self.seeds.len());
        }
        text
    }
}

/// A row with an estimate's numbers; the caller adds what it is about.
pub fn metric_row(metric: &str, estimate: &disentangle_analysis::Estimate) -> MetricRow {
    MetricRow {
        metric: metric.into(),
        value: estimate.value,
        low: estimate.low,
        high: estimate.high,
        level: estimate.level,
        interval_method: estimate.method.clone(),
        p: estimate.p,
        q: estimate.q,
        n: estimate.n as u64,
        ..MetricRow::default()
    }
}

#[cfg(test)]
mod tests {
    use disentangle_analysis::Estimate;

    use super::*;

    #[test]
    fn a_row_holds_every_number_of_an_estimate() {
        let estimate = Estimate {
            value: Some(1.0),
            low: Some(2.0),
            high: Some(3.0),
            level: Some(0.95),
            method: Some("bootstrap".into()),
            p: Some(0.1),
            q: Some(0.2),
            n: 7,
            note: None,
        };
        let row = metric_row("accuracy", &estimate);
        assert_eq!(
            (row.value, row.low, row.high, row.level),
            (Some(1.0), Some(2.0), Some(3.0), Some(0.95))
        );
        assert_eq!((row.p, row.q, row.n), (Some(0.1), Some(0.2), 7));
        assert_eq!(
            (row.metric.as_str(), row.interval_method.as_deref()),
            ("accuracy", Some("bootstrap"))
        );
    }
}
