//! `experiment information`: how much information do the sites of a network hold and pass on, how far do they compress it, and how robust are the
//! decisions that come out? (Notebook parts 28 - 31.)

mod config;
mod decide;
mod flow;
mod flow_sections;
mod importance;
mod outcome;
mod render;
mod sections;
mod sites;
mod verdicts;

use burn::tensor::Device;
use disentangle_analysis::{Bootstrap, probing};
use disentangle_data::{Seed, Split};
use disentangle_models::Model;

pub use config::InformationSettings;
pub use outcome::Outcome;

use crate::{
    Context, Experiment, ExperimentError,
    cards::{ModelCard, Training},
    causal,
    rows::{Environment, LoadedRows},
    saved, training,
};
use outcome::DataCard;

/// The experiment.
#[derive(Clone, Copy, Debug)]
pub struct Information;

/// Rows that were read and checked.
#[derive(Debug)]
pub struct Input {
    rows: LoadedRows,
    hash: String,
}

impl Experiment for Information {
    const NAME: &'static str = "information";
    const ABOUT: &'static str =
        "entropy, mutual information and compression from site to site, and how robust and calibrated decisions are";
    type Config = InformationSettings;
    type Input = Input;
    type Outcome = Outcome;

    fn fast(config: &mut InformationSettings) {
        config.training.epochs = 3;
        (config.model.hidden, config.model.feed_forward) = (Some(16), Some(32));
        let rows = &mut config.data.synthetic;
        (rows.samples, rows.validation, rows.test) = (200, 100, 100);
        (config.rows, config.few_rows, config.permutations) = (100, 32, 1);
        (config.resamples, config.site_resamples, config.null_draws) = (200, 20, 19);
        config.directions = 1;
    }

    fn load(config: &InformationSettings, seed: u64, device: &Device) -> Result<Input, ExperimentError> {
        config.check()?;
        let root = Seed::new(seed);
        let rows = config.data.load(&config.environments, config.rows, root)?;
        // Sizes that cannot work, unknown sites and foreign weights are found before a folder is made.
        let model = causal::start_model(&config.causal(), &rows, root, device)?;
        config.study().sites(&model)?;
        let least = 2 * (config.neighbours + 1);
        if let Some(few) = rows.environments.iter().find(|one| one.rows.len() < least) {
            let reason = format!(
                "environment `{}` has {} rows; mutual information with `neighbours = {}` needs at least {least}",
                few.name,
                few.rows.len(),
                config.neighbours
            );
            return Err(ExperimentError::Input(reason));
        }
        let mut hash = blake3::Hasher::new();
        hash.update(rows.hash.as_bytes());
        if let Some(path) = &config.weights {
            let error = |error| ExperimentError::Input(format!("{}: cannot be read: {error}", path.display()));
            hash.update(&std::fs::read(path).map_err(error)?);
        }
        Ok(Input {
            rows,
            hash: hash.finalize().to_hex().to_string(),
        })
    }

    fn input_hash(input: &Input) -> String {
        input.hash.clone()
    }

    fn run(config: &InformationSettings, input: &Input, context: &Context) -> Result<Outcome, ExperimentError> {
        let rows = &input.rows;
        let dataset = &rows.dataset;
        let start = causal::start_model(&config.causal(), rows, context.root(), context.device)?;
        let trained = training::fit(&start, dataset, &config.training, context)?;
        saved::save(dataset, &trained.model, &rows.preprocess, context)?;
        let model = trained.model.clone();
        let asked = Asked {
            config,
            rows,
            model: &model,
            context,
        };
        let bar = context.progress("information", 4);
        let step = || {
            bar.inc(1);
            context.go_on()
        };
        let captured = asked.captured()?;
        let (sites, along) = asked.sites(&captured)?;
        step()?;
        let flows = asked.flows(&captured)?;
        drop(captured);
        step()?;
        let decisions = asked.decisions()?;
        step()?;
        let importance = asked.importance()?;
        step()?;
        bar.finish_and_clear();
        Ok(Outcome {
            schema_version: 1,
            kind: "run".into(),
            experiment: Self::NAME.into(),
            seed: context.seed,
            data: DataCard {
                name: dataset.name.clone(),
                simulated: dataset.simulated,
                features: dataset.features.len(),
                groups: dataset.groups.clone(),
                train_rows: dataset.part(Split::Train).len(),
                notices: dataset.notices.clone(),
            },
            model: ModelCard::new(&model),
            training: Training::new(trained),
            sites,
            along,
            flows,
            flow_settings: asked.flow_settings(),
            decisions,
            importance,
        })
    }
}

/// What all parts of the analysis need.
struct Asked<'a> {
    config: &'a InformationSettings,
    rows: &'a LoadedRows,
    model: &'a Model,
    context: &'a Context<'a>,
}

/// Pieces into which the rows are cut for intervals of sites, at most.
const PIECES: usize = 50;

impl Asked<'_> {
    /// The environment whose rows are the main ones.
    fn main(&self) -> &Environment {
        // At least one environment was loaded.
        &self.rows.environments[0]
    }

    fn seed(&self, name: &str) -> Seed {
        self.context.root().child(name)
    }

    fn logits(&self, x: &ndarray::Array3<f32>) -> Result<Vec<f64>, ExperimentError> {
        Ok(probing::logits(
            self.model,
            x,
            self.context.device,
            self.context.threads,
        )?)
    }

    /// Resamples rows of an environment.
    fn bootstrap(&self) -> Bootstrap {
        Bootstrap::new(self.rows.block, self.config.resamples, self.seed("bootstrap"))
    }

    /// Main rows of input in a piece.
    fn piece(&self) -> usize {
        let rows = self.main().rows.len();
        rows.div_ceil(PIECES.min(rows).max(1)).max(1)
    }

    /// How many pieces the main rows are cut into.
    fn pieces(&self) -> usize {
        self.main().rows.len().div_ceil(self.piece())
    }

    /// Resamples pieces of the main rows, several together where they are shorter than what depends on each other.
    fn piece_bootstrap(&self, name: &str) -> Bootstrap {
        let block = self.rows.block.div_ceil(self.piece());
        Bootstrap::new(block, self.config.site_resamples, self.seed("sites").child(name))
    }
}
