//! What every strategy is given, and what some need of it.

use std::{collections::BTreeMap, sync::atomic::AtomicBool};

use burn::tensor::Device;
use disentangle_data::{Dataset, Seed};
use disentangle_models::{
    Classifier, Model,
    train::{Control, Loss, Strategy, Task, TrainConfig, train},
};

use crate::{Mitigated, MitigationError, embedding::POOL};

/// What a strategy needs beside rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
// Any of them can be needed without the others.
#[allow(clippy::struct_excessive_bools)]
pub struct Needs {
    /// The (label, shortcut) group of training and validation rows.
    pub groups: bool,
    /// Training rows of at least two environments.
    pub environments: bool,
    /// Columns of a named shortcut.
    pub shortcut: bool,
    /// Windows of more than one position.
    pub positions: bool,
}

/// Rows, initial weights, and how training goes. Strategies see training and validation rows only.
pub struct Given<'a> {
    /// The model with its initial weights, the same for every strategy.
    pub start: &'a Model,
    /// Where the rows are.
    pub dataset: &'a Dataset,
    /// Windows to fit on.
    pub train: &'a [usize],
    /// Windows to choose on.
    pub validation: &'a [usize],
    /// Columns of the shortcut; empty if none is named.
    pub shortcut: &'a [usize],
    /// How training goes.
    pub config: &'a TrainConfig,
    /// Of all randomness.
    pub seed: Seed,
    /// Where tensors live.
    pub device: &'a Device,
    /// Worker threads; changes no number.
    pub threads: usize,
    /// Set by somebody else to stop soon.
    pub cancel: &'a AtomicBool,
}

impl Given<'_> {
    /// Trains by the engine with a strategy's hooks, from the initial weights.
    pub(crate) fn fit(&self, strategy: &mut dyn Strategy, config: &TrainConfig) -> Result<Mitigated, MitigationError> {
        self.fit_with(self.start, strategy, config, self.seed.child("train"))
    }

    /// The same from other weights, with randomness of its own.
    pub(crate) fn fit_from(
        &self,
        start: &Model,
        strategy: &mut dyn Strategy,
        config: &TrainConfig,
    ) -> Result<Mitigated, MitigationError> {
        self.fit_with(start, strategy, config, self.seed.child("fine-tune"))
    }

    fn fit_with(
        &self,
        start: &Model,
        strategy: &mut dyn Strategy,
        config: &TrainConfig,
        seed: Seed,
    ) -> Result<Mitigated, MitigationError> {
        let task = Task {
            dataset: self.dataset,
            train: self.train,
            validation: self.validation,
            loss: Loss::Bce,
        };
        let control = Control::new(self.threads, self.cancel);
        Ok(Mitigated {
            trained: train(start.clone(), &task, strategy, config, seed, self.device, control)?,
            layer: self.dataset.layer.clone(),
        })
    }

    /// The same with other rows, or with the same rows behind another layer.
    pub(crate) fn on<'b>(&'b self, dataset: &'b Dataset) -> Given<'b> {
        Given {
            start: self.start,
            dataset,
            train: self.train,
            validation: self.validation,
            shortcut: self.shortcut,
            config: self.config,
            seed: self.seed,
            device: self.device,
            threads: self.threads,
            cancel: self.cancel,
        }
    }

    /// The (label, shortcut) group of each of some windows, `2 · label + shortcut`. Fails where a shortcut is unknown, or where a group
    /// of `windows` is empty.
    pub(crate) fn groups(&self, strategy: &'static str, windows: &[usize]) -> Result<Vec<u32>, MitigationError> {
        let fails = |found: String| MitigationError::Needs {
            strategy,
            needs: "the shortcut's value of every row (label and shortcut make its group)".into(),
            found,
        };
        let groups = self.dataset.subgroups(windows);
        let groups = groups.ok_or_else(|| fails(format!("`{}` does not say it", self.dataset.name)))?;
        let absent = (0..4).find(|group| !groups.contains(group));
        match absent {
            None => Ok(groups),
            Some(group) => Err(fails(format!(
                "no row of {} has label {} and shortcut {}",
                windows.len(),
                group / 2,
                group % 2
            ))),
        }
    }

    /// Fails where training rows lie in fewer than two environments.
    pub(crate) fn environments(&self, strategy: &'static str) -> Result<(), MitigationError> {
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        for &window in self.train {
            *counts.entry(self.dataset.windows[window].environment).or_default() += 1;
        }
        if counts.len() >= 2 {
            return Ok(());
        }
        Err(MitigationError::Needs {
            strategy,
            needs: "training rows of at least two environments".into(),
            found: format!(
                "all {} training rows of `{}` lie in one",
                self.train.len(),
                self.dataset.name
            ),
        })
    }

    /// Fails for a model without an embedding before its head.
    pub(crate) fn embedding(&self, strategy: &'static str) -> Result<(), MitigationError> {
        let sites: Vec<String> = self.start.sites().into_iter().map(|site| site.name).collect();
        if sites.iter().any(|site| site == POOL) {
            return Ok(());
        }
        Err(MitigationError::Needs {
            strategy,
            needs: format!("a model with an embedding before its head (site `{POOL}`)"),
            found: format!("this one has the sites {} only", sites.join(" and ")),
        })
    }

    /// Fails where no columns are named as the shortcut's.
    pub(crate) fn shortcut(&self, strategy: &'static str) -> Result<Vec<usize>, MitigationError> {
        match self.shortcut.is_empty() {
            false => Ok(self.shortcut.to_vec()),
            true => Err(MitigationError::Needs {
                strategy,
                needs: "the columns of a named shortcut".into(),
                found: format!("no group of `{}` is spurious", self.dataset.name),
            }),
        }
    }
}

/// As many rows of each group, drawn with replacement, as rows in all.
pub(crate) fn balanced(windows: &[usize], groups: &[u32], seed: Seed) -> Vec<usize> {
    let mut of: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (window, group) in windows.iter().zip(groups) {
        of.entry(*group).or_default().push(*window);
    }
    let groups: Vec<Vec<usize>> = of.into_values().collect();
    let mut rng = seed.rng();
    let mut drawn: Vec<usize> = (0..windows.len())
        .map(|row| {
            let group = &groups[row % groups.len()];
            group[rng.below(group.len())]
        })
        .collect();
    rng.shuffle(&mut drawn);
    drawn
}
