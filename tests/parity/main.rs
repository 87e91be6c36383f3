//! The same numbers on every backend: each is held against flex, within tolerances that are stated here.
//!
//! Flex itself is held against flex, bit for bit, with another number of threads. Another backend is compiled in by a feature:
//! `cargo xtask ci --backend NAME`.

mod measure;
mod training;

use std::{collections::BTreeSet, path::Path};

use burn::tensor::Device;
use disentangle_experiments::Backend;
use disentangle_models::{Family, ModelConfig, SequenceConfig, is_accelerator};

use measure::{Column, Part, difference, largest, measure};
use training::{five_steps, twenty_steps};

/// What another backend may differ by: of every number, the largest |a - b| / (largest |b| + |b|).
#[derive(Clone, Copy, Debug)]
struct Tolerances {
    /// Logits, activations and losses.
    values: f64,
    /// Gradients. Parameters whose gradient is smaller than this part of the largest are not followed: it may be rounding.
    gradients: f64,
    /// Where parameters end, as a part of the way that they went.
    way: f64,
}

impl Tolerances {
    fn new(backend: Backend) -> Self {
        let [values, gradients, way] = match backend {
            Backend::Flex => [0.0, 0.0, 0.0],
            // The same f32, summed in another order.
            Backend::Tch => [1e-5, 1e-5, 1e-4],
            Backend::TchCuda => [1e-4, 1e-4, 1e-2],
            // Shaders may also be some units in the last place off in exp, tanh and square roots.
            Backend::Wgpu => [1e-3, 1e-3, 5e-2],
            // Tensor cores round the factors of a product to 11 bits (TF32).
            Backend::Cuda => [1e-2, 1e-2, 0.3],
        };
        Self { values, gradients, way }
    }

    fn of(&self, column: Column) -> f64 {
        match column {
            // Nothing is computed on the way to a device and back.
            Column::Start => 0.0,
            Column::Gradient | Column::Input => self.gradients,
            Column::Way => self.way,
            _ => self.values,
        }
    }
}

/// A backend's device beside flex's, and what did not agree.
struct Held {
    backend: Backend,
    tolerances: Tolerances,
    flex: Device,
    device: Device,
    problems: Vec<String>,
}

/// Threads of the backend; flex's reference takes one.
const THREADS: usize = 2;

impl Held {
    fn new(backend: Backend) -> Self {
        let device = backend.open().unwrap();
        let expected = matches!(backend, Backend::TchCuda | Backend::Wgpu | Backend::Cuda);
        assert_eq!(is_accelerator(&device), expected, "{device:?}");
        Self {
            backend,
            tolerances: Tolerances::new(backend),
            flex: Backend::Flex.open().unwrap(),
            device,
            problems: Vec::new(),
        }
    }

    /// Notes what lies outside the tolerances.
    fn note(&mut self, model: &str, column: Column, name: &str, found: f64) -> f64 {
        let tolerance = self.tolerances.of(column);
        // What is not a number is no agreement.
        if found.is_nan() || found > tolerance {
            let (backend, title) = (self.backend.name(), column.title());
            self.problems.push(format!(
                "{model}, {title} ({name}): {backend} differs by {found:.1e}, allowed are {tolerance:.1e}"
            ));
        }
        found
    }

    fn parts(&mut self, model: &str, found: &[Part], expected: &[Part]) -> Vec<(Column, f64)> {
        assert_eq!(found.len(), expected.len(), "{model}");
        let pairs = found.iter().zip(expected);
        pairs
            .map(|(found, expected)| {
                let by = difference(&found.values, &expected.values);
                (found.column, self.note(model, found.column, &found.name, by))
            })
            .collect()
    }

    /// Everything about one model; returns the largest difference of each column.
    fn check(&mut self, name: &str, config: &ModelConfig) -> Vec<f64> {
        let mut differences = self.parts(name, &measure(config, &self.device), &measure(config, &self.flex));
        let found = twenty_steps(config, &self.device, THREADS);
        let expected = twenty_steps(config, &self.flex, 1);
        let losses = difference(&found.losses, &expected.losses);
        differences.push((Column::Losses, self.note(name, Column::Losses, "20 steps", losses)));
        let way = found.way(&expected, self.tolerances.gradients);
        differences.push((Column::Way, self.note(name, Column::Way, "20 steps", way)));
        let of_column = |column: Column| {
            let own = differences.iter().filter(|(of, _)| *of == column);
            largest(own.map(|(_, by)| *by))
        };
        Column::ALL.map(of_column).to_vec()
    }

    fn strategy(&mut self, strategy: &str, config: &ModelConfig) -> f64 {
        let found = five_steps(strategy, config, &self.device, THREADS);
        let expected = five_steps(strategy, config, &self.flex, 1);
        self.note(strategy, Column::Losses, "5 steps", difference(&found, &expected))
    }
}

/// Holds `backend` against flex, prints how far they are apart, and fails for what is not within the tolerances.
fn agrees_with_flex(backend: Backend) {
    let mut held = Held::new(backend);
    println!("{} against flex: {:?}", backend.name(), held.tolerances);
    let titles: String = Column::ALL
        .iter()
        .map(|column| format!("{:>10}", column.title()))
        .collect();
    println!("{:<24}{titles}", "largest difference");
    let zoo = zoo();
    for (name, config) in &zoo {
        let row = held.check(name, config);
        let row: String = row.iter().map(|by| format!("{by:>10.1e}")).collect();
        println!("{name:<24}{row}");
    }
    // The first is the sequence model, with positions and dropout.
    for strategy in ["group_dro", "pcgrad"] {
        println!("{strategy:<24}{:>10.1e}", held.strategy(strategy, &zoo[0].1));
    }
    assert!(held.problems.is_empty(), "{}", held.problems.join("\n"));
}

/// A small configuration of every family, and of every layout and routing: those of the models' own tests.
fn zoo() -> Vec<(String, ModelConfig)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/models");
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let configs = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let mut names: Vec<String> = configs
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_string())
        .filter(|name| name != "notebook_shapes")
        .collect();
    names.sort();
    let sequence = ModelConfig::Sequence(SequenceConfig {
        hidden: 16,
        feed_forward: 32,
        ..SequenceConfig::new(5, 6)
    });
    let rest = names.into_iter().map(|name| {
        let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        let config: ModelConfig = serde_json::from_str(&text).unwrap();
        (name, config)
    });
    std::iter::once(("sequence".to_string(), sequence))
        .chain(rest)
        .collect()
}

#[test]
fn every_family_is_compared() {
    let family = |config: &ModelConfig| {
        serde_json::to_value(config).unwrap()["family"]
            .as_str()
            .unwrap()
            .to_string()
    };
    let found: BTreeSet<String> = zoo().iter().map(|(_, config)| family(config)).collect();
    assert_eq!(
        found,
        BTreeSet::from(Family::ALL.map(|family| family.name().to_string()))
    );
}

#[test]
fn differences_are_seen() {
    let check = |found: &[f32], expected: &[f32], by: f64| {
        let difference = difference(found, expected);
        assert!((difference - by).abs() < 1e-6, "{difference} instead of {by}");
    };
    check(&[1.0, -2.0], &[1.0, -2.0], 0.0);
    check(&[1.5, -2.0], &[1.0, -2.0], 0.5 / 3.0);
    check(&[1.5, -1e9], &[1.0, -1e9], 0.5 / 2.0);
    assert!(difference(&[f32::NAN, 0.0], &[0.0, 1.0]).is_nan());
    assert!(difference(&[0.0, f32::NAN, 5.0], &[0.0, 1.0, 1.0]).is_nan());
    assert_eq!(difference(&[1.0], &[1.0, 1.0]), f64::INFINITY);
    assert_eq!(difference(&[1.0], &[0.0]), f64::INFINITY);
}

#[test]
fn flex_agrees_with_itself_bit_for_bit() {
    if !cfg!(any(feature = "tch", feature = "wgpu", feature = "cuda")) {
        println!("no other backend is compiled in; `cargo xtask ci --backend wgpu` (or tch, cuda) compares one");
    }
    agrees_with_flex(Backend::Flex);
}

#[cfg(feature = "tch")]
#[test]
fn libtorch_agrees_with_flex() {
    agrees_with_flex(Backend::Tch);
    match std::env::var_os("PARITY_TCH_CUDA") {
        Some(_) => agrees_with_flex(Backend::TchCuda),
        None => println!("LibTorch on CUDA is not compared: PARITY_TCH_CUDA is not set"),
    }
}

#[cfg(feature = "wgpu")]
#[test]
fn wgpu_agrees_with_flex() {
    agrees_with_flex(Backend::Wgpu);
}

#[cfg(feature = "cuda")]
#[test]
fn cuda_agrees_with_flex() {
    agrees_with_flex(Backend::Cuda);
}
