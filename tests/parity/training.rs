//! Training steps on a device: losses, where parameters end, and what two strategies come to.

use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use chrono::NaiveDateTime;
use disentangle_data::{Dataset, InputLayer, Scaler, Seed, Split, Window};
use disentangle_mitigation::{Given, MitigationSettings, strategies};
use disentangle_models::{
    Classifier, Model, ModelConfig,
    train::{Control, Epoch, Erm, Loss, Monitor, Task, TrainConfig, train},
};
use ndarray::Array2;

use super::measure::{flatten, gradient, input, rows};

/// Steps of plain training.
const STEPS: usize = 20;
/// Steps of a strategy.
const STRATEGY_STEPS: usize = 5;
/// Rows that are fitted; more than two micro-batches of them, and a shorter one.
const TRAIN: usize = 40;
const VALIDATION: usize = 14;

/// Twenty steps.
pub(crate) struct Trained {
    pub(crate) losses: Vec<f32>,
    start: Vec<f32>,
    /// Of the loss at the start, without dropout.
    gradient: Vec<f32>,
    end: Vec<f32>,
}

impl Trained {
    /// ‖end - expected end‖ / ‖expected end - start‖ over parameters whose gradient at the start is at least `floor` of the largest.
    ///
    /// Adam makes every gradient as large as a step, be it rounding alone (that of a bias of keys, which shifts all scores of a query
    /// alike): such parameters go where rounding leads them, on flex too.
    pub(crate) fn way(&self, expected: &Self, floor: f64) -> f64 {
        let size = |gradient: &f32| f64::from(gradient.abs());
        let largest = expected.gradient.iter().map(size).fold(0.0, f64::max);
        let moving: Vec<usize> = (0..expected.end.len())
            .filter(|&index| size(&expected.gradient[index]) >= floor * largest)
            .collect();
        assert!(
            moving.len() * 20 >= expected.end.len(),
            "{} of {} parameters have a gradient above rounding",
            moving.len(),
            expected.end.len()
        );
        let length = |a: &[f32], b: &[f32]| {
            let squares = moving.iter().map(|&index| f64::from(a[index] - b[index]).powi(2));
            squares.sum::<f64>().sqrt()
        };
        length(&self.end, &expected.end) / length(&expected.end, &expected.start)
    }
}

/// Plain training, one batch a step, in micro-batches; with the model's dropout.
pub(crate) fn twenty_steps(config: &ModelConfig, device: &Device, threads: usize) -> Trained {
    let model = config.init(Seed::new(3), device).unwrap();
    let dataset = dataset(&model);
    let (train_rows, validation) = parts();
    let task = Task {
        dataset: &dataset,
        train: &train_rows,
        validation: &validation,
        loss: Loss::Bce,
    };
    let training = training(STEPS);
    let trained = train(
        model.clone(),
        &task,
        &mut Erm,
        &training,
        Seed::new(9),
        device,
        Control::new(threads, &AtomicBool::new(false)),
    )
    .unwrap();
    let first = input(dataset.inputs(&train_rows).view(), device);
    Trained {
        losses: losses(&trained.history),
        start: flatten(&model),
        gradient: gradient(&model, &first, &dataset.labels(&train_rows), device),
        end: flatten(&trained.model),
    }
}

/// Losses of a strategy's steps, and the validation rows' logits after them.
pub(crate) fn five_steps(strategy: &str, config: &ModelConfig, device: &Device, threads: usize) -> Vec<f32> {
    let start = config.init(Seed::new(3), device).unwrap();
    let dataset = dataset(&start);
    let (train_rows, validation) = parts();
    let all = strategies(&MitigationSettings::default()).unwrap();
    let chosen = all.iter().find(|one| one.name() == strategy).unwrap();
    let mitigated = chosen.train(&Given {
        start: &start,
        dataset: &dataset,
        train: &train_rows,
        validation: &validation,
        shortcut: &[0],
        config: &training(STRATEGY_STEPS),
        seed: Seed::new(9),
        device,
        threads,
        cancel: &AtomicBool::new(false),
    });
    let trained = mitigated.unwrap().trained;
    let inputs = dataset.inputs(&validation);
    let logits = trained.model.logits(inputs.view(), device, threads).unwrap();
    [losses(&trained.history), logits].concat()
}

fn training(steps: usize) -> TrainConfig {
    TrainConfig {
        epochs: steps,
        batch: 0,
        patience: 0,
        monitor: Monitor::Off,
        // Named, so that every device draws the same dropout.
        micro_batch: 16,
        ..TrainConfig::default()
    }
}

fn parts() -> (Vec<usize>, Vec<usize>) {
    ((0..TRAIN).collect(), (TRAIN..TRAIN + VALIDATION).collect())
}

fn losses(history: &[Epoch]) -> Vec<f32> {
    let losses = history
        .iter()
        .flat_map(|epoch| [epoch.train_loss, epoch.validation_loss]);
    losses.map(|loss| loss as f32).collect()
}

/// Windows of normal values, nothing scaled: two environments, and a shortcut whose four groups all have rows.
fn dataset(model: &Model) -> Dataset {
    let [positions, features] = model.input_shape();
    let x = rows(model, TRAIN + VALIDATION);
    let windows = x.outer_iter().enumerate().map(|(row, window)| Window {
        start: row * positions,
        target: (row + 1) * positions,
        time: NaiveDateTime::default(),
        subject: 0,
        environment: (row % 2) as u32,
        label: one_if(window[[0, 0]] + window[[positions - 1, 1]] > 0.0),
        shortcut: Some(one_if(row % 4 < 2)),
        split: Split::Train,
    });
    Dataset {
        name: "parity".into(),
        simulated: true,
        lookback: positions,
        features: (0..features).map(|feature| feature.to_string()).collect(),
        groups: Vec::new(),
        windows: windows.collect(),
        rows: Array2::from_shape_vec(
            ((TRAIN + VALIDATION) * positions, features),
            x.iter().copied().collect(),
        )
        .unwrap(),
        subjects: vec!["a".into()],
        environments: vec!["0".into(), "1".into()],
        scaler: Scaler::identity(features),
        layer: InputLayer::default(),
        shared_validation: false,
        notices: Vec::new(),
    }
}

fn one_if(condition: bool) -> f32 {
    f32::from(u8::from(condition))
}
