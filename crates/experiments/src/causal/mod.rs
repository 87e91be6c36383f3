//! `experiment causal`: what does each feature group do to the output, where in the network does that travel, how robust is the output,
//! and to what can it be attributed? (Notebook parts 16, 21 - 25, integrated gradients of 47.)

mod attribute;
mod config;
mod disturb;
mod effect_sections;
mod effects;
mod impact;
mod interact;
mod outcome;
mod places;
mod render;
mod sections;
mod verdicts;

use burn::tensor::Device;
use disentangle_analysis::{
    Bootstrap,
    classification::{RankedScores, accuracy},
    importance::weighted_mean,
    probing,
};
use disentangle_data::{Seed, Split};
use disentangle_models::{Classifier, Model, train::Trained, weights};
use disentangle_report::{Section, Verdict};
use ndarray::Array3;

pub use config::{CausalSettings, Orientation};
pub use outcome::Outcome;

use crate::{
    Context, Experiment, ExperimentError,
    cards::{ModelCard, Training},
    rows::{Environment, LoadedRows},
    saved, training,
};
use outcome::{DataCard, EnvironmentCard};
use places::Plan;

/// The experiment.
#[derive(Clone, Copy, Debug)]
pub struct Causal;

/// Rows that were read and checked.
#[derive(Debug)]
pub struct Input {
    rows: LoadedRows,
    plan: Plan,
    hash: String,
}

impl Experiment for Causal {
    const NAME: &'static str = "causal";
    const ABOUT: &'static str =
        "interventions: where in the network a group's effect travels, robustness, interactions, attributions";
    type Config = CausalSettings;
    type Input = Input;
    type Outcome = Outcome;

    fn fast(config: &mut CausalSettings) {
        config.training.epochs = 3;
        let rows = &mut config.data.synthetic;
        (rows.samples, rows.validation, rows.test) = (200, 100, 100);
        (config.rows, config.few_rows, config.permutations, config.resamples) = (100, 32, 5, 50);
        (config.draws, config.noise_draws, config.interaction_draws) = (1, 1, 2);
        (config.background, config.flips, config.steps) = (4, 99, 8);
        config.most_positions = 8;
    }

    fn load(config: &CausalSettings, seed: u64, device: &Device) -> Result<Input, ExperimentError> {
        config.check()?;
        let root = Seed::new(seed);
        let rows = config.data.load(&config.environments, config.rows, root)?;
        // Sizes that cannot work, unknown places and foreign weights are found before a folder is made.
        Input::new(config, rows, root, device)
    }

    fn input_hash(input: &Input) -> String {
        input.hash.clone()
    }

    fn run(config: &CausalSettings, input: &Input, context: &Context) -> Result<Outcome, ExperimentError> {
        let dataset = &input.rows.dataset;
        let start = start_model(config, &input.rows, context.root(), context.device)?;
        let trained = training::fit(&start, dataset, &config.training, context)?;
        saved::save(dataset, &trained.model, &input.rows.preprocess, context)?;
        analyse(config, input, trained, context)
    }
}

impl Input {
    /// Checks what is asked of rows that were read.
    pub(crate) fn new(
        config: &CausalSettings,
        rows: LoadedRows,
        seed: Seed,
        device: &Device,
    ) -> Result<Self, ExperimentError> {
        let model = start_model(config, &rows, seed, device)?;
        let plan = Plan::new(config, &rows.dataset, &model, device)?;
        disturb::columns(config, &rows.dataset, &plan)?;
        let mut hash = blake3::Hasher::new();
        hash.update(rows.hash.as_bytes());
        if let Some(path) = &config.weights {
            let error = |error| ExperimentError::Input(format!("{}: cannot be read: {error}", path.display()));
            hash.update(&std::fs::read(path).map_err(error)?);
        }
        Ok(Self {
            rows,
            plan,
            hash: hash.finalize().to_hex().to_string(),
        })
    }

    /// Of the rows and of the weights to start from.
    pub(crate) fn hash(&self) -> &str {
        &self.hash
    }

    pub(crate) fn rows(&self) -> &LoadedRows {
        &self.rows
    }
}

/// Importance, effects, robustness, interactions and attributions of a trained model.
pub(crate) fn analyse(
    config: &CausalSettings,
    input: &Input,
    trained: Trained,
    context: &Context,
) -> Result<Outcome, ExperimentError> {
    let model = trained.model.clone();
    let asked = Asked {
        config,
        input,
        model: &model,
        bootstrap: Bootstrap::new(input.rows.block, config.resamples, context.root().child("bootstrap")),
        context,
    };
    let bar = context.progress("causal analyses", 6);
    let step = || {
        bar.inc(1);
        context.go_on()
    };
    let data = asked.data_card()?;
    let importance = asked.importance()?;
    let interventions = asked.interventions()?;
    step()?;
    let total_effects = asked.total_effects()?;
    step()?;
    let traced = asked.traced()?;
    step()?;
    let robustness = asked.robustness()?;
    step()?;
    let interactions = asked.interactions()?;
    step()?;
    let attribution = asked.attribution()?;
    step()?;
    bar.finish_and_clear();
    Ok(Outcome {
        schema_version: 1,
        kind: "run".into(),
        experiment: Causal::NAME.into(),
        seed: context.seed,
        data,
        model: ModelCard::new(&model),
        training: Training::new(trained),
        importance,
        interventions,
        total_effects,
        traced,
        robustness,
        interactions,
        attribution,
    })
}

pub(crate) fn start_model(
    config: &CausalSettings,
    rows: &LoadedRows,
    seed: Seed,
    device: &Device,
) -> Result<Model, ExperimentError> {
    let dataset = &rows.dataset;
    let model = config.model.config(dataset)?.init(seed.child("model"), device)?;
    let found = [dataset.lookback, dataset.features.len()];
    if model.input_shape() != found {
        let [positions, features] = model.input_shape();
        let reason = format!(
            "`model = {}` takes {positions} rows of {features} features, but a window of `{}` has {} rows of {}",
            config.model.family(dataset.lookback).name(),
            dataset.name,
            found[0],
            found[1]
        );
        return Err(ExperimentError::Input(reason));
    }
    match &config.weights {
        None => Ok(model),
        Some(path) => Ok(weights::load(model, path, device)?),
    }
}

/// The sections of its report.
pub(crate) fn sections_of(outcome: &Outcome) -> Vec<Section> {
    let mut all = sections::all(outcome);
    all.push(render::data(outcome));
    all
}

/// The conclusions of its report.
pub(crate) fn verdicts_of(outcome: &Outcome) -> Vec<Verdict> {
    verdicts::verdicts(outcome)
}

/// What all parts of the analysis need.
struct Asked<'a> {
    config: &'a CausalSettings,
    input: &'a Input,
    model: &'a Model,
    bootstrap: Bootstrap,
    context: &'a Context<'a>,
}

impl Asked<'_> {
    /// The environment whose rows are the main ones.
    fn main(&self) -> &Environment {
        // At least one environment was loaded.
        &self.input.rows.environments[0]
    }

    fn inputs(&self, rows: &[usize]) -> Array3<f32> {
        self.input.rows.dataset.inputs(rows)
    }

    fn logits(&self, x: &Array3<f32>) -> Result<Vec<f64>, ExperimentError> {
        Ok(probing::logits(
            self.model,
            x,
            self.context.device,
            self.context.threads,
        )?)
    }

    fn seed(&self, name: &str) -> Seed {
        self.context.root().child(name)
    }

    /// The main rows, as few as analyses that take long ask for: evenly spaced where rows are independent, else the latest.
    fn few(&self) -> Vec<usize> {
        let rows = &self.main().rows;
        let few = self.config.few_rows.min(rows.len());
        match self.input.rows.block {
            1 => (0..few).map(|place| rows[place * rows.len() / few]).collect(),
            _ => rows[rows.len() - few..].to_vec(),
        }
    }

    fn data_card(&self) -> Result<DataCard, ExperimentError> {
        let rows = &self.input.rows;
        let dataset = &rows.dataset;
        let mut environments = Vec::new();
        for environment in &rows.environments {
            let labels = dataset.labels(&environment.rows);
            let logits = self.logits(&self.inputs(&environment.rows))?;
            let n = labels.len();
            let ranked = RankedScores::new(&logits, &labels);
            let right = right(&logits, &labels);
            let windows = || environment.rows.iter().map(|&row| &dataset.windows[row]);
            let share = |count: usize| count as f64 / n as f64;
            let known = windows().all(|window| window.shortcut.is_some());
            environments.push(EnvironmentCard {
                name: environment.name.clone(),
                about: environment.about.clone(),
                rows: n,
                positive: share(labels.iter().filter(|&&y| y > 0.5).count()),
                agreement: known.then(|| share(windows().filter(|w| w.shortcut == Some(w.label)).count())),
                auc: self
                    .bootstrap
                    .estimate_weighted(n, |weights| ranked.auc(weights))
                    .within(0.0, 1.0),
                accuracy: weighted_mean(&self.bootstrap, &right).within(0.0, 1.0),
            });
        }
        Ok(DataCard {
            name: dataset.name.clone(),
            simulated: dataset.simulated,
            features: dataset.features.clone(),
            groups: dataset.groups.clone(),
            train_rows: dataset.part(Split::Train).len(),
            environments,
            notices: dataset.notices.clone(),
        })
    }
}

/// Whether each row is on the right side, 0 or 1.
fn right(logits: &[f64], labels: &[f32]) -> Vec<f64> {
    let rows = logits.iter().zip(labels);
    rows.map(|(z, y)| accuracy(&[*z], &[*y]).unwrap_or(0.0)).collect()
}
