//! One training on one thread.

use disentangle_data::{Dataset, Split};
use disentangle_models::{
    Model,
    train::{Control, Erm, Loss, Stop, Task, Trained, train},
};

use super::Given;
use crate::{ExperimentError, context::CANCEL};

/// Trains on the training rows and stops by the validation rows. `name` tells trainings of a repeat apart.
pub(super) fn fit(given: &Given, dataset: &Dataset, start: &Model, name: &str) -> Result<Trained, ExperimentError> {
    let (train_rows, validation) = (dataset.part(Split::Train), dataset.part(Split::Validation));
    let task = Task {
        dataset,
        train: &train_rows,
        validation: &validation,
        loss: Loss::Bce,
    };
    let control = Control {
        threads: 1,
        cancel: &CANCEL,
        on_epoch: &mut |_| {},
        checkpoint: None,
        resume: None,
    };
    let seed = given.seed.child("train").child(name);
    let trained = train(
        start,
        &task,
        &mut Erm,
        &given.settings.training,
        seed,
        given.device,
        control,
    )?;
    match trained.stop {
        Stop::Cancelled => Err(ExperimentError::Interrupted),
        _ => Ok(trained),
    }
}
