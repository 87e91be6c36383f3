//! Table tests: every registered model goes through each of them.

use burn::tensor::{Device, Tensor};
use disentangle_data::Seed;
use ndarray::Array3;

use crate::{Classifier, Input, Model, ModelConfig, ModelError, SequenceConfig, Tap, model::to_vec, weights};

/// One small configuration of every family.
pub(crate) fn zoo() -> Vec<ModelConfig> {
    vec![ModelConfig::Sequence(SequenceConfig {
        hidden: 16,
        feed_forward: 32,
        ..SequenceConfig::new(5, 6)
    })]
}

pub(crate) fn rows(n: usize, config: &ModelConfig) -> Array3<f32> {
    let model = config.init(Seed::new(0), &Device::flex()).unwrap();
    let [positions, features] = model.input_shape();
    let mut rng = Seed::new(5).rng();
    Array3::from_shape_simple_fn((n, positions, features), || rng.normal() as f32)
}

fn each(check: impl Fn(&Model, &Input)) {
    let device = Device::flex();
    for config in zoo() {
        let model = config.init(Seed::new(1), &device).unwrap();
        check(&model, &crate::model::input(rows(7, &config).view(), &device));
    }
}

#[test]
fn every_site_fires_once_with_the_axes_that_it_declares() {
    each(|model, input| {
        let sites = model.sites();
        let mut tap = Tap::new();
        for site in &sites {
            tap = tap.record(&site.name).unwrap();
        }
        model.forward(input, &mut tap);
        let run = tap.finish().unwrap();
        for site in &sites {
            let [heads, positions, neurons] = site.axes;
            // Rows that passed once: a site that fired twice would show twice as many.
            assert_eq!(
                run.get(&site.name).unwrap().dims(),
                [7, heads, positions, neurons],
                "{}",
                site.name
            );
        }
    });
}

#[test]
fn a_tap_that_changes_nothing_changes_no_bit() {
    each(|model, input| {
        let plain = to_vec(model.forward(input, &mut Tap::off()));
        for site in model.sites() {
            let mut record = Tap::new().record(&site.name).unwrap();
            assert_eq!(to_vec(model.forward(input, &mut record)), plain, "{}", site.name);
            let donor = record.finish().unwrap().get(&site.name).unwrap();
            let mut patch = Tap::new().patch(&site.name, donor).unwrap();
            assert_eq!(to_vec(model.forward(input, &mut patch)), plain, "{}", site.name);
            assert_eq!(patch.finish().unwrap().unchanged(), [(site.name.clone(), 1)]);
        }
    });
}

#[test]
fn gradients_at_sites_agree_with_finite_differences() {
    each(|model, input| {
        for site in model.sites() {
            let mut tap = Tap::new().gradient(&site.name).unwrap();
            let gradients = model.forward(input, &mut tap).sum().backward();
            let gradient = to_vec(tap.finish().unwrap().gradient(&site.name, &gradients).unwrap());
            let [heads, positions, neurons] = site.axes;
            let index = (heads * positions * neurons) / 2;
            let shifted = |by: f32| -> f64 {
                let edit = |x: Tensor<4>| {
                    let shape = x.dims();
                    let device = x.device();
                    let mut values = to_vec(x);
                    values[index] += by;
                    Tensor::from_data(burn::tensor::TensorData::new(values, shape), &device)
                };
                let mut tap = Tap::new().edit(&site.name, edit).unwrap();
                to_vec(model.forward(input, &mut tap))
                    .iter()
                    .map(|&z| f64::from(z))
                    .sum()
            };
            let step = 0.02;
            let difference = (shifted(step) - shifted(-step)) / (2.0 * f64::from(step));
            let found = f64::from(gradient[index]);
            assert!(
                (found - difference).abs() < 2e-3 * (1.0 + found.abs()),
                "{}: {found} and {difference}",
                site.name
            );
        }
    });
}

#[test]
fn taps_see_rows_in_whole_model_coordinates() {
    each(|model, input| {
        let whole = |sizes: &[usize]| {
            let mut tap = Tap::new().record("pool").unwrap();
            let mut start = 0;
            for &size in sizes {
                model.forward(&Input::new(input.x.clone().narrow(0, start, size)), &mut tap);
                start += size;
            }
            to_vec(tap.finish().unwrap().get("pool").unwrap())
        };
        let (once, parts) = (whole(&[7]), whole(&[2, 4, 1]));
        assert!(once.iter().zip(&parts).all(|(a, b)| (a - b).abs() < 1e-5));
    });
}

#[test]
fn heads_are_edited_alone() {
    each(|model, input| {
        let record = |tap: Tap| {
            let mut tap = tap.record("layers.0.attn.z").unwrap();
            model.forward(input, &mut tap);
            tap.finish().unwrap().get("layers.0.attn.z").unwrap()
        };
        let plain = record(Tap::new());
        let edited = record(Tap::new().edit("layers.0.attn.z[head=2]", |x| x * 0.0).unwrap());
        for head in 0..4 {
            let (before, after) = (
                to_vec(plain.clone().narrow(1, head, 1)),
                to_vec(edited.clone().narrow(1, head, 1)),
            );
            if head == 2 {
                assert!(after.iter().all(|&x| x == 0.0));
            } else {
                assert_eq!(before, after);
            }
        }
    });
}

#[test]
fn taps_that_miss_are_errors() {
    let check = |tap: Result<Tap, ModelError>, expected: &str| {
        each(|_, _| {});
        let device = Device::flex();
        let config = &zoo()[0];
        let model = config.init(Seed::new(1), &device).unwrap();
        let input = crate::model::input(rows(2, config).view(), &device);
        let result = tap.and_then(|mut tap| {
            model.forward(&input, &mut tap);
            tap.finish()
        });
        assert_eq!(result.unwrap_err().to_string(), expected);
    };
    check(
        Tap::new().record("layers.9.resid"),
        "tap `layers.9.resid`: no such site in this model; near names: layers.0.resid, layers.1.resid",
    );
    check(
        Tap::new().edit("layers.0.attn.z[head=4]", |x| x),
        "tap `layers.0.attn.z[head=4]`: selects nothing: the site has 4 head(s), counted from 0",
    );
    check(
        Tap::new().record("pool[2]"),
        "tap `pool[2]`: expected `SITE` or `SITE[head=N]`",
    );
    check(
        Tap::new().edit("pool", |x| x.narrow(0, 0, 1)),
        "tap `pool`: the edit changed the shape from [2, 1, 1, 16] to [1, 1, 1, 16]",
    );
    check(
        Tap::new().patch("pool", Tensor::zeros([3, 1, 1, 16], &Device::flex())),
        "tap `pool`: the donor has 3 rows, but 2 rows passed: they cannot be the same rows",
    );
    check(
        Tap::new().patch("pool", Tensor::zeros([1, 1, 1, 16], &Device::flex())),
        "tap `pool`: the donor is [1, 1, 1, 16], needed are rows 0..2 of [_, [1, 1, 16]]",
    );
}

#[test]
fn logits_do_not_depend_on_threads() {
    let device = Device::flex();
    for config in zoo() {
        let model = config.init(Seed::new(1), &device).unwrap();
        let x = rows(150, &config);
        let one = model.logits(x.view(), &device, 1).unwrap();
        for threads in [2, 4] {
            assert_eq!(model.logits(x.view(), &device, threads).unwrap(), one);
        }
        let error = model.logits(x.slice(ndarray::s![.., ..2, ..]), &device, 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the model takes windows of 6 rows and 5 features, got 2 rows and 5 features"
        );
    }
}

#[test]
fn weights_round_trip_and_the_seed_decides() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    for config in zoo() {
        let model = config.init(Seed::new(1), &device).unwrap();
        let other = config.init(Seed::new(2), &device).unwrap();
        let x = rows(5, &config);
        let logits = |model: &Model| model.logits(x.view(), &device, 1).unwrap();
        assert_eq!(logits(&model), logits(&config.init(Seed::new(1), &device).unwrap()));
        assert_ne!(logits(&model), logits(&other));
        weights::save(&model, &path).unwrap();
        assert_eq!(logits(&weights::load(other, &path, &device).unwrap()), logits(&model));
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<ModelConfig>(&json).unwrap(), config);
    }
}

/// PyTorch's initial distributions: largest size and standard deviation of every kind of parameter.
#[test]
fn parameters_start_as_in_pytorch() {
    let config = ModelConfig::Sequence(SequenceConfig::new(5, 30));
    let model = config.init(Seed::new(0), &Device::flex()).unwrap();
    let flat = crate::parameters::flatten(&model);
    let mut rest = &flat[..];
    for named in crate::parameters::names(&model) {
        let (own, after) = rest.split_at(named.len());
        rest = after;
        let largest = own.iter().fold(0.0f32, |a, b| a.max(b.abs()));
        let mean = own.iter().sum::<f32>() / own.len() as f32;
        let deviation = (own.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / own.len() as f32).sqrt();
        // Uniform in ±bound, or constant; 0.0 stands for the normal positions.
        let bound = match named.name.as_str() {
            "pos_embedding" => 0.0,
            name if name.contains("norm") && name.ends_with("weight") => {
                assert!(own.iter().all(|&x| x == 1.0));
                continue;
            }
            name if name.contains("norm") || name.ends_with("in_proj_bias") || name.ends_with("out_proj.bias") => {
                assert!(own.iter().all(|&x| x == 0.0), "{name}");
                continue;
            }
            name if name.ends_with("in_proj_weight") => (6.0f32 / 256.0).sqrt(),
            name if name.contains("linear2") => 1.0 / 16.0,
            name if name.contains("feature_embedding") => 1.0 / 5.0f32.sqrt(),
            _ => 1.0 / 8.0,
        };
        if bound == 0.0 {
            assert!(
                (deviation - 1.0).abs() < 0.06 && largest > 2.5,
                "{} {deviation}",
                named.name
            );
        } else {
            assert!(largest <= bound, "{}: {largest}", named.name);
            let error = 4.0 / (own.len() as f32).sqrt();
            assert!(
                (deviation / (bound / 3.0f32.sqrt()) - 1.0).abs() < error,
                "{}: {deviation}",
                named.name
            );
        }
    }
}

#[test]
fn foreign_weights_are_named() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let model = |hidden, layers| {
        let config = SequenceConfig {
            hidden,
            layers,
            feed_forward: 32,
            ..SequenceConfig::new(5, 6)
        };
        ModelConfig::Sequence(config).init(Seed::new(0), &device).unwrap()
    };
    weights::save(&model(16, 2), &path).unwrap();
    let error = |model: Model| {
        weights::load(model, &path, &device)
            .unwrap_err()
            .to_string()
            .replace(&path.display().to_string(), "FILE")
    };
    let deeper = error(model(16, 3));
    assert!(
        deeper.starts_with("FILE: not the weights of this model: `transformer.layers.2."),
        "{deeper}"
    );
    assert!(
        deeper.contains("`transformer.layers.2.self_attn.in_proj_weight` is missing"),
        "{deeper}"
    );
    let shallower = error(model(16, 1));
    assert!(
        shallower.contains("`transformer.layers.1.linear1.bias` is unexpected"),
        "{shallower}"
    );
    let wider = error(model(32, 2));
    assert!(
        wider.contains("`feature_embedding.weight` is [16, 5], expected [32, 5]"),
        "{wider}"
    );
    for content in [
        &b""[..],
        b"\xff\xff\xff\xff\xff\xff\xff\x7f{}",
        b"\x08\0\0\0\0\0\0\0{\"a\":1}}",
    ] {
        std::fs::write(&path, content).unwrap();
        let broken = error(model(16, 2));
        assert!(broken.starts_with("FILE: not a safetensors file: "), "{broken}");
    }
    let absent = weights::load(model(16, 2), &folder.path().join("none"), &device)
        .unwrap_err()
        .to_string();
    assert!(absent.contains("none: cannot be read: "), "{absent}");
}

#[test]
fn bad_sizes_are_sentences() {
    let base = SequenceConfig::new(5, 6);
    let check = |config: SequenceConfig, expected: &str| {
        let error = config.init(Seed::new(0), &Device::flex()).unwrap_err().to_string();
        assert_eq!(error, format!("model setting {expected}"));
    };
    check(
        SequenceConfig {
            heads: 5,
            ..base.clone()
        },
        "`heads = 5` cannot be used: expected a divisor of hidden = 64",
    );
    check(
        SequenceConfig {
            heads: 0,
            ..base.clone()
        },
        "`heads = 0` cannot be used: expected at least 1",
    );
    check(
        SequenceConfig {
            hidden: 1_000_000,
            ..base.clone()
        },
        "`hidden = 1000000` cannot be used: expected sizes that give fewer than 2000000000 parameters",
    );
    check(
        SequenceConfig {
            features: 0,
            ..base.clone()
        },
        "`features = 0` cannot be used: expected at least 1",
    );
    check(
        SequenceConfig {
            dropout: 1.0,
            ..base.clone()
        },
        "`dropout = 1` cannot be used: expected a rate from 0 to below 1",
    );
    let unknown =
        serde_json::from_str::<ModelConfig>(r#"{"family":"sequence","config":{"features":5,"sequence":6,"hiden":3}}"#);
    assert!(unknown.unwrap_err().to_string().contains("unknown field `hiden`"));
}

/// Against PyTorch 2.9.1: `tests/fixtures/make_sequence.py` made the file.
mod pytorch {
    use std::path::PathBuf;

    use burn::tensor::{Bool, TensorData};
    use safetensors::SafeTensors;

    use super::*;
    use crate::{parameters, train::Loss, weights::from_bytes};

    struct Fixture(Vec<u8>);

    impl Fixture {
        fn load() -> Self {
            let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
            Self(std::fs::read(folder.join("sequence.safetensors")).unwrap())
        }

        fn tensors(&self) -> SafeTensors<'_> {
            SafeTensors::deserialize(&self.0).unwrap()
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
            let model = zoo()[0].init(Seed::new(0), &device).unwrap();
            weights::load(model, self.weights(prefix).path(), &device).unwrap()
        }

        fn input(&self) -> Input {
            Input::new(Tensor::from_data(
                TensorData::new(self.values("x"), [7, 6, 5]),
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
        let fixture = Fixture::load();
        let (model, input) = (fixture.model("weights."), fixture.input());
        let sites = fixture.names("sites.");
        assert_eq!(sites.len(), model.sites().len());
        for site in sites {
            let mut tap = Tap::new().gradient(&site).unwrap().record(&site).unwrap();
            let gradients = model.forward(&input, &mut tap).sum().backward();
            let run = tap.finish().unwrap();
            close(
                &site,
                &to_vec(run.get(&site).unwrap()),
                &fixture.values(&format!("sites.{site}")),
                1e-5,
            );
            let gradient = to_vec(run.gradient(&site, &gradients).unwrap());
            close(&site, &gradient, &fixture.values(&format!("site_grads.{site}")), 1e-5);
        }
    }

    #[test]
    fn padding() {
        let fixture = Fixture::load();
        let tensors = fixture.tensors();
        let mask: Vec<bool> = tensors
            .tensor("key_mask")
            .unwrap()
            .data()
            .iter()
            .map(|&byte| byte == 1)
            .collect();
        let input = Input {
            key_mask: Some(Tensor::<2, Bool>::from_data(
                TensorData::new(mask, [7, 6]),
                &Device::flex(),
            )),
            ..fixture.input()
        };
        let logits = to_vec(fixture.model("weights.").forward(&input, &mut Tap::off()));
        close("masked_logits", &logits, &fixture.values("masked_logits"), 1e-5);
    }

    #[test]
    fn loss_and_parameter_gradients() {
        let fixture = Fixture::load();
        let device = Device::flex();
        let model = fixture.model("weights.");
        let flat = parameters::flatten(&model);
        let taped = parameters::place(model, &flat, &device.clone().autodiff(), true);
        let output = taped.forward(&fixture.input(), &mut Tap::off());
        let (outputs, labels) = (to_vec(output.clone().without_autodiff()), fixture.values("labels"));
        let loss = Loss::Bce.mean(&outputs, &labels);
        close("loss", &[loss as f32], &fixture.values("loss"), 1e-6);
        let weights: Vec<f32> = outputs
            .iter()
            .zip(&labels)
            .map(|(&z, &y)| Loss::Bce.row(z, y).1 as f32 / 7.0)
            .collect();
        let weights = Tensor::<1>::from_data(TensorData::new(weights, [7]), &device);
        let mut gradients = (output * weights).sum().backward();
        let flat = parameters::flat_gradients(&taped, &mut gradients);
        let mut rest = &flat[..];
        for named in parameters::names(&taped) {
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
                &fixture.values(&format!("grads.{}", named.name)),
                1e-4,
            );
        }
    }

    #[test]
    fn names_and_shapes_are_the_notebook_class_s() {
        let device = Device::flex();
        let model = ModelConfig::Sequence(SequenceConfig::new(5, 30))
            .init(Seed::new(0), &device)
            .unwrap();
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
        let text = std::fs::read_to_string(folder.join("sequence_shapes.json")).unwrap();
        let expected: std::collections::BTreeMap<String, Vec<usize>> = serde_json::from_str(&text).unwrap();
        let found = parameters::names(&model)
            .into_iter()
            .map(|named| (named.name, named.shape))
            .collect();
        assert_eq!(expected, found);
    }

    #[test]
    fn three_steps_of_adam() {
        use std::sync::atomic::AtomicBool;

        use crate::train::{Control, Erm, Monitor, Task, TrainConfig, train};
        let fixture = Fixture::load();
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
        let control = Control {
            threads: 2,
            cancel: &AtomicBool::new(false),
            on_epoch: &mut |_| {},
            checkpoint: None,
            resume: None,
        };
        let trained = train(&model, &task, &mut Erm, &config, Seed::new(0), &Device::flex(), control).unwrap();
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
        let ModelConfig::Sequence(config) = zoo().remove(0);
        let device = Device::flex();
        let model = ModelConfig::Sequence(SequenceConfig { dropout: 0.0, ..config })
            .init(Seed::new(0), &device)
            .unwrap();
        weights::load(model, fixture.weights(prefix).path(), &device).unwrap()
    }
}
