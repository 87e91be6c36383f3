//! What the binary can do beside running experiments.

mod compare;
mod dataset;
mod list;
mod predict;
mod rerender;

pub use compare::compare;
pub use dataset::{DatasetCommand, dataset};
pub use list::list;
pub use predict::predict;
pub use rerender::rerender;
