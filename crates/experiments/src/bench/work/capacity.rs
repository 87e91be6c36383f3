//! The notebook's 45 trainings over features, widths and seeds, side by side on the threads.

use disentangle_data::{Dataset, Seed, synthetic::SyntheticConfig};
use disentangle_models::{Model, ModelConfig, SmallConfig, parallel};

use super::{EPOCHS, fit, without_stopping};
use crate::{
    ExperimentError,
    bench::measure::{Answer, Job},
};

/// The number is the mean of the last losses.
pub(crate) fn capacity(job: &Job) -> Result<Answer, ExperimentError> {
    let mut cells = Vec::new();
    for features in [3, 5, 7] {
        for hidden in [32, 64, 128] {
            cells.extend((0..5).map(|seed| (features, hidden, seed)));
        }
    }
    let start = |&(features, hidden, seed): &(usize, usize, u64)| -> Result<(Dataset, Model), ExperimentError> {
        let data = SyntheticConfig {
            features,
            ..SyntheticConfig::multifeature()
        };
        let dataset = data.dataset(Seed::new(seed))?;
        let config = SmallConfig {
            hidden,
            ..SmallConfig::new(dataset.features.len())
        };
        let model = ModelConfig::Small(config).init(Seed::new(seed), job.device)?;
        Ok((dataset, model))
    };
    let one = |cell: &(usize, usize, u64), epochs: usize| {
        let (dataset, model) = start(cell)?;
        fit(model, &dataset, &without_stopping(epochs, 32), job.device, 1)
    };
    let all = || {
        let losses = parallel::map(job.threads, &cells, |cell| one(cell, EPOCHS));
        let losses: Vec<f64> = losses.into_iter().collect::<Result<_, ExperimentError>>()?;
        Ok(losses.iter().sum::<f64>() / losses.len() as f64)
    };
    let rows = 1000 * cells.len() * EPOCHS;
    let (mut answer, loss) = job.time(rows, || one(&cells[0], 1).map(|_| ()), all)?;
    answer.number = Some(loss);
    let (dataset, model) = start(&cells[0])?;
    job.check_logits(&mut answer, &model, &dataset)?;
    Ok(answer)
}
