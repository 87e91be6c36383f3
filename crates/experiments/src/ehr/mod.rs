//! `experiment ehr` and `audit`: health records, or any table with subjects, from a leakage audit to subgroups (notebook parts 8, 14, 32, 33).
//!
//! Is the model better than a logistic regression and boosted trees? What does each feature group do where training saw the environment
//! and where it did not? How does the model do on subgroups, and through time? Intervals draw subjects again, not rows.

mod accuse;
mod attributes;
mod config;
mod measure;
mod outcome;
mod remedies;
mod render;
mod sections;
mod stability;
mod subgroup_sections;
mod verdicts;

use burn::tensor::Device;
use disentangle_analysis::Bootstrap;
use disentangle_data::{Seed, audit::AuditCheck};
use disentangle_models::{Classifier, train::Trained};

pub use config::EhrSettings;
pub use outcome::Outcome;

use crate::{Context, Experiment, ExperimentError, cards::ModelCard, causal, rows::Environment, saved, training};
use attributes::{Attribute, attributes};
use measure::Scored;

/// Health records from end to end.
#[derive(Clone, Copy, Debug)]
pub struct Ehr;

/// The same, asked of a table or a dataset of one's own by `audit`.
#[derive(Clone, Copy, Debug)]
pub struct Audit;

/// Rows that were read and checked.
#[derive(Debug)]
pub struct Input {
    seed: u64,
    /// Every row of every environment.
    environments: Vec<Environment>,
    /// One row of each subject.
    causal: causal::Input,
    audit: Vec<AuditCheck>,
    attributes: Vec<Attribute>,
}

/// Single columns that the report names.
const SINGLE_COLUMNS: usize = 10;

impl Experiment for Ehr {
    const NAME: &'static str = "ehr";
    const ABOUT: &'static str =
        "health records: audit, baselines, groups inside and outside the hospitals of training, subgroups, time";
    type Config = EhrSettings;
    type Input = Input;
    type Outcome = Outcome;

    fn fast(config: &mut EhrSettings) {
        config.training.epochs = 3;
        config.data.ward.patients = 250;
        (config.model.hidden, config.model.layers, config.model.feed_forward) = (Some(16), Some(1), Some(32));
        (config.rows, config.few_rows, config.permutations, config.resamples) = (60, 24, 5, 30);
        (config.periods, config.least_cases, config.null_draws) = (2, 10, 19);
        (config.strategies, config.repeats) = (Some("consistency".into()), 2);
    }

    fn load(config: &EhrSettings, seed: u64, device: &Device) -> Result<Input, ExperimentError> {
        config.check()?;
        let root = Seed::new(seed);
        let mut rows = config.data.load_all(&config.environments, root)?;
        if rows.block > 1 {
            let reason = format!(
                "`dataset = {}` holds prices, whose rows follow each other; expected `ward`, a folder with a MEDS dataset, or a table with schema=FILE (for prices: experiment finance)",
                config.data.dataset
            );
            return Err(ExperimentError::Input(reason));
        }
        let (environments, audit) = (rows.environments.clone(), rows.audit.clone());
        let attributes = attributes(&rows.dataset, config.subgroups.as_deref())?;
        rows.one_a_subject(root);
        rows.at_most(config.rows, root)?;
        Ok(Input {
            seed,
            environments,
            causal: causal::Input::new(&config.causal(), rows, root, device)?,
            audit,
            attributes,
        })
    }

    fn input_hash(input: &Input) -> String {
        input.causal.hash().into()
    }

    fn run(config: &EhrSettings, input: &Input, context: &Context) -> Result<Outcome, ExperimentError> {
        run(config, input, context, Self::NAME)
    }
}

impl Experiment for Audit {
    const NAME: &'static str = "audit";
    const ABOUT: &'static str = "your own table or MEDS dataset: leakage, training, importance, causal effects, subgroups, detection, mitigation";
    type Config = EhrSettings;
    type Input = Input;
    type Outcome = Outcome;

    fn fast(config: &mut EhrSettings) {
        Ehr::fast(config);
    }

    fn load(config: &EhrSettings, seed: u64, device: &Device) -> Result<Input, ExperimentError> {
        Ehr::load(config, seed, device)
    }

    fn input_hash(input: &Input) -> String {
        Ehr::input_hash(input)
    }

    fn run(config: &EhrSettings, input: &Input, context: &Context) -> Result<Outcome, ExperimentError> {
        run(config, input, context, Self::NAME)
    }
}

fn run(config: &EhrSettings, input: &Input, context: &Context, name: &str) -> Result<Outcome, ExperimentError> {
    // A simulated ward is drawn anew for every seed, so that rates over seeds are of wards, not of one ward's trainings.
    if config.data.dataset == "ward" && context.seed != input.seed {
        return run(config, &Ehr::load(config, context.seed, context.device)?, context, name);
    }
    let rows = input.causal.rows();
    let dataset = &rows.dataset;
    let asked = config.causal();
    let start = causal::start_model(&asked, rows, context.root(), context.device)?;
    let trained: Trained = training::fit(&start, dataset, &config.training, context)?;
    saved::save(dataset, &trained.model, &rows.preprocess, context)?;
    let model = trained.model.clone();
    let bootstrap = Bootstrap::new(1, config.resamples, context.root().child("subjects"));
    let bar = context.progress("rows and subgroups", 5);
    let step = || {
        bar.inc(1);
        context.go_on()
    };
    let scored = input
        .environments
        .iter()
        .map(|one| Scored::new(dataset, &model, one, &bootstrap, context));
    let scored: Vec<Scored> = scored.collect::<Result<_, _>>()?;
    let Some(main) = scored.first() else {
        return Err(ExperimentError::Failed("there is no environment".into()));
    };
    let performance = measure::performance(dataset, &ModelCard::new(&model).family, &scored)?;
    step()?;
    let attention = measure::attention(dataset, &model, main, context)?;
    step()?;
    let draws = config.null_draws;
    let associations = measure::associations(dataset, &input.attributes, &scored, &bootstrap, draws);
    step()?;
    let threshold = measure::threshold(dataset, &model, context)?;
    let sizes = [config.least_cases, draws];
    let attributes = measure::attribute_groups(dataset, &input.attributes, &scored, threshold, sizes);
    step()?;
    let stability = stability::stability(dataset, &model, main, config.periods, draws, context)?;
    step()?;
    bar.finish_and_clear();
    let causal = causal::analyse(&asked, &input.causal, trained, context)?;
    let detection = remedies::detection(config, rows, &model, context)?;
    context.go_on()?;
    let mitigation = remedies::mitigation(config, rows, &detection, name, context)?;
    let unseen = input
        .environments
        .iter()
        .find(|one| one.unseen)
        .map(|one| one.name.as_str());
    Ok(Outcome {
        schema_version: 1,
        kind: "run".into(),
        experiment: name.into(),
        seed: context.seed,
        audit: input.audit.clone(),
        single_columns: measure::single_columns(dataset, SINGLE_COLUMNS),
        performance,
        gradient_parts: model.parts().iter().map(ToString::to_string).collect(),
        attention,
        associations,
        attributes,
        no_stability: stability.as_ref().err().cloned(),
        stability: stability.ok(),
        accusations: accuse::accusations(&causal, unseen),
        detection,
        no_mitigation: mitigation.as_ref().err().cloned(),
        mitigation: mitigation.ok(),
        causal,
    })
}
