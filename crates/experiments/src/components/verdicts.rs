//! What the numbers say. What stands before the first colon is counted over seeds, so that it holds no numbers.

use disentangle_analysis::Estimate;
use disentangle_report::{Tone, Verdict};

use super::outcome::{AttentionChange, Importance, Interaction, Outcome, Stage};

pub(super) fn verdicts(outcome: &Outcome) -> Vec<Verdict> {
    let mut all: Vec<Verdict> = importance(outcome).into_iter().collect();
    all.extend(focus(outcome));
    all.extend(diversity(outcome));
    all.extend(alike(outcome));
    all.extend(weights(outcome));
    all.extend(dead(outcome));
    all
}

fn verdict(tone: Tone, text: String) -> Verdict {
    Verdict { text, tone }
}

/// Components by the size of their change of the logit, the largest first.
pub(super) fn strongest(stage: &Stage) -> Vec<&Importance> {
    let size = |one: &Importance| one.size.value.unwrap_or(f64::NEG_INFINITY);
    let mut all: Vec<&Importance> = stage.importance.iter().collect();
    all.sort_by(|a, b| size(b).total_cmp(&size(a)));
    all
}

/// `layers.0.attn` of `layers.0.attn.z[head=1]`.
fn module(component: &str) -> &str {
    let site = component.split('[').next().unwrap_or(component);
    site.rsplit_once('.').map_or(site, |(module, _)| module)
}

/// The component whose loss moves the output most, and the next one that is no part of it.
fn importance(outcome: &Outcome) -> Option<Verdict> {
    let all = strongest(&outcome.trained);
    let (first, others) = all.split_first()?;
    let rivals: Vec<_> = others
        .iter()
        .filter(|one| module(&one.component) != module(&first.component))
        .collect();
    let ahead = rivals.iter().all(|other| {
        let ends = first.size.low.zip(other.size.high);
        ends.is_some_and(|(low, high)| low > high)
    });
    let words = match ahead {
        true => format!("`{}` moves the output most of all components", first.component),
        false => "no component clearly moves the output most".into(),
    };
    let next = rivals.first().map_or_else(String::new, |next| {
        format!(
            "; the next that is no part of it is `{}` with {}",
            next.component,
            next.size.show(2)
        )
    });
    let text = format!(
        "{words}: without `{}` the logit changes by {} in size and accuracy falls by {}{next}",
        first.component,
        first.size.show(2),
        first.accuracy_lost.show(3)
    );
    Some(verdict(Tone::Neutral, text))
}

/// How many changes lie clearly below and above 0, of those that are defined.
fn counted(changes: &[AttentionChange], of: fn(&AttentionChange) -> &Estimate) -> Option<[usize; 3]> {
    let defined: Vec<&Estimate> = changes.iter().map(of).filter(|change| change.value.is_some()).collect();
    let falls = defined.iter().filter(|change| change.below(0.0)).count();
    let rises = defined.iter().filter(|change| change.above(0.0)).count();
    (!defined.is_empty()).then_some([falls, rises, defined.len()])
}

fn shown(changes: &[AttentionChange], of: fn(&AttentionChange) -> &Estimate) -> String {
    let shown = changes
        .iter()
        .filter(|change| of(change).value.is_some())
        .map(|change| format!("{} in `{}`", of(change).show(3), change.place));
    shown.collect::<Vec<String>>().join(", ")
}

/// Whether training makes attention more focused.
fn focus(outcome: &Outcome) -> Option<Verdict> {
    let of: fn(&AttentionChange) -> &Estimate = |change| &change.entropy;
    let [falls, rises, all] = counted(&outcome.changes, of)?;
    let words = match () {
        () if falls == all => "training focuses every attention",
        () if rises == all => "training spreads every attention",
        () if falls + rises == 0 => "training does not clearly change how focused attention is",
        () => "training changes how focused attention is, but not everywhere alike",
    };
    let text = format!("{words}: entropy changes by {}", shown(&outcome.changes, of));
    Some(verdict(Tone::Neutral, text))
}

/// Whether training makes heads look at different things.
fn diversity(outcome: &Outcome) -> Option<Verdict> {
    let of: fn(&AttentionChange) -> &Estimate = |change| &change.diversity;
    let [falls, rises, all] = counted(&outcome.changes, of)?;
    let words = match () {
        () if rises == all => "training makes the heads of every attention more diverse",
        () if falls == all => "training makes the heads of every attention more alike",
        () if falls + rises == 0 => "training does not clearly change how diverse heads are",
        () => "training changes how diverse heads are, but not everywhere alike",
    };
    let text = format!(
        "{words}: 1 - mean cosine of their maps changes by {}",
        shown(&outcome.changes, of)
    );
    Some(verdict(Tone::Neutral, text))
}

/// The two blocks that represent the rows most and least alike; streams hold what blocks add.
fn alike(outcome: &Outcome) -> Option<Verdict> {
    let block = |name: &str| name.ends_with("attn.out") || name.ends_with("ff.out");
    let mut pairs: Vec<(f64, &Interaction)> = outcome
        .trained
        .interactions
        .iter()
        .filter(|pair| block(&pair.from) && block(&pair.to))
        .filter_map(|pair| Some((pair.cka.value?, pair)))
        .collect();
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (first, last) = (pairs.first()?.1, pairs.last()?.1);
    let before = |pair: &Interaction| {
        let mut all = outcome.initial.interactions.iter();
        let found = all.find(|one| one.from == pair.from && one.to == pair.to);
        found.map_or_else(String::new, |one| format!(", {} before training", one.cka.show(2)))
    };
    let told = |pair: &Interaction| format!("{} for `{}` and `{}`", pair.cka.show(2), pair.from, pair.to);
    let text = match pairs.len() {
        1 => format!(
            "how alike the outputs of the two blocks are: linear CKA is {}{}",
            told(first),
            before(first)
        ),
        count => format!(
            "how alike the outputs of blocks are: linear CKA is at most {}{} and at least {}, of {count} pairs",
            told(first),
            before(first),
            told(last)
        ),
    };
    Some(verdict(Tone::Neutral, text))
}

/// What training moves most, by the kind of parameter.
fn weights(outcome: &Outcome) -> Option<Verdict> {
    let mut kinds: Vec<(String, f64, usize)> = Vec::new();
    for part in &outcome.trained.weights {
        let Some(moved) = part.moved.filter(|_| part.spectral_norm.is_some()) else {
            continue;
        };
        match kinds.iter_mut().find(|(kind, ..)| *kind == part.kind) {
            Some((_, sum, count)) => (*sum, *count) = (*sum + moved, *count + 1),
            None => kinds.push((part.kind.clone(), moved, 1)),
        }
    }
    let mean = |(_, sum, count): &(String, f64, usize)| sum / *count as f64;
    kinds.sort_by(|a, b| mean(b).total_cmp(&mean(a)));
    let (first, others) = kinds.split_first()?;
    let others: Vec<String> = others.iter().map(|one| format!("{} {:.2}", one.0, mean(one))).collect();
    let text = format!(
        "training moves matrices of kind {} most, for their size: by {:.2} of their initial norm on average; {}",
        first.0,
        mean(first),
        others.join(", ")
    );
    Some(verdict(Tone::Neutral, text))
}

/// Neurons that never move.
fn dead(outcome: &Outcome) -> Option<Verdict> {
    let count = |stage: &Stage| -> usize { stage.activations.iter().map(|part| part.dead).sum() };
    let (before, after) = (count(&outcome.initial), count(&outcome.trained));
    let worst = outcome.trained.activations.iter().max_by_key(|part| part.dead)?;
    let (tone, text) = match after {
        0 => (
            Tone::Good,
            format!(
                "no site has dead neurons after training: {before} before, on {} rows",
                outcome.data.rows
            ),
        ),
        _ => (
            Tone::Neutral,
            format!(
                "some neurons are dead after training: {after} over all sites, {before} before; most of them, {} of {}, at `{}`",
                worst.dead, worst.neurons, worst.site
            ),
        ),
    };
    Some(verdict(tone, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_a_part_of_its_attention() {
        assert_eq!(module("layers.0.attn.z[head=1]"), "layers.0.attn");
        assert_eq!(module("layers.0.attn.out"), "layers.0.attn");
        assert_eq!(module("layer_norms.1.weight"), "layer_norms.1");
        assert_eq!(module("pool"), "pool");
    }

    #[test]
    fn changes_are_counted_by_their_intervals() {
        let change = |low: f64, high: f64| AttentionChange {
            place: "attn".into(),
            entropy: Estimate {
                value: Some(f64::midpoint(low, high)),
                low: Some(low),
                high: Some(high),
                ..Estimate::default()
            },
            diversity: Estimate::undefined("one head", 0),
        };
        let changes = [change(-0.2, -0.1), change(-0.1, 0.1), change(0.1, 0.2)];
        assert_eq!(counted(&changes, |change| &change.entropy), Some([1, 1, 3]));
        assert_eq!(counted(&changes, |change| &change.diversity), None);
        assert_eq!(
            shown(&changes[..1], |change| &change.entropy),
            "-0.150 [-0.200, -0.100] in `attn`"
        );
    }
}
