//! The columns that a schema names, as text.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use polars::prelude::{DataType, ParquetReader, SerReader};

use super::TableSchema;
use crate::{DataError, csv_prices::open, near::did_you_mean};

/// Columns of a table as text; `None` where a cell is missing.
#[derive(Clone, Debug)]
pub struct Table {
    pub(super) path: PathBuf,
    /// Rows, without the header.
    pub(super) rows: usize,
    /// Added to a row's index from 0 for messages: text files count lines, header included.
    pub(super) first_row: usize,
    pub(super) columns: BTreeMap<String, Vec<Option<String>>>,
}

impl Table {
    /// Reads the schema's columns of a CSV file (gzip or not) or a Parquet file, told by its first bytes.
    ///
    /// Fails for columns that are missing, naming all that the file has, and for rows of another length than the header.
    pub fn read(path: &Path, schema: &TableSchema) -> Result<Self, DataError> {
        Self::read_columns(path, schema, &[])
    }

    /// The same of new rows, which may have no column for the label, nor for the environment if it is no feature.
    pub fn read_new(path: &Path, schema: &TableSchema) -> Result<Self, DataError> {
        let is_feature = |column: &&String| {
            let mut groups = schema.groups.values();
            groups.any(|group| group.numeric.contains(column) || group.categorical.contains(column))
        };
        let environment = schema.environment.as_ref().filter(|column| !is_feature(column));
        let optional: Vec<&str> = std::iter::once(&schema.label)
            .chain(environment)
            .map(String::as_str)
            .collect();
        Self::read_columns(path, schema, &optional)
    }

    fn read_columns(path: &Path, schema: &TableSchema, optional: &[&str]) -> Result<Self, DataError> {
        let mut magic = Vec::new();
        File::open(path)
            .and_then(|file| file.take(4).read_to_end(&mut magic))
            .map_err(|error| unreadable(path, error))?;
        let wanted = schema.columns();
        let is_missing = |cell: &str| cell.is_empty() || schema.missing.iter().any(|missing| missing == cell);
        if magic == *b"PAR1" {
            Self::from_parquet(path, &wanted, optional, is_missing)
        } else {
            Self::from_csv(path, &wanted, optional, is_missing)
        }
    }

    /// Names of all columns of a file, and up to `most` rows of it as text.
    pub fn peek(path: &Path, most: usize) -> Result<(Vec<String>, Vec<Vec<String>>), DataError> {
        let mut magic = Vec::new();
        File::open(path)
            .and_then(|file| file.take(4).read_to_end(&mut magic))
            .map_err(|error| unreadable(path, error))?;
        if magic == *b"PAR1" {
            let frame = frame(path)?.head(Some(most));
            let names: Vec<String> = frame.get_column_names().iter().map(ToString::to_string).collect();
            let mut rows = vec![Vec::with_capacity(names.len()); frame.height()];
            for column in frame.columns() {
                for (row, cell) in rows.iter_mut().zip(texts(path, column)?) {
                    row.push(cell.unwrap_or_default());
                }
            }
            return Ok((names, rows));
        }
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(open(path)?);
        let names = header(path, &mut reader)?;
        let records = reader.records().take(most);
        let rows = records.map(|record| record.map(|record| record.iter().map(Into::into).collect()));
        Ok((
            names,
            rows.collect::<Result<_, _>>()
                .map_err(|error| unreadable(path, error))?,
        ))
    }

    fn from_csv(
        path: &Path,
        wanted: &[&str],
        optional: &[&str],
        is_missing: impl Fn(&str) -> bool,
    ) -> Result<Self, DataError> {
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(open(path)?);
        let names = header(path, &mut reader)?;
        let wanted = &present(wanted, optional, &names);
        let places = places(path, &names, wanted)?;
        let mut columns: Vec<Vec<Option<String>>> = vec![Vec::new(); wanted.len()];
        let mut record = csv::StringRecord::new();
        let mut rows = 0;
        while reader
            .read_record(&mut record)
            .map_err(|error| unreadable(path, error))?
        {
            rows += 1;
            if record.len() != names.len() {
                return Err(DataError::Ragged {
                    path: path.into(),
                    row: rows + 1,
                    found: record.len(),
                    expected: names.len(),
                });
            }
            for (column, &place) in columns.iter_mut().zip(&places) {
                let cell = &record[place];
                column.push((!is_missing(cell)).then(|| cell.into()));
            }
        }
        Ok(Self::new(path, rows, 2, wanted, columns))
    }

    fn from_parquet(
        path: &Path,
        wanted: &[&str],
        optional: &[&str],
        is_missing: impl Fn(&str) -> bool,
    ) -> Result<Self, DataError> {
        let frame = frame(path)?;
        let names: Vec<String> = frame.get_column_names().iter().map(ToString::to_string).collect();
        let wanted = &present(wanted, optional, &names);
        let places = places(path, &names, wanted)?;
        let columns = places.iter().map(|&place| {
            let cells = texts(path, &frame.columns()[place])?;
            Ok(cells
                .into_iter()
                .map(|cell| cell.filter(|cell| !is_missing(cell)))
                .collect())
        });
        let columns: Vec<Vec<Option<String>>> = columns.collect::<Result<_, DataError>>()?;
        Ok(Self::new(path, frame.height(), 1, wanted, columns))
    }

    fn new(path: &Path, rows: usize, first_row: usize, wanted: &[&str], columns: Vec<Vec<Option<String>>>) -> Self {
        Self {
            path: path.into(),
            rows,
            first_row,
            columns: wanted.iter().map(ToString::to_string).zip(columns).collect(),
        }
    }

    /// Whether the file has a column of this name.
    pub(super) fn has(&self, column: &str) -> bool {
        self.columns.contains_key(column)
    }

    /// A cell, `None` where it is missing.
    pub(super) fn cell(&self, column: &str, row: usize) -> Option<&str> {
        self.columns.get(column)?.get(row)?.as_deref()
    }

    /// The error of a cell that does not hold what it should.
    pub(super) fn wrong(&self, column: &str, row: usize, expected: impl Into<String>) -> DataError {
        DataError::Cell {
            path: self.path.clone(),
            row: row + self.first_row,
            column: column.into(),
            value: self.cell(column, row).unwrap_or_default().chars().take(80).collect(),
            expected: expected.into(),
        }
    }
}

fn unreadable(path: &Path, error: impl ToString) -> DataError {
    DataError::Read {
        path: path.into(),
        reason: error.to_string().lines().next().unwrap_or_default().into(),
    }
}

fn header<R: Read>(path: &Path, reader: &mut csv::Reader<R>) -> Result<Vec<String>, DataError> {
    let header = reader.headers().map_err(|error| unreadable(path, error))?;
    let names: Vec<String> = header
        .iter()
        .map(|name| name.trim_start_matches('\u{feff}').into())
        .collect();
    if names.iter().any(|name: &String| name.bytes().any(|byte| byte < b'\t')) {
        return Err(unreadable(path, "holds binary data, expected text, gzip or Parquet"));
    }
    if names.len() < 2 && names.first().is_some_and(|name| name.contains([';', '\t', '|'])) {
        return Err(unreadable(
            path,
            "its header is one column; expected columns separated by commas",
        ));
    }
    Ok(names)
}

/// The wanted columns without those that may be absent and are.
fn present<'w>(wanted: &[&'w str], optional: &[&str], names: &[String]) -> Vec<&'w str> {
    let there = |column: &&str| !optional.contains(column) || names.iter().any(|name| name == column);
    wanted.iter().copied().filter(there).collect()
}

/// Where each wanted column stands; refuses names that are absent or stand twice.
fn places(path: &Path, names: &[String], wanted: &[&str]) -> Result<Vec<usize>, DataError> {
    let place = |column: &&str| {
        let mut found = names.iter().enumerate().filter(|(_, name)| name == column);
        match (found.next(), found.next()) {
            (Some((place, _)), None) => Ok(place),
            (Some(_), Some(_)) => Err(unreadable(
                path,
                format!("column `{column}` stands twice in the header"),
            )),
            (None, _) => Err(DataError::MissingColumn {
                path: path.into(),
                column: (*column).into(),
                found: names.join(", ") + &did_you_mean(column, names.iter().map(String::as_str)),
            }),
        }
    };
    wanted.iter().map(place).collect()
}

fn frame(path: &Path) -> Result<polars::prelude::DataFrame, DataError> {
    let file = File::open(path).map_err(|error| unreadable(path, error))?;
    ParquetReader::new(file)
        .finish()
        .map_err(|error| unreadable(path, error))
}

/// A column as text: whole numbers without a point, true and false, times as ISO.
fn texts(path: &Path, column: &polars::prelude::Column) -> Result<Vec<Option<String>>, DataError> {
    let cast = column
        .cast(&DataType::String)
        .map_err(|error| unreadable(path, error))?;
    let cells = cast.str().map_err(|error| unreadable(path, error))?;
    let whole = column.dtype().is_float();
    Ok(cells
        .iter()
        .map(|cell| {
            let cell = cell?;
            // A number that is none is missing.
            match cell {
                "NaN" if whole => None,
                cell => Some(if whole { cell.trim_end_matches(".0") } else { cell }.to_string()),
            }
        })
        .collect())
}
