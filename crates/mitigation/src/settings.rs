//! Strengths of the strategies, checked before anything runs.

use serde::{Deserialize, Serialize};

use crate::MitigationError;

/// Keys of all strategies; the defaults are the papers' where they name one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MitigationSettings {
    /// Step size of GroupDRO's group weights; 0 leaves them equal.
    pub group_dro_step: f64,
    /// Epochs of JTT's first training.
    pub jtt_epochs: usize,
    /// How often JTT repeats the rows that its first training got wrong; 1 repeats none.
    pub jtt_factor: usize,
    /// Classifiers that DFR averages, each on another balanced draw of the validation rows.
    pub dfr_draws: usize,
    /// Weight of IRM's penalty; 0 is plain training.
    pub irm_weight: f64,
    /// Steps before IRM's penalty is switched on.
    pub irm_warm_up: u64,
    /// Weight of the variance of the environments' risks; 0 is plain training.
    pub vrex_weight: f64,
    /// Size of the attack on the shortcut's columns, in standard deviations.
    pub adversarial_level: f64,
    /// Weight of the attacked rows' loss, the rest is that of the clean rows; 0 is plain training.
    pub adversarial_share: f64,
    /// Weight of the squared difference between a row's output and that with the shortcut of another row; 0 is plain training.
    pub consistency_weight: f64,
    /// Weight of the contrastive loss on embeddings and of the similarity of genuine and shortcut embeddings; 0 is plain training.
    pub contrastive_weight: f64,
    /// Weight of the distance between the classes' embeddings of the shortcut alone; 0 is plain training.
    pub matching_weight: f64,
    /// Weight of the norms of the weights that read the shortcut's columns; 0 is plain training.
    pub lasso_weight: f64,
    /// How far projections go to the nearest semi-orthogonal matrix before fine-tuning, from 0 (plain training) to 1.
    pub orthogonality_strength: f64,
    /// Exponent of the factors of feature groups; 0 leaves them 1, which is plain training.
    pub uncertainty_strength: f64,
    /// The share of the last position's average in the average of the shortcut's columns; 0 is plain training.
    pub smoothing_keep: f64,
}

impl Default for MitigationSettings {
    fn default() -> Self {
        Self {
            group_dro_step: 0.01,
            jtt_epochs: 5,
            jtt_factor: 5,
            dfr_draws: 20,
            irm_weight: 100.0,
            irm_warm_up: 100,
            vrex_weight: 10.0,
            adversarial_level: 0.5,
            adversarial_share: 0.3,
            consistency_weight: 1.0,
            contrastive_weight: 0.1,
            matching_weight: 1.0,
            lasso_weight: 5.0,
            orthogonality_strength: 1.0,
            uncertainty_strength: 1.0,
            smoothing_keep: 0.8,
        }
    }
}

impl MitigationSettings {
    /// Refuses strengths that cannot work.
    pub fn check(&self) -> Result<(), MitigationError> {
        for (key, value, most, expected) in [
            ("group_dro_step", self.group_dro_step, 100.0, "a number from 0 to 100"),
            ("irm_weight", self.irm_weight, 1e8, "a number from 0 to 1e8"),
            ("vrex_weight", self.vrex_weight, 1e8, "a number from 0 to 1e8"),
            (
                "adversarial_level",
                self.adversarial_level,
                100.0,
                "a number from 0 to 100",
            ),
            ("adversarial_share", self.adversarial_share, 1.0, "a share from 0 to 1"),
            (
                "consistency_weight",
                self.consistency_weight,
                1e6,
                "a number from 0 to 1e6",
            ),
            (
                "contrastive_weight",
                self.contrastive_weight,
                1e6,
                "a number from 0 to 1e6",
            ),
            ("matching_weight", self.matching_weight, 1e6, "a number from 0 to 1e6"),
            ("lasso_weight", self.lasso_weight, 1e6, "a number from 0 to 1e6"),
            (
                "orthogonality_strength",
                self.orthogonality_strength,
                1.0,
                "a number from 0 to 1",
            ),
            (
                "uncertainty_strength",
                self.uncertainty_strength,
                10.0,
                "a number from 0 to 10",
            ),
            ("smoothing_keep", self.smoothing_keep, 0.999, "a share from 0 to 0.999"),
        ] {
            if !(0.0..=most).contains(&value) {
                return Err(MitigationError::Setting { key, value, expected });
            }
        }
        for (key, value) in [
            ("jtt_epochs", self.jtt_epochs),
            ("jtt_factor", self.jtt_factor),
            ("dfr_draws", self.dfr_draws),
        ] {
            if !(1..=10_000).contains(&value) {
                let value = value as f64;
                let expected = "a whole number from 1 to 10000";
                return Err(MitigationError::Setting { key, value, expected });
            }
        }
        Ok(())
    }
}
