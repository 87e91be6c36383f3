//! Just Train Twice: what a first, short training gets wrong is repeated in a second one. Needs no group labels.

use disentangle_data::Seed;
use disentangle_models::train::{Erm, Monitor, Strategy, TrainConfig};

use crate::{Given, Mitigated, Mitigation, MitigationError, MitigationSettings};

pub(crate) struct Jtt {
    epochs: usize,
    factor: usize,
}

impl Jtt {
    pub(crate) fn new(settings: &MitigationSettings) -> Self {
        Self {
            epochs: settings.jtt_epochs,
            factor: settings.jtt_factor,
        }
    }
}

pub(crate) struct Repeated {
    /// Rows of an epoch, before they are shuffled.
    pub(crate) rows: Vec<usize>,
}

impl Strategy for Repeated {
    fn rows(&mut self, _: &[usize], epoch: Seed) -> Option<Vec<usize>> {
        let mut rows = self.rows.clone();
        epoch.rng().shuffle(&mut rows);
        Some(rows)
    }
}

/// Every window once, and those whose logit lies on the wrong side `factor` times.
pub(crate) fn repeated(windows: &[usize], logits: &[f32], labels: &[f32], factor: usize) -> Vec<usize> {
    let rows = windows.iter().zip(logits).zip(labels);
    rows.flat_map(|((&window, &z), &y)| {
        let right = (z > 0.0) == (y > 0.5);
        std::iter::repeat_n(window, if right { 1 } else { factor })
    })
    .collect()
}

impl Mitigation for Jtt {
    fn name(&self) -> &'static str {
        "jtt"
    }

    fn about(&self) -> &'static str {
        "trains twice; the second time the first one's errors are repeated"
    }

    fn source(&self) -> &'static str {
        "Liu et al. 2021 (Just Train Twice)"
    }

    fn train(&self, given: &Given) -> Result<Mitigated, MitigationError> {
        if self.factor == 1 {
            return given.fit(&mut Erm, given.config);
        }
        let short = TrainConfig {
            epochs: self.epochs,
            monitor: Monitor::Off,
            patience: 0,
            ..given.config.clone()
        };
        let first = given.fit(&mut Erm, &short)?.trained.model;
        let inputs = given.dataset.inputs(given.train);
        let logits = first.logits(inputs.view(), given.device, given.threads)?;
        let rows = repeated(given.train, &logits, &given.dataset.labels(given.train), self.factor);
        given.fit(&mut Repeated { rows }, given.config)
    }
}
