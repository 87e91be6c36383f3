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
/// `embargo` counts distinct target times: after each boundary at least that many are in no part. A symbol that lacks some of
/// them is held back further, until none of its windows uses a row, or an indicator's `history` rows before it, that an earlier
/// part predicts. Needs windows sorted by time.
pub(crate) fn assign(windows: &mut [Window], rule: SplitRule, embargo: usize, history: usize) -> Result<(), DataError> {
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
    for window in windows.iter_mut() {
        let index = times.partition_point(|&t| t < window.time);
        window.split = if index >= test {
            if index < test + embargo {
                Split::Embargo
            } else {
                Split::Test
            }
        } else if index >= validation {
            if index < validation + embargo {
                Split::Embargo
            } else {
                Split::Validation
            }
        } else {
            Split::Train
        };
    }
    if rule == SplitRule::Chronological {
        hold_back(windows, history);
    }
    Ok(())
}

/// Puts into the embargo what would reach back into an earlier part of its own symbol.
fn hold_back(windows: &mut [Window], history: usize) {
    let subjects = windows
        .iter()
        .map(|window| window.subject as usize + 1)
        .max()
        .unwrap_or(0);
    let mut latest = vec![[None::<usize>; 2]; subjects];
    for window in windows.iter_mut() {
        let latest = &mut latest[window.subject as usize];
        let earlier = match window.split {
            Split::Train => None,
            Split::Validation => latest[0],
            Split::Test | Split::Embargo => latest[0].max(latest[1]),
        };
        if window.split != Split::Embargo && earlier.is_some_and(|target| window.start < target + 1 + history) {
            window.split = Split::Embargo;
        }
        match window.split {
            Split::Train => latest[0] = Some(window.target),
            Split::Validation => latest[1] = Some(window.target),
            Split::Test | Split::Embargo => {}
        }
    }
}
