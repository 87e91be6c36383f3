//! What would have been: effects of a feature group, the parts of the network that carry them, and how robust and how attributable the
//! output is (notebook parts 21 to 25). Arrays in, numbers out; [`crate::probing`] runs the networks.
//!
//! A *counterfactual* row x' is a row x whose group holds other values. Y is the logit, M a place in the network:
//! total effect TE = Y(x') - Y(x); natural direct effect NDE = Y(x', M(x)) - Y(x); natural indirect effect
//! NIE = Y(x, M(x')) - Y(x); what is left, TE - NDE - NIE, is their interaction (Pearl 2001; VanderWeele 2013).

pub mod attribution;
pub mod contrast;
mod error;
pub mod interaction;
pub mod mediation;
pub mod robustness;

pub use error::CausalError;

#[cfg(test)]
pub(crate) mod tests;
