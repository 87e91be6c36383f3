//! The sections of the report.

use disentangle_report::{Block, Cell, Section};

use super::{
    figures,
    list::PLACES,
    outcome::{ClaimOutcome, Outcome, QuotedOutcome, Standing},
    verdicts::counts,
};
use crate::present::{cell, number, table};

pub(super) fn all(outcome: &Outcome) -> Vec<Section> {
    vec![
        every_claim(outcome),
        against_thresholds(outcome),
        quoted(outcome),
        readings(outcome),
        explained(outcome),
    ]
}

/// The page to cite.
fn every_claim(outcome: &Outcome) -> Section {
    let all: Vec<&ClaimOutcome> = outcome.claims.iter().collect();
    Section {
        title: "Every claim".into(),
        text: vec![format!(
            "{} claims of {} lists of findings: {}. Thresholds were fixed before anything was measured; values are means over {} trainings on rows of their own.",
            all.len(),
            PLACES.len(),
            counts(&all),
            outcome.repeats
        )],
        blocks: vec![
            figures::standings(outcome),
            claims_table(outcome),
            measurements(outcome),
        ],
    }
}

fn claims_table(outcome: &Outcome) -> Block {
    let rows = outcome.claims.iter().map(|claim| {
        let test = claim.test.as_ref();
        vec![
            claim.id.clone().into(),
            claim.claim.clone().into(),
            test.map_or_else(|| "–".into(), |test| test.expectation.show().into()),
            test.map_or_else(
                || number(None, 3),
                |test| match test.estimate.value {
                    Some(_) => cell(&test.estimate, 3),
                    None => number(None, 3),
                },
            ),
            claim.standing.word().into(),
        ]
    });
    table(
        "Every claim; 95 % intervals by Student's t over trainings",
        &["claim", "what is claimed", "expected", "ours", "verdict"],
        rows.collect(),
    )
}

/// What stands behind each row of the table of claims.
fn measurements(outcome: &Outcome) -> Block {
    let rows = outcome.claims.iter().filter_map(|claim| {
        let test = claim.test.as_ref()?;
        let cells: Vec<Cell> = vec![
            claim.id.clone().into(),
            format!("{}, {}", claim.part, claim.line).into(),
            test.measurement.clone().into(),
            test.against.clone().unwrap_or_default().into(),
            claim.quoted.as_ref().map_or_else(String::new, range).into(),
        ];
        Some(cells)
    });
    table(
        "What is measured, and where the notebook claims it (part, line)",
        &["claim", "place", "measurement", "nearest rival", "notebook's number"],
        rows.collect(),
    )
}

fn range(quoted: &QuotedOutcome) -> String {
    match quoted.range {
        [low, high] if low < high => format!("{low} to {high}"),
        [value, _] => value.to_string(),
    }
}

fn against_thresholds(outcome: &Outcome) -> Section {
    let undecided = outcome.claims.iter().filter_map(|claim| {
        let test = claim.test.as_ref().filter(|_| claim.standing == Standing::Undecided)?;
        let absent = test.values.iter().filter(|value| value.is_none()).count();
        let why = match test.estimate.value {
            None => "nothing could be measured".to_string(),
            Some(_) if test.estimate.low.is_none() => "one training alone has no interval".into(),
            Some(_) if test.expectation.judge(&test.estimate) == Standing::Contradicted => {
                "a test that does not reject has not seen the opposite".into()
            }
            Some(_) => format!(
                "the interval lies on both sides of what is expected, {}",
                test.expectation.show()
            ),
        };
        let cells: Vec<Cell> = vec![
            claim.id.clone().into(),
            claim.claim.clone().into(),
            why.into(),
            number(Some(absent as f64), 0),
        ];
        Some(cells)
    });
    let columns = ["claim", "what is claimed", "why", "trainings without a value"];
    Section {
        title: "Values against thresholds".into(),
        text: vec![
            "A claim is supported if the whole interval lies where the claim puts the value, contradicted if it lies wholly elsewhere, and undecided otherwise: more trainings (`repeats`) narrow the interval. A p value can support a claim and not contradict it: \
             a test that does not reject has not seen the opposite."
                .into(),
        ],
        blocks: vec![
            figures::margins(outcome),
            table("What is undecided, and why", &columns, undecided.collect()),
        ],
    }
}

fn quoted(outcome: &Outcome) -> Section {
    let rows = outcome.claims.iter().filter_map(|claim| {
        let quoted = claim.quoted.as_ref()?;
        let ours = match quoted.ours.value {
            Some(_) => cell(&quoted.ours, 3),
            None => number(None, 3),
        };
        Some(vec![
            claim.id.clone().into(),
            quoted.what.clone().into(),
            range(quoted).into(),
            ours,
            quoted.note.clone().into(),
        ])
    });
    let columns = ["claim", "what", "notebook", "ours", "what must be known"];
    Section {
        title: "Numbers that the notebook prints".into(),
        text: vec![
            "The notebook quotes them beside its claims. It measures untrained models, and some of its definitions differ from ours, so that equal numbers would be a coincidence; the claims themselves are tested by comparison."
                .into(),
        ],
        blocks: vec![
            figures::quoted(outcome),
            table("The notebook's numbers beside ours", &columns, rows.collect()),
        ],
    }
}

/// How each claim is read.
fn readings(outcome: &Outcome) -> Section {
    let read = outcome.claims.iter().filter(|claim| !claim.reading.is_empty());
    let rows = read.map(|claim| {
        vec![
            claim.id.clone().into(),
            claim.claim.clone().into(),
            claim.reading.clone().into(),
        ]
    });
    Section {
        title: "How claims are read".into(),
        text: vec![
            "Where the notebook names no amount or direction, one was chosen before measuring. Claims without measurable content are listed as not testable, with the reason."
                .into(),
        ],
        blocks: vec![table(
            "Readings, and why some claims cannot be tested",
            &["claim", "what is claimed", "reading"],
            rows.collect(),
        )],
    }
}

fn explained(outcome: &Outcome) -> Section {
    let tested = outcome.claims.iter().filter(|claim| claim.test.is_some()).count();
    Section {
        title: "What the words mean".into(),
        text: vec![
            "Who is called best or most is held beside each rival; the verdict is that of the rival that comes nearest in the mean. Scores named diversity or disentanglement grow with it, whatever the notebook's sign."
                .into(),
            format!(
                "Intervals are not corrected for the number of claims: of {tested} claims whose values lay exactly on their thresholds, about one in twenty would be called supported or contradicted by chance."
            ),
            "The interval is over trainings, each with rows and initial weights of its own. The market's calendar shortcut ends at the first test day; the ward's administrative shortcut says nothing in the hospital that training did not see; the biased rows' shortcut says nothing in one environment and misleads in another."
                .into(),
        ],
        blocks: Vec::new(),
    }
}
