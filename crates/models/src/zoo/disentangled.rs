//! The notebook's `DisentangledTransformer` (part 6): every projection is drawn towards orthogonality.
//!
//! Attention runs over positions; the notebook's ran across the heads of one position. The penalty compares the smaller Gram
//! matrix with the identity, because rows that outnumber the columns cannot all be orthogonal.

use burn::{
    module::{Module, Param},
    tensor::{Bool, Device, Tensor},
};
use disentangle_data::Seed;
use serde::{Deserialize, Serialize};

use super::{Layout, first_sites, last_sites, read_out, tokens::embed};
use crate::{
    Classifier, ModelError, Site, SiteName, State,
    init::Init,
    input::Pass,
    layers::{
        self, Activation, AfterAttention, EncoderConfig, LayerNorm, Linear, STEPS, attend, by_head, join, step_of_stack,
    },
    model::InputWeight,
    site::Place,
};

/// Sizes of a [`Disentangled`]; the defaults are the notebook's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisentangledConfig {
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
    #[serde(default)]
    pub dropout: f64,
    /// Weight of the penalty.
    #[serde(default = "defaults::orthogonality")]
    pub orthogonality: f64,
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
    pub(super) fn orthogonality() -> f64 {
        0.1
    }
}

impl DisentangledConfig {
    /// The notebook's sizes for rows of `features` features.
    pub fn new(features: usize) -> Self {
        Self {
            features,
            layout: Layout::Flat,
            hidden: defaults::hidden(),
            heads: defaults::heads(),
            layers: defaults::layers(),
            feed_forward: None,
            dropout: 0.0,
            orthogonality: defaults::orthogonality(),
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

    /// Checks the sizes and draws the weights. Fails as [`super::SmallConfig::init`], and for a penalty that is negative or not finite.
    pub fn init(&self, seed: Seed, device: &Device) -> Result<Disentangled, ModelError> {
        self.encoder().check(&[("features", self.features)], self.dropout)?;
        self.layout.check(self.features)?;
        if !(self.orthogonality.is_finite() && self.orthogonality >= 0.0) {
            return Err(ModelError::setting(
                "orthogonality",
                self.orthogonality,
                "a number from 0",
            ));
        }
        let init = Init::new(seed.child("disentangled"), device);
        let sizes = self.encoder();
        let flat = self.layout == Layout::Flat;
        let per_group = if flat {
            Vec::new()
        } else {
            self.layout.columns(self.features)
        };
        let group_proj = per_group.iter().enumerate().map(|(group, columns)| {
            let init = init.child("group_proj").child(&group.to_string());
            OrthogonalLinear::new(&init, columns.len(), sizes.width)
        });
        let layers = (0..self.layers).map(|layer| {
            let init = init.child("transformer_layers").child(&layer.to_string());
            Layer::new(&init, &sizes)
        });
        Ok(Disentangled {
            input_proj: flat.then(|| OrthogonalLinear::new(&init.child("input_proj"), self.features, sizes.width)),
            group_proj: group_proj.collect(),
            group_embedding: (!flat).then(|| init.normal("group_embedding", [1, self.layout.tokens(), sizes.width])),
            transformer_layers: layers.collect(),
            output_proj: Linear::new(&init.child("output_proj"), sizes.width, 1),
            config: self.clone(),
        })
    }
}

/// As [`super::Small`], with GELU and an orthogonality penalty on every projection but the last.
#[derive(Module, Debug)]
pub struct Disentangled {
    input_proj: Option<OrthogonalLinear>,
    group_proj: Vec<OrthogonalLinear>,
    group_embedding: Option<Param<Tensor<3>>>,
    transformer_layers: Vec<Layer>,
    output_proj: Linear,
    #[module(skip)]
    config: DisentangledConfig,
}

impl Disentangled {
    /// The sizes that it was built with.
    pub fn config(&self) -> &DisentangledConfig {
        &self.config
    }

    /// Every penalised weight, `[input, output]`; the groups' projections side by side are one, so that groups are drawn apart.
    fn weights(&self) -> Vec<Tensor<2>> {
        let embedding = self.input_proj.iter().chain(&self.group_proj);
        let embedding = Tensor::cat(embedding.map(OrthogonalLinear::weight).collect(), 0);
        let layers = self.transformer_layers.iter().flat_map(Layer::projections);
        std::iter::once(embedding)
            .chain(layers.map(OrthogonalLinear::weight))
            .collect()
    }
}

impl Classifier for Disentangled {
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
        self.config.layout.input_weights(self.config.features, "linear.weight")
    }

    fn steps(&self) -> usize {
        2 + STEPS * self.transformer_layers.len()
    }

    fn step(&self, index: usize, mut state: State, pass: &mut Pass) -> State {
        match index {
            0 => {
                let x = pass.site(SiteName::new("input"), state.stream);
                let projections = self.input_proj.iter().chain(&self.group_proj);
                let projections = projections.map(|projection| &projection.linear);
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

    /// `orthogonality · Σ ‖G - I‖² / k²` over all projections; G is the smaller Gram matrix, k its side.
    fn penalty(&self) -> Option<Tensor<1>> {
        let total = self.weights().into_iter().map(penalty).reduce(|a, b| a + b)?;
        (self.config.orthogonality > 0.0).then(|| total * self.config.orthogonality)
    }
}

/// An affine map whose weight is drawn towards orthogonality.
#[derive(Module, Debug)]
struct OrthogonalLinear {
    linear: Linear,
}

impl OrthogonalLinear {
    fn new(init: &Init, input: usize, output: usize) -> Self {
        Self {
            linear: Linear::new(&init.child("linear"), input, output),
        }
    }

    fn weight(&self) -> Tensor<2> {
        self.linear.weight()
    }
}

/// ‖G - I‖² / k², G the smaller Gram matrix of `[input, output]` and k its side.
fn penalty(weight: Tensor<2>) -> Tensor<1> {
    let [input, output] = weight.dims();
    let transposed = weight.clone().transpose();
    let (gram, side) = if output <= input {
        (transposed.matmul(weight), output)
    } else {
        (weight.matmul(transposed), input)
    };
    let identity = Tensor::<2>::eye(side, &gram.device().without_autodiff());
    let distance = (gram - identity).powi_scalar(2).sum();
    distance / (side * side) as f64
}

#[derive(Module, Debug)]
struct Layer {
    self_attn: SeparateAttention,
    norm1: LayerNorm,
    ff: OrthogonalFeedForward,
    norm2: LayerNorm,
}

impl Layer {
    fn new(init: &Init, sizes: &EncoderConfig) -> Self {
        let (attention, ff) = (init.child("self_attn"), init.child("ff"));
        let square = |name: &str| OrthogonalLinear::new(&attention.child(name), sizes.width, sizes.width);
        Self {
            self_attn: SeparateAttention {
                q_proj: square("q_proj"),
                k_proj: square("k_proj"),
                v_proj: square("v_proj"),
                out_proj: square("out_proj"),
                heads: sizes.heads,
            },
            norm1: LayerNorm::new(init, sizes.width),
            ff: OrthogonalFeedForward {
                expand: OrthogonalLinear::new(&ff.child("0"), sizes.width, sizes.feed_forward),
                contract: OrthogonalLinear::new(&ff.child("2"), sizes.feed_forward, sizes.width),
            },
            norm2: LayerNorm::new(init, sizes.width),
        }
    }

    fn projections(&self) -> impl Iterator<Item = &OrthogonalLinear> {
        let attention = &self.self_attn;
        [
            &attention.q_proj,
            &attention.k_proj,
            &attention.v_proj,
            &attention.out_proj,
            &self.ff.expand,
            &self.ff.contract,
        ]
        .into_iter()
    }
}

impl layers::Layer for Layer {
    fn attend(&self, x: Tensor<3>, masked: Option<&Tensor<4, Bool>>, place: Place, pass: &mut Pass) -> Tensor<4> {
        let attention = &self.self_attn;
        let projected = [&attention.q_proj, &attention.k_proj, &attention.v_proj]
            .map(|projection| by_head(projection.linear.forward(x.clone()), attention.heads));
        attend(projected, masked, place, pass)
    }

    fn join(&self, heads: Tensor<4>, place: Place, pass: &mut Pass) -> Tensor<3> {
        join(&self.self_attn.out_proj.linear, heads, place, pass)
    }

    fn rest(&self) -> AfterAttention<'_> {
        AfterAttention {
            norm1: &self.norm1,
            expand: &self.ff.expand.linear,
            activation: Activation::Gelu,
            contract: &self.ff.contract.linear,
            norm2: &self.norm2,
        }
    }
}

#[derive(Module, Debug)]
struct SeparateAttention {
    q_proj: OrthogonalLinear,
    k_proj: OrthogonalLinear,
    v_proj: OrthogonalLinear,
    out_proj: OrthogonalLinear,
    heads: usize,
}

#[derive(Module, Debug)]
struct OrthogonalFeedForward {
    expand: OrthogonalLinear,
    contract: OrthogonalLinear,
}
