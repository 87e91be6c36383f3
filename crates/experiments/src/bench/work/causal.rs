//! Interventions: effects through every head and block of a deep model, and every neuron of a small one.

use disentangle_analysis::probing::{self, Substitute};
use disentangle_data::Seed;
use disentangle_models::{Classifier, Layout, ModelConfig, SequenceConfig, SmallConfig};
use ndarray::s;

use super::normal;
use crate::{
    ExperimentError,
    bench::measure::{Answer, Job},
};

/// 8 layers, 128 wide, 1000 rows of 10 positions: direct and indirect effects of two columns through 80 places. The
/// number is the sum of the absolute indirect effects.
pub(crate) fn effect_map(job: &Job) -> Result<Answer, ExperimentError> {
    let config = SequenceConfig {
        hidden: 128,
        heads: 8,
        layers: 8,
        feed_forward: 512,
        ..SequenceConfig::new(12, 10)
    };
    let model = ModelConfig::Sequence(config).init(Seed::new(0), job.device)?;
    let x = normal("interventions", 1000, 10, 12);
    let mut changed = x.clone();
    for row in 0..1000 {
        let donor = x.slice(s![(row + 1) % 1000, .., ..2]);
        changed.slice_mut(s![row, .., ..2]).assign(&donor);
    }
    let mediators = probing::block_mediators(&model);
    let run = |count: usize| -> Result<f64, ExperimentError> {
        let draws = std::slice::from_ref(&changed);
        let found = probing::effect_map(&model, &x, draws, &mediators[..count], job.device, job.threads)?;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let sizes = found.mediators.iter().map(|one| mean(&one.effects.indirect).abs());
        Ok(sizes.sum::<f64>())
    };
    let (mut answer, number) = job.time(1000, || run(4).map(|_| ()), || run(mediators.len()))?;
    job.check_number(&mut answer, number, &model, x.view())?;
    Ok(answer)
}

/// Every neuron of the small model on 128 rows of 6 groups, but for attention scores and patterns. The number is the
/// sum of the mean squared changes.
pub(crate) fn neurons(job: &Job) -> Result<Answer, ExperimentError> {
    let groups = (0..6).map(|group| (group * 10..group * 10 + 10).collect()).collect();
    let config = SmallConfig {
        layout: Layout::PerGroup { groups },
        ..SmallConfig::new(60)
    };
    let model = ModelConfig::Small(config).init(Seed::new(0), job.device)?;
    let x = normal("interventions", 128, 1, 60);
    let left_out = ["input", "logit", "attn.scores", "attn.pattern"];
    let sites: Vec<String> = model.sites().into_iter().map(|site| site.name).collect();
    let sites = sites
        .iter()
        .filter(|site| !left_out.iter().any(|end| site.ends_with(end)));
    let run = |sites: &[&String]| -> Result<f64, ExperimentError> {
        let mut sum = 0.0;
        for site in sites {
            let found = probing::neuron_importance(&model, x.view(), site, Substitute::Mean, job.device, job.threads)?;
            sum += found.iter().map(|neuron| neuron.mean_square).sum::<f64>();
        }
        Ok(sum)
    };
    let sites: Vec<&String> = sites.collect();
    let (mut answer, number) = job.time(128, || run(&sites[..1]).map(|_| ()), || run(&sites))?;
    job.check_number(&mut answer, number, &model, x.view())?;
    Ok(answer)
}
