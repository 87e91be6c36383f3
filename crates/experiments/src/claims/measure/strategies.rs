//! The notebook's four strategies and plain training, from the same weights on the same biased rows (parts 42 and 44).

use disentangle_analysis::{
    classification::{accuracy, sigmoid},
    descriptive::mean,
};
use disentangle_data::{Dataset, Role, Split};
use disentangle_mitigation::{Mitigated, Mitigation, MitigationError, MitigationSettings, strategies};
use disentangle_models::{Model, train::Stop};

use super::{
    Given, Numbers,
    asked::Asked,
    decisions::{noisy, sensitivity},
    sites, small,
};
use crate::{
    ExperimentError,
    claims::question::{Quality, Subject},
    context::CANCEL,
    rows::{Environment, LoadedRows},
};

/// Level of the noise on the shortcut's columns, in standard deviations.
const NOISE: f64 = 1.0;

/// Plain training first: the others are compared with it.
const TRAINED: [Subject; 5] = [
    Subject::Erm,
    Subject::Adversarial,
    Subject::GradientSurgery,
    Subject::Contrastive,
    Subject::UncertaintyWeighting,
];

pub(super) fn measure(given: &Given) -> Result<Numbers, ExperimentError> {
    let rows = given.biased()?;
    let start = small::start(given, &rows.dataset, given.settings.hidden)?;
    let all = strategies(&MitigationSettings::default()).map_err(|error| ExperimentError::Input(error.to_string()))?;
    let mut numbers = Numbers::default();
    let mut plain = None;
    for subject in TRAINED {
        let strategy = all.iter().find(|one| one.name() == subject.name());
        let strategy =
            strategy.ok_or_else(|| ExperimentError::Failed(format!("no strategy is called {}", subject.name())))?;
        let Some(Mitigated { trained, layer }) = train(given, &rows.dataset, &start, strategy.as_ref())? else {
            continue;
        };
        let mut dataset = rows.dataset.clone();
        dataset.layer = layer;
        let logits = ask(given, &rows, &dataset, &trained.model, subject, &mut numbers)?;
        if subject == Subject::Erm {
            plain = Some(logits);
        } else if let Some(plain) = &plain {
            numbers.put(subject, Quality::BoundaryShift, shift(plain, &logits));
        }
    }
    Ok(numbers)
}

/// `None` where the rows lack what the strategy needs.
fn train(
    given: &Given,
    dataset: &Dataset,
    start: &Model,
    strategy: &dyn Mitigation,
) -> Result<Option<Mitigated>, ExperimentError> {
    let (train, validation) = (dataset.part(Split::Train), dataset.part(Split::Validation));
    let shortcut = dataset.groups.iter().find(|group| group.role == Role::Spurious);
    let trained = strategy.train(&disentangle_mitigation::Given {
        start,
        dataset,
        train: &train,
        validation: &validation,
        shortcut: shortcut.map_or(&[][..], |group| &group.columns),
        config: &given.settings.training,
        seed: given.seed.child("strategies"),
        device: given.device,
        threads: 1,
        cancel: &CANCEL,
    });
    match trained {
        Ok(one) if one.trained.stop == Stop::Cancelled => Err(ExperimentError::Interrupted),
        Ok(one) => Ok(Some(one)),
        Err(MitigationError::Needs { .. }) => Ok(None),
        Err(error) => Err(ExperimentError::Input(error.to_string())),
    }
}

/// Measures one model, and returns its logits on rows of the environments of training.
fn ask(
    given: &Given,
    rows: &LoadedRows,
    dataset: &Dataset,
    model: &Model,
    subject: Subject,
    numbers: &mut Numbers,
) -> Result<Vec<f64>, ExperimentError> {
    let on = |environment: Option<&Environment>| {
        let rows = environment.map_or(&[][..], |one| &one.rows);
        let (draws, seed) = (given.settings.permutations, given.seed.child("asked"));
        Asked::new(model, dataset, rows, draws, seed, given.device)
    };
    let known = on(rows.environments.first())?;
    let reversed = on(rows.environments.iter().find(|one| one.name == "reversed"))?;
    let (genuine, spurious) = (known.columns(Role::Genuine), known.columns(Role::Spurious));
    let mut put = |quality: Quality, value: Option<f64>| numbers.put(subject, quality, value);
    put(Quality::Accuracy, known.accuracy());
    put(Quality::ReversedAccuracy, reversed.accuracy());
    let under_noise = noisy(&known, &spurious, NOISE)?;
    let under_noise = under_noise.iter().filter_map(|logits| accuracy(logits, &known.labels));
    put(Quality::NoisyAccuracy, mean(&under_noise.collect::<Vec<f64>>()));
    put(Quality::Disentanglement, sites::disentanglement(&sites::pool(&known)?));
    put(Quality::Sensitivity, sensitivity(&known)?);
    put(Quality::GenuineDrop, known.lost_without(&genuine)?);
    put(Quality::ShortcutDrop, known.lost_without(&spurious)?);
    Ok(known.logits)
}

/// Mean |p after - p before| on the same rows.
fn shift(before: &[f64], after: &[f64]) -> Option<f64> {
    let moved = before.iter().zip(after).map(|(b, a)| (sigmoid(*a) - sigmoid(*b)).abs());
    mean(&moved.collect::<Vec<f64>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifts_are_of_probabilities() {
        let three = 3f64.ln();
        // p is .5 and .75 before, .75 and .25 after.
        let found = shift(&[0.0, three], &[three, -three]).unwrap();
        assert!((found - 0.375).abs() < 1e-12, "{found}");
        assert_eq!(shift(&[], &[]), None);
    }
}
