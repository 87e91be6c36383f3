//! Everything that a model computes, as numbers on the host.

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Bool, Device, Gradients, Tensor, TensorData},
};
use disentangle_data::Seed;
use disentangle_models::{Classifier, Input, Model, ModelConfig, State, Tap, train::Loss};
use ndarray::{Array3, ArrayView3};

/// Rows that pass.
const ROWS: usize = 7;

/// What is compared; a column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    /// The initial parameters, there and back.
    Start,
    /// Logits without dropout.
    Logits,
    /// The same with padding, from none of a row's positions to all of them.
    Masked,
    /// The same with a part of some sites changed by a tap.
    Edited,
    /// The same by a pass that is stopped, doubled and resumed.
    Resumed,
    /// Every site's activations.
    Sites,
    /// The gradient of the mean cross-entropy and the penalty with respect to every parameter.
    Gradient,
    /// The gradient of the logit with respect to the input.
    Input,
    /// Losses of 20 training steps.
    Losses,
    /// How far parameters end from flex's, by the way that they went in 20 steps.
    Way,
}

impl Column {
    pub(crate) const ALL: [Column; 10] = [
        Column::Start,
        Column::Logits,
        Column::Masked,
        Column::Edited,
        Column::Resumed,
        Column::Sites,
        Column::Gradient,
        Column::Input,
        Column::Losses,
        Column::Way,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Column::Start => "start",
            Column::Logits => "logits",
            Column::Masked => "masked",
            Column::Edited => "edited",
            Column::Resumed => "resumed",
            Column::Sites => "sites",
            Column::Gradient => "gradient",
            Column::Input => "d input",
            Column::Losses => "losses",
            Column::Way => "way",
        }
    }
}

/// Numbers that are compared as one: the largest of them is their scale.
pub(crate) struct Part {
    pub(crate) column: Column,
    pub(crate) name: String,
    pub(crate) values: Vec<f32>,
}

impl Part {
    pub(crate) fn new(column: Column, name: impl Into<String>, values: Vec<f32>) -> Self {
        Self {
            column,
            name: name.into(),
            values,
        }
    }
}

/// Largest |a - b| / (largest |b| + |b|); not a number, or infinite, where something cannot be compared.
pub(crate) fn difference(found: &[f32], expected: &[f32]) -> f64 {
    if found.len() != expected.len() {
        return f64::INFINITY;
    }
    // A masked score is -1e9, which must not become everybody's scale.
    let scale = expected.iter().map(|b| f64::from(b.abs())).filter(|b| *b < 1e8);
    let scale = scale.fold(0.0, f64::max);
    let differences = found.iter().zip(expected).map(|(&a, &b)| {
        let (a, b) = (f64::from(a), f64::from(b));
        if a == b { 0.0 } else { (a - b).abs() / (scale + b.abs()) }
    });
    largest(differences)
}

/// The largest of them, 0 for none; not a number where one of them is not.
pub(crate) fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |most, one| if one.is_nan() || one > most { one } else { most })
}

/// Everything but training.
pub(crate) fn measure(config: &ModelConfig, device: &Device) -> Vec<Part> {
    let model = config.init(Seed::new(1), device).unwrap();
    let x = rows(&model, ROWS);
    let plain = input(x.view(), device);
    let masked = Input {
        key_mask: Some(mask(&model, device)),
        ..plain.clone()
    };
    let logits = |input: &Input| host(model.forward(input, &mut Tap::off()));
    let labels: Vec<f32> = (0..ROWS).map(|row| f32::from(u8::from(row % 2 == 0))).collect();
    let mut parts = vec![
        Part::new(Column::Start, "parameters", flatten(&model)),
        Part::new(Column::Logits, "logits", logits(&plain)),
        Part::new(Column::Masked, "logits", logits(&masked)),
        Part::new(Column::Edited, "logits", edited(&model, &plain)),
        Part::new(Column::Resumed, "logits", resumed(&model, &masked)),
        Part::new(
            Column::Gradient,
            "parameters",
            gradient(&model, &plain, &labels, device),
        ),
        Part::new(Column::Input, "input", model.input_gradient(x.view(), device).unwrap()),
    ];
    parts.extend(sites(&model, &plain));
    parts
}

/// Normal values of the model's shape.
pub(crate) fn rows(model: &Model, count: usize) -> Array3<f32> {
    let [positions, features] = model.input_shape();
    let mut rng = Seed::new(5).rng();
    Array3::from_shape_simple_fn((count, positions, features), || rng.normal() as f32)
}

pub(crate) fn input(x: ArrayView3<f32>, device: &Device) -> Input {
    let (rows, positions, features) = x.dim();
    let values: Vec<f32> = x.iter().copied().collect();
    let data = TensorData::new(values, [rows, positions, features]);
    Input::new(Tensor::from_data(data, device))
}

/// The first row holds no data, the last one holds data everywhere.
fn mask(model: &Model, device: &Device) -> Tensor<2, Bool> {
    let [positions, _] = model.input_shape();
    let full = (0..ROWS).map(|row| row * positions / (ROWS - 1));
    let values: Vec<bool> = full
        .flat_map(|full| (0..positions).map(move |position| position < full))
        .collect();
    Tensor::from_data(TensorData::new(values, [ROWS, positions]), device)
}

fn edited(model: &Model, input: &Input) -> Vec<f32> {
    let mut tap = Tap::new();
    for site in model.sites() {
        if site.name == "input" || site.name.ends_with("attn.z") || site.name.ends_with("resid") {
            let [_, positions, neurons] = site.axes;
            let part = format!(
                "{}[position={},neuron=0..{}]",
                site.name,
                positions - 1,
                neurons.div_ceil(2)
            );
            tap = tap.edit(&part, |x| x * 0.5 + 0.1).unwrap();
        }
    }
    let logits = host(model.forward(input, &mut tap));
    tap.finish().unwrap();
    logits
}

fn resumed(model: &Model, input: &Input) -> Vec<f32> {
    let trace = model.trace(input, &mut Tap::off());
    let middle = model.steps() / 2;
    let state = &trace.before[middle];
    host(model.resume(middle, State::join(&[state, state]).unwrap(), &mut Tap::off()))
}

fn sites(model: &Model, input: &Input) -> Vec<Part> {
    let sites = model.sites();
    let mut tap = Tap::new();
    for site in &sites {
        tap = tap.record(&site.name).unwrap();
    }
    model.forward(input, &mut tap);
    let run = tap.finish().unwrap();
    let part = |name: &String| Part::new(Column::Sites, name, host(run.get(name).unwrap()));
    sites.iter().map(|site| part(&site.name)).collect()
}

pub(crate) fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = tensor.into_data();
    data.iter::<f32>().collect()
}

/// All parameters, one after the other.
pub(crate) fn flatten(model: &Model) -> Vec<f32> {
    struct Flatten(Vec<f32>);
    impl ModuleVisitor for Flatten {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.extend(host(param.val()));
        }
    }
    let mut flatten = Flatten(Vec::new());
    model.visit(&mut flatten);
    flatten.0
}

/// The gradient of the mean cross-entropy and the penalty, in the order of [`flatten`]; without dropout.
pub(crate) fn gradient(model: &Model, input: &Input, labels: &[f32], device: &Device) -> Vec<f32> {
    let taped = model.clone().map(&mut Leaves {
        device: device.clone().autodiff(),
    });
    let logits = taped.forward(input, &mut Tap::off());
    let rows = host(logits.clone().without_autodiff()).into_iter().zip(labels);
    let slopes: Vec<f32> = rows
        .map(|(z, &y)| (Loss::Bce.row(z, y).1 / labels.len() as f64) as f32)
        .collect();
    let slopes = Tensor::<1>::from_data(TensorData::new(slopes, [labels.len()]), device);
    let loss = (logits * slopes).sum();
    let loss = match taped.penalty() {
        Some(penalty) => loss + penalty,
        None => loss,
    };
    let mut collect = Collect {
        gradients: loss.backward(),
        flat: Vec::new(),
    };
    taped.visit(&mut collect);
    collect.flat
}

/// Makes every parameter a leaf of a graph.
struct Leaves {
    device: Device,
}

impl ModuleMapper for Leaves {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let value = param.val();
        let shape = value.dims();
        let tensor = Tensor::from_data(TensorData::new(host(value), shape), &self.device).require_grad();
        Param::initialized(param.id, tensor)
    }
}

struct Collect {
    gradients: Gradients,
    flat: Vec<f32>,
}

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        match value.grad_remove(&mut self.gradients) {
            Some(gradient) => self.flat.extend(host(gradient)),
            // The loss does not depend on it.
            None => self
                .flat
                .resize(self.flat.len() + value.dims().iter().product::<usize>(), 0.0),
        }
    }
}
