//! Trainings of one model on rows that are made up: what the notebook's parts 5, 7 and 8 train, and larger ones.

use disentangle_data::Seed;
use disentangle_models::{HealthcareConfig, ModelConfig, SequenceConfig, SmallConfig, train::TrainConfig};

use super::{EPOCHS, fit, labelled, without_stopping};
use crate::{
    ExperimentError,
    bench::measure::{Answer, Job},
};

/// A model, its rows `[row, position, feature]` and how it is trained.
struct Training {
    model: ModelConfig,
    rows: [usize; 3],
    config: TrainConfig,
}

/// The notebook's `RealWorldTransformer`, all rows in a step.
pub(crate) fn finance(job: &Job) -> Result<Answer, ExperimentError> {
    let sizes = job.sizes;
    let model = SequenceConfig {
        hidden: sizes.hidden,
        layers: sizes.layers,
        feed_forward: 4 * sizes.hidden,
        ..SequenceConfig::new(5, 30)
    };
    train(
        job,
        &Training {
            model: ModelConfig::Sequence(model),
            rows: [sizes.rows, 30, 5],
            config: without_stopping(sizes.epochs, 0),
        },
    )
}

/// The notebook's `SmallTransformer`, 32 rows in a step.
pub(crate) fn small(job: &Job) -> Result<Answer, ExperimentError> {
    train(
        job,
        &Training {
            model: ModelConfig::Small(SmallConfig::new(50)),
            rows: [1000, 1, 50],
            config: without_stopping(EPOCHS, 32),
        },
    )
}

/// The notebook's `HealthcareTransformer`, all rows in a step; both attentions see all features, as there.
pub(crate) fn ehr(job: &Job) -> Result<Answer, ExperimentError> {
    train(
        job,
        &Training {
            model: ModelConfig::Healthcare(HealthcareConfig::shared(12, 10)),
            rows: [990, 10, 12],
            config: without_stopping(5, 0),
        },
    )
}

/// A 768-wide encoder with 28 million parameters, three steps of 64 rows.
pub(crate) fn large(job: &Job) -> Result<Answer, ExperimentError> {
    // Half of the default, so that two workers have something to do.
    train(job, &wide(64, 4, 32))
}

/// The same with twelve layers and 85 million parameters, three steps of 1024 rows.
pub(crate) fn large_gpu(job: &Job) -> Result<Answer, ExperimentError> {
    // All rows at once: a GPU idles on few.
    train(job, &wide(1024, 12, 1024))
}

/// `torch.nn.TransformerEncoder`'s default layer is that of `Sequence`; `Large` has GELU.
fn wide(rows: usize, layers: usize, micro_batch: usize) -> Training {
    let model = SequenceConfig {
        hidden: 768,
        heads: 12,
        layers,
        feed_forward: 3072,
        ..SequenceConfig::new(256, 10)
    };
    Training {
        model: ModelConfig::Sequence(model),
        rows: [rows, 10, 256],
        config: TrainConfig {
            micro_batch,
            ..without_stopping(3, 0)
        },
    }
}

/// The number is the last epoch's loss; logits are those before training.
fn train(job: &Job, training: &Training) -> Result<Answer, ExperimentError> {
    let [rows, positions, features] = training.rows;
    let dataset = labelled(rows, positions, features);
    let start = || Ok(training.model.init(Seed::new(0), job.device)?);
    let config = &training.config;
    let once = TrainConfig {
        epochs: 1,
        ..config.clone()
    };
    let (mut answer, loss) = job.time_from(
        rows * config.epochs,
        || fit(start()?, &dataset, &once, job.device, job.threads).map(|_| ()),
        start,
        |model| fit(model, &dataset, config, job.device, job.threads),
    )?;
    answer.number = Some(loss);
    job.check_logits(&mut answer, &start()?, &dataset)?;
    Ok(answer)
}
