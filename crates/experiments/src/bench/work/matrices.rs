//! Decompositions of 10,000 x 768 normal values.

use disentangle_analysis::{Pca, spectra::Spectrum};
use ndarray::{ArrayView2, Axis, s};

use super::normal;
use crate::{
    ExperimentError,
    bench::measure::{Answer, Job},
};

/// Singular values; the number is the effective rank.
pub(crate) fn spectrum(job: &Job) -> Result<Answer, ExperimentError> {
    matrix(job, |x| {
        let spectrum = Spectrum::new("matrix", x)?;
        Ok(spectrum.effective_rank().unwrap_or(f64::NAN))
    })
}

/// Principal components; the number is the effective rank too.
pub(crate) fn pca(job: &Job) -> Result<Answer, ExperimentError> {
    matrix(job, |x| {
        let pca = Pca::fit(x).map_err(|error| ExperimentError::Failed(error.to_string()))?;
        let s = pca.variance.mapv(f64::sqrt);
        let p = &s / s.sum();
        Ok((-p.iter().filter(|p| **p > 0.0).map(|p| p * p.ln()).sum::<f64>()).exp())
    })
}

fn matrix(
    job: &Job,
    rank: impl Fn(ArrayView2<f64>) -> Result<f64, ExperimentError>,
) -> Result<Answer, ExperimentError> {
    let given = normal("matrix", 1, 10_000, 768);
    // The peer is given 32 bits of each value.
    let x = given.index_axis(Axis(0), 0).mapv(f64::from);
    let (mut answer, found) = job.time(
        x.nrows(),
        || rank(x.slice(s![..1600, ..])).map(|_| ()),
        || rank(x.view()),
    )?;
    answer.number = Some(found);
    answer.check = vec![found];
    job.share(None, given.view())?;
    Ok(answer)
}
