//! How the gradient of the loss flows back: its size at every parameter (notebook part 46, which took the gradient of
//! the mean output).

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Device, Gradients, Tensor, TensorData},
};
use disentangle_models::{Classifier, Input, Model, Tap, train::Loss};
use ndarray::{Array3, s};
use serde::{Deserialize, Serialize};

/// Rows that pass at once.
const ROWS: usize = 64;

/// The gradient of the mean cross-entropy at one parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ParameterGradient {
    /// PyTorch's name.
    pub(super) name: String,
    /// Numbers in the parameter.
    pub(super) entries: usize,
    /// Euclidean norm.
    pub(super) norm: f64,
    /// Variance over entries, divisor n.
    pub(super) variance: f64,
}

impl ParameterGradient {
    /// Whether it is a weight: the notebook left biases and positions out.
    pub(super) fn is_weight(&self) -> bool {
        self.name.ends_with("weight")
    }

    /// The layer that it belongs to, counted from 0.
    pub(super) fn layer(&self) -> Option<usize> {
        let (part, rest) = self.name.split_once('.')?;
        let number: usize = rest.split('.').next()?.parse().ok()?;
        match part {
            "attention_layers" | "ff_layers" => Some(number),
            // Two in a layer.
            "layer_norms" => Some(number / 2),
            _ => None,
        }
    }
}

/// Every parameter's gradient of the mean cross-entropy of rows `[row, position, feature]` with `labels`, without
/// dropout, in the order of the model's parameters.
pub(super) fn gradients(model: &Model, x: &Array3<f32>, labels: &[f32], device: &Device) -> Vec<ParameterGradient> {
    let taped = model.clone().map(&mut Leaves);
    let mut found = Collect::default();
    let rows = x.dim().0;
    for start in (0..rows).step_by(ROWS) {
        let own = start..(start + ROWS).min(rows);
        let part = x.slice(s![own.clone(), .., ..]);
        let shape = [own.len(), part.dim().1, part.dim().2];
        let values: Vec<f32> = part.iter().copied().collect();
        let input = Input::new(Tensor::from_data(TensorData::new(values, shape), device));
        let logits = taped.forward(&input, &mut Tap::off());
        let outputs: Vec<f32> = logits.clone().without_autodiff().into_data().iter::<f32>().collect();
        let slopes: Vec<f32> = outputs
            .iter()
            .zip(&labels[own])
            .map(|(&output, &label)| (Loss::Bce.row(output, label).1 / rows as f64) as f32)
            .collect();
        let length = slopes.len();
        let slopes = Tensor::<1>::from_data(TensorData::new(slopes, [length]), device);
        found.begin((logits * slopes).sum().backward());
        taped.visit(&mut found);
    }
    found.finish()
}

/// Makes every parameter a leaf of a graph of its own. Their values are shared.
struct Leaves;

impl ModuleMapper for Leaves {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        Param::initialized(param.id, param.val().without_autodiff().autodiff().require_grad())
    }
}

/// Adds up the gradients of several backward passes, parameter by parameter.
#[derive(Default)]
struct Collect {
    gradients: Option<Gradients>,
    path: Vec<String>,
    /// How many parameters this pass has seen.
    next: usize,
    names: Vec<String>,
    sums: Vec<Vec<f32>>,
}

impl Collect {
    fn begin(&mut self, gradients: Gradients) {
        self.gradients = Some(gradients);
        self.next = 0;
    }

    fn finish(self) -> Vec<ParameterGradient> {
        let all = self.names.into_iter().zip(self.sums);
        all.map(|(name, sum)| {
            let entries = sum.len();
            let n = entries.max(1) as f64;
            let mean = sum.iter().map(|&g| f64::from(g)).sum::<f64>() / n;
            ParameterGradient {
                name,
                entries,
                norm: sum.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt(),
                variance: sum.iter().map(|&g| (f64::from(g) - mean).powi(2)).sum::<f64>() / n,
            }
        })
        .collect()
    }
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        let gradient = self
            .gradients
            .as_mut()
            .and_then(|gradients| value.grad_remove(gradients));
        // 0 where the loss does not depend on a parameter.
        let own: Vec<f32> = match gradient {
            Some(gradient) => gradient.into_data().convert::<f32>().try_into_vec().unwrap_or_default(),
            None => vec![0.0; value.dims().iter().product()],
        };
        match self.sums.get_mut(self.next) {
            Some(sum) => sum.iter_mut().zip(own).for_each(|(sum, part)| *sum += part),
            None => {
                // The first element is the family.
                let path = self.path.get(1..).unwrap_or_default().join(".");
                self.names.push(pytorch_name(&path));
                self.sums.push(own);
            }
        }
        self.next += 1;
    }
}

/// As the weights file calls it: the fused projection is two plain tensors, and the maps of a feed-forward part have
/// numbers.
fn pytorch_name(path: &str) -> String {
    let names = [(".in_proj.", ".in_proj_"), (".expand.", ".0."), (".contract.", ".2.")];
    names
        .iter()
        .fold(path.to_string(), |path, (ours, theirs)| path.replace(ours, theirs))
}

#[cfg(test)]
mod tests {
    use disentangle_data::Seed;
    use disentangle_models::{LargeConfig, LinearConfig, ModelConfig};

    use super::*;

    fn rows(count: usize, positions: usize, features: usize) -> (Array3<f32>, Vec<f32>) {
        let mut rng = Seed::new(5).rng();
        let x = Array3::from_shape_simple_fn((count, positions, features), || rng.normal() as f32);
        let labels = (0..count).map(|row| f32::from(u8::from(row % 3 == 0))).collect();
        (x, labels)
    }

    /// Of logistic regression the gradient is the mean of (p - y) x, and of the constant that of p - y. 100 rows pass
    /// in two parts.
    #[test]
    fn logistic_regression_has_its_closed_form() {
        let device = Device::flex();
        let model = ModelConfig::Linear(LinearConfig::new(3, 2))
            .init(Seed::new(0), &device)
            .unwrap();
        let (x, labels) = rows(100, 2, 3);
        let logits = model.logits(x.view(), &device, 1).unwrap();
        let mut expected = [0.0f64; 6];
        let mut constant = 0.0;
        for (row, (&z, &y)) in logits.iter().zip(&labels).enumerate() {
            let slope = (1.0 / (1.0 + f64::from(-z).exp()) - f64::from(y)) / 100.0;
            constant += slope;
            for (sum, value) in expected.iter_mut().zip(x.slice(s![row, .., ..])) {
                *sum += slope * f64::from(*value);
            }
        }
        let mean = expected.iter().sum::<f64>() / 6.0;
        let norm = expected.iter().map(|g| g * g).sum::<f64>().sqrt();
        let variance = expected.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / 6.0;
        let found = gradients(&model, &x, &labels, &device);
        assert_eq!(found.len(), 2);
        let (weight, bias) = (&found[0], &found[1]);
        assert!(weight.is_weight() && !bias.is_weight(), "{found:?}");
        assert_eq!((weight.entries, bias.entries, weight.layer()), (6, 1, None));
        assert!((weight.norm - norm).abs() < 1e-6 && (weight.variance - variance).abs() < 1e-7);
        assert!((bias.norm - constant.abs()).abs() < 1e-6 && bias.variance == 0.0);
    }

    #[test]
    fn parameters_are_called_as_in_pytorch_and_know_their_layer() {
        let device = Device::flex();
        let config = LargeConfig {
            hidden: 8,
            heads: 2,
            layers: 2,
            ..LargeConfig::new(3, 4)
        };
        let model = ModelConfig::Large(config).init(Seed::new(0), &device).unwrap();
        let (x, labels) = rows(10, 4, 3);
        let found = gradients(&model, &x, &labels, &device);
        let layer = |name: &str| {
            let own = found.iter().find(|one| one.name == name);
            own.unwrap_or_else(|| panic!("no {name} in {found:?}")).layer()
        };
        assert_eq!(layer("attention_layers.1.in_proj_weight"), Some(1));
        assert_eq!(layer("ff_layers.0.2.weight"), Some(0));
        assert_eq!(layer("layer_norms.3.bias"), Some(1));
        assert_eq!(layer("input_proj.weight"), None);
        assert_eq!(layer("pos_embedding"), None);
        let entries: usize = found.iter().map(|one| one.entries).sum();
        assert_eq!(entries, Module::num_params(&model));
        assert!(found.iter().all(|one| one.norm.is_finite()));
        assert!(found.iter().filter(|one| one.is_weight()).all(|one| one.norm > 0.0));
    }
}
