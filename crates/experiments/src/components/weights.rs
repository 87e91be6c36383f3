//! Statistics of every parameter: how large it is, along how many directions, and how far training moved it.

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::Tensor,
};
use disentangle_analysis::{activations::SILENT, linalg};
use disentangle_models::Model;
use ndarray::Array2;

use super::outcome::WeightPart;
use crate::ExperimentError;

/// A parameter, or one of the three maps of a fused projection, in PyTorch's layout.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Parameter {
    /// PyTorch's name.
    pub(super) name: String,
    shape: Vec<usize>,
    /// Row by row.
    values: Vec<f64>,
    /// What it is a part of.
    pub(super) kind: &'static str,
}

/// All parameters of a model, in the order of its modules.
pub(super) fn parameters(model: &Model) -> Vec<Parameter> {
    let mut visitor = Visitor::default();
    model.visit(&mut visitor);
    let mut found = visitor.found;
    // The output layer's weight and bias stand last in every family.
    let outputs = found.len().saturating_sub(2);
    for (place, parameter) in found.iter_mut().enumerate() {
        parameter.kind = if place < outputs {
            kind(&parameter.name)
        } else {
            "output"
        };
    }
    found.into_iter().flat_map(parted).collect()
}

#[derive(Default)]
struct Visitor {
    path: Vec<String>,
    containers: Vec<String>,
    found: Vec<Parameter>,
}

impl ModuleVisitor for Visitor {
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
        let dims = param.val().dims();
        let data = param.val().without_autodiff().into_data();
        let values: Vec<f64> = data.iter::<f32>().map(f64::from).collect();
        let linear = self.containers.last().is_some_and(|own| own == "Struct:Linear");
        let (shape, values): (Vec<usize>, Vec<f64>) = match dims[..] {
            // Ours is the transpose of PyTorch's.
            [inputs, outputs] if linear => (
                vec![outputs, inputs],
                (0..outputs)
                    .flat_map(|output| (0..inputs).map(move |input| (input, output)))
                    .map(|(input, output)| values[input * outputs + output])
                    .collect(),
            ),
            _ => (dims.to_vec(), values),
        };
        self.found.push(Parameter {
            name: pytorch_name(&path),
            shape,
            values,
            kind: "",
        });
    }
}

/// As `state_dict` has it: a fused projection is two plain tensors there, and the maps of a `Sequential` are called by number.
fn pytorch_name(path: &str) -> String {
    let names = [(".in_proj.", ".in_proj_"), (".expand.", ".0."), (".contract.", ".2.")];
    names
        .iter()
        .fold(path.to_string(), |path, (ours, theirs)| path.replace(ours, theirs))
}

/// What a parameter is a part of.
fn kind(name: &str) -> &'static str {
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    if has(&["norm"]) {
        "normalisation"
    } else if has(&["attn", "attention"]) {
        "attention"
    } else if has(&["linear1", "linear2", "ff_layers", ".ff."]) {
        "feed-forward"
    } else if has(&["gate_proj"]) {
        "gating"
    } else {
        "embedding"
    }
}

/// Queries, keys and values lie one under the other in one matrix.
fn parted(parameter: Parameter) -> Vec<Parameter> {
    let rows = parameter.shape.first().copied().unwrap_or(0);
    if !parameter.name.ends_with("in_proj_weight") || !rows.is_multiple_of(3) || rows == 0 {
        return vec![parameter];
    }
    let parts = parameter.values.chunks(parameter.values.len() / 3);
    let parts = parts
        .zip(["queries", "keys", "values"])
        .map(|(values, part)| Parameter {
            name: format!("{} ({part})", parameter.name),
            shape: [&[rows / 3][..], &parameter.shape[1..]].concat(),
            values: values.to_vec(),
            kind: parameter.kind,
        });
    parts.collect()
}

/// Square root of the sum of squares.
fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|w| w * w).sum::<f64>().sqrt()
}

impl Parameter {
    /// Whether it scales what a normalisation leaves.
    pub(super) fn is_gain(&self) -> bool {
        self.kind == "normalisation" && self.name.ends_with("weight")
    }

    /// Its statistics; `start` is the same parameter before training.
    pub(super) fn part(&self, start: &Parameter) -> Result<WeightPart, ExperimentError> {
        let count = self.values.len().max(1) as f64;
        let mean = self.values.iter().sum::<f64>() / count;
        let squares: f64 = self.values.iter().map(|w| w * w).sum();
        let spread: f64 = self.values.iter().map(|w| (w - mean).powi(2)).sum();
        let rms = (squares / count).sqrt();
        let silent = self.values.iter().filter(|w| w.abs() <= SILENT * rms).count();
        let spectral_norm = self.spectral_norm()?;
        let before = norm(start.values.iter().copied());
        let change = norm(self.values.iter().zip(&start.values).map(|(now, then)| now - then));
        Ok(WeightPart {
            name: self.name.clone(),
            kind: self.kind.into(),
            shape: self.shape.clone(),
            mean,
            std: (spread / count).sqrt(),
            norm: squares.sqrt(),
            sparsity: silent as f64 / count,
            spectral_norm,
            stable_rank: spectral_norm
                .filter(|largest| *largest > 0.0)
                .map(|s| squares / (s * s)),
            moved: (before > 0.0).then(|| change / before),
        })
    }

    /// Of a matrix.
    fn spectral_norm(&self) -> Result<Option<f64>, ExperimentError> {
        let [rows, columns] = self.shape[..] else {
            return Ok(None);
        };
        let failed = |error: String| ExperimentError::Failed(format!("parameter `{}`: {error}", self.name));
        let matrix = Array2::from_shape_vec((rows, columns), self.values.clone());
        let matrix = matrix.map_err(|error| failed(error.to_string()))?;
        let values = linalg::singular_values(matrix.view()).map_err(|error| failed(error.to_string()))?;
        Ok(values.first().copied())
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use disentangle_data::Seed;
    use disentangle_models::Family;

    use super::*;

    fn parameter(shape: &[usize], values: &[f64]) -> Parameter {
        Parameter {
            name: "w".into(),
            shape: shape.to_vec(),
            values: values.to_vec(),
            kind: "attention",
        }
    }

    #[test]
    fn statistics_have_closed_forms() {
        // Singular values 4 and 3.
        let matrix = parameter(&[2, 2], &[0.0, 4.0, 3.0, 0.0]);
        let part = matrix.part(&parameter(&[2, 2], &[0.0, 4.0, 0.0, 0.0])).unwrap();
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found}, {expected}");
        near(part.norm, 5.0);
        near(part.mean, 1.75);
        near(part.std, (25.0f64 / 4.0 - 1.75 * 1.75).sqrt());
        near(part.sparsity, 0.5);
        near(part.spectral_norm.unwrap(), 4.0);
        near(part.stable_rank.unwrap(), 25.0 / 16.0);
        near(part.moved.unwrap(), 0.75);
        let bias = parameter(&[2], &[1.0, 1.0])
            .part(&parameter(&[2], &[0.0, 0.0]))
            .unwrap();
        assert_eq!((bias.spectral_norm, bias.stable_rank, bias.moved), (None, None, None));
        let zero = parameter(&[1, 2], &[0.0, 0.0]);
        assert_eq!(zero.part(&zero).unwrap().stable_rank, None);
    }

    /// Every name but those of a fused projection's maps is one that the model knows, and the values are those that it gives.
    #[test]
    fn names_and_values_are_those_of_the_model() {
        let device = Device::flex();
        for family in Family::ALL {
            if family == Family::Large {
                continue;
            }
            let mut settings: Vec<(&'static str, serde_json::Value)> = Vec::new();
            if [Family::Parallel, Family::Hierarchical, Family::Gated].contains(&family) {
                settings.extend([("hidden", 8.into()), ("heads", 2.into()), ("feed_forward", 8.into())]);
            }
            let sequence = if matches!(family, Family::Small | Family::Disentangled) {
                1
            } else {
                4
            };
            let config = family.config(5, sequence, &[]).with_settings(&settings).unwrap();
            let model = config.init(Seed::new(1), &device).unwrap();
            let found = parameters(&model);
            let numbers: usize = found.iter().map(|parameter| parameter.values.len()).sum();
            assert_eq!(numbers, model.num_params(), "{family:?}");
            let whole = found.iter().filter(|parameter| !parameter.name.ends_with(')'));
            for parameter in whole {
                let mut values = Vec::new();
                let read = |own: &mut Vec<f32>| values.clone_from(own);
                model.with_parameter(&parameter.name, &[], &device, read).unwrap();
                let values: Vec<f64> = values.into_iter().map(f64::from).collect();
                assert!(values == parameter.values, "{family:?} {}", parameter.name);
            }
            let kinds: Vec<&str> = found.iter().map(|parameter| parameter.kind).collect();
            let gains = found.iter().filter(|parameter| parameter.is_gain()).count();
            assert_eq!(gains > 0, family != Family::Linear, "{family:?}");
            assert_eq!(kinds.contains(&"attention"), family != Family::Linear, "{family:?}");
            assert_eq!(kinds.contains(&"gating"), family == Family::Gated, "{family:?}");
            assert_eq!(kinds.iter().filter(|kind| **kind == "output").count(), 2, "{family:?}");
        }
    }

    #[test]
    fn a_fused_projection_is_three_maps() {
        let fused = Parameter {
            name: "self_attn.in_proj_weight".into(),
            ..parameter(&[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        };
        let parts = parted(fused);
        assert_eq!(parts[1].name, "self_attn.in_proj_weight (keys)");
        assert_eq!(
            (&parts[1].shape[..], &parts[1].values[..]),
            (&[1, 2][..], &[3.0, 4.0][..])
        );
    }
}
