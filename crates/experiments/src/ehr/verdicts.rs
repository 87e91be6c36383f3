//! What the numbers say. What stands before the first colon is counted over seeds, so that it holds no numbers.

use std::cmp::Ordering;

use disentangle_analysis::Estimate;
use disentangle_data::Role;
use disentangle_report::{Tone, Verdict};

use super::outcome::{Accusation, AttributeGroups, Outcome, Performance, Standing};
use crate::{causal, detect, mitigate};

/// A column whose AUC alone is above this is suspicious.
pub(super) const SUSPICIOUS: f64 = 0.95;

pub(super) fn verdicts(outcome: &Outcome) -> Vec<Verdict> {
    let mut all = vec![shortcuts(outcome)];
    all.extend(outside(outcome));
    all.extend(suspicious(outcome));
    all.push(baselines(outcome));
    all.extend(subgroups(outcome));
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
fn shortcuts(outcome: &Outcome) -> Verdict {
    let with = |standing: Standing| -> Vec<&Accusation> {
        outcome
            .accusations
            .iter()
            .filter(|one| one.standing == standing)
            .collect()
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
                let why = match outcome.accusations.iter().any(|one| one.outside.is_some()) {
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

fn of_environment<'a>(outcome: &'a Outcome, environment: &str) -> Vec<&'a Performance> {
    outcome
        .performance
        .iter()
        .filter(|one| one.environment == environment)
        .collect()
}

/// The model inside and outside.
fn outside(outcome: &Outcome) -> Option<Verdict> {
    let (name, _) = outcome.accusations.iter().find_map(|one| one.outside.as_ref())?;
    let main = outcome.performance.first()?;
    let there = *of_environment(outcome, name).first()?;
    let falls = main.auc.low.zip(there.auc.high).is_some_and(|(low, high)| high < low);
    let (tone, words) = match falls {
        true => (
            Tone::Bad,
            "the model does clearly worse in an environment that training did not see",
        ),
        false => (
            Tone::Neutral,
            "the model does not clearly worse in an environment that training did not see",
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

fn baselines(outcome: &Outcome) -> Verdict {
    let Some(main) = outcome.performance.first() else {
        return verdict(Tone::Neutral, "there is nothing to compare".into());
    };
    let others = of_environment(outcome, &main.environment).into_iter().skip(1);
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
fn subgroups(outcome: &Outcome) -> Option<Verdict> {
    let main = outcome.performance.first()?;
    let here = outcome
        .attributes
        .iter()
        .filter(|one| one.environment == main.environment);
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
        let mut groups = outcome.causal.data.groups.iter();
        groups.any(|group| group.name == name && [Role::Protected, Role::Spurious].contains(&group.role))
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
