//! Keys of `experiment mitigate`.

use disentangle_mitigation::{Mitigation, MitigationSettings, strategies};
use disentangle_models::train::TrainConfig;
use serde::{Deserialize, Serialize};

use super::ERM;
use crate::{ExperimentError, cards::ModelSettings, causal::CausalSettings, rows::RowSettings};

/// The configuration; every key can be set by `--set key=value`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MitigateSettings {
    /// The rows: `dataset`, `samples`, ...
    #[serde(flatten)]
    pub data: RowSettings,
    /// The model: `model`, `hidden`, ...
    #[serde(flatten)]
    pub model: ModelSettings,
    /// Training: `epochs`, `batch`, ...
    #[serde(flatten)]
    pub training: TrainConfig,
    /// Strengths: `irm_weight`, `adversarial_share`, ...
    #[serde(flatten)]
    pub strengths: MitigationSettings,
    /// `all`, or names separated by `;`. Plain training always runs.
    pub strategies: String,
    /// The group of the shortcut; the spurious one if absent.
    pub group: Option<String>,
    /// Environments on which models are questioned, by name. All if empty.
    pub environments: Vec<String>,
    /// Rows of each environment, at most.
    pub rows: usize,
    /// Trainings of each strategy, each with rows and initial weights of its own.
    pub repeats: usize,
    /// Permutations of the shortcut's columns.
    pub permutations: usize,
}

impl Default for MitigateSettings {
    fn default() -> Self {
        Self {
            data: RowSettings::default(),
            model: ModelSettings::default(),
            training: TrainConfig {
                epochs: 60,
                ..TrainConfig::default()
            },
            strengths: MitigationSettings::default(),
            strategies: "all".into(),
            group: None,
            environments: Vec::new(),
            rows: 1000,
            repeats: 5,
            permutations: 5,
        }
    }
}

impl MitigateSettings {
    pub(crate) fn check(&self) -> Result<(), ExperimentError> {
        for (key, value, least, most) in [
            ("repeats", self.repeats, 2, 1000),
            ("permutations", self.permutations, 1, 10_000),
            ("rows", self.rows, 2, 1_000_000),
        ] {
            if !(least..=most).contains(&value) {
                let reason = format!("`{key} = {value}` cannot be used: expected {least} to {most}");
                return Err(ExperimentError::Input(reason));
            }
        }
        self.strategies()?;
        Ok(self.training.check()?)
    }

    /// Every strategy with its strength.
    pub(super) fn strategies(&self) -> Result<Vec<Box<dyn Mitigation>>, ExperimentError> {
        strategies(&self.strengths).map_err(|error| ExperimentError::Input(error.to_string()))
    }

    /// The strategies that are asked for, plain training first.
    pub(super) fn names(&self) -> Result<Vec<&'static str>, ExperimentError> {
        let all: Vec<&'static str> = self.strategies()?.iter().map(|one| one.name()).collect();
        if self.strategies == "all" {
            return Ok(all);
        }
        let mut names = vec![ERM];
        for asked in self
            .strategies
            .split(';')
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            let found = all.iter().find(|name| **name == asked).ok_or_else(|| {
                let known = all.join(", ");
                ExperimentError::Input(format!(
                    "`strategies`: unknown strategy `{asked}`; expected `all`, or some of: {known}"
                ))
            })?;
            if !names.contains(found) {
                names.push(found);
            }
        }
        Ok(names)
    }

    /// For the model that it starts from.
    pub(super) fn causal(&self) -> CausalSettings {
        CausalSettings {
            data: self.data.clone(),
            model: self.model.clone(),
            training: self.training.clone(),
            ..CausalSettings::default()
        }
    }
}
