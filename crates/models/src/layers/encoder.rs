//! Post-norm transformer encoder, as `torch.nn.TransformerEncoder` with ReLU.

use burn::{
    module::Module,
    tensor::{Bool, Tensor},
};

use super::{Activation, AfterAttention, Attention, LayerNorm, Linear, attention_sites, padding};
use crate::{
    ModelError, Site, State,
    init::Init,
    input::Pass,
    site::{Place, Scope},
    state::Aside,
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

    /// A part of a layer: see [`layer_step`].
    pub(crate) fn step(&self, step: usize, state: State, pass: &mut Pass) -> State {
        step_of_stack(&self.layers, step, state, pass)
    }
}

/// A layer whose parts can be run one at a time.
pub(crate) trait Layer {
    /// Up to what the heads read: `[row, position, width]` to `[row, head, position, width]`.
    fn attend(&self, x: Tensor<3>, masked: Option<&Tensor<4, Bool>>, place: Place, pass: &mut Pass) -> Tensor<4>;

    /// From what the heads read to the attention's output, `[row, position, width]`.
    fn join(&self, heads: Tensor<4>, place: Place, pass: &mut Pass) -> Tensor<3>;

    /// Everything behind that.
    fn rest(&self) -> AfterAttention<'_>;
}

/// Steps of a layer: before what the heads read, before the hidden activation, before the feed-forward output, and to the end.
pub(crate) const STEPS: usize = 4;

/// The part of a layer that comes next, which the state tells.
pub(crate) fn layer_step(layer: &impl Layer, place: Place, mut state: State, pass: &mut Pass) -> State {
    let rest = layer.rest();
    state.aside = match state.aside.take() {
        None => {
            let masked = padding(state.key_mask.as_ref());
            let heads = layer.attend(state.stream.clone(), masked.as_ref(), place, pass);
            Some(Aside::Heads(heads))
        }
        Some(Aside::Heads(heads)) => {
            let attended = layer.join(heads, place, pass);
            state.stream = rest.add_attended(state.stream, attended);
            Some(Aside::Hidden(rest.expand(state.stream.clone())))
        }
        Some(Aside::Hidden(hidden)) => Some(Aside::Out(rest.contract(hidden, place, pass))),
        Some(Aside::Out(out)) => {
            state.stream = rest.add_fed_forward(state.stream, out, place, pass);
            None
        }
    };
    state
}

/// The `step`-th step of layers that follow one another.
pub(crate) fn step_of_stack(layers: &[impl Layer], step: usize, state: State, pass: &mut Pass) -> State {
    let layer = step / STEPS;
    layer_step(&layers[layer], Place::layer(Scope::Whole, layer), state, pass)
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
}

impl Layer for EncoderLayer {
    fn attend(&self, x: Tensor<3>, masked: Option<&Tensor<4, Bool>>, place: Place, pass: &mut Pass) -> Tensor<4> {
        self.self_attn.heads(x, masked, place, pass)
    }

    fn join(&self, heads: Tensor<4>, place: Place, pass: &mut Pass) -> Tensor<3> {
        self.self_attn.out(heads, place, pass)
    }

    fn rest(&self) -> AfterAttention<'_> {
        AfterAttention {
            norm1: &self.norm1,
            expand: &self.linear1,
            activation: Activation::Relu,
            contract: &self.linear2,
            norm2: &self.norm2,
        }
    }
}
