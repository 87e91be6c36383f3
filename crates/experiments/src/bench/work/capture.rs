//! Every site of a 12-layer, 768-wide model. The peer keeps activations by hooks, as TransformerLens does.

use disentangle_analysis::probing::{self, Captured};
use disentangle_data::Seed;
use disentangle_models::{Classifier, LargeConfig, Model, ModelConfig};
use ndarray::Array3;

use super::normal;
use crate::{
    ExperimentError,
    bench::measure::{Answer, Job},
};

/// Bytes that a capture of 10,000 rows, 8.3 GB whole, may keep.
const CAP: usize = 1_400_000_000;

/// 10,000 rows, reduced to moments while they stream wherever those are smaller. The peer is timed twice: once keeping
/// everything, once reducing every batch to the same moments. Peak memory is the figure of interest.
pub(crate) fn reduced(job: &Job) -> Result<Answer, ExperimentError> {
    capture(job, 10_000, CAP)
}

/// 2,000 rows, all kept on both sides.
pub(crate) fn whole(job: &Job) -> Result<Answer, ExperimentError> {
    capture(job, 2_000, usize::MAX)
}

/// The number is the sum over sites of the root mean square.
fn capture(job: &Job, rows: usize, cap: usize) -> Result<Answer, ExperimentError> {
    let model = ModelConfig::Large(LargeConfig::new(64, 2)).init(Seed::new(0), job.device)?;
    let sites: Vec<String> = model.sites().into_iter().map(|site| site.name).collect();
    let x = normal("capture", rows, 2, 64);
    let few = normal("warm-up", 64, 2, 64);
    let take = |model: &Model, x: &Array3<f32>| probing::capture(model, x.view(), &sites, cap, job.device);
    let (mut answer, captured) = job.time(
        rows,
        || {
            take(&model, &few)?;
            Ok(())
        },
        || Ok(take(&model, &x)?),
    )?;
    let number = captured.iter().map(|(_, one)| root_mean_square(one)).sum();
    drop(captured);
    answer.extra.insert("sites".into(), sites.len().into());
    job.check_number(&mut answer, number, &model, x.view())?;
    Ok(answer)
}

fn root_mean_square(captured: &Captured) -> f64 {
    match captured {
        Captured::Whole(rows) => {
            let squares: f64 = rows.iter().map(|&value| f64::from(value).powi(2)).sum();
            (squares / rows.len().max(1) as f64).sqrt()
        }
        Captured::Streamed { moments, .. } => moments.rms(),
    }
}
