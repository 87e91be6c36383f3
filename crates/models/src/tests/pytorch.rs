//! Against PyTorch 2.9.1: `tests/fixtures/make_sequence.py` and `tests/fixtures/make_models.py` made the files.

use std::collections::BTreeMap;

use burn::tensor::{Bool, Device, Tensor, TensorData};
use disentangle_data::Seed;
use safetensors::SafeTensors;

use super::{FIXTURES, config_of, fixtures, zoo};
use crate::{
    Classifier, Family, Input, Model, ModelConfig, SequenceConfig, Tap, model::to_vec, parameters, train::Loss,
    weights, weights::from_bytes,
};

struct Fixture {
    content: Vec<u8>,
    config: ModelConfig,
}

impl Fixture {
    /// The notebook's `RealWorldTransformer`.
    fn sequence() -> Self {
        Self {
            content: std::fs::read(fixtures().join("sequence.safetensors")).unwrap(),
            config: zoo().remove(0),
        }
    }

    fn all() -> Vec<Self> {
        let rest = FIXTURES.iter().map(|name| Self {
            content: std::fs::read(fixtures().join(format!("models/{name}.safetensors"))).unwrap(),
            config: config_of(name),
        });
        std::iter::once(Self::sequence()).chain(rest).collect()
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.content).unwrap()
    }

    fn values(&self, name: &str) -> Vec<f32> {
        from_bytes(self.tensors().tensor(name).unwrap().data())
    }

    fn names(&self, prefix: &str) -> Vec<String> {
        self.tensors()
            .names()
            .into_iter()
            .filter_map(|name| name.strip_prefix(prefix).map(String::from))
            .collect()
    }

    /// A file with the tensors under `prefix` only.
    fn weights(&self, prefix: &str) -> tempfile::NamedTempFile {
        let tensors = self.tensors();
        let own = self
            .names(prefix)
            .into_iter()
            .map(|name| (name.clone(), tensors.tensor(&format!("{prefix}{name}")).unwrap()));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), safetensors::serialize(own, None).unwrap()).unwrap();
        file
    }

    fn model(&self, prefix: &str) -> Model {
        let device = Device::flex();
        let model = self.config.init(Seed::new(0), &device).unwrap();
        weights::load(model, self.weights(prefix).path(), &device).unwrap()
    }

    fn input(&self) -> Input {
        let tensors = self.tensors();
        let shape: [usize; 3] = tensors.tensor("x").unwrap().shape().try_into().unwrap();
        Input::new(Tensor::from_data(
            TensorData::new(self.values("x"), shape),
            &Device::flex(),
        ))
    }
}

fn close(name: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (a, b) in found.iter().zip(expected) {
        assert!(
            (a - b).abs() <= tolerance * (1.0 + b.abs()),
            "{name}: {a} instead of {b}"
        );
    }
}

#[test]
fn sites_and_their_gradients() {
    for fixture in Fixture::all() {
        let (model, input) = (fixture.model("weights."), fixture.input());
        let sites = fixture.names("sites.");
        assert_eq!(sites.len(), model.sites().len(), "{:?}", fixture.config);
        for site in sites {
            let mut tap = Tap::new().gradient(&site).unwrap().record(&site).unwrap();
            let gradients = model.forward(&input, &mut tap).sum().backward();
            let run = tap.finish().unwrap();
            let expected = fixture.values(&format!("sites.{site}"));
            close(&site, &to_vec(run.get(&site).unwrap()), &expected, 1e-5);
            let mut gradient = to_vec(run.gradient(&site, &gradients).unwrap());
            // The notebook pads keys after their projection; here the padding's key and value are the bias. What a masked
            // entry of the pattern would change is the one place where that shows.
            if let Some(scores) = site.strip_suffix("pattern") {
                let scores = fixture.values(&format!("sites.{scores}scores"));
                let masked = gradient.iter_mut().zip(scores).filter(|(_, score)| *score < -1e8);
                masked.for_each(|(gradient, _)| *gradient = 0.0);
            }
            close(&site, &gradient, &fixture.values(&format!("site_grads.{site}")), 1e-5);
        }
    }
}

#[test]
fn padding() {
    for fixture in Fixture::all() {
        let tensors = fixture.tensors();
        let Ok(mask) = tensors.tensor("key_mask") else {
            continue;
        };
        let shape: [usize; 2] = mask.shape().try_into().unwrap();
        let given: Vec<bool> = mask.data().iter().map(|&byte| byte == 1).collect();
        let mask = |mask: Vec<bool>| Tensor::<2, Bool>::from_data(TensorData::new(mask, shape), &Device::flex());
        let model = fixture.model("weights.");
        let logits = |key_mask| {
            let input = Input {
                key_mask: Some(key_mask),
                ..fixture.input()
            };
            to_vec(model.forward(&input, &mut Tap::off()))
        };
        let expected = fixture.values("masked_logits");
        close("masked_logits", &logits(mask(given)), &expected, 1e-5);
        let nothing = logits(mask(vec![false; shape[0] * shape[1]]));
        assert!(
            nothing.iter().all(|logit| logit.is_finite() && *logit == nothing[0]),
            "{nothing:?}"
        );
    }
}

#[test]
fn loss_and_parameter_gradients() {
    for fixture in Fixture::all() {
        let device = Device::flex();
        let model = fixture.model("weights.");
        let flat = parameters::flatten(&model);
        let taped = parameters::taped(parameters::place(model, &flat, &device));
        let output = taped.forward(&fixture.input(), &mut Tap::off());
        let (outputs, labels) = (to_vec(output.clone().without_autodiff()), fixture.values("labels"));
        let loss = Loss::Bce.mean(&outputs, &labels);
        close("loss", &[loss as f32], &fixture.values("loss"), 1e-6);
        let rows = labels.len();
        let weights: Vec<f32> = outputs
            .iter()
            .zip(&labels)
            .map(|(&z, &y)| Loss::Bce.row(z, y).1 as f32 / rows as f32)
            .collect();
        let weights = Tensor::<1>::from_data(TensorData::new(weights, [rows]), &device);
        let mut gradients = (output * weights).sum().backward();
        gradients_agree(
            &fixture,
            &taped,
            &parameters::flat_gradients(&taped, &mut gradients),
            "grads.",
        );
    }
}

#[test]
fn penalties_and_their_gradients() {
    let mut penalised = 0;
    for fixture in Fixture::all() {
        let model = fixture.model("weights.");
        let flat = parameters::flatten(&model);
        let taped = parameters::taped(parameters::place(model, &flat, &Device::flex()));
        let has_one = fixture.tensors().tensor("penalty").is_ok();
        assert_eq!(taped.penalty().is_some(), has_one, "{:?}", fixture.config);
        let Some(penalty) = taped.penalty() else { continue };
        penalised += 1;
        let value = to_vec(penalty.clone().without_autodiff());
        close("penalty", &value, &fixture.values("penalty"), 1e-5);
        let mut gradients = penalty.backward();
        gradients_agree(
            &fixture,
            &taped,
            &parameters::flat_gradients(&taped, &mut gradients),
            "penalty_grads.",
        );
    }
    assert_eq!(penalised, 2);
}

fn gradients_agree(fixture: &Fixture, model: &Model, flat: &[f32], prefix: &str) {
    let mut rest = flat;
    for named in parameters::names(model) {
        let (own, after) = rest.split_at(named.len());
        rest = after;
        let own = if named.transposed {
            parameters::transpose(own, named.shape[1], named.shape[0])
        } else {
            own.to_vec()
        };
        close(
            &named.name,
            &own,
            &fixture.values(&format!("{prefix}{}", named.name)),
            1e-4,
        );
    }
}

/// Names and shapes of a model's parameters, as its weights file shows them.
fn shapes(model: &Model) -> BTreeMap<String, Vec<usize>> {
    let names = parameters::names(model).into_iter();
    names.map(|named| (named.name, named.shape)).collect()
}

#[test]
fn parameters_are_those_of_the_shipped_python_classes() {
    for fixture in Fixture::all() {
        let tensors = fixture.tensors();
        let expected = fixture.names("weights.").into_iter().map(|name| {
            let shape = tensors.tensor(&format!("weights.{name}")).unwrap().shape().to_vec();
            (name, shape)
        });
        assert_eq!(
            shapes(&fixture.model("weights.")),
            expected.collect(),
            "{:?}",
            fixture.config
        );
    }
}

/// At the notebook's sizes, and in its variants where those have other parameters than the corrected ones.
#[test]
fn parameters_are_those_of_the_notebook_s_classes() {
    let text = std::fs::read_to_string(fixtures().join("models/notebook_shapes.json")).unwrap();
    let expected: BTreeMap<String, BTreeMap<String, Vec<usize>>> = serde_json::from_str(&text).unwrap();
    assert_eq!(expected.len(), 7);
    for (name, expected) in expected {
        let family = Family::ALL.into_iter().find(|family| family.name() == name).unwrap();
        let (features, sequence) = match family {
            Family::Small | Family::Disentangled => (50, 1),
            Family::Healthcare => (12, 10),
            Family::Large => (256, 10),
            _ => (64, 10),
        };
        let mut json = serde_json::to_value(family.config(features, sequence, &[])).unwrap();
        if json["config"].get("positions").is_some() {
            json["config"]["positions"] = "none".into();
        }
        let config: ModelConfig = serde_json::from_value(json).unwrap();
        let model = config.init(Seed::new(0), &Device::flex()).unwrap();
        assert_eq!(shapes(&model), expected, "{name}");
    }
}

#[test]
fn the_sequence_model_is_the_notebook_s_at_its_sizes() {
    let model = ModelConfig::Sequence(SequenceConfig::new(5, 30))
        .init(Seed::new(0), &Device::flex())
        .unwrap();
    let text = std::fs::read_to_string(fixtures().join("sequence_shapes.json")).unwrap();
    let expected: BTreeMap<String, Vec<usize>> = serde_json::from_str(&text).unwrap();
    assert_eq!(shapes(&model), expected);
}

#[test]
fn three_steps_of_adam() {
    use std::sync::atomic::AtomicBool;

    use crate::train::{Control, Erm, Monitor, Task, TrainConfig, train};
    let fixture = Fixture::sequence();
    let dataset = crate::train::tests::dataset(&fixture.values("x"), &fixture.values("labels"), 6, 5);
    let config = TrainConfig {
        epochs: 3,
        batch: 0,
        patience: 0,
        monitor: Monitor::Off,
        ..TrainConfig::default()
    };
    let model = without_dropout(&fixture, "weights.");
    let rows: Vec<usize> = (0..7).collect();
    let task = Task {
        dataset: &dataset,
        train: &rows,
        validation: &rows,
        loss: Loss::Bce,
    };
    let trained = train(
        model,
        &task,
        &mut Erm,
        &config,
        Seed::new(0),
        &Device::flex(),
        Control::new(2, &AtomicBool::new(false)),
    )
    .unwrap();
    let losses: Vec<f32> = trained.history.iter().map(|epoch| epoch.train_loss as f32).collect();
    close("losses", &losses, &fixture.values("adam.losses"), 1e-5);
    let (found, expected) = (trained.model, without_dropout(&fixture, "adam.weights."));
    // A key bias shifts all scores of a query alike: its gradient is rounding noise, which Adam makes as large as a step.
    let (found, expected) = (parameters::flatten(&found), parameters::flatten(&expected));
    let far = found
        .iter()
        .zip(&expected)
        .filter(|(a, b)| (*a - *b).abs() > 2e-5)
        .count();
    assert!(far <= 2 * 16, "{far} parameters differ");
    assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 3.1e-3));
}

fn without_dropout(fixture: &Fixture, prefix: &str) -> Model {
    let device = Device::flex();
    let config = crate::train::tests::with_dropout(&zoo()[0], 0.0);
    let model = config.init(Seed::new(0), &device).unwrap();
    weights::load(model, fixture.weights(prefix).path(), &device).unwrap()
}
