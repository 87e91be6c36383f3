//! Chronological splits with an embargo.

use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};

use crate::{DataError, Split, Window};

/// How windows are divided into parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SplitRule {
    /// 60 / 20 / 20 by time, with an embargo between parts.
    Chronological,
    /// 80 / 20 without embargo; the last 20 % are both validation and test. The notebook's, kept for comparison:
    /// its figures are optimistic.
    Notebook,
}

/// Assigns every window its part, by time over all subjects together.
///
/// `embargo` counts distinct target times: after each boundary that many are in no part, so that no window of a later part
/// uses a row (or an indicator computed from a row) that an earlier part predicts. Needs windows sorted by time.
pub(crate) fn assign(windows: &mut [Window], rule: SplitRule, embargo: usize) -> Result<(), DataError> {
    let mut times: Vec<NaiveDateTime> = windows.iter().map(|window| window.time).collect();
    times.dedup();
    let n = times.len();
    let at = |share: f64| (n as f64 * share) as usize;
    let (validation, test) = match rule {
        SplitRule::Chronological => (at(0.6), at(0.8)),
        SplitRule::Notebook => (n, at(0.8)),
    };
    let embargo = if rule == SplitRule::Notebook { 0 } else { embargo };
    if rule == SplitRule::Chronological && (test - validation <= embargo || n - test <= embargo) {
        return Err(DataError::TooFewRows {
            name: "split".into(),
            found: n,
            // Each of the two later parts takes a fifth, and the embargo is cut from it.
            needed: 5 * (embargo + 2),
            why: format!("60/20/20 windows with an embargo of {embargo} rows between the parts"),
        });
    }
    for window in windows {
        let index = times.partition_point(|&t| t < window.time);
        window.split = if index >= test {
            if index < test + embargo { Split::Embargo } else { Split::Test }
        } else if index >= validation {
            if index < validation + embargo { Split::Embargo } else { Split::Validation }
        } else {
            Split::Train
        };
    }
    Ok(())
}
