//! From what every training came to, to the outcome and `times.json`.

use disentangle_data::{Dataset, Role, Split};
use disentangle_models::Family;
use serde::Serialize;

use super::{
    Done, Repeat, Shape, Variants,
    config::VariantsSettings,
    measure::Measured,
    outcome::{FamilyOutcome, Outcome},
    summary,
};
use crate::{Context, Experiment as _, ExperimentError};

/// `times.json`.
#[derive(Serialize)]
struct Times<'a> {
    schema_version: u32,
    /// Trainings that ran beside each other, each on one thread.
    threads: usize,
    families: Vec<FamilyTimes<'a>>,
}

#[derive(Serialize)]
struct FamilyTimes<'a> {
    family: &'a str,
    /// Of each training, by the clock on the wall.
    seconds: &'a [f64],
}

/// `results` holds all trainings of one family after those of the other.
pub(super) fn finish(
    config: &VariantsSettings,
    families: &[Family],
    repeats: &[Repeat],
    results: Vec<Done>,
    context: &Context,
) -> Result<Outcome, ExperimentError> {
    let rows = &repeats[0].rows;
    let dataset = &rows.dataset;
    let mut measured: Vec<Vec<Measured>> = Vec::new();
    let (mut seconds, mut parameters) = (Vec::new(), Vec::new());
    let mut results = results.into_iter();
    for _ in families {
        let own: Vec<Done> = results.by_ref().take(repeats.len()).collect();
        seconds.push(own.iter().map(|one| one.seconds).collect::<Vec<f64>>());
        parameters.push(own.first().map_or(0, |one| one.parameters));
        measured.push(own.into_iter().map(|one| one.measured).collect());
    }
    let mut outcomes = Vec::new();
    for (place, family) in families.iter().enumerate() {
        let shape = Shape::new(*family, dataset);
        let first = (place > 0).then(|| measured[0].as_slice());
        outcomes.push(FamilyOutcome {
            name: family.name().into(),
            shown: shape.words().into(),
            sizes: sizes(config, *family, &shape.dataset(dataset))?,
            parameters: parameters[place],
            ..summary::family(&measured[place], first)
        });
    }
    let times = families.iter().zip(&seconds).map(|(family, seconds)| FamilyTimes {
        family: family.name(),
        seconds,
    });
    let times = Times {
        schema_version: 1,
        threads: context.threads,
        families: times.collect(),
    };
    context.run.write_json(&context.name("times.json"), &times)?;
    let environments: Vec<String> = rows.environments.iter().map(|one| one.name.clone()).collect();
    let shortcut = dataset.groups.iter().find(|group| group.role == Role::Spurious);
    let mut notices = dataset.notices.clone();
    notices.push(config.notice());
    Ok(Outcome {
        schema_version: 1,
        kind: "run".into(),
        experiment: Variants::NAME.into(),
        seed: context.seed,
        dataset: dataset.name.clone(),
        simulated: dataset.simulated,
        notices,
        train_rows: dataset.part(Split::Train).len(),
        repeats: repeats.len(),
        steps: config.steps,
        noise_levels: config.noise_levels.clone(),
        groups: dataset.groups.iter().map(|group| group.name.clone()).collect(),
        shortcut: shortcut.map(|group| group.name.clone()),
        ranking: summary::ranking(&outcomes, &measured, &environments),
        environments,
        families: outcomes,
        seconds,
    })
}

/// Its numbers as `model.json` would hold them, but for those of its input.
fn sizes(config: &VariantsSettings, family: Family, dataset: &Dataset) -> Result<String, ExperimentError> {
    let model = serde_json::to_value(config.model(family, dataset)?)
        .map_err(|error| ExperimentError::Failed(error.to_string()))?;
    let of_input = ["features", "sequence"];
    let numbers = model["config"].as_object().into_iter().flatten();
    let numbers = numbers.filter(|(key, value)| value.is_number() && !of_input.contains(&key.as_str()));
    let shown: Vec<String> = numbers
        .map(|(key, value)| format!("{} {value}", key.replace('_', " ")))
        .collect();
    Ok(shown.join(", "))
}
