//! What a mitigation strategy may change about training. Plain empirical risk minimisation is all the defaults.

use disentangle_data::Seed;
use ndarray::{Array2, Array3};

use super::Loss;
use crate::ModelError;

/// The rows of one step, as plain arrays.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Window indices into the dataset.
    pub windows: &'a [usize],
    /// 0 or 1.
    pub labels: &'a [f32],
    /// Index of each row's environment.
    pub environments: &'a [u32],
    /// Steps taken before this one.
    pub step: u64,
}

/// The value of an objective and its derivative with respect to each output.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LossAndGradient {
    /// The objective of the whole batch.
    pub loss: f64,
    /// One entry a row.
    pub gradient: Vec<f32>,
    /// One entry a row for each of [`Strategy::variants`]; none where the objective does not depend on their outputs.
    pub variants: Vec<Vec<f32>>,
    /// With respect to [`Outputs::sites`], of the same shapes; none where the objective does not depend on them.
    pub sites: Vec<Array2<f32>>,
    /// With respect to [`Outputs::variant_sites`], of the same shapes; none where the objective does not depend on them.
    pub variant_sites: Vec<Vec<Array2<f32>>>,
}

/// Outputs of one step.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outputs<'a> {
    /// One a row.
    pub batch: &'a [f32],
    /// One a row for each of [`Strategy::variants`].
    pub variants: &'a [Vec<f32>],
    /// The batch's activations at each of [`Strategy::sites`], `[row, head · position · neuron]`.
    pub sites: &'a [Array2<f32>],
    /// The same of each of [`Strategy::variants`].
    pub variant_sites: &'a [Vec<Array2<f32>>],
}

/// Answers about the model of the current step.
pub trait Ask {
    /// Standardised inputs of windows, `[row, position, feature]`.
    fn inputs(&self, windows: &[usize]) -> Array3<f32>;

    /// ∂output/∂x of rows `[row, position, feature]`, without dropout.
    fn input_gradient(&self, x: &Array3<f32>) -> Result<Array3<f32>, ModelError>;
}

/// Hooks of the training engine. A step asks in this order: which rows ([`Strategy::rows`], once an epoch), either parts of the
/// batch and how their gradients are combined, or variants and the objective; then the penalty on the weights; and after the
/// optimiser's step for changes of the parameters.
pub trait Strategy {
    /// The rows of an epoch in the order in which batches take them, some perhaps several times or not at all. `None` is every training
    /// row once.
    fn rows(&mut self, train: &[usize], epoch: Seed) -> Option<Vec<usize>> {
        let _ = (train, epoch);
        None
    }

    /// Windows of the batch whose mean losses have gradients of their own, which [`Strategy::combine`] makes one of. Empty where the
    /// batch's objective is used.
    fn parts(&mut self, batch: &Batch) -> Vec<Vec<usize>> {
        let _ = batch;
        Vec::new()
    }

    /// One gradient out of those of the parts. Called only if there are parts.
    fn combine(&mut self, gradients: Vec<Vec<f32>>, step: Seed) -> Vec<f32> {
        let _ = step;
        gradients.into_iter().next().unwrap_or_default()
    }

    /// Whether [`Strategy::objective`] needs the outputs of the whole batch at once, because it is no sum over rows.
    fn whole_batch(&self) -> bool {
        false
    }

    /// Rows that pass beside those of the batch, each set `[row, position, feature]` with one row for each of the batch's: attacked ones,
    /// or counterfactual ones. Called only if [`Strategy::whole_batch`].
    fn variants(&mut self, batch: &Batch, ask: &dyn Ask) -> Result<Vec<Array3<f32>>, ModelError> {
        let _ = (batch, ask);
        Ok(Vec::new())
    }

    /// Sites whose activations [`Strategy::objective`] is given, each a name of [`crate::Classifier::sites`]. Asked once, before training.
    fn sites(&self) -> Vec<String> {
        Vec::new()
    }

    /// The objective of a batch. Called only if [`Strategy::whole_batch`]; otherwise the mean of `loss` over rows is used.
    fn objective(&mut self, loss: Loss, outputs: &Outputs, batch: &Batch) -> LossAndGradient {
        mean_over_rows(loss, outputs.batch, batch.labels, outputs.batch.len())
    }

    /// Whether [`Strategy::after_step`] changes parameters.
    fn edits_parameters(&self) -> bool {
        false
    }

    /// Changes parameters after the optimiser's step, as a proximal step does. Called only if [`Strategy::edits_parameters`].
    /// `parameters` are all of them, one after the other; [`crate::Model::input_places`] says which read a feature.
    fn after_step(&mut self, parameters: &mut [f32], learning_rate: f64) {
        let _ = (parameters, learning_rate);
    }
}

/// Empirical risk minimisation: the mean loss over rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Erm;

impl Strategy for Erm {}

/// The part of a mean over `total` rows that these rows contribute.
pub(super) fn mean_over_rows(loss: Loss, outputs: &[f32], labels: &[f32], total: usize) -> LossAndGradient {
    let scale = 1.0 / total as f64;
    let (values, gradient): (Vec<f64>, Vec<f32>) = outputs
        .iter()
        .zip(labels)
        .map(|(&z, &y)| {
            let (value, derivative) = loss.row(z, y);
            (value * scale, (derivative * scale) as f32)
        })
        .unzip();
    LossAndGradient {
        loss: values.iter().sum(),
        gradient,
        ..LossAndGradient::default()
    }
}
