//! One training on one thread.

use disentangle_data::Dataset;
use disentangle_models::{Model, train::Trained};

use super::Given;
use crate::{ExperimentError, training::once};

/// Trains on the training rows and stops by the validation rows. `name` tells trainings of a repeat apart.
pub(super) fn fit(given: &Given, dataset: &Dataset, start: &Model, name: &str) -> Result<Trained, ExperimentError> {
    let seed = given.seed.child("train").child(name);
    once(start.clone(), dataset, &given.settings.training, seed, given.device)
}
