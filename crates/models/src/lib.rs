//! Transformers for tabular sequences, built to be looked into, and the engine that trains them.
//!
//! - Activations are read and edited through a [`Tap`], an argument of the forward pass.
//! - [`train::train`] is deterministic: the same seed gives the same bits for any number of threads, and after an interruption.
//! - Weights are safetensors under PyTorch's names: [`weights`].
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use disentangle_data::Seed;
//! use disentangle_models::{Classifier, Input, SequenceConfig, Tap};
//!
//! let device = Device::flex();
//! let model = SequenceConfig::new(5, 30).init(Seed::new(0), &device)?;
//! let input = Input::new(Tensor::zeros([2, 30, 5], &device));
//! let mut tap = Tap::new().record("layers.0.attn.pattern")?;
//! let logits = model.forward(&input, &mut tap);
//! assert_eq!(logits.dims(), [2]);
//! assert_eq!(tap.finish()?.get("layers.0.attn.pattern")?.dims(), [2, 4, 30, 30]);
//! # Ok::<(), disentangle_models::ModelError>(())
//! ```
//!
//! This crate knows no files but weights, no statistics and no reports.

mod device;
mod dropout;
mod error;
mod family;
mod init;
mod input;
mod layers;
mod model;
pub mod parallel;
mod parameters;
mod select;
mod site;
mod state;
mod tap;
pub mod train;
pub mod weights;
mod zoo;

#[cfg(test)]
mod tests;

pub use device::{is_accelerator, rows_at_once};
pub use dropout::Dropout;
pub use error::ModelError;
pub use family::Family;
pub use input::{Input, Pass};
pub use layers::Positions;
pub use model::{Classifier, InputWeight, Model, ModelConfig};
pub use select::Selection;
pub use site::{Site, SiteName};
pub use state::{State, Trace};
pub use tap::{Tap, TapRun, near_names};
pub use zoo::{
    Disentangled, DisentangledConfig, Gated, GatedConfig, Healthcare, HealthcareConfig, Hierarchical,
    HierarchicalConfig, Large, LargeConfig, Layout, LinearConfig, LinearModel, Parallel, ParallelConfig, Routing,
    Sequence, SequenceConfig, Small, SmallConfig,
};
