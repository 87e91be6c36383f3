//! Columns that tell how long a subject's record goes on: a length of stay, for example, is known at discharge only.

use super::window::{Ahead, STATIC};
use crate::{DataError, audit::AuditCheck};

/// Samples that a suspicion needs.
const LEAST: usize = 30;
/// The share of them on which a column must be right.
const SHARE: f64 = 0.99;
const DAY: f64 = 86_400e6;
const UNITS: [(&str, f64); 3] = [("days", DAY), ("hours", DAY / 24.0), ("minutes", DAY / 1440.0)];

/// Refuses a column that is the time from one of the `anchors` to the subject's last event, in days, hours or minutes, on nearly all samples
/// after which that event lies far enough to tell.
///
/// `columns` are names and one value a sample; `ahead` holds the prediction time of each sample and the times of its subject.
pub(super) fn no_time_to_the_end<'a>(
    columns: impl Iterator<Item = (&'a str, Vec<f32>)>,
    anchors: &[String],
    ahead: &[(i64, &Ahead)],
) -> Result<AuditCheck, DataError> {
    let mut count = 0;
    for (name, values) in columns {
        count += 1;
        for (anchor, from) in anchors.iter().enumerate() {
            for (unit, length) in UNITS {
                if let Some((share, decisive)) = share_right(&values, anchor, length, ahead) {
                    return Err(DataError::Leak(format!(
                        "column `{name}` is the number of {unit} from {from} to the last event of the subject, which lies after the prediction, on {:.0} % of {decisive} windows: it was not known yet; expected it to be left out, or allow_leaks = true",
                        100.0 * share
                    )));
                }
            }
        }
    }
    let followed = ahead.iter().filter(|(time, ahead)| ahead.last > *time).count();
    Ok(AuditCheck {
        name: "no column is the time to the end of the record".into(),
        detail: format!("{count} columns of numbers on {followed} windows after which events follow"),
    })
}

/// On which share of how many decisive samples the values are the time from the anchor to the end, if on nearly all.
fn share_right(values: &[f32], anchor: usize, length: f64, ahead: &[(i64, &Ahead)]) -> Option<(f64, usize)> {
    let (mut right, mut decisive) = (0, 0);
    for (value, (time, ahead)) in values.iter().zip(ahead) {
        let start = ahead.anchors[anchor];
        if value.is_nan() || start == STATIC {
            continue;
        }
        let span = (ahead.last - start) as f64 / length;
        // Whole numbers may have been rounded either way.
        let tolerance = if value.fract() == 0.0 {
            1.0
        } else {
            1e-3 * span.max(1.0)
        };
        // Else it cannot be told from the time up to the prediction, which is known.
        if (ahead.last - time) as f64 / length <= 2.0 * tolerance {
            continue;
        }
        decisive += 1;
        right += usize::from((f64::from(*value) - span).abs() <= tolerance);
    }
    let share = f64::from(right as u32) / f64::from(decisive.max(1) as u32);
    (decisive >= LEAST && share >= SHARE).then_some((share, decisive))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_stay_is_found_and_an_elapsed_one_is_not() {
        // 60 subjects come on day 0, are predicted on day 4 and leave between days 5 and 20; the last event of some is their prediction.
        let day = |days: f64| (days * DAY) as i64;
        let stays: Vec<f64> = (0..60).map(|subject| 4.0 + f64::from(subject % 17)).collect();
        let times: Vec<Ahead> = stays
            .iter()
            .map(|stay| Ahead {
                anchors: vec![day(0.0), day(4.0), STATIC],
                last: day(*stay),
            })
            .collect();
        let ahead: Vec<(i64, &Ahead)> = times.iter().map(|one| (day(4.0), one)).collect();
        let anchors = ["the first event", "the prediction", "`admission`"].map(String::from);
        let check = |column: Vec<f64>| {
            let values = column.iter().map(|value| *value as f32).collect();
            no_time_to_the_end([("stay", values)].into_iter(), &anchors, &ahead)
        };
        for (leak, expected) in [
            (stays.clone(), "number of days from the first event"),
            (
                stays.iter().map(|stay| stay.round()).collect(),
                "number of days from the first event",
            ),
            (
                stays.iter().map(|stay| 24.0 * (stay - 4.0) + 0.004).collect(),
                "number of hours from the prediction",
            ),
        ] {
            let error = check(leak).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        for known in [
            vec![4.0; 60],
            stays.iter().map(|stay| stay % 3.0).collect(),
            vec![f64::NAN; 60],
        ] {
            assert!(check(known).is_ok());
        }
    }
}
