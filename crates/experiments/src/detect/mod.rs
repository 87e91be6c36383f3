//! `experiment detect`: which groups are shortcuts, with nulls, and how often the answer is right where it is known (notebook parts 34 to 36).
//!
//! Detectors see training and validation rows only. On generated rows the standings are held against the true roles over many draws.

mod config;
mod evidence;
mod judge;
mod outcome;
mod plant;
mod render;
mod sections;
mod verdicts;

use burn::tensor::Device;
use disentangle_data::Seed;
use disentangle_models::parallel;

pub use config::DetectSettings;
pub use outcome::{Outcome, RepeatOutcome};

pub(crate) use evidence::{Asked, gather};
pub(crate) use sections::{evidence_table, reasons};
pub(crate) use verdicts::standing_verdicts;

use crate::{Context, Experiment, ExperimentError, rows::LoadedRows};
use evidence::trained;
use outcome::PlantOutcome;
use plant::{Plant, plants};

/// The experiment.
#[derive(Clone, Copy, Debug)]
pub struct Detect;

/// Rows of one's own; generated ones are drawn as they are needed.
#[derive(Debug)]
pub struct Input {
    own: Option<LoadedRows>,
}

impl Experiment for Detect {
    const NAME: &'static str = "detect";
    const ABOUT: &'static str =
        "which groups are shortcuts, with nulls; on generated rows, how often the answer is right over many draws";
    type Config = DetectSettings;
    type Input = Input;
    type Outcome = Outcome;

    fn fast(config: &mut DetectSettings) {
        config.training.epochs = 1;
        (config.repeats, config.trainings, config.rows) = (2, 1, 60);
        (config.tests.permutations, config.window) = (19, 50);
        (config.model.hidden, config.model.feed_forward) = (Some(16), Some(32));
        let rows = &mut config.data.synthetic;
        (rows.samples, rows.validation, rows.test) = (200, 120, 120);
        config.data.ward.patients = 200;
    }

    fn load(config: &DetectSettings, seed: u64, device: &Device) -> Result<Input, ExperimentError> {
        config.check()?;
        let mut own = None;
        for plant in plants(config) {
            // Settings of generators that cannot work are found before a folder is made.
            let rows = plant.draw(config, Seed::new(seed))?;
            config.model.config(&rows.dataset)?.init(Seed::new(seed), device)?;
            if plant == Plant::Own {
                own = Some(rows);
            }
        }
        Ok(Input { own })
    }

    fn input_hash(input: &Input) -> String {
        input.own.as_ref().map_or_else(String::new, |rows| rows.hash.clone())
    }

    fn run(config: &DetectSettings, input: &Input, context: &Context) -> Result<Outcome, ExperimentError> {
        let plants = plants(config);
        let jobs: Vec<(Plant, usize)> = plants
            .iter()
            .flat_map(|plant| {
                let repeats = if plant.generated() { config.repeats } else { 1 };
                (0..repeats).map(move |repeat| (*plant, repeat))
            })
            .collect();
        let bar = context.progress("draws of rows", jobs.len());
        let found = parallel::map(context.threads, &jobs, |&(plant, repeat)| {
            context.go_on()?;
            let seed = context.root().child(&plant.name(config)).index(repeat as u64);
            let drawn;
            let rows = match (&input.own, plant) {
                (Some(own), Plant::Own) => own,
                _ => {
                    drawn = plant.draw(config, seed.child("rows"))?;
                    &drawn
                }
            };
            let environments = seen_environments(rows, seed);
            let notices = rows.dataset.notices.clone();
            let model = match repeat < config.trainings {
                true => Some(trained(config, &rows.dataset, seed, context.device)?),
                false => None,
            };
            let asked = Asked {
                tests: &config.tests,
                rows: config.rows,
                window: config.window,
            };
            let outcome = gather(&asked, rows, model.as_ref(), seed, context.device)?;
            bar.inc(1);
            Ok::<_, ExperimentError>((outcome, environments, notices))
        });
        bar.finish_and_clear();
        let mut found = found.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter();
        let mut notices: Vec<String> = Vec::new();
        let mut outcomes = Vec::new();
        for plant in plants {
            let repeats = if plant.generated() { config.repeats } else { 1 };
            let mut own = Vec::with_capacity(repeats);
            let mut environments = Vec::new();
            for (outcome, names, said) in found.by_ref().take(repeats) {
                if own.is_empty() {
                    environments = names;
                    notices.extend(
                        said.into_iter()
                            .filter(|one| !notices.contains(one))
                            .collect::<Vec<_>>(),
                    );
                }
                own.push(outcome);
            }
            outcomes.push(PlantOutcome {
                name: plant.name(config),
                about: plant.about(config),
                identifiable: plant.identifiable(),
                generated: plant.generated(),
                environments,
                accuracy: judge::accuracy(&own),
                scores: judge::rankings(&own, context.root().child("rankings")),
                repeats: own,
            });
        }
        Ok(Outcome {
            schema_version: 1,
            kind: "run".into(),
            experiment: Self::NAME.into(),
            seed: context.seed,
            simulated: outcomes.iter().all(|plant| plant.generated),
            notices,
            rate: config.tests.false_discovery_rate,
            tolerance: config.tests.tolerance,
            plants: outcomes,
        })
    }
}

/// Names of the environments of the rows that detectors see.
fn seen_environments(rows: &LoadedRows, seed: Seed) -> Vec<String> {
    let seen = plant::visible(rows, seed);
    let mut places: Vec<u32> = seen.iter().map(|&row| rows.dataset.windows[row].environment).collect();
    places.sort_unstable();
    places.dedup();
    let name = |place: u32| rows.dataset.environments.get(place as usize).cloned();
    places.into_iter().filter_map(name).collect()
}
