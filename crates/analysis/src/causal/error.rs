//! What cannot be asked of a dataset's groups and rows.

/// Why a causal question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CausalError {
    /// No group has this name.
    #[error("unknown group `{name}`; expected one of: {known}")]
    UnknownGroup {
        /// What was asked for.
        name: String,
        /// All names.
        known: String,
    },
    /// Two groups share a column, so that one cannot change without the other.
    #[error("groups `{first}` and `{second}` overlap: both hold column {column}")]
    Overlap {
        /// One group.
        first: String,
        /// The other.
        second: String,
        /// The column, from 0.
        column: usize,
    },
    /// A group without columns.
    #[error("group `{group}` has no columns")]
    NoColumns {
        /// The group.
        group: String,
    },
    /// A column that the rows do not have.
    #[error("group `{group}` names column {column}, but rows have {features} columns, counted from 0")]
    NoSuchColumn {
        /// The group.
        group: String,
        /// The column.
        column: usize,
        /// Columns of a row.
        features: usize,
    },
    /// Nothing stays when the group changes.
    #[error(
        "group `{group}` covers all {features} columns: nothing is left that could stay as it is; expected a part of them"
    )]
    CoversAll {
        /// The group.
        group: String,
        /// Columns of a row.
        features: usize,
    },
    /// No rows.
    #[error("{rows}: holds no rows")]
    Empty {
        /// What the rows are.
        rows: String,
    },
    /// Rows of one side only, where both are needed.
    #[error("{rows}: all {count} rows have {what} {value}; expected both 0 and 1")]
    OneClass {
        /// What the rows are.
        rows: String,
        /// How many.
        count: usize,
        /// `label` or `shortcut`.
        what: String,
        /// The value that all of them have.
        value: u8,
    },
    /// An attack on columns whose values are codes.
    #[error(
        "an attack moves values by small amounts, but every column of `{group}` is integer-coded ({columns}); expected a group with measured columns, or attack_integers = true"
    )]
    IntegerCoded {
        /// What is attacked.
        group: String,
        /// Names of the columns.
        columns: String,
    },
    /// Data whose lengths do not fit.
    #[error("{what}: {found} values, expected {expected}")]
    Length {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
}
