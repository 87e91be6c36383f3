//! Whether a folder is a MEDS dataset.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use polars::prelude::DataType;

use super::{
    events::{Pieces, Reading, parquet_files, show_time, stream, unreadable},
    labels::{read_labels, read_splits},
};
use crate::{DataError, Split};

/// What a dataset holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contents {
    /// Data shards.
    pub files: usize,
    /// Events.
    pub events: u64,
    /// Subjects.
    pub subjects: usize,
    /// First and last time, shown.
    pub span: Option<(String, String)>,
    /// Events of each code.
    pub codes: BTreeMap<String, u64>,
    /// Subjects of each part, if the dataset says.
    pub parts: Option<BTreeMap<Split, usize>>,
    /// Label files below `labels`, with their labels and how many are 1.
    pub labels: Vec<(String, usize, usize)>,
}

/// Reads all of a dataset strictly and says what it holds. Fails for the first thing that is not as MEDS 0.4 asks: types, order of events,
/// subjects in one place, splits, and codes without metadata.
pub fn validate(folder: &Path) -> Result<Contents, DataError> {
    let mut contents = Contents::default();
    let (mut first, mut last) = (i64::MAX, i64::MIN);
    let reading = Reading {
        texts: true,
        strict: true,
    };
    let seen = stream(folder, reading, &mut |event| {
        if let Some(time) = event.time {
            (first, last) = (first.min(time), last.max(time));
        }
        match contents.codes.get_mut(event.code) {
            Some(count) => *count += 1,
            None => {
                contents.codes.insert(event.code.into(), 1);
            }
        }
        Ok(())
    })?;
    (contents.files, contents.events, contents.subjects) = (seen.files, seen.rows, seen.subjects.len());
    contents.span = (first <= last).then(|| (show_time(first), show_time(last)));
    let metadata = folder.join("metadata");
    described(&metadata.join("codes.parquet"), &contents.codes)?;
    let splits = metadata.join("subject_splits.parquet");
    if splits.is_file() {
        let parts = read_splits(&splits)?;
        if let Some(absent) = seen
            .subjects
            .iter()
            .filter(|subject| !parts.contains_key(subject))
            .min()
        {
            return Err(unreadable(
                &splits,
                format!("says nothing of subject {absent}; expected a split for every subject"),
            ));
        }
        let mut counts = BTreeMap::new();
        for part in parts.values() {
            *counts.entry(*part).or_insert(0) += 1;
        }
        contents.parts = Some(counts);
    }
    let dataset = metadata.join("dataset.json");
    let text = std::fs::read_to_string(&dataset).map_err(|error| unreadable(&dataset, error))?;
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|error| unreadable(&dataset, error))?;
    if !json.is_object() {
        return Err(unreadable(&dataset, "is no JSON object"));
    }
    let labels = folder.join("labels");
    if labels.is_dir() {
        for file in parquet_files(&labels)? {
            let found = read_labels(&file)?;
            if let Some(absent) = found.iter().find(|sample| !seen.subjects.contains(&sample.subject)) {
                return Err(unreadable(
                    &file,
                    format!("subject {} has a label but no events", absent.subject),
                ));
            }
            let name = file.strip_prefix(folder).unwrap_or(&file).display().to_string();
            let positive = found.iter().filter(|sample| sample.label > 0.5).count();
            contents.labels.push((name, found.len(), positive));
        }
    }
    Ok(contents)
}

/// Every code of the data stands in `metadata/codes.parquet`.
fn described(path: &Path, codes: &BTreeMap<String, u64>) -> Result<(), DataError> {
    let pieces = Pieces::open(path)?;
    pieces.expect("code", "string", |of| *of == DataType::String || of.is_categorical())?;
    let mut known = BTreeSet::new();
    for frame in pieces.whole(&["code"])? {
        let error = |error: polars::prelude::PolarsError| unreadable(path, error);
        let column = frame
            .column("code")
            .and_then(|column| column.cast(&DataType::String))
            .map_err(error)?;
        known.extend(column.str().map_err(error)?.iter().flatten().map(String::from));
    }
    match codes.keys().find(|code| !known.contains(*code)) {
        None => Ok(()),
        Some(absent) => Err(unreadable(
            path,
            format!("says nothing of code `{absent}`, which the data holds"),
        )),
    }
}
