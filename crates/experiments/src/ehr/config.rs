//! Keys of `experiment ehr` and `audit`.

use std::path::PathBuf;

use disentangle_models::{Family, train::TrainConfig};
use serde::{Deserialize, Serialize};

use super::remedies::{NONE, OF_AUDIT};
use crate::{
    ExperimentError, cards::ModelSettings, causal::CausalSettings, mitigate::MitigateSettings, rows::RowSettings,
};

/// The configuration; every key can be set by `--set key=value`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EhrSettings {
    /// The rows: `dataset`, `task`, `schema`, `patients`, ...
    #[serde(flatten)]
    pub data: RowSettings,
    /// The model: `model`, `hidden`, ...
    #[serde(flatten)]
    pub model: ModelSettings,
    /// Training: `epochs`, `batch`, ...
    #[serde(flatten)]
    pub training: TrainConfig,
    /// Start from these weights.
    pub weights: Option<PathBuf>,
    /// Environments on which the model is questioned, by name; the first holds the main rows. All if empty.
    pub environments: Vec<String>,
    /// Subjects of each environment for effects, at most.
    pub rows: usize,
    /// Subjects for interactions and attributions, at most.
    pub few_rows: usize,
    /// Permutations of each group.
    pub permutations: usize,
    /// Permutations of subjects for p values of subgroups, associations and periods.
    pub null_draws: usize,
    /// Bootstrap draws of every interval.
    pub resamples: usize,
    /// Attributes whose subgroups are compared, `insurance;sex`; by default every categorical column of groups that are not genuine, and
    /// thirds of the numbers of protected groups.
    pub subgroups: Option<String>,
    /// Cases that a subgroup needs to take part in gaps.
    pub least_cases: usize,
    /// Periods of time.
    pub periods: usize,
    /// Strategies against the shortcut: `none`, `all`, or names separated by `;`, to which plain training is added. By default `audit` compares some, and `ehr`, where
    /// they would take longer than all the rest, none.
    pub strategies: Option<String>,
    /// Trainings of each strategy.
    pub repeats: usize,
    /// The group whose effect is traced through the network; every spurious group if absent, every group if none is.
    pub group: Option<String>,
}

impl Default for EhrSettings {
    fn default() -> Self {
        Self {
            data: RowSettings {
                dataset: "ward".into(),
                ..RowSettings::default()
            },
            model: ModelSettings {
                model: Some(Family::Healthcare),
                ..ModelSettings::default()
            },
            training: TrainConfig {
                epochs: 50,
                batch: 64,
                patience: 6,
                ..TrainConfig::default()
            },
            weights: None,
            environments: Vec::new(),
            rows: 400,
            few_rows: 96,
            permutations: 49,
            null_draws: 199,
            resamples: 500,
            subgroups: None,
            least_cases: disentangle_analysis::subgroups::FEW_CASES,
            periods: 6,
            strategies: None,
            repeats: 3,
            group: None,
        }
    }
}

impl EhrSettings {
    pub(super) fn check(&self) -> Result<(), ExperimentError> {
        for (key, value, least, most) in [
            ("periods", self.periods, 2, 1000),
            ("null_draws", self.null_draws, 1, 1_000_000),
            ("least_cases", self.least_cases, 1, 1_000_000),
        ] {
            if !(least..=most).contains(&value) {
                let reason = format!("`{key} = {value}` cannot be used: expected {least} to {most}");
                return Err(ExperimentError::Input(reason));
            }
        }
        // Weights that are taken as they are leave strategies nothing to train.
        if self.strategies.as_deref() != Some(NONE) && self.training.epochs > 0 {
            self.mitigate("").check()?;
        }
        self.causal().check()
    }

    /// What is asked of strategies against a shortcut.
    pub(super) fn mitigate(&self, group: &str) -> MitigateSettings {
        MitigateSettings {
            data: self.data.clone(),
            model: self.model.clone(),
            training: self.training.clone(),
            strategies: self.strategies.clone().unwrap_or_else(|| OF_AUDIT.into()),
            group: Some(group.into()),
            environments: self.environments.clone(),
            rows: self.rows,
            repeats: self.repeats,
            permutations: 5,
            ..MitigateSettings::default()
        }
    }

    /// What is asked of the groups' effects.
    pub(super) fn causal(&self) -> CausalSettings {
        CausalSettings {
            data: self.data.clone(),
            model: self.model.clone(),
            training: self.training.clone(),
            weights: self.weights.clone(),
            environments: self.environments.clone(),
            rows: self.rows,
            few_rows: self.few_rows,
            permutations: self.permutations,
            resamples: self.resamples,
            group: self.group.clone(),
            draws: 2,
            noise_draws: 2,
            interaction_draws: 10,
            background: 10,
            steps: 20,
            ..CausalSettings::default()
        }
    }
}
