//! What the columns of a table are: a TOML file beside it.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    DataError, Role, Split,
    near::{parse_checked, read_text},
};

/// What the columns of a table are.
///
/// ```toml
/// label = "readmitted"
/// positive = ["<30"]          # without it, the label holds 0 or 1
/// subject = "patient_nbr"
/// missing = ["?"]             # an empty cell is always missing
///
/// [groups.laboratory]
/// role = "genuine"
/// numeric = ["num_lab_procedures"]
/// categorical = ["A1Cresult"]
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSchema {
    /// The column to predict.
    pub label: String,
    /// Its values that count as 1; all others count as 0. Without them it holds 0 and 1, or false and true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub positive: Vec<String>,
    /// Who a row belongs to; rows of one subject lie in one part. Each row is a subject of its own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When a row was: orders the rows of a subject, and, without subjects, the parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Where a row was: for comparisons between environments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Cells that mean that a value is missing, beside empty ones.
    #[serde(default)]
    pub missing: Vec<String>,
    /// Rows of a subject in a window; the last one's label is predicted. 1 is one row a case.
    #[serde(default = "one")]
    pub lookback: usize,
    /// Columns that are known and left out, for example row numbers.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// How rows are divided.
    #[serde(default)]
    pub parts: Parts,
    /// Feature groups by name.
    pub groups: BTreeMap<String, GroupSchema>,
}

/// The columns of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSchema {
    /// `genuine`, `spurious`, `protected` or `unknown`.
    #[serde(default = "unknown")]
    pub role: Role,
    /// Columns of numbers.
    #[serde(default)]
    pub numeric: Vec<String>,
    /// Columns of categories, also where these are written as numbers.
    #[serde(default)]
    pub categorical: Vec<String>,
}

/// Shares of subjects (or of rows in time) in each part.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Parts {
    /// Fitted on.
    pub train: f64,
    /// Chosen on.
    pub validation: f64,
    /// Reported on.
    pub test: f64,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            train: 0.6,
            validation: 0.2,
            test: 0.2,
        }
    }
}

impl Parts {
    /// Refuses shares that are not above 0 or do not add up to 1.
    pub(crate) fn check(&self) -> Result<(), String> {
        let shares = [self.train, self.validation, self.test];
        let sum: f64 = shares.iter().sum();
        if shares.iter().any(|share| share.is_nan() || *share <= 0.0) || (sum - 1.0).abs() > 1e-9 {
            return Err(format!(
                "[parts]: {shares:?} cannot be used; expected three shares above 0 that add up to 1"
            ));
        }
        Ok(())
    }

    /// The part of a unit that stands at `place` (0 to 1) of a random or a time order.
    pub(crate) fn of(&self, place: f64) -> Split {
        // Half a unit in the last place keeps 0.6 + 0.2 from cutting one row early.
        match place + 1e-12 {
            place if place < self.train => Split::Train,
            place if place < self.train + self.validation => Split::Validation,
            _ => Split::Test,
        }
    }
}

fn one() -> usize {
    1
}

fn unknown() -> Role {
    Role::Unknown
}

impl TableSchema {
    /// Reads and checks a schema file.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        Self::parse(path, &read_text(path)?)
    }

    /// Checks a schema's text; `path` is for messages.
    pub fn parse(path: &Path, text: &str) -> Result<Self, DataError> {
        parse_checked(path, text, Self::check)
    }

    fn check(&self) -> Result<(), String> {
        self.parts.check()?;
        if self.lookback == 0 {
            return Err("`lookback = 0` cannot be used; expected at least 1".into());
        }
        if self.lookback > 1 && (self.time.is_none() || self.subject.is_none()) {
            return Err(format!(
                "`lookback = {}` needs to know whose rows follow each other and when; expected `subject` and `time`",
                self.lookback
            ));
        }
        if self.groups.is_empty() {
            return Err("has no feature groups; expected at least one [groups.NAME]".into());
        }
        let mut places: BTreeMap<&str, String> = BTreeMap::new();
        let named = [
            ("label", Some(&self.label)),
            ("subject", self.subject.as_ref()),
            ("time", self.time.as_ref()),
        ];
        let singles = named
            .into_iter()
            .filter_map(|(place, column)| Some((column?.as_str(), format!("`{place}`"))));
        let ignored = self
            .ignore
            .iter()
            .map(|column| (column.as_str(), "`ignore`".to_string()));
        let features = self.groups.iter().flat_map(|(name, group)| {
            let columns = group.numeric.iter().chain(&group.categorical);
            columns.map(move |column| (column.as_str(), format!("[groups.{name}]")))
        });
        for (column, place) in singles.chain(ignored).chain(features) {
            if let Some(other) = places.insert(column, place.clone()) {
                return Err(format!(
                    "column `{column}` stands in {other} and in {place}; expected one place for each column"
                ));
            }
        }
        for (name, group) in &self.groups {
            if group.numeric.is_empty() && group.categorical.is_empty() {
                return Err(format!(
                    "[groups.{name}] has no columns; expected `numeric`, `categorical` or both"
                ));
            }
        }
        Ok(())
    }

    /// Every column that is read, each once.
    pub fn columns(&self) -> Vec<&str> {
        let singles = [
            Some(&self.label),
            self.subject.as_ref(),
            self.time.as_ref(),
            self.environment.as_ref(),
        ];
        let mut columns: Vec<&str> = singles.into_iter().flatten().map(String::as_str).collect();
        for group in self.groups.values() {
            columns.extend(group.numeric.iter().chain(&group.categorical).map(String::as_str));
        }
        columns.sort_unstable();
        columns.dedup();
        columns
    }
}
