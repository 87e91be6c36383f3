//! Building blocks, one a file. Fields are called as in PyTorch, so that paths are `state_dict` names.

mod attention;
mod encoder;
mod linear;
mod norm;

pub(crate) use encoder::{Encoder, EncoderConfig};
pub(crate) use linear::Linear;
