//! Standings by list, margins by claim, and the notebook's numbers beside ours.

use disentangle_report::{Block, Mark, Series, Values};

use super::{
    list::PLACES,
    outcome::{ClaimOutcome, Outcome, QuotedOutcome, Standing, TestOutcome},
    verdicts::count,
};
use crate::present::{figure, with_interval};

/// Margins beyond this many half widths are drawn there.
const FARTHEST: f64 = 5.0;

/// How many claims of each list have which standing.
pub(super) fn standings(outcome: &Outcome) -> Block {
    let parts: Vec<String> = PLACES.iter().map(|place| format!("part {}", place.part)).collect();
    let series = Standing::ALL.iter().map(|standing| {
        let counts = PLACES.iter().map(|place| {
            let own: Vec<&ClaimOutcome> = outcome.claims.iter().filter(|claim| claim.part == place.part).collect();
            count(&own, *standing) as f64
        });
        Series::new(
            standing.word(),
            Mark::Bar,
            Values::Names(parts.clone()),
            counts.collect(),
        )
    });
    figure(
        "standings",
        "Claims by list and standing",
        "A bar counts the claims of one list of findings; parts are the notebook's.",
        ["list of findings", "claims", ""],
        series.collect(),
        vec![],
    )
}

/// How far each value lies on the claim's side of its threshold. All series share their names, so that each claim has a place of its own.
pub(super) fn margins(outcome: &Outcome) -> Block {
    let placed = outcome.claims.iter().filter_map(|claim| {
        let test = claim.test.as_ref()?;
        Some((claim, margin(test)?, label(claim, test)))
    });
    let placed: Vec<(&ClaimOutcome, f64, String)> = placed.collect();
    let names: Vec<String> = placed.iter().map(|(claim, ..)| name(claim)).collect();
    let labels: Vec<String> = placed.iter().map(|(.., label)| label.clone()).collect();
    let series = Standing::ALL.iter().filter_map(|standing| {
        let own = placed
            .iter()
            .map(|(claim, margin, _)| (claim.standing == *standing).then_some(*margin));
        let own: Vec<Option<f64>> = own.collect();
        own.iter().any(Option::is_some).then(|| Series {
            y: own,
            labels: Some(labels.clone()),
            ..Series::new(standing.word(), Mark::Points, Values::Names(names.clone()), Vec::new())
        })
    });
    figure(
        "margins",
        "Measured value against the threshold",
        "Distance from the threshold to the side where the claim puts the value, in half widths of the 95 % interval: above the upper line a claim is supported, below the lower one it is contradicted (p values apart, which contradict nothing). What lies farther is drawn at the edge.",
        ["claim", "half widths of the interval", ""],
        series.collect(),
        vec![-1.0, 0.0, 1.0],
    )
}

/// A name that is no number, so that claims stand one beside the other.
fn name(claim: &ClaimOutcome) -> String {
    format!("claim {}", claim.id)
}

/// In half widths of the interval; `None` without one.
fn margin(test: &TestOutcome) -> Option<f64> {
    let estimate = &test.estimate;
    let half = f64::midpoint(estimate.high?, -estimate.low?);
    let margin = test.expectation.margin(estimate.value?);
    (half > 0.0).then(|| (margin / half).clamp(-FARTHEST, FARTHEST))
}

fn label(claim: &ClaimOutcome, test: &TestOutcome) -> String {
    let (value, expected) = (test.estimate.show(3), test.expectation.show());
    format!("{}: {value}, expected {expected}", claim.claim)
}

/// Numbers that the notebook prints.
pub(super) fn quoted(outcome: &Outcome) -> Block {
    let all: Vec<(&ClaimOutcome, &QuotedOutcome)> = outcome
        .claims
        .iter()
        .filter_map(|claim| Some((claim, claim.quoted.as_ref()?)))
        .collect();
    let names: Vec<String> = all.iter().map(|(claim, _)| name(claim)).collect();
    let theirs = Series {
        name: "notebook".into(),
        mark: Mark::Points,
        x: Values::Names(names.clone()),
        y: all
            .iter()
            .map(|(_, one)| Some(f64::midpoint(one.range[0], one.range[1])))
            .collect(),
        z: None,
        low: Some(all.iter().map(|(_, one)| Some(one.range[0])).collect()),
        high: Some(all.iter().map(|(_, one)| Some(one.range[1])).collect()),
        labels: Some(all.iter().map(|(_, one)| one.what.clone()).collect()),
    };
    let ours: Vec<_> = all.iter().map(|(_, one)| &one.ours).collect();
    let ours = with_interval("ours", Mark::Points, Values::Names(names), &ours);
    figure(
        "quoted",
        "The notebook's numbers beside ours",
        "Numbers of the notebook are of untrained models and of other definitions, which the table below names; ours have intervals over trainings.",
        ["claim", "value", ""],
        vec![theirs, ours],
        vec![],
    )
}
