//! The notebook's `HierarchicalTransformer` (part 10): a layer inside local windows, then a layer over all positions.
//!
//! Windows hold a quarter of the positions, rounded up; the last one is padded and its padding masked. The notebook's crashed
//! for sequences under 4 and dropped what was left over.

use burn::{
    module::Module,
    tensor::{Bool, Device, Tensor},
};
use disentangle_data::Seed;
use serde::{Deserialize, Serialize};

use super::{first_sites, last_sites, last_steps};
use crate::{
    Classifier, Input, ModelError, Site,
    init::Init,
    input::{Fold, Pass},
    layers::{
        EncoderConfig, EncoderLayer, Linear, PositionEmbedding, Positions, mean_over_positions, padding,
        position_embedding,
    },
    site::{Place, Scope},
};

/// Sizes of a [`Hierarchical`]; the defaults are the notebook's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HierarchicalConfig {
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

impl HierarchicalConfig {
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

    /// Four local windows, fewer where the sequence is shorter.
    fn fold(&self) -> Fold {
        let width = self.sequence.div_ceil(4);
        Fold {
            windows: self.sequence.div_ceil(width),
            width,
            length: self.sequence,
        }
    }

    /// Checks the sizes and draws the weights. Fails for a size of 0, heads that do not divide `hidden`, or a dropout rate outside [0, 1).
    pub fn init(&self, seed: Seed, device: &Device) -> Result<Hierarchical, ModelError> {
        let inputs = [("features", self.features), ("sequence", self.sequence)];
        self.layer().check(&inputs, self.dropout)?;
        let init = Init::new(seed.child("hierarchical"), device);
        let layer = |name: &str| EncoderLayer::new(&init.child(name), &self.layer());
        Ok(Hierarchical {
            pos_embedding: position_embedding(&init, self.positions, self.sequence, self.hidden),
            input_proj: Linear::new(&init.child("input_proj"), self.features, self.hidden),
            local_transformer: layer("local_transformer"),
            global_transformer: layer("global_transformer"),
            output: Linear::new(&init.child("output"), self.hidden, 1),
            config: self.clone(),
        })
    }
}

/// Projection and positions, a local and a global encoder layer, mean over positions, linear output. One logit a row.
#[derive(Module, Debug)]
pub struct Hierarchical {
    pos_embedding: PositionEmbedding,
    input_proj: Linear,
    local_transformer: EncoderLayer,
    global_transformer: EncoderLayer,
    output: Linear,
    #[module(skip)]
    config: HierarchicalConfig,
}

const LOCAL: Scope = Scope::Part("local");
const GLOBAL: Scope = Scope::Part("global");

impl Hierarchical {
    /// The sizes that it was built with.
    pub fn config(&self) -> &HierarchicalConfig {
        &self.config
    }

    /// The local layer inside windows; `[row, position, width]` to the same.
    fn local(&self, x: Tensor<3>, key_mask: Option<&Tensor<2, Bool>>, pass: &mut Pass) -> Tensor<3> {
        let fold = self.config.fold();
        let [rows, positions, width] = x.dims();
        let device = x.device().without_autodiff();
        let padded = fold.windows * fold.width;
        let (mut x, mut mask) = (x, key_mask.cloned());
        if padded > positions {
            let missing = padded - positions;
            x = Tensor::cat(vec![x, Tensor::zeros([rows, missing, width], &device)], 1);
            let data = mask.unwrap_or_else(|| Tensor::<2>::ones([rows, positions], &device).greater_elem(0.5));
            let padding = Tensor::<2>::zeros([rows, missing], &device).greater_elem(0.5);
            mask = Some(Tensor::cat(vec![data, padding], 1));
        }
        let windows = x.reshape([rows * fold.windows, fold.width, width]);
        let mask = mask.map(|mask| mask.reshape([rows * fold.windows, fold.width]));
        let masked = padding(mask.as_ref());
        pass.fold = Some(fold);
        let out = self
            .local_transformer
            .forward(windows, masked.as_ref(), Place::layer(LOCAL, 0), pass);
        pass.fold = None;
        out.reshape([rows, padded, width]).narrow(1, 0, positions)
    }
}

impl Classifier for Hierarchical {
    fn sites(&self) -> Vec<Site> {
        let c = &self.config;
        let mut sites = first_sites(c.sequence, c.features, c.sequence, c.hidden);
        let layer = c.layer();
        sites.extend(layer.layer_sites(Place::layer(LOCAL, 0), c.sequence, c.fold().width));
        sites.extend(layer.layer_sites(Place::layer(GLOBAL, 0), c.sequence, c.sequence));
        sites.extend(last_sites(c.hidden));
        sites
    }

    fn input_shape(&self) -> [usize; 2] {
        [self.config.sequence, self.config.features]
    }

    fn dropout(&self) -> f64 {
        self.config.dropout
    }

    fn pass(&self, input: &Input, pass: &mut Pass) -> Tensor<1> {
        let embedded = super::embed(input, &self.input_proj, self.pos_embedding.as_ref(), pass);
        let key_mask = input.key_mask.as_ref();
        let local = self.local(embedded, key_mask, pass);
        let masked = padding(key_mask);
        let hidden = self
            .global_transformer
            .forward(local, masked.as_ref(), Place::layer(GLOBAL, 0), pass);
        last_steps(mean_over_positions(hidden, key_mask), &self.output, pass)
    }
}
