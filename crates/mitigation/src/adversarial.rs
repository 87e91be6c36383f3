//! Adversarial training on the shortcut: rows whose shortcut columns are attacked must come out right too.
//!
//! Loss: (1 - share) clean + share attacked, by one step of FGSM on the shortcut's columns: x + level · sign(∂loss/∂x).

use disentangle_models::{
    ModelError,
    train::{Ask, Batch, Loss, LossAndGradient, Outputs, Strategy},
};
use ndarray::Array3;

use crate::{Given, Mitigated, Mitigation, MitigationError, MitigationSettings, Needs};

pub(crate) struct Adversarial {
    level: f64,
    share: f64,
}

const NAME: &str = "adversarial";

impl Adversarial {
    pub(crate) fn new(settings: &MitigationSettings) -> Self {
        Self {
            level: settings.adversarial_level,
            share: settings.adversarial_share,
        }
    }
}

pub(crate) struct Attacked {
    pub(crate) level: f32,
    pub(crate) share: f64,
    pub(crate) columns: Vec<usize>,
}

impl Strategy for Attacked {
    fn whole_batch(&self) -> bool {
        self.share > 0.0
    }

    fn variants(&mut self, batch: &Batch, ask: &dyn Ask) -> Result<Vec<Array3<f32>>, ModelError> {
        let mut x = ask.inputs(batch.windows);
        let gradient = ask.input_gradient(&x)?;
        for ((row, position, column), value) in x.indexed_iter_mut() {
            if self.columns.contains(&column) {
                // The loss rises as the logit falls where the label is 1.
                let rises = if batch.labels[row] > 0.5 { -1.0 } else { 1.0 };
                let slope = rises * gradient[[row, position, column]];
                if slope != 0.0 {
                    *value += self.level * slope.signum();
                }
            }
        }
        Ok(vec![x])
    }

    fn objective(&mut self, loss: Loss, outputs: &Outputs, batch: &Batch) -> LossAndGradient {
        let n = batch.labels.len() as f64;
        let mut total = 0.0;
        let mut weighted = |z: &[f32], share: f64| -> Vec<f32> {
            let rows = z.iter().zip(batch.labels);
            rows.map(|(&z, &y)| {
                let (value, slope) = loss.row(z, y);
                total += share * value / n;
                (share * slope / n) as f32
            })
            .collect()
        };
        let gradient = weighted(outputs.batch, 1.0 - self.share);
        let variants = outputs.variants.iter().map(|z| weighted(z, self.share)).collect();
        LossAndGradient {
            gradient,
            variants,
            loss: total,
            ..LossAndGradient::default()
        }
    }
}

impl Mitigation for Adversarial {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "trains on rows whose shortcut columns are attacked (FGSM), beside the clean ones"
    }

    fn source(&self) -> &'static str {
        "Goodfellow et al. 2015; notebook part 39"
    }

    fn needs(&self) -> Needs {
        Needs {
            shortcut: true,
            ..Needs::default()
        }
    }

    fn train(&self, given: &Given) -> Result<Mitigated, MitigationError> {
        let mut attacked = Attacked {
            level: self.level as f32,
            share: self.share,
            columns: given.shortcut(NAME)?,
        };
        given.fit(&mut attacked, given.config)
    }
}
