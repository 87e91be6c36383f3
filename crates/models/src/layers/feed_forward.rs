//! What follows attention in every block: residual, norm, feed-forward, residual, norm (post-norm, Vaswani et al. 2017).

use burn::{
    module::Module,
    tensor::{
        Tensor,
        activation::{gelu, relu},
    },
};

use super::{LayerNorm, Linear};
use crate::{init::Init, input::Pass, site::Place};

/// The non-linearity of a feed-forward part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    /// max(0, x).
    Relu,
    /// x Φ(x), exact.
    Gelu,
}

/// The two maps of `torch.nn.Sequential(Linear, GELU, Linear)`; the weights file calls them 0 and 2.
#[derive(Module, Debug)]
pub(crate) struct FeedForward {
    pub(crate) expand: Linear,
    pub(crate) contract: Linear,
}

impl FeedForward {
    pub(crate) fn new(init: &Init, width: usize, hidden: usize) -> Self {
        Self {
            expand: Linear::new(&init.child("0"), width, hidden),
            contract: Linear::new(&init.child("2"), hidden, width),
        }
    }
}

/// The parts of a block after its attention, wherever a model keeps them.
pub(crate) struct AfterAttention<'a> {
    pub(crate) norm1: &'a LayerNorm,
    pub(crate) expand: &'a Linear,
    pub(crate) activation: Activation,
    pub(crate) contract: &'a Linear,
    pub(crate) norm2: &'a LayerNorm,
}

impl AfterAttention<'_> {
    /// The layer's input and its attention's output to what the feed-forward part is added to.
    pub(crate) fn add_attended(&self, x: Tensor<3>, attended: Tensor<3>) -> Tensor<3> {
        self.norm1.forward(x + attended)
    }

    /// The hidden activation before anybody looks at it.
    pub(crate) fn expand(&self, x: Tensor<3>) -> Tensor<3> {
        let expanded = self.expand.forward(x);
        match self.activation {
            Activation::Relu => relu(expanded),
            Activation::Gelu => gelu(expanded),
        }
    }

    /// From there to the feed-forward part's output before anybody looks at it.
    pub(crate) fn contract(&self, hidden: Tensor<3>, place: Place, pass: &mut Pass) -> Tensor<3> {
        let hidden = pass.site_with_dropout(place.site("ff.hidden"), hidden);
        self.contract.forward(hidden)
    }

    /// From there to the layer's output.
    pub(crate) fn add_fed_forward(&self, x: Tensor<3>, out: Tensor<3>, place: Place, pass: &mut Pass) -> Tensor<3> {
        let out = pass.site_with_dropout(place.site("ff.out"), out);
        pass.site(place.site("resid"), self.norm2.forward(x + out))
    }
}
