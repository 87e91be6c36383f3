//! A model's parameters as one flat vector, and by name.

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Device, Gradients, Tensor, TensorData},
};

use crate::{Model, model::to_vec};

/// One parameter as the weights file shows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named {
    /// PyTorch's name.
    pub(crate) name: String,
    /// PyTorch's shape.
    pub(crate) shape: Vec<usize>,
    /// Whether PyTorch's tensor is the transpose of ours.
    pub(crate) transposed: bool,
}

impl Named {
    pub(crate) fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

/// All parameters, one after the other, in our layout.
pub(crate) fn flatten(model: &Model) -> Vec<f32> {
    struct Flatten(Vec<f32>);
    impl ModuleVisitor for Flatten {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.extend(to_vec(param.val().without_autodiff()));
        }
    }
    let mut visitor = Flatten(Vec::with_capacity(model.num_params()));
    model.visit(&mut visitor);
    visitor.0
}

/// The model on `device` with the parameters `flat`. With `gradients`, each is a fresh leaf of its own graph.
pub(crate) fn place(model: Model, flat: &[f32], device: &Device, gradients: bool) -> Model {
    struct Place<'a> {
        rest: &'a [f32],
        device: &'a Device,
        gradients: bool,
    }
    impl ModuleMapper for Place<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let shape = param.val().dims();
            let (own, rest) = self.rest.split_at(shape.iter().product());
            self.rest = rest;
            let tensor = Tensor::from_data(TensorData::new(own.to_vec(), shape), self.device);
            let tensor = if self.gradients { tensor.require_grad() } else { tensor };
            Param::initialized(param.id, tensor)
        }
    }
    model.map(&mut Place {
        rest: flat,
        device,
        gradients,
    })
}

/// Gradients in the order of [`flatten`]; 0 where the loss does not depend on a parameter.
pub(crate) fn flat_gradients(model: &Model, gradients: &mut Gradients) -> Vec<f32> {
    struct Collect<'a> {
        gradients: &'a mut Gradients,
        flat: Vec<f32>,
    }
    impl ModuleVisitor for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let value = param.val();
            match value.grad_remove(self.gradients) {
                Some(gradient) => self.flat.extend(to_vec(gradient)),
                None => self
                    .flat
                    .resize(self.flat.len() + value.dims().iter().product::<usize>(), 0.0),
            }
        }
    }
    let mut visitor = Collect {
        gradients,
        flat: Vec::with_capacity(model.num_params()),
    };
    model.visit(&mut visitor);
    visitor.flat
}

/// Names and shapes in the order of [`flatten`].
pub(crate) fn names(model: &Model) -> Vec<Named> {
    struct Names {
        path: Vec<String>,
        containers: Vec<String>,
        found: Vec<Named>,
    }
    impl ModuleVisitor for Names {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.push(name.into());
            self.containers.push(container.into());
        }

        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
            self.containers.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            // The first element is the enum's variant.
            let path = self.path.get(1..).unwrap_or_default().join(".");
            let mut shape = param.val().dims().to_vec();
            let transposed = D == 2 && self.containers.last().is_some_and(|c| c == "Struct:Linear");
            if transposed {
                shape.reverse();
            }
            self.found.push(Named {
                name: pytorch_name(&path),
                shape,
                transposed,
            });
        }
    }
    let mut visitor = Names {
        path: Vec::new(),
        containers: Vec::new(),
        found: Vec::new(),
    };
    model.visit(&mut visitor);
    visitor.found
}

/// `MultiheadAttention` keeps its fused projection as two plain tensors; the maps of a `Sequential` are called by number.
fn pytorch_name(path: &str) -> String {
    let names = [(".in_proj.", ".in_proj_"), (".expand.", ".0."), (".contract.", ".2.")];
    names
        .iter()
        .fold(path.to_string(), |path, (ours, theirs)| path.replace(ours, theirs))
}

/// `values` of shape `[rows, columns]` as `[columns, rows]`.
pub(crate) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|c| (0..rows).map(move |r| values[r * columns + c]))
        .collect()
}
