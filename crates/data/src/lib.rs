//! Tables to windows: the data half of *disentangle*.
//!
//! A [`Dataset`] holds rows, windows over them, labels, named feature groups with roles, and splits. Sources make one:
//! [`finance::FinanceFeatures`] from [`Prices`], which [`market::simulate`], a CSV or Parquet file (feature `io`) or Yahoo
//! (feature `yahoo`) provide; [`tabular`] and [`meds`] tables and health records, or a simulated [`ward`]; and [`synthetic`] rows with known causes and a known shortcut. The [`audit`] stops a run whose features look ahead.
//!
//! ```
//! use disentangle_data::{Split, finance::FinanceFeatures, market};
//!
//! let prices = market::simulate(&market::MarketConfig::default());
//! let dataset = FinanceFeatures::default().dataset("market", true, &[prices])?;
//! let train = dataset.part(Split::Train);
//! assert_eq!(dataset.inputs(&train).dim(), (train.len(), 30, 5));
//! assert_eq!(dataset.group("calendar").unwrap().columns, [3, 4]);
//! # Ok::<(), disentangle_data::DataError>(())
//! ```
//!
//! This crate knows no tensors and no models. With `default-features = false` it knows no files and no network either.

pub mod audit;
#[cfg(feature = "io")]
mod bars;
pub mod calendar;
#[cfg(feature = "io")]
mod csv_prices;
mod dataset;
mod error;
#[cfg(feature = "io")]
mod features;
pub mod finance;
#[cfg(feature = "io")]
mod frame;
pub mod indicators;
mod input_layer;
pub mod market;
#[cfg(feature = "io")]
mod matrices;
#[cfg(feature = "io")]
pub mod meds;
#[cfg(feature = "io")]
mod near;
#[cfg(feature = "io")]
mod parquet_prices;
mod prices;
#[cfg(feature = "io")]
mod reference;
mod scaler;
mod seed;
mod sparse;
mod split;
pub mod synthetic;
#[cfg(feature = "io")]
mod table;
#[cfg(feature = "io")]
pub mod tabular;
#[cfg(test)]
mod tests;
#[cfg(feature = "io")]
pub mod ward;
#[cfg(feature = "yahoo")]
mod yahoo;

#[cfg(feature = "io")]
pub use csv_prices::{PricesAndNotices, read_csv, read_prices};
pub use dataset::{Dataset, FeatureGroup, Role, Split, Window, check_groups};
pub use error::DataError;
#[cfg(feature = "io")]
pub use features::{Encoding, NewRows};
#[cfg(feature = "io")]
pub use frame::write_frame;
pub use input_layer::{InputLayer, Smoothing};
#[cfg(feature = "io")]
pub use matrices::{Matrix, read_labels, read_matrices};
#[cfg(feature = "io")]
pub use parquet_prices::{parse_parquet, read_parquet, write_parquet};
pub use prices::{Prices, format_time};
#[cfg(feature = "io")]
pub use reference::Reference;
pub use scaler::Scaler;
pub use seed::{Random, Seed};
pub use sparse::sparse_features;
pub use split::SplitRule;
#[cfg(feature = "io")]
pub use table::write_table;
#[cfg(feature = "yahoo")]
pub use yahoo::{Download, YahooRequest, download};
