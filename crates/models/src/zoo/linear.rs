//! Logistic regression on all features of a window, as a model: what the field's published tests train.

use burn::{module::Module, tensor::Device};
use disentangle_data::Seed;
use serde::{Deserialize, Serialize};

use crate::{
    Classifier, ModelError, Site, SiteName, State, init::Init, input::Pass, layers::Linear, model::InputWeight,
};

/// Sizes of a [`LinearModel`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearConfig {
    /// Features at one position.
    pub features: usize,
    /// Positions in a window.
    pub sequence: usize,
}

impl LinearConfig {
    /// For windows of `sequence` positions with `features` features.
    pub fn new(features: usize, sequence: usize) -> Self {
        Self { features, sequence }
    }

    /// Draws the weights, uniform in ±1/√inputs. Fails for a size of 0.
    pub fn init(&self, seed: Seed, device: &Device) -> Result<LinearModel, ModelError> {
        for (key, value) in [("features", self.features), ("sequence", self.sequence)] {
            if value == 0 {
                return Err(ModelError::setting(key, 0, "at least 1"));
            }
        }
        let init = Init::new(seed.child("linear"), device);
        Ok(LinearModel {
            linear: Linear::new(&init.child("linear"), self.features * self.sequence, 1),
            config: self.clone(),
        })
    }
}

/// logit = w · x + b over all positions and features.
#[derive(Module, Debug)]
pub struct LinearModel {
    linear: Linear,
    #[module(skip)]
    config: LinearConfig,
}

impl LinearModel {
    /// The sizes that it was built with.
    pub fn config(&self) -> &LinearConfig {
        &self.config
    }
}

impl Classifier for LinearModel {
    fn sites(&self) -> Vec<Site> {
        vec![
            Site::new(SiteName::new("input"), [1, self.config.sequence, self.config.features]),
            Site::new(SiteName::new("logit"), [1, 1, 1]),
        ]
    }

    fn input_shape(&self) -> [usize; 2] {
        [self.config.sequence, self.config.features]
    }

    fn dropout(&self) -> f64 {
        0.0
    }

    fn input_weights(&self) -> Vec<InputWeight> {
        let features = (0..self.config.sequence).flat_map(|_| 0..self.config.features);
        vec![InputWeight::new("linear.weight", features)]
    }

    fn steps(&self) -> usize {
        1
    }

    fn step(&self, _: usize, state: State, pass: &mut Pass) -> State {
        let x = pass.site(SiteName::new("input"), state.stream.clone());
        let [rows, positions, features] = x.dims();
        let x = match &state.key_mask {
            None => x,
            // Padding counts as the mean of every feature.
            Some(mask) => x * mask.clone().float().reshape([rows, positions, 1]),
        };
        let flat = x.reshape([rows, positions * features]);
        let logit = self.linear.forward(flat).reshape([rows]);
        let logit = pass.site(SiteName::new("logit"), logit);
        state.with_logits(logit)
    }
}
