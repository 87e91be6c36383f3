//! The leakage audit: runs before training, and a failure stops the run.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::{DataError, Dataset, Prices, Scaler, Seed, Split, finance::training_rows};

/// One thing that was checked, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditCheck {
    /// What was checked.
    pub name: String,
    /// What was found, in a sentence.
    pub detail: String,
}

/// How many places of the table are recomputed without their future.
const PROBES: usize = 24;

/// Checks that no feature row uses a later row: `compute` on the first t + 1 rows must give what it gave on all rows.
///
/// This tests the feature code itself, whatever it is, on 24 rows of each symbol drawn by `seed` and on the last but one.
pub fn causal_features(
    symbols: &[Prices],
    names: &[String],
    compute: impl Fn(&Prices) -> Array2<f32>,
    seed: Seed,
) -> Result<AuditCheck, DataError> {
    let mut probed = 0;
    for prices in symbols.iter().filter(|prices| prices.len() > 1) {
        let whole = compute(prices);
        let mut rng = seed.child(&prices.symbol).rng();
        let last = prices.len() - 1;
        let probes = (0..PROBES).map(|_| rng.below(last)).chain([last - 1]);
        for row in probes {
            let seen = compute(&prices.prefix(row + 1));
            for (column, name) in names.iter().enumerate() {
                let (now, later) = (seen[[row, column]], whole[[row, column]]);
                if now.to_bits() != later.to_bits() && !(now.is_nan() && later.is_nan()) {
                    return Err(DataError::Leak(format!(
                        "feature `{name}` of {} on {} uses later rows: it is {later} with them and {now} without",
                        prices.symbol,
                        crate::prices::format_time(prices.times[row]),
                    )));
                }
            }
            probed += 1;
        }
    }
    Ok(AuditCheck {
        name: "no feature uses a later row".into(),
        detail: format!("{probed} rows recomputed from their past alone gave the same values"),
    })
}

/// Checks windows, parts and scaler of a dataset. `history` is the number of rows before a window on which its indicators depend.
pub fn windows_and_splits(dataset: &Dataset, history: usize) -> Result<Vec<AuditCheck>, DataError> {
    Ok(vec![
        windows_end_before_target(dataset)?,
        parts_are_apart(dataset, history)?,
        scaler_from_training(dataset)?,
    ])
}

/// Refuses a subject whose windows lie in two parts: what was fitted on it would be reported on it.
pub fn subjects_in_one_part(dataset: &Dataset) -> Result<AuditCheck, DataError> {
    let mut part: Vec<Option<Split>> = vec![None; dataset.subjects.len()];
    for window in &dataset.windows {
        let known = part[window.subject as usize].get_or_insert(window.split);
        if *known != window.split {
            return Err(DataError::Leak(format!(
                "subject `{}` has rows in {} and in {}; expected all rows of a subject in one part",
                dataset.subjects[window.subject as usize],
                known.name(),
                window.split.name()
            )));
        }
    }
    Ok(AuditCheck {
        name: "every subject lies in one part".into(),
        detail: format!("{} subjects, {} windows", dataset.subjects.len(), dataset.windows.len()),
    })
}

fn windows_end_before_target(dataset: &Dataset) -> Result<AuditCheck, DataError> {
    for window in &dataset.windows {
        if window.start + dataset.lookback > window.target {
            return Err(DataError::Leak(format!(
                "the window of {} holds the row that it predicts",
                crate::prices::format_time(window.time)
            )));
        }
    }
    Ok(AuditCheck {
        name: "windows end before the row that they predict".into(),
        detail: format!("{} windows", dataset.windows.len()),
    })
}

fn parts_are_apart(dataset: &Dataset, history: usize) -> Result<AuditCheck, DataError> {
    if dataset.shared_validation {
        return Ok(AuditCheck {
            name: "parts do not overlap".into(),
            detail: "not checked: split = notebook has no embargo, and its validation rows are its test rows".into(),
        });
    }
    let subjects = dataset.subjects.len();
    let mut smallest = usize::MAX;
    for pair in [
        (Split::Train, Split::Validation),
        (Split::Validation, Split::Test),
        (Split::Train, Split::Test),
    ] {
        for subject in 0..subjects as u32 {
            let of = |split| {
                dataset
                    .windows
                    .iter()
                    .filter(move |w| w.split == split && w.subject == subject)
            };
            let Some(last) = of(pair.0).map(|w| w.target).max() else {
                continue;
            };
            let Some(first) = of(pair.1).map(|w| w.start).min() else {
                continue;
            };
            // Rows `first - history ..` feed the later window; `last` is the latest row whose outcome the earlier part saw.
            let gap = (first as i64) - (history as i64) - (last as i64);
            if gap < 1 {
                return Err(DataError::Leak(format!(
                    "{} and {} overlap: the first {} window of {} reaches back to row {}, but row {last} is predicted in {}",
                    pair.0.name(),
                    pair.1.name(),
                    pair.1.name(),
                    dataset.subjects[subject as usize],
                    first as i64 - history as i64,
                    pair.0.name(),
                )));
            }
            smallest = smallest.min(gap as usize - 1);
        }
    }
    Ok(AuditCheck {
        name: "parts do not overlap".into(),
        detail: format!("at least {smallest} rows lie between them, windows and indicator histories included"),
    })
}

fn scaler_from_training(dataset: &Dataset) -> Result<AuditCheck, DataError> {
    let rows = training_rows(dataset);
    let fitted = Scaler::fit(dataset.rows.view(), &rows);
    let pairs = [
        (&fitted.mean, &dataset.scaler.mean),
        (&fitted.scale, &dataset.scaler.scale),
        (&fitted.median, &dataset.scaler.median),
    ];
    for (ours, theirs) in pairs {
        for (column, (a, b)) in ours.iter().zip(theirs).enumerate() {
            if (a - b).abs() > 1e-9 * a.abs().max(1.0) {
                return Err(DataError::Leak(format!(
                    "the scaler of `{}` was not fitted on the training rows: it holds {b}, they give {a}",
                    dataset.features[column]
                )));
            }
        }
    }
    Ok(AuditCheck {
        name: "scaler and medians come from training rows".into(),
        detail: format!("refitted on {} training rows with the same result", rows.len()),
    })
}
