//! Pipelines from data to report, and the commands of the `disentangle` binary.
//!
//! An experiment implements [`Experiment`]; [`execute`] reads and checks its input, opens a run's folder, runs its seeds and
//! writes metrics, figures and the report.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use disentangle_experiments::{Backend, Options, execute, finance::Finance};
//!
//! let options = Options {
//!     backend: Backend::Flex,
//!     seed: 0,
//!     seeds: 1,
//!     sets: vec!["walk_forward=false".into()],
//!     config: None,
//!     out: None,
//!     threads: 2,
//!     quiet: true,
//!     resume: None,
//!     fast: true,
//!     checkpoint_every: Duration::from_secs(2),
//!     report: true,
//! };
//! println!("{}", execute::<Finance>(&options)?.summary);
//! # Ok::<(), disentangle_experiments::ExperimentError>(())
//! ```

mod backend;
mod baselines;
pub mod bench;
pub mod capacity;
pub mod cards;
pub mod causal;
mod cells;
pub mod claims;
pub mod commands;
pub mod components;
mod context;
pub mod detect;
pub mod disentangle;
pub mod ehr;
mod environment;
mod error;
mod experiment;
pub mod finance;
pub mod information;
pub mod invariance;
pub mod mitigate;
mod monitor;
pub mod overparameterised;
mod present;
pub mod registry;
pub mod rows;
mod saved;
pub mod scaling;
mod scores;
pub mod settings;
pub mod study;
pub mod sweep;
pub mod synthetic;
#[cfg(test)]
mod testing;
pub mod toy;
mod training;
pub mod variants;

pub use backend::Backend;
pub use context::{CANCEL, Context};
pub use error::ExperimentError;
pub use experiment::{
    Aggregate, AggregateRow, Experiment, Finished, Options, Render, execute, metric_row, write_outcome,
};
