//! From what every training came to, to the outcome and the files of a run.

use disentangle_analysis::Bootstrap;
use disentangle_data::{InputLayer, Split};
use disentangle_models::Model;
use serde::Serialize;

use super::{
    Cell, Done, ERM, Input, Mitigate, Training,
    config::MitigateSettings,
    measure::Measured,
    outcome::{Hardest, Outcome, Skipped, StrategyOutcome, Vary},
    summary::{Summary, chosen},
};
use crate::{Context, Experiment as _, ExperimentError, cards::ModelCard, saved};

/// Resamples of an interval over rows.
const RESAMPLES: usize = 1000;

/// All trainings of one strategy.
#[derive(Default)]
struct Trained {
    measured: Vec<Measured>,
    seconds: Vec<f64>,
    epochs: Vec<usize>,
    /// Of the first training.
    model: Option<(Model, InputLayer)>,
}

/// `times.json`.
#[derive(Serialize)]
struct Times<'a> {
    schema_version: u32,
    /// Trainings that ran beside each other, each on one thread.
    threads: usize,
    strategies: Vec<StrategyTimes<'a>>,
}

#[derive(Serialize)]
struct StrategyTimes<'a> {
    strategy: &'a str,
    /// Of each training, by the clock on the wall.
    seconds: &'a [f64],
    /// Of each training.
    epochs: &'a [usize],
}

pub(super) fn finish(
    config: &MitigateSettings,
    input: &Input,
    trainings: &[Training],
    results: Vec<Cell>,
    context: &Context,
) -> Result<Outcome, ExperimentError> {
    let (trained, skipped) = by_strategy(results, input.names.len());
    let rows = &trainings[0].rows;
    let plain = input.names.iter().position(|name| *name == ERM).unwrap_or(0);
    let groups: Vec<String> = rows.dataset.groups.iter().map(|group| group.name.clone()).collect();
    let labels = rows.environments.iter().map(|one| rows.dataset.labels(&one.rows));
    let bootstrap = Bootstrap::new(rows.block, RESAMPLES, context.root().child("rows"));
    let vary = vary(trainings);
    let same_test_rows = vary == Vary::Fixed && have_same_test_rows(trainings);
    let summary = Summary {
        groups: &groups,
        plain: &trained[plain].measured,
        rows: same_test_rows.then(|| (bootstrap, labels.collect())),
    };
    let strategies = config.strategies()?;
    let mut outcomes: Vec<StrategyOutcome> = Vec::new();
    let (mut seconds, mut times) = (Vec::new(), Vec::new());
    for (name, trained) in input.names.iter().zip(&trained) {
        let about = strategies.iter().find(|one| one.name() == *name);
        // A strategy that ran in some trainings only would be compared on other rows than the others.
        if let (Some(about), true) = (about, trained.measured.len() == trainings.len()) {
            outcomes.push(summary.of(about.as_ref(), &trained.measured));
            seconds.push(trained.seconds.clone());
            times.push(StrategyTimes {
                strategy: name,
                seconds: &trained.seconds,
                epochs: &trained.epochs,
            });
        }
    }
    let environments: Vec<String> = rows.environments.iter().map(|one| one.name.clone()).collect();
    let unseen = rows.environments.iter().find(|one| one.unseen);
    let unseen = unseen.map(|one| one.name.clone());
    let hardest = Hardest::new(&environments, unseen.as_ref(), &outcomes);
    let chosen = chosen(&outcomes, &hardest);
    let taken = input.names.iter().position(|name| *name == chosen.taken());
    if let Some((model, layer)) = taken.and_then(|place| trained[place].model.as_ref()) {
        let mut dataset = rows.dataset.clone();
        dataset.layer = layer.clone();
        saved::save(&dataset, model, &rows.preprocess, context)?;
    }
    let times = Times {
        schema_version: 1,
        threads: context.threads,
        strategies: times,
    };
    context.run.write_json(&context.name("times.json"), &times)?;
    let subjects = rows.dataset.subjects.len();
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
        vary,
        same_test_rows,
        block: rows.block,
        one_a_subject: rows.block == 1 && (2..rows.dataset.windows.len()).contains(&subjects),
        groups,
        environments,
        unseen,
        hardest,
        strategies: outcomes,
        skipped,
        chosen,
        seconds,
    })
}

fn vary(trainings: &[Training]) -> Vary {
    let first = &trainings[0].rows;
    let no_files = blake3::hash(b"").to_hex();
    if first.block == 1 && first.hash == no_files.as_str() {
        return Vary::Drawn;
    }
    let parts = |one: &Training| -> Vec<Split> { one.rows.dataset.windows.iter().map(|window| window.split).collect() };
    let same = trainings[1..].iter().all(|one| parts(one) == parts(&trainings[0]));
    if same { Vary::Fixed } else { Vary::Divided }
}

fn have_same_test_rows(trainings: &[Training]) -> bool {
    let first = &trainings[0].rows.environments;
    trainings.iter().all(|one| {
        let mut own = one.rows.environments.iter().zip(first);
        own.all(|(own, first)| own.rows == first.rows)
    })
}

/// Results of all trainings, one strategy after the other in each, and the strategies that lack something.
fn by_strategy(results: Vec<Cell>, count: usize) -> (Vec<Trained>, Vec<Skipped>) {
    let mut trained: Vec<Trained> = (0..count).map(|_| Trained::default()).collect();
    let mut skipped: Vec<Skipped> = Vec::new();
    for (index, cell) in results.into_iter().enumerate() {
        match cell {
            Cell::Skipped(one) if skipped.iter().any(|other| other.strategy == one.strategy) => {}
            Cell::Skipped(one) => skipped.push(one),
            Cell::Done(done) => {
                let Done {
                    measured,
                    model,
                    layer,
                    epochs,
                    seconds,
                } = *done;
                let own = &mut trained[index % count];
                own.measured.push(measured);
                own.epochs.push(epochs);
                own.seconds.push(seconds);
                own.model.get_or_insert((model, layer));
            }
        }
    }
    (trained, skipped)
}
