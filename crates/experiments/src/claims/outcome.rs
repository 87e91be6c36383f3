//! Everything that `experiment claims` measures: `metrics.json`.

use disentangle_analysis::Estimate;
use serde::{Deserialize, Serialize};

/// The outcome of one seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Of this layout.
    pub schema_version: u32,
    /// `run`.
    pub kind: String,
    /// `claims`.
    pub experiment: String,
    /// The seed.
    pub seed: u64,
    /// Trainings behind each value.
    pub repeats: usize,
    /// For the reader.
    pub notices: Vec<String>,
    /// Every claim, in the order of the notebook.
    pub claims: Vec<ClaimOutcome>,
}

/// One claim with what was found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClaimOutcome {
    /// Part, bullet and, where a bullet says several things, a letter.
    pub id: String,
    /// The part of the notebook whose findings it is among.
    pub part: u32,
    /// Where the list of these findings stands.
    pub line: u32,
    /// What the list is about.
    pub place: String,
    /// The claim in our words.
    pub claim: String,
    /// How it is read, or why it cannot be tested.
    pub reading: String,
    /// What tests it.
    pub test: Option<TestOutcome>,
    /// A number of the notebook's, with ours.
    pub quoted: Option<QuotedOutcome>,
    /// What follows.
    pub standing: Standing,
}

/// A measurement with its threshold, fixed beforehand.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TestOutcome {
    /// The model.
    pub subject: String,
    /// Its rows.
    pub dataset: String,
    /// The metric's name.
    pub metric: String,
    /// What is measured, in words.
    pub measurement: String,
    /// Where the claim puts it.
    pub expectation: Expectation,
    /// The rival that comes nearest, if there are several.
    pub against: Option<String>,
    /// One value a repeat.
    pub values: Vec<Option<f64>>,
    /// Their mean with Student's t interval.
    pub estimate: Estimate,
}

/// A number that the notebook prints.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QuotedOutcome {
    /// Of what.
    pub what: String,
    /// The number, or the ends of its range.
    pub range: [f64; 2],
    /// Ours, over repeats.
    pub ours: Estimate,
    /// What must be known to compare them.
    pub note: String,
}

/// Where a claim puts a value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "side", rename_all = "lowercase")]
pub enum Expectation {
    /// Above a threshold.
    Above {
        /// The threshold.
        threshold: f64,
    },
    /// Below a threshold.
    Below {
        /// The threshold.
        threshold: f64,
    },
    /// Within a range.
    Between {
        /// Its lower end.
        low: f64,
        /// Its upper end.
        high: f64,
    },
    /// Beyond a range, on either side.
    Outside {
        /// Its lower end.
        low: f64,
        /// Its upper end.
        high: f64,
    },
}

/// What the interval says of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// The whole interval lies where the claim puts the value.
    Supported,
    /// The whole interval lies elsewhere.
    Contradicted,
    /// It lies on both sides, or there is none.
    Undecided,
    /// The claim says nothing that could be measured here.
    NotTestable,
}

impl Standing {
    /// All, in the order of reports.
    pub(super) const ALL: [Standing; 4] = [
        Standing::Supported,
        Standing::Contradicted,
        Standing::Undecided,
        Standing::NotTestable,
    ];

    /// As in reports.
    pub(super) fn word(self) -> &'static str {
        match self {
            Standing::Supported => "supported",
            Standing::Contradicted => "contradicted",
            Standing::Undecided => "undecided",
            Standing::NotTestable => "not testable",
        }
    }
}
