//! The notebook's `ParallelTransformer` (part 10): branches beside each other, joined before the output.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
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

/// Sizes of a [`Parallel`]; the defaults are the notebook's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParallelConfig {
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
    /// Branches, each one encoder layer.
    #[serde(default = "branches")]
    pub branches: usize,
    /// Width of the feed-forward part.
    #[serde(default = "super::defaults::feed_forward")]
    pub feed_forward: usize,
    /// Dropout rate while training.
    #[serde(default = "super::defaults::dropout")]
    pub dropout: f64,
}

fn branches() -> usize {
    4
}

impl ParallelConfig {
    /// The notebook's sizes for windows of `sequence` positions with `features` features.
    pub fn new(features: usize, sequence: usize) -> Self {
        Self {
            features,
            sequence,
            positions: Positions::Learned,
            hidden: super::defaults::hidden(),
            heads: super::defaults::heads(),
            branches: branches(),
            feed_forward: super::defaults::feed_forward(),
            dropout: super::defaults::dropout(),
        }
    }

    fn layer(&self) -> EncoderConfig {
        EncoderConfig {
            width: self.hidden,
            heads: self.heads,
            layers: self.branches,
            feed_forward: self.feed_forward,
        }
    }

    /// Checks the sizes and draws the weights. Fails for a size of 0, heads that do not divide `hidden`, or a dropout rate outside [0, 1).
    pub fn init(&self, seed: Seed, device: &Device) -> Result<Parallel, ModelError> {
        let inputs = [
            ("branches", self.branches),
            ("features", self.features),
            ("sequence", self.sequence),
        ];
        let one = EncoderConfig {
            layers: self.branches.max(1),
            ..self.layer()
        };
        one.check(&inputs, self.dropout)?;
        let init = Init::new(seed.child("parallel"), device);
        Ok(Parallel {
            pos_embedding: position_embedding(&init, self.positions, self.sequence, self.hidden),
            input_proj: Linear::new(&init.child("input_proj"), self.features, self.hidden),
            parallel_branches: EncoderLayer::stack(&init.child("parallel_branches"), &self.layer()),
            output: Linear::new(&init.child("output"), self.hidden * self.branches, 1),
            config: self.clone(),
        })
    }
}

/// Projection and positions, one encoder layer a branch, their joined mean over positions, linear output. One logit a row.
#[derive(Module, Debug)]
// Called as in PyTorch.
#[allow(clippy::struct_field_names)]
pub struct Parallel {
    pos_embedding: PositionEmbedding,
    input_proj: Linear,
    parallel_branches: Vec<EncoderLayer>,
    output: Linear,
    #[module(skip)]
    config: ParallelConfig,
}

impl Parallel {
    /// The sizes that it was built with.
    pub fn config(&self) -> &ParallelConfig {
        &self.config
    }
}

impl Classifier for Parallel {
    fn sites(&self) -> Vec<Site> {
        let c = &self.config;
        let mut sites = first_sites(c.sequence, c.features, c.sequence, c.hidden);
        for branch in 0..c.branches {
            let place = Place::layer(Scope::Branch(branch), 0);
            sites.extend(c.layer().layer_sites(place, c.sequence, c.sequence));
        }
        sites.extend(last_sites(c.hidden * c.branches));
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
        2 + STEPS * self.parallel_branches.len()
    }

    fn step(&self, index: usize, mut state: State, pass: &mut Pass) -> State {
        match index {
            // All branches start from what is kept first; their outputs are kept behind it.
            0 => {
                state = super::embed(state, &self.input_proj, self.pos_embedding.as_ref(), pass);
                state.kept.push(state.stream.clone());
                state
            }
            step if step < self.steps() - 1 => {
                let branch = (step - 1) / STEPS;
                let place = Place::layer(Scope::Branch(branch), 0);
                state = layer_step(&self.parallel_branches[branch], place, state, pass);
                if state.aside.is_none() {
                    let start = state.kept[0].clone();
                    state.kept.push(std::mem::replace(&mut state.stream, start));
                }
                state
            }
            _ => {
                state.stream = Tensor::cat(state.kept.split_off(1), 2);
                read_out(state, &self.output, pass)
            }
        }
    }
}
