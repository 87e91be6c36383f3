//! Numbers of single trainings as means with intervals, and what each rule takes.

use disentangle_analysis::{Bootstrap, Estimate, over_seeds};
use disentangle_mitigation::Mitigation;

use super::{
    ERM,
    impact::impact,
    intervals::over_rows,
    measure::{Measured, VALUES},
    outcome::{Chosen, Compared, Hardest, StrategyOutcome},
};

/// Mean over trainings with Student's t interval. `None` entries are left out and counted.
pub(super) fn over_trainings(values: &[Option<f64>]) -> Estimate {
    let mut estimate = over_seeds(values);
    for words in [&mut estimate.method, &mut estimate.note].into_iter().flatten() {
        *words = words.replace("seed", "training");
    }
    estimate
}

pub(super) fn compared(own: impl Iterator<Item = Option<f64>>, plain: impl Iterator<Item = Option<f64>>) -> Compared {
    let (own, plain): (Vec<Option<f64>>, Vec<Option<f64>>) = (own.collect(), plain.collect());
    let differences: Vec<Option<f64>> = own
        .iter()
        .zip(&plain)
        .map(|(own, plain)| Some((*own)? - (*plain)?))
        .collect();
    Compared {
        value: over_trainings(&own),
        over_erm: over_trainings(&differences),
        over_erm_rows: None,
    }
}

/// What all strategies of a run are summarised by.
pub(super) struct Summary<'a> {
    pub groups: &'a [String],
    /// Plain training, one a training.
    pub plain: &'a [Measured],
    /// How rows are drawn again, and the labels of each environment's, where all trainings have the same.
    pub rows: Option<(Bootstrap, Vec<Vec<f32>>)>,
}

impl Summary<'_> {
    pub(super) fn of(&self, strategy: &dyn Mitigation, own: &[Measured]) -> StrategyOutcome {
        let value = |index: usize| {
            compared(
                own.iter().map(|one| one.values[index]),
                self.plain.iter().map(|one| one.values[index]),
            )
        };
        let count = own.first().map_or(0, |one| one.environments.len());
        StrategyOutcome {
            name: strategy.name().into(),
            about: strategy.about().into(),
            source: strategy.source().into(),
            values: (0..VALUES.len()).map(value).collect(),
            environments: (0..count).map(|index| self.environment(own, index)).collect(),
            impact: impact(self.groups, own, self.plain),
        }
    }

    fn environment(&self, own: &[Measured], index: usize) -> [Compared; 3] {
        let mut found: [Compared; 3] = std::array::from_fn(|metric| {
            let mut found = compared(
                own.iter().map(|one| one.environments[index][metric]),
                self.plain.iter().map(|one| one.environments[index][metric]),
            );
            // A t interval of few trainings may leave the range of a share.
            found.value = found.value.within(0.0, 1.0);
            found
        });
        if let Some((bootstrap, labels)) = &self.rows {
            let differences = over_rows(own, self.plain, index, &labels[index], bootstrap);
            for (found, difference) in found.iter_mut().zip(differences) {
                found.over_erm_rows = Some(difference);
            }
        }
        found
    }
}

/// What each rule takes; the first of equals.
pub(super) fn chosen(strategies: &[StrategyOutcome], hardest: &Hardest) -> Chosen {
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
        oracle: best(&|one| hardest.of(one)?.value.value).unwrap_or_else(|| ERM.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean and worst-group accuracy on validation rows, and accuracy in the first environment.
    fn strategy(name: &str, accuracy: f64, worst: Option<f64>, outside: f64) -> StrategyOutcome {
        let with = |value: Option<f64>| Compared {
            value: Estimate {
                value,
                ..Estimate::default()
            },
            ..Compared::default()
        };
        let mut values = vec![Compared::default(); VALUES.len()];
        (values[0], values[1]) = (with(Some(accuracy)), with(worst));
        StrategyOutcome {
            name: name.into(),
            values,
            environments: vec![[with(Some(outside)), Compared::default(), Compared::default()]],
            ..StrategyOutcome::default()
        }
    }

    #[test]
    fn each_rule_takes_its_best_and_the_first_of_equals() {
        assert_eq!(VALUES[..2], ["validation_accuracy", "validation_worst_group"]);
        let all = |known: bool| {
            [
                ("erm", 0.9, 0.2, 0.3),
                ("jtt", 0.8, 0.7, 0.6),
                ("group_dro", 0.85, 0.7, 0.5),
                ("irm", 0.7, 0.1, 0.8),
            ]
            .map(|(name, accuracy, worst, outside)| strategy(name, accuracy, known.then_some(worst), outside))
        };
        let found = chosen(&all(true), &Hardest::default());
        assert_eq!((found.mean_accuracy.as_str(), found.oracle.as_str()), ("erm", "irm"));
        assert_eq!(found.worst_group.as_deref(), Some("jtt"));
        assert_eq!((found.taken(), found.rule().1), ("jtt", "validation_worst_group"));
        let found = chosen(&all(false), &Hardest::default());
        assert_eq!((&found.worst_group, found.taken()), (&None, "erm"));
        assert_eq!(found.rule().1, "validation_accuracy");
    }

    #[test]
    fn differences_are_of_pairs_and_from_plain_training() {
        let found = compared(
            [Some(0.8), None, Some(0.5)].into_iter(),
            [Some(0.5), Some(0.1), None].into_iter(),
        );
        assert!((found.over_erm.value.unwrap() - 0.3).abs() < 1e-12, "{found:?}");
        assert!((found.value.value.unwrap() - 0.65).abs() < 1e-12, "{found:?}");
    }
}
