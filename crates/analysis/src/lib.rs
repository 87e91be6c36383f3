//! What a model relies on, in numbers with intervals.
//!
//! Without default features this crate takes arrays and gives numbers, and pulls in no burn. The feature `probing` adds what
//! needs a model and a tap.
//!
//! ```
//! use disentangle_analysis::{Bootstrap, classification::roc_auc};
//! use disentangle_data::Seed;
//!
//! let (scores, labels) = ([0.1, 0.4, 0.35, 0.8], [0.0, 0.0, 1.0, 1.0]);
//! assert_eq!(roc_auc(&scores, &labels), Some(0.75));
//! let auc = Bootstrap::new(1, 200, Seed::new(0)).estimate(4, |rows| {
//!     let pick = |row: &usize| (scores[*row], labels[*row]);
//!     let (scores, labels): (Vec<f64>, Vec<f32>) = rows.iter().map(pick).unzip();
//!     roc_auc(&scores, &labels)
//! });
//! assert_eq!(auc.value, Some(0.75));
//! ```

pub mod activations;
mod adam;
pub mod association;
pub mod attention;
pub mod boosting;
mod bootstrap;
pub mod causal;
pub mod classification;
pub mod descriptive;
pub mod detection;
#[cfg(test)]
mod detection_tests;
pub mod dimensionality;
mod estimate;
pub mod granger;
pub mod ica;
pub mod importance;
pub mod information;
pub mod interference;
pub mod learning;
pub mod linalg;
pub mod logistic;
pub mod matrix;
pub mod moments;
pub mod multiple;
pub mod normality;
pub mod overlap;
mod pca;
#[cfg(test)]
mod population_tests;
pub mod probe;
#[cfg(feature = "probing")]
pub mod probing;
pub mod proportion;
pub mod regression;
pub mod similarity;
pub mod site;
pub mod sparse_autoencoder;
pub mod spectra;
pub mod spectrum;
pub mod subgroups;
#[cfg(test)]
mod superposition_tests;
#[cfg(test)]
mod tests;
pub mod toy;
pub mod transport;
pub mod trend;
#[cfg(test)]
mod trend_tests;

pub use bootstrap::{Bootstrap, over_seeds};
pub use estimate::Estimate;
pub use pca::Pca;
