//! What the numbers say. What stands before the first colon is counted over seeds, so that it holds no numbers.

use disentangle_report::{Tone, Verdict};

use super::{
    ERM,
    outcome::{Compared, Outcome, StrategyOutcome},
    trade_off::unbeaten,
};

pub(super) fn verdicts(outcome: &Outcome) -> Vec<Verdict> {
    let mut all = vec![recommendation(outcome)];
    if outcome.strategies.len() > 1 {
        all.extend([selection(outcome), clearly_better(outcome)]);
    }
    all.extend(changed(outcome));
    all.extend(
        outcome
            .skipped
            .iter()
            .map(|one| neutral(format!("{} was left out: {}", one.strategy, one.why))),
    );
    all
}

fn neutral(text: String) -> Verdict {
    Verdict {
        text,
        tone: Tone::Neutral,
    }
}

impl Outcome {
    pub(super) fn strategy(&self, name: &str) -> Option<&StrategyOutcome> {
        self.strategies.iter().find(|one| one.name == name)
    }
}

fn shown(one: &StrategyOutcome, name: &str, digits: usize) -> String {
    let value = one.value(name);
    value.map_or_else(String::new, |value| value.value.show(digits))
}

/// The strategy that the rule takes, if it is clearly better than plain training where the shortcut fails; else plain training.
fn recommendation(outcome: &Outcome) -> Verdict {
    let (name, (rule, by)) = (outcome.chosen.taken(), outcome.chosen.rule());
    let (Some(one), Some(plain)) = (outcome.strategy(name), outcome.strategy(ERM)) else {
        return neutral("no strategy could be compared".into());
    };
    let (Some(gain), Some(inside)) = (outcome.hardest.of(one), one.environments.first()) else {
        return neutral("there is no environment to compare in".into());
    };
    let (words, where_) = (outcome.hardest.words(), "where the shortcut fails");
    if name == ERM {
        return neutral(format!(
            "keep plain training, as no strategy does better on validation rows: {rule} {}; {words} {}",
            shown(plain, by, 2),
            gain.value.show(2)
        ));
    }
    let (tone, decision) = if gain.clearly_more() {
        let decision = format!("`{name}` is recommended and clearly better than plain training {where_}");
        (Tone::Good, decision)
    } else if gain.clearly_less() {
        let decision =
            format!("keep plain training, as what validation rows choose, `{name}`, is clearly worse {where_}");
        (Tone::Bad, decision)
    } else if nothing_clear(one) {
        let decision =
            format!("keep plain training, as no difference of what validation rows choose, `{name}`, from it is clear");
        (Tone::Neutral, decision)
    } else {
        let decision =
            format!("keep plain training, as what validation rows choose, `{name}`, is not clearly better {where_}");
        (Tone::Neutral, decision)
    };
    let more = |name: &str, digits: usize| {
        let value = one.value(name);
        value.map_or_else(String::new, |value| value.over_erm.show(digits))
    };
    Verdict {
        text: format!(
            "{decision}: it has the best {rule}, {}; {words} {}, {} more than plain training; accuracy in `{}` {} more, epochs {} more; effect of \
             `{}` on the output {} before and {} after, in standard deviations of the logit",
            shown(one, by, 2),
            gain.value.show(2),
            gain.difference(3),
            outcome.environments.first().map_or("", String::as_str),
            inside[0].difference(3),
            more("epochs", 1),
            outcome.group,
            shown(plain, "shortcut_effect", 2),
            shown(one, "shortcut_effect", 2)
        ),
        tone,
    }
}

/// Whether every paired interval of accuracy and AUC, in any environment, and of the shortcut's effect holds 0.
fn nothing_clear(one: &StrategyOutcome) -> bool {
    let accuracies = one.environments.iter().flatten();
    let mut all = accuracies.chain(one.value("shortcut_effect"));
    all.all(|difference| !difference.clearly_more() && !difference.clearly_less())
}

/// Both rules and the oracle.
fn selection(outcome: &Outcome) -> Verdict {
    let chosen = &outcome.chosen;
    let words = outcome.hardest.words();
    let reached = |name: &str| {
        let found = outcome.strategy(name).and_then(|one| outcome.hardest.of(one));
        found.map_or_else(String::new, |one| one.value.show(2))
    };
    let worst = chosen.worst_group.as_ref().map_or_else(String::new, |name| {
        format!(", by the worst group `{name}` ({})", reached(name))
    });
    neutral(format!(
        "what is chosen depends on the rule: by mean validation accuracy `{}` ({words} {}){worst}, and an oracle that looks there `{}` ({})",
        chosen.mean_accuracy,
        reached(&chosen.mean_accuracy),
        chosen.oracle,
        reached(&chosen.oracle)
    ))
}

/// All that gain where the shortcut fails, whatever rules take.
fn clearly_better(outcome: &Outcome) -> Verdict {
    let gains = |one: &&StrategyOutcome| outcome.hardest.of(one).is_some_and(Compared::clearly_more);
    let better = outcome.strategies.iter().filter(gains);
    let better: Vec<String> = better.map(|one| format!("`{}`", one.name)).collect();
    let others = outcome.strategies.len() - 1;
    let found = match better.is_empty() {
        true => "none".into(),
        false => better.join(", "),
    };
    neutral(format!(
        "strategies that are clearly better than plain training where the shortcut fails: {found}, of {others} (not corrected for their number); \
         on the front: `{}`",
        unbeaten(outcome).join("`, `")
    ))
}

/// What the strategy that the rule takes changes in the model beside its accuracy, as far as it is defined.
fn changed(outcome: &Outcome) -> Option<Verdict> {
    let one = outcome.strategy(outcome.chosen.taken()).filter(|one| one.name != ERM)?;
    let place = outcome.groups.iter().position(|group| *group == outcome.group)?;
    let shift = &one.impact.importance.get(place)?.over_erm;
    let over_erm = |name: &str| one.value(name).map(|value| &value.over_erm);
    let importance = format!("importance of `{}`, more than before", outcome.group);
    let changes = [
        (importance.as_str(), Some(shift)),
        ("mean change of a probability", Some(&one.impact.boundary_shift)),
        ("representation distance", Some(&one.impact.representation_distance)),
        ("gradient norm, more than before", over_erm("gradient_norm")),
        ("disentanglement, more than before", over_erm("pool_disentanglement")),
    ];
    let defined = changes.into_iter().filter_map(|(what, change)| {
        let change = change.filter(|change| change.value.is_some())?;
        Some(format!("{what} {}", change.show(3)))
    });
    Some(neutral(format!(
        "what `{}` changes in the model: {}",
        one.name,
        defined.collect::<Vec<String>>().join("; ")
    )))
}

#[cfg(test)]
mod tests {
    use disentangle_analysis::Estimate;

    use super::*;
    use crate::{
        cards::ModelCard,
        mitigate::{
            measure::VALUES,
            outcome::{Chosen, Hardest, Vary},
        },
    };

    fn gain(low: f64, high: f64) -> Compared {
        Compared {
            over_erm: Estimate {
                value: Some(f64::midpoint(low, high)),
                low: Some(low),
                high: Some(high),
                ..Estimate::default()
            },
            ..Compared::default()
        }
    }

    /// `jtt` gains so much in the only environment, and its shortcut's effect changes by so much.
    fn outcome(taken: &str, accuracy: Compared, effect: Compared) -> Outcome {
        let mut values = vec![Compared::default(); VALUES.len()];
        let place = VALUES.iter().position(|name| *name == "shortcut_effect").unwrap();
        let plain = StrategyOutcome {
            name: ERM.into(),
            values: values.clone(),
            environments: vec![<[Compared; 3]>::default()],
            ..StrategyOutcome::default()
        };
        values[place] = effect;
        let other = StrategyOutcome {
            name: "jtt".into(),
            values,
            environments: vec![[accuracy, Compared::default(), Compared::default()]],
            ..StrategyOutcome::default()
        };
        Outcome {
            schema_version: 1,
            kind: "run".into(),
            experiment: "mitigate".into(),
            seed: 0,
            dataset: "biased".into(),
            simulated: true,
            notices: Vec::new(),
            group: "bias".into(),
            model: ModelCard {
                family: "small".into(),
                parameters: 1,
            },
            repeats: 2,
            vary: Vary::Drawn,
            same_test_rows: false,
            block: 1,
            one_a_subject: false,
            groups: vec!["bias".into()],
            environments: vec!["reversed".into()],
            unseen: None,
            hardest: Hardest::default(),
            strategies: vec![plain, other],
            skipped: Vec::new(),
            chosen: Chosen {
                mean_accuracy: taken.into(),
                worst_group: None,
                oracle: taken.into(),
            },
            seconds: Vec::new(),
        }
    }

    #[test]
    fn what_is_recommended_is_clearly_better_where_the_shortcut_fails() {
        let check = |taken: &str, accuracy: Compared, effect: Compared, tone: Tone, start: &str| {
            let found = recommendation(&outcome(taken, accuracy, effect));
            assert!(
                found.tone == tone && found.text.starts_with(start),
                "{found:?}, not {start}"
            );
        };
        let none = || gain(-0.1, 0.1);
        check(
            "jtt",
            gain(0.1, 0.2),
            none(),
            Tone::Good,
            "`jtt` is recommended and clearly better",
        );
        let worse = "keep plain training, as what validation rows choose, `jtt`, is clearly worse";
        check("jtt", gain(-0.2, -0.1), none(), Tone::Bad, worse);
        let nothing = "keep plain training, as no difference of what validation rows choose, `jtt`, from it is clear";
        check("jtt", none(), none(), Tone::Neutral, nothing);
        let elsewhere = "keep plain training, as what validation rows choose, `jtt`, is not clearly better";
        check("jtt", none(), gain(-0.3, -0.1), Tone::Neutral, elsewhere);
        let plain = "keep plain training, as no strategy does better on validation rows";
        check(ERM, gain(0.1, 0.2), none(), Tone::Neutral, plain);
        let better = clearly_better(&outcome("jtt", gain(0.1, 0.2), none())).text;
        assert!(better.contains("where the shortcut fails: `jtt`, of 1 "), "{better}");
        let better = clearly_better(&outcome("jtt", gain(-0.2, -0.1), none())).text;
        assert!(better.contains("where the shortcut fails: none, of 1 "), "{better}");
    }
}
