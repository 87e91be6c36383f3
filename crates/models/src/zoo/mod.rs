//! The models, one a file.

mod disentangled;
mod gated;
mod healthcare;
mod hierarchical;
mod large;
mod linear;
mod parallel;
mod sequence;
mod small;
#[cfg(test)]
mod tests;
mod tokens;

pub use disentangled::{Disentangled, DisentangledConfig};
pub use gated::{Gated, GatedConfig};
pub use healthcare::{Healthcare, HealthcareConfig, Routing};
pub use hierarchical::{Hierarchical, HierarchicalConfig};
pub use large::{Large, LargeConfig};
pub use linear::{LinearConfig, LinearModel};
pub use parallel::{Parallel, ParallelConfig};
pub use sequence::{Sequence, SequenceConfig};
pub use small::{Small, SmallConfig};
pub use tokens::Layout;

use burn::{module::Param, tensor::Tensor};

use crate::{
    Site, SiteName, State,
    input::Pass,
    layers::{Linear, mean_over_positions},
};

/// Sizes that the notebook's architecture variants (part 10) share.
mod defaults {
    pub(super) fn hidden() -> usize {
        768
    }
    pub(super) fn heads() -> usize {
        8
    }
    /// PyTorch's default.
    pub(super) fn feed_forward() -> usize {
        2048
    }
    /// PyTorch's default.
    pub(super) fn dropout() -> f64 {
        0.1
    }
}

/// With what sequence models begin: projected features plus positions, `[row, position, width]`.
fn embed(mut state: State, projection: &Linear, positions: Option<&Param<Tensor<3>>>, pass: &mut Pass) -> State {
    let x = pass.site(SiteName::new("input"), state.stream);
    let embedded = match positions {
        None => projection.forward(x),
        Some(positions) => projection.forward(x) + positions.val(),
    };
    state.stream = pass.site(SiteName::new("embed"), embedded);
    state
}

/// The sites with which every transformer begins: `positions` of `features`, embedded as `tokens` of `width`.
fn first_sites(positions: usize, features: usize, tokens: usize, width: usize) -> Vec<Site> {
    vec![
        Site::new(SiteName::new("input"), [1, positions, features]),
        Site::new(SiteName::new("embed"), [1, tokens, width]),
    ]
}

/// The sites with which every transformer ends.
fn last_sites(width: usize) -> [Site; 2] {
    [
        Site::new(SiteName::new("pool"), [1, 1, width]),
        Site::new(SiteName::new("logit"), [1, 1, 1]),
    ]
}

/// From `[row, position, width]` over the mean of positions to one logit a row.
fn read_out(state: State, output: &Linear, pass: &mut Pass) -> State {
    let pooled = mean_over_positions(state.stream.clone(), state.key_mask.as_ref());
    let pooled = pass.site(SiteName::new("pool"), pooled);
    let logit = output.forward(pooled).reshape([state.rows()]);
    let logit = pass.site(SiteName::new("logit"), logit);
    state.with_logits(logit)
}
