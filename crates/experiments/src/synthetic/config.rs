//! Keys of `experiment synthetic`.

use std::path::PathBuf;

use disentangle_analysis::{probing::Substitute, sparse_autoencoder::SparseAutoencoderConfig};
use disentangle_data::synthetic::SyntheticConfig;
use disentangle_models::train::TrainConfig;
use serde::{Deserialize, Serialize};

use crate::{ExperimentError, cards::ModelSettings, study::StudySettings, training};

/// The configuration; every key can be set by `--set key=value`. Unknown keys are refused where settings are resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SyntheticSettings {
    /// The rows: `dataset`, `samples`, ...
    #[serde(flatten)]
    pub data: SyntheticConfig,
    /// The model: `model`, `layout`, `hidden`, ...
    #[serde(flatten)]
    pub model: ModelSettings,
    /// Training: `epochs`, `batch`, ...
    #[serde(flatten)]
    pub training: TrainConfig,
    /// Sites and what is kept of them.
    #[serde(flatten)]
    pub study: StudySettings,
    /// Start from these weights.
    pub weights: Option<PathBuf>,
    /// Permutations of each group.
    pub permutations: usize,
    /// Bootstrap draws of every interval but those of sites.
    pub resamples: usize,
    /// Bootstrap draws of intervals of site measures.
    pub site_resamples: usize,
    /// The site whose principal components, neurons and overlap are drawn; `pool` if absent. A row of a site with positions is
    /// all of them side by side.
    pub representation_site: Option<String>,
    /// Rows over which neurons are ablated.
    pub neuron_rows: usize,
    /// What an ablated neuron is set to: `mean`, or `zero` (the notebook's).
    pub ablation: Substitute,
    /// The site whose activations a sparse autoencoder decomposes; `pool` if absent.
    pub autoencoder_site: Option<String>,
    /// Its latents; four times the site's width if 0.
    pub latents: usize,
    /// Its training steps; 0 leaves it out.
    pub autoencoder_steps: usize,
    /// Its sparsity penalty.
    pub l1: f64,
}

impl Default for SyntheticSettings {
    fn default() -> Self {
        Self {
            data: SyntheticConfig::default(),
            model: ModelSettings::default(),
            training: TrainConfig::default(),
            study: StudySettings::default(),
            weights: None,
            permutations: 20,
            resamples: 500,
            site_resamples: 100,
            representation_site: None,
            neuron_rows: 128,
            ablation: Substitute::Mean,
            autoencoder_site: None,
            latents: 0,
            autoencoder_steps: 3000,
            l1: SparseAutoencoderConfig::default().l1,
        }
    }
}

impl SyntheticSettings {
    pub(super) fn check(&self) -> Result<(), ExperimentError> {
        self.study.check()?;
        training::check(&self.training, self.weights.as_deref())?;
        for (key, value) in [
            ("permutations", self.permutations),
            ("resamples", self.resamples),
            ("site_resamples", self.site_resamples),
            ("neuron_rows", self.neuron_rows),
        ] {
            if value == 0 {
                return Err(ExperimentError::Input(format!(
                    "`{key} = 0` cannot be used: expected at least 1"
                )));
            }
        }
        self.autoencoder(1).check()?;
        Ok(())
    }

    pub(super) fn autoencoder(&self, width: usize) -> SparseAutoencoderConfig {
        SparseAutoencoderConfig {
            latents: if self.latents == 0 { 4 * width } else { self.latents },
            l1: self.l1,
            steps: self.autoencoder_steps.max(1),
            ..SparseAutoencoderConfig::default()
        }
    }
}
