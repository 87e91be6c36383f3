//! Where the heads of a layer attend, and how far they differ from each other.

use burn::tensor::Device;
use disentangle_analysis::{attention::attention, descriptive::mean, probing::capture_whole};
use disentangle_models::{Classifier, Model};
use ndarray::{Array3, Array4, ArrayView4, Axis, s};

use crate::ExperimentError;

/// A key that a query gives at most this weight counts as not attended to (the notebook's threshold).
const UNATTENDED: f64 = 0.01;
/// Rows that pass at once.
const ROWS: usize = 64;

/// Attention of one layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Heads {
    /// Mean over rows of the entropy over ln(keys); `None` with one key.
    pub(super) entropy: Option<f64>,
    /// Share of weights that are at most 0.01; `None` with one key.
    pub(super) sparsity: Option<f64>,
    /// 1 - cosine of two heads' maps `[query, key]` of a row, mean over rows; pairs (1, 2), (1, 3), .., (2, 3), ..
    /// Empty with one key, where all maps are equal.
    pub(super) pairs: Vec<f64>,
}

impl Heads {
    /// Mean over pairs of heads; `None` with one head or one key.
    pub(super) fn diversity(&self) -> Option<f64> {
        mean(&self.pairs)
    }
}

/// Every layer's attention on `[row, position, feature]`.
pub(super) fn heads(model: &Model, x: &Array3<f32>, device: &Device) -> Result<Vec<Heads>, ExperimentError> {
    let sites: Vec<_> = model
        .sites()
        .into_iter()
        .filter(|site| site.name.ends_with("attn.pattern"))
        .collect();
    let names: Vec<String> = sites.iter().map(|site| site.name.clone()).collect();
    let mut sums: Vec<Sums> = sites.iter().map(|_| Sums::default()).collect();
    let rows = x.dim().0;
    for start in (0..rows).step_by(ROWS) {
        let part = x.slice(s![start..(start + ROWS).min(rows), .., ..]);
        let captured = capture_whole(model, part.view(), &names, device)?;
        for ((site, own), sums) in sites.iter().zip(captured).zip(&mut sums) {
            // Rows are (row, query), columns are (head, key).
            let [heads, queries, keys] = site.axes;
            let weights: Vec<f64> = own.iter().map(|&weight| f64::from(weight)).collect();
            let pattern = Array4::from_shape_vec((part.dim().0, queries, heads, keys), weights)
                .map_err(|error| ExperimentError::Failed(format!("site `{}`: {error}", site.name)))?;
            sums.add(pattern.permuted_axes([0, 2, 1, 3]).view());
        }
    }
    Ok(sums.iter().map(Sums::heads).collect())
}

/// Sums over rows.
#[derive(Default)]
struct Sums {
    rows: usize,
    entropy: Vec<f64>,
    weights: usize,
    unattended: usize,
    pairs: Vec<f64>,
}

impl Sums {
    /// Takes in `[row, head, query, key]`.
    fn add(&mut self, pattern: ArrayView4<f64>) {
        let (rows, heads, _, keys) = pattern.dim();
        if keys < 2 {
            return;
        }
        self.rows += rows;
        self.entropy.extend(attention(pattern.view()).entropy);
        self.weights += pattern.len();
        self.unattended += pattern.iter().filter(|weight| **weight <= UNATTENDED).count();
        self.pairs.resize(heads * (heads - 1) / 2, 0.0);
        for row in pattern.axis_iter(Axis(0)) {
            let maps: Vec<Vec<f64>> = row
                .axis_iter(Axis(0))
                .map(|map| map.iter().copied().collect())
                .collect();
            let mut sums = self.pairs.iter_mut();
            for (first, own) in maps.iter().enumerate() {
                for (other, sum) in maps[first + 1..].iter().zip(sums.by_ref()) {
                    *sum += 1.0 - cosine(own, other);
                }
            }
        }
    }

    fn heads(&self) -> Heads {
        let rows = self.rows.max(1) as f64;
        Heads {
            entropy: mean(&self.entropy),
            sparsity: (self.weights > 0).then(|| self.unattended as f64 / self.weights as f64),
            pairs: self.pairs.iter().map(|sum| sum / rows).collect(),
        }
    }
}

/// Of two vectors that are not 0, as attention never is.
fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    // Rounding must not make two equal heads differ by less than nothing.
    (product(a, b) / (product(a, a) * product(b, b)).sqrt()).min(1.0)
}

#[cfg(test)]
mod tests {
    use disentangle_data::Seed;
    use disentangle_models::{LargeConfig, ModelConfig};

    use super::*;

    /// Three heads on two positions: even, even, and each position to itself.
    #[test]
    fn equal_heads_do_not_differ_and_other_ones_by_their_cosine() {
        let mut pattern = Array4::from_elem((2, 3, 2, 2), 0.5);
        for row in 0..2 {
            for query in 0..2 {
                pattern[[row, 2, query, query]] = 1.0;
                pattern[[row, 2, query, 1 - query]] = 0.0;
            }
        }
        let mut sums = Sums::default();
        sums.add(pattern.view());
        sums.add(pattern.slice(s![..1, .., .., ..]));
        let found = sums.heads();
        // Half of the weights of one head in three, and no entropy there.
        assert_eq!(found.sparsity, Some(1.0 / 6.0));
        assert!((found.entropy.unwrap() - 2.0 / 3.0).abs() < 1e-12);
        // Even against own: (.5 + .5) / (1 · √2).
        let apart = 1.0 - 0.5f64.sqrt();
        for (pair, expected) in found.pairs.iter().zip([0.0, apart, apart]) {
            assert!((pair - expected).abs() < 1e-12, "{:?}", found.pairs);
        }
        assert_eq!(found.pairs.len(), 3);
        assert!((found.diversity().unwrap() - 2.0 / 3.0 * apart).abs() < 1e-12);
    }

    #[test]
    fn one_key_says_nothing() {
        let mut sums = Sums::default();
        sums.add(Array4::from_elem((3, 2, 1, 1), 1.0).view());
        let found = sums.heads();
        assert_eq!(found, Heads::default());
        assert_eq!(found.diversity(), None);
    }

    /// 70 rows pass in two parts; every layer is there, and weights of a query add up to 1 in the right places.
    #[test]
    fn patterns_of_a_model_are_read_by_head() {
        let device = Device::flex();
        let config = LargeConfig {
            hidden: 8,
            heads: 2,
            layers: 3,
            ..LargeConfig::new(4, 5)
        };
        let model = ModelConfig::Large(config).init(Seed::new(1), &device).unwrap();
        let mut rng = Seed::new(2).rng();
        let x = Array3::from_shape_simple_fn((70, 5, 4), || rng.normal() as f32);
        let found = heads(&model, &x, &device).unwrap();
        assert_eq!(found.len(), 3);
        for layer in &found {
            assert_eq!(layer.pairs.len(), 1);
            assert!((0.0..1.0).contains(&layer.pairs[0]));
            let entropy = layer.entropy.unwrap();
            assert!(entropy > 0.3 && entropy < 1.0, "{entropy}");
        }
        // All weights even: scores are 0 where queries are.
        let even = model
            .with_parameter("attention_layers.0.in_proj_weight", &[], &device, |w| w.fill(0.0))
            .unwrap();
        let found = heads(&even, &x, &device).unwrap();
        assert!((found[0].entropy.unwrap() - 1.0).abs() < 1e-6 && found[0].pairs[0].abs() < 1e-6);
    }
}
