//! What one site says of the next: alignment of whole sites, mutual information of their main directions.

use disentangle_analysis::{
    Estimate,
    information::{Alignment, Kernel, Shared, SharedSettings, alignment, ceiling, shared_information, top_components},
    probing::Captured,
};
use ndarray::Array2;
use rayon::prelude::*;

use super::{
    Asked,
    outcome::{Flow, FlowSettings},
    sites::{Site, on_stream},
};
use crate::ExperimentError;

/// Main directions of a site that mutual information is of: neighbours thin out in more.
const COMPONENTS: usize = 2;

/// Two sites by their places in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pair {
    from: usize,
    to: usize,
    stream: bool,
}

/// Every site with the one before it, and every site of the residual stream with the one before it there; by the later site.
fn pairs(names: &[&str]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    let mut last_on_stream = None;
    for (to, name) in names.iter().enumerate() {
        let before = last_on_stream.filter(|_| on_stream(name));
        if let Some(from) = before.filter(|&from| from + 1 < to) {
            pairs.push(Pair { from, to, stream: true });
        }
        if to > 0 {
            pairs.push(Pair {
                from: to - 1,
                to,
                stream: before == Some(to - 1),
            });
        }
        if on_stream(name) {
            last_on_stream = Some(to);
        }
    }
    pairs
}

const STREAMED: &str = "the site was streamed: name fewer `sites` or raise `memory`";
const CONSTANT: &str = "a site is constant";

impl Asked<'_> {
    pub(super) fn flow_settings(&self) -> FlowSettings {
        FlowSettings {
            rows: self.main().rows.len(),
            neighbours: self.config.neighbours,
            noise: self.config.noise,
            ceiling: ceiling(COMPONENTS, self.config.noise),
        }
    }

    /// From site to site.
    pub(super) fn flows(&self, captured: &[Site]) -> Result<Vec<Flow>, ExperimentError> {
        let names: Vec<&str> = captured.iter().map(|(name, _)| name.as_str()).collect();
        let pairs = pairs(&names);
        let components: Result<Vec<Option<Array2<f64>>>, ExperimentError> =
            captured.par_iter().map(|site| self.components(site)).collect();
        let components = components?;
        self.context.go_on()?;
        let shared: Result<Vec<Shared>, ExperimentError> = pairs
            .par_iter()
            .map(|pair| self.shared(captured, &components, *pair))
            .collect();
        self.context.go_on()?;
        let alignments = self.alignments(captured, &pairs)?;
        let found = pairs.iter().zip(shared?).zip(alignments);
        Ok(found
            .map(|((pair, shared), alignment)| Flow {
                from: names[pair.from].into(),
                to: names[pair.to].into(),
                stream: pair.stream,
                consecutive: pair.from + 1 == pair.to,
                alignment,
                shared,
            })
            .collect())
    }

    /// `[row, position * neuron]` of a site that was captured whole.
    fn by_row(&self, (name, captured): &Site) -> Result<Option<Array2<f64>>, ExperimentError> {
        let Captured::Whole(activations) = captured else {
            return Ok(None);
        };
        let rows = self.main().rows.len();
        let width = activations.len() / rows.max(1);
        let values: Vec<f64> = activations.iter().map(|&a| f64::from(a)).collect();
        match Array2::from_shape_vec((rows, width), values) {
            Ok(matrix) => Ok(Some(matrix)),
            Err(error) => Err(ExperimentError::Failed(format!("site `{name}`: {error}"))),
        }
    }

    fn components(&self, site: &Site) -> Result<Option<Array2<f64>>, ExperimentError> {
        match self.by_row(site)? {
            None => Ok(None),
            Some(matrix) => Ok(top_components(&site.0, matrix.view(), COMPONENTS)?),
        }
    }

    fn shared(
        &self,
        captured: &[Site],
        components: &[Option<Array2<f64>>],
        pair: Pair,
    ) -> Result<Shared, ExperimentError> {
        let (Some(from), Some(to)) = (&components[pair.from], &components[pair.to]) else {
            return Ok(Shared {
                ksg: self.undefined(captured, pair),
                ..Shared::default()
            });
        };
        let settings = SharedSettings {
            neighbours: self.config.neighbours,
            noise: self.config.noise,
            block: self.rows.block,
        };
        let seed = self
            .seed("noise")
            .child(&captured[pair.from].0)
            .child(&captured[pair.to].0);
        Ok(shared_information(from.view(), to.view(), &settings, seed)?)
    }

    fn undefined(&self, captured: &[Site], pair: Pair) -> Estimate {
        let streamed = |place: usize| matches!(captured[place].1, Captured::Streamed { .. });
        let reason = match streamed(pair.from) || streamed(pair.to) {
            true => STREAMED,
            false => CONSTANT,
        };
        Estimate::undefined(reason, self.main().rows.len())
    }

    /// One a pair. Matrices of rows by rows are dropped once no later pair needs them.
    fn alignments(&self, captured: &[Site], pairs: &[Pair]) -> Result<Vec<Alignment>, ExperimentError> {
        let bootstrap = self.piece_bootstrap("alignment");
        let mut kernels: Vec<Option<Kernel>> = (0..captured.len()).map(|_| None).collect();
        let mut all = Vec::with_capacity(pairs.len());
        for to in 0..captured.len() {
            self.context.go_on()?;
            if let Some(matrix) = self.by_row(&captured[to])? {
                kernels[to] = Kernel::new(&captured[to].0, matrix.view(), self.piece())?;
            }
            let own: Vec<Pair> = pairs.iter().filter(|pair| pair.to == to).copied().collect();
            let found: Result<Vec<Alignment>, ExperimentError> = own
                .par_iter()
                .map(|pair| match (&kernels[pair.from], &kernels[to]) {
                    (Some(from), Some(to)) => Ok(alignment(from, to, &bootstrap)?),
                    _ => Ok(Alignment {
                        cka: self.undefined(captured, *pair),
                        chance: None,
                    }),
                })
                .collect();
            all.extend(found?);
            for (place, kernel) in kernels.iter_mut().enumerate() {
                if !pairs.iter().any(|pair| pair.from == place && pair.to > to) {
                    *kernel = None;
                }
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_follow_each_other_in_the_list_and_on_the_stream() {
        let names = ["input", "embed", "layers.0.attn.z", "layers.0.resid", "pool", "logit"];
        let found: Vec<(usize, usize, bool)> = pairs(&names)
            .into_iter()
            .map(|pair| (pair.from, pair.to, pair.stream))
            .collect();
        let expected = [
            (0, 1, true),
            (1, 2, false),
            (1, 3, true),
            (2, 3, false),
            (3, 4, true),
            (4, 5, true),
        ];
        assert_eq!(found, expected);
        assert_eq!(pairs(&["layers.0.ff.hidden", "embed"]).len(), 1);
        assert!(pairs(&["pool"]).is_empty());
    }
}
