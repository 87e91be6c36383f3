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

use super::{first_sites, last_sites, read_out};
use crate::{
    Classifier, ModelError, Site, State,
    init::Init,
    input::{Fold, Pass},
    layers::{
        EncoderConfig, EncoderLayer, Linear, PositionEmbedding, Positions, STEPS, layer_step, position_embedding,
    },
    model::InputWeight,
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

    /// `[row, position, width]` as padded windows, `[row * windows, position, width]`.
    fn cut(&self, x: Tensor<3>) -> Tensor<3> {
        let fold = self.config.fold();
        let [rows, positions, width] = x.dims();
        let missing = fold.windows * fold.width - positions;
        let padded = match missing {
            0 => x,
            _ => {
                let device = x.device().without_autodiff();
                Tensor::cat(vec![x, Tensor::zeros([rows, missing, width], &device)], 1)
            }
        };
        padded.reshape([rows * fold.windows, fold.width, width])
    }

    /// True where a position of a window holds data, `[row * windows, position]`; nothing where all do.
    fn mask(&self, state: &State) -> Option<Tensor<2, Bool>> {
        let fold = self.config.fold();
        let (rows, padded) = (state.rows(), fold.windows * fold.width);
        let device = state.stream.device().without_autodiff();
        let missing = padded - fold.length;
        let mut mask = state.key_mask.clone();
        if missing > 0 {
            let data = mask.unwrap_or_else(|| Tensor::<2>::ones([rows, fold.length], &device).greater_elem(0.5));
            let padding = Tensor::<2>::zeros([rows, missing], &device).greater_elem(0.5);
            mask = Some(Tensor::cat(vec![data, padding], 1));
        }
        mask.map(|mask| mask.reshape([rows * fold.windows, fold.width]))
    }

    /// A step of the local layer, inside windows.
    fn local(&self, mut state: State, pass: &mut Pass) -> State {
        let of_windows = self.mask(&state);
        let of_rows = std::mem::replace(&mut state.key_mask, of_windows);
        pass.fold = Some(self.config.fold());
        state = layer_step(&self.local_transformer, Place::layer(LOCAL, 0), state, pass);
        pass.fold = None;
        state.key_mask = of_rows;
        state
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

    fn input_weights(&self) -> Vec<InputWeight> {
        vec![InputWeight::new("input_proj.weight", 0..self.config.features)]
    }

    fn steps(&self) -> usize {
        2 + 2 * STEPS
    }

    fn step(&self, index: usize, mut state: State, pass: &mut Pass) -> State {
        match index {
            0 => super::embed(state, &self.input_proj, self.pos_embedding.as_ref(), pass),
            step if step <= STEPS => {
                if step == 1 {
                    state.stream = self.cut(state.stream);
                }
                state = self.local(state, pass);
                if step == STEPS {
                    let fold = self.config.fold();
                    let joined = [state.rows(), fold.windows * fold.width, self.config.hidden];
                    state.stream = state.stream.reshape(joined).narrow(1, 0, fold.length);
                }
                state
            }
            step if step <= 2 * STEPS => layer_step(&self.global_transformer, Place::layer(GLOBAL, 0), state, pass),
            _ => read_out(state, &self.output, pass),
        }
    }
}
