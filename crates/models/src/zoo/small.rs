//! The notebook's `SmallTransformer` (part 5): a row of features as one token, or as one token a feature group.

use burn::{
    module::{Module, Param},
    tensor::{Device, Tensor},
};
use disentangle_data::Seed;
use serde::{Deserialize, Serialize};

use super::{Layout, first_sites, last_sites, read_out, tokens::embed};
use crate::{
    Classifier, ModelError, Site, SiteName, State,
    init::Init,
    input::Pass,
    layers::{EncoderConfig, EncoderLayer, Linear, STEPS, step_of_stack},
    model::InputWeight,
};

/// Sizes of a [`Small`]; the defaults are the notebook's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmallConfig {
    /// Features of a row.
    pub features: usize,
    /// How features become tokens.
    #[serde(default)]
    pub layout: Layout,
    /// Width of the residual stream.
    #[serde(default = "defaults::hidden")]
    pub hidden: usize,
    /// Attention heads; divides `hidden`.
    #[serde(default = "defaults::heads")]
    pub heads: usize,
    /// Encoder layers.
    #[serde(default = "defaults::layers")]
    pub layers: usize,
    /// Width of the feed-forward part; four times `hidden` if absent.
    #[serde(default)]
    pub feed_forward: Option<usize>,
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
    pub(super) fn dropout() -> f64 {
        0.1
    }
}

impl SmallConfig {
    /// The notebook's sizes for rows of `features` features.
    pub fn new(features: usize) -> Self {
        Self {
            features,
            layout: Layout::Flat,
            hidden: defaults::hidden(),
            heads: defaults::heads(),
            layers: defaults::layers(),
            feed_forward: None,
            dropout: defaults::dropout(),
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

    /// Checks the sizes and draws the weights. Fails for a size of 0, heads that do not divide `hidden`, a dropout rate outside
    /// [0, 1), or groups that name columns which do not exist.
    pub fn init(&self, seed: Seed, device: &Device) -> Result<Small, ModelError> {
        self.encoder().check(&[("features", self.features)], self.dropout)?;
        self.layout.check(self.features)?;
        let init = Init::new(seed.child("small"), device);
        let width = self.hidden;
        let flat = self.layout == Layout::Flat;
        let per_group = if flat {
            Vec::new()
        } else {
            self.layout.columns(self.features)
        };
        let group_proj = per_group.iter().enumerate().map(|(group, columns)| {
            let init = init.child("group_proj").child(&group.to_string());
            Linear::new(&init, columns.len(), width)
        });
        Ok(Small {
            input_proj: flat.then(|| Linear::new(&init.child("input_proj"), self.features, width)),
            group_proj: group_proj.collect(),
            group_embedding: (!flat).then(|| init.normal("group_embedding", [1, self.layout.tokens(), width])),
            transformer_layers: EncoderLayer::stack(&init.child("transformer_layers"), &self.encoder()),
            output_proj: Linear::new(&init.child("output_proj"), width, 1),
            config: self.clone(),
        })
    }
}

/// Projection to tokens, encoder, mean over tokens, linear output. One logit a row.
#[derive(Module, Debug)]
pub struct Small {
    input_proj: Option<Linear>,
    group_proj: Vec<Linear>,
    group_embedding: Option<Param<Tensor<3>>>,
    transformer_layers: Vec<EncoderLayer>,
    output_proj: Linear,
    #[module(skip)]
    config: SmallConfig,
}

impl Small {
    /// The sizes that it was built with.
    pub fn config(&self) -> &SmallConfig {
        &self.config
    }
}

impl Classifier for Small {
    fn sites(&self) -> Vec<Site> {
        let c = &self.config;
        let tokens = c.layout.tokens();
        let mut sites = first_sites(1, c.features, tokens, c.hidden);
        sites.extend(c.encoder().sites(tokens));
        sites.extend(last_sites(c.hidden));
        sites
    }

    fn input_shape(&self) -> [usize; 2] {
        [1, self.config.features]
    }

    fn dropout(&self) -> f64 {
        self.config.dropout
    }

    fn input_weights(&self) -> Vec<InputWeight> {
        self.config.layout.input_weights(self.config.features, "weight")
    }

    fn steps(&self) -> usize {
        2 + STEPS * self.transformer_layers.len()
    }

    fn step(&self, index: usize, mut state: State, pass: &mut Pass) -> State {
        match index {
            0 => {
                let x = pass.site(SiteName::new("input"), state.stream);
                let projections = self.input_proj.iter().chain(&self.group_proj);
                let embedded = embed(&x, &self.config.layout, projections, self.group_embedding.as_ref());
                state.stream = pass.site(SiteName::new("embed"), embedded);
                // A mask is of positions; these are groups.
                state.key_mask = None;
                state
            }
            step if step < self.steps() - 1 => step_of_stack(&self.transformer_layers, step - 1, state, pass),
            _ => read_out(state, &self.output_proj, pass),
        }
    }
}
