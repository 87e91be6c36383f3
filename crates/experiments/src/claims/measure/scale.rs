//! Large models of several widths and depths on the simulated ward (parts 45 and 46).

use burn::module::Module;
use disentangle_analysis::{causal::robustness::slope, site::SiteMeasures};
use disentangle_data::{Dataset, Role};
use disentangle_models::{Family, Model};
use serde_json::json;

use super::{
    Given, Numbers,
    asked::Asked,
    decisions::sensitivity,
    fit::fit,
    groups::{Together, together},
    heads::{self, Maps},
    sites,
};
use crate::{
    ExperimentError,
    claims::question::{Quality, Subject::Large},
};

pub(super) fn start(given: &Given, dataset: &Dataset, width: usize, depth: usize) -> Result<Model, ExperimentError> {
    let sizes = [("hidden", json!(width)), ("layers", json!(depth))];
    given.start(Family::Large, dataset, &sizes, &format!("large {width} x {depth}"))
}

/// One trained size.
struct Size {
    width: usize,
    depth: usize,
    parameters: usize,
    /// Residual streams in forward order.
    streams: Vec<SiteMeasures>,
    maps: Vec<Maps>,
    together: Together,
    sensitivity: Option<f64>,
    /// 1 - linear CKA of the first and the last residual stream.
    layers_apart: Option<f64>,
}

impl Size {
    fn last(&self) -> Option<&SiteMeasures> {
        self.streams.last()
    }

    fn rank(&self) -> Option<f64> {
        self.last()?.effective_rank.value
    }
}

pub(super) fn measure(given: &Given) -> Result<Numbers, ExperimentError> {
    let rows = given.ward()?;
    let known = rows.environments.first().map_or(&[][..], |one| &one.rows);
    let (widths, depths) = (&given.settings.widths, &given.settings.depths);
    // The depths are tried at a width in the middle.
    let middle = widths[widths.len() / 2];
    let mut sizes: Vec<(usize, usize)> = widths.iter().map(|&width| (width, depths[0])).collect();
    sizes.extend(depths[1..].iter().map(|&depth| (middle, depth)));
    let trained = sizes.into_iter().map(|size| one(given, &rows.dataset, known, size));
    let trained: Vec<Size> = trained.collect::<Result<_, _>>()?;

    let wide: Vec<&Size> = trained.iter().filter(|size| size.depth == depths[0]).collect();
    let deep: Vec<&Size> = trained.iter().filter(|size| size.width == middle).collect();
    let mut numbers = Numbers::default();
    let mut put = |quality: Quality, value: Option<f64>| numbers.put(Large, quality, value);
    let all: Vec<&Size> = trained.iter().collect();
    let diversity = over(&all, |size| heads::over(&size.maps, Maps::head_diversity));
    put(
        Quality::DiversityBySize,
        rises(&all, |size| (size.parameters as f64).ln(), diversity),
    );
    let ranks = over(&wide, Size::rank);
    put(Quality::RankDiminishing, ranks.as_deref().and_then(diminishing));
    put(
        Quality::RankByWidth,
        rises(&wide, |size| (size.width as f64).log2(), ranks),
    );
    let interactions = over(&wide, |size| {
        Some(size.together.root_mean_square.filter(|size| *size > 0.0)?.ln())
    });
    put(
        Quality::InteractionExponent,
        rises(&wide, |size| (size.width as f64).ln(), interactions),
    );

    if let (Some(shallow), Some(deepest)) = (deep.first(), deep.last()) {
        let gain = |of: &dyn Fn(&Size) -> Option<f64>| Some(of(deepest)? - of(shallow)?);
        put(Quality::InteractionByDepth, gain(&|size| size.together.relative));
        put(Quality::LayersApartByDepth, gain(&|size| size.layers_apart));
        put(Quality::GradientByDepth, gain(&|size| size.sensitivity));
        let diversity = gain(&|size| sites::disentanglement(size.last()?));
        put(Quality::PatternDiversityByDepth, diversity);
        let shared: Option<Vec<f64>> = deepest
            .streams
            .iter()
            .map(|one| one.excess_interference.value)
            .collect();
        put(Quality::SuperpositionByLayer, shared.as_deref().and_then(by_place));
        put(Quality::SuperpositionPlateau, shared.as_deref().and_then(plateau));
        let ranks: Option<Vec<f64>> = deepest.streams.iter().map(sites::rank_share).collect();
        put(Quality::RankByLayer, ranks.as_deref().and_then(by_place));
        let entropy: Option<Vec<f64>> = deepest.maps.iter().map(Maps::entropy).collect();
        put(Quality::EntropyByLayer, entropy.as_deref().and_then(by_place));
    }
    Ok(numbers)
}

fn one(
    given: &Given,
    dataset: &Dataset,
    rows: &[usize],
    (width, depth): (usize, usize),
) -> Result<Size, ExperimentError> {
    let start = start(given, dataset, width, depth)?;
    let model = fit(given, dataset, &start, &format!("large {width} x {depth}"))?.model;
    let (draws, seed) = (given.settings.permutations, given.seed.child("asked"));
    let asked = Asked::new(&model, dataset, rows, draws, seed, given.device)?;
    let streams = sites::ending(&asked, &[".resid"]);
    let mut ends: Vec<String> = streams.first().into_iter().chain(streams.last()).cloned().collect();
    // One layer has nothing to differ from.
    ends.dedup();
    let (genuine, spurious) = (asked.columns(Role::Genuine), asked.columns(Role::Spurious));
    Ok(Size {
        width,
        depth,
        parameters: model.num_params(),
        streams: sites::measures(&asked, &streams)?,
        maps: heads::maps(&asked)?,
        together: together(&asked, &genuine, &spurious)?,
        sensitivity: sensitivity(&asked)?,
        layers_apart: sites::alike(&asked, &ends)?.map(|alike| 1.0 - alike),
    })
}

/// A value of each size; `None` where one is missing.
fn over(sizes: &[&Size], of: impl Fn(&Size) -> Option<f64>) -> Option<Vec<f64>> {
    sizes.iter().map(|size| of(size)).collect()
}

/// Slope of values on what tells sizes apart.
fn rises(sizes: &[&Size], of: impl Fn(&Size) -> f64, values: Option<Vec<f64>>) -> Option<f64> {
    let x: Vec<f64> = sizes.iter().map(|size| of(size)).collect();
    slope(&x, &values?)
}

/// Slope on the place in the list.
fn by_place(values: &[f64]) -> Option<f64> {
    let places: Vec<f64> = (0..values.len()).map(|place| place as f64).collect();
    slope(&places, values)
}

/// The slope over the first half minus that over the second; `None` for fewer than four values.
fn plateau(values: &[f64]) -> Option<f64> {
    let (first, second) = values.split_at(values.len() / 2);
    if first.len() < 2 {
        return None;
    }
    Some(by_place(first)? - by_place(second)?)
}

/// The first gain minus the last; `None` for fewer than three values.
fn diminishing(values: &[f64]) -> Option<f64> {
    let gains: Vec<f64> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let (first, rest) = gains.split_first()?;
    Some(first - rest.last()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_and_gains_have_closed_forms() {
        let close = |found: Option<f64>, expected: f64| {
            let found = found.unwrap();
            assert!((found - expected).abs() < 1e-12, "{found}, {expected}");
        };
        close(by_place(&[1.0, 3.0, 5.0]), 2.0);
        close(plateau(&[0.0, 2.0, 3.0, 3.5]), 1.5);
        close(plateau(&[0.0, 1.0, 2.0, 3.0, 3.0, 3.0]), 1.0);
        assert_eq!(plateau(&[0.0, 1.0]), None);
        close(diminishing(&[1.0, 4.0, 5.0]), 2.0);
        assert_eq!(diminishing(&[1.0, 4.0]), None);
    }
}
