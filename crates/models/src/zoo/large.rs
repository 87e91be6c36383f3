//! The notebook's `LargeTransformer` (part 9): twelve wide layers with GELU.
//!
//! The notebook's attention ran over the rows of a batch, and it had no positions (`positions = none` keeps that).

use burn::{
    module::Module,
    tensor::{Bool, Device, Tensor},
};
use disentangle_data::Seed;
use serde::{Deserialize, Serialize};

use super::{first_sites, last_sites, read_out};
use crate::{
    Classifier, ModelError, Site, State,
    init::Init,
    input::Pass,
    layers::{
        Activation, AfterAttention, Attention, EncoderConfig, FeedForward, Layer, LayerNorm, Linear, PositionEmbedding,
        Positions, STEPS, layer_step, position_embedding,
    },
    model::InputWeight,
    site::{Place, Scope},
};

/// Sizes of a [`Large`]; the defaults are the notebook's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LargeConfig {
    /// Features at one position.
    pub features: usize,
    /// Positions in a window.
    pub sequence: usize,
    /// Whether the model knows the order of positions.
    #[serde(default)]
    pub positions: Positions,
    /// Width of the residual stream.
    #[serde(default = "defaults::hidden")]
    pub hidden: usize,
    /// Attention heads; divides `hidden`.
    #[serde(default = "defaults::heads")]
    pub heads: usize,
    /// Layers.
    #[serde(default = "defaults::layers")]
    pub layers: usize,
    /// Width of the feed-forward part; four times `hidden` if absent.
    #[serde(default)]
    pub feed_forward: Option<usize>,
    /// Dropout rate while training.
    #[serde(default)]
    pub dropout: f64,
}

mod defaults {
    pub(super) fn hidden() -> usize {
        768
    }
    pub(super) fn heads() -> usize {
        16
    }
    pub(super) fn layers() -> usize {
        12
    }
}

impl LargeConfig {
    /// The notebook's sizes for windows of `sequence` positions with `features` features.
    pub fn new(features: usize, sequence: usize) -> Self {
        Self {
            features,
            sequence,
            positions: Positions::Learned,
            hidden: defaults::hidden(),
            heads: defaults::heads(),
            layers: defaults::layers(),
            feed_forward: None,
            dropout: 0.0,
        }
    }

    fn encoder(&self) -> EncoderConfig {
        EncoderConfig {
            width: self.hidden,
            heads: self.heads,
            layers: self.layers,
            feed_forward: self.feed_forward.unwrap_or(4 * self.hidden),
        }
    }

    /// Checks the sizes and draws the weights. Fails for a size of 0, heads that do not divide `hidden`, or a dropout rate outside [0, 1).
    pub fn init(&self, seed: Seed, device: &Device) -> Result<Large, ModelError> {
        let sizes = self.encoder();
        sizes.check(
            &[("features", self.features), ("sequence", self.sequence)],
            self.dropout,
        )?;
        let init = Init::new(seed.child("large"), device);
        let layers = |name: &str| {
            let init = init.child(name);
            (0..self.layers).map(move |layer| init.child(&layer.to_string()))
        };
        Ok(Large {
            pos_embedding: position_embedding(&init, self.positions, self.sequence, self.hidden),
            input_proj: Linear::new(&init.child("input_proj"), self.features, self.hidden),
            attention_layers: layers("attention_layers")
                .map(|init| Attention::new(&init, self.hidden, self.heads))
                .collect(),
            ff_layers: layers("ff_layers")
                .map(|init| FeedForward::new(&init, self.hidden, sizes.feed_forward))
                .collect(),
            layer_norms: (0..2 * self.layers)
                .map(|_| LayerNorm::new(&init, self.hidden))
                .collect(),
            output: Linear::new(&init.child("output"), self.hidden, 1),
            config: self.clone(),
        })
    }
}

/// Projection and positions, post-norm layers with GELU, mean over positions, linear output. One logit a row.
#[derive(Module, Debug)]
pub struct Large {
    pos_embedding: PositionEmbedding,
    input_proj: Linear,
    attention_layers: Vec<Attention>,
    ff_layers: Vec<FeedForward>,
    layer_norms: Vec<LayerNorm>,
    output: Linear,
    #[module(skip)]
    config: LargeConfig,
}

impl Large {
    /// The sizes that it was built with.
    pub fn config(&self) -> &LargeConfig {
        &self.config
    }
}

impl Classifier for Large {
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
        vec![InputWeight::new("input_proj.weight", 0..self.config.features)]
    }

    fn steps(&self) -> usize {
        2 + STEPS * self.config.layers
    }

    fn step(&self, index: usize, state: State, pass: &mut Pass) -> State {
        match index {
            0 => super::embed(state, &self.input_proj, self.pos_embedding.as_ref(), pass),
            step if step < self.steps() - 1 => {
                let layer = (step - 1) / STEPS;
                let parts = Parts {
                    attention: &self.attention_layers[layer],
                    ff: &self.ff_layers[layer],
                    norms: [&self.layer_norms[2 * layer], &self.layer_norms[2 * layer + 1]],
                };
                layer_step(&parts, Place::layer(Scope::Whole, layer), state, pass)
            }
            _ => read_out(state, &self.output, pass),
        }
    }
}

/// One layer, whose parts the model keeps in lists of their own.
struct Parts<'a> {
    attention: &'a Attention,
    ff: &'a FeedForward,
    norms: [&'a LayerNorm; 2],
}

impl Layer for Parts<'_> {
    fn attend(&self, x: Tensor<3>, masked: Option<&Tensor<4, Bool>>, place: Place, pass: &mut Pass) -> Tensor<4> {
        self.attention.heads(x, masked, place, pass)
    }

    fn join(&self, heads: Tensor<4>, place: Place, pass: &mut Pass) -> Tensor<3> {
        self.attention.out(heads, place, pass)
    }

    fn rest(&self) -> AfterAttention<'_> {
        AfterAttention {
            norm1: self.norms[0],
            expand: &self.ff.expand,
            activation: Activation::Gelu,
            contract: &self.ff.contract,
            norm2: self.norms[1],
        }
    }
}
