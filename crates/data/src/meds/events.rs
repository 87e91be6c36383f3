//! Events in the order of the files: read by row groups, so that one shard may hold every row.

use std::{
    collections::HashSet,
    fs::File,
    path::{Path, PathBuf},
};

use chrono::{DateTime, NaiveDateTime};
use polars::prelude::{ChunkedArray, DataFrame, DataType, ParquetReader, SerReader, TimeUnit};

use crate::{DataError, near::did_you_mean};

/// Rows that are decoded at once, at most.
const ROWS: usize = 1 << 20;

/// One row of a data shard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event<'a> {
    /// Whose it is.
    pub subject: i64,
    /// Microseconds since 1970; `None` for what holds throughout (static).
    pub time: Option<i64>,
    /// What it is.
    pub code: &'a str,
    /// Its number, never NaN.
    pub number: Option<f32>,
    /// Its text, if texts are read.
    pub text: Option<&'a str>,
}

/// How strictly and how much is read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reading {
    /// `text_value` too.
    pub(super) texts: bool,
    /// Refuse numbers that are not float32, as the format asks; else float64 is taken too.
    pub(super) strict: bool,
}

pub(super) fn unreadable(path: &Path, error: impl ToString) -> DataError {
    DataError::Read {
        path: path.into(),
        // Polars adds hints on further lines.
        reason: error.to_string().lines().next().unwrap_or_default().into(),
    }
}

/// A time in messages.
pub(super) fn show_time(micros: i64) -> String {
    moment(micros).map_or_else(
        || format!("{micros} µs"),
        |time| time.format("%Y-%m-%d %H:%M:%S%.f").to_string(),
    )
}

pub(super) fn moment(micros: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp_micros(micros).map(|time| time.naive_utc())
}

/// All Parquet files below a folder, in the order of their names; the file itself if it is one.
pub(super) fn parquet_files(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    if path.is_file() {
        return Ok(vec![path.into()]);
    }
    let mut files = Vec::new();
    let mut folders = vec![path.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|error| unreadable(&folder, error))? {
            let entry = entry.map_err(|error| unreadable(&folder, error))?.path();
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "parquet") {
                files.push(entry);
            }
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(unreadable(path, "holds no Parquet files"));
    }
    Ok(files)
}

/// A Parquet file that is read in pieces.
pub(super) struct Pieces {
    path: PathBuf,
    names: Vec<String>,
    types: Vec<DataType>,
    /// First row and rows of each piece.
    slices: Vec<(usize, usize)>,
}

impl Pieces {
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        let file = File::open(path).map_err(|error| unreadable(path, error))?;
        let mut reader = ParquetReader::new(file);
        let schema = reader.schema().map_err(|error| unreadable(path, error))?;
        let names: Vec<String> = schema.iter_names().map(ToString::to_string).collect();
        let types = schema.iter_values().map(DataType::from_arrow_field).collect();
        let metadata = reader.get_metadata().map_err(|error| unreadable(path, error))?;
        let mut slices = Vec::new();
        let mut first = 0;
        for group in &metadata.row_groups {
            let end = first + group.num_rows();
            while first < end {
                let rows = ROWS.min(end - first);
                slices.push((first, rows));
                first += rows;
            }
        }
        Ok(Self {
            path: path.into(),
            names,
            types,
            slices,
        })
    }

    /// The type of a column; fails where it is missing.
    pub(super) fn column(&self, name: &str) -> Result<&DataType, DataError> {
        let place = self.names.iter().position(|known| known == name);
        place
            .map(|place| &self.types[place])
            .ok_or_else(|| DataError::MissingColumn {
                path: self.path.clone(),
                column: name.into(),
                found: self.names.join(", ") + &did_you_mean(name, self.names.iter().map(String::as_str)),
            })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// Refuses a column of another type, saying which.
    pub(super) fn expect(
        &self,
        name: &str,
        expected: &str,
        accepts: impl Fn(&DataType) -> bool,
    ) -> Result<(), DataError> {
        let found = self.column(name)?;
        match accepts(found) {
            true => Ok(()),
            false => Err(unreadable(
                &self.path,
                format!("column `{name}` is {}; expected {expected}", shown(found)),
            )),
        }
    }

    fn subjects_and_times(&self, time: &str) -> Result<(), DataError> {
        self.expect("subject_id", "int64", |of| *of == DataType::Int64)?;
        self.expect(time, "timestamp[us] without a time zone", is_time)
    }

    /// The columns of one piece.
    pub(super) fn read(&self, piece: usize, columns: &[&str]) -> Result<DataFrame, DataError> {
        let file = File::open(&self.path).map_err(|error| unreadable(&self.path, error))?;
        ParquetReader::new(file)
            .with_slice(Some(self.slices[piece]))
            .with_columns(Some(columns.iter().map(ToString::to_string).collect()))
            .finish()
            .map_err(|error| unreadable(&self.path, error))
    }

    pub(super) fn len(&self) -> usize {
        self.slices.len()
    }

    /// All rows of some columns: for small files.
    pub(super) fn whole(&self, columns: &[&str]) -> Result<Vec<DataFrame>, DataError> {
        (0..self.len()).map(|piece| self.read(piece, columns)).collect()
    }

    /// Opens a file with subjects and times, such as labels.
    pub(super) fn with_times(path: &Path, time: &str) -> Result<Self, DataError> {
        let pieces = Self::open(path)?;
        pieces.subjects_and_times(time)?;
        Ok(pieces)
    }
}

fn is_time(of: &DataType) -> bool {
    *of == DataType::Datetime(TimeUnit::Microseconds, None)
}

/// A type in the words of the format.
fn shown(of: &DataType) -> String {
    match of {
        DataType::Datetime(unit, zone) => {
            let unit = match unit {
                TimeUnit::Nanoseconds => "ns",
                TimeUnit::Microseconds => "us",
                TimeUnit::Milliseconds => "ms",
            };
            let zone = zone
                .as_ref()
                .map_or_else(String::new, |zone| format!(", time zone {zone}"));
            format!("timestamp[{unit}{zone}]")
        }
        DataType::Float64 => "float64".into(),
        DataType::Int32 => "int32".into(),
        DataType::Int64 => "int64".into(),
        DataType::String => "string".into(),
        other => other.to_string(),
    }
}

/// What was seen of all shards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) files: usize,
    pub(super) rows: u64,
    pub(super) subjects: HashSet<i64>,
}

/// Passes every event below `folder`/data to `sink`, subject by subject.
///
/// Fails for what is not as the format asks: a column missing or of another type, an empty subject or code, a subject that returns after
/// another one or in another file, and times of a subject that go back.
pub(super) fn stream(
    folder: &Path,
    reading: Reading,
    sink: &mut dyn FnMut(&Event) -> Result<(), DataError>,
) -> Result<Seen, DataError> {
    let mut seen = Seen::default();
    for path in parquet_files(&folder.join("data"))? {
        Shard::open(&path, reading)?.stream(&mut seen, sink)?;
        seen.files += 1;
    }
    Ok(seen)
}

struct Shard {
    pieces: Pieces,
    columns: Vec<&'static str>,
}

/// The last row of a shard.
#[derive(Clone, Copy)]
struct Last {
    subject: i64,
    time: Option<i64>,
}

impl Shard {
    fn open(path: &Path, reading: Reading) -> Result<Self, DataError> {
        let pieces = Pieces::with_times(path, "time")?;
        let is_text = |of: &DataType| *of == DataType::String || of.is_categorical();
        pieces.expect("code", "string", is_text)?;
        let mut columns = vec!["subject_id", "time", "code"];
        if pieces.has("numeric_value") {
            let strict = reading.strict;
            let number = |of: &DataType| *of == DataType::Float32 || (!strict && *of == DataType::Float64);
            pieces.expect("numeric_value", "float32", number)?;
            columns.push("numeric_value");
        }
        if pieces.has("text_value") && reading.texts {
            pieces.expect("text_value", "string", is_text)?;
            columns.push("text_value");
        }
        Ok(Self { pieces, columns })
    }

    fn stream(&self, seen: &mut Seen, sink: &mut dyn FnMut(&Event) -> Result<(), DataError>) -> Result<(), DataError> {
        let mut last: Option<Last> = None;
        let mut row = 0;
        // The next piece is decoded while this one is used.
        std::thread::scope(|scope| {
            let (send, receive) = std::sync::mpsc::sync_channel(1);
            scope.spawn(move || {
                for piece in 0..self.pieces.len() {
                    let read = self.pieces.read(piece, &self.columns);
                    let failed = read.is_err();
                    // Nobody listens any more once the other side has failed.
                    if send.send(read).is_err() || failed {
                        return;
                    }
                }
            });
            for frame in receive {
                self.rows(&frame?, &mut row, &mut last, seen, sink)?;
            }
            Ok(())
        })
    }

    fn rows(
        &self,
        frame: &DataFrame,
        row: &mut u64,
        last: &mut Option<Last>,
        seen: &mut Seen,
        sink: &mut dyn FnMut(&Event) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let path = &self.pieces.path;
        let error = |error: polars::prelude::PolarsError| unreadable(path, error);
        let column = |name: &str, to: DataType| frame.column(name).and_then(|column| column.cast(&to)).map_err(error);
        let subjects = column("subject_id", DataType::Int64)?;
        let times = column("time", DataType::Int64)?;
        let codes = column("code", DataType::String)?;
        let optional = |name: &str, to: DataType| self.columns.contains(&name).then(|| column(name, to)).transpose();
        let numbers = optional("numeric_value", DataType::Float32)?;
        let texts = optional("text_value", DataType::String)?;
        let mut numbers = numbers
            .as_ref()
            .map(|of| of.f32())
            .transpose()
            .map_err(error)?
            .map(ChunkedArray::iter);
        let mut texts = texts
            .as_ref()
            .map(|of| of.str())
            .transpose()
            .map_err(error)?
            .map(ChunkedArray::iter);
        let rows = subjects.i64().map_err(error)?.iter();
        let rows = rows
            .zip(times.i64().map_err(error)?.iter())
            .zip(codes.str().map_err(error)?.iter());
        for ((subject, time), code) in rows {
            *row += 1;
            seen.rows += 1;
            let empty = |name: &str| cell(path, *row, name, "", "a value; it is missing");
            let subject = subject.ok_or_else(|| empty("subject_id"))?;
            let code = code.ok_or_else(|| empty("code"))?;
            match *last {
                Some(last) if last.subject == subject => {
                    if time < last.time {
                        let shown = time.map_or_else(|| "null".into(), show_time);
                        let before = last.time.map_or_else(|| "null".into(), show_time);
                        let expected = format!("in order: the event of subject {subject} before it is at {before}");
                        return Err(cell(path, *row, "time", &shown, &expected));
                    }
                }
                _ => {
                    if !seen.subjects.insert(subject) {
                        let expected = "new here: its rows began before, in another file or apart; expected all rows of a subject next to each other in one file";
                        return Err(cell(path, *row, "subject_id", &subject.to_string(), expected));
                    }
                }
            }
            *last = Some(Last { subject, time });
            sink(&Event {
                subject,
                time,
                code,
                number: numbers
                    .as_mut()
                    .and_then(|numbers| numbers.next().flatten())
                    .filter(|number| !number.is_nan()),
                text: texts.as_mut().and_then(|texts| texts.next().flatten()),
            })?;
        }
        Ok(())
    }
}

fn cell(path: &Path, row: u64, column: &str, value: &str, expected: &str) -> DataError {
    DataError::Cell {
        path: path.into(),
        row: row as usize,
        column: column.into(),
        value: value.into(),
        expected: expected.into(),
    }
}
