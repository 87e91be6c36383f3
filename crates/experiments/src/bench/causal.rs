//! Interventions: effects through every head and block of a deep model, and every neuron of a small one.

use burn::tensor::Device;
use disentangle_analysis::probing::{self, Substitute};
use disentangle_data::Seed;
use disentangle_models::{Classifier, Layout, ModelConfig, SequenceConfig, SmallConfig};
use ndarray::{Array3, s};
use serde_json::Value;

use super::timed;
use crate::ExperimentError;

fn rows(count: usize, positions: usize, features: usize) -> Array3<f32> {
    let mut rng = Seed::new(0).child("interventions").rng();
    Array3::from_shape_simple_fn((count, positions, features), || rng.normal() as f32)
}

/// 8 layers, 128 wide, 1000 rows of 10 positions: direct and indirect effects of two columns through 80 places.
pub(super) fn effect_map(device: &Device, threads: usize) -> Result<Value, ExperimentError> {
    let config = SequenceConfig {
        hidden: 128,
        heads: 8,
        layers: 8,
        feed_forward: 512,
        ..SequenceConfig::new(12, 10)
    };
    let model = ModelConfig::Sequence(config).init(Seed::new(0), device)?;
    let x = rows(1000, 10, 12);
    let mut changed = x.clone();
    for row in 0..1000 {
        let donor = x.slice(s![(row + 1) % 1000, .., ..2]);
        changed.slice_mut(s![row, .., ..2]).assign(&donor);
    }
    let mediators = probing::block_mediators(&model);
    let run = |count: usize| {
        let draws = std::slice::from_ref(&changed);
        let found = probing::effect_map(&model, &x, draws, &mediators[..count], device, threads)?;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        Ok(found
            .mediators
            .iter()
            .map(|one| mean(&one.effects.indirect).abs())
            .sum())
    };
    timed(1000, 1, || run(4), || run(mediators.len()))
}

/// Every neuron of the small model on 128 rows of 6 groups, but for attention scores and patterns.
pub(super) fn neurons(device: &Device, threads: usize) -> Result<Value, ExperimentError> {
    let groups = (0..6).map(|group| (group * 10..group * 10 + 10).collect()).collect();
    let config = SmallConfig {
        layout: Layout::PerGroup { groups },
        ..SmallConfig::new(60)
    };
    let model = ModelConfig::Small(config).init(Seed::new(0), device)?;
    let x = rows(128, 1, 60);
    let left_out = ["input", "logit", "attn.scores", "attn.pattern"];
    let sites: Vec<String> = model.sites().into_iter().map(|site| site.name).collect();
    let sites = sites
        .iter()
        .filter(|site| !left_out.iter().any(|end| site.ends_with(end)));
    let run = |sites: &[&String]| {
        let mut sum = 0.0;
        for site in sites {
            let found = probing::neuron_importance(&model, x.view(), site, Substitute::Mean, device, threads)?;
            sum += found.iter().map(|neuron| neuron.mean_square).sum::<f64>();
        }
        Ok(sum)
    };
    let sites: Vec<&String> = sites.collect();
    timed(128, super::REPEATS, || run(&sites[..1]), || run(&sites))
}
