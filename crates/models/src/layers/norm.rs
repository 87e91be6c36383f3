//! Layer normalisation (Ba, Kiros and Hinton 2016).

use burn::{
    module::{Module, Param},
    tensor::{Tensor, module::layer_norm},
};

use crate::init::Init;

/// Normalises the last axis (biased variance, epsilon 1e-5 as in PyTorch), then scales and shifts it.
#[derive(Module, Debug)]
pub(crate) struct LayerNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
}

impl LayerNorm {
    pub(crate) fn new(init: &Init, width: usize) -> Self {
        Self {
            weight: init.constant([width], 1.0),
            bias: init.constant([width], 0.0),
        }
    }

    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        layer_norm(x, self.weight.val(), Some(self.bias.val()), 1e-5)
    }
}
