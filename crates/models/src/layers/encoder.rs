//! Post-norm transformer encoder, as `torch.nn.TransformerEncoder` with ReLU.

use burn::{
    module::Module,
    tensor::{Bool, Tensor},
};

use super::{Activation, AfterAttention, Attention, LayerNorm, Linear, attention_sites, padding};
use crate::{
    ModelError, Site,
    init::Init,
    input::Pass,
    site::{Place, Scope},
};

/// Sizes of an encoder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EncoderConfig {
    pub(crate) width: usize,
    pub(crate) heads: usize,
    pub(crate) layers: usize,
    pub(crate) feed_forward: usize,
}

/// Eight gigabytes of weights: more is a slip of the hand.
const MOST_PARAMETERS: u128 = 2_000_000_000;

impl EncoderConfig {
    /// Refuses sizes that cannot work, `inputs` (by name) and dropout rates included.
    pub(crate) fn check(&self, inputs: &[(&'static str, usize)], dropout: f64) -> Result<(), ModelError> {
        let sizes = [
            ("hidden", self.width),
            ("heads", self.heads),
            ("layers", self.layers),
            ("feed_forward", self.feed_forward),
        ];
        for &(key, value) in sizes.iter().chain(inputs) {
            if value == 0 {
                return Err(ModelError::setting(key, 0, "at least 1"));
            }
        }
        let (width, hidden) = (self.width as u128, self.feed_forward as u128);
        let outside: u128 = inputs.iter().map(|(_, size)| *size as u128 * width).sum();
        let parameters = self.layers as u128 * (4 * width * width + 2 * width * hidden) + outside;
        if parameters > MOST_PARAMETERS {
            return Err(ModelError::setting(
                "hidden",
                self.width,
                format!("sizes that give fewer than {MOST_PARAMETERS} parameters"),
            ));
        }
        if !self.width.is_multiple_of(self.heads) {
            let expected = format!("a divisor of hidden = {}", self.width);
            return Err(ModelError::setting("heads", self.heads, expected));
        }
        if !(0.0..1.0).contains(&dropout) {
            return Err(ModelError::setting("dropout", dropout, "a rate from 0 to below 1"));
        }
        Ok(())
    }

    /// The sites of one layer in the order in which they fire; `keys` is how many keys a query sees.
    pub(crate) fn layer_sites(&self, place: Place, positions: usize, keys: usize) -> Vec<Site> {
        let mut sites = attention_sites(place, self.heads, positions, keys, self.width);
        for (part, width) in [
            ("ff.hidden", self.feed_forward),
            ("ff.out", self.width),
            ("resid", self.width),
        ] {
            sites.push(Site::new(place.site(part), [1, positions, width]));
        }
        sites
    }

    /// The sites of all layers.
    pub(crate) fn sites(&self, positions: usize) -> Vec<Site> {
        let layers = (0..self.layers).map(|layer| Place::layer(Scope::Whole, layer));
        layers
            .flat_map(|place| self.layer_sites(place, positions, positions))
            .collect()
    }
}

/// A stack of layers.
#[derive(Module, Debug)]
pub(crate) struct Encoder {
    layers: Vec<EncoderLayer>,
}

impl Encoder {
    pub(crate) fn new(init: &Init, config: &EncoderConfig) -> Self {
        Self {
            layers: EncoderLayer::stack(init, config),
        }
    }

    pub(crate) fn forward(&self, x: Tensor<3>, key_mask: Option<&Tensor<2, Bool>>, pass: &mut Pass) -> Tensor<3> {
        encode(&self.layers, x, key_mask, pass)
    }
}

/// Passes `[row, position, width]` through layers, one after the other.
pub(crate) fn encode(
    layers: &[EncoderLayer],
    mut x: Tensor<3>,
    key_mask: Option<&Tensor<2, Bool>>,
    pass: &mut Pass,
) -> Tensor<3> {
    let masked = padding(key_mask);
    for (index, layer) in layers.iter().enumerate() {
        x = layer.forward(x, masked.as_ref(), Place::layer(Scope::Whole, index), pass);
    }
    x
}

/// Attention and feed-forward, each added to its input and normalised.
#[derive(Module, Debug)]
pub(crate) struct EncoderLayer {
    self_attn: Attention,
    linear1: Linear,
    linear2: Linear,
    norm1: LayerNorm,
    norm2: LayerNorm,
}

impl EncoderLayer {
    pub(crate) fn new(init: &Init, config: &EncoderConfig) -> Self {
        let (width, hidden) = (config.width, config.feed_forward);
        Self {
            self_attn: Attention::new(&init.child("self_attn"), width, config.heads),
            linear1: Linear::new(&init.child("linear1"), width, hidden),
            linear2: Linear::new(&init.child("linear2"), hidden, width),
            norm1: LayerNorm::new(init, width),
            norm2: LayerNorm::new(init, width),
        }
    }

    pub(crate) fn stack(init: &Init, config: &EncoderConfig) -> Vec<Self> {
        let layers = (0..config.layers).map(|layer| Self::new(&init.child(&layer.to_string()), config));
        layers.collect()
    }

    pub(crate) fn forward(
        &self,
        x: Tensor<3>,
        masked: Option<&Tensor<4, Bool>>,
        place: Place,
        pass: &mut Pass,
    ) -> Tensor<3> {
        let attended = self.self_attn.forward(x.clone(), masked, place, pass);
        let rest = AfterAttention {
            norm1: &self.norm1,
            expand: &self.linear1,
            activation: Activation::Relu,
            contract: &self.linear2,
            norm2: &self.norm2,
        };
        rest.forward(x, attended, place, pass)
    }
}
