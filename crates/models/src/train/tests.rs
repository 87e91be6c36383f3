use std::{sync::atomic::AtomicBool, time::Duration};

use burn::tensor::Device;
use chrono::DateTime;
use disentangle_data::{Dataset, InputLayer, Scaler, Seed, Split, Window};
use ndarray::{Array2, Array3};

use super::{strategy::mean_over_rows, *};
use crate::{Classifier, ModelConfig, ModelError, parameters, tests};

/// One window a row, nothing scaled.
pub(crate) fn dataset(x: &[f32], labels: &[f32], positions: usize, features: usize) -> Dataset {
    let rows = Array2::from_shape_vec((x.len() / features, features), x.to_vec()).unwrap();
    let windows = labels.iter().enumerate().map(|(row, &label)| Window {
        start: row * positions,
        target: (row + 1) * positions,
        time: DateTime::from_timestamp(row as i64, 0).unwrap().naive_utc(),
        subject: 0,
        environment: (row % 2) as u32,
        label,
        shortcut: None,
        split: Split::Train,
    });
    Dataset {
        name: "test".into(),
        simulated: true,
        lookback: positions,
        features: (0..features).map(|f| f.to_string()).collect(),
        groups: Vec::new(),
        windows: windows.collect(),
        rows,
        subjects: vec!["a".into()],
        environments: vec!["0".into(), "1".into()],
        scaler: Scaler::identity(features),
        layer: InputLayer::default(),
        shared_validation: false,
        notices: Vec::new(),
    }
}

fn task_data(config: &ModelConfig, n: usize) -> Dataset {
    let x = tests::rows(n, config);
    let labels: Vec<f32> = x
        .outer_iter()
        .map(|row| f32::from(u8::from(row[[0, 0]] + row[[row.nrows() - 1, 1]] > 0.0)))
        .collect();
    let (positions, features) = (x.dim().1, x.dim().2);
    dataset(x.as_slice().unwrap(), &labels, positions, features)
}

struct Setup {
    config: TrainConfig,
    threads: usize,
    checkpoint: Option<(std::path::PathBuf, Duration)>,
    resume: Option<Checkpoint>,
    cancel_after: usize,
}

impl Setup {
    fn new(epochs: usize, batch: usize) -> Self {
        Self {
            config: TrainConfig {
                epochs,
                batch,
                patience: 0,
                micro_batch: 16,
                ..TrainConfig::default()
            },
            threads: 2,
            checkpoint: None,
            resume: None,
            cancel_after: usize::MAX,
        }
    }

    fn run(self, family: &ModelConfig, strategy: &mut dyn Strategy) -> Result<Trained, ModelError> {
        self.run_on(&task_data(family, 70), family, strategy)
    }

    /// Trains on the first 50 rows, and stops by the last 20.
    fn run_on(self, data: &Dataset, family: &ModelConfig, strategy: &mut dyn Strategy) -> Result<Trained, ModelError> {
        let device = Device::flex();
        let model = family.init(Seed::new(3), &device).unwrap();
        let (train_rows, validation): (Vec<usize>, Vec<usize>) = (0..70).partition(|row| *row < 50);
        let task = Task {
            dataset: data,
            train: &train_rows,
            validation: &validation,
            loss: Loss::Bce,
        };
        let cancel = AtomicBool::new(false);
        let control = Control {
            threads: self.threads,
            cancel: &cancel,
            on_epoch: Some(&mut |epoch| {
                cancel.store(epoch.epoch >= self.cancel_after, std::sync::atomic::Ordering::Relaxed);
            }),
            checkpoint: self.checkpoint,
            resume: self.resume,
        };
        train(model, &task, strategy, &self.config, Seed::new(9), &device, control)
    }
}

fn bits(trained: &Trained) -> (Vec<u32>, Vec<Epoch>) {
    let flat = parameters::flatten(&trained.model);
    (flat.iter().map(|x| x.to_bits()).collect(), trained.history.clone())
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for family in tests::zoo() {
        for batch in [0, 20] {
            let run = |threads| {
                let setup = Setup {
                    threads,
                    ..Setup::new(3, batch)
                };
                bits(&setup.run(&family, &mut Erm).unwrap())
            };
            let one = run(1);
            assert_eq!(one, run(2));
            assert_eq!(one, run(4));
        }
    }
}

#[test]
fn a_resumed_run_ends_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let setup = |rate: f64| {
        let mut setup = Setup::new(6, 20);
        setup.config.learning_rate = rate;
        setup
    };
    let (mut earlier, mut last) = (0, 0);
    // At the second rate the best epoch is often not the one before the cut.
    for (family, rate) in tests::zoo().iter().flat_map(|family| [(family, 1e-3), (family, 0.3)]) {
        let whole = setup(rate).run(family, &mut Erm).unwrap();
        let path = folder.path().join("state.safetensors");
        let first = Setup {
            cancel_after: 3,
            checkpoint: Some((path.clone(), Duration::ZERO)),
            ..setup(rate)
        };
        let cut = first.run(family, &mut Erm).unwrap();
        assert_eq!((cut.stop, cut.history.len()), (Stop::Cancelled, 3));
        *(if cut.best_epoch < 3 { &mut earlier } else { &mut last }) += 1;
        let checkpoint = Checkpoint::load(&path).unwrap();
        assert_eq!(checkpoint.history(), &whole.history[..3]);
        let second = Setup {
            resume: Some(checkpoint),
            threads: 1,
            ..setup(rate)
        };
        assert_eq!(bits(&second.run(family, &mut Erm).unwrap()), bits(&whole));
    }
    assert!(earlier > 0 && last > 0, "{earlier} {last}");
}

#[test]
fn every_family_overfits_32_rows() {
    for family in tests::zoo() {
        let family = with_dropout(&family, 0.0);
        let device = Device::flex();
        let data = task_data(&family, 32);
        let model = family.init(Seed::new(3), &device).unwrap();
        let rows: Vec<usize> = (0..32).collect();
        let task = Task {
            dataset: &data,
            train: &rows,
            validation: &rows,
            loss: Loss::Bce,
        };
        let config = TrainConfig {
            epochs: 400,
            batch: 0,
            patience: 0,
            // One layer of weights has farther to go.
            learning_rate: if matches!(family, ModelConfig::Linear(_)) {
                0.3
            } else {
                1e-2
            },
            ..TrainConfig::default()
        };
        let trained = train(
            model,
            &task,
            &mut Erm,
            &config,
            Seed::new(1),
            &device,
            Control::new(2, &AtomicBool::new(false)),
        )
        .unwrap();
        let best = trained.history[trained.best_epoch - 1].validation_loss;
        assert!(best < 0.02, "{family:?}: {best}");
    }
}

/// The same model with another rate; a linear model has none.
pub(crate) fn with_dropout(family: &ModelConfig, rate: f64) -> ModelConfig {
    let changed = family.with_settings(&[("dropout", rate.into())]);
    changed.unwrap_or_else(|_| family.clone())
}

/// An objective that is no sum over rows: the variance of the environments' risks is added (V-REx, Krueger et al. 2021).
struct Variance;

impl Strategy for Variance {
    fn whole_batch(&self) -> bool {
        true
    }

    fn objective(&mut self, loss: Loss, outputs: &Outputs, batch: &Batch) -> LossAndGradient {
        let outputs = outputs.batch;
        let mut risks = [0.0f64; 2];
        let mut counts = [0.0f64; 2];
        let rows: Vec<(f64, f64)> = outputs
            .iter()
            .zip(batch.labels)
            .map(|(&z, &y)| loss.row(z, y))
            .collect();
        for (row, &environment) in rows.iter().zip(batch.environments) {
            risks[environment as usize] += row.0;
            counts[environment as usize] += 1.0;
        }
        let risks = [risks[0] / counts[0], risks[1] / counts[1]];
        let mean = f64::midpoint(risks[0], risks[1]);
        let gradient = rows.iter().zip(batch.environments).map(|(row, &e)| {
            let e = e as usize;
            ((0.5 + (risks[e] - mean)) * row.1 / counts[e]) as f32
        });
        LossAndGradient {
            loss: mean + 0.5 * risks.map(|r| (r - mean).powi(2)).iter().sum::<f64>(),
            gradient: gradient.collect(),
            ..LossAndGradient::default()
        }
    }
}

/// An objective over activations of the whole batch and of a variant: the squared mean of each neuron over rows, and how far it moves
/// when the inputs are halved.
struct OverSites(Vec<String>);

impl OverSites {
    /// Of those sites that most families have, what this one has; `embed` has several positions.
    fn new(family: &ModelConfig) -> Self {
        let sites = family.init(Seed::new(0), &Device::flex()).unwrap().sites();
        let names = sites.into_iter().map(|site| site.name);
        Self(
            names
                .filter(|name| ["embed", "pool", "logit"].contains(&name.as_str()))
                .collect(),
        )
    }
}

impl Strategy for OverSites {
    fn whole_batch(&self) -> bool {
        true
    }

    fn sites(&self) -> Vec<String> {
        self.0.clone()
    }

    fn variants(&mut self, batch: &Batch, ask: &dyn Ask) -> Result<Vec<Array3<f32>>, ModelError> {
        Ok(vec![ask.inputs(batch.windows) * 0.5f32])
    }

    fn objective(&mut self, loss: Loss, outputs: &Outputs, batch: &Batch) -> LossAndGradient {
        let n = outputs.batch.len();
        let mut found = mean_over_rows(loss, outputs.batch, batch.labels, n);
        let mut of_variant = Vec::new();
        for (site, changed) in outputs.sites.iter().zip(&outputs.variant_sites[0]) {
            assert_eq!((site.nrows(), site.dim()), (n, changed.dim()));
            let scale = 1.0 / site.len() as f32;
            let mean = site.sum_axis(ndarray::Axis(0)) / n as f32;
            let moved = site - changed;
            let squares = |values: &[f32]| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
            let [moved_by, mean_by] = [moved.as_slice().unwrap(), mean.as_slice().unwrap()].map(squares);
            found.loss += (moved_by + n as f64 * mean_by) / site.len() as f64;
            found.sites.push((&moved + &mean) * (2.0 * scale));
            of_variant.push(moved * (-2.0 * scale));
        }
        found.variant_sites.push(of_variant);
        found
    }
}

#[test]
fn whole_batch_objectives_do_not_depend_on_the_micro_batch() {
    for family in tests::zoo() {
        // Dropout masks belong to micro-batches, so that only without it the sizes can agree.
        let family = with_dropout(&family, 0.0);
        let check = |strategy: &mut dyn Strategy| {
            let mut run = |micro_batch| {
                let mut setup = Setup::new(2, 0);
                setup.config.micro_batch = micro_batch;
                let trained = setup.run(&family, strategy).unwrap();
                (
                    trained.history[0].train_loss,
                    trained.history[0].gradient_norm,
                    trained.history[1].train_loss,
                )
            };
            let whole = run(50);
            for size in [8, 64] {
                let parts = run(size);
                assert!(
                    (whole.0 - parts.0).abs() < 1e-6 && (whole.2 - parts.2).abs() < 1e-5,
                    "{whole:?} {parts:?}"
                );
                assert!((whole.1 - parts.1).abs() < 1e-4 * whole.1, "{whole:?} {parts:?}");
            }
        };
        check(&mut Variance);
        check(&mut OverSites::new(&family));
    }
}

/// The loss of the batch and of its halved inputs, whose gradient is handed back at the outputs or at the site `logit`, which is the same.
struct TwoWays {
    at_site: bool,
}

impl Strategy for TwoWays {
    fn whole_batch(&self) -> bool {
        true
    }

    fn sites(&self) -> Vec<String> {
        if self.at_site { vec!["logit".into()] } else { Vec::new() }
    }

    fn variants(&mut self, batch: &Batch, ask: &dyn Ask) -> Result<Vec<Array3<f32>>, ModelError> {
        Ok(vec![ask.inputs(batch.windows) * 0.5f32])
    }

    fn objective(&mut self, loss: Loss, outputs: &Outputs, batch: &Batch) -> LossAndGradient {
        let n = outputs.batch.len();
        let [whole, half] =
            [outputs.batch, &outputs.variants[0][..]].map(|logits| mean_over_rows(loss, logits, batch.labels, n));
        let mut found = LossAndGradient {
            loss: whole.loss + half.loss,
            ..LossAndGradient::default()
        };
        if self.at_site {
            let column = |values: Vec<f32>| Array2::from_shape_vec((n, 1), values).unwrap();
            found.gradient = vec![0.0; n];
            found.sites.push(column(whole.gradient));
            found.variant_sites.push(vec![column(half.gradient)]);
        } else {
            found.gradient = whole.gradient;
            found.variants.push(half.gradient);
        }
        found
    }
}

#[test]
fn a_gradient_at_the_logit_is_one_at_the_output() {
    for family in tests::zoo() {
        let run = |at_site| {
            let trained = Setup::new(3, 20).run(&family, &mut TwoWays { at_site }).unwrap();
            trained
                .history
                .iter()
                .flat_map(|epoch| [epoch.train_loss, epoch.gradient_norm])
                .collect::<Vec<f64>>()
        };
        for (a, b) in run(true).iter().zip(run(false)) {
            assert!((a - b).abs() < 1e-4 * b.abs(), "{family:?}: {a} {b}");
        }
    }
}

#[test]
fn sites_and_gradients_that_do_not_fit_are_sentences() {
    struct Wrong {
        site: &'static str,
        rows: usize,
    }
    impl Strategy for Wrong {
        fn whole_batch(&self) -> bool {
            true
        }

        fn sites(&self) -> Vec<String> {
            vec![self.site.into()]
        }

        fn objective(&mut self, _: Loss, outputs: &Outputs, _: &Batch) -> LossAndGradient {
            LossAndGradient {
                gradient: vec![0.0; outputs.batch.len()],
                sites: vec![Array2::zeros((self.rows, outputs.sites[0].ncols()))],
                ..LossAndGradient::default()
            }
        }
    }
    let family = &tests::zoo()[0];
    let error = |site, rows| {
        let found = Setup::new(1, 0).run(family, &mut Wrong { site, rows });
        found.map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(error("pool", 50), Ok(()));
    assert!(
        error("pool", 49)
            .unwrap_err()
            .contains("has another shape than what it is the gradient of")
    );
    assert!(
        error("pol", 50)
            .unwrap_err()
            .starts_with("tap `pol`: no such site in this model; near names: ")
    );
}

#[test]
fn changes_after_a_step_are_what_the_next_step_starts_from() {
    /// Takes every step back.
    struct Undone {
        start: Vec<f32>,
        rates: Vec<f64>,
        edits: bool,
    }
    impl Strategy for Undone {
        fn edits_parameters(&self) -> bool {
            self.edits
        }

        fn after_step(&mut self, parameters: &mut [f32], learning_rate: f64) {
            assert_ne!(parameters.to_vec(), self.start, "the optimiser's step comes first");
            parameters.copy_from_slice(&self.start);
            self.rates.push(learning_rate);
        }
    }
    let family = with_dropout(&tests::zoo()[0], 0.0);
    let start = parameters::flatten(&family.init(Seed::new(3), &Device::flex()).unwrap());
    let mut strategy = Undone {
        start: start.clone(),
        rates: Vec::new(),
        edits: true,
    };
    let trained = Setup::new(3, 0).run(&family, &mut strategy).unwrap();
    assert_eq!(parameters::flatten(&trained.model), start);
    assert_eq!(strategy.rates, [1e-3; 3]);
    let [first, .., last] = &trained.history[..] else {
        panic!("three epochs");
    };
    assert_eq!(
        (first.train_loss, first.gradient_norm, first.validation_loss),
        (last.train_loss, last.gradient_norm, last.validation_loss)
    );
    strategy.edits = false;
    let plain = Setup::new(3, 0).run(&family, &mut strategy).unwrap();
    assert_eq!(bits(&plain), bits(&Setup::new(3, 0).run(&family, &mut Erm).unwrap()));
}

#[test]
fn the_mean_over_rows_does_not_depend_on_the_micro_batch_either() {
    let family = with_dropout(&tests::zoo()[0], 0.0);
    let run = |micro_batch| {
        let mut setup = Setup::new(2, 0);
        setup.config.micro_batch = micro_batch;
        setup.run(&family, &mut Erm).unwrap().history
    };
    let whole = run(50);
    for size in [7, 16] {
        let parts = run(size);
        assert!((whole[0].train_loss - parts[0].train_loss).abs() < 1e-6);
        assert!(
            (whole[0].gradient_norm - parts[0].gradient_norm).abs() < 1e-4 * whole[0].gradient_norm,
            "{whole:?} {parts:?}"
        );
    }
}

#[test]
fn dropout_and_the_order_of_rows_are_random_by_step_and_seed() {
    let losses = |dropout: f64, batch: usize, seed: u64| -> Vec<f64> {
        let device = Device::flex();
        let family = with_dropout(&tests::zoo()[0], dropout);
        let data = task_data(&family, 50);
        let model = family.init(Seed::new(3), &device).unwrap();
        let rows: Vec<usize> = (0..50).collect();
        let task = Task {
            dataset: &data,
            train: &rows,
            validation: &rows,
            loss: Loss::Bce,
        };
        // Weights stay where they are, so that only masks and order can change a loss.
        let config = TrainConfig {
            epochs: 2,
            batch,
            patience: 0,
            learning_rate: 1e-12,
            micro_batch: 16,
            ..TrainConfig::default()
        };
        let trained = train(
            model,
            &task,
            &mut Erm,
            &config,
            Seed::new(seed),
            &device,
            Control::new(1, &AtomicBool::new(false)),
        )
        .unwrap();
        trained
            .history
            .iter()
            .flat_map(|epoch| [epoch.train_loss, epoch.gradient_norm])
            .collect()
    };
    let plain = losses(0.0, 0, 1);
    assert!(
        (plain[0] - plain[2]).abs() < 1e-9,
        "without dropout both epochs see the same"
    );
    let dropped = losses(0.5, 0, 1);
    assert!(
        (dropped[0] - plain[0]).abs() > 1e-4 && (dropped[0] - dropped[2]).abs() > 1e-4,
        "{plain:?} {dropped:?}"
    );
    assert!(
        (losses(0.5, 0, 2)[0] - dropped[0]).abs() > 1e-4,
        "masks depend on the seed"
    );
    // The mean of unequal batches (20, 20 and 10 rows) is that of rows; the last batch is another one in each epoch.
    let batches = losses(0.0, 20, 1);
    assert!((batches[0] - plain[0]).abs() < 1e-6, "{batches:?} {plain:?}");
    assert!(
        (batches[1] - batches[3]).abs() > 1e-6,
        "rows are shuffled anew in each epoch"
    );
    assert!(
        (losses(0.0, 20, 2)[1] - batches[1]).abs() > 1e-6,
        "the order depends on the seed"
    );
}

#[test]
fn early_stopping_keeps_the_best_weights() {
    let family = &tests::zoo()[0];
    let mut setup = Setup::new(200, 0);
    setup.config.patience = 3;
    setup.config.learning_rate = 0.02;
    let trained = setup.run(family, &mut Erm).unwrap();
    assert_eq!(trained.stop, Stop::Patience);
    let losses: Vec<f64> = trained.history.iter().map(|epoch| epoch.validation_loss).collect();
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(losses[trained.best_epoch - 1], best);
    assert_eq!(losses.len(), trained.best_epoch + 3);
    let data = task_data(family, 70);
    let rows: Vec<usize> = (50..70).collect();
    let logits = trained
        .model
        .logits(data.inputs(&rows).view(), &Device::flex(), 1)
        .unwrap();
    assert!((Loss::Bce.mean(&logits, &data.labels(&rows)) - best).abs() < 1e-6);
}

#[test]
fn bad_settings_and_checkpoints_are_sentences() {
    let family = &tests::zoo()[0];
    let check = |change: &dyn Fn(&mut Setup), expected: &str| {
        let mut setup = Setup::new(2, 0);
        change(&mut setup);
        let error = setup.run(family, &mut Erm).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&|s| s.config.epochs = 0, "`epochs = 0` cannot be used");
    check(
        &|s| s.config.learning_rate = -1.0,
        "`learning_rate = -1` cannot be used: expected a number above 0",
    );
    check(
        &|s| s.config.learning_rate = 1e30,
        "training: the loss or its gradient is NaN in epoch",
    );
    check(&|s| s.config.micro_batch = 0, "`micro_batch = 0` cannot be used");
    check(
        &|s| s.resume = Some(Checkpoint::start(vec![0.0; 3])),
        "the checkpoint is of another model",
    );
}

#[test]
fn losses_agree_with_their_derivatives() {
    for loss in [Loss::Bce, Loss::Mse] {
        for (z, y) in [(0.3f32, 1.0f32), (-2.0, 0.0), (5.0, 1.0), (-40.0, 1.0), (40.0, 0.0)] {
            let step = 0.25f32;
            let difference = (loss.row(z + step, y).0 - loss.row(z - step, y).0) / (2.0 * f64::from(step));
            assert!((difference - loss.row(z, y).1).abs() < 6e-3, "{loss:?} {z} {y}");
        }
    }
    assert_eq!(Loss::Bce.row(800.0, 0.0), (800.0, 1.0));
}

#[test]
fn gradients_of_watched_modules_are_parts_of_the_whole() {
    for config in tests::zoo() {
        let device = Device::flex();
        let model = config.init(Seed::new(3), &device).unwrap();
        let ranges = parameters::parts(&model);
        let mut start = 0;
        for parameter in parameters::names(&model) {
            let range = start..start + parameter.len();
            start = range.end;
            let owner = model
                .parts()
                .iter()
                .position(|part| parameter.name.starts_with(&format!("{part}.")));
            let found = ranges.iter().position(|ranges| ranges.contains(&range));
            assert_eq!(found, owner, "{}", parameter.name);
        }
        let trained = Setup::new(2, 0).run(&config, &mut Erm).unwrap();
        for epoch in &trained.history {
            assert_eq!(epoch.part_norms.len(), model.parts().len());
            assert!(epoch.part_norms.iter().all(|norm| *norm > 0.0));
            // One step an epoch: the parts' squares do not exceed the whole's.
            let parts: f64 = epoch.part_norms.iter().map(|norm| norm * norm).sum();
            assert!(parts <= epoch.gradient_norm.powi(2) * (1.0 + 1e-9));
        }
    }
}

#[test]
fn gradients_of_parts_are_those_of_their_rows() {
    /// Two parts, whose mean gradients are put together again.
    struct Parts {
        first: usize,
        share: f32,
    }
    impl Strategy for Parts {
        fn parts(&mut self, batch: &Batch) -> Vec<Vec<usize>> {
            self.share = self.first as f32 / batch.windows.len() as f32;
            let (first, second) = batch.windows.split_at(self.first);
            vec![first.to_vec(), second.to_vec()]
        }

        fn combine(&mut self, gradients: Vec<Vec<f32>>, _: Seed) -> Vec<f32> {
            let pairs = gradients[0].iter().zip(&gradients[1]);
            pairs.map(|(a, b)| self.share * a + (1.0 - self.share) * b).collect()
        }
    }
    for family in tests::zoo() {
        // The first part is one micro-batch of 16 rows: masks count on from part to part, so that dropout is the same too.
        let family = with_dropout(&family, 0.3);
        let plain = Setup::new(2, 0).run(&family, &mut Erm).unwrap().history;
        let mut strategy = Parts { first: 16, share: 0.0 };
        let parts = Setup::new(2, 0).run(&family, &mut strategy).unwrap().history;
        assert!(
            (plain[0].train_loss - parts[0].train_loss).abs() < 1e-6
                && (plain[1].train_loss - parts[1].train_loss).abs() < 1e-5
                && (plain[0].gradient_norm - parts[0].gradient_norm).abs() < 1e-4 * plain[0].gradient_norm,
            "{family:?}: {plain:?} {parts:?}"
        );
    }
}

#[test]
fn the_training_loss_is_watched_if_asked_for() {
    let (family, device) = (with_dropout(&tests::zoo()[0], 0.0), Device::flex());
    let mut data = task_data(&family, 70);
    // The better it is learned, the worse validation becomes.
    for window in &mut data.windows[50..] {
        window.label = 1.0 - window.label;
    }
    let mut setup = Setup::new(60, 0);
    setup.config.learning_rate = 0.02;
    setup.config.monitor = Monitor::Train;
    let trained = setup.run_on(&data, &family, &mut Erm).unwrap();
    let validation: Vec<usize> = (50..70).collect();
    let best = &trained.history[trained.best_epoch - 1];
    let least = trained
        .history
        .iter()
        .map(|epoch| epoch.train_loss)
        .fold(f64::INFINITY, f64::min);
    assert_eq!(best.train_loss, least);
    assert!(best.validation_loss > trained.history[0].validation_loss);
    // Kept are the weights after that epoch.
    let logits = trained
        .model
        .logits(data.inputs(&validation).view(), &device, 1)
        .unwrap();
    assert!((Loss::Bce.mean(&logits, &data.labels(&validation)) - best.validation_loss).abs() < 1e-6);
}

#[test]
fn what_an_epoch_tells_is_a_mean_over_its_steps() {
    /// Every row twice, so that an epoch has two equal steps.
    struct Twice;
    impl Strategy for Twice {
        fn rows(&mut self, train: &[usize], _: Seed) -> Option<Vec<usize>> {
            Some(train.repeat(2))
        }
    }
    let (mut watched, mut penalised) = (0, 0);
    for family in tests::zoo() {
        let family = with_dropout(&family, 0.0);
        let epoch = |strategy: &mut dyn Strategy| {
            let mut setup = Setup::new(1, 50);
            // Weights stay where they are.
            setup.config.learning_rate = 1e-12;
            setup.run(&family, strategy).unwrap().history.remove(0)
        };
        let (once, twice) = (epoch(&mut Erm), epoch(&mut Twice));
        let all = |epoch: &Epoch| {
            let whole = [epoch.train_loss, epoch.penalty, epoch.gradient_norm];
            [&whole[..], &epoch.part_norms[..]].concat()
        };
        let (first, second) = (all(&once), all(&twice));
        assert_eq!(first.len(), second.len());
        let near = first.iter().zip(&second).all(|(a, b)| (a - b).abs() <= 1e-6 * a.abs());
        assert!(near, "{family:?}: {once:?} {twice:?}");
        watched += once.part_norms.len();
        penalised += usize::from(once.penalty > 0.0);
    }
    assert!(watched > 0 && penalised > 0);
}
