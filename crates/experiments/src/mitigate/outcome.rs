//! Everything that `experiment mitigate` measures: `metrics.json`.

use disentangle_analysis::{Estimate, over_seeds};
use disentangle_mitigation::Mitigation;
use serde::{Deserialize, Serialize};

use super::{
    ERM,
    measure::{Measured, VALUES},
};
use crate::cards::ModelCard;

/// The outcome of one seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Of this layout.
    pub schema_version: u32,
    /// `run`.
    pub kind: String,
    /// `mitigate`.
    pub experiment: String,
    /// The seed.
    pub seed: u64,
    /// The data.
    pub dataset: String,
    /// Whether a generator made it.
    pub simulated: bool,
    /// For the reader.
    pub notices: Vec<String>,
    /// The group of the shortcut.
    pub group: String,
    /// The model.
    pub model: ModelCard,
    /// Trainings of each strategy.
    pub repeats: usize,
    /// Environments, the main one first.
    pub environments: Vec<String>,
    /// The first one that training did not see.
    pub unseen: Option<String>,
    /// Those that ran, plain training first.
    pub strategies: Vec<StrategyOutcome>,
    /// Those that could not.
    pub skipped: Vec<Skipped>,
    /// Which strategy to take.
    pub chosen: Chosen,
}

/// A strategy that lacks something.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Skipped {
    /// Its name.
    pub strategy: String,
    /// What it lacks.
    pub why: String,
}

/// One strategy over all trainings.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StrategyOutcome {
    /// Its name.
    pub name: String,
    /// What it does.
    pub about: String,
    /// Where it comes from.
    pub source: String,
    /// Values that do not depend on an environment.
    pub values: Vec<Compared>,
    /// Accuracy, ROC AUC and worst-group accuracy of each environment.
    pub environments: Vec<[Compared; 3]>,
}

/// A number over trainings, and its difference from plain training in the same trainings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Compared {
    /// Mean with Student's t interval.
    pub value: Estimate,
    /// This strategy minus plain training, paired.
    pub over_erm: Estimate,
}

/// Which strategy each rule takes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Chosen {
    /// Best mean validation accuracy.
    pub mean_accuracy: String,
    /// Best worst-group validation accuracy, where groups are known.
    pub worst_group: Option<String>,
    /// Best accuracy in the last environment, which a rule must not look at: an oracle.
    pub oracle: String,
}

impl Chosen {
    /// The rule that is used: by the worst group where groups are known, else by the mean.
    pub(super) fn taken(&self) -> &str {
        self.worst_group.as_deref().unwrap_or(&self.mean_accuracy)
    }
}

impl StrategyOutcome {
    pub(super) fn value(&self, name: &str) -> Option<&Compared> {
        let place = VALUES.iter().position(|value| *value == name)?;
        self.values.get(place)
    }
}

fn compared(own: impl Iterator<Item = Option<f64>>, plain: impl Iterator<Item = Option<f64>>) -> Compared {
    let (own, plain): (Vec<Option<f64>>, Vec<Option<f64>>) = (own.collect(), plain.collect());
    let differences: Vec<Option<f64>> = own
        .iter()
        .zip(&plain)
        .map(|(own, plain)| Some((*own)? - (*plain)?))
        .collect();
    Compared {
        value: over_seeds(&own),
        over_erm: over_seeds(&differences),
    }
}

pub(super) fn summarised(strategy: &dyn Mitigation, own: &[Measured], plain: &[Measured]) -> StrategyOutcome {
    let value = |index: usize| {
        compared(
            own.iter().map(|one| one.values[index]),
            plain.iter().map(|one| one.values[index]),
        )
    };
    let count = own.first().map_or(0, |one| one.environments.len());
    let environment = |index: usize| {
        std::array::from_fn(|metric| {
            let mut found = compared(
                own.iter().map(|one| one.environments[index][metric]),
                plain.iter().map(|one| one.environments[index][metric]),
            );
            // A t interval of few trainings may leave the range of a share.
            found.value = found.value.within(0.0, 1.0);
            found
        })
    };
    StrategyOutcome {
        name: strategy.name().into(),
        about: strategy.about().into(),
        source: strategy.source().into(),
        values: (0..VALUES.len()).map(value).collect(),
        environments: (0..count).map(environment).collect(),
    }
}

/// What each rule takes; the first of equals.
pub(super) fn chosen(strategies: &[StrategyOutcome]) -> Chosen {
    let best = |of: &dyn Fn(&StrategyOutcome) -> Option<f64>| {
        let mut best: Option<(f64, &str)> = None;
        for one in strategies {
            if let Some(value) = of(one).filter(|value| best.is_none_or(|(most, _)| *value > most)) {
                best = Some((value, &one.name));
            }
        }
        best.map(|(_, name)| name.to_string())
    };
    let value = |name: &'static str| move |one: &StrategyOutcome| one.value(name)?.value.value;
    Chosen {
        mean_accuracy: best(&value("validation_accuracy")).unwrap_or_else(|| ERM.into()),
        worst_group: best(&value("validation_worst_group")),
        oracle: best(&|one| one.environments.last()?[0].value.value).unwrap_or_else(|| ERM.into()),
    }
}
