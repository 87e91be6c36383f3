//! Model families by name, so that a pipeline can switch between them.

use disentangle_data::{FeatureGroup, Role};
use serde::{Deserialize, Serialize};

use crate::{
    DisentangledConfig, GatedConfig, HealthcareConfig, HierarchicalConfig, LargeConfig, LinearConfig, ModelConfig,
    ModelError, ParallelConfig, SequenceConfig, SmallConfig,
};

/// A family of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// [`crate::LinearModel`].
    Linear,
    /// [`crate::Small`].
    Small,
    /// [`crate::Sequence`].
    Sequence,
    /// [`crate::Disentangled`].
    Disentangled,
    /// [`crate::Healthcare`].
    Healthcare,
    /// [`crate::Large`].
    Large,
    /// [`crate::Parallel`].
    Parallel,
    /// [`crate::Hierarchical`].
    Hierarchical,
    /// [`crate::Gated`].
    Gated,
}

impl Family {
    /// Every family, small ones first.
    pub const ALL: [Family; 9] = [
        Family::Linear,
        Family::Small,
        Family::Sequence,
        Family::Disentangled,
        Family::Healthcare,
        Family::Large,
        Family::Parallel,
        Family::Hierarchical,
        Family::Gated,
    ];

    /// As in `model.json` and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Family::Linear => "linear",
            Family::Small => "small",
            Family::Sequence => "sequence",
            Family::Disentangled => "disentangled",
            Family::Healthcare => "healthcare",
            Family::Large => "large",
            Family::Parallel => "parallel",
            Family::Hierarchical => "hierarchical",
            Family::Gated => "gated",
        }
    }

    /// The notebook's sizes for windows of `sequence` positions with `features` features.
    ///
    /// `Small` and `Disentangled` take one position. `Healthcare` routes genuine groups through its clinical branch and all
    /// others through its administrative one; where one of them is empty, both branches see everything.
    pub fn config(self, features: usize, sequence: usize, groups: &[FeatureGroup]) -> ModelConfig {
        match self {
            Family::Linear => ModelConfig::Linear(LinearConfig::new(features, sequence)),
            Family::Small => ModelConfig::Small(SmallConfig::new(features)),
            Family::Sequence => ModelConfig::Sequence(SequenceConfig::new(features, sequence)),
            Family::Disentangled => ModelConfig::Disentangled(DisentangledConfig::new(features)),
            Family::Healthcare => {
                let columns = |genuine: bool| -> Vec<usize> {
                    let own = groups.iter().filter(|group| (group.role == Role::Genuine) == genuine);
                    own.flat_map(|group| group.columns.iter().copied()).collect()
                };
                let (clinical, admin) = (columns(true), columns(false));
                ModelConfig::Healthcare(if clinical.is_empty() || admin.is_empty() {
                    HealthcareConfig::shared(features, sequence)
                } else {
                    HealthcareConfig::new(features, sequence, clinical, admin)
                })
            }
            Family::Large => ModelConfig::Large(LargeConfig::new(features, sequence)),
            Family::Parallel => ModelConfig::Parallel(ParallelConfig::new(features, sequence)),
            Family::Hierarchical => ModelConfig::Hierarchical(HierarchicalConfig::new(features, sequence)),
            Family::Gated => ModelConfig::Gated(GatedConfig::new(features, sequence)),
        }
    }
}

impl ModelConfig {
    /// The same model with other settings, by their names in `model.json`. Fails for a setting that the family does not have, or a
    /// value of the wrong kind.
    pub fn with_settings(&self, settings: &[(&'static str, serde_json::Value)]) -> Result<Self, ModelError> {
        let wrong = |error: serde_json::Error| ModelError::Train(format!("model settings: {error}"));
        let mut json = serde_json::to_value(self).map_err(wrong)?;
        for (key, value) in settings {
            match json["config"].get_mut(*key) {
                Some(place) => *place = value.clone(),
                None => {
                    let family = json["family"].as_str().unwrap_or_default();
                    let expected = format!("no such setting, because the model is `{family}`");
                    return Err(ModelError::setting(key, value, expected));
                }
            }
        }
        serde_json::from_value(json).map_err(wrong)
    }
}
