//! What the numbers say. What stands before the first colon is counted over seeds, so that it holds no numbers.

use disentangle_report::{Tone, Verdict};

use super::outcome::{Compared, FamilyOutcome, Outcome};

/// A completeness gap above this is said aloud.
const LARGE_GAP: f64 = 0.01;
/// Numbers by which families are said to differ, and what they are called.
const DIFFERENCES: [(&str, &str); 5] = [
    ("directions_used", "directions used"),
    ("attribution_variation", "variation of attributions"),
    ("shortcut_auc_drop", "AUC lost without the shortcut"),
    ("noise_sensitivity", "noise sensitivity"),
    ("feature_sensitivity", "feature sensitivity"),
];

pub(super) fn verdicts(outcome: &Outcome) -> Vec<Verdict> {
    let mut all: Vec<Verdict> = best(outcome).into_iter().collect();
    all.extend(unlearned(outcome));
    all.extend(shortcut(outcome));
    all.extend(outcome.families.iter().skip(1).map(|one| differences(outcome, one)));
    all.extend(completeness(outcome));
    all
}

fn verdict(tone: Tone, text: String) -> Verdict {
    Verdict { text, tone }
}

/// Which family ranks first, and whether that is clear.
fn best(outcome: &Outcome) -> Option<Verdict> {
    let ranked = outcome.ranked();
    let (first, next) = (ranked.first()?, ranked.get(1)?);
    let shown = |one: &FamilyOutcome| {
        let value = outcome.ranking.of(one).map(|compared| compared.value.show(3));
        value.unwrap_or_default()
    };
    let lead = &outcome.ranking.lead;
    let (tone, words) = match lead.above(0.0) {
        true => (
            Tone::Good,
            format!("`{}` ranks first and is clearly ahead of the next", first.name),
        ),
        false => (Tone::Neutral, "no family is clearly the best".into()),
    };
    let text = format!(
        "{words}: {} of `{}` is {}, that of `{}` {}; paired difference {}, the order chosen on the same rows",
        outcome.ranking.by,
        first.name,
        shown(first),
        next.name,
        shown(next),
        lead.show(3)
    );
    Some(verdict(tone, text))
}

/// Families that do not clearly do better than a coin on the main rows: what else is measured of them says little.
fn unlearned(outcome: &Outcome) -> Option<Verdict> {
    let main = outcome.environments.first()?;
    let auc = |one: &FamilyOutcome| one.environments.first().map(|scores| scores[1].value.clone());
    let learned = |one: &FamilyOutcome| auc(one).is_some_and(|auc| auc.above(0.5));
    let others: Vec<String> = outcome
        .families
        .iter()
        .filter(|one| !learned(one))
        .map(|one| format!("`{}` {}", one.name, auc(one).unwrap_or_default().show(2)))
        .collect();
    let text = format!(
        "some families have not clearly learned the label, so that what they represent says little: ROC AUC in `{main}` of {}",
        others.join(", ")
    );
    (!others.is_empty()).then(|| verdict(Tone::Bad, text))
}

/// How many families lean on the shortcut.
fn shortcut(outcome: &Outcome) -> Option<Verdict> {
    let group = outcome.shortcut.as_ref()?;
    let drop = |one: &FamilyOutcome| one.value("shortcut_auc_drop").map(|compared| compared.value.clone());
    let leans = |one: &&FamilyOutcome| drop(one).is_some_and(|drop| drop.above(0.0));
    let (count, all) = (outcome.families.iter().filter(leans).count(), outcome.families.len());
    let (tone, words) = match count {
        0 => (Tone::Good, format!("no family clearly leans on the shortcut `{group}`")),
        _ if count == all => (Tone::Bad, format!("every family leans on the shortcut `{group}`")),
        _ => (Tone::Bad, format!("some families lean on the shortcut `{group}`")),
    };
    let mut shown: Vec<(f64, String)> = outcome
        .families
        .iter()
        .filter_map(|one| {
            let drop = drop(one)?;
            Some((drop.value?, format!("`{}` {}", one.name, drop.show(3))))
        })
        .collect();
    shown.sort_by(|a, b| b.0.total_cmp(&a.0));
    let shown: Vec<String> = shown.into_iter().map(|(_, text)| text).collect();
    let text = format!("{words}: {count} of {all}; AUC lost without it {}", shown.join(", "));
    Some(verdict(tone, text))
}

/// In what a family differs from the first one.
fn differences(outcome: &Outcome, one: &FamilyOutcome) -> Verdict {
    let first = outcome.first();
    let named = DIFFERENCES.iter().map(|(name, words)| (*words, one.value(name)));
    let accuracies = outcome.environments.iter().zip(&one.environments);
    let accuracies: Vec<(String, &Compared)> = accuracies
        .map(|(environment, scores)| (format!("accuracy in `{environment}`"), &scores[0]))
        .collect();
    let accuracies = accuracies
        .iter()
        .map(|(words, compared)| (words.as_str(), Some(*compared)));
    let all: Vec<(&str, &Compared)> = accuracies
        .chain(named)
        .filter_map(|(words, compared)| Some((words, compared?)))
        .filter(|(_, compared)| compared.over_first.value.is_some())
        .collect();
    let clear: Vec<String> = all
        .iter()
        .filter(|(_, compared)| compared.clear())
        .map(|(words, compared)| format!("{words} {} more", compared.over_first.show(3)))
        .collect();
    let text = match clear.is_empty() {
        true => format!(
            "`{}` does not clearly differ from `{first}`: none of {} paired differences excludes zero",
            one.name,
            all.len()
        ),
        false => format!(
            "`{}` differs from `{first}`: {} ({} of {} numbers, not corrected for how many they are)",
            one.name,
            clear.join(", "),
            clear.len(),
            all.len()
        ),
    };
    verdict(Tone::Neutral, text)
}

/// Attributions that do not add up.
fn completeness(outcome: &Outcome) -> Option<Verdict> {
    let large = |one: &&FamilyOutcome| one.completeness_gap.value.is_some_and(|gap| gap > LARGE_GAP);
    let large: Vec<String> = outcome
        .families
        .iter()
        .filter(large)
        .map(|one| format!("`{}` {}", one.name, one.completeness_gap.show(3)))
        .collect();
    let text = format!(
        "attributions of some families do not add up to the change of their output: completeness gap of {}, above 1 %; raise `steps` (now {})",
        large.join(", "),
        outcome.steps
    );
    (!large.is_empty()).then(|| verdict(Tone::Bad, text))
}

#[cfg(test)]
mod tests {
    use disentangle_analysis::Estimate;

    use super::*;
    use crate::{
        testing::{interval, says},
        variants::{measure::VALUES, outcome::Ranking},
    };

    fn value(value: Estimate) -> Compared {
        Compared {
            value,
            ..Compared::default()
        }
    }

    /// Two families with their AUC lost without the shortcut, and by how much the first of the ranking, `b`, is ahead.
    fn outcome(drops: [Estimate; 2], lead: Estimate) -> Outcome {
        let place = VALUES
            .iter()
            .position(|value| value.name == "shortcut_auc_drop")
            .unwrap();
        let family = |(name, drop): (&str, Estimate)| {
            let mut values = vec![Compared::default(); VALUES.len()];
            values[place] = value(drop);
            FamilyOutcome {
                name: name.into(),
                values,
                environments: vec![[
                    value(interval(0.4, 0.6)),
                    value(interval(0.55, 0.65)),
                    Compared::default(),
                ]],
                ..FamilyOutcome::default()
            }
        };
        Outcome {
            schema_version: 1,
            kind: "run".into(),
            experiment: "variants".into(),
            seed: 0,
            dataset: "biased".into(),
            simulated: true,
            notices: Vec::new(),
            train_rows: 10,
            repeats: 2,
            steps: 8,
            noise_levels: Vec::new(),
            groups: Vec::new(),
            shortcut: Some("bias".into()),
            environments: vec!["test".into()],
            families: ["a", "b"].into_iter().zip(drops).map(family).collect(),
            ranking: Ranking {
                place: [0, 0],
                by: "accuracy in `test`".into(),
                order: vec![1, 0],
                lead,
            },
            seconds: Vec::new(),
        }
    }

    #[test]
    fn who_is_ahead_and_who_leans_on_the_shortcut() {
        let (much, more, none) = (|| interval(0.1, 0.2), || interval(0.2, 0.3), || interval(-0.1, 0.1));
        let of = |drops: [Estimate; 2], lead: Estimate| outcome(drops, lead);
        says(
            &best(&of([none(), none()], much())).unwrap(),
            Tone::Good,
            "`b` ranks first and is clearly ahead of the next: accuracy in `test` of `b` is",
        );
        says(
            &best(&of([none(), none()], none())).unwrap(),
            Tone::Neutral,
            "no family is clearly the best",
        );
        says(
            &best(&of([none(), none()], interval(-0.2, -0.1))).unwrap(),
            Tone::Neutral,
            "no family is clearly the best",
        );
        let every = "every family leans on the shortcut `bias`: 2 of 2; AUC lost without it `b` 0.250";
        says(&shortcut(&of([much(), more()], none())).unwrap(), Tone::Bad, every);
        says(
            &shortcut(&of([much(), none()], none())).unwrap(),
            Tone::Bad,
            "some families lean on the shortcut `bias`: 1 of 2",
        );
        says(
            &shortcut(&of([none(), none()], none())).unwrap(),
            Tone::Good,
            "no family clearly leans on the shortcut `bias`: 0 of 2",
        );
        // By AUC, not by accuracy.
        assert!(unlearned(&of([none(), none()], none())).is_none());
        let mut coin = of([none(), none()], none());
        coin.families[1].environments[0][1] = value(interval(0.45, 0.6));
        let text = unlearned(&coin).unwrap().text;
        assert!(text.contains("of `b` 0.5") && !text.contains("`a`"), "{text}");
    }

    #[test]
    fn differences_are_named_with_their_numbers() {
        let mut outcome = outcome([interval(-0.1, 0.1), interval(-0.1, 0.1)], Estimate::default());
        outcome.families[1].environments[0][0].over_first = interval(-0.2, 0.1);
        let text = differences(&outcome, &outcome.families[1]).text;
        assert_eq!(
            text,
            "`b` does not clearly differ from `a`: none of 1 paired differences excludes zero"
        );
        outcome.families[1].environments[0][0].over_first = interval(-0.25, -0.125);
        let text = differences(&outcome, &outcome.families[1]).text;
        let expected = "`b` differs from `a`: accuracy in `test` -0.188 [-0.250, -0.125] more (1 of 1 numbers";
        assert!(text.starts_with(expected), "{text}");
    }
}
