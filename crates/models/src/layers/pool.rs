//! From positions to one vector a row.

use burn::tensor::{Bool, Tensor};

/// The mean over the positions that hold data, `[row, position, width]` to `[row, width]`; 0 for a row without any.
pub(crate) fn mean_over_positions(hidden: Tensor<3>, key_mask: Option<&Tensor<2, Bool>>) -> Tensor<2> {
    let [rows, positions, width] = hidden.dims();
    match key_mask {
        None => hidden.mean_dim(1).reshape([rows, width]),
        Some(mask) => {
            let weights = mask.clone().float().reshape([rows, positions, 1]);
            let total = (hidden * weights.clone()).sum_dim(1).reshape([rows, width]);
            total / weights.sum_dim(1).reshape([rows, 1]).clamp_min(1.0)
        }
    }
}
