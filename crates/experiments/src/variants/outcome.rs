//! Everything that `experiment variants` measures: `metrics.json`.

use disentangle_analysis::Estimate;
use serde::{Deserialize, Serialize};

use super::measure::VALUES;

/// The outcome of one seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Of this layout.
    pub schema_version: u32,
    /// `run`.
    pub kind: String,
    /// `variants`.
    pub experiment: String,
    /// The seed.
    pub seed: u64,
    /// The data.
    pub dataset: String,
    /// Whether a generator made it.
    pub simulated: bool,
    /// For the reader.
    pub notices: Vec<String>,
    /// Rows that training saw, in the first training.
    pub train_rows: usize,
    /// Trainings of each family.
    pub repeats: usize,
    /// Nodes of integrated gradients.
    pub steps: usize,
    /// Levels of noise.
    pub noise_levels: Vec<f64>,
    /// Feature groups.
    pub groups: Vec<String>,
    /// The group of the shortcut, if one is known.
    pub shortcut: Option<String>,
    /// Environments, the main one first.
    pub environments: Vec<String>,
    /// In the order in which they were asked for; the others are compared with the first.
    pub families: Vec<FamilyOutcome>,
    /// Which of them does best.
    pub ranking: Ranking,
    /// Seconds that the trainings of each family took, for the terminal and `times.json`; no part of the outcome, as they differ from run to run.
    #[serde(skip)]
    pub seconds: Vec<Vec<f64>>,
}

/// One family over all trainings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FamilyOutcome {
    /// Its name.
    pub name: String,
    /// How it was shown the rows.
    pub shown: String,
    /// Its sizes, for example `hidden 64, heads 4`.
    pub sizes: String,
    /// Numbers that are learned.
    pub parameters: usize,
    /// In the order of `VALUES`; they do not depend on an environment.
    pub values: Vec<Compared>,
    /// Accuracy, ROC AUC and worst-group accuracy of each environment.
    pub environments: Vec<[Compared; 3]>,
    /// Each group's share of the attributions.
    pub attribution: Vec<Compared>,
    /// Mean |what attributions miss| over mean |change of the logit|.
    pub completeness_gap: Estimate,
    /// Main sites in forward order.
    pub sites: Vec<SiteOutcome>,
}

/// A number over trainings, and its difference from the first family in the same trainings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Compared {
    /// Mean with Student's t interval.
    pub value: Estimate,
    /// This family minus the first one, paired; undefined for the first itself.
    pub over_first: Estimate,
}

impl Compared {
    /// Whether the interval of the difference excludes 0.
    pub(super) fn clear(&self) -> bool {
        self.over_first.above(0.0) || self.over_first.below(0.0)
    }
}

/// One site over all trainings.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SiteOutcome {
    /// For example `layers.0.resid`.
    pub site: String,
    /// Neurons.
    pub neurons: usize,
    /// exp(H(σ / Σσ)) of the centred activations.
    pub effective_rank: Estimate,
    /// log10 of the largest over the smallest singular value that single precision knows.
    pub condition_log10: Estimate,
    /// Directions that rounding alone explains, mean over trainings.
    pub dropped: Estimate,
    /// Share of |a| ≤ .01 rms.
    pub sparsity: Estimate,
}

/// Families from best to worst.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ranking {
    /// Index of the environment, and of accuracy (0) or worst-group accuracy (2).
    pub place: [usize; 2],
    /// What is ranked by, for example `worst-group accuracy in in-distribution`.
    pub by: String,
    /// Indices of families.
    pub order: Vec<usize>,
    /// The first minus the second of the ranking, paired over trainings.
    pub lead: Estimate,
}

impl Ranking {
    /// The number that a family is ranked by.
    pub(super) fn of<'a>(&self, family: &'a FamilyOutcome) -> Option<&'a Compared> {
        family.environments.get(self.place[0])?.get(self.place[1])
    }
}

impl FamilyOutcome {
    pub(super) fn value(&self, name: &str) -> Option<&Compared> {
        let place = VALUES.iter().position(|value| value.name == name)?;
        self.values.get(place)
    }
}

impl Outcome {
    /// Families from best to worst.
    pub(super) fn ranked(&self) -> Vec<&FamilyOutcome> {
        let order = self.ranking.order.iter();
        order.filter_map(|&place| self.families.get(place)).collect()
    }

    /// The name of the one that others are compared with.
    pub(super) fn first(&self) -> &str {
        self.families.first().map_or("", |family| family.name.as_str())
    }
}
