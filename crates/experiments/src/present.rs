//! Short spellings of what every report is made of.

use disentangle_analysis::{Estimate, importance::Importance};
use disentangle_report::{Block, Cell, Figure, Heatmap, Mark, MetricRow, Series, Table, Tone, Values, Verdict};
use serde_json::Value;

pub(crate) fn cell(estimate: &Estimate, digits: usize) -> Cell {
    Cell::Number {
        value: estimate.value,
        shown: estimate.show(digits),
    }
}

pub(crate) fn number(value: Option<f64>, digits: usize) -> Cell {
    Cell::Number {
        value,
        shown: value.map_or_else(|| "–".into(), |value| format!("{value:.digits$}")),
    }
}

/// A value with its interval, or a dash: a reason would not fit.
pub(crate) fn short(estimate: &Estimate, digits: usize) -> String {
    estimate.value.map_or_else(|| "–".into(), |_| estimate.show(digits))
}

/// The same as a cell.
pub(crate) fn short_cell(estimate: &Estimate, digits: usize) -> Cell {
    Cell::Number {
        value: estimate.value,
        shown: short(estimate, digits),
    }
}

/// A row with grid keys.
pub(crate) fn keyed(params: Value, row: MetricRow) -> MetricRow {
    MetricRow {
        params: Some(params.to_string()),
        ..row
    }
}

pub(crate) fn table(caption: &str, columns: &[&str], rows: Vec<Vec<Cell>>) -> Block {
    Block::Table(Table {
        caption: caption.into(),
        columns: columns.iter().map(ToString::to_string).collect(),
        rows,
    })
}

pub(crate) fn with_interval(name: &str, mark: Mark, x: Values, estimates: &[&Estimate]) -> Series {
    Series {
        name: name.into(),
        mark,
        x,
        y: estimates.iter().map(|e| e.value).collect(),
        z: None,
        low: Some(estimates.iter().map(|e| e.low).collect()),
        high: Some(estimates.iter().map(|e| e.high).collect()),
        labels: None,
    }
}

pub(crate) fn figure(
    id: &str,
    title: &str,
    reading: &str,
    axes: [&str; 3],
    series: Vec<Series>,
    lines: Vec<f64>,
) -> Block {
    Block::Figure(plain_figure(id, title, reading, axes, series, lines))
}

/// A figure to be changed further, for example by logarithmic axes.
pub(crate) fn plain_figure(
    id: &str,
    title: &str,
    reading: &str,
    axes: [&str; 3],
    series: Vec<Series>,
    lines: Vec<f64>,
) -> Figure {
    Figure {
        id: id.into(),
        title: title.into(),
        reading: reading.into(),
        axes: axes.map(Into::into),
        series,
        lines,
        ..Figure::default()
    }
}

/// Every number of an importance, by its metric's name.
pub(crate) fn importance_metrics(importance: &Importance) -> [(&'static str, &Estimate); 5] {
    [
        ("roc_auc_drop", &importance.auc_drop),
        ("accuracy_drop", &importance.accuracy_drop),
        ("roc_auc_only", &importance.auc_only),
        ("accuracy_only", &importance.accuracy_only),
        ("probability_shift", &importance.probability_shift),
    ]
}

pub(crate) fn heatmap(id: &str, title: &str, reading: &str, axes: [&str; 2], heatmap: Heatmap) -> Block {
    Block::Figure(Figure {
        id: id.into(),
        title: title.into(),
        reading: reading.into(),
        axes: [axes[0].into(), axes[1].into(), String::new()],
        heatmap: Some(Box::new(heatmap)),
        ..Figure::default()
    })
}

/// Verdicts for the terminal, a line each, with a sign for their tone.
pub(crate) fn marked(verdicts: &[Verdict]) -> String {
    let lines = verdicts.iter().map(|verdict| {
        let mark = match verdict.tone {
            Tone::Good => "+",
            Tone::Bad => "!",
            Tone::Neutral => "-",
        };
        format!("{mark} {}\n", verdict.text)
    });
    lines.collect()
}
