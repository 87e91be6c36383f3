//! Post-norm transformer encoder, as `torch.nn.TransformerEncoder` with ReLU.

use burn::{
    module::Module,
    tensor::{Bool, Tensor, activation::relu},
};

use super::{Linear, attention::Attention, norm::LayerNorm};
use crate::{ModelError, Site, SiteName, init::Init, input::Pass};

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
    /// Refuses sizes that cannot work.
    pub(crate) fn check(&self) -> Result<(), ModelError> {
        let sizes = [
            ("hidden", self.width),
            ("heads", self.heads),
            ("layers", self.layers),
            ("feed_forward", self.feed_forward),
        ];
        for (key, value) in sizes {
            if value == 0 {
                return Err(ModelError::setting(key, 0, "at least 1"));
            }
        }
        let (width, hidden) = (self.width as u128, self.feed_forward as u128);
        let parameters = self.layers as u128 * (4 * width * width + 2 * width * hidden);
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
        Ok(())
    }

    pub(crate) fn sites(&self, positions: usize) -> Vec<Site> {
        let sites = (0..self.layers).flat_map(|layer| {
            let mut sites = Attention::sites(layer, self.heads, positions, self.width);
            for (part, width) in [
                ("ff.hidden", self.feed_forward),
                ("ff.out", self.width),
                ("resid", self.width),
            ] {
                sites.push(Site::new(SiteName::layer(layer, part), [1, positions, width]));
            }
            sites
        });
        sites.collect()
    }
}

/// A stack of layers.
#[derive(Module, Debug)]
pub(crate) struct Encoder {
    layers: Vec<EncoderLayer>,
}

impl Encoder {
    pub(crate) fn new(init: &Init, config: &EncoderConfig) -> Self {
        let layers = (0..config.layers).map(|layer| EncoderLayer::new(&init.child(&layer.to_string()), config));
        Self {
            layers: layers.collect(),
        }
    }

    pub(crate) fn forward(&self, mut x: Tensor<3>, key_mask: Option<&Tensor<2, Bool>>, pass: &mut Pass) -> Tensor<3> {
        let masked: Option<Tensor<4, Bool>> = key_mask.map(|mask| {
            let [rows, positions] = mask.dims();
            mask.clone().bool_not().reshape([rows, 1, 1, positions])
        });
        for (index, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x, masked.as_ref(), index, pass);
        }
        x
    }
}

/// Attention and feed-forward, each added to its input and normalised.
#[derive(Module, Debug)]
struct EncoderLayer {
    self_attn: Attention,
    linear1: Linear,
    linear2: Linear,
    norm1: LayerNorm,
    norm2: LayerNorm,
}

impl EncoderLayer {
    fn new(init: &Init, config: &EncoderConfig) -> Self {
        let (width, hidden) = (config.width, config.feed_forward);
        Self {
            self_attn: Attention::new(&init.child("self_attn"), width, config.heads),
            linear1: Linear::new(&init.child("linear1"), width, hidden),
            linear2: Linear::new(&init.child("linear2"), hidden, width),
            norm1: LayerNorm::new(init, width),
            norm2: LayerNorm::new(init, width),
        }
    }

    fn forward(&self, x: Tensor<3>, masked: Option<&Tensor<4, Bool>>, layer: usize, pass: &mut Pass) -> Tensor<3> {
        let at = |part| SiteName::layer(layer, part);
        let attended = self.self_attn.forward(x.clone(), masked, layer, pass);
        let x = self.norm1.forward(x + attended);
        let hidden = pass.site_with_dropout(at("ff.hidden"), relu(self.linear1.forward(x.clone())));
        let out = pass.site_with_dropout(at("ff.out"), self.linear2.forward(hidden));
        pass.site(at("resid"), self.norm2.forward(x + out))
    }
}
