//! A figure, described once and drawn twice: turnable in the report, and static as SVG and PNG.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::palette::{COLOURS, Rgb, shade};

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
    /// What else is said of each value when it is pointed at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
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
            labels: None,
        }
    }
}

/// A figure of a report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// Whether the first two axes are logarithmic; an axis of names never is. What is not above 0 is left out; an
    /// interval that starts there is cut at half of the least number that is shown.
    #[serde(default)]
    pub log: [bool; 2],
    /// Whether a step along one axis is as long as a step along the other, as for directions.
    #[serde(default)]
    pub square: bool,
    /// Ends of intervals along the first axis: for each series one a point, and none at all if empty. A logarithmic axis shows none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub across: Vec<Vec<Option<[f64; 2]>>>,
    /// Drawn instead of series and lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heatmap: Option<Box<Heatmap>>,
}

impl Figure {
    /// Whether it has depth.
    pub fn is_3d(&self) -> bool {
        self.heatmap.is_none() && self.series.iter().any(|series| series.z.is_some())
    }

    /// Whether it compares named points: more series than colours, or points with intervals along both axes. Symbols tell these apart too,
    /// and their names stand beside the figure.
    pub(crate) fn is_scatter(&self) -> bool {
        let points = self.series.iter().any(|series| series.mark == Mark::Points);
        let many = self.series.len() > COLOURS || !self.across.is_empty();
        points && many && !self.is_3d() && self.heatmap.is_none()
    }

    /// Ends of the interval along the first axis of a point of a series.
    pub(crate) fn across(&self, series: usize, row: usize) -> Option<[f64; 2]> {
        match self.log_axes()[0] {
            true => None,
            false => *self.across.get(series)?.get(row)?,
        }
    }

    /// All of these.
    pub(crate) fn ends_across(&self) -> Vec<f64> {
        match self.log_axes()[0] {
            true => Vec::new(),
            false => self.across.iter().flatten().flatten().flatten().copied().collect(),
        }
    }

    /// Which of the first two axes are logarithmic.
    pub(crate) fn log_axes(&self) -> [bool; 2] {
        let numbers = self.series.iter().all(|series| matches!(series.x, Values::Numbers(_)));
        [self.log[0] && numbers, self.log[1]]
    }

    /// Without what its logarithmic axes cannot show.
    pub(crate) fn drawable(&self) -> Cow<'_, Self> {
        let [log_x, log_y] = self.log_axes();
        if !log_x && !log_y {
            return Cow::Borrowed(self);
        }
        let mut figure = self.clone();
        let ends = self.series.iter().flat_map(|s| s.low.iter().chain(&s.high).flatten());
        let heights = self.series.iter().flat_map(|s| &s.y).chain(ends).flatten();
        let least = heights.chain(&self.lines).filter(|v| **v > 0.0);
        let floor = least.fold(f64::INFINITY, |a, b| a.min(*b)) / 2.0;
        for series in &mut figure.series {
            if log_x && let Values::Numbers(numbers) = &mut series.x {
                for v in numbers {
                    *v = if *v > 0.0 { *v } else { f64::NAN };
                }
            }
            if log_y {
                for y in &mut series.y {
                    *y = y.filter(|v| *v > 0.0);
                }
                let (low, high) = (series.low.iter_mut().flatten(), series.high.iter_mut().flatten());
                for (low, high) in low.zip(high) {
                    *high = high.filter(|v| *v > 0.0);
                    *low = high.and(*low).map(|v| if v > 0.0 { v } else { floor });
                }
            }
        }
        if log_y {
            figure.lines.retain(|y| *y > 0.0);
        }
        Cow::Owned(figure)
    }
}

/// Values of a grid as colours.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Heatmap {
    /// Names of columns, from left to right.
    pub x: Vec<String>,
    /// Names of rows, from top to bottom.
    pub y: Vec<String>,
    /// Rows of values; `None` (or no number) is drawn as undefined.
    pub values: Vec<Vec<Option<f64>>>,
    /// What the ends of the colour scale mean; values outside take the colour of the nearer end. Otherwise the least
    /// and the greatest value, or, on a diverging scale, plus and minus the greatest distance from 0.
    pub range: Option<[f64; 2]>,
    /// Whether the middle of the scale is what values are compared with; it is white then.
    pub diverging: bool,
    /// What to say of each cell, if not its value alone; shown in cells that have room and when pointed at. A first
    /// line, or the text up to the first space, stands alone where there is little room.
    pub text: Option<Vec<Vec<String>>>,
    /// Name and unit of the values.
    pub unit: String,
}

impl Heatmap {
    /// With more columns than this, cells hold no text.
    pub(crate) const COLUMNS_WITH_TEXT: usize = 12;

    pub(crate) fn value(&self, row: usize, column: usize) -> Option<f64> {
        self.values.get(row)?.get(column)?.filter(|value| value.is_finite())
    }

    /// For every row, what `of` says of its columns.
    pub(crate) fn grid<T>(&self, of: impl Fn(usize, usize) -> T) -> Vec<Vec<T>> {
        let columns = 0..self.x.len();
        let rows = (0..self.y.len()).map(|row| columns.clone().map(|column| of(row, column)).collect());
        rows.collect()
    }

    pub(crate) fn any_undefined(&self) -> bool {
        self.grid(|row, column| self.value(row, column).is_none())
            .iter()
            .flatten()
            .any(|undefined| *undefined)
    }

    /// All that is said of a cell.
    pub(crate) fn says(&self, row: usize, column: usize) -> String {
        let text = self.text.as_ref().and_then(|rows| rows.get(row)?.get(column));
        let text = text.filter(|text| !text.is_empty());
        match (self.value(row, column), text) {
            (Some(_), Some(text)) => text.clone(),
            (Some(value), None) => number(value),
            (None, Some(text)) if text.starts_with("undefined") => text.clone(),
            (None, _) => "undefined".into(),
        }
    }

    /// What stands in a cell, in short lines.
    pub(crate) fn lines(&self, row: usize, column: usize) -> Vec<String> {
        if self.value(row, column).is_none() {
            return Vec::new();
        }
        let says = self.says(row, column);
        let lines: Vec<&str> = match says.split_once(' ') {
            Some((first, rest)) if says.lines().count() == 1 && says.chars().count() > 8 => vec![first, rest],
            _ => says.lines().collect(),
        };
        lines.into_iter().map(Into::into).collect()
    }

    /// The colour of a value.
    pub(crate) fn colours(&self) -> impl Fn(f64) -> Rgb + use<> {
        let ([low, high], diverging) = (self.limits(), self.diverging);
        move |value| shade(diverging, (value - low) / (high - low))
    }

    /// What the ends of the colour scale mean.
    pub(crate) fn limits(&self) -> [f64; 2] {
        if let Some([low, high]) = self.range
            && low < high
            && (high - low).is_finite()
        {
            return [low, high];
        }
        let values = self.values.iter().flatten().flatten().filter(|v| v.is_finite());
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
        let far = low.abs().max(high.abs());
        match () {
            () if low > high => [0.0, 1.0],
            () if self.diverging && far > 0.0 => [-far, far],
            () if low < high => [low, high],
            () => [low - 0.5, low + 0.5],
        }
    }
}

/// Three significant digits.
pub(crate) fn number(value: f64) -> String {
    let digits = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    if !(-4.0..6.0).contains(&digits) {
        return format!("{value:.2e}");
    }
    let decimals = (2.0 - digits).max(0.0) as usize;
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').into(),
        false => text,
    }
}

/// Names short enough for an axis, and all different, so that no two share a place.
pub(crate) fn short(names: &[String]) -> Vec<String> {
    const LONGEST: usize = 24;
    let mut seen = std::collections::BTreeSet::new();
    let short = names.iter().map(|name| {
        let mut short: String = name.chars().take(LONGEST).collect();
        if name.chars().nth(LONGEST).is_some() {
            short.pop();
            short.push('…');
        }
        // A space without width is not seen.
        while !seen.insert(short.clone()) {
            short.push('\u{200b}');
        }
        short
    });
    short.collect()
}
