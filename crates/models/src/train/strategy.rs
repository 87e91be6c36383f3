//! What a mitigation strategy may change about training. Plain empirical risk minimisation is all the defaults.

use super::Loss;

/// The rows of one step, as plain arrays.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Window indices into the dataset.
    pub windows: &'a [usize],
    /// 0 or 1.
    pub labels: &'a [f32],
    /// Index of each row's environment.
    pub environments: &'a [u32],
}

/// The value of an objective and its derivative with respect to each row's output.
#[derive(Clone, Debug, PartialEq)]
pub struct LossAndGradient {
    /// The objective of the whole batch.
    pub loss: f64,
    /// One entry a row.
    pub gradient: Vec<f32>,
}

/// Hooks of the training engine.
pub trait Strategy {
    /// Whether [`Strategy::objective`] needs the outputs of the whole batch at once, because it is no sum over rows.
    fn whole_batch(&self) -> bool {
        false
    }

    /// The objective of a batch. Called only if [`Strategy::whole_batch`]; otherwise the mean of `loss` over rows is used.
    fn objective(&mut self, loss: Loss, outputs: &[f32], batch: &Batch) -> LossAndGradient {
        mean_over_rows(loss, outputs, batch.labels, outputs.len())
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
    }
}
