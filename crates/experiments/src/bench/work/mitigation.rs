//! The mitigation suite: trainings by several strategies side by side, as `experiment mitigate` runs them by default.

use burn::tensor::Device;
use disentangle_data::{Dataset, Role, Seed, Split};
use disentangle_mitigation::{Given, MitigationError, strategies};
use disentangle_models::{
    Model, parallel,
    train::{Monitor, TrainConfig},
};
use serde_json::{Map, Value};

use super::EPOCHS;
use crate::{
    CANCEL, ExperimentError,
    bench::measure::{Answer, Job},
    mitigate::MitigateSettings,
};

/// Plain training, and one strategy for each way in which a step can differ: gradients of parts, other rows and
/// weights of groups, other inputs.
const STRATEGIES: [&str; 4] = ["erm", "pcgrad", "group_dro", "adversarial"];

/// Rows and initial weights, the same for every strategy.
struct Training {
    dataset: Dataset,
    start: Model,
    seed: Seed,
}

/// Four strategies, five trainings each, all epochs without validation; the number is the mean of their last losses.
pub(crate) fn mitigation(job: &Job) -> Result<Answer, ExperimentError> {
    let (device, settings) = (job.device, MitigateSettings::default());
    let trainings = (0..settings.repeats as u64).map(|repeat| {
        let seed = Seed::new(repeat);
        let dataset = settings.data.synthetic.dataset(seed)?;
        let start = settings.model.config(&dataset)?.init(seed, device)?;
        Ok(Training { dataset, start, seed })
    });
    let trainings: Vec<Training> = trainings.collect::<Result<_, ExperimentError>>()?;
    let cells: Vec<(&Training, &str)> = trainings
        .iter()
        .flat_map(|training| STRATEGIES.map(|name| (training, name)))
        .collect();
    let all = || {
        let found = parallel::map(job.threads, &cells, |(training, name)| {
            last_loss(&settings, training, name, EPOCHS, device)
        });
        found.into_iter().collect::<Result<Vec<f64>, ExperimentError>>()
    };
    let warm_up = || last_loss(&settings, &trainings[0], STRATEGIES[0], 1, device).map(|_| ());
    let rows = settings.data.synthetic.samples * cells.len() * EPOCHS;
    let (mut answer, losses) = job.time(rows, warm_up, all)?;
    let by_strategy: Map<String, Value> = STRATEGIES
        .iter()
        .map(|&name| {
            let own = cells.iter().zip(&losses).filter(|((_, other), _)| *other == name);
            let own: Vec<f64> = own.map(|(_, loss)| *loss).collect();
            (name.to_string(), mean(&own).into())
        })
        .collect();
    answer.number = Some(mean(&losses));
    answer.extra.insert("losses".into(), by_strategy.into());
    job.check_logits(&mut answer, &trainings[0].start, &trainings[0].dataset)?;
    Ok(answer)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Trains on one thread and returns the last epoch's objective.
fn last_loss(
    settings: &MitigateSettings,
    training: &Training,
    name: &str,
    epochs: usize,
    device: &Device,
) -> Result<f64, ExperimentError> {
    let failed = |error: MitigationError| ExperimentError::Failed(error.to_string());
    let dataset = &training.dataset;
    let strategies = strategies(&settings.strengths).map_err(failed)?;
    let strategy = strategies
        .iter()
        .find(|one| one.name() == name)
        .ok_or_else(|| ExperimentError::Failed(format!("no strategy is called {name}")))?;
    let shortcut = dataset.groups.iter().find(|group| group.role == Role::Spurious);
    let config = TrainConfig {
        epochs,
        patience: 0,
        monitor: Monitor::Off,
        ..settings.training.clone()
    };
    let trained = strategy
        .train(&Given {
            start: &training.start,
            dataset,
            train: &dataset.part(Split::Train),
            // The peer does not validate; one row is the least that the engine takes.
            validation: &dataset.part(Split::Validation)[..1],
            shortcut: shortcut.map_or(&[][..], |group| &group.columns),
            config: &config,
            seed: training.seed,
            device,
            threads: 1,
            cancel: &CANCEL,
        })
        .map_err(failed)?;
    Ok(trained
        .trained
        .history
        .last()
        .map_or(f64::NAN, |epoch| epoch.train_loss))
}
