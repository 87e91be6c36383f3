//! V-REx: risks that are equal in all environments.
//!
//! Objective: mean_e R_e + β Var_e R_e, the variance over environments divided by their number.

use disentangle_models::train::{Batch, Loss, LossAndGradient, Outputs, Strategy};

use crate::{Given, Mitigated, Mitigation, MitigationError, MitigationSettings, Needs, irm::by_environment};

pub(crate) struct Vrex {
    weight: f64,
}

const NAME: &str = "vrex";

impl Vrex {
    pub(crate) fn new(settings: &MitigationSettings) -> Self {
        Self {
            weight: settings.vrex_weight,
        }
    }
}

pub(crate) struct Variance {
    pub(crate) weight: f64,
}

impl Strategy for Variance {
    fn whole_batch(&self) -> bool {
        self.weight > 0.0
    }

    fn objective(&mut self, loss: Loss, outputs: &Outputs, batch: &Batch) -> LossAndGradient {
        let environments = by_environment(batch);
        let count = environments.len() as f64;
        let rows: Vec<(f64, f64)> = outputs
            .batch
            .iter()
            .zip(batch.labels)
            .map(|(&z, &y)| loss.row(z, y))
            .collect();
        let risk = |own: &Vec<usize>| own.iter().map(|&row| rows[row].0).sum::<f64>() / own.len() as f64;
        let risks: Vec<f64> = environments.values().map(risk).collect();
        let mean = risks.iter().sum::<f64>() / count;
        let variance = risks.iter().map(|risk| (risk - mean).powi(2)).sum::<f64>() / count;
        let mut gradient = vec![0.0; rows.len()];
        for (own, risk) in environments.values().zip(&risks) {
            // d Var / d R_e = 2 (R_e - mean) / count.
            let pull = (1.0 + 2.0 * self.weight * (risk - mean)) / count / own.len() as f64;
            for &row in own {
                gradient[row] = (pull * rows[row].1) as f32;
            }
        }
        LossAndGradient {
            loss: mean + self.weight * variance,
            gradient,
            ..LossAndGradient::default()
        }
    }
}

impl Mitigation for Vrex {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "penalises the variance of the environments' risks"
    }

    fn source(&self) -> &'static str {
        "Krueger et al. 2021 (V-REx)"
    }

    fn needs(&self) -> Needs {
        Needs {
            environments: true,
            ..Needs::default()
        }
    }

    fn train(&self, given: &Given) -> Result<Mitigated, MitigationError> {
        given.environments(NAME)?;
        given.fit(&mut Variance { weight: self.weight }, given.config)
    }
}
