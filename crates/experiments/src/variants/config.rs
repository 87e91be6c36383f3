//! Keys of `experiment variants`.

use disentangle_data::Dataset;
use disentangle_models::{Family, ModelConfig, train::TrainConfig};
use serde::{Deserialize, Serialize};

use crate::{
    ExperimentError,
    cards::{LayoutChoice, ModelSettings},
    rows::RowSettings,
};

/// The configuration; every key can be set by `--set key=value`. Unknown keys are refused where settings are resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VariantsSettings {
    /// The rows: `dataset`, `samples`, ...
    #[serde(flatten)]
    pub data: RowSettings,
    /// Training: `epochs`, `batch`, ...
    #[serde(flatten)]
    pub training: TrainConfig,
    /// Families; the others are compared with the first.
    pub families: Vec<String>,
    /// `flat` or `per-group`, for `small` and `disentangled`.
    pub layout: LayoutChoice,
    /// The notebook's sizes (widths up to 768, 12 layers) instead of the next six keys.
    pub full: bool,
    /// Width of all families.
    pub hidden: usize,
    /// Attention heads of all families.
    pub heads: usize,
    /// Layers of `small`, `sequence` and `disentangled`.
    pub layers: usize,
    /// Layers of `large`.
    pub large_layers: usize,
    /// Width of the feed-forward part of all families.
    pub feed_forward: usize,
    /// Dropout rate of all families.
    pub dropout: f64,
    /// Trainings of each family, each with rows and initial weights of its own.
    pub repeats: usize,
    /// Environments on which models are questioned, by name; the first holds the main rows. All if empty.
    pub environments: Vec<String>,
    /// Rows of each environment, at most.
    pub rows: usize,
    /// Rows for attributions and for single columns, at most.
    pub few_rows: usize,
    /// Nodes of integrated gradients.
    pub steps: usize,
    /// Standard deviations of the noise on standardised features.
    pub noise_levels: Vec<f64>,
    /// Draws of noise at each level.
    pub noise_draws: usize,
    /// Permutations of the shortcut's columns.
    pub permutations: usize,
}

impl Default for VariantsSettings {
    fn default() -> Self {
        Self {
            data: RowSettings::default(),
            training: TrainConfig::default(),
            families: FAMILIES.map(|family| family.name().into()).into(),
            layout: LayoutChoice::PerGroup,
            full: false,
            hidden: 64,
            heads: 4,
            layers: 2,
            large_layers: 6,
            feed_forward: 256,
            dropout: 0.1,
            repeats: 8,
            environments: Vec::new(),
            rows: 1000,
            few_rows: 100,
            steps: 50,
            noise_levels: vec![0.01, 0.05, 0.1],
            noise_draws: 3,
            permutations: 10,
        }
    }
}

/// The families that can be compared, in the order of the default.
const FAMILIES: [Family; 7] = [
    Family::Small,
    Family::Sequence,
    Family::Large,
    Family::Parallel,
    Family::Hierarchical,
    Family::Gated,
    Family::Disentangled,
];

impl VariantsSettings {
    pub(super) fn check(&self) -> Result<(), ExperimentError> {
        for (key, value, least, most) in [
            ("repeats", self.repeats, 2, 1000),
            ("rows", self.rows, 2, 100_000),
            ("few_rows", self.few_rows, 2, 100_000),
            ("steps", self.steps, 1, 10_000),
            ("noise_draws", self.noise_draws, 1, 10_000),
            ("permutations", self.permutations, 1, 10_000),
        ] {
            if !(least..=most).contains(&value) {
                let reason = format!("`{key} = {value}` cannot be used: expected {least} to {most}");
                return Err(ExperimentError::Input(reason));
            }
        }
        let usable = |level: &f64| level.is_finite() && *level > 0.0 && *level <= 1e3;
        if self.noise_levels.is_empty() || !self.noise_levels.iter().all(usable) {
            let reason = format!(
                "`noise_levels = {:?}` cannot be used: expected numbers above 0, at most 1000",
                self.noise_levels
            );
            return Err(ExperimentError::Input(reason));
        }
        self.families()?;
        Ok(self.training.check()?)
    }

    /// The families that are asked for.
    pub(super) fn families(&self) -> Result<Vec<Family>, ExperimentError> {
        let known = || FAMILIES.map(Family::name).join(", ");
        let mut families = Vec::new();
        for name in &self.families {
            let found = FAMILIES.into_iter().find(|family| family.name() == name);
            let family = found.ok_or_else(|| {
                let known = known();
                ExperimentError::Input(format!(
                    "`families`: unknown family `{name}`; expected some of: {known}"
                ))
            })?;
            if families.contains(&family) {
                let reason = format!("`families`: `{name}` stands there twice; expected each family once");
                return Err(ExperimentError::Input(reason));
            }
            families.push(family);
        }
        match families.len() {
            0 | 1 => Err(ExperimentError::Input(format!(
                "`families` holds {} of them; expected at least two of: {}",
                families.len(),
                known()
            ))),
            _ => Ok(families),
        }
    }

    /// The configuration of a family for rows in its shape.
    pub(super) fn model(&self, family: Family, dataset: &Dataset) -> Result<ModelConfig, ExperimentError> {
        let full = ModelSettings {
            model: Some(family),
            layout: self.layout,
            ..ModelSettings::default()
        };
        if self.full {
            return full.config(dataset);
        }
        let scaled = ModelSettings {
            hidden: Some(self.hidden),
            heads: Some(self.heads),
            layers: match family {
                Family::Large => Some(self.large_layers),
                Family::Small | Family::Sequence | Family::Disentangled => Some(self.layers),
                // They have as many as their architecture says.
                _ => None,
            },
            feed_forward: Some(self.feed_forward),
            dropout: Some(self.dropout),
            ..full
        };
        scaled.config(dataset)
    }

    /// For the reader.
    pub(super) fn notice(&self) -> String {
        match self.full {
            true => "full = true: every family has the notebook's sizes and dropout".into(),
            false => format!(
                "sizes are scaled down: width {} with {} heads for every family and {} layers of the large one, instead of up to 768, 16 and 12; \
                 --set full=true takes the notebook's sizes",
                self.hidden, self.heads, self.large_layers
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let check = |change: fn(&mut VariantsSettings), expected: &str| {
            let mut config = VariantsSettings::default();
            config.check().unwrap();
            change(&mut config);
            let found = config.check().unwrap_err().to_string();
            assert!(found.starts_with(expected), "{found}");
        };
        assert_eq!(VariantsSettings::default().families().unwrap(), FAMILIES);
        check(|config| config.repeats = 1, "`repeats = 1` cannot be used: expected 2");
        check(|config| config.noise_levels = vec![0.0], "`noise_levels = [0.0]`");
        check(
            |config| config.families = vec!["linear".into(), "small".into()],
            "`families`: unknown family `linear`; expected some of: small, sequence, ",
        );
        check(
            |config| config.families = vec!["small".into(), "small".into()],
            "`families`: `small` stands there twice",
        );
        check(
            |config| config.families = vec!["small".into()],
            "`families` holds 1 of them; expected at least two of: small, ",
        );
    }
}
