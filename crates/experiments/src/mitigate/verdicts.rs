//! What the numbers say. What stands before the first colon is counted over seeds, so that it holds no numbers.

use disentangle_report::{Tone, Verdict};

use super::{
    ERM,
    outcome::{Outcome, StrategyOutcome},
};

pub(super) fn verdicts(outcome: &Outcome) -> Vec<Verdict> {
    let mut all = vec![recommendation(outcome)];
    all.extend(selection(outcome));
    all.extend(outcome.skipped.iter().map(|one| Verdict {
        text: format!("{} was left out: {}", one.strategy, one.why),
        tone: Tone::Neutral,
    }));
    all
}

impl Outcome {
    pub(super) fn strategy(&self, name: &str) -> Option<&StrategyOutcome> {
        self.strategies.iter().find(|one| one.name == name)
    }

    /// Where a shortcut that is leaned on shows: the last environment, in generated data the one in which it misleads most.
    pub(super) fn hardest(&self) -> (usize, &str) {
        let place = self.environments.len().saturating_sub(1);
        (place, self.environments.get(place).map_or("", String::as_str))
    }
}

/// The strategy that the rule takes, and whether it is clearly better than plain training where the shortcut fails.
fn recommendation(outcome: &Outcome) -> Verdict {
    let name = outcome.chosen.taken();
    let neutral = |text: String| Verdict {
        text,
        tone: Tone::Neutral,
    };
    if name == ERM {
        return neutral("no strategy does better on validation rows than plain training, which is recommended".into());
    }
    let Some(one) = outcome.strategy(name) else {
        return neutral("no strategy could be compared".into());
    };
    let (place, environment) = outcome.hardest();
    let Some([accuracy, _, _]) = one.environments.get(place) else {
        return neutral("there is no environment to compare in".into());
    };
    let gain = &accuracy.over_erm;
    let (tone, words) = if gain.above(0.0) {
        (
            Tone::Good,
            "is recommended and clearly better than plain training where the shortcut fails",
        )
    } else if gain.below(0.0) {
        (
            Tone::Bad,
            "is what validation rows recommend, and clearly worse than plain training where the shortcut fails",
        )
    } else {
        (
            Tone::Neutral,
            "is what validation rows recommend, and not clearly better than plain training where the shortcut fails",
        )
    };
    let effect = |of: &StrategyOutcome| {
        of.value("shortcut_effect")
            .map_or_else(String::new, |effect| effect.value.show(2))
    };
    let before = outcome.strategy(ERM).map_or_else(String::new, effect);
    let inside = one
        .environments
        .first()
        .map_or_else(String::new, |inside| inside[0].over_erm.show(3));
    Verdict {
        text: format!(
            "`{name}` {words}: accuracy in `{environment}` {}, {} more than plain training; inside {inside} more; effect of `{}` on the output {before} \
             before and {} after, in standard deviations of the logit",
            accuracy.value.show(2),
            gain.show(3),
            outcome.group,
            effect(one)
        ),
        tone,
    }
}

/// Both rules and the oracle.
fn selection(outcome: &Outcome) -> Option<Verdict> {
    let chosen = &outcome.chosen;
    let (place, environment) = outcome.hardest();
    let accuracy = |name: &str| {
        let found = outcome.strategy(name).and_then(|one| one.environments.get(place));
        found.map_or_else(String::new, |one| one[0].value.show(2))
    };
    let oracle = accuracy(&chosen.oracle);
    let worst = chosen.worst_group.as_ref().map_or_else(String::new, |name| {
        format!(", by the worst group `{name}` ({})", accuracy(name))
    });
    (outcome.strategies.len() > 1).then(|| Verdict {
        text: format!(
            "what is chosen depends on the rule: by mean validation accuracy `{}` ({} in `{environment}`){worst}, and an oracle that looks there `{}` ({oracle})",
            chosen.mean_accuracy,
            accuracy(&chosen.mean_accuracy),
            chosen.oracle
        ),
        tone: Tone::Neutral,
    })
}
