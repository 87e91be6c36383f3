//! What the numbers say, in plain sentences with the numbers in them. What stands before the first colon is counted over seeds, so that
//! it holds no numbers.

use disentangle_analysis::Estimate;
use disentangle_report::{Tone, Verdict};

use super::outcome::{EnvironmentDecisions, Flow, Outcome};

/// Above this share the output counts as straight.
const STRAIGHT: f64 = 0.9;
/// Share of mutual informations that must hold at half of the rows.
const HOLDS: f64 = 0.9;

pub(super) fn verdicts(outcome: &Outcome) -> Vec<Verdict> {
    let mut all = Vec::new();
    all.extend(compression(outcome));
    all.extend(entropy(outcome));
    all.extend(turn(outcome));
    all.extend(halves(outcome));
    all.extend(linearity(outcome));
    all.extend(calibration(outcome));
    all.extend(lead(outcome));
    all
}

fn verdict(tone: Tone, text: String) -> Verdict {
    Verdict { text, tone }
}

/// Whether all of the one interval lies above all of the other.
fn above(one: &Estimate, other: &Estimate) -> bool {
    one.low.zip(other.high).is_some_and(|(low, high)| low > high)
}

/// Whether the residual stream uses fewer directions at its end than at its beginning.
fn compression(outcome: &Outcome) -> Option<Verdict> {
    let along = outcome.along.as_ref()?;
    let at = |name: &str| outcome.sites.iter().find(|site| site.site == name);
    let (first, last) = (at(&along.first)?, at(&along.last)?);
    let (before, after) = (&first.effective_rank, &last.effective_rank);
    let words = if above(before, after) {
        "representations are compressed towards the output"
    } else if above(after, before) {
        "representations spread out towards the output"
    } else if before.low.is_none() || after.low.is_none() {
        "whether representations are compressed towards the output is not known"
    } else {
        "representations are not clearly compressed towards the output"
    };
    let text = format!(
        "{words}: the effective rank is {} at `{}` and {} at `{}`, of {} and {} neurons",
        before.show(1),
        first.site,
        after.show(1),
        last.site,
        first.neurons,
        last.neurons
    );
    Some(verdict(Tone::Neutral, text))
}

/// Whether single neurons use their range less evenly at the end.
fn entropy(outcome: &Outcome) -> Option<Verdict> {
    let along = outcome.along.as_ref()?;
    let change = &along.entropy_change;
    let words = if change.below(0.0) {
        "neurons hold less information at the end of the residual stream than at its beginning"
    } else if change.above(0.0) {
        "neurons hold more information at the end of the residual stream than at its beginning"
    } else {
        "neurons do not clearly hold less information at the end of the residual stream"
    };
    let text = format!(
        "{words}: from `{}` to `{}` the mean entropy over ln 20 changes by {}",
        along.first,
        along.last,
        change.show(3)
    );
    Some(verdict(Tone::Neutral, text))
}

/// The step along the residual stream that changes the representation most.
fn turn(outcome: &Outcome) -> Option<Verdict> {
    let value = |flow: &Flow| flow.alignment.cka.value.unwrap_or(f64::INFINITY);
    let known = |flow: &&Flow| flow.stream && flow.alignment.cka.value.is_some();
    let mut flows: Vec<&Flow> = outcome.flows.iter().filter(known).collect();
    flows.sort_by(|a, b| value(a).total_cmp(&value(b)));
    let (first, others) = flows.split_first()?;
    let next = others.first()?;
    let cka = |flow: &Flow| flow.alignment.cka.show(2);
    let words = match others
        .iter()
        .all(|other| above(&other.alignment.cka, &first.alignment.cka))
    {
        true => format!(
            "the representation changes most from `{}` to `{}`",
            first.from, first.to
        ),
        false => "no step along the residual stream clearly changes the representation most".into(),
    };
    let chance = first
        .alignment
        .chance
        .map_or_else(String::new, |chance| format!(", {chance:.2} by chance"));
    let text = format!(
        "{words}: linear CKA from `{}` to `{}` is {}{chance}, the lowest of {} steps; the next is {} from `{}` to `{}`",
        first.from,
        first.to,
        cka(first),
        flows.len(),
        cka(next),
        next.from,
        next.to
    );
    Some(verdict(Tone::Neutral, text))
}

/// Whether there are rows enough for the mutual information.
fn halves(outcome: &Outcome) -> Option<Verdict> {
    let known: Vec<(&Flow, bool)> = outcome
        .flows
        .iter()
        .filter_map(|flow| Some((flow, flow.shared.agrees()?)))
        .collect();
    let agreeing = known.iter().filter(|(_, agrees)| *agrees).count();
    let distance = |flow: &Flow| {
        let ends = flow.shared.ksg.value.zip(flow.shared.half);
        ends.map_or(0.0, |(all, half)| (all - half).abs())
    };
    let farthest = known.iter().map(|(flow, _)| *flow);
    let farthest = farthest.max_by(|a, b| distance(a).total_cmp(&distance(b)))?;
    let (words, tone) = match agreeing as f64 >= HOLDS * known.len() as f64 {
        true => ("mutual information is the same from half of the rows", Tone::Good),
        false => (
            "mutual information depends on the number of rows, so that its size is not to be trusted",
            Tone::Bad,
        ),
    };
    let text = format!(
        "{words}: {agreeing} of {} estimates from half of the rows lie within the interval of that from all; the farthest is {} nats from half \
         and {} from all, from `{}` to `{}`",
        known.len(),
        farthest
            .shared
            .half
            .map_or_else(|| "–".into(), |half| format!("{half:.2}")),
        farthest.shared.ksg.show(2),
        farthest.from,
        farthest.to
    );
    Some(verdict(tone, text))
}

fn linearity(outcome: &Outcome) -> Option<Verdict> {
    let main = outcome.decisions.first()?;
    let straight = &main.metrics.local_linearity;
    let words = if straight.above(STRAIGHT) {
        "the output is close to straight around the rows"
    } else if straight.below(STRAIGHT) {
        "the output bends around the rows"
    } else {
        "it is not clear whether the output is close to straight around the rows"
    };
    let text = format!(
        "{words}: local linearity is {} within a tenth of a standard deviation, and half of the rows of `{}` are at most {} from the decision \
         boundary, to first order",
        straight.show(3),
        main.name,
        main.metrics.boundary_width.show(2)
    );
    Some(verdict(Tone::Neutral, text))
}

/// Whether probabilities say how often they are right.
fn calibration(outcome: &Outcome) -> Option<Verdict> {
    let main = outcome.decisions.first()?;
    let off = |one: &EnvironmentDecisions| one.calibration_error.q.is_some_and(|q| q <= 0.05);
    let (words, tone) = match main.calibration_error.q {
        None => ("whether probabilities are calibrated was not tested", Tone::Neutral),
        Some(_) if off(main) => ("probabilities are not calibrated", Tone::Bad),
        Some(_) => ("nothing says that probabilities are not calibrated", Tone::Good),
    };
    let shown = |one: &EnvironmentDecisions| {
        let q = one
            .calibration_error
            .q
            .map_or_else(String::new, |q| format!(" (q = {q:.3})"));
        format!("{}{q} on `{}`", one.calibration_error.show(3), one.name)
    };
    let shown: Vec<String> = outcome.decisions.iter().map(shown).collect();
    let text = format!("{words}: the expected calibration error is {}", shown.join(", "));
    Some(verdict(tone, text))
}

/// Whether one column clearly moves the output most.
fn lead(outcome: &Outcome) -> Option<Verdict> {
    let lead = outcome.importance.lead.as_ref()?;
    let words = match lead.difference.above(0.0) {
        true => format!("`{}` clearly moves the output most", lead.first),
        false => "no single column clearly moves the output most".into(),
    };
    let text = format!(
        "{words}: `{}` moves the logit by {} more than the next, `{}`",
        lead.first,
        lead.difference.show(3),
        lead.second
    );
    Some(verdict(Tone::Neutral, text))
}
