//! What a report says, before it is drawn.

use serde::{Deserialize, Serialize};

use crate::Figure;

/// A whole report: verdicts first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Headline.
    pub title: String,
    /// One line below it: data, rows, seed.
    pub subtitle: String,
    /// Shown as a banner if the data was made by a generator.
    pub simulated: bool,
    /// What must be known before any number is read.
    pub notices: Vec<String>,
    /// Conclusions, the most important first.
    pub verdicts: Vec<Verdict>,
    /// The rest.
    pub sections: Vec<Section>,
}

/// One conclusion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// One plain sentence with its numbers.
    pub text: String,
    /// What it means for the reader.
    pub tone: Tone,
}

/// How a verdict is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tone {
    /// As hoped.
    Good,
    /// A problem.
    Bad,
    /// Neither, or not decided.
    Neutral,
}

/// A part of a report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// Its headline.
    pub title: String,
    /// Sentences below it.
    pub text: Vec<String>,
    /// Its tables and figures.
    pub blocks: Vec<Block>,
}

/// A table or a figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Block {
    /// A figure.
    Figure(Figure),
    /// A table.
    Table(Table),
}

/// A table that sorts when a heading is clicked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Above it.
    pub caption: String,
    /// Headings.
    pub columns: Vec<String>,
    /// Cells.
    pub rows: Vec<Vec<Cell>>,
}

/// A cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    /// A number that sorts by `value` and reads as `shown`.
    Number {
        /// For sorting; `None` sorts last.
        value: Option<f64>,
        /// What stands there.
        shown: String,
    },
    /// Text.
    Text(String),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Cell::Text(text.into())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell::Text(text)
    }
}
