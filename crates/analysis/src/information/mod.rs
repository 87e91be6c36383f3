//! How much information sites hold and pass on (notebook part 28). What of it is a matter of singular values (part 29) lies in
//! [`crate::spectra`].

mod alignment;
mod entropy;
mod mutual;
#[cfg(test)]
mod tests;

pub use alignment::{Alignment, Kernel, alignment};
pub use entropy::{GaussianEntropy, Histograms, NORMAL, gaussian_entropy};
pub use mutual::{Shared, SharedSettings, ceiling, gaussian_information, ksg, shared_information, top_components};
