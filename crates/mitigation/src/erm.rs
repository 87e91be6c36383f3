//! Empirical risk minimisation: the mean loss over training rows, what every strategy is compared with.

use disentangle_models::train::Erm;

use crate::{Given, Mitigated, Mitigation, MitigationError};

pub(crate) struct ErmStrategy;

impl Mitigation for ErmStrategy {
    fn name(&self) -> &'static str {
        "erm"
    }

    fn about(&self) -> &'static str {
        "empirical risk minimisation: plain training"
    }

    fn source(&self) -> &'static str {
        "Vapnik 1992"
    }

    fn train(&self, given: &Given) -> Result<Mitigated, MitigationError> {
        given.fit(&mut Erm, given.config)
    }
}
