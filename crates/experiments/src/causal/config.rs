//! Keys of `experiment causal`.

use std::path::PathBuf;

use disentangle_analysis::causal::{attribution::Rule, contrast::Contrast};
use disentangle_models::train::TrainConfig;
use serde::{Deserialize, Serialize};

use crate::{ExperimentError, cards::ModelSettings, rows::RowSettings, training};

/// Whether effects are oriented before they are averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Orientation {
    /// From side 0 of the group to side 1: a shortcut's effects on rows of both sides add up instead of cancelling.
    #[default]
    Side,
    /// As they are.
    None,
}

/// The configuration; every key can be set by `--set key=value`. Unknown keys are refused where settings are resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CausalSettings {
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
    /// Environments on which the model is questioned, by name; the first holds the main rows. All if empty.
    pub environments: Vec<String>,
    /// Rows of each environment, at most.
    pub rows: usize,
    /// Permutations of each group.
    pub permutations: usize,
    /// Bootstrap draws of every interval.
    pub resamples: usize,

    /// The group whose effect is traced through the network; every spurious group if absent, every group if none is.
    pub group: Option<String>,
    /// What the group is set to: `opposite`, `permute`, `mean` or `zero`.
    pub contrast: Contrast,
    /// `side` or `none`.
    pub orientation: Orientation,
    /// Draws of counterfactual rows.
    pub draws: usize,
    /// Places to trace it through instead of all heads, block outputs and residual streams: `all`, or `SITE;SITE[head=1];SITE[neuron=3..9]`.
    pub mediators: Option<String>,
    /// Token positions are traced up to this many.
    pub most_positions: usize,
    /// Single paths `SITE->SITE;...`; by default from the strongest place to what comes after it.
    pub paths: Option<String>,
    /// Single interventions `PLACE=zero;PLACE=mean;...`: a place is `group:NAME`, a site as for `mediators`, or `weight:NAME[ROWS,COLUMNS]`.
    pub interventions: Option<String>,

    /// Levels of noise and attacks.
    pub levels: Vec<f64>,
    /// Draws of noise at each level.
    pub noise_draws: usize,
    /// Disturb the columns of this group only.
    pub attack_group: Option<String>,
    /// Attack integer-coded columns too.
    pub attack_integers: bool,

    /// Rows for interactions and attributions, at most.
    pub few_rows: usize,
    /// Draws of every replacement for interactions.
    pub interaction_draws: usize,
    /// Rows of the background of Friedman's H².
    pub background: usize,
    /// Draws of the sign-flip test.
    pub flips: usize,
    /// Nodes of integrated gradients.
    pub steps: usize,
    /// `gauss-legendre` or `midpoint`.
    #[serde(rename = "attribution_rule")]
    pub rule: Rule,
}

impl Default for CausalSettings {
    fn default() -> Self {
        Self {
            data: RowSettings::default(),
            model: ModelSettings::default(),
            training: TrainConfig::default(),
            weights: None,
            environments: Vec::new(),
            rows: 1000,
            permutations: 49,
            resamples: 500,
            group: None,
            contrast: Contrast::Opposite,
            orientation: Orientation::Side,
            draws: 5,
            mediators: None,
            most_positions: 12,
            paths: None,
            interventions: None,
            levels: vec![0.1, 0.2, 0.5],
            noise_draws: 5,
            attack_group: None,
            attack_integers: false,
            few_rows: 256,
            interaction_draws: 20,
            background: 20,
            flips: 999,
            steps: 50,
            rule: Rule::GaussLegendre,
        }
    }
}

impl CausalSettings {
    pub(crate) fn check(&self) -> Result<(), ExperimentError> {
        training::check(&self.training, self.weights.as_deref())?;
        for (key, value, least) in [
            ("rows", self.rows, 2),
            ("permutations", self.permutations, 1),
            ("resamples", self.resamples, 1),
            ("draws", self.draws, 1),
            ("noise_draws", self.noise_draws, 1),
            ("few_rows", self.few_rows, 2),
            ("interaction_draws", self.interaction_draws, 2),
            ("background", self.background, 1),
            ("flips", self.flips, 1),
            ("steps", self.steps, 1),
        ] {
            if value < least {
                let reason = format!("`{key} = {value}` cannot be used: expected at least {least}");
                return Err(ExperimentError::Input(reason));
            }
            if value > 1_000_000 {
                let reason = format!("`{key} = {value}` cannot be used: expected at most 1000000");
                return Err(ExperimentError::Input(reason));
            }
        }
        let usable = |level: &f64| level.is_finite() && *level > 0.0 && *level <= 1e3;
        if self.levels.is_empty() || !self.levels.iter().all(usable) {
            let reason = format!(
                "`levels = {:?}` cannot be used: expected numbers above 0, at most 1000",
                self.levels
            );
            return Err(ExperimentError::Input(reason));
        }
        Ok(())
    }
}
