//! A model on some rows, and what it says when columns come from other rows.

use burn::tensor::Device;
use disentangle_analysis::{
    classification::{accuracy, roc_auc, sigmoid},
    descriptive::mean,
    importance::permute_columns,
    probing,
};
use disentangle_data::{Dataset, Role, Seed};
use disentangle_models::Model;
use ndarray::Array3;

use crate::ExperimentError;

/// A model and the rows on which it is asked.
pub(super) struct Asked<'a> {
    pub(super) model: &'a Model,
    pub(super) dataset: &'a Dataset,
    pub(super) device: &'a Device,
    pub(super) seed: Seed,
    /// `[row, position, feature]`.
    pub(super) x: Array3<f32>,
    pub(super) labels: Vec<f32>,
    pub(super) logits: Vec<f64>,
    /// Permutations of a group, averaged.
    pub(super) draws: usize,
}

impl<'a> Asked<'a> {
    /// Draws depend on `seed` alone: models that are compared share them.
    pub(super) fn new(
        model: &'a Model,
        dataset: &'a Dataset,
        rows: &[usize],
        draws: usize,
        seed: Seed,
        device: &'a Device,
    ) -> Result<Self, ExperimentError> {
        let x = dataset.inputs(rows);
        Ok(Self {
            logits: probing::logits(model, &x, device, 1)?,
            labels: dataset.labels(rows),
            x,
            model,
            dataset,
            device,
            seed,
            draws,
        })
    }

    pub(super) fn say(&self, x: &Array3<f32>) -> Result<Vec<f64>, ExperimentError> {
        Ok(probing::logits(self.model, x, self.device, 1)?)
    }

    /// Columns of all groups of a role.
    pub(super) fn columns(&self, role: Role) -> Vec<usize> {
        let own = self.dataset.groups.iter().filter(|group| group.role == role);
        own.flat_map(|group| group.columns.iter().copied()).collect()
    }

    pub(super) fn auc(&self) -> Option<f64> {
        roc_auc(&self.logits, &self.labels)
    }

    pub(super) fn accuracy(&self) -> Option<f64> {
        accuracy(&self.logits, &self.labels)
    }

    /// The mean ROC AUC of several draws of logits.
    pub(super) fn mean_auc(&self, draws: &[Vec<f64>]) -> Option<f64> {
        let each: Option<Vec<f64>> = draws.iter().map(|logits| roc_auc(logits, &self.labels)).collect();
        mean(&each?)
    }

    /// Logits with `columns` from other rows, one vector a draw.
    pub(super) fn without(&self, columns: &[usize]) -> Result<Vec<Vec<f64>>, ExperimentError> {
        let seed = self.seed.child("permuted");
        let draws = (0..self.draws).map(|draw| {
            let order = seed.index(draw as u64).rng().permutation(self.labels.len());
            self.say(&permute_columns(&self.x, columns, &order))
        });
        draws.collect()
    }

    /// ROC AUC lost without `columns`.
    pub(super) fn lost_without(&self, columns: &[usize]) -> Result<Option<f64>, ExperimentError> {
        let without = self.mean_auc(&self.without(columns)?);
        Ok(self.auc().zip(without).map(|(whole, without)| whole - without))
    }

    /// ROC AUC with `columns` only: all others come from other rows.
    pub(super) fn auc_only(&self, columns: &[usize]) -> Result<Option<f64>, ExperimentError> {
        let others: Vec<usize> = (0..self.x.dim().2).filter(|column| !columns.contains(column)).collect();
        Ok(self.mean_auc(&self.without(&others)?))
    }

    /// Mean over draws of |change of the logit| without `columns`, one a row.
    pub(super) fn influence(&self, columns: &[usize]) -> Result<Vec<f64>, ExperimentError> {
        let mut sizes = vec![0.0; self.logits.len()];
        for logits in self.without(columns)? {
            for ((size, changed), plain) in sizes.iter_mut().zip(logits).zip(&self.logits) {
                *size += (changed - plain).abs() / self.draws as f64;
            }
        }
        Ok(sizes)
    }

    /// E[(p(x) - p(x without the columns))²].
    pub(super) fn probability_shift(&self, columns: &[usize]) -> Result<Option<f64>, ExperimentError> {
        let without = self.without(columns)?;
        let squares = without.iter().flat_map(|logits| {
            let pairs = logits.iter().zip(&self.logits);
            pairs.map(|(changed, plain)| (sigmoid(*changed) - sigmoid(*plain)).powi(2))
        });
        Ok(mean(&squares.collect::<Vec<f64>>()))
    }
}
