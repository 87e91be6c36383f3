//! Every model behind one enum, so that nothing above is generic.

use burn::{
    module::Module,
    tensor::{Device, Tensor, TensorData},
};
use disentangle_data::Seed;
use ndarray::{Array2, ArrayView3};
use serde::{Deserialize, Serialize};

use crate::{
    Disentangled, DisentangledConfig, Gated, GatedConfig, Healthcare, HealthcareConfig, Hierarchical,
    HierarchicalConfig, Input, Large, LargeConfig, LinearConfig, LinearModel, ModelError, Parallel, ParallelConfig,
    Pass, Sequence, SequenceConfig, Site, Small, SmallConfig, State, Tap, parallel, parameters, rows_at_once,
};

/// What every model can do.
pub trait Classifier {
    /// Its sites, in the order in which they fire.
    fn sites(&self) -> Vec<Site>;

    /// Positions and features of its input.
    fn input_shape(&self) -> [usize; 2];

    /// Its dropout rate while training.
    fn dropout(&self) -> f64;

    /// What training adds to the loss whatever the rows, one number: a penalty on the weights. `None` for most models.
    fn penalty(&self) -> Option<Tensor<1>> {
        None
    }

    /// Modules whose gradients are watched while training: names of parameters begin with them. None for most models.
    fn parts(&self) -> &'static [&'static str] {
        &[]
    }

    /// The weights that read the input, whatever comes between; a feature that none of them reads cannot move the output.
    fn input_weights(&self) -> Vec<InputWeight>;

    /// Into how many steps a forward pass falls: the embedding, four a layer, and the output.
    fn steps(&self) -> usize;

    /// Step `index`, from what the step before it left; the last one leaves the logits.
    fn step(&self, index: usize, state: State, pass: &mut Pass) -> State;

    /// One logit a row; the body of [`Classifier::forward`], with dropout while training.
    fn pass(&self, input: &Input, pass: &mut Pass) -> Tensor<1> {
        let steps = 0..self.steps();
        steps
            .fold(State::new(input), |state, index| self.step(index, state, pass))
            .logits()
    }

    /// # Panics
    /// If the input is not `[row, position, feature]` of [`Classifier::input_shape`]: a shorter one would broadcast silently.
    fn check_shape(&self, input: &Input) {
        let [_, positions, features] = input.x.dims();
        assert_eq!(
            [positions, features],
            self.input_shape(),
            "positions and features of the input are not the model's"
        );
    }

    /// One logit a row, without dropout. The tap reads and edits activations on the way.
    ///
    /// # Panics
    /// As [`Classifier::check_shape`].
    fn forward(&self, input: &Input, tap: &mut Tap) -> Tensor<1> {
        self.check_shape(input);
        tap.begin(input.x.dims()[0]);
        self.pass(input, &mut Pass::new(tap, None))
    }
}

/// A linear weight that reads the input, `[output, input]` in PyTorch's layout: its second axis is that of features.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputWeight {
    /// PyTorch's name.
    pub name: String,
    /// The feature that each of its inputs is.
    pub features: Vec<usize>,
}

impl InputWeight {
    pub(crate) fn new(name: impl Into<String>, features: impl IntoIterator<Item = usize>) -> Self {
        Self {
            name: name.into(),
            features: features.into_iter().collect(),
        }
    }
}

/// A model's family and sizes, as `model.json` holds them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "family", content = "config", rename_all = "snake_case")]
pub enum ModelConfig {
    /// [`LinearModel`].
    Linear(LinearConfig),
    /// [`Small`].
    Small(SmallConfig),
    /// [`Sequence`].
    Sequence(SequenceConfig),
    /// [`Disentangled`].
    Disentangled(DisentangledConfig),
    /// [`Healthcare`].
    Healthcare(HealthcareConfig),
    /// [`Large`].
    Large(LargeConfig),
    /// [`Parallel`].
    Parallel(ParallelConfig),
    /// [`Hierarchical`].
    Hierarchical(HierarchicalConfig),
    /// [`Gated`].
    Gated(GatedConfig),
}

impl ModelConfig {
    /// Checks the sizes and draws the weights.
    pub fn init(&self, seed: Seed, device: &Device) -> Result<Model, ModelError> {
        Ok(match self {
            ModelConfig::Linear(config) => Model::Linear(config.init(seed, device)?),
            ModelConfig::Small(config) => Model::Small(config.init(seed, device)?),
            ModelConfig::Sequence(config) => Model::Sequence(config.init(seed, device)?),
            ModelConfig::Disentangled(config) => Model::Disentangled(config.init(seed, device)?),
            ModelConfig::Healthcare(config) => Model::Healthcare(config.init(seed, device)?),
            ModelConfig::Large(config) => Model::Large(config.init(seed, device)?),
            ModelConfig::Parallel(config) => Model::Parallel(config.init(seed, device)?),
            ModelConfig::Hierarchical(config) => Model::Hierarchical(config.init(seed, device)?),
            ModelConfig::Gated(config) => Model::Gated(config.init(seed, device)?),
        })
    }
}

/// Any model of the zoo.
#[derive(Module, Debug)]
pub enum Model {
    /// Logistic regression on all features of a window.
    Linear(LinearModel),
    /// A row as one token, or one a feature group.
    Small(Small),
    /// Learned positions, encoder, mean pool.
    Sequence(Sequence),
    /// As `Small`, with projections drawn towards orthogonality.
    Disentangled(Disentangled),
    /// Clinical and administrative attention, then an encoder.
    Healthcare(Healthcare),
    /// Wide and deep, with GELU.
    Large(Large),
    /// Branches beside each other.
    Parallel(Parallel),
    /// Local windows, then all positions.
    Hierarchical(Hierarchical),
    /// Content times gate.
    Gated(Gated),
}

impl Model {
    fn classifier(&self) -> &dyn Classifier {
        match self {
            Model::Linear(model) => model,
            Model::Small(model) => model,
            Model::Sequence(model) => model,
            Model::Disentangled(model) => model,
            Model::Healthcare(model) => model,
            Model::Large(model) => model,
            Model::Parallel(model) => model,
            Model::Hierarchical(model) => model,
            Model::Gated(model) => model,
        }
    }

    /// Family and sizes.
    pub fn config(&self) -> ModelConfig {
        match self {
            Model::Linear(model) => ModelConfig::Linear(model.config().clone()),
            Model::Small(model) => ModelConfig::Small(model.config().clone()),
            Model::Sequence(model) => ModelConfig::Sequence(model.config().clone()),
            Model::Disentangled(model) => ModelConfig::Disentangled(model.config().clone()),
            Model::Healthcare(model) => ModelConfig::Healthcare(model.config().clone()),
            Model::Large(model) => ModelConfig::Large(model.config().clone()),
            Model::Parallel(model) => ModelConfig::Parallel(model.config().clone()),
            Model::Hierarchical(model) => ModelConfig::Hierarchical(model.config().clone()),
            Model::Gated(model) => ModelConfig::Gated(model.config().clone()),
        }
    }

    /// The same model with parameters of its own, for another thread: threads that share a graph wait for each other.
    #[must_use]
    pub fn fork(&self, device: &Device) -> Self {
        parameters::place(self.clone(), &parameters::flatten(self), device)
    }

    /// Where in the vector of all parameters, as [`crate::train::Strategy::after_step`] is given it, the weights lie that read a
    /// feature. Empty where none does.
    pub fn input_places(&self, feature: usize) -> Vec<usize> {
        let weights = self.input_weights();
        let (mut places, mut start) = (Vec::new(), 0);
        for parameter in parameters::names(self) {
            let weight = weights.iter().find(|weight| weight.name == parameter.name);
            if let (Some(weight), [outputs, inputs]) = (weight, &parameter.shape[..]) {
                for (input, _) in weight.features.iter().enumerate().filter(|(_, read)| **read == feature) {
                    places.extend((0..*outputs).map(|output| match parameter.transposed {
                        true => start + input * outputs + output,
                        false => start + output * inputs + input,
                    }));
                }
            }
            start += parameter.len();
        }
        places
    }

    /// The same model with other projections inside: `edit` is given the weight of each, `[output, input]`, of attention (queries,
    /// keys and values apart) and feed-forward; not of those that read the input, and not the head's. Fails where `edit` does, and
    /// where it changes a shape.
    pub fn with_projections(
        &self,
        device: &Device,
        edit: &mut dyn FnMut(Array2<f32>) -> Result<Array2<f32>, ModelError>,
    ) -> Result<Model, ModelError> {
        let reading = self.input_weights();
        let named = parameters::names(self);
        let mut flat = parameters::flatten(self);
        // The output layer's weight and bias stand last in every family.
        let last = named.len().saturating_sub(2);
        let mut start = 0;
        for (index, parameter) in named.iter().enumerate() {
            let own = start..start + parameter.len();
            start = own.end;
            let [outputs, inputs] = parameter.shape[..] else {
                continue;
            };
            if index >= last || reading.iter().any(|weight| weight.name == parameter.name) {
                continue;
            }
            // Queries, keys and values lie one under the other in one matrix.
            let maps = if parameter.name.ends_with("in_proj_weight") {
                3
            } else {
                1
            };
            let theirs = match parameter.transposed {
                true => parameters::transpose(&flat[own.clone()], inputs, outputs),
                false => flat[own.clone()].to_vec(),
            };
            let mut changed = Vec::with_capacity(theirs.len());
            for map in theirs.chunks(theirs.len() / maps) {
                let shape = (outputs / maps, inputs);
                let wrong = || ModelError::Train(format!("`{}` cannot take another shape", parameter.name));
                let weight = Array2::from_shape_vec(shape, map.to_vec()).map_err(|_| wrong())?;
                let edited = edit(weight)?;
                if edited.dim() != shape {
                    return Err(wrong());
                }
                changed.extend(edited.iter().copied());
            }
            flat[own].copy_from_slice(&match parameter.transposed {
                true => parameters::transpose(&changed, outputs, inputs),
                false => changed,
            });
        }
        Ok(parameters::place(self.clone(), &flat, device))
    }

    /// ∂logit/∂x of each row of `[row, position, feature]`, laid out as `x`; without dropout.
    pub fn input_gradient(&self, x: ArrayView3<f32>, device: &Device) -> Result<Vec<f32>, ModelError> {
        let mut tap = Tap::new().gradient("input")?;
        // Parameters carry no graph; the leaf at the input starts one.
        let gradients = self.forward(&input(x, device), &mut tap).sum().backward();
        Ok(to_vec(tap.finish()?.gradient("input", &gradients)?))
    }

    /// Logits of `[row, position, feature]`, without dropout, on `threads` threads.
    ///
    /// The numbers do not depend on `threads`: rows pass in fixed micro-batches. Fails if the shape is not the model's.
    pub fn logits(&self, x: ArrayView3<f32>, device: &Device, threads: usize) -> Result<Vec<f32>, ModelError> {
        let [positions, features] = self.input_shape();
        let (rows, found_positions, found_features) = x.dim();
        if (found_positions, found_features) != (positions, features) {
            return Err(ModelError::Input {
                expected: format!("windows of {positions} rows and {features} features"),
                found: format!("{found_positions} rows and {found_features} features"),
            });
        }
        let at_once = rows_at_once(device);
        let starts: Vec<usize> = (0..rows).step_by(at_once).collect();
        // Without a graph threads only read the parameters, and share them.
        let parts = parallel::map(threads, &starts, |&start| {
            let rows = start..(start + at_once).min(rows);
            let input = input(x.slice(ndarray::s![rows, .., ..]), device);
            to_vec(self.forward(&input, &mut Tap::off()))
        });
        Ok(parts.concat())
    }
}

/// Rows in a micro-batch on a CPU: large enough for the matrix kernels, small enough to stay in cache.
pub(crate) const MICRO_BATCH: usize = 64;

/// Host rows to a device.
pub(crate) fn input(x: ArrayView3<f32>, device: &Device) -> Input {
    let (rows, positions, features) = x.dim();
    let values: Vec<f32> = x.iter().copied().collect();
    Input::new(Tensor::from_data(
        TensorData::new(values, [rows, positions, features]),
        device,
    ))
}

/// Device values to the host; f32 whatever the backend computes in.
pub(crate) fn to_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let mut values = Vec::new();
    extend(&mut values, tensor);
    values
}

/// Appends a tensor's values. A backend may keep another type than `f32`.
pub(crate) fn extend<const D: usize>(values: &mut Vec<f32>, tensor: Tensor<D>) {
    let data = tensor.into_data();
    match data.as_slice::<f32>() {
        Ok(own) => values.extend_from_slice(own),
        Err(_) => values.extend(data.iter::<f32>()),
    }
}

impl Classifier for Model {
    fn sites(&self) -> Vec<Site> {
        self.classifier().sites()
    }

    fn input_shape(&self) -> [usize; 2] {
        self.classifier().input_shape()
    }

    fn dropout(&self) -> f64 {
        self.classifier().dropout()
    }

    fn penalty(&self) -> Option<Tensor<1>> {
        self.classifier().penalty()
    }

    fn parts(&self) -> &'static [&'static str] {
        self.classifier().parts()
    }

    fn input_weights(&self) -> Vec<InputWeight> {
        self.classifier().input_weights()
    }

    fn steps(&self) -> usize {
        self.classifier().steps()
    }

    fn step(&self, index: usize, state: State, pass: &mut Pass) -> State {
        self.classifier().step(index, state, pass)
    }
}
