//! A step whose objective is no sum over rows: everything goes forward, the strategy is asked once, everything goes backward.

use std::ops::Range;

use ndarray::{Array2, Array3};

use super::{
    Ask, Batch, LossAndGradient, Outputs, Strategy,
    engine::Run,
    workers::{Done, Rows, Version, Work},
};
use crate::{Dropout, ModelError};

/// What came out of the batch, or of one variant of it.
#[derive(Clone, Debug, Default)]
struct Passed {
    outputs: Vec<f32>,
    /// Activations of each site, row by row.
    sites: Vec<Vec<f32>>,
}

impl Passed {
    fn take(&mut self, done: Done) {
        self.outputs.extend(done.outputs);
        self.sites.resize(self.sites.len().max(done.sites.len()), Vec::new());
        for (all, part) in self.sites.iter_mut().zip(done.sites) {
            all.extend(part);
        }
    }

    /// `[row, width]` of each site.
    fn matrices(&mut self, rows: usize) -> Option<Vec<Array2<f32>>> {
        let sites = std::mem::take(&mut self.sites).into_iter();
        sites
            .map(|values| Array2::from_shape_vec((rows, values.len() / rows), values).ok())
            .collect()
    }
}

impl Run<'_> {
    /// Objective and gradient of one batch with its variants. Sums are taken in micro-batch order.
    pub(super) fn whole_batch(
        &self,
        batch: &Batch,
        version: &Version,
        strategy: &mut dyn Strategy,
        dropout: impl Fn(usize) -> Dropout,
    ) -> Result<(f64, Vec<f32>), ModelError> {
        let (size, count) = (self.config.micro_batch, batch.windows.len());
        let variants = strategy.variants(batch, &Asked { run: self, version })?;
        let forward = |micro, _| Work::Forward {
            dropout: dropout(micro),
            sites: self.sites.clone(),
        };
        let sets: Vec<Rows> = std::iter::once(Rows::Windows(batch.windows))
            .chain(variants.iter().map(Rows::Inputs))
            .collect();
        let each = count.div_ceil(size);
        let mut passed = vec![Passed::default(); sets.len()];
        for (set, rows) in sets.iter().enumerate() {
            self.workers
                .run(*rows, set * each, size, version, forward, |done| passed[set].take(done))?;
        }
        if passed.iter().any(|one| one.outputs.len() != count) {
            return Err(ModelError::Train(
                "a variant has another number of rows than the batch".into(),
            ));
        }
        let sites: Option<Vec<Vec<Array2<f32>>>> = passed.iter_mut().map(|one| one.matrices(count)).collect();
        let mut sites = sites.unwrap_or_default();
        if sites.len() != sets.len() || sites.iter().any(|own| own.len() != self.sites.len()) {
            return Err(ModelError::Train("the activations of a site cannot be had".into()));
        }
        let of_variants: Vec<Vec<f32>> = passed.drain(1..).map(|one| one.outputs).collect();
        let sites_of_variants = sites.split_off(1);
        let given = Outputs {
            batch: &passed[0].outputs,
            variants: &of_variants,
            sites: &sites[0],
            variant_sites: &sites_of_variants,
        };
        let objective = strategy.objective(self.task.loss, &given, batch);
        fits(&objective, &given)?;
        let mut gradient = self.sum(version);
        for (set, rows) in sets.iter().enumerate() {
            let pull = |_, rows: Range<usize>| backward(&objective, set, rows);
            self.workers.run(*rows, set * each, size, version, pull, |done| {
                gradient.add(&done.gradient);
            })?;
        }
        Ok((objective.loss, gradient.finish()))
    }
}

/// Refuses gradients of other shapes than what they belong to. Those that are absent count as 0.
fn fits(objective: &LossAndGradient, given: &Outputs) -> Result<(), ModelError> {
    let shapes = |sites: &[Array2<f32>]| -> Vec<(usize, usize)> { sites.iter().map(Array2::dim).collect() };
    let outputs = objective.gradient.len() == given.batch.len()
        && objective.variants.len() <= given.variants.len()
        && objective
            .variants
            .iter()
            .zip(given.variants)
            .all(|(own, given)| own.len() == given.len());
    let of_set = |own: &[Array2<f32>], given: &[Array2<f32>]| own.is_empty() || shapes(own) == shapes(given);
    let sites = of_set(&objective.sites, given.sites)
        && objective.variant_sites.len() <= given.variant_sites.len()
        && objective
            .variant_sites
            .iter()
            .zip(given.variant_sites)
            .all(|(own, given)| of_set(own, given));
    match outputs && sites {
        true => Ok(()),
        false => Err(ModelError::Train(
            "the objective's gradient has another shape than what it is the gradient of".into(),
        )),
    }
}

/// The backward pass of some rows of a set: of the batch (0), or of a variant (from 1).
fn backward(objective: &LossAndGradient, set: usize, rows: Range<usize>) -> Work {
    let (outputs, sites) = match set.checked_sub(1) {
        None => (Some(&objective.gradient), Some(&objective.sites)),
        Some(variant) => (objective.variants.get(variant), objective.variant_sites.get(variant)),
    };
    let of_rows = |site: &Array2<f32>| -> Vec<f32> {
        let part = site.slice(ndarray::s![rows.clone(), ..]);
        part.iter().copied().collect()
    };
    Work::Backward {
        sites: sites.map_or_else(Vec::new, |sites| sites.iter().map(of_rows).collect()),
        gradient: outputs.map_or_else(|| vec![0.0; rows.len()], |pull| pull[rows.clone()].to_vec()),
    }
}

/// The model of a step, as strategies may question it.
struct Asked<'r, 'a> {
    run: &'r Run<'a>,
    version: &'r Version,
}

impl Ask for Asked<'_, '_> {
    fn inputs(&self, windows: &[usize]) -> Array3<f32> {
        self.run.task.dataset.inputs(windows)
    }

    fn input_gradient(&self, x: &Array3<f32>) -> Result<Array3<f32>, ModelError> {
        let mut values = Vec::with_capacity(x.len());
        let size = self.run.config.micro_batch;
        self.run.workers.run(
            Rows::Inputs(x),
            0,
            size,
            self.version,
            |_, _| Work::InputGradient,
            |done| values.extend(done.outputs),
        )?;
        Array3::from_shape_vec(x.dim(), values)
            .map_err(|_| ModelError::Train("the gradient with respect to the input cannot be had".into()))
    }
}
