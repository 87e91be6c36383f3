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

    /// Up to what the heads read: `[row, position, width]` to `[row, head, position, width / heads]`; `masked` is true where a key is
    /// padding, `[row, 1, 1, position]`.
    pub(crate) fn heads(
        &self,
        x: Tensor<3>,
        masked: Option<&Tensor<4, Bool>>,
        place: Place,
        pass: &mut Pass,
    ) -> Tensor<4> {
        let [rows, positions, width] = x.dims();
        let fused = self.in_proj.forward(x);
        let parted = fused
            .reshape([rows, positions, 3 * self.heads, width / self.heads])
            .swap_dims(1, 2);
        let projected = [0, 1, 2].map(|index| parted.clone().narrow(1, index * self.heads, self.heads));
        attend(projected, masked, place, pass)
    }

    /// From there to the attention's output, `[row, position, width]`.
    pub(crate) fn out(&self, heads: Tensor<4>, place: Place, pass: &mut Pass) -> Tensor<3> {
        join(&self.out_proj, heads, place, pass)
    }
}

/// `[row, position, width]` as `[row, head, position, width / heads]`.
pub(crate) fn by_head(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [rows, positions, width] = x.dims();
    x.reshape([rows, positions, heads, width / heads]).swap_dims(1, 2)
}

/// Attention between projection and output projection: queries, keys and values by head to what each head reads, all
/// `[row, head, position, width]`.
pub(crate) fn attend(
    projected: [Tensor<4>; 3],
    masked: Option<&Tensor<4, Bool>>,
    place: Place,
    pass: &mut Pass,
) -> Tensor<4> {
    let [rows, heads, positions, head] = projected[0].dims();
    let [q, k, v] = projected;
    let q = pass.site(place.site("attn.q"), q);
    let k = pass.site(place.site("attn.k"), k);
    let v = pass.site(place.site("attn.v"), v);

    // Scores lie side by side in memory; queries, which are fewer, do not, and would be slower to scale.
    let mut scores = q.matmul(k.swap_dims(2, 3)) * (1.0 / (head as f32).sqrt());
    if let Some(masked) = masked {
        // Finite, so that a row that is all padding attends evenly instead of becoming NaN.
        scores = scores.mask_fill(masked.clone().expand([rows, heads, positions, positions]), -1e9);
    }
    let scores = pass.site(place.site("attn.scores"), scores);
    let pattern = pass.site_with_dropout(place.site("attn.pattern"), softmax(scores, 3));
    pattern.matmul(v)
}

/// What each head reads, through the output projection.
pub(crate) fn join(out_proj: &Linear, heads: Tensor<4>, place: Place, pass: &mut Pass) -> Tensor<3> {
    let z = pass.site(place.site("attn.z"), heads);
    let [rows, heads, positions, head] = z.dims();
    let joined = z.swap_dims(1, 2).reshape([rows, positions, heads * head]);
    pass.site_with_dropout(place.site("attn.out"), out_proj.forward(joined))
}

/// Sites of an attention in the order in which they fire; `keys` is how many keys a query sees.
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
