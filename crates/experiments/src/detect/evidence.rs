//! Everything that is asked of one draw of rows.

use burn::tensor::Device;
use disentangle_analysis::{
    detection::{
        Detected, DetectionConfig, Rows, causal_strength, counterfactual_impact, detect, group_features,
        temporal_consistency,
    },
    ica::IcaConfig,
    probing,
    transport::{Shift, within_class_shift},
};
use disentangle_data::{Dataset, FeatureGroup, Seed};
use disentangle_models::{Classifier, Model};
use ndarray::{Array2, Array3, Axis};

use super::{
    config::DetectSettings,
    outcome::{GroupOutcome, RepeatOutcome, SiteProxy},
    plant::visible,
};
use crate::{
    ExperimentError,
    rows::LoadedRows,
    study::{SiteStudy, Study, StudySettings},
    training::once,
};

/// Permutations behind the mean of a distribution shift.
const SHIFTS: usize = 49;
/// Permutations of a counterfactual impact.
const IMPACTS: usize = 3;

/// What is asked.
pub(crate) struct Asked<'a> {
    pub(crate) tests: &'a DetectionConfig,
    /// Rows on which a model is asked, at most.
    pub(crate) rows: usize,
    /// Rows in a window of temporal consistency.
    pub(crate) window: usize,
}

/// Tests every group on the rows that a detector may see, and asks a trained model too, if there is one.
pub(crate) fn gather(
    config: &Asked,
    rows: &LoadedRows,
    model: Option<&Model>,
    seed: Seed,
    device: &Device,
) -> Result<RepeatOutcome, ExperimentError> {
    let dataset = &rows.dataset;
    let seen = visible(rows, seed);
    let inputs = dataset.inputs(&seen);
    let labels = dataset.labels(&seen);
    let environments: Vec<u32> = seen.iter().map(|&row| dataset.windows[row].environment).collect();
    let features: Vec<(String, Array2<f64>)> = dataset
        .groups
        .iter()
        .map(|group| (group.name.clone(), group_features(inputs.view(), &group.columns)))
        .collect();
    let tested = Rows {
        labels: &labels,
        environments: &environments,
        block: rows.block,
    };
    let detected = detect(&features, &tested, config.tests, seed.child("tests"))?;
    // The latest rows where they follow one another, else as good as random ones.
    let asked = inputs.slice(ndarray::s![inputs.dim().0.saturating_sub(config.rows).., .., ..]);
    let asked = asked.to_owned();
    let mut groups = Vec::with_capacity(detected.len());
    for ((group, detected), (_, features)) in dataset.groups.iter().zip(detected).zip(&features) {
        let seed = seed.child("groups").child(&group.name);
        let (impact, causal) = match model {
            None => (None, None),
            Some(model) => {
                let logits = |x: &Array3<f32>| probing::logits(model, x, device, 1).map_err(ExperimentError::from);
                let impact = counterfactual_impact(&asked, &group.columns, IMPACTS, seed.child("impact"), logits)?;
                let config = IcaConfig::default();
                let causal = causal_strength(&asked, &group.columns, &config, seed.child("causal"), logits)?;
                (impact, Some(causal))
            }
        };
        groups.push(GroupOutcome {
            role: group.role,
            shift: shift(features, &labels, &environments, seed.child("shift")),
            temporal_consistency: in_time(rows, &detected, &labels, config.window),
            detected,
            impact,
            causal,
        });
    }
    Ok(RepeatOutcome {
        rows: seen.len(),
        superposition: match model {
            None => Vec::new(),
            Some(model) => superposition(model, dataset, asked, seed, device)?,
        },
        groups,
    })
}

/// Mean over the group's columns. Columns of a group depend on each other, so that there is no p value of the mean.
fn shift(features: &Array2<f64>, labels: &[f32], environments: &[u32], seed: Seed) -> Shift {
    let columns = features.axis_iter(Axis(1)).enumerate().map(|(place, column)| {
        within_class_shift(&column.to_vec(), labels, environments, SHIFTS, seed.index(place as u64))
    });
    let columns: Vec<Shift> = columns.collect();
    let mean = |of: fn(&Shift) -> Option<f64>| {
        let defined: Vec<f64> = columns.iter().filter_map(of).collect();
        disentangle_analysis::descriptive::mean(&defined)
    };
    Shift {
        shift: mean(|one| one.shift),
        excess: mean(|one| one.excess),
        ..Shift::default()
    }
}

/// Only series have an order in time.
fn in_time(rows: &LoadedRows, detected: &Detected, labels: &[f32], window: usize) -> Option<f64> {
    let series = rows.block > 1 && rows.dataset.subjects.len() == 1;
    series
        .then(|| temporal_consistency(&detected.scores, labels, window))
        .flatten()
}

/// A model for one draw of rows.
pub(super) fn trained(
    config: &DetectSettings,
    dataset: &Dataset,
    seed: Seed,
    device: &Device,
) -> Result<Model, ExperimentError> {
    let start = config.model.config(dataset)?.init(seed.child("model"), device)?;
    Ok(once(start, dataset, &config.training, seed.child("train"), device)?.model)
}

/// The embedding, the residual stream after each layer, and what is pooled, as far as the model has them.
fn superposition(
    model: &Model,
    dataset: &Dataset,
    inputs: Array3<f32>,
    seed: Seed,
    device: &Device,
) -> Result<Vec<SiteProxy>, ExperimentError> {
    let sites = model.sites().into_iter().map(|site| site.name);
    let sites: Vec<String> = sites
        .filter(|site| matches!(site.rsplit('.').next(), Some("embed" | "pool" | "resid")))
        .collect();
    // An empty list would mean all sites.
    if sites.is_empty() {
        return Ok(Vec::new());
    }
    let groups: &[FeatureGroup] = &dataset.groups;
    let study = Study {
        settings: &StudySettings {
            sites,
            bases: 1,
            donors: 2,
            ..StudySettings::default()
        },
        groups,
        inputs: inputs.view(),
        seed: seed.child("study"),
        device,
    };
    Ok(study.run(model, "trained", None)?.into_iter().map(proxy).collect())
}

fn proxy(study: SiteStudy) -> SiteProxy {
    let measures = &study.measures;
    let (alignment, interference) = (measures.alignment.value, measures.excess_interference.value);
    SiteProxy {
        neurons: [measures.columns, measures.statistics.dead],
        alignment,
        interference,
        proxy: alignment
            .zip(interference)
            .map(|(alignment, interference)| alignment * interference),
        effective_rank: measures.effective_rank.value,
        dimensionality: study.columns.mean.value,
        site: study.site,
    }
}
