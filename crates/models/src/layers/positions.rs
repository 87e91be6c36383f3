//! Learned positions.

use burn::{module::Param, tensor::Tensor};
use serde::{Deserialize, Serialize};

use crate::init::Init;

/// Whether a model knows where in the window a row stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Positions {
    /// One learned vector a position is added.
    #[default]
    Learned,
    /// None, as in the notebook: the order of rows cannot be seen.
    None,
}

/// `[1, position, width]`, or nothing.
pub(crate) type PositionEmbedding = Option<Param<Tensor<3>>>;

/// Standard normal, as `torch.randn`.
pub(crate) fn position_embedding(init: &Init, positions: Positions, length: usize, width: usize) -> PositionEmbedding {
    match positions {
        Positions::Learned => Some(init.normal("pos_embedding", [1, length, width])),
        Positions::None => None,
    }
}
