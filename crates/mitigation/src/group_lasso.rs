//! Group lasso on the weights that read the shortcut: each column's weights shrink together, down to 0 (Yuan and Lin
//! 2006).
//!
//! Objective: mean loss + λ Σ_c ‖w_c‖, w_c all weights that read column c; after each step w_c ← w_c max(0, 1 -
//! learning rate · λ / ‖w_c‖).

use disentangle_models::train::Strategy;

use crate::{Given, Mitigated, Mitigation, MitigationError, MitigationSettings, Needs};

pub(crate) struct GroupLasso {
    weight: f64,
}

const NAME: &str = "group_lasso";

impl GroupLasso {
    pub(crate) fn new(settings: &MitigationSettings) -> Self {
        Self {
            weight: settings.lasso_weight,
        }
    }
}

pub(crate) struct Shrunk {
    pub(crate) weight: f64,
    /// Where each group's weights lie among all parameters.
    pub(crate) groups: Vec<Vec<usize>>,
}

impl Strategy for Shrunk {
    fn edits_parameters(&self) -> bool {
        self.weight > 0.0
    }

    fn after_step(&mut self, parameters: &mut [f32], learning_rate: f64) {
        for group in &self.groups {
            let squares = group.iter().map(|&place| f64::from(parameters[place]).powi(2));
            let norm = squares.sum::<f64>().sqrt();
            let factor = if norm > 0.0 {
                (1.0 - learning_rate * self.weight / norm).max(0.0)
            } else {
                0.0
            };
            for &place in group {
                parameters[place] = (factor * f64::from(parameters[place])) as f32;
            }
        }
    }
}

impl Mitigation for GroupLasso {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "shrinks the weights that read the shortcut's columns, each column's together"
    }

    fn source(&self) -> &'static str {
        "Yuan and Lin 2006; notebook part 37"
    }

    fn needs(&self) -> Needs {
        Needs {
            shortcut: true,
            ..Needs::default()
        }
    }

    fn train(&self, given: &Given) -> Result<Mitigated, MitigationError> {
        let columns = given.shortcut(NAME)?;
        let mut shrunk = Shrunk {
            weight: self.weight,
            groups: columns.iter().map(|&column| given.start.input_places(column)).collect(),
        };
        given.fit(&mut shrunk, given.config)
    }
}
