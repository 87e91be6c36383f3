//! What tests of verdicts share.

use disentangle_analysis::Estimate;
use disentangle_report::{Tone, Verdict};

/// An estimate in the middle of its interval.
pub(crate) fn interval(low: f64, high: f64) -> Estimate {
    Estimate {
        value: Some(f64::midpoint(low, high)),
        low: Some(low),
        high: Some(high),
        ..Estimate::default()
    }
}

/// Asserts what a verdict says, and how its text begins.
#[track_caller]
pub(crate) fn says(found: &Verdict, tone: Tone, start: &str) {
    assert!(
        found.tone == tone && found.text.starts_with(start),
        "{found:?}, not {start}"
    );
}
