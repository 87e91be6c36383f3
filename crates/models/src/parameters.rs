//! A model's parameters as one flat vector, and by name.

use std::ops::Range;

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Device, Gradients, Tensor, TensorData},
};

use crate::{Classifier, Model, ModelError, model::extend, near_names};

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
            extend(&mut self.0, param.val().without_autodiff());
        }
    }
    let mut visitor = Flatten(Vec::with_capacity(model.num_params()));
    model.visit(&mut visitor);
    visitor.0
}

/// The model on `device` with the parameters `flat`.
pub(crate) fn place(model: Model, flat: &[f32], device: &Device) -> Model {
    struct Place<'a> {
        rest: &'a [f32],
        device: &'a Device,
    }
    impl ModuleMapper for Place<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let shape = param.val().dims();
            let (own, rest) = self.rest.split_at(shape.iter().product());
            self.rest = rest;
            let tensor = Tensor::from_data(TensorData::new(own.to_vec(), shape), self.device);
            Param::initialized(param.id, tensor)
        }
    }
    model.map(&mut Place { rest: flat, device })
}

/// A model of the same shape whose parameters take no memory: each is one value, seen everywhere.
pub(crate) fn hollow(model: Model) -> Model {
    struct Hollow;
    impl ModuleMapper for Hollow {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (id, tensor, _) = param.consume();
            let one = Tensor::<D>::zeros([1; D], &tensor.device());
            Param::initialized(id, one.expand(tensor.dims()))
        }
    }
    model.map(&mut Hollow)
}

/// `model`, which nobody else holds a part of, with the parameters `flat` in the memory that it has: fresh memory costs more than the copy.
pub(crate) fn renew(model: Model, flat: &[f32], device: &Device) -> Model {
    struct Renew<'a> {
        rest: &'a [f32],
        device: &'a Device,
    }
    impl ModuleMapper for Renew<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (id, tensor, _) = param.consume();
            let shape = tensor.dims();
            let (own, rest) = self.rest.split_at(shape.iter().product());
            self.rest = rest;
            let mut data = tensor.into_data();
            let data = match data.as_mut_slice::<f32>() {
                Ok(values) => {
                    values.copy_from_slice(own);
                    data
                }
                Err(_) => TensorData::new(own.to_vec(), shape),
            };
            Param::initialized(id, Tensor::from_data(data, self.device))
        }
    }
    model.map(&mut Renew { rest: flat, device })
}

/// The same model with every parameter a fresh leaf of a graph of its own. Their values are shared.
pub(crate) fn taped(model: Model) -> Model {
    struct Taped;
    impl ModuleMapper for Taped {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            Param::initialized(param.id, param.val().autodiff().require_grad())
        }
    }
    model.map(&mut Taped)
}

/// The gradient of one parameter.
#[derive(Debug)]
pub(crate) enum Piece {
    Values(TensorData),
    /// The loss does not depend on the parameter: so many zeros.
    Absent(usize),
}

impl Piece {
    pub(crate) fn len(&self) -> usize {
        match self {
            Piece::Values(data) => data.num_elements(),
            Piece::Absent(length) => *length,
        }
    }

    /// The values; none if they are 0.
    pub(crate) fn values(&self) -> Option<&[f32]> {
        match self {
            // Made of `f32` by `gradients`.
            Piece::Values(data) => data.as_slice().ok(),
            Piece::Absent(_) => None,
        }
    }
}

/// Gradients in the order of [`flatten`], as they lie in memory.
pub(crate) fn gradients(model: &Model, gradients: &mut Gradients) -> Vec<Piece> {
    struct Collect<'a> {
        gradients: &'a mut Gradients,
        pieces: Vec<Piece>,
    }
    impl ModuleVisitor for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let value = param.val();
            self.pieces.push(match value.grad_remove(self.gradients) {
                Some(gradient) => Piece::Values(gradient.into_data().convert::<f32>()),
                None => Piece::Absent(value.dims().iter().product()),
            });
        }
    }
    let mut visitor = Collect {
        gradients,
        pieces: Vec::new(),
    };
    model.visit(&mut visitor);
    visitor.pieces
}

/// The same, one after the other; 0 where the loss does not depend on a parameter.
#[cfg(test)]
pub(crate) fn flat_gradients(model: &Model, of_graph: &mut Gradients) -> Vec<f32> {
    let mut flat = Vec::with_capacity(model.num_params());
    for piece in gradients(model, of_graph) {
        match piece.values() {
            Some(values) => flat.extend_from_slice(values),
            None => flat.resize(flat.len() + piece.len(), 0.0),
        }
    }
    flat
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

/// Where the parameters of each of [`Classifier::parts`] lie in [`flatten`].
pub(crate) fn parts(model: &Model) -> Vec<Vec<Range<usize>>> {
    let mut start = 0;
    let mut ranges = vec![Vec::new(); model.parts().len()];
    for parameter in names(model) {
        let range = start..start + parameter.len();
        start = range.end;
        let module = parameter.name.split('.').next().unwrap_or_default();
        if let Some(part) = model.parts().iter().position(|part| *part == module) {
            ranges[part].push(range);
        }
    }
    ranges
}

/// `MultiheadAttention` keeps its fused projection as two plain tensors; the maps of a `Sequential` are called by number.
fn pytorch_name(path: &str) -> String {
    let names = [(".in_proj.", ".in_proj_"), (".expand.", ".0."), (".contract.", ".2.")];
    names
        .iter()
        .fold(path.to_string(), |path, (ours, theirs)| path.replace(ours, theirs))
}

impl Model {
    /// The same model with a part of one parameter changed: `edit` is given the part's values in PyTorch's layout, row by row.
    ///
    /// `name` is PyTorch's, `axes` are index ranges along the parameter's axes (all of an axis where not given). Fails for an unknown
    /// name, naming near ones, and for ranges that select nothing.
    pub fn with_parameter(
        &self,
        name: &str,
        axes: &[Option<Range<usize>>],
        device: &Device,
        edit: impl FnOnce(&mut Vec<f32>),
    ) -> Result<Model, ModelError> {
        let named = names(self);
        let error = |reason: String| ModelError::Tap {
            site: name.into(),
            reason,
        };
        let index = named
            .iter()
            .position(|parameter| parameter.name == name)
            .ok_or_else(|| {
                let known: Vec<String> = named.iter().map(|parameter| parameter.name.clone()).collect();
                error(format!(
                    "no such parameter in this model; near names: {}",
                    near_names(name, &known)
                ))
            })?;
        let parameter = &named[index];
        let range = |axis: usize| match axes.get(axis) {
            Some(Some(range)) => range.clone(),
            _ => 0..parameter.shape[axis],
        };
        let ranges: Vec<Range<usize>> = (0..parameter.shape.len()).map(range).collect();
        let fits = ranges.iter().zip(&parameter.shape);
        if axes.len() > ranges.len()
            || fits
                .clone()
                .any(|(range, &length)| range.is_empty() || range.end > length)
        {
            let shape = &parameter.shape;
            return Err(error(format!(
                "selects nothing: the parameter has shape {shape:?}, counted from 0"
            )));
        }
        let indices = indices(&ranges, &parameter.shape);
        let start: usize = named[..index].iter().map(Named::len).sum();
        // Ours is the transpose.
        let ours = |index: usize| match parameter.shape[..] {
            [rows, columns] if parameter.transposed => start + (index % columns) * rows + index / columns,
            _ => start + index,
        };
        let mut flat = flatten(self);
        let mut values: Vec<f32> = indices.iter().map(|&index| flat[ours(index)]).collect();
        edit(&mut values);
        for (&index, value) in indices.iter().zip(values) {
            flat[ours(index)] = value;
        }
        Ok(place(self.clone(), &flat, device))
    }
}

impl Model {
    /// The same model with another last layer: one weight for each neuron of `pool`, and the constant. Fails for another number of weights.
    pub fn with_head(&self, weights: &[f32], bias: f32, device: &Device) -> Result<Model, ModelError> {
        let mut flat = flatten(self);
        let named = names(self);
        // The output layer stands last in every family.
        let wrong =
            |found: String| ModelError::Train(format!("a last layer of {} weights, expected {found}", weights.len()));
        match &named[..] {
            [.., weight, constant] if constant.shape == [1] && weight.shape == [1, weights.len()] => {
                let start = flat.len() - 1 - weights.len();
                flat[start..start + weights.len()].copy_from_slice(weights);
                flat[start + weights.len()] = bias;
                Ok(place(self.clone(), &flat, device))
            }
            [.., weight, _] => Err(wrong(format!("as many as {} has: {:?}", weight.name, weight.shape))),
            _ => Err(wrong("a model with a linear last layer".into())),
        }
    }
}

/// Flat indices of a part of a row-major array.
fn indices(ranges: &[Range<usize>], shape: &[usize]) -> Vec<usize> {
    ranges.iter().zip(shape).fold(vec![0], |starts, (range, length)| {
        let along = |start: usize| range.clone().map(move |index| start * length + index);
        starts.into_iter().flat_map(along).collect()
    })
}

/// `values` of shape `[rows, columns]` as `[columns, rows]`.
pub(crate) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|c| (0..rows).map(move |r| values[r * columns + c]))
        .collect()
}
