//! Building blocks, one a file. Fields are called as in PyTorch, so that paths are `state_dict` names.

mod attention;
mod encoder;
mod feed_forward;
mod linear;
mod norm;
mod pool;
mod positions;

pub(crate) use attention::{Attention, attend, attention_sites, by_head, join, padding};
pub(crate) use encoder::{Encoder, EncoderConfig, EncoderLayer, Layer, STEPS, layer_step, step_of_stack};
pub(crate) use feed_forward::{Activation, AfterAttention, FeedForward};
pub(crate) use linear::Linear;
pub(crate) use norm::LayerNorm;
pub(crate) use pool::mean_over_positions;
pub use positions::Positions;
pub(crate) use positions::{PositionEmbedding, position_embedding};
