//! The notebook's `RealWorldTransformer` (part 7): learned positions, two encoder layers, mean pool, one logit.

use burn::{
    module::{Module, Param},
    tensor::{Device, Tensor},
};
use disentangle_data::Seed;
use serde::{Deserialize, Serialize};

use super::{first_sites, last_sites, read_out};
use crate::{
    Classifier, ModelError, Site, State,
    init::Init,
    input::Pass,
    layers::{Encoder, EncoderConfig, Linear, STEPS},
    model::InputWeight,
};

/// Sizes of a [`Sequence`]; the defaults are the notebook's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequenceConfig {
    /// Features at one position.
    pub features: usize,
    /// Positions in a window.
    pub sequence: usize,
    /// Width of the residual stream.
    #[serde(default = "defaults::hidden")]
    pub hidden: usize,
    /// Attention heads; divides `hidden`.
    #[serde(default = "defaults::heads")]
    pub heads: usize,
    /// Encoder layers.
    #[serde(default = "defaults::layers")]
    pub layers: usize,
    /// Width of the feed-forward part.
    #[serde(default = "defaults::feed_forward")]
    pub feed_forward: usize,
    /// Dropout rate while training.
    #[serde(default = "defaults::dropout")]
    pub dropout: f64,
}

mod defaults {
    pub(super) fn hidden() -> usize {
        64
    }
    pub(super) fn heads() -> usize {
        4
    }
    pub(super) fn layers() -> usize {
        2
    }
    pub(super) fn feed_forward() -> usize {
        256
    }
    pub(super) fn dropout() -> f64 {
        0.1
    }
}

impl SequenceConfig {
    /// The notebook's sizes for windows of `sequence` positions with `features` features.
    pub fn new(features: usize, sequence: usize) -> Self {
        Self {
            features,
            sequence,
            hidden: defaults::hidden(),
            heads: defaults::heads(),
            layers: defaults::layers(),
            feed_forward: defaults::feed_forward(),
            dropout: defaults::dropout(),
        }
    }

    fn encoder(&self) -> EncoderConfig {
        EncoderConfig {
            width: self.hidden,
            heads: self.heads,
            layers: self.layers,
            feed_forward: self.feed_forward,
        }
    }

    /// Checks the sizes and draws the weights. Fails for a size of 0, heads that do not divide `hidden`, or a dropout rate outside [0, 1).
    pub fn init(&self, seed: Seed, device: &Device) -> Result<Sequence, ModelError> {
        let inputs = [("features", self.features), ("sequence", self.sequence)];
        self.encoder().check(&inputs, self.dropout)?;
        let init = Init::new(seed.child("sequence"), device);
        Ok(Sequence {
            pos_embedding: init.normal("pos_embedding", [1, self.sequence, self.hidden]),
            feature_embedding: Linear::new(&init.child("feature_embedding"), self.features, self.hidden),
            transformer: Encoder::new(&init.child("transformer"), &self.encoder()),
            output: Linear::new(&init.child("output"), self.hidden, 1),
            config: self.clone(),
        })
    }
}

/// Linear embedding plus learned positions, encoder, mean over positions, linear output. One logit a row.
#[derive(Module, Debug)]
pub struct Sequence {
    pos_embedding: Param<Tensor<3>>,
    feature_embedding: Linear,
    transformer: Encoder,
    output: Linear,
    #[module(skip)]
    config: SequenceConfig,
}

impl Sequence {
    /// The sizes that it was built with.
    pub fn config(&self) -> &SequenceConfig {
        &self.config
    }
}

impl Classifier for Sequence {
    fn sites(&self) -> Vec<Site> {
        let c = &self.config;
        let mut sites = first_sites(c.sequence, c.features, c.sequence, c.hidden);
        sites.extend(c.encoder().sites(c.sequence));
        sites.extend(last_sites(c.hidden));
        sites
    }

    fn input_shape(&self) -> [usize; 2] {
        [self.config.sequence, self.config.features]
    }

    fn dropout(&self) -> f64 {
        self.config.dropout
    }

    fn input_weights(&self) -> Vec<InputWeight> {
        vec![InputWeight::new("feature_embedding.weight", 0..self.config.features)]
    }

    fn steps(&self) -> usize {
        2 + STEPS * self.config.layers
    }

    fn step(&self, index: usize, state: State, pass: &mut Pass) -> State {
        match index {
            0 => super::embed(state, &self.feature_embedding, Some(&self.pos_embedding), pass),
            step if step < self.steps() - 1 => self.transformer.step(step - 1, state, pass),
            _ => read_out(state, &self.output, pass),
        }
    }
}
