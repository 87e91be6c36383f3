//! Keys of `experiment claims`.

use disentangle_models::train::TrainConfig;
use serde::{Deserialize, Serialize};

use crate::ExperimentError;

/// The configuration; every key can be set by `--set key=value`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClaimsSettings {
    /// Training of every model: `epochs`, `batch`, ...
    #[serde(flatten)]
    pub training: TrainConfig,
    /// Trainings of each model, each on rows of its own.
    pub repeats: usize,
    /// Training rows of the biased generator.
    pub samples: usize,
    /// Patients of the simulated ward.
    pub patients: usize,
    /// Rows of each environment on which models are asked, at most.
    pub rows: usize,
    /// Permutations of a group, averaged.
    pub permutations: usize,
    /// Width of models of which one size is trained; a multiple of 4, because they have 4 heads.
    pub hidden: usize,
    /// Widths of the small and of the large model, ascending; the last is that of the small model that is asked everything else.
    pub widths: Vec<usize>,
    /// Layers of the large model, ascending.
    pub depths: Vec<usize>,
    /// Days in a window of the importance series.
    pub window: usize,
    /// Draws of the Granger bootstrap.
    pub granger_draws: usize,
}

impl Default for ClaimsSettings {
    fn default() -> Self {
        Self {
            training: TrainConfig {
                epochs: 15,
                ..TrainConfig::default()
            },
            repeats: 5,
            samples: 1000,
            patients: 600,
            rows: 300,
            permutations: 3,
            hidden: 32,
            widths: vec![16, 32, 64],
            depths: vec![2, 4, 8],
            window: 20,
            granger_draws: 99,
        }
    }
}

/// Heads of every model.
pub(super) const HEADS: usize = 4;

impl ClaimsSettings {
    pub(super) fn check(&self) -> Result<(), ExperimentError> {
        for (key, value, least, most) in [
            ("repeats", self.repeats, 2, 1000),
            ("samples", self.samples, 50, 1_000_000),
            ("patients", self.patients, 200, 1_000_000),
            ("rows", self.rows, 20, 1_000_000),
            ("permutations", self.permutations, 1, 10_000),
            ("hidden", self.hidden, HEADS, 4096),
            ("window", self.window, 5, 1000),
            ("granger_draws", self.granger_draws, 19, 1_000_000),
        ] {
            if !(least..=most).contains(&value) {
                let reason = format!("`{key} = {value}` cannot be used: expected {least} to {most}");
                return Err(ExperimentError::Input(reason));
            }
        }
        if !self.hidden.is_multiple_of(HEADS) {
            let reason = format!(
                "`hidden = {}` cannot be used: expected a multiple of {HEADS}",
                self.hidden
            );
            return Err(ExperimentError::Input(reason));
        }
        for (key, sizes, multiple, most) in [("widths", &self.widths, HEADS, 4096), ("depths", &self.depths, 1, 64)] {
            let fits = |size: &usize| *size > 0 && *size <= most && size.is_multiple_of(multiple);
            let ascending = sizes.windows(2).all(|pair| pair[0] < pair[1]);
            if sizes.len() < 2 || !ascending || !sizes.iter().all(fits) {
                let reason = format!(
                    "`{key} = {sizes:?}` cannot be used: expected at least two ascending multiples of {multiple}, up to {most}"
                );
                return Err(ExperimentError::Input(reason));
            }
        }
        Ok(self.training.check()?)
    }
}
