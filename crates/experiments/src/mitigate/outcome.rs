//! Everything that `experiment mitigate` measures: `metrics.json`.

use disentangle_analysis::Estimate;
use serde::{Deserialize, Serialize};

use super::{impact::Impact, measure::VALUES};
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
    /// In what these differ.
    pub vary: Vary,
    /// Whether all have the same test rows, so that these can be drawn again for a second interval of each difference.
    pub same_test_rows: bool,
    /// Rows of a block where test rows follow each other, else 1.
    pub block: usize,
    /// Whether test rows are a random row of each subject, of which there are several.
    pub one_a_subject: bool,
    /// Feature groups.
    pub groups: Vec<String>,
    /// Environments, the main one first.
    pub environments: Vec<String>,
    /// The first one that training did not see.
    pub unseen: Option<String>,
    /// What shows best that a shortcut is leaned on.
    pub hardest: Hardest,
    /// Those that ran, plain training first.
    pub strategies: Vec<StrategyOutcome>,
    /// Those that could not.
    pub skipped: Vec<Skipped>,
    /// Which strategy to take.
    pub chosen: Chosen,
    /// Seconds that the trainings of each strategy took, for the terminal and `times.json`; no part of the outcome, as they differ from run to run.
    #[serde(skip)]
    pub seconds: Vec<Vec<f64>>,
}

/// In what the trainings of a strategy differ, which says what their intervals cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vary {
    /// A generator draws rows for each.
    Drawn,
    /// Each divides the same rows anew.
    Divided,
    /// All have the same rows in the same parts: what differs is initial weights and the order of rows.
    Fixed,
}

/// Where the shortcut fails, as far as the data says: the reversed environment, else the first that training did not see, else the worst group
/// of the main rows, else the last environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hardest {
    /// Index of the environment, and of accuracy (0) or worst-group accuracy (2).
    pub place: [usize; 2],
    /// The environment.
    pub environment: String,
    /// What is measured there.
    pub metric: String,
}

impl Hardest {
    pub(super) fn new(environments: &[String], unseen: Option<&String>, strategies: &[StrategyOutcome]) -> Self {
        let called = |name: &str| environments.iter().position(|one| one == name);
        let plain = strategies.first();
        let groups = plain.and_then(|plain| plain.environments.first()?[2].value.value);
        let place = match called("reversed").or_else(|| called(unseen?)) {
            Some(environment) => [environment, 0],
            None if groups.is_some() => [0, 2],
            None => [environments.len().saturating_sub(1), 0],
        };
        let metric = if place[1] == 0 {
            "accuracy"
        } else {
            "worst-group accuracy"
        };
        Self {
            place,
            environment: environments.get(place[0]).cloned().unwrap_or_default(),
            metric: metric.into(),
        }
    }

    pub(super) fn of<'a>(&self, one: &'a StrategyOutcome) -> Option<&'a Compared> {
        one.environments.get(self.place[0])?.get(self.place[1])
    }

    /// For an axis or a column.
    pub(super) fn axis(&self) -> String {
        format!("{}, {}", self.metric, self.environment)
    }

    /// For a sentence.
    pub(super) fn words(&self) -> String {
        format!("{} in `{}`", self.metric, self.environment)
    }
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
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
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
    /// What it changes in the model.
    pub impact: Impact,
}

/// A number over trainings, and its difference from plain training in the same trainings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Compared {
    /// Mean with Student's t interval.
    pub value: Estimate,
    /// This strategy minus plain training, paired.
    pub over_erm: Estimate,
    /// The same difference with an interval over test rows, where all trainings have the same; the models stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_erm_rows: Option<Estimate>,
}

impl Compared {
    fn holds(&self, clearly: impl Fn(&Estimate) -> bool) -> bool {
        clearly(&self.over_erm) && self.over_erm_rows.as_ref().is_none_or(&clearly)
    }

    /// Whether every interval of the difference lies above 0.
    pub(super) fn clearly_more(&self) -> bool {
        self.holds(|difference| difference.above(0.0))
    }

    /// Whether every interval of the difference lies below 0.
    pub(super) fn clearly_less(&self) -> bool {
        self.holds(|difference| difference.below(0.0))
    }

    /// The difference with its interval, or both.
    pub(super) fn difference(&self, digits: usize) -> String {
        let trainings = self.over_erm.show(digits);
        match &self.over_erm_rows {
            Some(rows) => format!("{trainings} over trainings, {} over rows", rows.show(digits)),
            None => trainings,
        }
    }
}

/// Which strategy each rule takes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Chosen {
    /// Best mean validation accuracy.
    pub mean_accuracy: String,
    /// Best worst-group validation accuracy, where groups are known.
    pub worst_group: Option<String>,
    /// Best where the shortcut fails, which a rule must not look at: an oracle.
    pub oracle: String,
}

impl Chosen {
    /// The rule that is used: by the worst group where groups are known, else by the mean.
    pub(super) fn taken(&self) -> &str {
        self.worst_group.as_deref().unwrap_or(&self.mean_accuracy)
    }

    /// This rule in words, and its value's name.
    pub(super) fn rule(&self) -> (&'static str, &'static str) {
        match self.worst_group {
            Some(_) => ("worst-group validation accuracy", "validation_worst_group"),
            None => ("mean validation accuracy", "validation_accuracy"),
        }
    }
}

impl StrategyOutcome {
    pub(super) fn value(&self, name: &str) -> Option<&Compared> {
        let place = VALUES.iter().position(|value| *value == name)?;
        self.values.get(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hardest_place_is_the_first_that_is_known() {
        let check = |environments: &[&str], unseen: Option<&str>, groups: Option<f64>, expected: &str| {
            let environments: Vec<String> = environments.iter().map(ToString::to_string).collect();
            let mut plain = StrategyOutcome {
                environments: vec![<[Compared; 3]>::default(); environments.len()],
                ..StrategyOutcome::default()
            };
            plain.environments[0][2].value.value = groups;
            let unseen = unseen.map(ToString::to_string);
            let hardest = Hardest::new(&environments, unseen.as_ref(), &[plain]);
            assert_eq!(hardest.axis(), expected);
        };
        let drawn = ["in-distribution", "independent", "reversed"];
        check(&drawn, Some("independent"), Some(0.1), "accuracy, reversed");
        check(&["test", "h=3", "h=1"], Some("h=3"), Some(0.1), "accuracy, h=3");
        check(&["test", "h=1"], None, Some(0.1), "worst-group accuracy, test");
        check(&["validation", "test"], None, None, "accuracy, test");
    }

    #[test]
    fn a_difference_is_clear_where_every_interval_says_so() {
        let between = |low: f64, high: f64| Estimate {
            low: Some(low),
            high: Some(high),
            ..Estimate::default()
        };
        let check = |trainings: Estimate, rows: Option<Estimate>, more: bool, less: bool| {
            let compared = Compared {
                over_erm: trainings,
                over_erm_rows: rows,
                ..Compared::default()
            };
            assert_eq!(
                (compared.clearly_more(), compared.clearly_less()),
                (more, less),
                "{compared:?}"
            );
        };
        check(between(0.1, 0.2), None, true, false);
        check(between(-0.2, -0.1), None, false, true);
        check(between(-0.1, 0.2), None, false, false);
        check(between(0.1, 0.2), Some(between(-0.1, 0.3)), false, false);
        check(between(0.1, 0.2), Some(between(0.01, 0.3)), true, false);
        check(Estimate::default(), None, false, false);
    }
}
