//! The small model on biased rows, at several widths (parts 19, 25 and 30).

use disentangle_analysis::{
    Pca,
    causal::{
        contrast::{Contrast, counterfactual},
        robustness::slope,
    },
    classification::roc_auc,
    descriptive::{mean, std_dev},
    importance::permute_columns,
    probing::{self, Substitute, effect_map, neuron_importance},
};
use disentangle_data::{Dataset, Role};
use disentangle_models::{Family, Layout, Model, Selection};
use ndarray::s;
use serde_json::json;

use super::{
    Given, Numbers,
    asked::Asked,
    decisions::{attacked_auc, linearity, noisy},
    fit::fit,
    groups::{effective_number, groups_per_neuron, overlap, together},
    sites,
};
use crate::{
    ExperimentError,
    claims::question::{Quality, Subject::Small},
    rows::LoadedRows,
};

/// Level of noise and attacks.
const LEVEL: f64 = 0.2;
/// Rows on which neurons and columns are ablated one by one, at most.
const FEW: usize = 100;
/// A total effect of fewer standard deviations of the logit has no shares.
const LEAST_EFFECT: f64 = 0.05;

/// One token a group.
pub(super) fn start(given: &Given, dataset: &Dataset, width: usize) -> Result<Model, ExperimentError> {
    let groups = dataset.groups.iter().map(|group| group.columns.clone()).collect();
    let layout = serde_json::to_value(Layout::PerGroup { groups }).unwrap_or_default();
    let sizes = [("hidden", json!(width)), ("layout", layout)];
    given.start(Family::Small, dataset, &sizes, &format!("small {width}"))
}

pub(super) fn measure(given: &Given) -> Result<Numbers, ExperimentError> {
    let rows = given.biased()?;
    let (mut numbers, mut overlaps) = (Numbers::default(), Vec::new());
    let last = given.settings.widths.last().copied();
    for &width in &given.settings.widths {
        let model = start(given, &rows.dataset, width)?;
        let model = fit(given, &rows.dataset, &model, &format!("small {width}"))?.model;
        let asked = on_environment(given, &rows, &model, 0)?;
        let found = overlap(&asked, &sites::last_stream(&asked)?)?;
        overlaps.push(found.map(|[overlap, _]| overlap));
        if Some(width) == last {
            let above = found.map(|[overlap, chance]| overlap - chance);
            numbers.put(Small, Quality::OverlapAboveChance, above);
            ask(given, &rows, &asked, &mut numbers)?;
        }
    }
    let doublings: Vec<f64> = given
        .settings
        .widths
        .iter()
        .map(|&width| (width as f64).log2())
        .collect();
    let overlaps: Option<Vec<f64>> = overlaps.into_iter().collect();
    let by_width = overlaps.and_then(|overlaps| slope(&doublings, &overlaps));
    numbers.put(Small, Quality::OverlapByWidth, by_width);
    Ok(numbers)
}

/// The model on the rows of one environment.
fn on_environment<'a>(
    given: &'a Given,
    rows: &'a LoadedRows,
    model: &'a Model,
    environment: usize,
) -> Result<Asked<'a>, ExperimentError> {
    let rows_of = rows.environments.get(environment).map_or(&[][..], |one| &one.rows);
    let seed = given.seed.child("asked").index(environment as u64);
    let draws = given.settings.permutations;
    Asked::new(model, &rows.dataset, rows_of, draws, seed, given.device)
}

fn ask(given: &Given, rows: &LoadedRows, asked: &Asked, numbers: &mut Numbers) -> Result<(), ExperimentError> {
    let mut put = |quality: Quality, value: Option<f64>| numbers.put(Small, quality, value);
    let hidden = sites::ending(asked, &["ff.hidden"]);
    put(Quality::SilentActivations, sites::silent(asked, &hidden)?);
    if let Some(last) = hidden.last() {
        put(Quality::GroupsPerNeuron, groups_per_neuron(asked, last)?);
    }
    put(Quality::NeuronEvenness, evenness(asked)?);
    let (genuine, spurious) = (asked.columns(Role::Genuine), asked.columns(Role::Spurious));
    put(Quality::Interaction, together(asked, &genuine, &spurious)?.relative);
    put(Quality::MediatedShare, mediated(asked, rows)?);

    let all: Vec<usize> = (0..asked.x.dim().2).collect();
    let noise = asked.mean_auc(&noisy(asked, &all, LEVEL)?);
    let attack = attacked_auc(asked, LEVEL)?;
    put(
        Quality::AttackOverNoise,
        noise.zip(attack).map(|(noise, attack)| noise - attack),
    );
    put(Quality::LocalLinearity, linearity(asked)?);

    let stream = sites::measures(asked, &["embed".to_string(), sites::last_stream(asked)?])?;
    let ratios: Vec<Option<f64>> = stream.iter().map(|one| one.spectrum.compression_ratio).collect();
    if let [Some(first), Some(last)] = ratios[..] {
        put(Quality::CompressionGain, Some(last - first));
    }
    put(
        Quality::CompressionRatio,
        sites::pool(asked)?.spectrum.compression_ratio,
    );
    put(Quality::FirstComponent, first_component(asked)?);
    put(Quality::ImportanceSpread, importance_spread(asked)?);

    let unseen = rows.environments.iter().position(|one| one.name == "independent");
    if let Some(unseen) = unseen {
        let elsewhere = on_environment(given, rows, asked.model, unseen)?.auc();
        let drop = asked.auc().zip(elsewhere).map(|(here, there)| here - there);
        put(Quality::GeneralisationDrop, drop);
    }
    Ok(())
}

/// The effective number of important neurons of the pool over all of them.
fn evenness(asked: &Asked) -> Result<Option<f64>, ExperimentError> {
    let few = asked.x.dim().0.min(FEW);
    let x = asked.x.slice(s![..few, .., ..]);
    let found = neuron_importance(asked.model, x, "pool", Substitute::Mean, asked.device, 1)?;
    let sizes: Vec<f64> = found.iter().map(|neuron| neuron.mean_square).collect();
    Ok(effective_number(&sizes).map(|number| number / sizes.len() as f64))
}

/// Indirect over total effect of the spurious group through an attention or feed-forward output, mean over these outputs.
fn mediated(asked: &Asked, rows: &LoadedRows) -> Result<Option<f64>, ExperimentError> {
    let Some(group) = asked.dataset.groups.iter().find(|group| group.role == Role::Spurious) else {
        return Ok(None);
    };
    let (_, sides) = rows.sides(group, &rows.environments[0].rows);
    let seed = asked.seed.child("counterfactual");
    let changed = counterfactual(&asked.x, &group.columns, &sides, Contrast::Opposite, 1, seed)?;
    let outputs = sites::ending(asked, &["attn.out", "ff.out"]).into_iter();
    let outputs: Vec<Selection> = outputs
        .map(|site| Selection {
            site,
            axes: [None, None, None],
        })
        .collect();
    let found = effect_map(asked.model, &asked.x, &changed.draws, &outputs, asked.device, 1)?;
    let oriented = |effects: &[f64]| -> f64 {
        let rows = effects.iter().zip(&changed.orientation);
        rows.map(|(effect, sign)| effect * sign).sum::<f64>() / effects.len() as f64
    };
    let total = oriented(&found.total);
    let clear = std_dev(&asked.logits).is_some_and(|spread| total.abs() > LEAST_EFFECT * spread);
    let shares = found
        .mediators
        .iter()
        .map(|one| oriented(&one.effects.indirect) / total);
    Ok(mean(&shares.collect::<Vec<f64>>()).filter(|_| clear))
}

/// ROC AUC of the pool's first principal component, in its better direction, minus that of the model.
fn first_component(asked: &Asked) -> Result<Option<f64>, ExperimentError> {
    let pool = probing::activations(asked.model, asked.x.view(), "pool", asked.device)?;
    let pca = Pca::fit(pool.view()).map_err(|error| ExperimentError::Failed(format!("site `pool`: {error}")))?;
    let first: Vec<f64> = pca.project(pool.view(), 1).iter().copied().collect();
    let alone = roc_auc(&first, &asked.labels).map(|auc| auc.max(1.0 - auc));
    Ok(alone.zip(asked.auc()).map(|(alone, whole)| alone - whole))
}

/// The standard error over rows of a column's importance divided by it, mean over columns: what bootstrapped samples of the rows would spread by.
fn importance_spread(asked: &Asked) -> Result<Option<f64>, ExperimentError> {
    let order = asked.seed.child("columns").rng().permutation(asked.labels.len());
    let mut spreads = Vec::new();
    for column in 0..asked.x.dim().2 {
        let changed = asked.say(&permute_columns(&asked.x, &[column], &order))?;
        let pairs = changed.iter().zip(&asked.logits);
        let sizes: Vec<f64> = pairs.map(|(changed, plain)| (changed - plain).abs()).collect();
        let error = std_dev(&sizes).map(|spread| spread / (sizes.len() as f64).sqrt());
        let importance = mean(&sizes).filter(|mean| *mean > 0.0);
        spreads.extend(error.zip(importance).map(|(error, importance)| error / importance));
    }
    Ok(mean(&spreads))
}
