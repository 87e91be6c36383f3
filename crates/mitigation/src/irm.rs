//! IRMv1: a classifier on top that is optimal in every environment at once.
//!
//! Objective: mean_e R_e + λ mean_e g_e², g_e = ∂R_e(w·z)/∂w at w = 1, which for the cross-entropy is mean((σ(z) - y) z). During the warm-up λ is 1;
//! after it the whole is divided by λ where λ > 1, as the authors do, so that gradients keep their size.

use std::collections::BTreeMap;

use disentangle_models::train::{Batch, Loss, LossAndGradient, Outputs, Strategy};

use crate::{Given, Mitigated, Mitigation, MitigationError, MitigationSettings, Needs};

pub(crate) struct Irm {
    weight: f64,
    warm_up: u64,
}

const NAME: &str = "irm";

impl Irm {
    pub(crate) fn new(settings: &MitigationSettings) -> Self {
        Self {
            weight: settings.irm_weight,
            warm_up: settings.irm_warm_up,
        }
    }
}

pub(crate) struct Penalised {
    pub(crate) weight: f64,
    pub(crate) warm_up: u64,
}

/// Rows of each environment of a batch.
pub(crate) fn by_environment(batch: &Batch) -> BTreeMap<u32, Vec<usize>> {
    let mut rows: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (row, environment) in batch.environments.iter().enumerate() {
        rows.entry(*environment).or_default().push(row);
    }
    rows
}

impl Strategy for Penalised {
    fn whole_batch(&self) -> bool {
        self.weight > 0.0
    }

    fn objective(&mut self, loss: Loss, outputs: &Outputs, batch: &Batch) -> LossAndGradient {
        let weight = if batch.step < self.warm_up {
            self.weight.min(1.0)
        } else {
            self.weight
        };
        let scale = 1.0 / weight.max(1.0);
        let environments = by_environment(batch);
        let share = scale / environments.len() as f64;
        let mut found = LossAndGradient {
            gradient: vec![0.0; outputs.batch.len()],
            ..LossAndGradient::default()
        };
        for rows in environments.values() {
            let n = rows.len() as f64;
            let of = |row: usize| {
                let z = f64::from(outputs.batch[row]);
                let p = 1.0 / (1.0 + (-z).exp());
                (z, p, f64::from(batch.labels[row]))
            };
            let slope = rows
                .iter()
                .map(|&row| of(row))
                .map(|(z, p, y)| (p - y) * z)
                .sum::<f64>()
                / n;
            found.loss += share * weight * slope * slope;
            for &row in rows {
                let (value, derivative) = loss.row(outputs.batch[row], batch.labels[row]);
                let (z, p, y) = of(row);
                // d/dz of (σ(z) - y) z.
                let bend = p * (1.0 - p) * z + p - y;
                found.loss += share * value / n;
                found.gradient[row] = (share / n * (derivative + weight * 2.0 * slope * bend)) as f32;
            }
        }
        found
    }
}

impl Mitigation for Irm {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "penalises a scale of the output that is not optimal in each environment"
    }

    fn source(&self) -> &'static str {
        "Arjovsky et al. 2019 (IRMv1)"
    }

    fn needs(&self) -> Needs {
        Needs {
            environments: true,
            ..Needs::default()
        }
    }

    fn train(&self, given: &Given) -> Result<Mitigated, MitigationError> {
        given.environments(NAME)?;
        let mut penalised = Penalised {
            weight: self.weight,
            warm_up: self.warm_up,
        };
        given.fit(&mut penalised, given.config)
    }
}
