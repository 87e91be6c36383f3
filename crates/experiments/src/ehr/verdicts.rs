//! What the numbers say. What stands before the first colon is counted over seeds, so that it holds no numbers.

use std::cmp::Ordering;

use disentangle_analysis::Estimate;
use disentangle_data::{FeatureGroup, Role};
use disentangle_report::{Tone, Verdict};

use super::outcome::{Accusation, AttributeGroups, Outcome, Performance, Standing};
use crate::{causal, detect, mitigate};

/// A column whose AUC alone is above this is suspicious.
pub(super) const SUSPICIOUS: f64 = 0.95;

pub(super) fn verdicts(outcome: &Outcome) -> Vec<Verdict> {
    let mut all = vec![shortcuts(&outcome.accusations)];
    all.extend(outside(&outcome.performance, &outcome.accusations));
    all.extend(suspicious(outcome));
    all.push(baselines(&outcome.performance));
    let groups = &outcome.causal.data.groups;
    all.extend(subgroups(&outcome.performance, &outcome.attributes, groups));
    all.extend(time(outcome));
    all.extend(detect::standing_verdicts(&outcome.detection));
    all.extend(outcome.mitigation.iter().flat_map(mitigate::verdicts_of));
    all.extend(outcome.no_mitigation.iter().map(|why| Verdict {
        text: format!("strategies were not compared: {why}"),
        tone: Tone::Neutral,
    }));
    all.extend(causal::verdicts_of(&outcome.causal));
    all
}

fn verdict(tone: Tone, text: String) -> Verdict {
    Verdict { text, tone }
}

/// `a`, `b` and `c`.
fn names(groups: &[&Accusation]) -> String {
    let names: Vec<String> = groups.iter().map(|one| format!("`{}`", one.group)).collect();
    match names.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => names.concat(),
    }
}

/// Which groups are shortcuts, and which genuine ones were accused wrongly where that is known.
fn shortcuts(accusations: &[Accusation]) -> Verdict {
    let with = |standing: Standing| -> Vec<&Accusation> {
        accusations.iter().filter(|one| one.standing == standing).collect()
    };
    let shown = |one: &&Accusation| {
        let outside = one
            .outside
            .as_ref()
            .map_or_else(String::new, |(name, lost)| format!(" and {} in `{name}`", lost.show(2)));
        format!(
            "without `{}` the AUC loses {} inside{outside}",
            one.group,
            one.inside.show(2)
        )
    };
    let found = with(Standing::Shortcut);
    if found.is_empty() {
        let undecided = with(Standing::Undecided);
        let used = with(Standing::Holds);
        return match (undecided.is_empty(), used.is_empty()) {
            (false, _) => {
                let why = match accusations.iter().any(|one| one.outside.is_some()) {
                    true => "the intervals do not say whether it holds elsewhere",
                    false => "there is no environment that training did not see",
                };
                let shown: Vec<String> = undecided.iter().map(shown).collect();
                let text = format!(
                    "it cannot be told whether the use of {} holds elsewhere, {why}: {}",
                    names(&undecided),
                    shown.join("; ")
                );
                verdict(Tone::Neutral, text)
            }
            (true, false) => {
                let shown: Vec<String> = used.iter().map(shown).collect();
                verdict(
                    Tone::Good,
                    format!(
                        "no group is a shortcut, {} hold(s) elsewhere too: {}",
                        names(&used),
                        shown.join("; ")
                    ),
                )
            }
            (true, true) => verdict(
                Tone::Neutral,
                "no group is clearly used, so that none can be a shortcut".into(),
            ),
        };
    }
    let shown: Vec<String> = found.iter().map(shown).collect();
    let text = format!(
        "{} helps inside and fails outside, a shortcut: {}",
        names(&found),
        shown.join("; ")
    );
    verdict(Tone::Bad, text)
}

fn of_environment<'a>(performance: &'a [Performance], environment: &str) -> Vec<&'a Performance> {
    performance
        .iter()
        .filter(|one| one.environment == environment)
        .collect()
}

/// The model inside and outside.
fn outside(performance: &[Performance], accusations: &[Accusation]) -> Option<Verdict> {
    let (name, _) = accusations.iter().find_map(|one| one.outside.as_ref())?;
    let main = performance.first()?;
    let there = *of_environment(performance, name).first()?;
    let falls = main.auc.low.zip(there.auc.high).is_some_and(|(low, high)| high < low);
    let (tone, words) = match falls {
        true => (
            Tone::Bad,
            "the model does clearly worse in an environment that training did not see",
        ),
        false => (
            Tone::Neutral,
            "the model does not do clearly worse in an environment that training did not see",
        ),
    };
    Some(verdict(
        tone,
        format!(
            "{words}: AUC {} inside, {} in `{name}`",
            main.auc.show(2),
            there.auc.show(2)
        ),
    ))
}

fn suspicious(outcome: &Outcome) -> Option<Verdict> {
    let first = outcome.single_columns.first().filter(|one| one.auc >= SUSPICIOUS)?;
    let text = format!(
        "a single column predicts almost perfectly, it may be made from the outcome: `{}` has AUC {:.3} alone on training rows",
        first.column, first.auc
    );
    Some(verdict(Tone::Bad, text))
}

fn baselines(performance: &[Performance]) -> Verdict {
    let Some(main) = performance.first() else {
        return verdict(Tone::Neutral, "there is nothing to compare".into());
    };
    let others = of_environment(performance, &main.environment).into_iter().skip(1);
    let best = others.max_by(|a, b| a.auc.value.unwrap_or(0.0).total_cmp(&b.auc.value.unwrap_or(0.0)));
    let Some((best, over)) = best.and_then(|best| Some((best, best.trained_over_this.as_ref()?))) else {
        return verdict(Tone::Neutral, "there is no baseline".into());
    };
    let (tone, words) = if over.above(0.0) {
        (
            Tone::Good,
            format!("{} is clearly better than {}", main.model, best.model),
        )
    } else if over.below(0.0) {
        (
            Tone::Bad,
            format!("{} is clearly worse than {}", main.model, best.model),
        )
    } else {
        (
            Tone::Neutral,
            format!("{} is not clearly better than {}", main.model, best.model),
        )
    };
    let text = format!(
        "{words}, the best baseline: AUC {} against {}, difference {}",
        main.auc.show(2),
        best.auc.show(2),
        over.show(3)
    );
    verdict(tone, text)
}

/// The attribute whose equalised-odds difference in the main environment chance explains least.
fn subgroups(performance: &[Performance], attributes: &[AttributeGroups], groups: &[FeatureGroup]) -> Option<Verdict> {
    let main = performance.first()?;
    let here = attributes.iter().filter(|one| one.environment == main.environment);
    let found = |one: &&AttributeGroups| one.subgroups.equalised_odds_difference.clone();
    let mut measured: Vec<&AttributeGroups> = here.filter(|one| found(one).value.is_some()).collect();
    let rank = |one: &&AttributeGroups| (found(one).p.unwrap_or(1.0), -found(one).value.unwrap_or(0.0));
    measured.sort_by(|a, b| rank(a).partial_cmp(&rank(b)).unwrap_or(Ordering::Equal));
    let count = measured.len();
    let first = measured.first()?;
    // The smallest of several p values is looked at: Bonferroni.
    let p = found(first).p.map(|p| (p * count as f64).min(1.0));
    // What a subgroup is told apart by should not matter.
    let immaterial = |name: &str| {
        let immaterial = [Role::Protected, Role::Spurious];
        groups
            .iter()
            .any(|group| group.name == name && immaterial.contains(&group.role))
    };
    let (tone, words) = match p {
        Some(p) if p <= 0.05 && immaterial(&first.group) => (Tone::Bad, "error rates differ between subgroups"),
        Some(p) if p <= 0.05 => (Tone::Neutral, "error rates differ between subgroups"),
        Some(_) => (
            Tone::Neutral,
            "no difference of error rates between subgroups beyond chance",
        ),
        None => (
            Tone::Neutral,
            "whether error rates differ between subgroups beyond chance cannot be told",
        ),
    };
    let shown = p.map_or_else(String::new, |p| {
        format!(", p {p:.3} after correction for {count} attribute(s)")
    });
    let text = format!(
        "{words}: the clearest equalised-odds difference is that of `{}`, {}{shown}",
        first.attribute,
        found(first).show(2)
    );
    Some(verdict(tone, text))
}

fn time(outcome: &Outcome) -> Option<Verdict> {
    let Some(stability) = &outcome.stability else {
        return outcome
            .no_stability
            .clone()
            .map(|reason| verdict(Tone::Neutral, reason));
    };
    let clear = |spread: &Estimate| spread.p.is_some_and(|p| p <= 0.05);
    let spread = &stability.calibration_spread;
    let (tone, words) = match (spread.p, clear(spread)) {
        (Some(_), true) => (Tone::Bad, "the model's calibration changes through time"),
        (Some(_), false) => (
            Tone::Good,
            "the model's calibration does not change through time beyond chance",
        ),
        (None, _) => (Tone::Neutral, "whether calibration changes through time cannot be told"),
    };
    let p = spread.p.map_or_else(String::new, |p| format!(", p {p:.3}"));
    let text = format!(
        "{words}: mean prediction minus base rate has standard deviation {} over {} periods{p}",
        spread.show(3),
        stability.periods.len()
    );
    Some(verdict(tone, text))
}

#[cfg(test)]
mod tests {
    use disentangle_analysis::subgroups::Subgroups;

    use super::*;
    use crate::testing::{interval, says};

    fn measured(environment: &str, model: &str, auc: Estimate, over: Option<Estimate>) -> Performance {
        Performance {
            environment: environment.into(),
            model: model.into(),
            rows: 10,
            cases: 10,
            auc,
            accuracy: Estimate::default(),
            log_loss: Estimate::default(),
            calibration_error: Estimate::default(),
            trained_over_this: over,
        }
    }

    fn accused(group: &str, standing: Standing, outside: Option<Estimate>) -> Accusation {
        Accusation {
            group: group.into(),
            standing,
            inside: interval(0.1, 0.2),
            outside: outside.map(|outside| ("hospital=D".to_string(), outside)),
        }
    }

    #[test]
    fn shortcuts_are_named_first_and_what_holds_is_good() {
        use Standing::{Holds, Shortcut, Undecided, Unused};
        let of = |standings: &[Standing]| {
            let all = standings.iter().zip(["a", "b", "c"]);
            let all: Vec<Accusation> = all
                .map(|(standing, group)| accused(group, *standing, Some(interval(-0.1, 0.05))))
                .collect();
            shortcuts(&all)
        };
        says(
            &of(&[Holds, Shortcut, Undecided]),
            Tone::Bad,
            "`b` helps inside and fails outside, a shortcut: without `b` the AUC loses 0.15 [0.10, 0.20] inside",
        );
        says(&of(&[Shortcut, Shortcut]), Tone::Bad, "`a` and `b` helps inside");
        says(
            &of(&[Holds, Undecided]),
            Tone::Neutral,
            "it cannot be told whether the use of `b` holds elsewhere, the intervals",
        );
        says(
            &of(&[Holds, Unused]),
            Tone::Good,
            "no group is a shortcut, `a` hold(s) elsewhere too",
        );
        says(&of(&[Unused]), Tone::Neutral, "no group is clearly used");
        let alone = shortcuts(&[accused("a", Undecided, None)]);
        says(
            &alone,
            Tone::Neutral,
            "it cannot be told whether the use of `a` holds elsewhere, there is no environment",
        );
    }

    #[test]
    fn a_fall_is_clear_where_the_intervals_are_apart() {
        let accusations = [accused("a", Standing::Holds, Some(interval(0.1, 0.2)))];
        let found = |inside: Estimate, there: Estimate| {
            let all = [
                measured("in-distribution", "healthcare", inside, None),
                measured("hospital=D", "healthcare", there, None),
            ];
            outside(&all, &accusations).unwrap()
        };
        says(
            &found(interval(0.8, 0.9), interval(0.6, 0.7)),
            Tone::Bad,
            "the model does clearly worse",
        );
        says(
            &found(interval(0.6, 0.7), interval(0.8, 0.9)),
            Tone::Neutral,
            "the model does not",
        );
        says(
            &found(interval(0.8, 0.9), interval(0.6, 0.85)),
            Tone::Neutral,
            "the model does not",
        );
    }

    #[test]
    fn the_model_is_held_against_the_best_baseline() {
        let found = |over_best: Estimate| {
            baselines(&[
                measured("in", "healthcare", interval(0.7, 0.8), None),
                measured(
                    "in",
                    "logistic regression",
                    interval(0.5, 0.6),
                    Some(interval(0.1, 0.3)),
                ),
                measured("in", "gradient boosting", interval(0.7, 0.9), Some(over_best)),
                measured(
                    "out",
                    "logistic regression",
                    interval(0.9, 1.0),
                    Some(interval(0.1, 0.3)),
                ),
            ])
        };
        says(
            &found(interval(0.01, 0.1)),
            Tone::Good,
            "healthcare is clearly better than gradient boosting",
        );
        says(
            &found(interval(-0.1, -0.01)),
            Tone::Bad,
            "healthcare is clearly worse than gradient boosting",
        );
        says(
            &found(interval(-0.1, 0.1)),
            Tone::Neutral,
            "healthcare is not clearly better than gradient boosting",
        );
    }

    #[test]
    fn the_clearest_difference_is_corrected_for_the_number_of_attributes() {
        let of = |attribute: &str, environment: &str, value: f64, p: f64| AttributeGroups {
            attribute: attribute.into(),
            group: attribute.into(),
            environment: environment.into(),
            threshold: 0.5,
            subgroups: Subgroups {
                equalised_odds_difference: Estimate {
                    p: Some(p),
                    ..Estimate::point(value, 10)
                },
                ..Subgroups::default()
            },
        };
        let group = |name: &str, role: Role| FeatureGroup {
            name: name.into(),
            role,
            columns: Vec::new(),
        };
        let groups = [group("sex", Role::Protected), group("age", Role::Genuine)];
        let main = [measured("in", "healthcare", interval(0.7, 0.8), None)];
        let found = |sex: f64, age: f64| {
            let all = [
                of("sex", "in", 0.2, sex),
                of("age", "in", 0.4, age),
                of("sex", "out", 0.9, 0.0001),
            ];
            subgroups(&main, &all, &groups).unwrap()
        };
        let clear = found(0.025, 0.5);
        says(
            &clear,
            Tone::Bad,
            "error rates differ between subgroups: the clearest equalised-odds difference is that of `sex`, 0.20",
        );
        assert!(
            clear.text.ends_with("p 0.050 after correction for 2 attribute(s)"),
            "{clear:?}"
        );
        says(
            &found(0.026, 0.5),
            Tone::Neutral,
            "no difference of error rates between subgroups beyond chance",
        );
        // By age people may be told apart: it is a cause.
        says(
            &found(0.5, 0.01),
            Tone::Neutral,
            "error rates differ between subgroups: the clearest equalised-odds difference is that of `age`",
        );
    }
}
