//! `experiment invariance`: the unit tests of Aubin et al. (2021) and the structural model of Arjovsky et al. (2019), published figures
//! beside ours, and a method of ours, *invariant directions* (defined in `directions.rs`).
//!
//! Every hyper-parameter, and the features that ours keeps, are chosen on held-out rows of the training environments; what choosing by test
//! rows would have given is printed beside it.

mod adam;
mod converged;
mod directions;
mod local;
mod logistic;
mod methods;
mod moments;
mod objective;
mod outcome;
mod problem;
mod reference;
mod render;
mod sections;
mod structural;

use burn::tensor::Device;
use disentangle_models::parallel;
use serde::{Deserialize, Serialize};

use self::{
    methods::{Effort, Scores, scores},
    problem::PROBLEMS,
    structural::{Errors, VARIANTS, repeat},
};
use crate::{Context, Experiment, ExperimentError};

pub use self::{
    directions::{Basis, Kept},
    outcome::{KeptSets, Outcome, Protocol, Structural, Test},
    reference::Check,
};

/// The experiment.
#[derive(Clone, Copy, Debug)]
pub struct Invariance;

/// The configuration; every key can be set by `--set key=value`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InvarianceSettings {
    /// The published protocol (hours), whatever the keys below say: 50 data seeds, 20 draws, 10,000 rows and steps, 200 repeats.
    pub full: bool,
    /// Data seeds a problem; means and intervals are over them.
    pub data_seeds: usize,
    /// Hyper-parameter draws a method, of which validation chooses one.
    pub draws: usize,
    /// Full-batch Adam steps of a training.
    pub steps: usize,
    /// Rows of an environment in regressions, which are trained from second moments.
    pub rows: usize,
    /// Rows of an environment in classifications, where every step reads all of them: 10,000 in the published runs.
    pub logistic_rows: usize,
    /// Data seeds of the structural model.
    pub repeats: usize,
    /// Steps of each of its trainings.
    pub iterations: usize,
}

impl Default for InvarianceSettings {
    fn default() -> Self {
        Self {
            full: false,
            data_seeds: 5,
            draws: 5,
            steps: 10_000,
            rows: 10_000,
            logistic_rows: 2500,
            repeats: 100,
            iterations: 20_000,
        }
    }
}

impl Experiment for Invariance {
    const NAME: &'static str = "invariance";
    const ABOUT: &'static str = "invariance unit tests (Aubin et al. 2021) and the IRM structural model: published figures beside ours, and a method of ours";
    type Config = InvarianceSettings;
    type Input = ();
    type Outcome = Outcome;

    fn fast(config: &mut InvarianceSettings) {
        (config.data_seeds, config.draws, config.steps) = (2, 2, 200);
        (config.rows, config.logistic_rows) = (1000, 500);
        (config.repeats, config.iterations) = (2, 300);
    }

    fn load(config: &InvarianceSettings, _: u64, _: &Device) -> Result<(), ExperimentError> {
        config.check()
    }

    fn input_hash((): &()) -> String {
        String::new()
    }

    fn run(config: &InvarianceSettings, (): &(), context: &Context) -> Result<Outcome, ExperimentError> {
        let protocol = config.protocol();
        let scores = unit_tests(&protocol, context)?;
        let errors = structural_model(&protocol, context)?;
        Ok(Outcome::new(context.seed, protocol, &scores, &errors))
    }
}

impl InvarianceSettings {
    fn protocol(&self) -> Protocol {
        if self.full {
            return Protocol {
                data_seeds: 50,
                draws: 20,
                steps: 10_000,
                rows: 10_000,
                logistic_rows: 10_000,
                repeats: 200,
                iterations: 20_000,
            };
        }
        Protocol {
            data_seeds: self.data_seeds,
            draws: self.draws,
            steps: self.steps,
            rows: self.rows,
            logistic_rows: self.logistic_rows,
            repeats: self.repeats,
            iterations: self.iterations,
        }
    }

    fn check(&self) -> Result<(), ExperimentError> {
        // Fewer rows hold too few of a class for covariances of ten features; at most 1000 million of anything fits neither memory nor time.
        let counts = [
            ("data_seeds", self.data_seeds, 2, 10_000),
            ("draws", self.draws, 1, 10_000),
            ("steps", self.steps, 1, 100_000_000),
            ("rows", self.rows, 200, 10_000_000),
            ("logistic_rows", self.logistic_rows, 200, 10_000_000),
            ("repeats", self.repeats, 2, 100_000),
            ("iterations", self.iterations, 1, 100_000_000),
        ];
        let refused = counts
            .into_iter()
            .find(|(_, value, least, most)| !(*least..=*most).contains(value));
        match refused {
            None => Ok(()),
            Some((key, value, least, most)) => {
                let reason = format!("`{key} = {value}` cannot be used: expected {least} to {most}");
                Err(ExperimentError::Input(reason))
            }
        }
    }
}

/// Every problem and data seed is a job of its own, with seeds of its own, so that results depend on no number of threads.
fn unit_tests(protocol: &Protocol, context: &Context) -> Result<Vec<Vec<Scores>>, ExperimentError> {
    let effort = Effort {
        rows: protocol.rows,
        logistic_rows: protocol.logistic_rows,
        steps: protocol.steps,
        draws: protocol.draws,
    };
    let jobs: Vec<(usize, u64)> = (0..PROBLEMS.len())
        .flat_map(|problem| (0..protocol.data_seeds as u64).map(move |seed| (problem, seed)))
        .collect();
    let bar = context.progress("unit tests", jobs.len());
    let all = parallel::map(context.threads, &jobs, |&(problem, data)| {
        let seed = context.root().child(PROBLEMS[problem].0).index(data);
        let draws = context.root().child("draws");
        let one = scores(problem, seed, draws, effort, || context.go_on())?;
        bar.inc(1);
        Ok(one)
    });
    bar.finish_and_clear();
    grouped(all, protocol.data_seeds)
}

fn structural_model(protocol: &Protocol, context: &Context) -> Result<Vec<Vec<[Errors; 2]>>, ExperimentError> {
    let jobs: Vec<(usize, u64)> = (0..VARIANTS.len())
        .flat_map(|variant| (0..protocol.repeats as u64).map(move |seed| (variant, seed)))
        .collect();
    let bar = context.progress("structural model", jobs.len());
    let all = parallel::map(context.threads, &jobs, |&(variant, data)| {
        context.go_on()?;
        let variant = VARIANTS[variant];
        let seed = context.root().child("structural").child(variant.name).index(data);
        let errors = repeat(variant, protocol.iterations, seed);
        bar.inc(1);
        errors.ok_or_else(|| {
            ExperimentError::Failed("structural model: the features depend on each other linearly".into())
        })
    });
    bar.finish_and_clear();
    grouped(all, protocol.repeats)
}

/// Results in groups of `size`, or the first error.
fn grouped<T>(all: Vec<Result<T, ExperimentError>>, size: usize) -> Result<Vec<Vec<T>>, ExperimentError> {
    let mut groups: Vec<Vec<T>> = Vec::new();
    for (index, one) in all.into_iter().enumerate() {
        if index % size == 0 {
            groups.push(Vec::with_capacity(size));
        }
        if let Some(last) = groups.last_mut() {
            last.push(one?);
        }
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_refused_by_its_key() {
        assert!(InvarianceSettings::default().check().is_ok());
        let few = InvarianceSettings {
            rows: 10,
            ..InvarianceSettings::default()
        };
        let error = few.check().unwrap_err().to_string();
        assert_eq!(error, "`rows = 10` cannot be used: expected 200 to 10000000");
    }

    #[test]
    fn the_full_protocol_is_the_published_one() {
        let full = InvarianceSettings {
            full: true,
            draws: 1,
            ..InvarianceSettings::default()
        };
        assert_eq!((full.protocol().draws, full.protocol().data_seeds), (20, 50));
        assert_eq!(InvarianceSettings::default().protocol().draws, 5);
    }

    #[test]
    fn groups_keep_their_order_and_the_first_error() {
        let good = (0..6).map(Ok).collect();
        assert_eq!(grouped(good, 3).unwrap(), [[0, 1, 2], [3, 4, 5]]);
        let bad = vec![Ok(0), Err(ExperimentError::Interrupted)];
        assert!(matches!(grouped(bad, 1), Err(ExperimentError::Interrupted)));
    }
}
