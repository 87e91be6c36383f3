//! What can go wrong between a file and a dataset, each in one sentence.

use std::path::PathBuf;

/// Every error of this crate. Each message names the file, row, column or key, and what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file could not be opened, read or decoded.
    #[error("{}: cannot be read: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system or the decoder said.
        reason: String,
    },
    /// The file could not be written.
    #[error("{}: cannot be written: {reason}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system or the encoder said.
        reason: String,
    },
    /// A column that is needed is absent.
    #[error("{}: column `{column}` is missing; found: {found}", path.display())]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column that was looked for.
        column: String,
        /// The columns that the file has.
        found: String,
    },
    /// One cell does not hold what it should.
    #[error("{}: row {row}, column `{column}`: `{value}` is not {expected}", path.display())]
    Cell {
        /// The file.
        path: PathBuf,
        /// 1-based; for text files the line, header included.
        row: usize,
        /// The column.
        column: String,
        /// The cell as it stands.
        value: String,
        /// What was expected.
        expected: String,
    },
    /// A row has too few or too many fields.
    #[error("{}: row {row} has {found} fields, expected {expected} as in the header", path.display())]
    Ragged {
        /// The file.
        path: PathBuf,
        /// The line, header included.
        row: usize,
        /// Fields in this row.
        found: usize,
        /// Fields in the header.
        expected: usize,
    },
    /// The same time occurs twice for one symbol.
    #[error("{}: rows {first} and {second} have the same date {time}; expected one row a date", path.display())]
    DuplicateTime {
        /// The file.
        path: PathBuf,
        /// The earlier row.
        first: usize,
        /// The later row.
        second: usize,
        /// The time that they share.
        time: String,
    },
    /// There are not enough rows for what was asked.
    #[error("{name}: {found} rows are too few, expected at least {needed} ({why})")]
    TooFewRows {
        /// The data.
        name: String,
        /// Rows found.
        found: usize,
        /// Rows needed.
        needed: usize,
        /// What needs them.
        why: String,
    },
    /// A feature became infinite: a price or volume is far too large.
    #[error("{name}: feature `{feature}` of symbol `{symbol}` on {time} is {value}, expected a finite number")]
    NotFinite {
        /// The data.
        name: String,
        /// The symbol.
        symbol: String,
        /// The feature.
        feature: String,
        /// The row's time.
        time: String,
        /// What it is.
        value: f32,
    },
    /// The minority class is (almost) absent.
    #[error(
        "{name}: {positive} of {total} {part} labels are positive; expected both classes, the smaller with at least {minimum}"
    )]
    Degenerate {
        /// The data.
        name: String,
        /// The split.
        part: String,
        /// Positive labels.
        positive: usize,
        /// All labels.
        total: usize,
        /// The smallest class size that is accepted.
        minimum: usize,
    },
    /// A schema file cannot be used.
    #[error("{}: {reason}", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        reason: String,
    },
    /// A setting has a value that cannot be used.
    #[error("`{key} = {value}` cannot be used: expected {expected}")]
    Setting {
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// What was expected.
        expected: String,
    },
    /// A live download failed. Nothing replaces it silently.
    #[error("symbol `{symbol}`: {reason}")]
    Download {
        /// The symbol.
        symbol: String,
        /// What the server or the network said.
        reason: String,
    },
    /// The leakage audit failed, so nothing was trained.
    #[error("leakage audit: {0}")]
    Leak(String),
}

impl DataError {
    /// A setting that cannot be used.
    pub fn setting(key: &str, value: impl ToString, expected: impl ToString) -> Self {
        Self::Setting {
            key: key.into(),
            value: value.to_string(),
            expected: expected.to_string(),
        }
    }
}
