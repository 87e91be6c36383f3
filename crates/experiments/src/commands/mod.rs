//! What the binary can do beside running experiments.

mod analyze;
mod compare;
mod dataset;
mod export;
mod list;
mod monitor;
mod predict;
mod rerender;
mod validate;

pub use analyze::analyze;
pub use compare::compare;
pub use dataset::{DatasetCommand, dataset};
pub use export::{ExportTargets, export, export_after};
pub use list::list;
pub use monitor::{MonitorArguments, monitor};
pub use predict::predict;
pub use rerender::rerender;
use validate::validate;
