//! The architecture variants on the simulated ward (parts 47 and 48).

use disentangle_data::Role;
use disentangle_models::Family;
use serde_json::json;

use super::{
    Given, Numbers,
    asked::Asked,
    decisions::{noisy, sensitivity},
    fit::fit,
    heads::{self, Maps},
    sites,
};
use crate::{
    ExperimentError,
    claims::question::{Quality, Subject},
};

/// Level of the noise on all columns, in standard deviations.
const NOISE: f64 = 0.5;

const VARIANTS: [(Subject, Family); 3] = [
    (Subject::Parallel, Family::Parallel),
    (Subject::Hierarchical, Family::Hierarchical),
    (Subject::Gated, Family::Gated),
];

pub(super) fn measure(given: &Given) -> Result<Numbers, ExperimentError> {
    let rows = given.ward()?;
    let dataset = &rows.dataset;
    let known = rows.environments.first().map_or(&[][..], |one| &one.rows);
    let hidden = given.settings.hidden;
    let sizes = [("hidden", json!(hidden)), ("feed_forward", json!(4 * hidden))];
    let mut numbers = Numbers::default();
    for (subject, family) in VARIANTS {
        let start = given.start(family, dataset, &sizes, family.name())?;
        let model = fit(given, dataset, &start, family.name())?.model;
        let (draws, seed) = (given.settings.permutations, given.seed.child("asked"));
        let asked = Asked::new(&model, dataset, known, draws, seed, given.device)?;
        ask(&asked, subject, &mut numbers)?;
    }
    Ok(numbers)
}

fn ask(asked: &Asked, subject: Subject, numbers: &mut Numbers) -> Result<(), ExperimentError> {
    let mut put = |quality: Quality, value: Option<f64>| numbers.put(subject, quality, value);
    let pool = sites::pool(asked)?;
    put(Quality::Disentanglement, sites::disentanglement(&pool));
    put(Quality::RankShare, sites::rank_share(&pool));
    put(Quality::Sensitivity, sensitivity(asked)?);
    let all: Vec<usize> = (0..asked.x.dim().2).collect();
    let noise = asked.mean_auc(&noisy(asked, &all, NOISE)?);
    put(
        Quality::NoiseLoss,
        asked.auc().zip(noise).map(|(plain, noise)| plain - noise),
    );
    put(
        Quality::ShortcutDrop,
        asked.lost_without(&asked.columns(Role::Spurious))?,
    );
    let maps = heads::maps(asked)?;
    put(Quality::HeadDiversity, heads::over(&maps, Maps::head_diversity));
    put(Quality::AttentionEntropy, heads::over(&maps, Maps::entropy));
    let components = sites::ending(asked, &["attn.out", "ff.out"]);
    put(Quality::ComponentCorrelation, sites::alike(asked, &components)?);
    put(Quality::WeightSparsity, sites::weight_sparsity(asked)?);
    Ok(())
}
