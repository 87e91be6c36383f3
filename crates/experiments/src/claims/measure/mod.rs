//! What is measured: one number a repeat of every quality that a claim names.

mod asked;
mod decisions;
mod fit;
mod groups;
mod heads;
mod market;
mod scale;
mod sites;
mod small;
mod strategies;
mod variants;
mod ward;

use std::collections::BTreeMap;

use burn::tensor::Device;
use disentangle_data::{Dataset, Seed};
use disentangle_models::{Family, Model};
use serde_json::Value;

use super::{
    config::{ClaimsSettings, HEADS},
    question::{Quality, Subject},
};
use crate::{
    ExperimentError,
    rows::{LoadedRows, RowSettings},
};

/// Numbers of one repeat; what is undefined is absent.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers(BTreeMap<(Subject, Quality), f64>);

impl Numbers {
    /// Keeps a number that is defined.
    pub(super) fn put(&mut self, subject: Subject, quality: Quality, value: Option<f64>) {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            self.0.insert((subject, quality), value);
        }
    }

    pub(super) fn get(&self, subject: Subject, quality: Quality) -> Option<f64> {
        self.0.get(&(subject, quality)).copied()
    }

    /// Takes over what another study found.
    pub(super) fn join(&mut self, other: Numbers) {
        self.0.extend(other.0);
    }
}

/// Models that are trained and asked together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Study {
    Strategies,
    Small,
    Market,
    Scale,
    Variants,
    Ward,
}

impl Study {
    /// All, the slow ones first, so that threads end at about the same time.
    pub(super) const ALL: [Study; 6] = [
        Study::Strategies,
        Study::Small,
        Study::Market,
        Study::Scale,
        Study::Variants,
        Study::Ward,
    ];

    pub(super) fn run(self, given: &Given) -> Result<Numbers, ExperimentError> {
        match self {
            Study::Strategies => strategies::measure(given),
            Study::Small => small::measure(given),
            Study::Market => market::measure(given),
            Study::Scale => scale::measure(given),
            Study::Variants => variants::measure(given),
            Study::Ward => ward::measure(given),
        }
    }
}

/// What a study is given.
pub(super) struct Given<'a> {
    pub(super) settings: &'a ClaimsSettings,
    /// Of the repeat.
    pub(super) seed: Seed,
    pub(super) device: &'a Device,
}

impl Given<'_> {
    /// Biased rows, the same ones for every study of a repeat.
    fn biased(&self) -> Result<LoadedRows, ExperimentError> {
        let mut rows = RowSettings::default();
        rows.synthetic.samples = self.settings.samples;
        rows.synthetic.validation = (self.settings.samples / 2).max(50);
        rows.synthetic.test = (2 * self.settings.rows).max(50);
        rows.load(&[], self.settings.rows, self.seed.child("biased rows"))
    }

    /// The simulated ward, the same one for every study of a repeat; environments hold one row a patient.
    fn ward(&self) -> Result<LoadedRows, ExperimentError> {
        let mut rows = RowSettings {
            dataset: "ward".into(),
            ..RowSettings::default()
        };
        rows.ward.patients = self.settings.patients;
        rows.load(&[], self.settings.rows, self.seed.child("ward rows"))
    }

    /// A model with random weights.
    fn start(
        &self,
        family: Family,
        dataset: &Dataset,
        sizes: &[(&'static str, Value)],
        name: &str,
    ) -> Result<Model, ExperimentError> {
        let config = family.config(dataset.features.len(), dataset.lookback, &dataset.groups);
        let mut settings = vec![("heads", Value::from(HEADS))];
        settings.extend(sizes.iter().cloned());
        let seed = self.seed.child("weights").child(name);
        Ok(config.with_settings(&settings)?.init(seed, self.device)?)
    }
}

/// Draws the rows and the weights of every study, so that settings that cannot work are found before anything is written.
pub(super) fn check(given: &Given) -> Result<(), ExperimentError> {
    let (biased, ward) = (given.biased()?, given.ward()?);
    market::rows(given.seed)?;
    for width in &given.settings.widths {
        small::start(given, &biased.dataset, *width)?;
        scale::start(given, &ward.dataset, *width, given.settings.depths[0])?;
    }
    Ok(())
}
