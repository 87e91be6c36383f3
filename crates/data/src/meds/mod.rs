//! Health records in the Medical Event Data Standard (MEDS 0.4): events of subjects in, windows with named feature groups out, and back.
//!
//! A dataset is a folder: `data/**/*.parquet` with `subject_id` (int64), `time` (a timestamp in microseconds, null for what holds throughout), `code`,
//! `numeric_value` (float32) and `text_value`; `metadata/subject_splits.parquet`, `metadata/codes.parquet`, `metadata/dataset.json`; and
//! label files anywhere. A [`MedsTask`] says which labels are predicted from which codes.
//! Source: <https://github.com/Medical-Event-Data-Standard/meds>.

mod ahead;
mod dataset;
mod events;
mod labels;
mod places;
mod propose;
mod task;
#[cfg(test)]
mod tests;
mod validate;
mod window;
mod write;

pub use dataset::Audited;
pub use events::Event;
pub(crate) use labels::Sample;
pub use propose::propose_task;
pub use task::{Aggregate, Codes, MedsColumn, MedsGroup, MedsTask, Over, Span};
pub use validate::{Contents, validate};
pub(crate) use window::Windower;
pub(crate) use write::write_labels;
pub use write::{MedsWriter, Record};
