//! Table tests: every registered model goes through each of them.

mod pytorch;
mod resumed;
mod sizes_and_files;

use std::{collections::BTreeSet, path::PathBuf};

use burn::tensor::{Device, Tensor};
use disentangle_data::Seed;
use ndarray::Array3;

use crate::{Classifier, Family, Input, Model, ModelConfig, ModelError, SequenceConfig, Tap, model::to_vec, weights};

/// Small configurations of every family, each with its fixture's name.
const FIXTURES: [&str; 14] = [
    "linear",
    "small-flat",
    "small-per-group",
    "disentangled-flat",
    "disentangled-per-group",
    "healthcare-shared",
    "healthcare-separated",
    "large",
    "large-notebook",
    "parallel",
    "hierarchical",
    "hierarchical-padded",
    "hierarchical-short",
    "gated",
];

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

fn config_of(fixture: &str) -> ModelConfig {
    let text = std::fs::read_to_string(fixtures().join(format!("models/{fixture}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// One small configuration of every family, and of every layout and routing.
pub(crate) fn zoo() -> Vec<ModelConfig> {
    let sequence = ModelConfig::Sequence(SequenceConfig {
        hidden: 16,
        feed_forward: 32,
        ..SequenceConfig::new(5, 6)
    });
    let rest = FIXTURES.iter().map(|name| config_of(name));
    std::iter::once(sequence).chain(rest).collect()
}

#[test]
fn the_zoo_holds_every_family() {
    let found: BTreeSet<String> = zoo()
        .iter()
        .map(|config| {
            serde_json::to_value(config).unwrap()["family"]
                .as_str()
                .unwrap()
                .to_string()
        })
        .collect();
    let expected = Family::ALL.iter().map(|family| family.name().to_string()).collect();
    assert_eq!(found, expected);
    for family in Family::ALL {
        let named = serde_json::to_value(family).unwrap();
        assert_eq!(named, family.name());
        let config = serde_json::to_value(family.config(6, 4, &[])).unwrap();
        assert_eq!(config["family"], family.name());
    }
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
            let step = 0.004;
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
            let mut tap = Tap::new();
            for site in model.sites() {
                tap = tap.record(&site.name).unwrap();
            }
            let mut start = 0;
            for &size in sizes {
                model.forward(&Input::new(input.x.clone().narrow(0, start, size)), &mut tap);
                start += size;
            }
            let run = tap.finish().unwrap();
            let recorded = model
                .sites()
                .into_iter()
                .map(|site| to_vec(run.get(&site.name).unwrap()));
            recorded.flatten().collect::<Vec<f32>>()
        };
        let (once, parts) = (whole(&[7]), whole(&[2, 4, 1]));
        assert!(once.iter().zip(&parts).all(|(a, b)| (a - b).abs() < 1e-4));
    });
}

#[test]
fn heads_are_edited_alone() {
    each(|model, input| {
        for site in model.sites().iter().filter(|site| site.name.ends_with("attn.z")) {
            heads_of(model, input, &site.name);
        }
    });
}

fn heads_of(model: &Model, input: &Input, site: &str) {
    let record = |tap: Tap| {
        let mut tap = tap.record(site).unwrap();
        model.forward(input, &mut tap);
        tap.finish().unwrap().get(site).unwrap()
    };
    let plain = record(Tap::new());
    let edited = record(Tap::new().edit(&format!("{site}[head=2]"), |x| x * 0.0).unwrap());
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
}

#[test]
fn taps_that_miss_are_errors() {
    let check = |tap: Result<Tap, ModelError>, expected: &str| {
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
        "tap `pool[2]`: expected `SITE`, or `SITE[AXIS=N]` or `SITE[AXIS=FROM..TO]` with axes head, position, neuron",
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
        let (_, positions, features) = x.dim();
        let error = model
            .logits(x.slice(ndarray::s![.., .., ..features - 1]), &device, 1)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "the model takes windows of {positions} rows and {features} features, got {positions} rows and {} features",
                features - 1
            )
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
