//! GroupDRO: the worst group's loss, by weights of groups that grow with their losses.
//!
//! Each step q_g ← q_g exp(η ℓ_g), normalised, and the objective is Σ q_g ℓ_g over the batch's groups; rows are drawn group-balanced.

use std::collections::HashMap;

use disentangle_data::Seed;
use disentangle_models::train::{Batch, Loss, LossAndGradient, Outputs, Strategy};

use crate::{Given, Mitigated, Mitigation, MitigationError, MitigationSettings, Needs, given::balanced};

pub(crate) struct GroupDro {
    step: f64,
}

const NAME: &str = "group_dro";

impl GroupDro {
    pub(crate) fn new(settings: &MitigationSettings) -> Self {
        Self {
            step: settings.group_dro_step,
        }
    }
}

pub(crate) struct Weighted {
    pub(crate) step: f64,
    /// Weights of the four groups; they add up to 1.
    pub(crate) q: [f64; 4],
    pub(crate) group: HashMap<usize, u32>,
    pub(crate) order: Vec<u32>,
}

impl Strategy for Weighted {
    fn rows(&mut self, train: &[usize], epoch: Seed) -> Option<Vec<usize>> {
        Some(balanced(train, &self.order, epoch))
    }

    fn whole_batch(&self) -> bool {
        true
    }

    fn objective(&mut self, loss: Loss, outputs: &Outputs, batch: &Batch) -> LossAndGradient {
        let groups: Vec<usize> = batch
            .windows
            .iter()
            .map(|w| self.group.get(w).map_or(0, |&g| g as usize))
            .collect();
        let (mut sums, mut counts) = ([0.0; 4], [0.0; 4]);
        let rows: Vec<(f64, f64)> = outputs
            .batch
            .iter()
            .zip(batch.labels)
            .map(|(&z, &y)| loss.row(z, y))
            .collect();
        for (&group, (value, _)) in groups.iter().zip(&rows) {
            sums[group] += value;
            counts[group] += 1.0;
        }
        let mean = |group: usize| {
            if counts[group] > 0.0 {
                sums[group] / counts[group]
            } else {
                0.0
            }
        };
        for group in 0..4 {
            self.q[group] *= (self.step * mean(group)).exp();
        }
        let total: f64 = self.q.iter().sum();
        self.q.iter_mut().for_each(|q| *q /= total);
        let gradient = groups
            .iter()
            .zip(&rows)
            .map(|(&group, (_, slope))| (self.q[group] * slope / counts[group]) as f32);
        LossAndGradient {
            loss: (0..4).map(|group| self.q[group] * mean(group)).sum(),
            gradient: gradient.collect(),
            ..LossAndGradient::default()
        }
    }
}

impl Mitigation for GroupDro {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "minimises the worst group's loss by weights that grow with the groups' losses"
    }

    fn source(&self) -> &'static str {
        "Sagawa et al. 2020a"
    }

    fn needs(&self) -> Needs {
        Needs {
            groups: true,
            ..Needs::default()
        }
    }

    fn train(&self, given: &Given) -> Result<Mitigated, MitigationError> {
        let order = given.groups(NAME, given.train)?;
        let mut weighted = Weighted {
            step: self.step,
            q: [0.25; 4],
            group: given.train.iter().copied().zip(order.iter().copied()).collect(),
            order,
        };
        given.fit(&mut weighted, given.config)
    }
}
