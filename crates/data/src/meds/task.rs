//! A task: which labels, and which codes become which columns of which feature group.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    DataError, Role,
    near::{parse_checked, read_text},
    tabular::Parts,
};

/// What to predict from which codes, as a TOML file beside a MEDS dataset.
///
/// ```toml
/// labels = "labels/deterioration"   # a Parquet file or a folder of them, below the dataset's folder
/// lookback = 10                     # positions of a window
/// step = "12h"                      # length of a position; the last one ends at the prediction time
/// environment = "HOSPITAL//*"       # what stands in place of * names the environment
///
/// [groups.clinical]
/// role = "genuine"
/// [groups.clinical.columns]
/// heart_rate = { code = "VITAL//HEART_RATE", value = "last" }
/// glucose = { code = "LAB//GLUCOSE", value = "mean", over = "24h" }
///
/// [groups.administrative]
/// role = "spurious"
/// [groups.administrative.columns]
/// insurance = { code = "INSURANCE//*", value = "category" }
/// ```
///
/// The position that ends at e sees events in (e - `over`, e]: nothing later than the prediction time is ever read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MedsTask {
    /// Label files, below the dataset's folder.
    pub labels: PathBuf,
    /// Label files that say which label the planted shortcut suggests, where a generator planted one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shortcut: Option<PathBuf>,
    /// Positions of a window.
    #[serde(default = "ten")]
    pub lookback: usize,
    /// Length of a position.
    #[serde(default = "half_a_day")]
    pub step: Span,
    /// The code whose rest names the environment of a sample: the latest one up to the prediction time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Shares of subjects in each part, where the dataset has no `metadata/subject_splits.parquet`.
    #[serde(default)]
    pub parts: Parts,
    /// Feature groups by name.
    pub groups: BTreeMap<String, MedsGroup>,
}

/// Columns that belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MedsGroup {
    /// `genuine`, `spurious`, `protected` or `unknown`.
    #[serde(default = "unknown")]
    pub role: Role,
    /// Columns by name.
    pub columns: BTreeMap<String, MedsColumn>,
}

/// One column: an aggregate of the events of some codes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MedsColumn {
    /// Codes; one that ends in `*` stands for all codes that begin like it.
    pub code: Codes,
    /// What is made of their events.
    pub value: Aggregate,
    /// How far back a position looks; by default its own length, or `ever` for categories and times since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Over>,
}

/// One code or several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a code or a list of codes")]
pub enum Codes {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Codes {
    /// All of them.
    pub fn all(&self) -> &[String] {
        match self {
            Codes::One(code) => std::slice::from_ref(code),
            Codes::Several(codes) => codes,
        }
    }
}

/// What is made of the events that a position sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    /// The latest number; of two at the same time the one that stands later. Missing without numbers.
    Last,
    /// The mean number. Missing without numbers.
    Mean,
    /// The smallest number. Missing without numbers.
    Min,
    /// The largest number. Missing without numbers.
    Max,
    /// How many events, with a number or without.
    Count,
    /// 1 if there is any event, else 0.
    Present,
    /// Minutes from the latest timed event to the position's end. Missing without one.
    MinutesSince,
    /// The same in hours.
    HoursSince,
    /// The same in days.
    DaysSince,
    /// The same in years of 365.25 days.
    YearsSince,
    /// What stands in place of `*` in the latest event's code; for a whole code its text, else its number.
    Category,
}

impl Aggregate {
    /// Microseconds in the unit of a time since.
    pub(super) fn unit(self) -> Option<f64> {
        let minutes = match self {
            Aggregate::MinutesSince => 1.0,
            Aggregate::HoursSince => 60.0,
            Aggregate::DaysSince => 24.0 * 60.0,
            Aggregate::YearsSince => 365.25 * 24.0 * 60.0,
            _ => return None,
        };
        Some(minutes * 6e7)
    }
}

/// A length of time, written as `30m`, `12h` or `7d`; at least a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span {
    /// Microseconds.
    pub(super) micros: i64,
}

impl Span {
    /// A number of hours.
    pub fn hours(hours: u32) -> Self {
        Self {
            micros: i64::from(hours) * 60 * MINUTE,
        }
    }
}

const MINUTE: i64 = 60_000_000;

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no length of time; expected for example `30m`, `12h` or `7d`");
        let unit = match text.chars().last().ok_or_else(wrong)? {
            'm' => MINUTE,
            'h' => 60 * MINUTE,
            'd' => 24 * 60 * MINUTE,
            _ => return Err(wrong()),
        };
        let count: u32 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
        match count {
            0 => Err(wrong()),
            count => Ok(Self {
                micros: i64::from(count) * unit,
            }),
        }
    }
}

impl From<Span> for String {
    fn from(span: Span) -> String {
        span.to_string()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (unit, name) in [(24 * 60 * MINUTE, 'd'), (60 * MINUTE, 'h')] {
            if self.micros % unit == 0 {
                return write!(f, "{}{name}", self.micros / unit);
            }
        }
        write!(f, "{}m", self.micros / MINUTE)
    }
}

/// How far back a position looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Over {
    /// To the beginning, static events included.
    Ever,
    /// So long before the position's end.
    Span(Span),
}

impl TryFrom<String> for Over {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "ever" => Ok(Over::Ever),
            _ => Span::try_from(text)
                .map(Over::Span)
                .map_err(|reason| format!("{reason}, or `ever`")),
        }
    }
}

impl From<Over> for String {
    fn from(over: Over) -> String {
        match over {
            Over::Ever => "ever".into(),
            Over::Span(span) => span.to_string(),
        }
    }
}

fn ten() -> usize {
    10
}

fn half_a_day() -> Span {
    Span::hours(12)
}

fn unknown() -> Role {
    Role::Unknown
}

impl MedsColumn {
    /// How far back a position of length `step` looks.
    pub(super) fn over(&self, step: Span) -> Over {
        let ever = self.value == Aggregate::Category || self.value.unit().is_some();
        self.over.unwrap_or(if ever { Over::Ever } else { Over::Span(step) })
    }
}

impl MedsTask {
    /// Reads and checks a task file.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        Self::parse(path, &read_text(path)?)
    }

    /// Checks a task's text; `path` is for messages.
    pub fn parse(path: &Path, text: &str) -> Result<Self, DataError> {
        parse_checked(path, text, Self::check)
    }

    fn check(&self) -> Result<(), String> {
        self.parts.check()?;
        if !(1..=1000).contains(&self.lookback) {
            return Err(format!(
                "`lookback = {}` cannot be used; expected 1 to 1000",
                self.lookback
            ));
        }
        if let Some(code) = self.environment.as_ref().filter(|code| !is_prefix(code)) {
            return Err(format!(
                "`environment = \"{code}\"` names no environment; expected a code that ends in `*`"
            ));
        }
        if self.groups.is_empty() {
            return Err("has no feature groups; expected at least one [groups.NAME]".into());
        }
        let mut seen = BTreeMap::new();
        for (name, group) in &self.groups {
            if group.columns.is_empty() {
                return Err(format!(
                    "[groups.{name}.columns] is empty; expected at least one column"
                ));
            }
            for (column, spec) in &group.columns {
                if let Some(other) = seen.insert(column, name) {
                    return Err(format!(
                        "column `{column}` stands in [groups.{other}] and in [groups.{name}]; expected one place for each column"
                    ));
                }
                let codes = spec.code.all();
                if codes.is_empty() || codes.iter().any(|code| code.trim_end_matches('*').is_empty()) {
                    return Err(format!(
                        "[groups.{name}.columns] `{column}`: expected at least one code, each with more than `*`"
                    ));
                }
            }
        }
        Ok(())
    }

    /// What environments are called: `hospital` for codes `HOSPITAL//*`.
    pub fn environment_kind(&self) -> Option<String> {
        let code = self.environment.as_ref()?;
        let name = code.trim_end_matches(['*', '/', ':', '|']).to_lowercase();
        Some(if name.is_empty() { "environment".into() } else { name })
    }

    /// Every column with its group's name, in the order of groups and columns.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &str, &MedsColumn)> {
        let groups = self.groups.iter();
        groups.flat_map(|(group, of)| {
            let columns = of.columns.iter();
            columns.map(move |(name, column)| (group.as_str(), name.as_str(), column))
        })
    }
}

pub(super) fn is_prefix(code: &str) -> bool {
    code.ends_with('*')
}
