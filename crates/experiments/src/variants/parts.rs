//! Attention, weights and blocks of a model in four numbers (notebook part 48, which printed them side by side for three untrained
//! architectures).

use burn::tensor::Device;
use disentangle_analysis::{descriptive::mean, probing::capture_whole, similarity::linear_cka};
use disentangle_models::{Classifier, Model};
use ndarray::{Array2, Array3};

use super::measure::Subject;
use crate::{ExperimentError, components::attention_means};

/// Rows that are looked at, at most.
const ROWS: usize = 300;
/// What counts as a weight of 0 in the notebook.
const SMALL_WEIGHT: f32 = 0.01;

impl Subject<'_> {
    /// Attention entropy, head diversity, weight sparsity, and how alike blocks are.
    pub(super) fn parts(&self) -> Result<[Option<f64>; 4], ExperimentError> {
        let x = self.shape.rows(&self.rows.dataset.inputs(&self.at_most(ROWS)));
        let attention = attention_means(self.model, &x, self.device)?;
        let over = |which: usize| mean(&attention.iter().filter_map(|one| one[which]).collect::<Vec<f64>>());
        let names = self.model.sites().into_iter().map(|site| site.name);
        let blocks: Vec<String> = names
            .filter(|name| name.ends_with("attn.out") || name.ends_with("ff.out"))
            .collect();
        Ok([
            over(0),
            over(1),
            weight_sparsity(self.model, self.device)?,
            alike(self.model, &x, &blocks, self.device)?,
        ])
    }
}

/// Share of weights of attention and feed-forward parts that are below 0.01 in magnitude.
pub(crate) fn weight_sparsity(model: &Model, device: &Device) -> Result<Option<f64>, ExperimentError> {
    let (mut small, mut all) = (0, 0);
    model.with_projections(device, &mut |weight| {
        small += weight.iter().filter(|value| value.abs() < SMALL_WEIGHT).count();
        all += weight.len();
        Ok(weight)
    })?;
    Ok((all > 0).then(|| small as f64 / all as f64))
}

/// Mean linear CKA between every two of some sites, all positions of all rows; constant ones are left out. `None` below two sites.
pub(crate) fn alike(
    model: &Model,
    x: &Array3<f32>,
    sites: &[String],
    device: &Device,
) -> Result<Option<f64>, ExperimentError> {
    // No names would mean no pass.
    if sites.len() < 2 {
        return Ok(None);
    }
    let captured = capture_whole(model, x.view(), sites, device)?;
    let matrices: Vec<Array2<f64>> = captured.into_iter().map(|matrix| matrix.mapv(f64::from)).collect();
    let mut found = Vec::new();
    for (place, first) in matrices.iter().enumerate() {
        for (other, second) in matrices.iter().enumerate().skip(place + 1) {
            let names = (sites[place].as_str(), sites[other].as_str());
            found.extend(linear_cka((names.0, first.view()), (names.1, second.view()))?);
        }
    }
    Ok(mean(&found))
}

#[cfg(test)]
mod tests {
    use disentangle_data::Seed;
    use disentangle_models::Family;

    use super::*;

    fn model() -> Model {
        let sizes: [(&'static str, serde_json::Value); 3] =
            [("hidden", 8.into()), ("heads", 2.into()), ("feed_forward", 8.into())];
        let config = Family::Parallel.config(3, 4, &[]).with_settings(&sizes).unwrap();
        config.init(Seed::new(1), &Device::flex()).unwrap()
    }

    #[test]
    fn small_weights_are_counted_in_attention_and_feed_forward_parts() {
        let device = Device::flex();
        let change = |to: f32| {
            let all = model().with_projections(&device, &mut |mut weight| {
                weight.fill(to);
                Ok(weight)
            });
            weight_sparsity(&all.unwrap(), &device).unwrap()
        };
        assert_eq!((change(0.005), change(-0.02)), (Some(1.0), Some(0.0)));
        let drawn = weight_sparsity(&model(), &device).unwrap().unwrap();
        assert!(drawn > 0.0 && drawn < 0.2, "{drawn}");
    }

    /// The mean over a single position is that position.
    #[test]
    fn a_copy_is_alike_and_another_block_less_so() {
        let device = Device::flex();
        let mut rng = Seed::new(2).rng();
        let x = Array3::from_shape_simple_fn((40, 1, 5), || rng.normal() as f32);
        let small = Family::Small.config(5, 1, &[]).init(Seed::new(3), &device).unwrap();
        let of = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            alike(&small, &x, &names, &device).unwrap()
        };
        assert!((of(&["layers.1.resid", "pool"]).unwrap() - 1.0).abs() < 1e-6);
        assert!((0.0..0.99).contains(&of(&["layers.0.ff.out", "layers.1.ff.out"]).unwrap()));
        assert_eq!(of(&["pool"]), None);
    }
}
