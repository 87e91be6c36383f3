//! `experiment toy-superposition`: the toy models of Elhage et al. (2022), and whether ours behave as published.

mod reference;
mod render;

use burn::tensor::Device;
use disentangle_analysis::{
    Estimate,
    dimensionality::{dimensions_per_feature, feature_dimensionality},
    over_seeds,
    toy::{self, ToyConfig, ToyModel},
};
use disentangle_data::Seed;
use disentangle_models::parallel;
use serde::{Deserialize, Serialize};

use crate::{Context, Experiment, ExperimentError};

pub use reference::Check;

/// The experiment.
#[derive(Clone, Copy, Debug)]
pub struct ToySuperposition;

/// The configuration; every key can be set by `--set key=value`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ToySettings {
    /// Densities (1 - sparsity) of five features in two dimensions.
    pub densities: Vec<f64>,
    /// Trainings of each, of which the one with the least loss is kept, as in the paper.
    pub restarts: usize,
    /// Steps of each.
    pub steps: usize,
    /// 1 / density of 200 features in 20 dimensions.
    pub inverse_densities: Vec<f64>,
    /// Trainings of each; mean and interval are reported.
    pub repeats: usize,
    /// Steps of each.
    pub plateau_steps: usize,
    /// Importance of the second of two features over the first, in one dimension.
    pub ratios: Vec<f64>,
    /// Densities of the phase diagram.
    pub phase_densities: Vec<f64>,
    /// Trainings of each of its cells, of which the one with the least loss is kept.
    pub phase_restarts: usize,
    /// Steps of each.
    pub phase_steps: usize,
    /// Fresh rows on which losses are compared.
    pub rows: usize,
}

impl Default for ToySettings {
    fn default() -> Self {
        Self {
            densities: vec![1.0, 0.5, 0.3, 0.25, 0.2, 0.1, 0.05, 0.02],
            restarts: 5,
            steps: 10_000,
            inverse_densities: vec![1.0, 1.5, 2.35, 3.61, 8.0, 20.0],
            repeats: 3,
            plateau_steps: 5000,
            ratios: vec![0.1, 0.2, 0.35, 0.5, 0.7, 1.0],
            phase_densities: vec![
                0.05, 0.15, 0.25, 0.35, 0.4, 0.44, 0.46, 0.48, 0.5, 0.52, 0.56, 0.65, 0.8, 1.0,
            ],
            phase_restarts: 3,
            phase_steps: 4000,
            rows: 200_000,
        }
    }
}

/// Everything that is measured: `metrics.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Of this layout.
    pub schema_version: u32,
    /// `run`.
    pub kind: String,
    /// `toy-superposition`.
    pub experiment: String,
    /// The seed.
    pub seed: u64,
    /// Trainings behind each of `five`.
    pub restarts: usize,
    /// Trainings behind each of `plateau`.
    pub repeats: usize,
    /// Five features in two dimensions, by density.
    pub five: Vec<Five>,
    /// 200 features in 20 dimensions, by density.
    pub plateau: Vec<Plateau>,
    /// Two features in one dimension, by importance and density.
    pub phase: Vec<Phase>,
    /// Published figures beside ours.
    pub checks: Vec<Check>,
}

/// The best of several trainings of five features in two dimensions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Five {
    /// Probability that a feature is present.
    pub density: f64,
    /// D of each feature.
    pub dimensionality: Vec<f64>,
    /// Direction of each feature.
    pub directions: Vec<[f64; 2]>,
    /// Loss on fresh rows of every training, the best first.
    pub losses: Vec<f64>,
}

/// 200 features in 20 dimensions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plateau {
    /// 1 / density.
    pub inverse_density: f64,
    /// m / ‖W‖²_F over trainings.
    pub dimensions_per_feature: Estimate,
    /// D of every feature of the first training.
    pub dimensionality: Vec<f64>,
}

/// One cell of the phase diagram of two features in one dimension.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Phase {
    /// Importance of the second feature over the first.
    pub ratio: f64,
    /// Probability that a feature is present.
    pub density: f64,
    /// |w₂| / |w₁| of the best training: near 0 one feature has the dimension to itself, near 1 both share it.
    pub sharing: f64,
    /// Whether both share it (sharing above one half).
    pub superposed: bool,
    /// The density below which sharing is better by the fixed codes' losses.
    pub closed_form_crossing: f64,
}

impl Experiment for ToySuperposition {
    const NAME: &'static str = "toy-superposition";
    const ABOUT: &'static str = "the toy models of Elhage et al. (2022): phase diagram, dimensionality against sparsity, published figures beside ours";
    type Config = ToySettings;
    type Input = ();
    type Outcome = Outcome;

    fn fast(config: &mut ToySettings) {
        (config.densities, config.restarts, config.steps) = (vec![1.0, 0.1], 2, 400);
        (config.inverse_densities, config.repeats, config.plateau_steps) = (vec![1.0, 3.61], 2, 40);
        (config.ratios, config.phase_densities) = (vec![0.5, 1.0], vec![0.1, 0.9]);
        (config.phase_restarts, config.phase_steps, config.rows) = (1, 200, 10_000);
    }

    fn load(config: &ToySettings, _: u64, _: &Device) -> Result<(), ExperimentError> {
        config.check()
    }

    fn input_hash((): &()) -> String {
        String::new()
    }

    fn run(config: &ToySettings, (): &(), context: &Context) -> Result<Outcome, ExperimentError> {
        let five = five(config, context)?;
        let plateau = plateau(config, context)?;
        let phase = phase(config, context)?;
        let checks = reference::checks(&five, &plateau, &phase);
        Ok(Outcome {
            schema_version: 1,
            kind: "run".into(),
            experiment: Self::NAME.into(),
            seed: context.seed,
            restarts: config.restarts,
            repeats: config.repeats,
            five,
            plateau,
            phase,
            checks,
        })
    }
}

impl ToySettings {
    fn check(&self) -> Result<(), ExperimentError> {
        let refuse = |key: &str, value: String, expected: &str| {
            let reason = format!("`{key} = {value}` cannot be used: expected {expected}");
            Err(ExperimentError::Input(reason))
        };
        let shares = [
            ("densities", &self.densities),
            ("phase_densities", &self.phase_densities),
            ("ratios", &self.ratios),
        ];
        for (key, list) in shares {
            if list.is_empty() || list.iter().any(|x| !(*x > 0.0 && *x <= 1.0)) {
                return refuse(key, format!("{list:?}"), "numbers above 0 and at most 1");
            }
        }
        if self.inverse_densities.is_empty() || self.inverse_densities.iter().any(|x| !(*x >= 1.0 && x.is_finite())) {
            return refuse(
                "inverse_densities",
                format!("{:?}", self.inverse_densities),
                "numbers from 1",
            );
        }
        let counts = [
            ("restarts", self.restarts, 1),
            ("repeats", self.repeats, 2),
            ("phase_restarts", self.phase_restarts, 1),
            ("steps", self.steps, 1),
            ("plateau_steps", self.plateau_steps, 1),
            ("phase_steps", self.phase_steps, 1),
            ("rows", self.rows, 1000),
        ];
        match counts.into_iter().find(|(_, value, least)| value < least) {
            None => Ok(()),
            Some((key, value, least)) => refuse(key, value.to_string(), &format!("at least {least}")),
        }
    }
}

/// Trains every (settings, seed), `context.threads` at a time; stops between trainings on Ctrl-C.
fn train_all(jobs: &[(ToyConfig, Seed)], what: &str, context: &Context) -> Result<Vec<ToyModel>, ExperimentError> {
    let bar = context.progress(what, jobs.len());
    let models = parallel::map(context.threads, jobs, |(config, seed)| {
        context.go_on()?;
        let model = toy::train(config, *seed)?;
        bar.inc(1);
        Ok(model)
    });
    bar.finish_and_clear();
    models.into_iter().collect()
}

/// The trainings of one cell by their loss on the same fresh rows, the best first.
fn by_loss<'m>(models: &'m [ToyModel], config: &ToyConfig, rows: usize, seed: Seed) -> Vec<(f64, &'m ToyModel)> {
    let mut all: Vec<(f64, &ToyModel)> = models
        .iter()
        .map(|model| (model.loss_on(config, rows, seed), model))
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all
}

fn five(settings: &ToySettings, context: &Context) -> Result<Vec<Five>, ExperimentError> {
    let seed = context.root().child("five");
    let config = |density: f64| ToyConfig {
        density,
        steps: settings.steps,
        ..ToyConfig::default()
    };
    let jobs: Vec<(ToyConfig, Seed)> = settings
        .densities
        .iter()
        .flat_map(|&density| (0..settings.restarts).map(move |restart| (config(density), seed.index(restart as u64))))
        .collect();
    let models = train_all(&jobs, "5 features in 2", context)?;
    let cells = settings.densities.iter().zip(models.chunks(settings.restarts));
    let cells = cells.map(|(&density, models)| {
        let sorted = by_loss(models, &config(density), settings.rows, seed.child("fresh"));
        let directions = sorted[0].1.directions();
        Ok(Five {
            density,
            dimensionality: feature_dimensionality("the toy model's W", directions.view())?,
            directions: directions.rows().into_iter().map(|row| [row[0], row[1]]).collect(),
            losses: sorted.iter().map(|(loss, _)| *loss).collect(),
        })
    });
    cells.collect()
}

fn plateau(settings: &ToySettings, context: &Context) -> Result<Vec<Plateau>, ExperimentError> {
    let seed = context.root().child("plateau");
    let config = |inverse: f64| ToyConfig {
        features: 200,
        hidden: 20,
        density: 1.0 / inverse,
        importance: 1.0,
        steps: settings.plateau_steps,
        ..ToyConfig::default()
    };
    let jobs: Vec<(ToyConfig, Seed)> = settings
        .inverse_densities
        .iter()
        .flat_map(|&inverse| (0..settings.repeats).map(move |repeat| (config(inverse), seed.index(repeat as u64))))
        .collect();
    let models = train_all(&jobs, "200 features in 20", context)?;
    let cells = settings.inverse_densities.iter().zip(models.chunks(settings.repeats));
    let cells = cells.map(|(&inverse_density, models)| {
        let each = models
            .iter()
            .map(|model| dimensions_per_feature("the toy model's W", model.directions().view()));
        let each: Vec<Option<f64>> = each.collect::<Result<_, _>>()?;
        Ok(Plateau {
            inverse_density,
            dimensions_per_feature: over_seeds(&each),
            dimensionality: feature_dimensionality("the toy model's W", models[0].directions().view())?,
        })
    });
    cells.collect()
}

fn phase(settings: &ToySettings, context: &Context) -> Result<Vec<Phase>, ExperimentError> {
    let seed = context.root().child("phase");
    let config = |ratio: f64, density: f64| ToyConfig {
        features: 2,
        hidden: 1,
        density,
        importance: ratio,
        steps: settings.phase_steps,
        // Small enough a model to learn faster.
        learning_rate: 3e-3,
        ..ToyConfig::default()
    };
    let grid: Vec<(f64, f64)> = settings
        .ratios
        .iter()
        .flat_map(|&ratio| settings.phase_densities.iter().map(move |&density| (ratio, density)))
        .collect();
    let jobs: Vec<(ToyConfig, Seed)> = grid
        .iter()
        .flat_map(|&(ratio, density)| {
            (0..settings.phase_restarts).map(move |restart| (config(ratio, density), seed.index(restart as u64)))
        })
        .collect();
    let models = train_all(&jobs, "2 features in 1", context)?;
    let cells = grid.iter().zip(models.chunks(settings.phase_restarts));
    let cells = cells.map(|(&(ratio, density), models)| {
        let sorted = by_loss(models, &config(ratio, density), settings.rows, seed.child("fresh"));
        let w = &sorted[0].1.w;
        let (first, second) = (w[[0, 0]].abs(), w[[0, 1]].abs());
        let sharing = first.min(second) / first.max(second).max(f64::MIN_POSITIVE);
        Phase {
            ratio,
            density,
            sharing,
            superposed: sharing > 0.5,
            closed_form_crossing: toy::crossing_density(ratio),
        }
    });
    Ok(cells.collect())
}
