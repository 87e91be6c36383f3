//! Which feature groups are shortcuts: tests on rows and labels, before or beside any model (notebook parts 34 and 36).
//!
//! A shortcut tells the label in a way that changes between environments; a cause tells it alike in all of them. So a group is accused if its
//! columns tell the label (power), and tell it differently well from one environment to the other (instability), beyond what chance does. That groups are
//! associated with the label says nothing: causes are too. Rows of test environments have no place here.
//!
//! ```
//! use disentangle_analysis::detection::{DetectionConfig, Rows, Standing, detect};
//! use disentangle_data::Seed;
//! use ndarray::Array2;
//!
//! // One column tells the label alike in both environments, the other only in the first.
//! let mut random = Seed::new(1).rng();
//! let labels: Vec<f32> = (0..800).map(|row| (row % 2) as f32).collect();
//! let environments: Vec<u32> = (0..800).map(|row| u32::from(row >= 400)).collect();
//! let x = Array2::from_shape_fn((800, 2), |(row, column)| {
//!     let told = f64::from(labels[row]) * f64::from(u8::from(column == 0 || environments[row] == 0));
//!     1.5 * told + random.normal()
//! });
//! let rows = Rows { labels: &labels, environments: &environments, block: 1 };
//! let groups = [("cause".to_string(), x.slice(ndarray::s![.., ..1]).to_owned()), ("shortcut".to_string(), x.slice(ndarray::s![.., 1..]).to_owned())];
//! let found = detect(&groups, &rows, &DetectionConfig::default(), Seed::new(2))?;
//! assert_eq!(found[0].standing, Standing::Genuine);
//! assert_eq!(found[1].standing, Standing::Shortcut);
//! # Ok::<(), disentangle_analysis::matrix::MatrixError>(())
//! ```

mod features;
mod instability;
mod intervention;
mod power;
mod probe;
#[cfg(test)]
mod tests;
mod verdict;

pub use features::{group_features, independence};
pub use instability::{EnvironmentAuc, Instability};
pub use intervention::{CausalStrength, causal_strength, counterfactual_impact};
pub use power::{Power, temporal_consistency};
pub use probe::{GroupProbe, auc_by_environment};
pub use verdict::{Detected, DetectionConfig, Rows, Standing, detect};
