//! Measures of sites: spectra, interference, how alike components are; and the weights between them.

use disentangle_analysis::{
    activations::site_statistics, descriptive::mean, probing::capture_whole, site::SiteMeasures,
};
use disentangle_models::Classifier;
use ndarray::Array2;

use super::asked::Asked;
use crate::{ExperimentError, variants};

/// Names of the sites that end so, in forward order.
pub(super) fn ending(asked: &Asked, ends: &[&str]) -> Vec<String> {
    let names = asked.model.sites().into_iter().map(|site| site.name);
    names
        .filter(|name| ends.iter().any(|end| name.ends_with(end)))
        .collect()
}

/// The last residual stream.
pub(super) fn last_stream(asked: &Asked) -> Result<String, ExperimentError> {
    let streams = ending(asked, &[".resid"]);
    let last = streams.into_iter().next_back();
    last.ok_or_else(|| ExperimentError::Failed("the model has no residual stream".into()))
}

/// Matrices `[row * position, head * neuron]` of sites.
pub(super) fn matrices(asked: &Asked, sites: &[String]) -> Result<Vec<Array2<f64>>, ExperimentError> {
    // No names would mean no pass.
    if sites.is_empty() {
        return Ok(Vec::new());
    }
    let captured = capture_whole(asked.model, asked.x.view(), sites, asked.device)?;
    Ok(captured.into_iter().map(|matrix| matrix.mapv(f64::from)).collect())
}

/// Spectrum and interference of sites.
pub(super) fn measures(asked: &Asked, sites: &[String]) -> Result<Vec<SiteMeasures>, ExperimentError> {
    let matrices = matrices(asked, sites)?;
    let each = sites.iter().zip(&matrices);
    each.map(|(site, matrix)| Ok(SiteMeasures::new(site, matrix.view())?))
        .collect()
}

/// Of the pool.
pub(super) fn pool(asked: &Asked) -> Result<SiteMeasures, ExperimentError> {
    let found = measures(asked, &["pool".to_string()])?;
    let first = found.into_iter().next();
    first.ok_or_else(|| ExperimentError::Failed("the model has no pool".into()))
}

/// 1 - mean |correlation| of two neurons.
pub(super) fn disentanglement(measures: &SiteMeasures) -> Option<f64> {
    measures.interference.value.map(|shared| 1.0 - shared)
}

/// Effective rank over width.
pub(super) fn rank_share(measures: &SiteMeasures) -> Option<f64> {
    measures.effective_rank.value.map(|rank| rank / measures.columns as f64)
}

/// Share of silent activations, mean over sites.
pub(super) fn silent(asked: &Asked, sites: &[String]) -> Result<Option<f64>, ExperimentError> {
    let matrices = matrices(asked, sites)?;
    let each = sites.iter().zip(&matrices);
    let shares = each.map(|(site, matrix)| Ok(site_statistics(site, matrix.view())?.sparsity));
    Ok(mean(&shares.collect::<Result<Vec<f64>, ExperimentError>>()?))
}

/// Mean linear CKA between every two of some sites; constant ones are left out.
pub(super) fn alike(asked: &Asked, sites: &[String]) -> Result<Option<f64>, ExperimentError> {
    variants::alike(asked.model, &asked.x, sites, asked.device)
}

/// Share of weights of attention and feed-forward parts that are small.
pub(super) fn weight_sparsity(asked: &Asked) -> Result<Option<f64>, ExperimentError> {
    variants::weight_sparsity(asked.model, asked.device)
}
