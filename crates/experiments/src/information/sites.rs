//! Entropy and compression of every site on the main rows.

use disentangle_analysis::{
    Estimate,
    descriptive::quantile,
    information::{Histograms, gaussian_entropy},
    probing::{Captured, capture},
    site::SiteMeasures,
    spectra::Spectrum,
};
use rayon::prelude::*;

use super::{
    Asked,
    outcome::{Along, SiteInformation},
};
use crate::ExperimentError;

/// A captured site.
pub(super) type Site = (String, Captured);

/// Sites wider than this have no interval of the effective rank: every resample takes the eigenvalues of a matrix of this width.
const WIDEST: usize = 256;

/// Whether the residual stream passes a site.
pub(super) fn on_stream(site: &str) -> bool {
    ["input", "embed", "resid", "pool", "logit"].contains(&last_part(site))
}

/// Whether it does so inside the network, where the width does not change.
fn inside(site: &str) -> bool {
    ["embed", "resid", "pool"].contains(&last_part(site))
}

fn last_part(site: &str) -> &str {
    site.rsplit('.').next().unwrap_or(site)
}

impl Asked<'_> {
    /// The sites' activations on the main rows.
    pub(super) fn captured(&self) -> Result<Vec<Site>, ExperimentError> {
        let study = self.config.study();
        let inputs = self.rows.dataset.inputs(&self.main().rows);
        let cap = study.memory.saturating_mul(1_000_000);
        let sites = study.sites(self.model)?;
        Ok(capture(self.model, inputs.view(), &sites, cap, self.context.device)?)
    }

    /// Every site, and what changes along the residual stream.
    pub(super) fn sites(&self, captured: &[Site]) -> Result<(Vec<SiteInformation>, Option<Along>), ExperimentError> {
        let measured: Result<Vec<(SiteInformation, Histograms)>, ExperimentError> =
            captured.par_iter().map(|site| self.site(site)).collect();
        let (mut sites, histograms): (Vec<SiteInformation>, Vec<Histograms>) = measured?.into_iter().unzip();
        let ends = ends(&sites);
        // All sites and the change share their resamples.
        let pieces = self.pieces();
        let bootstrap = self.piece_bootstrap("entropy");
        let of_whole: Vec<usize> = (0..sites.len()).filter(|&index| !sites[index].streamed).collect();
        let resampled = bootstrap.estimate_many_centred(pieces, |weights| {
            let mean = |index: &usize| histograms[*index].mean(weights);
            let mut means: Vec<Option<f64>> = of_whole.iter().map(mean).collect();
            means.push(ends.and_then(|(first, last)| Some(mean(&last)? - mean(&first)?)));
            means
        });
        let n = self.main().rows.len();
        let mut estimates = resampled.into_iter().map(|estimate| Estimate {
            n,
            method: estimate
                .method
                .as_ref()
                .map(|method| format!("{method}, of {pieces} pieces of the rows")),
            ..estimate
        });
        for index in of_whole {
            // As many estimates as whole sites, and one more.
            let estimate = estimates.next().unwrap_or_default();
            sites[index].entropy = defined(estimate.within(0.0, 1.0), n);
        }
        let along = ends.zip(estimates.next()).map(|((first, last), change)| Along {
            first: sites[first].site.clone(),
            last: sites[last].site.clone(),
            entropy_change: defined(change, n),
        });
        Ok((sites, along))
    }

    fn site(&self, (name, captured): &Site) -> Result<(SiteInformation, Histograms), ExperimentError> {
        let units = self.main().rows.len();
        let rows = captured.rows().mapv(f64::from);
        let (measures, spectrum, size) = match captured {
            Captured::Streamed { moments, .. } => (
                SiteMeasures::from_moments(name, moments, rows.view())?,
                moments.spectrum(name)?,
                rows.nrows(),
            ),
            Captured::Whole(_) => {
                let mut measures = SiteMeasures::new(name, rows.view())?;
                if rows.ncols() <= WIDEST {
                    let bootstrap = self.piece_bootstrap("spectrum");
                    measures = measures.with_intervals(rows.view(), units, &bootstrap);
                } else if measures.effective_rank.value.is_some() {
                    let note = format!("no interval: {} neurons are more than {WIDEST}", rows.ncols());
                    measures.effective_rank.note = Some(note);
                }
                let positions = rows.nrows() / units.max(1);
                (measures, Spectrum::new(name, rows.view())?, self.piece() * positions)
            }
        };
        let histograms = Histograms::new(name, rows.view(), size)?;
        let all = histograms.neurons(&vec![1.0; histograms.pieces()]);
        // Of a streamed site the sample alone tells.
        let entropy = disentangle_analysis::descriptive::mean(&all).map_or_else(
            || defined(Estimate::default(), rows.nrows()),
            |mean| Estimate::point(mean, rows.nrows()),
        );
        let site = SiteInformation {
            site: name.clone(),
            stream: on_stream(name),
            samples: measures.rows,
            neurons: measures.columns,
            dead: histograms.dead,
            streamed: measures.streamed,
            entropy,
            entropy_quartiles: quartiles(all),
            gaussian_entropy: gaussian_entropy(&spectrum, self.config.components),
            effective_rank: measures.effective_rank,
            components_above_one_percent: measures.spectrum.effective_rank_one_percent,
            compression_ratio: measures.spectrum.compression_ratio,
            spectral_slope: measures.spectrum.spectral_slope,
            dropped: measures.spectrum.dropped,
        };
        Ok((site, histograms))
    }
}

/// The first and the last site of the residual stream inside the network, if there are two whose rows are at hand.
fn ends(sites: &[SiteInformation]) -> Option<(usize, usize)> {
    let usable = |index: &usize| inside(&sites[*index].site) && !sites[*index].streamed;
    let mut usable = (0..sites.len()).filter(usable);
    Some((usable.next()?, usable.next_back()?))
}

/// With a reason if there is no value.
fn defined(estimate: Estimate, n: usize) -> Estimate {
    match estimate.value {
        Some(_) => estimate,
        None => Estimate::undefined("no neuron varies", n),
    }
}

fn quartiles(mut values: Vec<f64>) -> Option<[f64; 5]> {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| quantile(&values, share);
    Some([at(0.0)?, at(0.25)?, at(0.5)?, at(0.75)?, at(1.0)?])
}
