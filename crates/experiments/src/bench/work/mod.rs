//! Our side of every workload, and the rows that most of them share.

pub(super) mod capacity;
pub(super) mod capture;
pub(super) mod causal;
pub(super) mod matrices;
pub(super) mod mitigation;
pub(super) mod records;
pub(super) mod taps;
pub(super) mod training;

use burn::tensor::Device;
use chrono::NaiveDateTime;
use disentangle_data::{Dataset, InputLayer, Scaler, Seed, Split, Window};
use disentangle_models::{
    Model,
    train::{Control, Erm, Loss, Monitor, Stop, Task, TrainConfig, train},
};
use ndarray::{Array2, Array3};

use crate::{CANCEL, ExperimentError};

/// Epochs of most trainings; their peers are told the same.
const EPOCHS: usize = 10;

/// Standard normal `[row, position, feature]`.
fn normal(name: &str, rows: usize, positions: usize, features: usize) -> Array3<f32> {
    let mut rng = Seed::new(0).child(name).rng();
    Array3::from_shape_simple_fn((rows, positions, features), || rng.normal() as f32)
}

/// Standard normal rows; the label is the sign of the first feature's mean over time, as the peer's.
fn labelled(count: usize, sequence: usize, features: usize) -> Dataset {
    let mut rng = Seed::new(0).child("bench").rng();
    let rows = Array2::from_shape_simple_fn((count * sequence, features), || rng.normal() as f32);
    let windows = (0..count).map(|row| {
        let start = row * sequence;
        let sum: f32 = (start..start + sequence).map(|r| rows[[r, 0]]).sum();
        Window {
            start,
            target: start + sequence,
            time: NaiveDateTime::default(),
            subject: 0,
            environment: 0,
            label: f32::from(u8::from(sum > 0.0)),
            shortcut: None,
            split: Split::Train,
        }
    });
    Dataset {
        name: "bench".into(),
        simulated: true,
        lookback: sequence,
        features: (0..features).map(|f| f.to_string()).collect(),
        groups: Vec::new(),
        windows: windows.collect(),
        rows,
        subjects: vec!["bench".into()],
        environments: vec!["bench".into()],
        scaler: Scaler::identity(features),
        layer: InputLayer::default(),
        shared_validation: false,
        notices: Vec::new(),
    }
}

/// Trains for all `config.epochs` and returns the last epoch's training loss. Fails on Ctrl-C.
fn fit(
    model: Model,
    dataset: &Dataset,
    config: &TrainConfig,
    device: &Device,
    threads: usize,
) -> Result<f64, ExperimentError> {
    let windows = dataset.part(Split::Train);
    let task = Task {
        dataset,
        train: &windows,
        // The peer does not validate; one row is the least that the engine takes.
        validation: &windows[..1],
        loss: Loss::Bce,
    };
    let control = Control::new(threads, &CANCEL);
    let trained = train(model, &task, &mut Erm, config, Seed::new(0), device, control)?;
    match trained.stop {
        Stop::Cancelled => Err(ExperimentError::Interrupted),
        Stop::Epochs | Stop::Patience => Ok(trained.history.last().map_or(f64::NAN, |epoch| epoch.train_loss)),
    }
}

/// What trains all epochs and keeps the last weights.
fn without_stopping(epochs: usize, batch: usize) -> TrainConfig {
    TrainConfig {
        epochs,
        batch,
        patience: 0,
        monitor: Monitor::Off,
        ..TrainConfig::default()
    }
}
