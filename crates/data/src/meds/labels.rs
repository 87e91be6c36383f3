//! Labels, and the part of each subject.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use polars::prelude::{Column, DataType};

use super::events::{Pieces, parquet_files, show_time, unreadable};
use crate::{DataError, Seed, Split, tabular::Parts};

/// What is predicted: one a subject and time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) subject: i64,
    /// Microseconds since 1970.
    pub(crate) time: i64,
    /// 0 or 1.
    pub(crate) label: f32,
    /// What the planted shortcut suggests, where one is known.
    pub(crate) shortcut: Option<f32>,
}

/// Samples, and the subjects and times of those whose label is not known.
pub(super) type SamplesAndUnknown = (Vec<Sample>, BTreeSet<(i64, i64)>);

/// Reads label files (`boolean_value`, else `integer_value`, `float_value` or `categorical_value` with two values 0 and 1), ordered by
/// subject and time.
pub(super) fn read_labels(path: &Path) -> Result<Vec<Sample>, DataError> {
    read_all(path, true).map(|(samples, _)| samples)
}

/// The same of new rows: labels may be missing, as a column or in a cell. Which are is the second answer, by subject and time; their
/// samples hold 0.
pub(super) fn read_new_labels(path: &Path) -> Result<SamplesAndUnknown, DataError> {
    read_all(path, false)
}

fn read_all(path: &Path, needed: bool) -> Result<SamplesAndUnknown, DataError> {
    let (mut samples, mut unknown) = (Vec::new(), BTreeSet::new());
    for file in parquet_files(path)? {
        read_file(&file, needed, &mut samples, &mut unknown)?;
    }
    if samples.is_empty() {
        return Err(unreadable(path, "holds no labels"));
    }
    samples.sort_by_key(|sample: &Sample| (sample.subject, sample.time));
    if let Some(pair) = samples
        .windows(2)
        .find(|pair| (pair[0].subject, pair[0].time) == (pair[1].subject, pair[1].time))
    {
        let reason = format!(
            "subject {} has two labels at {}; expected one",
            pair[0].subject,
            show_time(pair[0].time)
        );
        return Err(unreadable(path, reason));
    }
    Ok((samples, unknown))
}

fn read_file(
    path: &Path,
    needed: bool,
    samples: &mut Vec<Sample>,
    unknown: &mut BTreeSet<(i64, i64)>,
) -> Result<(), DataError> {
    let pieces = Pieces::with_times(path, "prediction_time")?;
    let values = ["boolean_value", "integer_value", "float_value", "categorical_value"];
    let value = values.into_iter().find(|name| pieces.has(name));
    if value.is_none() && needed {
        return Err(DataError::MissingColumn {
            path: path.into(),
            column: values[0].into(),
            found: "none of boolean_value, integer_value, float_value and categorical_value".into(),
        });
    }
    let error = |error: polars::prelude::PolarsError| unreadable(path, error);
    let mut row = 0;
    let columns: Vec<&str> = ["subject_id", "prediction_time"].into_iter().chain(value).collect();
    for frame in pieces.whole(&columns)? {
        let column = |name: &str, to: &DataType| frame.column(name).and_then(|of| of.cast(to)).map_err(error);
        let subjects = column("subject_id", &DataType::Int64)?;
        let times = column("prediction_time", &DataType::Int64)?;
        let labels = match value {
            Some(value) => binary(frame.column(value).map_err(error)?).map_err(error)?,
            None => vec![String::new(); frame.height()],
        };
        let times = subjects
            .i64()
            .map_err(error)?
            .iter()
            .zip(times.i64().map_err(error)?.iter());
        for ((subject, time), label) in times.zip(labels) {
            row += 1;
            let wrong = |column: &str, value: &str, expected: &str| DataError::Cell {
                path: path.into(),
                row,
                column: column.into(),
                value: value.into(),
                expected: expected.into(),
            };
            let subject = subject.ok_or_else(|| wrong("subject_id", "", "a subject; it is missing"))?;
            let time = time.ok_or_else(|| wrong("prediction_time", "", "a time; it is missing"))?;
            let label = match label.as_str() {
                "0" | "false" | "0.0" => 0.0,
                "1" | "true" | "1.0" => 1.0,
                "" if !needed => {
                    unknown.insert((subject, time));
                    0.0
                }
                other => {
                    let expected = "a binary label: true or false, or 0 or 1";
                    return Err(wrong(value.unwrap_or(values[0]), other, expected));
                }
            };
            samples.push(Sample {
                subject,
                time,
                label,
                shortcut: None,
            });
        }
    }
    Ok(())
}

/// Cells as text; missing ones are empty.
fn binary(column: &Column) -> polars::prelude::PolarsResult<Vec<String>> {
    let texts = column.cast(&DataType::String)?;
    Ok(texts
        .str()?
        .iter()
        .map(|cell| cell.unwrap_or_default().to_lowercase())
        .collect())
}

/// Adds what the shortcut suggests to each sample.
pub(super) fn add_shortcut(samples: &mut [Sample], path: &Path) -> Result<(), DataError> {
    let known: BTreeMap<(i64, i64), f32> = read_labels(path)?
        .into_iter()
        .map(|sample| ((sample.subject, sample.time), sample.label))
        .collect();
    for sample in samples {
        let found = known.get(&(sample.subject, sample.time));
        let reason = || {
            let time = show_time(sample.time);
            format!(
                "says nothing of subject {} at {time}; expected a row for each label",
                sample.subject
            )
        };
        sample.shortcut = Some(*found.ok_or_else(|| unreadable(path, reason()))?);
    }
    Ok(())
}

/// The parts of subjects as `metadata/subject_splits.parquet` says: train, tuning and held_out; other splits are in no part.
pub(super) fn read_splits(path: &Path) -> Result<BTreeMap<i64, Split>, DataError> {
    let pieces = Pieces::open(path)?;
    pieces.expect("subject_id", "int64", |of| *of == DataType::Int64)?;
    pieces.expect("split", "string", |of| *of == DataType::String || of.is_categorical())?;
    let error = |error: polars::prelude::PolarsError| unreadable(path, error);
    let mut parts = BTreeMap::new();
    for frame in pieces.whole(&["subject_id", "split"])? {
        let splits = frame
            .column("split")
            .and_then(|of| of.cast(&DataType::String))
            .map_err(error)?;
        let subjects = frame.column("subject_id").and_then(|of| of.i64()).map_err(error)?;
        for (subject, split) in subjects.iter().zip(splits.str().map_err(error)?.iter()) {
            let (Some(subject), Some(split)) = (subject, split) else {
                return Err(unreadable(path, "has an empty subject_id or split"));
            };
            let part = match split {
                "train" => Split::Train,
                "tuning" => Split::Validation,
                "held_out" => Split::Test,
                _ => Split::Embargo,
            };
            if let Some(other) = parts.insert(subject, part) {
                let words = match other == part {
                    true => format!("stands twice, both times in {split}"),
                    false => format!("lies in {split} and in another split"),
                };
                return Err(DataError::Leak(format!(
                    "{}: subject {subject} {words}; expected every subject in one split, once",
                    path.display()
                )));
            }
        }
    }
    Ok(parts)
}

/// Parts drawn at random, for datasets that do not say.
pub(super) fn draw_splits(samples: &[Sample], parts: Parts, seed: Seed) -> BTreeMap<i64, Split> {
    let mut subjects: Vec<i64> = samples.iter().map(|sample| sample.subject).collect();
    subjects.sort_unstable();
    subjects.dedup();
    let order = seed.child("parts").rng().permutation(subjects.len());
    let count = subjects.len() as f64;
    let places = order.into_iter().enumerate();
    places
        .map(|(rank, place)| (subjects[place], parts.of(rank as f64 / count)))
        .collect()
}
