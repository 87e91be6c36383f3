//! `experiment components`: what do the attention, feed-forward and normalisation parts of one model do, before and after training? (Notebook part
//! 48, which fed raw features to inner parts.)

mod attention;
mod config;
mod importance;
mod outcome;
mod render;
mod sections;
mod sites;
mod verdicts;
mod weight_sections;
mod weights;

use burn::tensor::Device;
use disentangle_analysis::{
    Bootstrap,
    classification::{RankedScores, accuracy},
    importance::weighted_mean,
    probing,
};
use disentangle_data::{Seed, Split};
use disentangle_models::{Classifier, Family, Model};
use ndarray::Array3;

pub use config::ComponentsSettings;
pub use outcome::Outcome;
pub(crate) use sites::attention_means;

use crate::{
    Context, Experiment, ExperimentError,
    cards::{ModelCard, Training},
    rows::{Environment, LoadedRows},
    saved, training,
    variants::Shape,
};
use attention::AttentionRows;
use outcome::{DataCard, Stage};
use weights::{Parameter, parameters};

/// The experiment.
#[derive(Clone, Copy, Debug)]
pub struct Components;

/// Rows that were read and checked.
#[derive(Debug)]
pub struct Input {
    rows: LoadedRows,
}

impl Experiment for Components {
    const NAME: &'static str = "components";
    const ABOUT: &'static str =
        "attention, feed-forward and normalisation parts of one model: focus, weights, interaction, importance";
    type Config = ComponentsSettings;
    type Input = Input;
    type Outcome = Outcome;

    fn fast(config: &mut ComponentsSettings) {
        config.training.epochs = 3;
        (config.model.hidden, config.model.feed_forward) = (Some(16), Some(32));
        let rows = &mut config.data.synthetic;
        (rows.samples, rows.validation, rows.test) = (200, 100, 100);
        (config.rows, config.resamples) = (60, 50);
    }

    fn load(config: &ComponentsSettings, seed: u64, device: &Device) -> Result<Input, ExperimentError> {
        config.check()?;
        let root = Seed::new(seed);
        let chosen: Vec<String> = config.environment.iter().cloned().collect();
        let rows = config.data.load(&chosen, config.rows, root)?;
        // Sizes that cannot work are found before a folder is made.
        let family = config.model.family(rows.dataset.lookback);
        let shaped = Shape::new(family, &rows.dataset).dataset(&rows.dataset);
        config.config(family, &shaped)?.init(root, device)?;
        Ok(Input { rows })
    }

    fn input_hash(input: &Input) -> String {
        input.rows.hash.clone()
    }

    fn run(config: &ComponentsSettings, input: &Input, context: &Context) -> Result<Outcome, ExperimentError> {
        let rows = &input.rows;
        let dataset = &rows.dataset;
        let family = config.model.family(dataset.lookback);
        let shape = Shape::new(family, dataset);
        let shaped = shape.dataset(dataset);
        let start = config
            .config(family, &shaped)?
            .init(context.root().child("model"), context.device)?;
        let trained = training::fit(&start, &shaped, &config.training, context)?;
        let mut notices = dataset.notices.clone();
        if shape == Shape::AsTheyAre {
            saved::save(dataset, &trained.model, &rows.preprocess, context)?;
        } else {
            notices.push(format!(
                "rows are shown to `{}` with {}, which `predict` cannot do: the model is not kept",
                family.name(),
                shape.words()
            ));
        }
        notices.extend(says_nothing(&start, family));
        // At least one environment was loaded.
        let main = &rows.environments[0];
        let asked = Asked {
            x: shape.rows(&dataset.inputs(&main.rows)),
            labels: dataset.labels(&main.rows),
            bootstrap: Bootstrap::new(rows.block, config.resamples, context.root().child("bootstrap")),
            context,
        };
        let bar = context.progress("components", 2);
        let at_start = parameters(&start);
        let (initial, before) = asked.stage(&start, &at_start)?;
        bar.inc(1);
        let (after_training, after) = asked.stage(&trained.model, &at_start)?;
        bar.inc(1);
        bar.finish_and_clear();
        let pairs = after.iter().zip(&before);
        Ok(Outcome {
            schema_version: 1,
            kind: "run".into(),
            experiment: Self::NAME.into(),
            seed: context.seed,
            data: card(rows, main, &shape, notices),
            model: ModelCard::new(&trained.model),
            training: Training::new(trained),
            initial,
            trained: after_training,
            changes: pairs
                .map(|(after, before)| after.change(before, &asked.bootstrap))
                .collect(),
        })
    }
}

fn card(rows: &LoadedRows, main: &Environment, shape: &Shape, notices: Vec<String>) -> DataCard {
    DataCard {
        name: rows.dataset.name.clone(),
        simulated: rows.dataset.simulated,
        shown: shape.words().into(),
        train_rows: rows.dataset.part(Split::Train).len(),
        environment: main.name.clone(),
        about: main.about.clone(),
        rows: main.rows.len(),
        notices,
    }
}

/// A model whose attention has one key does not attend.
fn says_nothing(model: &Model, family: Family) -> Option<String> {
    let keys = model
        .sites()
        .into_iter()
        .filter(|site| site.name.ends_with("attn.pattern"));
    let one_key = keys.map(|site| site.axes[2]).max() == Some(1);
    one_key.then(|| {
        format!(
            "every attention of `{}` has one key here, so that it is the constant 1: its focus is undefined",
            family.name()
        )
    })
}

/// What all parts of the analysis need.
struct Asked<'a> {
    /// The main rows in the model's shape.
    x: Array3<f32>,
    labels: Vec<f32>,
    /// Resamples these rows.
    bootstrap: Bootstrap,
    context: &'a Context<'a>,
}

impl Asked<'_> {
    fn seed(&self, name: &str) -> Seed {
        self.context.root().child(name)
    }

    /// Everything about a model; `start` holds the parameters before training.
    fn stage(&self, model: &Model, start: &[Parameter]) -> Result<(Stage, Vec<AttentionRows>), ExperimentError> {
        let logits = probing::logits(model, &self.x, self.context.device, self.context.threads)?;
        let ranked = RankedScores::new(&logits, &self.labels);
        let auc = self
            .bootstrap
            .estimate_weighted(logits.len(), |weights| ranked.auc(weights));
        let own = parameters(model);
        let sites = self.sites(model)?;
        let stage = Stage {
            accuracy: weighted_mean(&self.bootstrap, &right(&logits, &self.labels)).within(0.0, 1.0),
            auc: auc.within(0.0, 1.0),
            attention: sites.attention.iter().map(|rows| rows.part(&self.bootstrap)).collect(),
            weights: own
                .iter()
                .zip(start)
                .map(|(own, start)| own.part(start))
                .collect::<Result<_, _>>()?,
            activations: sites.activations,
            compared: sites.compared,
            interactions: sites.interactions,
            importance: self.importance(model, &own, &logits)?,
        };
        Ok((stage, sites.attention))
    }
}

/// Whether each row is on the right side, 0 or 1.
fn right(logits: &[f64], labels: &[f32]) -> Vec<f64> {
    let rows = logits.iter().zip(labels);
    rows.map(|(z, y)| accuracy(&[*z], &[*y]).unwrap_or(0.0)).collect()
}
