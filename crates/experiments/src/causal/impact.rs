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
fn measure(positive: Option<f64>) -> (&'static str, Measure) {
    let rare = |positive: f64| positive.min(1.0 - positive) < RARE;
    match positive.is_some_and(rare) {
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
    let main = outcome.data.environments.first();
    worth(&outcome.importance, main.map(|main| main.positive), group)
}

/// From the importances of all groups and the share of positive labels on the main rows.
fn worth(all: &[EnvironmentImportance], positive: Option<f64>, group: &str) -> Option<Verdict> {
    let drops: Vec<&EnvironmentImportance> = all.iter().filter(|one| one.importance.group == group).collect();
    let (first, others) = drops.split_first()?;
    let (measure, of) = measure(positive);
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

#[cfg(test)]
mod tests {
    use disentangle_analysis::importance::Importance;

    use super::*;
    use crate::testing::interval;

    /// Of `bias` in two environments, beside another group that is worth a lot.
    fn worths(positive: f64, [inside, outside]: [[f64; 2]; 2], p: Option<f64>) -> Verdict {
        let one = |environment: &str, group: &str, drop: Estimate| EnvironmentImportance {
            environment: environment.into(),
            importance: Importance {
                group: group.into(),
                auc_drop: interval(-0.3, 0.3),
                accuracy_drop: drop,
                auc_only: Estimate::default(),
                accuracy_only: Estimate::default(),
                probability_shift: Estimate::default(),
            },
            accuracy_drop_mean: Estimate::default(),
            accuracy_drop_zero: Estimate::default(),
        };
        let first = Estimate {
            p,
            ..interval(inside[0], inside[1])
        };
        let all = [
            one("in", "other", interval(0.3, 0.4)),
            one("in", "bias", first),
            one("out", "bias", interval(outside[0], outside[1])),
        ];
        worth(&all, Some(positive), "bias").unwrap()
    }

    #[test]
    fn words_follow_the_environments() {
        let check = |accuracy: [[f64; 2]; 2], p: Option<f64>, tone: Tone, start: &str| {
            let found = worths(0.5, accuracy, p);
            assert!(
                found.tone == tone && found.text.starts_with(start),
                "{found:?}, not {start}"
            );
        };
        let (pays, nothing, costs) = ([0.1, 0.2], [-0.05, 0.05], [-0.2, -0.1]);
        check(
            [pays, nothing],
            Some(0.05),
            Tone::Bad,
            "the model leans on the shortcut `bias`",
        );
        check(
            [pays, costs],
            Some(0.05),
            Tone::Bad,
            "the model leans on the shortcut `bias`",
        );
        check(
            [pays, nothing],
            Some(0.06),
            Tone::Neutral,
            "the model seems to lean on the shortcut `bias`",
        );
        check(
            [pays, pays],
            Some(0.05),
            Tone::Neutral,
            "`bias` is marked as a shortcut, but pays in every",
        );
        check(
            [nothing, costs],
            Some(0.5),
            Tone::Bad,
            "the shortcut `bias` misleads the model in some",
        );
        check(
            [nothing, pays],
            Some(0.5),
            Tone::Good,
            "no evidence that the model leans",
        );
        // Certain, and too little to matter.
        check(
            [[0.003, 0.006], nothing],
            Some(0.01),
            Tone::Good,
            "no evidence that the model leans",
        );
        let text = worths(0.5, [pays, costs], None).text;
        let expected = "without it accuracy falls by 0.15 [0.10, 0.20] on `in`, rises by 0.15 [0.10, 0.20] on `out`";
        assert!(text.ends_with(expected), "{text}");
        // Where one label is rare, accuracy is not looked at.
        for (positive, measure) in [
            (0.19, "ROC AUC"),
            (0.81, "ROC AUC"),
            (0.21, "accuracy"),
            (0.79, "accuracy"),
        ] {
            let text = worths(positive, [pays, nothing], None).text;
            assert!(text.contains(&format!("without it {measure} ")), "{positive}: {text}");
        }
    }
}
