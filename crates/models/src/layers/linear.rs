//! Affine maps.

use burn::{
    module::{Module, Param},
    tensor::{Tensor, module::linear},
};

use crate::init::Init;

/// `y = x W + b`. The weight is `[input, output]`; PyTorch's is its transpose, which the weights file holds.
#[derive(Module, Debug)]
pub(crate) struct Linear {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Linear {
    /// PyTorch's default: weight and bias uniform in ±1/√input.
    pub(crate) fn new(init: &Init, input: usize, output: usize) -> Self {
        let bound = 1.0 / (input as f64).sqrt();
        Self {
            weight: init.uniform("weight", [input, output], bound),
            bias: init.uniform("bias", [output], bound),
        }
    }

    /// Bias 0, weight uniform in ±`bound`, as attention projections start.
    pub(crate) fn without_bias_noise(init: &Init, input: usize, output: usize, bound: f64) -> Self {
        Self {
            weight: init.uniform("weight", [input, output], bound),
            bias: init.constant([output], 0.0),
        }
    }

    /// `[input, output]`.
    pub(crate) fn weight(&self) -> Tensor<2> {
        self.weight.val()
    }

    /// `[.., input]` to `[.., output]`.
    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let mut shape = x.dims();
        let weight = self.weight.val();
        let [input, output] = weight.dims();
        // One matrix of all rows: left as a batch, the backward pass would make one weight gradient a row and add them up.
        let rows: Tensor<2> = x.reshape([shape.iter().product::<usize>() / input, input]);
        let y = linear(rows, weight, Some(self.bias.val()));
        if let Some(last) = shape.last_mut() {
            *last = output;
        }
        y.reshape(shape)
    }
}
