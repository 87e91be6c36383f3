//! Multi-head self-attention (Vaswani et al. 2017, section 3.2).

use burn::{
    module::Module,
    tensor::{Bool, Tensor, activation::softmax},
};

use super::Linear;
use crate::{SiteName, init::Init, input::Pass};

/// Queries, keys and values come from one fused projection.
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
        layer: usize,
        pass: &mut Pass,
    ) -> Tensor<3> {
        let [rows, positions, width] = x.dims();
        let head = width / self.heads;
        let at = |part| SiteName::layer(layer, part);
        let fused = self.in_proj.forward(x);
        let part = |index: usize| {
            let part = fused.clone().narrow(2, index * width, width);
            part.reshape([rows, positions, self.heads, head]).swap_dims(1, 2)
        };
        let q = pass.site(at("attn.q"), part(0));
        let k = pass.site(at("attn.k"), part(1));
        let v = pass.site(at("attn.v"), part(2));

        // Scaling the queries touches fewer numbers than scaling the scores.
        let mut scores = (q * (1.0 / (head as f32).sqrt())).matmul(k.swap_dims(2, 3));
        if let Some(masked) = masked {
            // Finite, so that a row that is all padding attends evenly instead of becoming NaN.
            scores = scores.mask_fill(masked.clone().expand([rows, self.heads, positions, positions]), -1e9);
        }
        let scores = pass.site(at("attn.scores"), scores);
        let pattern = pass.site_with_dropout(at("attn.pattern"), softmax(scores, 3));
        let z = pass.site(at("attn.z"), pattern.matmul(v));
        let joined = z.swap_dims(1, 2).reshape([rows, positions, width]);
        pass.site_with_dropout(at("attn.out"), self.out_proj.forward(joined))
    }

    /// Sites in the order in which they fire, with their axes.
    pub(crate) fn sites(layer: usize, heads: usize, positions: usize, width: usize) -> Vec<crate::Site> {
        let head = [heads, positions, width / heads];
        let square = [heads, positions, positions];
        let sites = [
            ("attn.q", head),
            ("attn.k", head),
            ("attn.v", head),
            ("attn.scores", square),
            ("attn.pattern", square),
            ("attn.z", head),
            ("attn.out", [1, positions, width]),
        ];
        sites
            .map(|(part, axes)| crate::Site::new(SiteName::layer(layer, part), axes))
            .into()
    }
}
