//! Counterfactual consistency: a row must come out the same with the shortcut of another row.
//!
//! Objective: mean loss + λ mean (z - z')², z' the output of the row with the shortcut's columns of a row of the same batch.

use disentangle_data::Seed;
use disentangle_models::{
    ModelError,
    train::{Ask, Batch, Loss, LossAndGradient, Outputs, Strategy},
};
use ndarray::{Array3, s};

use crate::{Given, Mitigated, Mitigation, MitigationError, MitigationSettings, Needs};

pub(crate) struct Consistency {
    weight: f64,
}

const NAME: &str = "consistency";

impl Consistency {
    pub(crate) fn new(settings: &MitigationSettings) -> Self {
        Self {
            weight: settings.consistency_weight,
        }
    }
}

pub(crate) struct Consistent {
    pub(crate) weight: f64,
    pub(crate) columns: Vec<usize>,
    pub(crate) seed: Seed,
}

impl Strategy for Consistent {
    fn whole_batch(&self) -> bool {
        self.weight > 0.0
    }

    fn variants(&mut self, batch: &Batch, ask: &dyn Ask) -> Result<Vec<Array3<f32>>, ModelError> {
        let x = ask.inputs(batch.windows);
        let mut changed = x.clone();
        let donors = self.seed.index(batch.step).rng().permutation(batch.windows.len());
        for (row, donor) in donors.into_iter().enumerate() {
            for &column in &self.columns {
                changed
                    .slice_mut(s![row, .., column])
                    .assign(&x.slice(s![donor, .., column]));
            }
        }
        Ok(vec![changed])
    }

    fn objective(&mut self, loss: Loss, outputs: &Outputs, batch: &Batch) -> LossAndGradient {
        let n = batch.labels.len() as f64;
        let other: &[f32] = outputs.variants.first().map_or(&[], Vec::as_slice);
        let mut found = LossAndGradient::default();
        let mut pulled = Vec::with_capacity(other.len());
        for ((&z, &y), &changed) in outputs.batch.iter().zip(batch.labels).zip(other) {
            let (value, slope) = loss.row(z, y);
            let difference = f64::from(z) - f64::from(changed);
            found.loss += (value + self.weight * difference * difference) / n;
            let pull = 2.0 * self.weight * difference;
            found.gradient.push(((slope + pull) / n) as f32);
            pulled.push((-pull / n) as f32);
        }
        found.variants.push(pulled);
        found
    }
}

impl Mitigation for Consistency {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "penalises a change of the output when the shortcut's columns come from another row"
    }

    fn source(&self) -> &'static str {
        "notebook part 38 (counterfactual consistency)"
    }

    fn needs(&self) -> Needs {
        Needs {
            shortcut: true,
            ..Needs::default()
        }
    }

    fn train(&self, given: &Given) -> Result<Mitigated, MitigationError> {
        let mut consistent = Consistent {
            weight: self.weight,
            columns: given.shortcut(NAME)?,
            seed: given.seed.child("counterfactuals"),
        };
        given.fit(&mut consistent, given.config)
    }
}
