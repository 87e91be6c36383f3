//! A figure, described once and drawn twice: turnable in the report, and static as SVG and PNG.

use serde::{Deserialize, Serialize};

/// Positions along an axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Values {
    /// Numbers.
    Numbers(Vec<f64>),
    /// Names in order, or ISO dates.
    Names(Vec<String>),
}

impl Values {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Values::Numbers(values) => values.len(),
            Values::Names(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// A line, with a band where the series has an interval.
    Line,
    /// Bars from 0, with whiskers where the series has an interval.
    Bar,
    /// Points, with whiskers where the series has an interval.
    Points,
}

/// One series of a figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// How it is drawn.
    pub mark: Mark,
    /// Positions.
    pub x: Values,
    /// Heights; `None` leaves a gap.
    pub y: Vec<Option<f64>>,
    /// Depths; makes the figure three-dimensional.
    pub z: Option<Vec<f64>>,
    /// Lower ends of intervals.
    pub low: Option<Vec<Option<f64>>>,
    /// Upper ends of intervals.
    pub high: Option<Vec<Option<f64>>>,
}

impl Series {
    /// A series without intervals.
    pub fn new(name: impl Into<String>, mark: Mark, x: Values, y: Vec<f64>) -> Self {
        Self {
            name: name.into(),
            mark,
            x,
            y: y.into_iter().map(Some).collect(),
            z: None,
            low: None,
            high: None,
        }
    }
}

/// A figure of a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// File name and anchor.
    pub id: String,
    /// Headline.
    pub title: String,
    /// One sentence on how to read it.
    pub reading: String,
    /// Name and unit of each axis; the third only in three dimensions.
    pub axes: [String; 3],
    /// What is drawn.
    pub series: Vec<Series>,
    /// Horizontal reference lines.
    pub lines: Vec<f64>,
}

impl Figure {
    /// Whether it has depth.
    pub fn is_3d(&self) -> bool {
        self.series.iter().any(|series| series.z.is_some())
    }
}

/// The palette of Okabe and Ito (2008): told apart also by the colour-blind, on light and on dark ground.
pub(crate) const COLOURS: [(u8, u8, u8); 6] = [
    (0, 114, 178),
    (230, 120, 0),
    (0, 158, 115),
    (204, 121, 167),
    (86, 180, 233),
    (170, 140, 0),
];

pub(crate) fn colour(index: usize) -> (u8, u8, u8) {
    COLOURS[index % COLOURS.len()]
}
