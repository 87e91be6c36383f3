//! Parameters drawn from a named seed, never from Burn's process-wide generator.

use burn::{
    module::{Param, ParamId},
    tensor::{Device, Tensor, TensorData},
};
use disentangle_data::Seed;

/// Where parameters come from while a model is built. Each draws from the seed's child of its own name, so that adding a
/// layer changes no other layer's start.
#[derive(Clone, Debug)]
pub(crate) struct Init<'a> {
    seed: Seed,
    device: &'a Device,
}

impl<'a> Init<'a> {
    pub(crate) fn new(seed: Seed, device: &'a Device) -> Self {
        Self { seed, device }
    }

    pub(crate) fn child(&self, name: &str) -> Self {
        Self {
            seed: self.seed.child(name),
            device: self.device,
        }
    }

    /// Uniform in [-bound, bound).
    pub(crate) fn uniform<const D: usize>(&self, name: &str, shape: [usize; D], bound: f64) -> Param<Tensor<D>> {
        let mut rng = self.seed.child(name).rng();
        self.parameter(shape, || ((2.0 * rng.uniform() - 1.0) * bound) as f32)
    }

    /// Standard normal.
    pub(crate) fn normal<const D: usize>(&self, name: &str, shape: [usize; D]) -> Param<Tensor<D>> {
        let mut rng = self.seed.child(name).rng();
        self.parameter(shape, || rng.normal() as f32)
    }

    /// One value everywhere.
    pub(crate) fn constant<const D: usize>(&self, shape: [usize; D], value: f32) -> Param<Tensor<D>> {
        self.parameter(shape, || value)
    }

    fn parameter<const D: usize>(&self, shape: [usize; D], mut draw: impl FnMut() -> f32) -> Param<Tensor<D>> {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| draw()).collect();
        let tensor = Tensor::from_data(TensorData::new(values, shape), self.device);
        Param::initialized(ParamId::new(), tensor)
    }
}
