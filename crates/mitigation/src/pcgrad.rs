//! Gradient surgery: where the gradients of two environments point against each other, each loses the part that does.
//!
//! g_i ← g_i - min(0, g_i·g_j / ‖g_j‖²) g_j for the others j in random order, against the original g_j; then the mean over environments.

use disentangle_data::Seed;
use disentangle_models::train::{Batch, Strategy};

use crate::{Given, Mitigated, Mitigation, MitigationError, Needs, irm::by_environment};

pub(crate) struct PcGrad;

const NAME: &str = "pcgrad";

pub(crate) struct Surgery;

impl Strategy for Surgery {
    fn parts(&mut self, batch: &Batch) -> Vec<Vec<usize>> {
        let rows = by_environment(batch).into_values();
        rows.map(|rows| rows.into_iter().map(|row| batch.windows[row]).collect())
            .collect()
    }

    fn combine(&mut self, gradients: Vec<Vec<f32>>, step: Seed) -> Vec<f32> {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let count = gradients.len();
        let mut rng = step.rng();
        let mut mean = vec![0.0f32; gradients.first().map_or(0, Vec::len)];
        for (own, gradient) in gradients.iter().enumerate() {
            let mut changed = gradient.clone();
            for other in rng.permutation(count).into_iter().filter(|other| *other != own) {
                let theirs = &gradients[other];
                let (along, length) = (dot(&changed, theirs), dot(theirs, theirs));
                if along < 0.0 && length > 0.0 {
                    let part = (along / length) as f32;
                    changed
                        .iter_mut()
                        .zip(theirs)
                        .for_each(|(g, theirs)| *g -= part * theirs);
                }
            }
            mean.iter_mut()
                .zip(&changed)
                .for_each(|(mean, g)| *mean += g / count as f32);
        }
        mean
    }
}

impl Mitigation for PcGrad {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "projects away where the gradients of environments conflict"
    }

    fn source(&self) -> &'static str {
        "Yu et al. 2020 (PCGrad); notebook part 40"
    }

    fn needs(&self) -> Needs {
        Needs {
            environments: true,
            ..Needs::default()
        }
    }

    fn train(&self, given: &Given) -> Result<Mitigated, MitigationError> {
        given.environments(NAME)?;
        given.fit(&mut Surgery, given.config)
    }
}
