//! `experiment claims`: every claim of the notebook's lists of findings (part 49), the measurement that tests it, the threshold fixed beforehand, and
//! what an interval over trainings says: supported, contradicted or undecided.
//!
//! Each repeat draws rows of its own and trains every model of which something is claimed, at sizes that a laptop trains in minutes. All measurements
//! are on rows that training did not see, without dropout.

mod config;
mod figures;
mod judge;
mod list;
mod measure;
mod outcome;
mod question;
mod render;
mod sections;
mod verdicts;

use std::collections::BTreeMap;

use burn::tensor::Device;
use disentangle_data::Seed;
use disentangle_models::parallel;

pub use config::ClaimsSettings;
pub use outcome::Outcome;

use crate::{Context, Experiment, ExperimentError};
use measure::{Given, Numbers, Study};

/// Every metric that tests a claim, and what it is.
pub(crate) fn metrics() -> BTreeMap<&'static str, &'static str> {
    let claims = list::claims();
    let tested = claims.iter().filter_map(|claim| Some(claim.test?.measurement.quality));
    tested.map(|quality| (quality.name(), quality.about())).collect()
}

/// The experiment.
#[derive(Clone, Copy, Debug)]
pub struct Claims;

impl Experiment for Claims {
    const NAME: &'static str = "claims";
    const ABOUT: &'static str =
        "every finding that the notebook claims, what tests it, and a verdict: supported, contradicted or undecided";
    type Config = ClaimsSettings;
    type Input = ();
    type Outcome = Outcome;

    fn fast(config: &mut ClaimsSettings) {
        config.training.epochs = 1;
        (config.repeats, config.samples, config.patients) = (2, 200, 250);
        (config.rows, config.permutations, config.hidden) = (60, 1, 16);
        (config.widths, config.depths) = (vec![8, 16, 32], vec![2, 4]);
        config.granger_draws = 19;
    }

    fn load(config: &ClaimsSettings, seed: u64, device: &Device) -> Result<(), ExperimentError> {
        config.check()?;
        measure::check(&Given {
            settings: config,
            seed: Seed::new(seed),
            device,
        })
    }

    fn input_hash((): &()) -> String {
        // All rows are drawn.
        String::new()
    }

    fn run(config: &ClaimsSettings, (): &(), context: &Context) -> Result<Outcome, ExperimentError> {
        let jobs: Vec<(usize, Study)> = Study::ALL
            .iter()
            .flat_map(|study| (0..config.repeats).map(move |repeat| (repeat, *study)))
            .collect();
        let bar = context.progress("trainings", jobs.len());
        let (root, device) = (context.root().child("claims"), context.device);
        let found = parallel::map(context.threads, &jobs, |&(repeat, study)| {
            context.go_on()?;
            let given = Given {
                settings: config,
                seed: root.index(repeat as u64),
                device,
            };
            let numbers = study.run(&given)?;
            bar.inc(1);
            Ok::<_, ExperimentError>(numbers)
        });
        bar.finish_and_clear();
        let mut repeats = vec![Numbers::default(); config.repeats];
        for ((repeat, _), numbers) in jobs.iter().zip(found) {
            repeats[*repeat].join(numbers?);
        }
        let claims = list::claims();
        Ok(Outcome {
            schema_version: 1,
            kind: "run".into(),
            experiment: Self::NAME.into(),
            seed: context.seed,
            repeats: config.repeats,
            notices: vec![format!(
                "models are small and trained for up to {} epochs: a claim about models of other sizes or other data may fare otherwise",
                config.training.epochs
            )],
            claims: claims.iter().map(|claim| judge::judge(claim, &repeats)).collect(),
        })
    }
}
