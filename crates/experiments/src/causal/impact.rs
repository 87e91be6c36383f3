//! What a shortcut is worth in each environment, in words (notebook part 21: spurious impact).

use disentangle_analysis::Estimate;
use disentangle_report::{Tone, Verdict};

use super::{
    outcome::{EnvironmentImportance, Outcome},
    verdicts::verdict,
};

/// What moves less than this does not matter, however certain it is.
const MATTERS: f64 = 0.005;
/// Where the rarer label is rarer than this, accuracy hardly moves whatever a model learned.
const RARE: f64 = 0.2;

type Measure = fn(&EnvironmentImportance) -> &Estimate;

/// Accuracy, or ROC AUC where one label is rare.
fn measure(outcome: &Outcome) -> (&'static str, Measure) {
    let rare = |positive: f64| positive.min(1.0 - positive) < RARE;
    let main = outcome.data.environments.first();
    match main.is_some_and(|main| rare(main.positive)) {
        true => ("ROC AUC", |one| &one.importance.auc_drop),
        false => ("accuracy", |one| &one.importance.accuracy_drop),
    }
}

fn clearly_above(drop: &Estimate) -> bool {
    drop.above(0.0) && drop.value.is_some_and(|value| value >= MATTERS)
}

fn clearly_below(drop: &Estimate) -> bool {
    drop.below(0.0) && drop.value.is_some_and(|value| value <= -MATTERS)
}

/// What a shortcut is worth in each environment.
pub(super) fn impact(outcome: &Outcome, group: &str) -> Option<Verdict> {
    let drops: Vec<&EnvironmentImportance> = outcome
        .importance
        .iter()
        .filter(|one| one.importance.group == group)
        .collect();
    let (first, others) = drops.split_first()?;
    let (measure, of) = measure(outcome);
    let drop = of(first);
    // One group in one environment, chosen before the run: no family to correct for.
    let confirmed = drop.p.is_none_or(|p| p <= 0.05);
    let pays = |one: &&EnvironmentImportance| clearly_above(of(one));
    let misleads = drops.iter().any(|one| clearly_below(of(one)));
    let (tone, words) = if drop.low.is_none() && !misleads {
        (
            Tone::Neutral,
            format!("whether the model leans on the shortcut `{group}` cannot be judged"),
        )
    } else if pays(first) && !confirmed && !misleads {
        (
            Tone::Neutral,
            format!("the model seems to lean on the shortcut `{group}`, which the permutation test does not confirm"),
        )
    } else if pays(first) && !others.is_empty() && others.iter().all(pays) {
        (
            Tone::Neutral,
            format!("`{group}` is marked as a shortcut, but pays in every environment"),
        )
    } else if pays(first) && confirmed {
        (Tone::Bad, format!("the model leans on the shortcut `{group}`"))
    } else if misleads {
        (
            Tone::Bad,
            format!("the shortcut `{group}` misleads the model in some environment"),
        )
    } else {
        (
            Tone::Good,
            format!("no evidence that the model leans on the shortcut `{group}`"),
        )
    };
    let each: Vec<String> = drops.iter().map(|one| lost(of(one), &one.environment)).collect();
    Some(verdict(
        tone,
        format!("{words}: without it {measure} {}", each.join(", ")),
    ))
}

/// `falls by 0.12 [0.08, 0.15] on ..`.
fn lost(drop: &Estimate, environment: &str) -> String {
    if clearly_above(drop) {
        return format!("falls by {} on `{environment}`", drop.show(2));
    }
    if clearly_below(drop) {
        let negative = |value: Option<f64>| value.map(|value| -value);
        let gain = Estimate {
            value: negative(drop.value),
            low: negative(drop.high),
            high: negative(drop.low),
            ..drop.clone()
        };
        return format!("rises by {} on `{environment}`", gain.show(2));
    }
    format!("does not clearly change on `{environment}` (lost: {})", drop.show(2))
}
