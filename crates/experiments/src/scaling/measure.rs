//! What is measured of a model before and after training. Activations are reduced to numbers layer by layer, so that
//! only those of one layer are held at a time.

use burn::tensor::Device;
use disentangle_analysis::{
    descriptive::mean,
    information::Histograms,
    probing::{self, Captured, capture},
    site::SiteMeasures,
};
use disentangle_data::Dataset;
use disentangle_models::{Classifier, Model};
use ndarray::Array3;
use serde::{Deserialize, Serialize};

use super::{
    Repeat,
    config::ScalingSettings,
    gradients::{ParameterGradient, gradients},
    heads::{Heads, heads},
    measures::{MEASURES, OF_SITES, place},
};
use crate::{ExperimentError, scores::scores};

/// A model, and the rows it is asked on.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) config: &'a ScalingSettings,
    pub(super) repeat: &'a Repeat,
    pub(super) model: &'a Model,
    pub(super) device: &'a Device,
}

/// A model at one stage of its training.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stage {
    /// In the order of [`MEASURES`].
    pub(super) values: Vec<Option<f64>>,
    /// In forward order.
    pub(super) sites: Vec<SiteValues>,
    pub(super) layers: Vec<LayerValues>,
    pub(super) gradients: Vec<ParameterGradient>,
}

/// One site, all positions of the measured rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SiteValues {
    pub(super) site: String,
    pub(super) neurons: usize,
    /// Whether only moments and a sample of the rows were kept.
    pub(super) streamed: bool,
    /// The first [`OF_SITES`] of [`MEASURES`].
    pub(super) values: Vec<Option<f64>>,
}

/// One layer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct LayerValues {
    pub(super) attention_entropy: Option<f64>,
    pub(super) attention_sparsity: Option<f64>,
    pub(super) head_diversity: Option<f64>,
    /// Of each pair of heads, (1, 2), (1, 3), .., (2, 3), ..
    pub(super) pairs: Vec<f64>,
    /// Euclidean norm of the gradient at all weights of the layer together.
    pub(super) gradient_norm: f64,
}

impl Subject<'_> {
    pub(super) fn measure(&self) -> Result<Stage, ExperimentError> {
        // At least one environment was loaded.
        let main = &self.repeat.rows.environments[0].rows;
        let shaped = &self.repeat.shaped;
        let measured = spaced(main, self.config.rows);
        let x = shaped.inputs(&measured);
        let sites = self.sites(&x)?;
        let found = gradients(self.model, &x, &shaped.labels(&measured), self.device);
        let heads = heads(self.model, &x, self.device)?;
        let layers: Vec<LayerValues> = heads
            .into_iter()
            .enumerate()
            .map(|(layer, heads)| layer_values(layer, heads, &found))
            .collect();
        let [auc, worst_group] = self.scores(shaped, main)?;

        let mut values: Vec<Option<f64>> = (0..OF_SITES).map(|place| over_sites(&sites, place)).collect();
        let over_layers = |of: fn(&LayerValues) -> Option<f64>| mean(&layers.iter().filter_map(of).collect::<Vec<_>>());
        let over_weights = |of: fn(&ParameterGradient) -> f64| {
            let weights = found.iter().filter(|one| one.is_weight());
            mean(&weights.map(of).collect::<Vec<_>>())
        };
        values.extend([
            along_depth(&sites),
            over_layers(|layer| layer.attention_entropy),
            over_layers(|layer| layer.attention_sparsity),
            over_layers(|layer| layer.head_diversity),
            over_weights(|one| one.norm),
            over_weights(|one| one.variance),
            balance(&layers),
            self.interaction(&spaced(main, self.config.few_rows))?,
            auc,
            worst_group,
        ]);
        debug_assert_eq!(values.len(), MEASURES.len());
        Ok(Stage {
            values,
            sites,
            layers,
            gradients: found,
        })
    }

    /// The sites that are asked for, those of one layer at a time.
    fn sites(&self, x: &Array3<f32>) -> Result<Vec<SiteValues>, ExperimentError> {
        let mut blocks: Vec<(Option<usize>, Vec<String>)> = Vec::new();
        for site in self.model.sites() {
            let (layer, part) = split(&site.name);
            if !self.config.sites.iter().any(|asked| asked == part) {
                continue;
            }
            match blocks.last_mut() {
                Some((last, names)) if *last == layer && layer.is_some() => names.push(site.name.clone()),
                _ => blocks.push((layer, vec![site.name.clone()])),
            }
        }
        let cap = self.config.memory.saturating_mul(1_000_000);
        let mut values = Vec::new();
        for (_, names) in &blocks {
            for (name, captured) in capture(self.model, x.view(), names, cap, self.device)? {
                values.push(site_values(name, &captured)?);
            }
        }
        Ok(values)
    }

    /// ROC AUC, and the least accuracy over (label, shortcut) groups where these are known, on `rows`.
    fn scores(&self, shaped: &Dataset, rows: &[usize]) -> Result<[Option<f64>; 2], ExperimentError> {
        let logits = probing::logits(self.model, &shaped.inputs(rows), self.device, 1)?;
        let [_, auc, worst] = scores(shaped, rows, &logits);
        Ok([auc, worst])
    }
}

/// Evenly spaced ones, at most so many.
fn spaced(rows: &[usize], most: usize) -> Vec<usize> {
    let count = most.min(rows.len());
    (0..count).map(|place| rows[place * rows.len() / count]).collect()
}

/// Layer and part: `layers.3.attn.out` is (3, `attn.out`), `pool` has no layer.
fn split(site: &str) -> (Option<usize>, &str) {
    let parts = site.strip_prefix("layers.").and_then(|rest| rest.split_once('.'));
    match parts {
        Some((layer, part)) => (layer.parse().ok(), part),
        None => (None, site),
    }
}

fn site_values(site: String, captured: &Captured) -> Result<SiteValues, ExperimentError> {
    let rows = captured.rows().mapv(f64::from);
    let (measures, rms, range) = match captured {
        Captured::Streamed { moments, .. } => (
            SiteMeasures::from_moments(&site, moments, rows.view())?,
            moments.rms(),
            distance(moments.least().iter().copied(), moments.most().iter().copied()),
        ),
        Captured::Whole(_) => {
            let measures = SiteMeasures::new(&site, rows.view())?;
            let neurons = &measures.statistics.neurons;
            let range = distance(
                neurons.iter().map(|neuron| neuron.least),
                neurons.iter().map(|neuron| neuron.most),
            );
            let rms = measures.statistics.rms;
            (measures, rms, range)
        }
    };
    // One piece: nothing is resampled.
    let entropy = Histograms::new(&site, rows.view(), rows.nrows())?.mean(&[1.0]);
    let neurons = measures.columns;
    let rank = measures.effective_rank.value;
    Ok(SiteValues {
        site,
        neurons,
        streamed: measures.streamed,
        values: vec![
            rank,
            rank.map(|rank| rank / neurons as f64),
            measures.spectrum.compression_ratio,
            measures.interference.value,
            measures.excess_interference.value,
            measures.alignment.value,
            Some(measures.statistics.sparsity),
            (rms > 0.0).then(|| range / rms),
            entropy,
            Some(measures.statistics.selectivity),
            measures.interference.value.map(|interference| 1.0 - interference),
        ],
    })
}

/// From the least of some values to the greatest of others.
fn distance(least: impl Iterator<Item = f64>, most: impl Iterator<Item = f64>) -> f64 {
    most.fold(f64::NEG_INFINITY, f64::max) - least.fold(f64::INFINITY, f64::min)
}

/// Mean over sites; selectivity and pattern diversity are of what layers leave.
fn over_sites(sites: &[SiteValues], place: usize) -> Option<f64> {
    let of_layers = ["selectivity", "pattern_diversity"].contains(&MEASURES[place].name);
    let counts = |site: &&SiteValues| !of_layers || split(&site.site).1 == "resid";
    mean(
        &sites
            .iter()
            .filter(counts)
            .filter_map(|site| site.values[place])
            .collect::<Vec<_>>(),
    )
}

/// Effective rank of what the last layer leaves, over that of the embedding: below 1 where the network compresses.
fn along_depth(sites: &[SiteValues]) -> Option<f64> {
    let rank = |site: &SiteValues| site.values[place("effective_rank")?];
    let first = sites.iter().find(|site| site.site == "embed").and_then(rank)?;
    let last = sites
        .iter()
        .rfind(|site| split(&site.site).1 == "resid")
        .and_then(rank)?;
    Some(last / first)
}

fn layer_values(layer: usize, heads: Heads, found: &[ParameterGradient]) -> LayerValues {
    let own = found.iter().filter(|one| one.is_weight() && one.layer() == Some(layer));
    LayerValues {
        attention_entropy: heads.entropy,
        attention_sparsity: heads.sparsity,
        head_diversity: heads.diversity(),
        pairs: heads.pairs,
        gradient_norm: own.map(|one| one.norm.powi(2)).sum::<f64>().sqrt(),
    }
}

/// log10 of the first layer's norm over the last one's: below 0 where the gradient vanishes on its way back. `None`
/// with one layer.
fn balance(layers: &[LayerValues]) -> Option<f64> {
    let (first, others) = layers.split_first()?;
    let ratio = first.gradient_norm / others.last()?.gradient_norm;
    (ratio.is_finite() && ratio > 0.0).then(|| ratio.log10())
}

#[cfg(test)]
mod tests {
    use disentangle_data::Seed;

    use super::*;

    #[test]
    fn sites_know_their_layer_and_rows_are_evenly_spaced() {
        assert_eq!(split("layers.12.attn.out"), (Some(12), "attn.out"));
        assert_eq!(split("pool"), (None, "pool"));
        assert_eq!(spaced(&[3, 5, 7, 9], 2), [3, 7]);
        assert_eq!(spaced(&[3, 5], 9), [3, 5]);
        assert!(spaced(&[], 9).is_empty());
    }

    #[test]
    fn layers_are_compared_from_the_first_to_the_last() {
        let layer = |gradient_norm: f64| LayerValues {
            attention_entropy: None,
            attention_sparsity: None,
            head_diversity: None,
            pairs: Vec::new(),
            gradient_norm,
        };
        assert_eq!(balance(&[layer(100.0), layer(3.0), layer(1.0)]), Some(2.0));
        assert_eq!(balance(&[layer(0.1)]), None);
        assert_eq!(balance(&[layer(0.1), layer(0.0)]), None);

        let site = |name: &str, rank: f64, selectivity: f64| {
            let mut values = vec![None; OF_SITES];
            values[0] = Some(rank);
            values[9] = Some(selectivity);
            SiteValues {
                site: name.into(),
                neurons: 8,
                streamed: false,
                values,
            }
        };
        let sites = [
            site("embed", 4.0, 1.0),
            site("layers.0.resid", 3.0, 2.0),
            site("layers.1.resid", 2.0, 4.0),
            site("pool", 1.0, 9.0),
        ];
        assert_eq!(along_depth(&sites), Some(0.5));
        assert_eq!(over_sites(&sites, 0), Some(2.5));
        assert_eq!(MEASURES[9].name, "selectivity");
        assert_eq!(over_sites(&sites, 9), Some(3.0), "of what layers leave");
        assert_eq!(over_sites(&sites, 3), None);
    }

    /// What is streamed is measured like what is held.
    #[test]
    fn streaming_changes_nothing_but_the_sample() {
        let mut rng = Seed::new(3).rng();
        let mixed = ndarray::Array2::from_shape_simple_fn((300, 6), || rng.normal() as f32);
        let mut moments = disentangle_analysis::moments::Moments::new(6);
        moments.update("site", mixed.view()).unwrap();
        let whole = site_values("site".into(), &Captured::Whole(mixed.clone())).unwrap();
        let streamed = Captured::Streamed {
            moments: Box::new(moments),
            sample: mixed,
        };
        let streamed = site_values("site".into(), &streamed).unwrap();
        assert!(streamed.streamed && !whole.streamed);
        for (measure, (a, b)) in MEASURES.iter().zip(whole.values.iter().zip(&streamed.values)) {
            let (a, b) = (a.unwrap(), b.unwrap());
            assert!((a - b).abs() < 1e-5 * a.abs().max(1.0), "{}: {a} and {b}", measure.name);
        }
    }
}
