//! Group-balanced sampling: every (label, shortcut) group equally often, so that the shortcut says nothing of the label.

use disentangle_data::Seed;
use disentangle_models::train::Strategy;

use crate::{Given, Mitigated, Mitigation, MitigationError, Needs, given::balanced};

pub(crate) struct Balanced;

const NAME: &str = "group_balanced";

struct Sampling {
    groups: Vec<u32>,
}

impl Strategy for Sampling {
    fn rows(&mut self, train: &[usize], epoch: Seed) -> Option<Vec<usize>> {
        Some(balanced(train, &self.groups, epoch))
    }
}

impl Mitigation for Balanced {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "rows are drawn so that every group of label and shortcut is equally frequent"
    }

    fn source(&self) -> &'static str {
        "Idrissi et al. 2022 (RWG)"
    }

    fn needs(&self) -> Needs {
        Needs {
            groups: true,
            ..Needs::default()
        }
    }

    fn train(&self, given: &Given) -> Result<Mitigated, MitigationError> {
        let groups = given.groups(NAME, given.train)?;
        given.fit(&mut Sampling { groups }, given.config)
    }
}
