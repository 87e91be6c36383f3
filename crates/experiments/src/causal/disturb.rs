//! Robustness: noise, dropped features, FGSM and PGD.

use disentangle_analysis::{
    causal::{
        CausalError,
        robustness::{Disturbance, degradation, feature_dropout, gaussian_noise},
    },
    classification::RankedScores,
    probing::{self, Attack},
};
use disentangle_data::Dataset;

use super::{Asked, CausalSettings, Plan, outcome::Robustness};
use crate::{ExperimentError, rows::integer_coded};

/// Columns that noise disturbs, and those of them that attacks may move.
pub(super) fn columns(
    config: &CausalSettings,
    dataset: &Dataset,
    plan: &Plan,
) -> Result<[Vec<usize>; 2], ExperimentError> {
    let disturbed: Vec<usize> = match &plan.attack_group {
        Some(group) => group.columns.clone(),
        None => (0..dataset.features.len()).collect(),
    };
    let coded = integer_coded(dataset);
    let attacked: Vec<usize> = disturbed
        .iter()
        .copied()
        .filter(|&column| config.attack_integers || !coded[column])
        .collect();
    if attacked.is_empty() {
        let names: Vec<&str> = disturbed
            .iter()
            .map(|&column| dataset.features[column].as_str())
            .collect();
        return Err(CausalError::IntegerCoded {
            group: plan
                .attack_group
                .as_ref()
                .map_or("the dataset", |group| &group.name)
                .into(),
            columns: names.join(", "),
        }
        .into());
    }
    Ok([disturbed, attacked])
}

impl Asked<'_> {
    pub(super) fn robustness(&self) -> Result<Robustness, ExperimentError> {
        let dataset = &self.input.rows.dataset;
        let rows = &self.main().rows;
        let [disturbed, attacked] = columns(self.config, dataset, &self.input.plan)?;
        let (x, labels) = (self.inputs(rows), dataset.labels(rows));
        let undisturbed = self.logits(&x)?;
        let (device, threads) = (self.context.device, self.context.threads);
        let mut degradations = Vec::new();
        for kind in Disturbance::ALL {
            let mut levels = Vec::new();
            for &level in &self.config.levels {
                self.context.go_on()?;
                let mut draws = Vec::new();
                let count = if kind.is_attack() { 1 } else { self.config.noise_draws };
                for draw in 0..count {
                    let seed = self.seed(kind.name()).child(&level.to_string()).index(draw as u64);
                    let moved = match kind {
                        Disturbance::GaussianNoise => gaussian_noise(&x, &disturbed, level, seed),
                        Disturbance::FeatureDropout => feature_dropout(&x, &disturbed, level, seed),
                        _ => {
                            let attack = Attack {
                                kind,
                                level,
                                columns: &attacked,
                            };
                            probing::attack(self.model, &x, &labels, &attack, device, threads)?
                        }
                    };
                    draws.push(self.logits(&moved)?);
                }
                levels.push((level, draws));
            }
            degradations.push(degradation(kind, &labels, &undisturbed, &levels, &self.bootstrap));
        }
        let ranked = RankedScores::new(&undisturbed, &labels);
        let left_alone = disturbed.iter().filter(|column| !attacked.contains(column));
        Ok(Robustness {
            environment: self.main().name.clone(),
            group: self.input.plan.attack_group.as_ref().map(|group| group.name.clone()),
            not_attacked: left_alone.map(|&column| dataset.features[column].clone()).collect(),
            undisturbed: self
                .bootstrap
                .estimate_weighted(labels.len(), |weights| ranked.auc(weights))
                .within(0.0, 1.0),
            degradations,
        })
    }
}
