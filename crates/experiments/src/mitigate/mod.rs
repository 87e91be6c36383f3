//! `experiment mitigate`: every strategy from the same initial weights, over several trainings, against plain training (notebook parts 39, 40, 43 and 44
//! with the field's baselines).
//!
//! Strategies train on training rows and stop by validation rows. Which one to take is chosen on validation rows, by mean accuracy and by the
//! worst group's; what an oracle would take, that looks at rows where the shortcut fails, stands beside it.

mod config;
mod finish;
mod impact;
mod intervals;
mod measure;
mod outcome;
mod render;
mod sections;
mod summary;
mod trade_off;
mod verdicts;

use std::time::Instant;

use burn::tensor::Device;
use disentangle_data::{InputLayer, Role, Seed};
use disentangle_mitigation::{Mitigated, Mitigation, MitigationError};
use disentangle_models::{Model, parallel, train::Stop};

pub use config::MitigateSettings;
pub use outcome::Outcome;

use disentangle_report::{Section, Verdict};

use crate::{
    Context, Experiment, ExperimentError, Render as _, causal,
    context::CANCEL,
    rows::{Environment, LoadedRows},
};
use measure::Measured;
use outcome::Skipped;

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
        analyse(config, input, context)
    }
}

impl Input {
    /// Rows that were read, and the group of the shortcut there.
    pub(crate) fn new(config: &MitigateSettings, rows: LoadedRows, group: String) -> Result<Self, ExperimentError> {
        let names = config.names()?;
        Ok(Self { rows, names, group })
    }
}

/// The report's sections.
pub(crate) fn sections_of(outcome: &Outcome) -> Vec<Section> {
    outcome.report().sections
}

/// Its conclusions.
pub(crate) fn verdicts_of(outcome: &Outcome) -> Vec<Verdict> {
    verdicts::verdicts(outcome)
}

/// Every strategy in every training. The model of the strategy that is taken is saved below the context's folder.
pub(crate) fn analyse(config: &MitigateSettings, input: &Input, context: &Context) -> Result<Outcome, ExperimentError> {
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
    finish::finish(config, input, &trainings, results, context)
}

/// The group of the shortcut: the one that is named, else the first that is spurious.
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
            "no group of `{}` is spurious; find the shortcut by experiment detect, or name it by group=NAME, one of: {}",
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
    Done(Box<Done>),
    Skipped(Skipped),
}

struct Done {
    measured: Measured,
    model: Model,
    layer: InputLayer,
    epochs: usize,
    /// Of training, by the clock on the wall.
    seconds: f64,
}

fn trainings(config: &MitigateSettings, input: &Input, context: &Context) -> Result<Vec<Training>, ExperimentError> {
    let asked = config.causal();
    let mut trainings: Vec<Training> = (0..config.repeats)
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
        .collect::<Result<_, ExperimentError>>()?;
    align(&mut trainings);
    Ok(trainings)
}

/// Leaves the environments that every training has, in the order of the first: how many test rows an environment has depends on how rows were
/// divided. The main one comes first even where it is not called the same in each.
fn align(trainings: &mut [Training]) {
    let named = |one: &Training| -> Vec<String> { one.rows.environments.iter().map(|one| one.name.clone()).collect() };
    let names: Vec<Vec<String>> = trainings.iter().map(named).collect();
    for training in trainings {
        let environments = &mut training.rows.environments;
        let order = names[0].iter().enumerate().filter_map(|(index, name)| {
            let everywhere = names.iter().all(|own| own.contains(name));
            match everywhere {
                true => environments.iter().position(|one| one.name == *name),
                false => (index == 0).then_some(0),
            }
        });
        let kept: Vec<Environment> = order.map(|place| environments[place].clone()).collect();
        *environments = kept;
    }
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
    let started = Instant::now();
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
    let seconds = started.elapsed().as_secs_f64();
    match trained {
        Ok(one) if one.trained.stop == Stop::Cancelled => Err(ExperimentError::Interrupted),
        Ok(Mitigated { trained, layer }) => {
            let mut rows = training.rows.clone();
            rows.dataset.layer = layer.clone();
            let measured = measure::measure(config, &rows, &input.group, &trained, training.seed, device)?;
            Ok(Cell::Done(Box::new(Done {
                measured,
                epochs: trained.history.len(),
                model: trained.model,
                layer,
                seconds,
            })))
        }
        // The others can still run: what is missing is said.
        Err(error @ MitigationError::Needs { .. }) => Ok(Cell::Skipped(Skipped {
            strategy: name.into(),
            why: error.to_string(),
        })),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environments_stand_in_one_order() {
        let device = Device::flex();
        let config = MitigateSettings::default();
        let training = |names: &[&str]| {
            let seed = Seed::new(0);
            let mut rows = config.data.load(&[], 100, seed).unwrap();
            let one = rows.environments[0].clone();
            let renamed = names.iter().map(|name| Environment {
                name: (*name).into(),
                ..one.clone()
            });
            rows.environments = renamed.collect();
            let start = causal::start_model(&config.causal(), &rows, seed, &device).unwrap();
            Training { rows, start, seed }
        };
        let mut trainings = [training(&["test", "a", "b", "c"]), training(&["known", "c", "d", "a"])];
        align(&mut trainings);
        let names =
            |one: &Training| -> Vec<String> { one.rows.environments.iter().map(|one| one.name.clone()).collect() };
        assert_eq!(names(&trainings[0]), ["test", "a", "c"]);
        assert_eq!(names(&trainings[1]), ["known", "a", "c"]);
    }
}
