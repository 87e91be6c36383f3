//! What the numbers say, in plain sentences with the numbers in them.

use disentangle_analysis::Estimate;
use disentangle_data::Role;
use disentangle_report::{Tone, Verdict};

use super::outcome::{Outcome, Performance, WalkForward};

pub(super) fn verdicts(outcome: &Outcome) -> Vec<Verdict> {
    let mut all = vec![power(outcome)];
    all.extend(leaning(outcome));
    all.extend(breaking(outcome));
    all.extend(against_logistic(outcome));
    if let Ok(walk) = &outcome.walk_forward {
        all.push(through_time(outcome, walk));
    }
    all
}

fn verdict(tone: Tone, text: String) -> Verdict {
    Verdict { text, tone }
}

fn on<'a>(outcome: &'a Outcome, part: &str) -> Option<&'a Performance> {
    outcome
        .performance
        .iter()
        .find(|p| p.model == "sequence" && p.part == part)
}

/// Whether a group is one that the model should not use.
fn is_shortcut(outcome: &Outcome, group: &str) -> bool {
    let known = outcome.data.groups.iter().find(|known| known.name == group);
    known.is_some_and(|known| matches!(known.role, Role::Spurious | Role::Protected))
}

/// An interval above one half, and a permutation test that agrees.
fn predicts(auc: &Estimate) -> bool {
    auc.above(0.5) && auc.p.is_none_or(|p| p <= 0.05)
}

fn with_p(auc: &Estimate) -> String {
    auc.p.map_or_else(
        || format!("{}, no permutation test", auc.show(2)),
        |p| format!("{}, permutation p = {p:.2}", auc.show(2)),
    )
}

fn power(outcome: &Outcome) -> Verdict {
    let Some(test) = on(outcome, "test") else {
        return verdict(Tone::Neutral, "predictive power was not measured".into());
    };
    let auc = &test.auc;
    let shortcut = outcome.importance.iter().find(|one| {
        one.part == "test" && is_shortcut(outcome, &one.importance.group) && one.importance.auc_drop.above(0.0)
    });
    if let Some(one) = shortcut.filter(|_| predicts(auc)) {
        let lost = one.importance.auc_drop.show(2);
        let text = format!(
            "predictive power on the test rows by a shortcut: AUC {}, of which {} makes {lost}",
            with_p(auc),
            one.importance.group
        );
        verdict(Tone::Bad, text)
    } else if predicts(auc) {
        verdict(
            if auc.p.is_some() { Tone::Good } else { Tone::Neutral },
            format!("predictive power on the test rows: AUC {}", with_p(auc)),
        )
    } else if auc.below(0.5) {
        verdict(
            Tone::Bad,
            format!(
                "worse than chance on the test rows, what was learned turned around: AUC {}",
                auc.show(2)
            ),
        )
    } else {
        verdict(
            Tone::Neutral,
            format!("no evidence of predictive power on the test rows: AUC {}", with_p(auc)),
        )
    }
}

/// The group whose removal costs most where the model was chosen.
fn leaning(outcome: &Outcome) -> Option<Verdict> {
    let part = if outcome.importance.iter().any(|i| i.part == "validation") {
        "validation"
    } else {
        "test"
    };
    let mut groups: Vec<_> = outcome
        .importance
        .iter()
        .filter(|i| i.part == part)
        .map(|i| &i.importance)
        .collect();
    groups.sort_by(|a, b| {
        b.auc_drop
            .value
            .unwrap_or(f64::NEG_INFINITY)
            .total_cmp(&a.auc_drop.value.unwrap_or(f64::NEG_INFINITY))
    });
    let first = groups.first()?;
    let rest: Vec<String> = groups[1..]
        .iter()
        .map(|g| format!("{} {}", g.group, g.auc_drop.show(2)))
        .collect();
    let loss = format!(
        "without it the {part} AUC falls by {} (others: {})",
        first.auc_drop.show(2),
        rest.join(", ")
    );
    let drop = &first.auc_drop;
    if drop.low.is_none() {
        let why = drop.note.as_deref().unwrap_or("there is no interval");
        let text = format!(
            "what the model leans on cannot be judged ({why}); {}: {loss}",
            first.group
        );
        return Some(verdict(Tone::Neutral, text));
    }
    let shortcut = is_shortcut(outcome, &first.group);
    let name = if shortcut {
        format!("{}, a shortcut", first.group)
    } else {
        first.group.clone()
    };
    Some(match (drop.above(0.0), drop.q.filter(|q| *q > 0.05)) {
        (false, _) => verdict(
            Tone::Neutral,
            format!("the model leans on no group measurably: of {}, {loss}", first.group),
        ),
        // The interval and the test may differ, above all where permutations are too few for the correction.
        (true, Some(q)) => verdict(
            Tone::Neutral,
            format!("the model seems to lean on {name}: {loss}; the permutation test does not confirm it (q = {q:.2})"),
        ),
        (true, None) => verdict(
            if shortcut { Tone::Bad } else { Tone::Good },
            format!("the model leans on {name}: {loss}"),
        ),
    })
}

/// A group that helps on validation rows and no longer on test rows.
fn breaking(outcome: &Outcome) -> Vec<Verdict> {
    let of = |part: &str| {
        outcome
            .importance
            .iter()
            .filter(move |i| i.part == part)
            .map(|i| i.importance.clone())
            .collect::<Vec<_>>()
    };
    let since = outcome
        .data
        .parts
        .iter()
        .find(|p| p.part == "test")
        .map(|p| p.span[0].date().to_string())
        .unwrap_or_default();
    let (validation, test) = (of("validation"), of("test"));
    let pairs = validation
        .iter()
        .filter_map(|v| Some((v, test.iter().find(|t| t.group == v.group)?)));
    pairs
        .filter(|(v, t)| {
            v.auc_drop.above(0.0)
                && t.auc_drop
                    .high
                    .zip(v.auc_drop.low)
                    .is_some_and(|(high, low)| high < low)
        })
        .map(|(v, t)| {
            let what = if t.auc_drop.above(0.0) {
                "pays less"
            } else {
                "stops paying"
            };
            let text = format!(
                "{} {what} in the test rows, from {since}: it was worth {} of AUC in validation, and {} in test",
                v.group,
                v.auc_drop.show(2),
                t.auc_drop.show(2)
            );
            verdict(Tone::Bad, text)
        })
        .collect()
}

fn against_logistic(outcome: &Outcome) -> Option<Verdict> {
    let (_, difference) = outcome.over_logistic.iter().find(|(part, _)| part == "test")?;
    let shown = difference.show(2);
    if difference.low.is_none() {
        let why = difference.note.as_deref().unwrap_or("there is no interval");
        let text = format!(
            "whether the transformer beats a logistic regression cannot be judged ({why}): AUC difference {shown}"
        );
        return Some(verdict(Tone::Neutral, text));
    }
    let useful = on(outcome, "test").is_some_and(|test| predicts(&test.auc));
    Some(if difference.above(0.0) {
        verdict(
            // To beat a model that does not predict is no achievement by itself.
            if useful { Tone::Good } else { Tone::Neutral },
            format!("the transformer beats a logistic regression on the test rows: AUC difference {shown}"),
        )
    } else if difference.below(0.0) {
        verdict(
            Tone::Bad,
            format!("a logistic regression beats the transformer on the test rows: AUC difference {shown}"),
        )
    } else {
        verdict(
            Tone::Neutral,
            format!(
                "the transformer is not distinguishable from a logistic regression on the test rows: AUC difference {shown}"
            ),
        )
    })
}

fn through_time(outcome: &Outcome, walk: &WalkForward) -> Verdict {
    let auc = &walk.pooled.auc;
    let (shown, rows) = (with_p(auc), auc.n);
    if !predicts(auc) {
        return verdict(
            Tone::Neutral,
            format!("refitted through time, there is no evidence of predictive power: AUC {shown} over {rows} rows"),
        );
    }
    // A prediction that a shortcut makes is no good news.
    let mut matter = walk.importance.iter().filter(|i| i.auc_drop.above(0.0));
    let shortcut = matter.find(|i| is_shortcut(outcome, &i.group));
    match shortcut {
        Some(i) => {
            let lost = i.auc_drop.show(2);
            let text = format!(
                "refitted through time, the model predicts by a shortcut: AUC {shown} over {rows} rows, of which {} makes {lost}",
                i.group
            );
            verdict(Tone::Bad, text)
        }
        None => verdict(
            Tone::Good,
            format!(
                "refitted through time, the model predicts rows that it had not seen: AUC {shown} over {rows} rows"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use disentangle_analysis::{importance::Importance, learning::Dynamics};
    use disentangle_data::FeatureGroup;
    use disentangle_models::train::Stop;

    use super::*;
    use crate::{
        cards::{ModelCard, Training},
        finance::outcome::{DataCard, PartImportance, Representation},
        testing::{interval, says},
    };

    fn measured(part: &str, auc: Estimate) -> Performance {
        Performance {
            model: "sequence".into(),
            part: part.into(),
            auc,
            accuracy: Estimate::default(),
            log_loss: Estimate::default(),
            calibration_error: Estimate::default(),
        }
    }

    fn importance(group: &str, auc_drop: Estimate) -> Importance {
        Importance {
            group: group.into(),
            auc_drop,
            accuracy_drop: Estimate::default(),
            auc_only: Estimate::default(),
            accuracy_only: Estimate::default(),
            probability_shift: Estimate::default(),
        }
    }

    /// The calendar is a shortcut, momentum is not.
    fn outcome(auc: Estimate, drops: &[(&str, &str, Estimate)]) -> Outcome {
        let group = |name: &str, role: Role| FeatureGroup {
            name: name.into(),
            role,
            columns: Vec::new(),
        };
        let drop = |(part, group, drop): &(&str, &str, Estimate)| PartImportance {
            part: (*part).into(),
            importance: importance(group, drop.clone()),
        };
        Outcome {
            schema_version: 1,
            kind: "run".into(),
            experiment: "finance".into(),
            seed: 0,
            data: DataCard {
                name: "market".into(),
                simulated: true,
                symbols: Vec::new(),
                rows: 0,
                span: [chrono::NaiveDateTime::default(); 2],
                lookback: 30,
                embargo: 50,
                features: Vec::new(),
                groups: vec![group("calendar", Role::Spurious), group("momentum", Role::Genuine)],
                parts: Vec::new(),
                notices: Vec::new(),
            },
            audit: Vec::new(),
            model: ModelCard {
                family: "sequence".into(),
                parameters: 1,
            },
            training: Training {
                history: Vec::new(),
                best_epoch: 0,
                stop: Stop::Epochs,
                dynamics: Dynamics {
                    convergence_rate: Estimate::default(),
                    generalisation_gap: Estimate::default(),
                    stability: Estimate::default(),
                },
            },
            performance: vec![measured("test", auc)],
            over_logistic: Vec::new(),
            importance: drops.iter().map(drop).collect(),
            walk_forward: Err("left out".into()),
            importance_series: Err("left out".into()),
            feature_series: Err("left out".into()),
            representation: Representation {
                site: "pool".into(),
                share: Vec::new(),
                points: Vec::new(),
                labels: Vec::new(),
            },
        }
    }

    #[test]
    fn power_needs_an_interval_and_a_test_and_may_be_a_shortcut_s() {
        let with_p = |low: f64, high: f64, p: f64| Estimate {
            p: Some(p),
            ..interval(low, high)
        };
        let paid = [("test", "calendar", interval(0.05, 0.1))];
        let genuine = [("test", "momentum", interval(0.05, 0.1))];
        let (bad, good, neutral) = (Tone::Bad, Tone::Good, Tone::Neutral);
        let power = "predictive power on the test rows";
        says(
            &super::power(&outcome(with_p(0.6, 0.7, 0.01), &paid)),
            bad,
            &format!("{power} by a shortcut"),
        );
        says(
            &super::power(&outcome(with_p(0.6, 0.7, 0.01), &genuine)),
            good,
            &format!("{power}: AUC"),
        );
        says(
            &super::power(&outcome(interval(0.6, 0.7), &[])),
            neutral,
            &format!("{power}: AUC"),
        );
        says(
            &super::power(&outcome(with_p(0.6, 0.7, 0.2), &paid)),
            neutral,
            "no evidence of predictive power",
        );
        says(
            &super::power(&outcome(with_p(0.4, 0.6, 0.01), &paid)),
            neutral,
            "no evidence of predictive power",
        );
        says(
            &super::power(&outcome(with_p(0.3, 0.4, 0.9), &[])),
            bad,
            "worse than chance",
        );
    }

    #[test]
    fn a_model_leans_on_the_group_that_costs_most() {
        let found = |calendar: Estimate, momentum: Estimate| {
            let drops = [
                ("validation", "calendar", calendar),
                ("validation", "momentum", momentum),
            ];
            leaning(&outcome(interval(0.6, 0.7), &drops)).unwrap()
        };
        let (much, little) = (|| interval(0.1, 0.2), || interval(-0.05, 0.05));
        says(
            &found(much(), little()),
            Tone::Bad,
            "the model leans on calendar, a shortcut: ",
        );
        says(&found(little(), much()), Tone::Good, "the model leans on momentum: ");
        let with_q = |q: f64| Estimate { q: Some(q), ..much() };
        says(
            &found(with_q(0.06), little()),
            Tone::Neutral,
            "the model seems to lean on calendar, a shortcut: ",
        );
        says(
            &found(with_q(0.05), little()),
            Tone::Bad,
            "the model leans on calendar, a shortcut: ",
        );
        says(
            &found(little(), interval(-0.1, 0.3)),
            Tone::Neutral,
            "the model leans on no group measurably: of momentum",
        );
    }

    #[test]
    fn what_helped_in_validation_breaks_where_the_intervals_are_apart() {
        let found = |validation: Estimate, test: Estimate| {
            let drops = [("validation", "calendar", validation), ("test", "calendar", test)];
            breaking(&outcome(interval(0.6, 0.7), &drops))
        };
        let held = || interval(0.1, 0.2);
        says(
            &found(held(), interval(-0.02, 0.05))[0],
            Tone::Bad,
            "calendar stops paying in the test rows",
        );
        says(
            &found(held(), interval(0.02, 0.05))[0],
            Tone::Bad,
            "calendar pays less in the test rows",
        );
        assert!(found(held(), interval(0.05, 0.15)).is_empty());
        assert!(found(interval(-0.02, 0.05), held()).is_empty(), "it begins to pay");
        assert!(
            found(interval(-0.1, 0.2), interval(-0.3, -0.2)).is_empty(),
            "it never clearly paid"
        );
    }

    #[test]
    fn who_beats_whom() {
        let found = |auc: Estimate, difference: Estimate| {
            let mut outcome = outcome(auc, &[]);
            outcome.over_logistic = vec![("test".into(), difference)];
            against_logistic(&outcome).unwrap()
        };
        let ahead = "the transformer beats a logistic regression";
        says(&found(interval(0.6, 0.7), interval(0.1, 0.2)), Tone::Good, ahead);
        says(&found(interval(0.4, 0.6), interval(0.1, 0.2)), Tone::Neutral, ahead);
        let behind = "a logistic regression beats the transformer";
        says(&found(interval(0.6, 0.7), interval(-0.2, -0.1)), Tone::Bad, behind);
        let neither = "the transformer is not distinguishable";
        says(&found(interval(0.6, 0.7), interval(-0.1, 0.1)), Tone::Neutral, neither);
    }
}
