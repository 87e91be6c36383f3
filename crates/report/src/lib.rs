//! Run folders, figures and reports.
//!
//! A [`Report`] is data: verdicts, tables, [`Figure`]s. [`page`] makes one HTML file of it that opens offline;
//! [`save_figures`] draws the same figures as SVG and PNG. A [`RunDir`] is where all of it goes. An [`Exported`] run is what
//! TensorBoard ([`export_tensorboard`]) and, with the feature `mlflow`, a tracking server (`Mlflow`) take of it.
//!
//! ```
//! use disentangle_report::{Block, Figure, Mark, Report, Section, Series, Values, page};
//!
//! let losses = Series::new("training", Mark::Line, Values::Numbers(vec![1.0, 2.0]), vec![0.7, 0.6]);
//! let figure = Figure {
//!     id: "loss".into(),
//!     title: "Loss".into(),
//!     reading: "Lower is better.".into(),
//!     axes: ["epoch".into(), "loss".into(), String::new()],
//!     series: vec![losses],
//!     ..Figure::default()
//! };
//! let section = Section { title: "Training".into(), blocks: vec![Block::Figure(figure)], ..Section::default() };
//! let report = Report { title: "A <run>".into(), sections: vec![section], ..Report::default() };
//! assert!(page(&report).contains("A &lt;run&gt;"));
//! ```
//!
//! This crate knows no tensors, no models and no statistics.

mod error;
mod exported;
mod figure;
mod heatmap;
#[cfg(feature = "mlflow")]
mod mlflow;
mod page;
mod palette;
mod plotly_figure;
mod report;
mod rows;
mod run;
mod scale;
mod static_figure;
mod tensorboard;

use std::path::Path;

pub use error::ReportError;
pub use exported::{Exported, Scalar, epoch_scalars, final_scalars};
pub use figure::{Figure, Heatmap, Mark, Series, Values};
#[cfg(feature = "mlflow")]
pub use mlflow::{Mlflow, Recorded, check_mlflow_uri};
pub use page::page;
pub use report::{Block, Cell, Report, Section, Table, Tone, Verdict};
pub use rows::{MetricRow, MetricsWriter, Prediction, RunColumn, write_metrics, write_predictions};
pub use run::{FolderLock, RunDir, State, Status, read_json, write_file};
pub use tensorboard::export_tensorboard;

/// Draws every figure of a report as `<id>.svg` and `<id>.png` in `folder`, which is made if need be.
pub fn save_figures(report: &Report, folder: &Path) -> Result<(), ReportError> {
    std::fs::create_dir_all(folder).map_err(|error| ReportError::write(folder, error))?;
    for block in report.sections.iter().flat_map(|section| &section.blocks) {
        if let Block::Figure(figure) = block {
            static_figure::save(figure, folder)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
