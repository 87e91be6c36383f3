//! Multi-head self-attention (Vaswani et al. 2017, section 3.2).

use burn::{
    module::Module,
    tensor::{Bool, Tensor, activation::softmax},
};

use super::Linear;
use crate::{Site, init::Init, input::Pass, site::Place};

/// Queries, keys and values come from one fused projection, as in `torch.nn.MultiheadAttention`.
#[derive(Module, Debug)]
pub(crate) struct Attention {
    in_proj: Linear,
    out_proj: Linear,
    heads: usize,
}

impl Attention {
    pub(crate) fn new(init: &Init, width: usize, heads: usize) -> Self {
        // PyTorch: Xavier-uniform over the fused matrix, and biases 0.
        let xavier = (6.0 / (4 * width) as f64).sqrt();
        let bound = 1.0 / (width as f64).sqrt();
        Self {
            in_proj: Linear::without_bias_noise(&init.child("in_proj"), width, 3 * width, xavier),
            out_proj: Linear::without_bias_noise(&init.child("out_proj"), width, width, bound),
            heads,
        }
    }

    /// `[row, position, width]` to the same; `masked` is true where a key is padding, `[row, 1, 1, position]`.
    pub(crate) fn forward(
        &self,
        x: Tensor<3>,
        masked: Option<&Tensor<4, Bool>>,
        place: Place,
        pass: &mut Pass,
    ) -> Tensor<3> {
        let width = x.dims()[2];
        let fused = self.in_proj.forward(x);
        let projected = [0, 1, 2].map(|index| fused.clone().narrow(2, index * width, width));
        let joined = attend(projected, self.heads, masked, place, pass);
        pass.site_with_dropout(place.site("attn.out"), self.out_proj.forward(joined))
    }
}

/// Attention between projection and output projection: queries, keys and values `[row, position, width]` to the heads' joined
/// values, the same shape.
pub(crate) fn attend(
    projected: [Tensor<3>; 3],
    heads: usize,
    masked: Option<&Tensor<4, Bool>>,
    place: Place,
    pass: &mut Pass,
) -> Tensor<3> {
    let [rows, positions, width] = projected[0].dims();
    let head = width / heads;
    let [q, k, v] = projected.map(|part| part.reshape([rows, positions, heads, head]).swap_dims(1, 2));
    let q = pass.site(place.site("attn.q"), q);
    let k = pass.site(place.site("attn.k"), k);
    let v = pass.site(place.site("attn.v"), v);

    // Scaling the queries touches fewer numbers than scaling the scores.
    let mut scores = (q * (1.0 / (head as f32).sqrt())).matmul(k.swap_dims(2, 3));
    if let Some(masked) = masked {
        // Finite, so that a row that is all padding attends evenly instead of becoming NaN.
        scores = scores.mask_fill(masked.clone().expand([rows, heads, positions, positions]), -1e9);
    }
    let scores = pass.site(place.site("attn.scores"), scores);
    let pattern = pass.site_with_dropout(place.site("attn.pattern"), softmax(scores, 3));
    let z = pass.site(place.site("attn.z"), pattern.matmul(v));
    z.swap_dims(1, 2).reshape([rows, positions, width])
}

/// Sites of [`Attention::forward`] in the order in which they fire; `keys` is how many keys a query sees.
pub(crate) fn attention_sites(place: Place, heads: usize, positions: usize, keys: usize, width: usize) -> Vec<Site> {
    let head = [heads, positions, width / heads];
    let square = [heads, positions, keys];
    let sites = [
        ("attn.q", head),
        ("attn.k", head),
        ("attn.v", head),
        ("attn.scores", square),
        ("attn.pattern", square),
        ("attn.z", head),
        ("attn.out", [1, positions, width]),
    ];
    sites.map(|(part, axes)| Site::new(place.site(part), axes)).into()
}

/// True where a key is padding, `[row, 1, 1, position]`, from true where a position holds data.
pub(crate) fn padding(key_mask: Option<&Tensor<2, Bool>>) -> Option<Tensor<4, Bool>> {
    key_mask.map(|mask| {
        let [rows, positions] = mask.dims();
        mask.clone().bool_not().reshape([rows, 1, 1, positions])
    })
}
