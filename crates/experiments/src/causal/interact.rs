//! Interactions between every two groups.

use disentangle_analysis::{
    causal::interaction::{Interaction, PairLogits, friedman_h_squared, interaction, partial_dependence, without},
    multiple::benjamini_hochberg_of,
};
use ndarray::{Array3, s};
use rayon::prelude::*;

use super::{Asked, outcome::Interactions};
use crate::ExperimentError;

/// What is run for one pair.
struct Pair {
    groups: [usize; 2],
    logits: PairLogits,
    /// Partial dependence on both.
    both: Vec<f64>,
}

impl Asked<'_> {
    pub(super) fn interactions(&self) -> Result<Interactions, ExperimentError> {
        let groups = &self.input.rows.dataset.groups;
        let x = self.inputs(&self.few());
        let rows = x.dim().0;
        // The background is a part of the rows, evenly spaced.
        let stride = rows.div_ceil(self.config.background).max(1);
        let background = x.slice(s![..;stride, .., ..]).to_owned();
        let whole = self.logits(&x)?;
        let draws = 0..self.config.interaction_draws;
        let seed = self.seed("interactions");
        let replaced = |members: &[usize]| -> Result<Vec<Vec<f64>>, ExperimentError> {
            let columns: Vec<(usize, &[usize])> = members
                .iter()
                .map(|&group| (group, groups[group].columns.as_slice()))
                .collect();
            let draws = draws.clone();
            draws
                .map(|draw| self.logits(&without(&x, &columns, draw, seed)))
                .collect()
        };
        let dependence = |members: &[usize]| -> Result<Vec<f64>, ExperimentError> {
            let columns: Vec<usize> = members
                .iter()
                .flat_map(|&group| groups[group].columns.clone())
                .collect();
            partial_dependence(&x, &background, &columns, |x: &Array3<f32>| self.logits(x))
        };
        let single: Vec<Vec<Vec<f64>>> = (0..groups.len()).map(|g| replaced(&[g])).collect::<Result<_, _>>()?;
        let alone: Vec<Vec<f64>> = (0..groups.len()).map(|g| dependence(&[g])).collect::<Result<_, _>>()?;
        let mut pairs = Vec::new();
        for first in 0..groups.len() {
            for second in first + 1..groups.len() {
                self.context.go_on()?;
                pairs.push(Pair {
                    groups: [first, second],
                    logits: PairLogits {
                        without_first: single[first].clone(),
                        without_second: single[second].clone(),
                        without_both: replaced(&[first, second])?,
                    },
                    both: dependence(&[first, second])?,
                });
            }
        }
        let flips = self.config.flips;
        let mut found: Vec<Interaction> = pairs
            .par_iter()
            .map(|pair| {
                let [first, second] = pair.groups;
                let names = [groups[first].name.as_str(), groups[second].name.as_str()];
                let mut one = interaction(names, &whole, &pair.logits, &self.bootstrap, flips);
                one.h_squared = friedman_h_squared(&pair.both, &alone[first], &alone[second], &self.bootstrap);
                one
            })
            .collect();
        let p: Vec<Option<f64>> = found.iter().map(|one| one.mean.p).collect();
        for (one, q) in found.iter_mut().zip(benjamini_hochberg_of(&p)) {
            one.mean.q = q;
        }
        Ok(Interactions {
            environment: self.main().name.clone(),
            rows,
            draws: self.config.interaction_draws,
            background: background.dim().0,
            pairs: found,
        })
    }
}
