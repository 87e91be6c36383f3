//! The notebook's `GatedTransformer` (part 10): one layer makes content, another decides how much of it passes.

use burn::{
    module::Module,
    tensor::{Device, activation::sigmoid},
};
use disentangle_data::Seed;
use serde::{Deserialize, Serialize};

use super::{first_sites, last_sites, read_out};
use crate::{
    Classifier, ModelError, Site, State,
    init::Init,
    input::Pass,
    layers::{
        EncoderConfig, EncoderLayer, Linear, PositionEmbedding, Positions, STEPS, layer_step, position_embedding,
    },
    model::InputWeight,
    site::{Place, Scope},
};

/// Sizes of a [`Gated`]; the defaults are the notebook's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatedConfig {
    /// Features at one position.
    pub features: usize,
    /// Positions in a window.
    pub sequence: usize,
    /// Whether the model knows the order of positions.
    #[serde(default)]
    pub positions: Positions,
    /// Width of the residual stream.
    #[serde(default = "super::defaults::hidden")]
    pub hidden: usize,
    /// Attention heads; divides `hidden`.
    #[serde(default = "super::defaults::heads")]
    pub heads: usize,
    /// Width of the feed-forward part.
    #[serde(default = "super::defaults::feed_forward")]
    pub feed_forward: usize,
    /// Dropout rate while training.
    #[serde(default = "super::defaults::dropout")]
    pub dropout: f64,
}

impl GatedConfig {
    /// The notebook's sizes for windows of `sequence` positions with `features` features.
    pub fn new(features: usize, sequence: usize) -> Self {
        Self {
            features,
            sequence,
            positions: Positions::Learned,
            hidden: super::defaults::hidden(),
            heads: super::defaults::heads(),
            feed_forward: super::defaults::feed_forward(),
            dropout: super::defaults::dropout(),
        }
    }

    fn layer(&self) -> EncoderConfig {
        EncoderConfig {
            width: self.hidden,
            heads: self.heads,
            layers: 2,
            feed_forward: self.feed_forward,
        }
    }

    /// Checks the sizes and draws the weights. Fails for a size of 0, heads that do not divide `hidden`, or a dropout rate outside [0, 1).
    pub fn init(&self, seed: Seed, device: &Device) -> Result<Gated, ModelError> {
        let inputs = [("features", self.features), ("sequence", self.sequence)];
        self.layer().check(&inputs, self.dropout)?;
        let init = Init::new(seed.child("gated"), device);
        let layer = |name: &str| EncoderLayer::new(&init.child(name), &self.layer());
        Ok(Gated {
            pos_embedding: position_embedding(&init, self.positions, self.sequence, self.hidden),
            input_proj: Linear::new(&init.child("input_proj"), self.features, self.hidden),
            content_transformer: layer("content_transformer"),
            gate_transformer: layer("gate_transformer"),
            gate_proj: Linear::new(&init.child("gate_proj"), self.hidden, self.hidden),
            output: Linear::new(&init.child("output"), self.hidden, 1),
            config: self.clone(),
        })
    }
}

/// Projection and positions, content times gate, mean over positions, linear output. One logit a row.
#[derive(Module, Debug)]
pub struct Gated {
    pos_embedding: PositionEmbedding,
    input_proj: Linear,
    content_transformer: EncoderLayer,
    gate_transformer: EncoderLayer,
    gate_proj: Linear,
    output: Linear,
    #[module(skip)]
    config: GatedConfig,
}

const CONTENT: Scope = Scope::Part("content");
const GATE: Scope = Scope::Part("gate");

impl Gated {
    /// The sizes that it was built with.
    pub fn config(&self) -> &GatedConfig {
        &self.config
    }
}

impl Classifier for Gated {
    fn sites(&self) -> Vec<Site> {
        let c = &self.config;
        let mut sites = first_sites(c.sequence, c.features, c.sequence, c.hidden);
        for scope in [CONTENT, GATE] {
            sites.extend(c.layer().layer_sites(Place::layer(scope, 0), c.sequence, c.sequence));
        }
        sites.push(Site::new(GATE.site("value"), [1, c.sequence, c.hidden]));
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
        2 + 2 * STEPS
    }

    fn step(&self, index: usize, mut state: State, pass: &mut Pass) -> State {
        let place = |scope| Place::layer(scope, 0);
        match index {
            0 => {
                state = super::embed(state, &self.input_proj, self.pos_embedding.as_ref(), pass);
                state.kept.push(state.stream.clone());
                state
            }
            step if step <= STEPS => {
                state = layer_step(&self.content_transformer, place(CONTENT), state, pass);
                if step == STEPS {
                    // The gate starts from the embedding again; the content is kept.
                    std::mem::swap(&mut state.stream, &mut state.kept[0]);
                }
                state
            }
            step if step <= 2 * STEPS => layer_step(&self.gate_transformer, place(GATE), state, pass),
            _ => {
                let gate = sigmoid(self.gate_proj.forward(state.stream));
                state.stream = state.kept[0].clone() * pass.site(GATE.site("value"), gate);
                read_out(state, &self.output, pass)
            }
        }
    }
}
