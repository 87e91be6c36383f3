//! A table of your own, described by a small schema, as rows for any experiment.
//!
//! The schema names the label, the feature groups with their roles, and, where the table has them, the columns that say to which subject
//! a row belongs, when it was and in which environment. Rows of one subject never lie in two parts; medians, categories and scales
//! are those of training rows.

mod encode;
mod propose;
mod read;
mod schema;
mod split;
#[cfg(test)]
mod tests;

pub use propose::propose;
pub use read::Table;
pub use schema::{GroupSchema, Parts, TableSchema};
