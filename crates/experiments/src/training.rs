//! Training of a run's main model: checkpointed, resumable, with one event an epoch. With `epochs = 0` given weights are taken as they are.

use std::path::Path;

use burn::tensor::Device;
use disentangle_data::{Dataset, Seed, Split};
use disentangle_models::{
    Model,
    train::{Checkpoint, Control, Erm, Loss, Stop, Task, TrainConfig, Trained, train},
};

use crate::{Context, ExperimentError, context::CANCEL};

/// Refuses settings that cannot work. No epoch at all is meant for weights that were trained elsewhere.
pub(crate) fn check(config: &TrainConfig, weights: Option<&Path>) -> Result<(), ExperimentError> {
    let refused = "`epochs = 0` cannot be used: expected at least 1, or `weights`, which are then taken as they are";
    match (config.epochs, weights) {
        (0, None) => Err(ExperimentError::Input(refused.into())),
        (0, Some(_)) => Ok(TrainConfig {
            epochs: 1,
            ..config.clone()
        }
        .check()?),
        _ => Ok(config.check()?),
    }
}

/// Trains `model` on the dataset's training rows, stopping by its validation rows; goes on where a checkpoint lies.
pub(crate) fn fit(
    model: &Model,
    dataset: &Dataset,
    config: &TrainConfig,
    context: &Context,
) -> Result<Trained, ExperimentError> {
    if config.epochs == 0 {
        return Ok(Trained {
            model: model.clone(),
            history: Vec::new(),
            best_epoch: 0,
            stop: Stop::Epochs,
        });
    }
    let (train_rows, validation) = (dataset.part(Split::Train), dataset.part(Split::Validation));
    let task = Task {
        dataset,
        train: &train_rows,
        validation: &validation,
        loss: Loss::Bce,
    };
    let path = context.path("checkpoint/state.safetensors");
    std::fs::create_dir_all(context.path("checkpoint"))
        .map_err(|error| ExperimentError::Failed(format!("{}: {error}", path.display())))?;
    let resume = if path.exists() {
        Some(Checkpoint::load(&path)?)
    } else {
        None
    };
    let done = resume.as_ref().map_or(0, |checkpoint| checkpoint.history().len());
    let seed = context.seed;
    // Another seed's events share the file.
    context.run.truncate_events(|event| {
        event["seed"] != seed || event["epoch"].as_u64().is_none_or(|epoch| epoch <= done as u64)
    })?;
    let bar = context.progress("training", config.epochs);
    bar.set_position(done as u64);
    let mut failed = None;
    let control = Control {
        threads: context.threads,
        cancel: &CANCEL,
        on_epoch: Some(&mut |epoch| {
            bar.inc(1);
            let mut event = serde_json::to_value(epoch).unwrap_or_default();
            event["seed"] = seed.into();
            failed = context.run.event(&event).err().or(failed.take());
        }),
        checkpoint: Some((path, context.checkpoint_every)),
        resume,
    };
    let seed = context.root().child("train");
    let trained = train(model.clone(), &task, &mut Erm, config, seed, context.device, control)?;
    bar.finish_and_clear();
    match failed {
        Some(error) => Err(error.into()),
        None => whole(trained),
    }
}

/// One of many trainings: on one thread, without a checkpoint, stopping by the validation rows.
pub(crate) fn once(
    model: Model,
    dataset: &Dataset,
    config: &TrainConfig,
    seed: Seed,
    device: &Device,
) -> Result<Trained, ExperimentError> {
    let (train_rows, validation) = (dataset.part(Split::Train), dataset.part(Split::Validation));
    let task = Task {
        dataset,
        train: &train_rows,
        validation: &validation,
        loss: Loss::Bce,
    };
    whole(train(
        model,
        &task,
        &mut Erm,
        config,
        seed,
        device,
        Control::new(1, &CANCEL),
    )?)
}

/// Refuses a training that Ctrl-C has cut short.
pub(crate) fn whole(trained: Trained) -> Result<Trained, ExperimentError> {
    match trained.stop {
        Stop::Cancelled => Err(ExperimentError::Interrupted),
        Stop::Epochs | Stop::Patience => Ok(trained),
    }
}
