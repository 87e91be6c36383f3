//! Keys of `experiment components`.

use disentangle_data::Dataset;
use disentangle_models::{Family, ModelConfig, train::TrainConfig};
use serde::{Deserialize, Serialize};

use crate::{ExperimentError, cards::ModelSettings, rows::RowSettings};

/// The configuration; every key can be set by `--set key=value`. Unknown keys are refused where settings are resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ComponentsSettings {
    /// The rows: `dataset`, `groups`, `samples`, `lookback`, ...
    #[serde(flatten)]
    pub data: RowSettings,
    /// The model: `model`, `layout`, `hidden`, ...
    #[serde(flatten)]
    pub model: ModelSettings,
    /// Training: `epochs`, `batch`, ...
    #[serde(flatten)]
    pub training: TrainConfig,
    /// The environment whose rows components are asked about, by name; the first if absent.
    pub environment: Option<String>,
    /// Rows of it, at most.
    pub rows: usize,
    /// Bootstrap draws of every interval over rows.
    pub resamples: usize,
}

impl Default for ComponentsSettings {
    fn default() -> Self {
        Self {
            data: RowSettings::default(),
            model: ModelSettings::default(),
            training: TrainConfig::default(),
            environment: None,
            rows: 500,
            resamples: 200,
        }
    }
}

impl ComponentsSettings {
    pub(super) fn check(&self) -> Result<(), ExperimentError> {
        for (key, value, least, most) in [
            // Matrices of rows by rows are held for the sites.
            ("rows", self.rows, 20, 5000),
            ("resamples", self.resamples, 20, 1_000_000),
        ] {
            if !(least..=most).contains(&value) {
                let reason = format!("`{key} = {value}` cannot be used: expected {least} to {most}");
                return Err(ExperimentError::Input(reason));
            }
        }
        if self.model.model == Some(Family::Linear) {
            let reason = "`model = linear` has no components; expected a transformer".into();
            return Err(ExperimentError::Input(reason));
        }
        Ok(self.training.check()?)
    }

    /// The configuration of `family` for rows in its shape.
    pub(super) fn config(&self, family: Family, dataset: &Dataset) -> Result<ModelConfig, ExperimentError> {
        let settings = ModelSettings {
            model: Some(family),
            ..self.model.clone()
        };
        settings.config(dataset)
    }
}
