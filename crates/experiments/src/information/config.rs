//! Keys of `experiment information`.

use std::path::PathBuf;

use disentangle_models::train::TrainConfig;
use serde::{Deserialize, Serialize};

use crate::{ExperimentError, cards::ModelSettings, causal::CausalSettings, rows::RowSettings, study::StudySettings};

/// The configuration; every key can be set by `--set key=value`. Unknown keys are refused where settings are resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct InformationSettings {
    /// The rows: `dataset`, `groups`, `samples`, `lookback`, ...
    #[serde(flatten)]
    pub data: RowSettings,
    /// The model: `model`, `layout`, `hidden`, ...
    #[serde(flatten)]
    pub model: ModelSettings,
    /// Training: `epochs`, `batch`, ...
    #[serde(flatten)]
    pub training: TrainConfig,
    /// Start from these weights.
    pub weights: Option<PathBuf>,
    /// Environments on which decisions are measured, by name; the first holds the main rows. All if empty.
    pub environments: Vec<String>,
    /// Rows of each environment, at most.
    pub rows: usize,
    /// Bootstrap draws of every interval over rows.
    pub resamples: usize,

    /// Sites in forward order; all of the model's if empty.
    pub sites: Vec<String>,
    /// MB that captured activations may take; beyond it moments are streamed, and what passes between sites is not measured.
    pub memory: usize,
    /// Bootstrap draws of every interval over pieces of the rows, for sites.
    pub site_resamples: usize,
    /// Principal components in the Gaussian entropy.
    pub components: usize,
    /// Neighbours of the mutual information.
    pub neighbours: usize,
    /// Standard deviation of the noise that both sites are given before their mutual information is estimated.
    pub noise: f64,

    /// Rows for the importance of columns, at most.
    pub few_rows: usize,
    /// Permutations of each column.
    pub permutations: usize,
    /// Random directions in which every row is moved.
    pub directions: usize,
    /// Draws of labels from the model's own probabilities, the null of the calibration error.
    pub null_draws: usize,
}

impl Default for InformationSettings {
    fn default() -> Self {
        Self {
            data: RowSettings::default(),
            model: ModelSettings::default(),
            training: TrainConfig::default(),
            weights: None,
            environments: Vec::new(),
            rows: 1000,
            resamples: 500,
            sites: Vec::new(),
            memory: 1000,
            site_resamples: 200,
            components: 10,
            neighbours: 3,
            noise: 0.1,
            few_rows: 400,
            permutations: 10,
            directions: 5,
            null_draws: 199,
        }
    }
}

/// Matrices of rows by rows are held for the sites.
const MOST_ROWS: usize = 5000;

impl InformationSettings {
    pub(super) fn check(&self) -> Result<(), ExperimentError> {
        for (key, value, least, most) in [
            ("rows", self.rows, 20, MOST_ROWS),
            ("resamples", self.resamples, 200, 1_000_000),
            ("site_resamples", self.site_resamples, 1, 1_000_000),
            ("components", self.components, 1, 1_000_000),
            ("neighbours", self.neighbours, 1, 15),
            ("few_rows", self.few_rows, 2, 1_000_000),
            ("permutations", self.permutations, 1, 1_000_000),
            ("directions", self.directions, 1, 1_000_000),
            ("null_draws", self.null_draws, 19, 1_000_000),
        ] {
            if !(least..=most).contains(&value) {
                let reason = format!("`{key} = {value}` cannot be used: expected {least} to {most}");
                return Err(ExperimentError::Input(reason));
            }
        }
        if !(self.noise > 0.0 && self.noise <= 10.0) {
            let reason = format!(
                "`noise = {}` cannot be used: expected a number above 0, at most 10; without noise what one site says of the next is infinite",
                self.noise
            );
            return Err(ExperimentError::Input(reason));
        }
        self.study().check()?;
        self.causal().check()
    }

    /// What is asked of the sites.
    pub(super) fn study(&self) -> StudySettings {
        StudySettings {
            sites: self.sites.clone(),
            memory: self.memory,
            ..StudySettings::default()
        }
    }

    /// How the model is made and trained.
    pub(super) fn causal(&self) -> CausalSettings {
        CausalSettings {
            data: self.data.clone(),
            model: self.model.clone(),
            training: self.training.clone(),
            weights: self.weights.clone(),
            environments: self.environments.clone(),
            rows: self.rows,
            resamples: self.resamples,
            ..CausalSettings::default()
        }
    }
}
