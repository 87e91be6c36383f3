//! `experiment mitigate`: every strategy from the same initial weights, over several trainings, against plain training (notebook parts 39, 40 and 43 with
//! the field's baselines).
//!
//! Strategies train on training rows and stop by validation rows. Which one to take is chosen on validation rows, by mean accuracy and by the
//! worst group's; what an oracle would take, that looks at rows where the shortcut fails, stands beside it.

mod config;
mod measure;
mod outcome;
mod render;
mod verdicts;

use burn::tensor::Device;
use disentangle_data::{Role, Seed};
use disentangle_mitigation::{Mitigation, MitigationError};
use disentangle_models::{Model, parallel, train::Stop};

pub use config::MitigateSettings;
pub use outcome::Outcome;

use crate::{Context, Experiment, ExperimentError, cards::ModelCard, causal, context::CANCEL, rows::LoadedRows, saved};
use measure::Measured;
use outcome::{Skipped, StrategyOutcome, chosen, summarised};

/// The experiment.
#[derive(Clone, Copy, Debug)]
pub struct Mitigate;

/// Rows of the first training; those of the others are drawn or divided anew.
#[derive(Debug)]
pub struct Input {
    rows: LoadedRows,
    names: Vec<&'static str>,
    group: String,
}

/// The name of plain training.
pub(crate) const ERM: &str = "erm";

impl Experiment for Mitigate {
    const NAME: &'static str = "mitigate";
    const ABOUT: &'static str =
        "strategies against a shortcut, from the same initial weights: what each costs and what it gains";
    type Config = MitigateSettings;
    type Input = Input;
    type Outcome = Outcome;

    fn fast(config: &mut MitigateSettings) {
        config.training.epochs = 2;
        config.repeats = 2;
        (config.model.hidden, config.model.feed_forward) = (Some(16), Some(32));
        let rows = &mut config.data.synthetic;
        (rows.samples, rows.validation, rows.test) = (200, 120, 120);
        (config.rows, config.permutations) = (100, 2);
        (config.strengths.jtt_epochs, config.strengths.dfr_draws) = (1, 2);
    }

    fn load(config: &MitigateSettings, seed: u64, device: &Device) -> Result<Input, ExperimentError> {
        config.check()?;
        let names = config.names()?;
        let rows = config.data.load(&config.environments, config.rows, Seed::new(seed))?;
        let group = spurious(config, &rows)?;
        causal::start_model(&config.causal(), &rows, Seed::new(seed), device)?;
        Ok(Input { rows, names, group })
    }

    fn input_hash(input: &Input) -> String {
        input.rows.hash.clone()
    }

    fn run(config: &MitigateSettings, input: &Input, context: &Context) -> Result<Outcome, ExperimentError> {
        let trainings = trainings(config, input, context)?;
        let cells: Vec<(usize, &'static str)> = (0..trainings.len())
            .flat_map(|training| input.names.iter().map(move |name| (training, *name)))
            .collect();
        let bar = context.progress("trainings", cells.len());
        let results = parallel::map(context.threads, &cells, |(training, name)| {
            context.go_on()?;
            let result = one(config, input, &trainings[*training], name, context.device);
            bar.inc(1);
            result
        });
        bar.finish_and_clear();
        let results: Vec<Cell> = results.into_iter().collect::<Result<_, _>>()?;
        finish(config, input, &trainings, results, context)
    }
}

/// The group of the shortcut: the one that is named, else every spurious one together.
fn spurious(config: &MitigateSettings, rows: &LoadedRows) -> Result<String, ExperimentError> {
    let groups = &rows.dataset.groups;
    if let Some(name) = &config.group {
        let known: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        return match known.contains(&name.as_str()) {
            true => Ok(name.clone()),
            false => Err(ExperimentError::Input(format!(
                "`group = {name}` cannot be used: expected one of: {}",
                known.join(", ")
            ))),
        };
    }
    let found = groups.iter().find(|group| group.role == Role::Spurious);
    found.map(|group| group.name.clone()).ok_or_else(|| {
        let known: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        ExperimentError::Input(format!(
            "no group of `{}` is spurious; name the shortcut by group=NAME, one of: {}",
            rows.dataset.name,
            known.join(", ")
        ))
    })
}

/// Rows and initial weights of one training.
struct Training {
    rows: LoadedRows,
    start: Model,
    seed: Seed,
}

/// What one strategy came to in one training; a sentence if it could not run.
enum Cell {
    Done(Box<Measured>, Box<Model>),
    Skipped(Skipped),
}

fn trainings(config: &MitigateSettings, input: &Input, context: &Context) -> Result<Vec<Training>, ExperimentError> {
    let asked = config.causal();
    (0..config.repeats)
        .map(|repeat| {
            let seed = context.root().child("trainings").index(repeat as u64);
            // Other rows, or other parts of the same rows, so that intervals hold what samples vary by too.
            let mut rows = config.data.load(&config.environments, config.rows, seed)?;
            for group in &mut rows.dataset.groups {
                if group.name == input.group {
                    group.role = Role::Spurious;
                }
            }
            let start = causal::start_model(&asked, &rows, seed, context.device)?;
            Ok(Training { rows, start, seed })
        })
        .collect()
}

fn one(
    config: &MitigateSettings,
    input: &Input,
    training: &Training,
    name: &'static str,
    device: &Device,
) -> Result<Cell, ExperimentError> {
    let dataset = &training.rows.dataset;
    let failed = |error: MitigationError| ExperimentError::Input(error.to_string());
    let strategies = config.strategies()?;
    let strategy: &dyn Mitigation = strategies
        .iter()
        .find(|one| one.name() == name)
        .ok_or_else(|| ExperimentError::Failed(format!("no strategy is called {name}")))?
        .as_ref();
    let (train, validation) = measure::parts(dataset);
    let shortcut = dataset.group(&input.group).map_or(&[][..], |group| &group.columns);
    let trained = strategy.train(&disentangle_mitigation::Given {
        start: &training.start,
        dataset,
        train: &train,
        validation: &validation,
        shortcut,
        config: &config.training,
        seed: training.seed,
        device,
        threads: 1,
        cancel: &CANCEL,
    });
    match trained {
        Ok(trained) if trained.stop == Stop::Cancelled => Err(ExperimentError::Interrupted),
        Ok(trained) => {
            let measured = measure::measure(config, &training.rows, &input.group, &trained, training.seed, device)?;
            Ok(Cell::Done(Box::new(measured), Box::new(trained.model)))
        }
        // The others can still run: what is missing is said.
        Err(error @ MitigationError::Needs { .. }) => Ok(Cell::Skipped(Skipped {
            strategy: name.into(),
            why: error.to_string(),
        })),
        Err(error) => Err(failed(error)),
    }
}

fn finish(
    config: &MitigateSettings,
    input: &Input,
    trainings: &[Training],
    results: Vec<Cell>,
    context: &Context,
) -> Result<Outcome, ExperimentError> {
    let count = input.names.len();
    let mut skipped: Vec<Skipped> = Vec::new();
    let mut measured: Vec<Vec<Measured>> = vec![Vec::new(); count];
    let mut models: Vec<Option<Model>> = vec![None; count];
    for (index, cell) in results.into_iter().enumerate() {
        let place = index % count;
        match cell {
            Cell::Skipped(one) if skipped.iter().any(|other| other.strategy == one.strategy) => {}
            Cell::Skipped(one) => skipped.push(one),
            Cell::Done(one, model) => {
                measured[place].push(*one);
                models[place].get_or_insert(*model);
            }
        }
    }
    let plain = input.names.iter().position(|name| *name == ERM).unwrap_or(0);
    let strategies = config.strategies()?;
    let mut outcomes: Vec<StrategyOutcome> = Vec::new();
    for (place, name) in input.names.iter().enumerate() {
        let about = strategies.iter().find(|one| one.name() == *name);
        // A strategy that ran in some trainings only would be compared on other rows than the others.
        if let (Some(about), true) = (about, measured[place].len() == trainings.len()) {
            outcomes.push(summarised(about.as_ref(), &measured[place], &measured[plain]));
        }
    }
    let chosen = chosen(&outcomes);
    let rows = &trainings[0].rows;
    let taken = input.names.iter().position(|name| *name == chosen.taken());
    if let Some(model) = taken.and_then(|place| models[place].as_ref()) {
        saved::save(&rows.dataset, model, &rows.preprocess, context)?;
    }
    Ok(Outcome {
        schema_version: 1,
        kind: "run".into(),
        experiment: Mitigate::NAME.into(),
        seed: context.seed,
        dataset: rows.dataset.name.clone(),
        simulated: rows.dataset.simulated,
        notices: rows.dataset.notices.clone(),
        group: input.group.clone(),
        model: ModelCard::new(&trainings[0].start),
        repeats: trainings.len(),
        environments: rows.environments.iter().map(|one| one.name.clone()).collect(),
        unseen: rows
            .environments
            .iter()
            .find(|one| one.unseen)
            .map(|one| one.name.clone()),
        strategies: outcomes,
        skipped,
        chosen,
    })
}
