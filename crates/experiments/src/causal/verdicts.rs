//! What the numbers say, in plain sentences with the numbers in them. What stands before the first colon is counted over seeds, so that
//! it holds no numbers.

use disentangle_analysis::{
    Estimate,
    causal::{interaction::Interaction, robustness::Degradation},
    probing::Passage,
};
use disentangle_data::Role;
use disentangle_report::{Tone, Verdict};

use super::{
    impact::impact,
    outcome::{Mediated, Outcome, Traced},
};

/// A completeness gap above this is said aloud.
pub(super) const LARGE_GAP: f64 = 0.01;

pub(super) fn verdicts(outcome: &Outcome) -> Vec<Verdict> {
    let mut all: Vec<Verdict> = outcome.traced.iter().map(|traced| effect(outcome, traced)).collect();
    let spurious = outcome.data.groups.iter().filter(|group| group.role == Role::Spurious);
    all.extend(spurious.filter_map(|group| impact(outcome, &group.name)));
    all.extend(robustness(outcome));
    all.extend(interactions(outcome));
    all.extend(completeness(outcome));
    all.extend(agreement(outcome));
    all
}

pub(super) fn verdict(tone: Tone, text: String) -> Verdict {
    Verdict { text, tone }
}

/// Whether an interval exists and excludes 0.
fn clear(estimate: &Estimate) -> bool {
    estimate.above(0.0) || estimate.below(0.0)
}

/// `68 % [61, 75]`, or the reason why there is no value.
pub(super) fn percent(share: &Estimate) -> String {
    let hundredfold = |value: Option<f64>| value.map(|value| 100.0 * value);
    let scaled = Estimate {
        value: hundredfold(share.value),
        low: hundredfold(share.low),
        high: hundredfold(share.high),
        ..share.clone()
    };
    let shown = scaled.show(0);
    match (share.value, shown.split_once(' ')) {
        (None, _) => shown,
        (Some(_), Some((value, interval))) => format!("{value} % {interval}"),
        (Some(_), None) => format!("{shown} %"),
    }
}

/// Between what the size of a quantity lies, whatever its sign.
fn size(estimate: &Estimate) -> Option<[f64; 2]> {
    let (low, high) = (estimate.low?, estimate.high?);
    Some([low.max(-high).max(0.0), low.abs().max(high.abs())])
}

/// Whether all of the one interval's sizes lie above all of the other's.
fn larger(one: &Estimate, other: &Estimate) -> bool {
    let ends = size(one).zip(size(other));
    ends.is_some_and(|(one, other)| one[0] > other[1])
}

fn magnitude(estimate: &Estimate) -> f64 {
    estimate.value.map_or(f64::NEG_INFINITY, f64::abs)
}

fn role(outcome: &Outcome, name: &str) -> Option<Role> {
    let group = outcome.data.groups.iter().find(|group| group.name == name)?;
    Some(group.role)
}

/// The places with the largest indirect effects, of those that carry a part of the effect whatever the weights.
pub(super) fn strongest(traced: &Traced, most: usize) -> Vec<&Mediated> {
    let partial = |one: &&Mediated| one.passage == Passage::Partial;
    let mut places: Vec<&Mediated> = traced.mediators.iter().filter(partial).collect();
    places.sort_by(|a, b| magnitude(&b.mediation.indirect).total_cmp(&magnitude(&a.mediation.indirect)));
    places.truncate(most);
    places
}

/// Where most of a group's effect travels.
fn effect(outcome: &Outcome, traced: &Traced) -> Verdict {
    let (group, total) = (&traced.group, traced.total.show(2));
    if !clear(&traced.total) {
        let text = format!("`{group}` has no clear effect on the output: total effect {total}");
        return verdict(Tone::Neutral, text);
    }
    let tone = match role(outcome, group) {
        Some(Role::Spurious) => Tone::Bad,
        _ => Tone::Neutral,
    };
    let mut places: Vec<&Mediated> = traced.mediators.iter().filter(|one| comparable(one)).collect();
    if places.iter().any(|one| is_block(one)) {
        places.retain(|one| is_block(one));
    }
    places.sort_by(|a, b| magnitude(&b.mediation.share).total_cmp(&magnitude(&a.mediation.share)));
    let Some((first, others)) = places.split_first() else {
        let text = format!(
            "`{group}` has a clear effect on the output, and no place was found that carries only a part of it: total effect {total}"
        );
        return verdict(tone, text);
    };
    let (place, share) = (&first.place, &first.mediation.share);
    let words = if share.above(0.0) {
        format!("`{place}` carries the largest share of the effect of `{group}`")
    } else if share.below(0.0) {
        format!("the largest share of the effect of `{group}` is negative, at `{place}`")
    } else {
        format!("no place carries a clear share of the effect of `{group}`")
    };
    let rival = rival(first, others).map_or_else(String::new, |rival| format!(", {rival}"));
    let text = format!(
        "{words}: {} of the effect of `{group}` is mediated by `{place}`, the largest in size of {} places{rival}; of the total effect {total} on \
         the logit {} goes directly past it, and {} is the interaction of both",
        percent(share),
        places.len(),
        first.mediation.direct.show(2),
        first.mediation.interaction.show(2)
    );
    verdict(tone, text)
}

/// Whether a place carries a part of an effect, and how much is known with an interval.
fn comparable(one: &Mediated) -> bool {
    let share = &one.mediation.share;
    one.passage == Passage::Partial && share.value.is_some() && size(share).is_some()
}

/// Whether a place is a head or the output of a block, rather than a stream or what a block computes on the way.
fn is_block(one: &Mediated) -> bool {
    let ends = ["attn.z", "attn.out", "ff.out", "gate.value"];
    ends.iter().any(|end| one.site.ends_with(end))
}

/// `layers.0.attn` of `layers.0.attn.out`: what the place is a part of.
fn module(one: &Mediated) -> &str {
    one.site
        .rsplit_once('.')
        .map_or(one.site.as_str(), |(module, _)| module)
}

/// The next place that is no part of the first one, and whether it carries clearly less.
fn rival(first: &Mediated, others: &[&Mediated]) -> Option<String> {
    let next = others.iter().find(|one| module(one) != module(first))?;
    let clearly = match larger(&first.mediation.share, &next.mediation.share) {
        true => "clearly more than",
        false => "not clearly more than",
    };
    let share = percent(&next.mediation.share);
    Some(format!("{clearly} `{}` with {share}", next.place))
}

/// What was asked of one group, and how its effects are to be read.
pub(super) fn explained(traced: &Traced) -> Vec<String> {
    let side = &traced.side;
    let orientation = match traced.oriented {
        true => format!("from {side} 0 to {side} 1"),
        false => "every row as it is moved".to_string(),
    };
    let mut text = vec![
        format!(
            "On {} rows of `{}` the columns of `{}` are set to {}, {} draw(s) a row. That moves the logit by {} ({orientation}).",
            traced.rows,
            traced.environment,
            traced.group,
            traced.contrast.describe(),
            traced.draws,
            traced.total.show(3)
        ),
        "The natural direct effect (NDE) is what remains when the place keeps its old value, the natural indirect effect (NIE) what the place's \
         new value does alone; what is left of the total effect is their interaction. The share is NIE over the total effect, not clipped: \
         shares of places behind each other do not add up to 1."
            .into(),
        "A place is cut where every path leads through it, so that NDE = 0 by construction, and apart where no path does."
            .into(),
    ];
    if !clear(&traced.total) {
        text.push(
            "The interval of the total effect includes 0: shares are undefined, and colours show NIE instead.".into(),
        );
    }
    if traced.mediators.is_empty() {
        text.push("This model has no heads and blocks through which an effect could be traced.".into());
    }
    text
}

/// The disturbance that costs most, if that can be told.
fn robustness(outcome: &Outcome) -> Option<Verdict> {
    let mut all: Vec<&Degradation> = outcome.robustness.degradations.iter().collect();
    let cost = |one: &Degradation| one.slope.value.unwrap_or(f64::NEG_INFINITY);
    all.sort_by(|a, b| cost(b).total_cmp(&cost(a)));
    let (first, others) = all.split_first()?;
    let name = first.disturbance.name();
    let text = if first.slope.low.is_none() {
        format!(
            "what disturbances cost cannot be judged: AUC lost a unit of {name} is {}",
            first.slope.show(2)
        )
    } else if !first.slope.above(0.0) {
        format!(
            "no disturbance clearly costs AUC: at most {}",
            costs(outcome, first, true)
        )
    } else {
        match others.first() {
            None => format!("{name} costs AUC: {}", costs(outcome, first, true)),
            Some(next) if others.iter().all(|other| apart(first, other)) => {
                let (most, less) = (costs(outcome, first, true), costs(outcome, next, false));
                format!("{name} costs most AUC a unit of its level: {most}; next {less}")
            }
            Some(next) => {
                let (most, less) = (costs(outcome, first, true), costs(outcome, next, false));
                if let Some(noise) = noise_after_attacks(&all) {
                    let noise = costs(outcome, noise, true);
                    return Some(verdict(
                        Tone::Neutral,
                        format!(
                            "attacks cost clearly more AUC a unit of their level than noise: {most}; {less}; at most {noise}"
                        ),
                    ));
                }
                format!("which disturbance costs most AUC a unit of its level cannot be told: {most}; {less}")
            }
        }
    };
    Some(verdict(Tone::Neutral, text))
}

/// The costliest disturbance that is no attack, if every attack clearly costs more; `all` are in the order of their costs.
fn noise_after_attacks<'a>(all: &[&'a Degradation]) -> Option<&'a Degradation> {
    let noise = all.iter().find(|one| !one.disturbance.is_attack())?;
    let mut attacks = all.iter().filter(|one| one.disturbance.is_attack());
    attacks.all(|attack| apart(attack, noise)).then_some(*noise)
}

/// Whether the intervals of two slopes do not overlap.
fn apart(first: &Degradation, next: &Degradation) -> bool {
    let ends = first.slope.low.zip(next.slope.high);
    ends.is_some_and(|(low, high)| low > high)
}

/// `PGD 1.20 [1.10, 1.31]`, and where that leads at the highest level.
fn costs(outcome: &Outcome, one: &Degradation, at_the_end: bool) -> String {
    let text = format!("{} {}", one.disturbance.name(), one.slope.show(2));
    let levels = one.levels.iter().zip(&one.auc);
    match levels.max_by(|a, b| a.0.total_cmp(b.0)).filter(|_| at_the_end) {
        None => text,
        Some((level, auc)) => format!(
            "{text}, from AUC {} to {} at level {level}",
            outcome.robustness.undisturbed.show(2),
            auc.show(2)
        ),
    }
}

/// How many pairs of groups go together, and which do most.
fn interactions(outcome: &Outcome) -> Option<Verdict> {
    let mut pairs: Vec<&Interaction> = outcome.interactions.pairs.iter().collect();
    let together = pairs.iter().filter(|pair| pair.mean.q.is_some_and(|q| q <= 0.05));
    let (count, all) = (together.count(), pairs.len());
    pairs.sort_by(|a, b| magnitude(&b.root_mean_square).total_cmp(&magnitude(&a.root_mean_square)));
    let (first, others) = pairs.split_first()?;
    let [a, b] = &first.groups;
    let next = others.first().map_or_else(String::new, |next| {
        let [c, d] = &next.groups;
        let clearly = match larger(&first.root_mean_square, &next.root_mean_square) {
            true => "clearly more than",
            false => "not clearly more than",
        };
        format!(", {clearly} `{c}` and `{d}` with {}", next.root_mean_square.show(3))
    });
    let text = format!(
        "{count} of {all} pairs of groups interact on average after correction (q ≤ 0.05): the largest by size are `{a}` and `{b}` with root \
         mean square {}{next}",
        first.root_mean_square.show(3)
    );
    Some(verdict(Tone::Neutral, text))
}

/// Attributions that do not add up.
fn completeness(outcome: &Outcome) -> Option<Verdict> {
    let gap = outcome.attribution.completeness_gap.filter(|gap| *gap > LARGE_GAP)?;
    let text = format!(
        "integrated gradients do not add up to the change of the output: completeness gap {:.1} %, above 1 %; raise `steps` (now {})",
        100.0 * gap,
        outcome.attribution.steps
    );
    Some(verdict(Tone::Bad, text))
}

/// The two methods of attribution that agree least.
fn agreement(outcome: &Outcome) -> Option<Verdict> {
    let all = &outcome.attribution.agreement;
    let value = |index: usize| all[index].correlation.value.unwrap_or(f64::INFINITY);
    let lowest = (0..all.len()).min_by(|a, b| value(*a).total_cmp(&value(*b)))?;
    let one = &all[lowest];
    let [a, b] = &one.methods;
    let shown = one.correlation.show(2);
    let text = match one.correlation.value {
        None => format!(
            "whether methods of attribution agree cannot be judged: the rank correlation of {a} and {b} is {shown}"
        ),
        Some(_) => format!(
            "the lowest agreement of methods of attribution is between {a} and {b}: rank correlation over columns {shown}, of {} pairs",
            all.len()
        ),
    };
    Some(verdict(Tone::Neutral, text))
}

#[cfg(test)]
mod tests {
    use disentangle_analysis::causal::robustness::Disturbance;

    use super::*;
    use crate::testing::interval;

    #[test]
    fn sizes_are_compared_whatever_their_sign() {
        for ((low, high), expected) in [
            ((0.1, 0.2), [0.1, 0.2]),
            ((-0.2, -0.1), [0.1, 0.2]),
            ((-0.3, 0.1), [0.0, 0.3]),
        ] {
            assert_eq!(size(&interval(low, high)), Some(expected));
        }
        assert_eq!(size(&Estimate::point(1.0, 1)), None);
        assert!(larger(&interval(-0.4, -0.3), &interval(0.1, 0.2)));
        assert!(!larger(&interval(0.1, 0.2), &interval(-0.4, -0.3)));
        assert!(!larger(&interval(0.15, 0.4), &interval(0.1, 0.2)), "they overlap");
    }

    #[test]
    fn shares_are_shown_in_per_cent() {
        let share = Estimate {
            value: Some(0.68),
            ..interval(0.61, 0.75)
        };
        assert_eq!(percent(&share), "68 % [61, 75]");
        assert_eq!(percent(&Estimate::point(0.25, 9)), "25 %");
        assert_eq!(percent(&Estimate::undefined("no effect", 9)), "undefined (no effect)");
    }

    #[test]
    fn attacks_are_told_from_noise() {
        let one = |disturbance: Disturbance, low: f64, high: f64| Degradation {
            disturbance,
            levels: vec![1.0],
            auc: vec![Estimate::default()],
            slope: interval(low, high),
        };
        let [noise, dropout, fgsm, pgd] = Disturbance::ALL;
        let order = |noise_high: f64| {
            [
                one(pgd, 0.5, 0.7),
                one(fgsm, 0.45, 0.65),
                one(noise, 0.1, noise_high),
                one(dropout, 0.0, 0.1),
            ]
        };
        let found = |all: &[Degradation]| {
            let all: Vec<&Degradation> = all.iter().collect();
            noise_after_attacks(&all).map(|one| one.disturbance.name())
        };
        assert_eq!(found(&order(0.44)), Some(noise.name()));
        assert_eq!(found(&order(0.46)), None);
        let [first, next, last, _] = &order(0.44);
        assert!(apart(first, last) && !apart(first, next) && !apart(last, first));
    }
}
