//! Keys of `experiment detect`.

use chrono::NaiveDate;
use disentangle_analysis::detection::DetectionConfig;
use disentangle_models::train::TrainConfig;
use serde::{Deserialize, Serialize};

use crate::{ExperimentError, cards::ModelSettings, rows::RowSettings};

/// The configuration; every key can be set by `--set key=value`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DetectSettings {
    /// The rows: `dataset = planted` (every generator with known roles), or one dataset as everywhere.
    #[serde(flatten)]
    pub data: RowSettings,
    /// The model: `model`, `hidden`, ...
    #[serde(flatten)]
    pub model: ModelSettings,
    /// Training: `epochs`, `batch`, ...
    #[serde(flatten)]
    pub training: TrainConfig,
    /// The tests: `permutations`, `tolerance`, ...
    #[serde(flatten)]
    pub tests: DetectionConfig,
    /// Draws of each generator, each with rows of its own.
    pub repeats: usize,
    /// How many of the draws also train a model, for the measures that need one.
    pub trainings: usize,
    /// Rows of those measures, at most.
    pub rows: usize,
    /// Rows in a window of temporal consistency.
    pub window: usize,
    /// The first day on which the simulated market's shortcut no longer holds. Detectors see it end if this lies before the test days.
    pub market_shortcut_end: NaiveDate,
}

impl Default for DetectSettings {
    fn default() -> Self {
        Self {
            data: RowSettings {
                dataset: PLANTED.into(),
                ..RowSettings::default()
            },
            model: ModelSettings::default(),
            training: TrainConfig {
                epochs: 15,
                ..TrainConfig::default()
            },
            tests: DetectionConfig::default(),
            repeats: 20,
            trainings: 4,
            rows: 300,
            window: 100,
            market_shortcut_end: NaiveDate::from_ymd_opt(2022, 1, 1).unwrap_or_default(),
        }
    }
}

/// Every generator with known roles.
pub(super) const PLANTED: &str = "planted";

impl DetectSettings {
    pub(super) fn check(&self) -> Result<(), ExperimentError> {
        for (key, value, least, most) in [
            ("repeats", self.repeats, 1, 100_000),
            ("trainings", self.trainings, 0, 100_000),
            ("rows", self.rows, 20, 1_000_000),
            ("window", self.window, 10, 1_000_000),
        ] {
            if !(least..=most).contains(&value) {
                let reason = format!("`{key} = {value}` cannot be used: expected {least} to {most}");
                return Err(ExperimentError::Input(reason));
            }
        }
        self.tests
            .check()
            .map_err(|error| ExperimentError::Input(error.to_string()))?;
        Ok(self.training.check()?)
    }
}
