//! Epochs, steps, early stopping.

use std::{
    cell::Cell,
    ops::Range,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use burn::{module::Module as _, tensor::Device};
use disentangle_data::{Dataset, Seed};
use serde::{Deserialize, Serialize};

use super::{
    Batch, Checkpoint, Epoch, Loss, Strategy,
    flat::{Sum, gather, square_sum},
    workers::{Rows, Version, Work, Workers},
};
use crate::{
    Classifier, Dropout, Model, ModelError, is_accelerator, model::MICRO_BATCH, near_names, parameters, rows_at_once,
};

/// What is learned from which rows.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// Where the rows are.
    pub dataset: &'a Dataset,
    /// Windows to fit on.
    pub train: &'a [usize],
    /// Windows to stop by.
    pub validation: &'a [usize],
    /// What is minimised.
    pub loss: Loss,
}

/// How training goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Passes over the training rows, at most.
    pub epochs: usize,
    /// Rows in a step; 0 is all of them.
    pub batch: usize,
    /// Adam's step size.
    pub learning_rate: f64,
    /// Epochs without a better loss before training stops; 0 never stops early. The best weights are kept either way.
    pub patience: usize,
    /// Which loss is watched: `validation`, or `train` (the notebook's).
    pub monitor: Monitor,
    /// Rows that pass through the network at once; changes rounding, and which dropout masks are drawn. The default is for a CPU: an
    /// accelerator takes [`rows_at_once`] instead of it, and a model of a million parameters half a batch (16 to 64).
    pub micro_batch: usize,
}

/// The loss that early stopping watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Monitor {
    /// Rows that the weights were not fitted on.
    Validation,
    /// The training loss, as it was measured during the epoch, with dropout (the notebook's). Kept are the weights after that epoch.
    Train,
    /// None: all epochs run, and the last weights are kept.
    Off,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 100,
            batch: 32,
            learning_rate: 1e-3,
            patience: 5,
            monitor: Monitor::Validation,
            micro_batch: MICRO_BATCH,
        }
    }
}

impl TrainConfig {
    /// Refuses settings that cannot work; [`train`] does so too.
    pub fn check(&self) -> Result<(), ModelError> {
        if self.epochs == 0 {
            return Err(ModelError::setting("epochs", 0, "at least 1"));
        }
        if self.micro_batch == 0 {
            return Err(ModelError::setting("micro_batch", 0, "at least 1"));
        }
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            return Err(ModelError::setting(
                "learning_rate",
                self.learning_rate,
                "a number above 0",
            ));
        }
        Ok(())
    }

    /// The same as it is carried out for `rows` training rows. How many rows pass at once depends on the device and on the model, and not on
    /// the number of threads.
    fn on(&self, device: &Device, parameters: usize, rows: usize) -> Self {
        let step = if self.batch == 0 { rows } else { self.batch.min(rows) };
        let micro_batch = match self.micro_batch {
            MICRO_BATCH if is_accelerator(device) => rows_at_once(device),
            MICRO_BATCH if parameters >= LARGE => step.div_ceil(2).clamp(LEAST_OF_LARGE, MICRO_BATCH),
            chosen => chosen,
        };
        Self {
            micro_batch,
            ..self.clone()
        }
    }
}

/// Models with as many parameters have work for a second thread in half a micro-batch.
const LARGE: usize = 1_000_000;
/// Every micro-batch has a gradient with a place for every parameter, so that smaller ones cost more than they gain.
const LEAST_OF_LARGE: usize = 16;

/// What surrounds a training run.
pub struct Control<'a> {
    /// Worker threads; changes no bit of the result. An accelerator is driven by one.
    pub threads: usize,
    /// Set by somebody else to stop soon, leaving the last checkpoint.
    pub cancel: &'a AtomicBool,
    /// Told of every epoch.
    pub on_epoch: Option<&'a mut dyn FnMut(&Epoch)>,
    /// Where the state goes, and how much time passes between two writes at least.
    pub checkpoint: Option<(PathBuf, Duration)>,
    /// Where to go on.
    pub resume: Option<Checkpoint>,
}

impl<'a> Control<'a> {
    /// Nobody is told of epochs, and nothing is written.
    pub fn new(threads: usize, cancel: &'a AtomicBool) -> Self {
        Self {
            threads,
            cancel,
            on_epoch: None,
            checkpoint: None,
            resume: None,
        }
    }
}

/// Why training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stop {
    /// All epochs are done.
    Epochs,
    /// No better loss for `patience` epochs.
    Patience,
    /// [`Control::cancel`] was set.
    Cancelled,
}

/// A trained model.
#[derive(Clone, Debug)]
pub struct Trained {
    /// With the weights of the best epoch; where the first was cut short, those of its last step.
    pub model: Model,
    /// One entry an epoch.
    pub history: Vec<Epoch>,
    /// The epoch whose weights these are, counted from 1.
    pub best_epoch: usize,
    /// Why training ended.
    pub stop: Stop,
}

/// Trains `model` on `task`. Its weights give their memory back at once, unless a clone holds them. Fails for settings that cannot work,
/// sites that the model does not have, a loss that is not finite, or a checkpoint that cannot be written.
pub fn train(
    model: Model,
    task: &Task,
    strategy: &mut dyn Strategy,
    config: &TrainConfig,
    seed: Seed,
    device: &Device,
    mut control: Control,
) -> Result<Trained, ModelError> {
    config.check()?;
    let config = &config.on(device, model.num_params(), task.train.len());
    let threads = if is_accelerator(device) { 1 } else { control.threads };
    if task.train.is_empty() || task.validation.is_empty() {
        return Err(ModelError::Train(
            "there are no training rows or no validation rows".into(),
        ));
    }
    let sites = Arc::new(known_sites(&model, strategy)?);
    let mut state = match control.resume.take() {
        Some(checkpoint) if checkpoint.parameters.len() == model.num_params() => checkpoint,
        Some(_) => {
            return Err(ModelError::Train("the checkpoint is of another model".into()));
        }
        None => Checkpoint::start(parameters::flatten(&model)),
    };
    let penalised = model.penalty().is_some();
    // What it held is in the state, and each worker has parameters of its own.
    let model = parameters::hollow(model);
    let stop = std::thread::scope(|scope| {
        let run = Run {
            workers: Workers::start(scope, threads, &model, task, device),
            rate: model.dropout(),
            parts: parameters::parts(&model),
            penalised,
            sites: sites.clone(),
            task,
            config,
            seed,
            threads: control.threads,
            spare: Cell::default(),
        };
        run.epochs(&mut state, strategy, &mut control)
    })?;
    Ok(Trained {
        model: parameters::place(model, state.best(), device),
        best_epoch: state.progress.best_epoch,
        history: state.progress.history,
        stop,
    })
}

/// The sites that the strategy asks for. Fails for one that the model does not have, naming near ones.
fn known_sites(model: &Model, strategy: &dyn Strategy) -> Result<Vec<String>, ModelError> {
    let asked = strategy.sites();
    let known: Vec<String> = model.sites().into_iter().map(|site| site.name).collect();
    let unknown = asked.iter().find(|site| !known.contains(site)).cloned();
    match unknown {
        None => Ok(asked),
        Some(site) => Err(ModelError::Tap {
            reason: format!("no such site in this model; near names: {}", near_names(&site, &known)),
            site,
        }),
    }
}

/// Between two checkpoints lies so many times the time that one takes: gigabytes are not written every two seconds.
const MOST_WRITING: u32 = 20;

fn keep(state: &Checkpoint, control: &Control) -> Result<(), ModelError> {
    match &control.checkpoint {
        Some((path, _)) => state.save(path),
        None => Ok(()),
    }
}

pub(super) struct Run<'a> {
    pub(super) workers: Workers,
    rate: f64,
    /// Where the gradients lie that are watched.
    parts: Vec<Vec<Range<usize>>>,
    penalised: bool,
    /// Whose activations the strategy's objective is given.
    pub(super) sites: Arc<Vec<String>>,
    pub(super) task: &'a Task<'a>,
    pub(super) config: &'a TrainConfig,
    seed: Seed,
    threads: usize,
    /// Memory of the last step's gradient.
    spare: Cell<Vec<f32>>,
}

impl Run<'_> {
    /// Nothing yet of a sum of gradients.
    pub(super) fn sum(&self, version: &Version) -> Sum {
        Sum::new(self.spare.take(), version.parameters.len(), self.threads)
    }

    fn epochs(
        &self,
        state: &mut Checkpoint,
        strategy: &mut dyn Strategy,
        control: &mut Control,
    ) -> Result<Stop, ModelError> {
        let (mut written, mut took) = (Instant::now(), Duration::ZERO);
        loop {
            let done = state.progress.history.len();
            if self.config.patience > 0 && done > 0 && done - state.progress.best_epoch >= self.config.patience {
                return Ok(Stop::Patience);
            }
            if done >= self.config.epochs {
                return Ok(Stop::Epochs);
            }
            // Between epochs the state is whole, so it can be kept; a step that is cut short is simply done again.
            if control.cancel.load(Ordering::Relaxed) {
                keep(state, control)?;
                return Ok(Stop::Cancelled);
            }
            // The next epoch changes the parameters, and need not be better; the first always is.
            if done > 0 && self.config.monitor != Monitor::Off && state.best.is_empty() {
                state.best.clone_from(&state.parameters);
            }
            let Some(epoch) = self.epoch(state, strategy, control.cancel)? else {
                return Ok(Stop::Cancelled);
            };
            for value in [
                epoch.train_loss,
                epoch.validation_loss,
                epoch.penalty,
                epoch.gradient_norm,
            ] {
                if !value.is_finite() {
                    let reason = format!(
                        "the loss or its gradient is {value} in epoch {}; a smaller learning_rate may help",
                        epoch.epoch
                    );
                    return Err(ModelError::Train(reason));
                }
            }
            if state.parameters.iter().any(|parameter| !parameter.is_finite()) {
                let reason = format!(
                    "weights are no longer finite after epoch {}; a smaller learning_rate may help",
                    epoch.epoch
                );
                return Err(ModelError::Train(reason));
            }
            let watched = match self.config.monitor {
                Monitor::Validation => Some(epoch.validation_loss),
                Monitor::Train => Some(epoch.train_loss),
                Monitor::Off => None,
            };
            let number = epoch.epoch;
            let better = watched.is_none_or(|watched| state.progress.best_loss.is_none_or(|best| watched < best));
            if better {
                state.progress.best_loss = watched;
                state.progress.best_epoch = number;
                state.best.clear();
            }
            // An event too many is cut off when a run is resumed; one too few could not be made again.
            if let Some(tell) = &mut control.on_epoch {
                tell(&epoch);
            }
            state.progress.history.push(epoch);
            let due = |pause: &Duration| written.elapsed() >= (*pause).max(MOST_WRITING * took);
            if control.checkpoint.as_ref().is_some_and(|(_, pause)| due(pause)) {
                let begun = Instant::now();
                keep(state, control)?;
                written = Instant::now();
                took = written - begun;
            }
        }
    }

    /// One pass over the training rows; `None` if it was cut short.
    fn epoch(
        &self,
        state: &mut Checkpoint,
        strategy: &mut dyn Strategy,
        cancel: &AtomicBool,
    ) -> Result<Option<Epoch>, ModelError> {
        let number = state.progress.history.len() + 1;
        let number_seed = self.seed.child("rows").index(number as u64);
        let asked = strategy.rows(self.task.train, number_seed);
        let shuffled = asked.is_none();
        let mut order = asked.unwrap_or_else(|| self.task.train.to_vec());
        if order.is_empty() {
            return Err(ModelError::Train("the strategy left no rows to train on".into()));
        }
        let size = if self.config.batch == 0 {
            order.len()
        } else {
            self.config.batch
        };
        if size < order.len() && shuffled {
            self.seed
                .child("shuffle")
                .index(number as u64)
                .rng()
                .shuffle(&mut order);
        }
        let (mut total, mut penalty, mut norm) = (0.0, 0.0, 0.0);
        let mut part_norms = vec![0.0; self.parts.len()];
        let steps = order.len().div_ceil(size) as f64;
        for (index, windows) in order.chunks(size).enumerate() {
            if index > 0 && cancel.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let version = lend(state);
            let (loss, mut gradient) = self.gradient(windows, &version, state.adam.steps, strategy)?;
            total += loss * windows.len() as f64;
            penalty += self.penalty(&version, &mut gradient)?;
            norm = square_sum(&gradient, self.threads).sqrt();
            for (mean, ranges) in part_norms.iter_mut().zip(&self.parts) {
                let squares = ranges
                    .iter()
                    .map(|range| square_sum(&gradient[range.clone()], self.threads));
                *mean += squares.sum::<f64>().sqrt() / steps;
            }
            state.parameters = take_back(version);
            let rate = self.config.learning_rate;
            state.adam.step(&mut state.parameters, &gradient, rate, self.threads);
            if strategy.edits_parameters() {
                strategy.after_step(&mut state.parameters, rate);
            }
            self.spare.set(gradient);
        }
        let version = lend(state);
        let validation = self.outputs(self.task.validation, &version)?;
        state.parameters = take_back(version);
        Ok(Some(Epoch {
            epoch: number,
            train_loss: total / order.len() as f64,
            validation_loss: self
                .task
                .loss
                .mean(&validation, &self.task.dataset.labels(self.task.validation)),
            penalty: penalty / steps,
            gradient_norm: norm,
            part_norms,
        }))
    }

    /// The model's penalty on its weights, whose gradient is added once a step, however many micro-batches there are.
    fn penalty(&self, version: &Version, gradient: &mut [f32]) -> Result<f64, ModelError> {
        let mut penalty = 0.0;
        if self.penalised {
            self.workers.run(
                Rows::Windows(&self.task.train[..1]),
                0,
                1,
                version,
                |_, _| Work::Penalty,
                |done| {
                    penalty = done.loss;
                    gather(gradient, &done.gradient, false, self.threads);
                },
            )?;
        }
        Ok(penalty)
    }

    /// Objective and gradient of one batch. Sums are taken in micro-batch order.
    fn gradient(
        &self,
        windows: &[usize],
        version: &Version,
        step: u64,
        strategy: &mut dyn Strategy,
    ) -> Result<(f64, Vec<f32>), ModelError> {
        let key = self.seed.child("dropout").key();
        let dropout = |micro: usize| Dropout::new(self.rate, key, step, micro as u64);
        let dataset = self.task.dataset;
        let environments: Vec<u32> = windows.iter().map(|&w| dataset.windows[w].environment).collect();
        let batch = Batch {
            windows,
            labels: &dataset.labels(windows),
            environments: &environments,
            step,
        };
        let parts = strategy.parts(&batch);
        if !parts.is_empty() {
            return self.by_parts(&parts, version, step, strategy, dropout);
        }
        if !strategy.whole_batch() {
            return self.sum_over_rows(windows, 0, version, dropout);
        }
        self.whole_batch(&batch, version, strategy, dropout)
    }

    /// Mean loss of some windows and its gradient, in one pass.
    fn sum_over_rows(
        &self,
        windows: &[usize],
        first: usize,
        version: &Version,
        dropout: impl Fn(usize) -> Dropout,
    ) -> Result<(f64, Vec<f32>), ModelError> {
        let (mut loss, mut gradient) = (0.0, self.sum(version));
        let total = windows.len();
        let work = |micro, _| Work::Gradient {
            total,
            dropout: dropout(micro),
        };
        let size = self.config.micro_batch;
        self.workers
            .run(Rows::Windows(windows), first, size, version, work, |done| {
                loss += done.loss;
                gradient.add(&done.gradient);
            })?;
        Ok((loss, gradient.finish()))
    }

    /// One gradient out of those of several parts of a batch; the loss is the mean over all rows.
    fn by_parts(
        &self,
        parts: &[Vec<usize>],
        version: &Version,
        step: u64,
        strategy: &mut dyn Strategy,
        dropout: impl Fn(usize) -> Dropout,
    ) -> Result<(f64, Vec<f32>), ModelError> {
        let rows: usize = parts.iter().map(Vec::len).sum();
        let (mut loss, mut first, mut gradients) = (0.0, 0, Vec::with_capacity(parts.len()));
        for part in parts {
            let (own, gradient) = self.sum_over_rows(part, first, version, &dropout)?;
            loss += own * part.len() as f64 / rows as f64;
            first += part.len().div_ceil(self.config.micro_batch);
            gradients.push(gradient);
        }
        let seed = self.seed.child("combine").index(step);
        Ok((loss, strategy.combine(gradients, seed)))
    }

    fn outputs(&self, windows: &[usize], version: &Version) -> Result<Vec<f32>, ModelError> {
        let mut outputs = Vec::with_capacity(windows.len());
        self.workers.run(
            Rows::Windows(windows),
            0,
            self.config.micro_batch,
            version,
            |_, _| Work::Logits,
            |done| outputs.extend(done.outputs),
        )?;
        Ok(outputs)
    }
}

/// The parameters on their way to the workers: lent and not copied.
fn lend(state: &mut Checkpoint) -> Version {
    Version {
        number: state.adam.steps,
        parameters: Arc::new(std::mem::take(&mut state.parameters)),
    }
}

/// Nobody holds them any more once all work is done; a copy is made if somebody does.
fn take_back(version: Version) -> Vec<f32> {
    Arc::unwrap_or_clone(version.parameters)
}
