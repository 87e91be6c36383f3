//! What the notebook's lists of findings claim, in our words, with what tests each of it. Thresholds were fixed before anything was measured.

mod data;
mod models;
mod scale;
mod strategies;

use super::{
    outcome::Expectation,
    question::{Comparison, Measurement, Quality, Subject},
};

/// One claim. A bullet that says several things is several claims, told apart by letters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    /// Part, bullet, letter.
    pub(super) id: &'static str,
    pub(super) part: u32,
    /// A clause without digits and colons.
    pub(super) text: &'static str,
    /// How it is read, or why it cannot be tested.
    pub(super) reading: &'static str,
    pub(super) test: Option<Test>,
    pub(super) quoted: Option<Quoted>,
}

/// What tests a claim.
#[derive(Clone, Copy, Debug)]
pub(super) struct Test {
    pub(super) measurement: Measurement,
    pub(super) expectation: Expectation,
}

/// A number that the notebook prints.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoted {
    pub(super) subject: Subject,
    pub(super) quality: Quality,
    pub(super) range: [f64; 2],
    pub(super) note: &'static str,
}

/// A list of findings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) part: u32,
    pub(super) line: u32,
    /// Without digits and colons.
    pub(super) about: &'static str,
}

/// The twelve lists.
pub(super) const PLACES: [Place; 12] = [
    at(19, 491, "activations of the small model"),
    at(25, 1156, "causal analysis of the small model"),
    at(27, 1506, "financial data"),
    at(30, 1719, "information and robustness"),
    at(32, 1990, "health records"),
    at(33, 2168, "health records in detail"),
    at(42, 2857, "mitigation strategies"),
    at(44, 3100, "impact of the strategies"),
    at(45, 3339, "larger models"),
    at(46, 3639, "scaling of width and depth"),
    at(47, 3894, "architecture variants"),
    at(48, 4101, "components of the variants"),
];

const fn at(part: u32, line: u32, about: &'static str) -> Place {
    Place { part, line, about }
}

/// The list of a part.
pub(super) fn place(part: u32) -> Place {
    let found = PLACES.iter().find(|place| place.part == part);
    found.copied().unwrap_or(at(part, 0, "elsewhere"))
}

/// Every claim, in the order of the notebook.
pub(super) fn claims() -> Vec<Claim> {
    let lists = [models::CLAIMS, data::CLAIMS, strategies::CLAIMS, scale::CLAIMS];
    let mut all: Vec<Claim> = lists.into_iter().flatten().copied().collect();
    // The sort is stable: claims of one part keep their order.
    all.sort_by_key(|claim| claim.part);
    all
}

const fn above(threshold: f64) -> Expectation {
    Expectation::Above { threshold }
}

const fn below(threshold: f64) -> Expectation {
    Expectation::Below { threshold }
}

const fn between(low: f64, high: f64) -> Expectation {
    Expectation::Between { low, high }
}

const fn outside(low: f64, high: f64) -> Expectation {
    Expectation::Outside { low, high }
}

/// The value itself against an expectation.
const fn alone(subject: Subject, quality: Quality, expectation: Expectation) -> Test {
    compared(subject, quality, Comparison::Alone, expectation)
}

/// Beside others, whose difference is expected above 0.
const fn beside(subject: Subject, quality: Quality, comparison: Comparison) -> Test {
    compared(subject, quality, comparison, above(0.0))
}

const fn compared(subject: Subject, quality: Quality, comparison: Comparison, expectation: Expectation) -> Test {
    Test {
        measurement: Measurement {
            subject,
            quality,
            comparison,
        },
        expectation,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_list_is_there_and_claims_are_clauses() {
        let all = claims();
        let ids: BTreeSet<&str> = all.iter().map(|claim| claim.id).collect();
        assert_eq!(ids.len(), all.len(), "ids are unique");
        // Bullets of the notebook, list by list.
        let bullets = [3, 4, 9, 4, 4, 4, 4, 4, 4, 4, 3, 3];
        for (place, expected) in PLACES.iter().zip(bullets) {
            let own = all.iter().filter(|claim| claim.part == place.part);
            let found: BTreeSet<&str> = own
                .map(|claim| claim.id.trim_end_matches(|c: char| c.is_ascii_lowercase()))
                .collect();
            assert_eq!(found.len(), expected, "part {}: {found:?}", place.part);
            assert!(
                !place.about.contains(|c: char| c == ':' || c.is_ascii_digit()),
                "{}",
                place.about
            );
        }
        for claim in &all {
            let prefix = format!("{}.", claim.part);
            assert!(claim.id.starts_with(&prefix), "{}", claim.id);
            let clause = !claim.text.contains(':') && !claim.text.chars().any(|c| c.is_ascii_digit());
            assert!(clause, "{}: {}", claim.id, claim.text);
            assert!(
                claim.test.is_some() || !claim.reading.is_empty(),
                "{}: no reason",
                claim.id
            );
        }
        let untestable = all.iter().filter(|claim| claim.test.is_none()).count();
        assert!(untestable <= 5, "{untestable} claims are not tested");
    }
}
