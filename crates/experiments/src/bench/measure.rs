//! How a cell times its work, and what it says of it.

use std::{path::Path, time::Instant};

use burn::tensor::Device;
use disentangle_data::Dataset;
use disentangle_models::Model;
use ndarray::ArrayView3;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{arguments::Sizes, exchange, go_on};
use crate::ExperimentError;

/// Rows whose logits are compared.
const CHECKED: usize = 32;

/// What a workload is given.
pub(crate) struct Job<'a> {
    pub(super) device: &'a Device,
    pub(super) threads: usize,
    /// At least 1.
    pub(super) repeats: usize,
    /// Of the finance training.
    pub(super) sizes: Sizes,
    /// Where rows and weights go that a peer must have too.
    pub(super) exchange: Option<&'a Path>,
}

/// What one process says, ours or a peer's: one JSON line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// The backend, or the peer's library.
    pub(super) framework: String,
    pub(super) version: String,
    pub(super) threads: usize,
    /// Rows that pass in one repeat, epochs counted.
    pub(super) rows: usize,
    /// Of each repeat, without data, model and warm-up.
    pub(super) seconds: Vec<f64>,
    /// The largest resident set of the process up to the end of the last repeat, in MiB.
    pub(super) peak_memory_mb: Option<f64>,
    /// What the work found: a last loss, an effective rank.
    pub(super) number: Option<f64>,
    /// What must agree with everybody else's: logits of given rows under given weights, or the number of given rows.
    pub(super) check: Vec<f64>,
    /// What else is worth knowing.
    pub(super) extra: Map<String, Value>,
}

impl Job<'_> {
    /// Times `work` after a warm-up, and returns what the last repeat gave. A result is dropped before the next repeat
    /// begins.
    pub(super) fn time<T>(
        &self,
        rows: usize,
        warm_up: impl FnOnce() -> Result<(), ExperimentError>,
        mut work: impl FnMut() -> Result<T, ExperimentError>,
    ) -> Result<(Answer, T), ExperimentError> {
        self.time_from(rows, warm_up, || Ok(()), |()| work())
    }

    /// The same where each repeat takes something that is made for it, before the clock starts.
    pub(super) fn time_from<S, T>(
        &self,
        rows: usize,
        warm_up: impl FnOnce() -> Result<(), ExperimentError>,
        start: impl Fn() -> Result<S, ExperimentError>,
        mut work: impl FnMut(S) -> Result<T, ExperimentError>,
    ) -> Result<(Answer, T), ExperimentError> {
        warm_up()?;
        let (mut seconds, mut last) = (Vec::with_capacity(self.repeats), None);
        for _ in 0..self.repeats {
            go_on()?;
            drop(last.take());
            let given = start()?;
            let begun = Instant::now();
            let found = work(given)?;
            seconds.push(begun.elapsed().as_secs_f64());
            last = Some(found);
        }
        let answer = Answer {
            rows,
            seconds,
            peak_memory_mb: peak_memory(),
            ..Answer::default()
        };
        let last = last.ok_or_else(|| ExperimentError::Failed("nothing was timed: no repeats".into()))?;
        Ok((answer, last))
    }

    /// Puts the logits of the first rows under the initial weights, and writes both for the peers.
    pub(super) fn check_logits(
        &self,
        answer: &mut Answer,
        model: &Model,
        dataset: &Dataset,
    ) -> Result<(), ExperimentError> {
        let few: Vec<usize> = (0..dataset.windows.len().min(CHECKED)).collect();
        let x = dataset.inputs(&few);
        let logits = model.logits(x.view(), self.device, 1)?;
        answer.check = logits.into_iter().map(f64::from).collect();
        self.share(Some(model), x.view())
    }

    /// Puts the number of the given rows and weights, and writes both for the peers.
    pub(super) fn check_number(
        &self,
        answer: &mut Answer,
        number: f64,
        model: &Model,
        x: ArrayView3<f32>,
    ) -> Result<(), ExperimentError> {
        answer.number = Some(number);
        answer.check = vec![number];
        self.share(Some(model), x)
    }

    /// Writes rows, and the weights of a model, where somebody asked for them.
    pub(super) fn share(&self, model: Option<&Model>, x: ArrayView3<f32>) -> Result<(), ExperimentError> {
        match self.exchange {
            Some(path) => exchange::write(path, model, x.into_dyn()),
            None => Ok(()),
        }
    }
}

/// The process's largest resident set so far, in MiB, where the system tells.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace()
        .nth(1)?
        .parse::<f64>()
        .ok()
        .map(|kilobytes| kilobytes / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_repeats_are_timed_and_the_last_result_is_kept() {
        let device = Device::flex();
        let job = Job {
            device: &device,
            threads: 1,
            repeats: 3,
            sizes: Sizes::default(),
            exchange: None,
        };
        let (mut warm, mut done) = (0, 0);
        let warm_up = || {
            warm += 1;
            Ok(())
        };
        let work = || {
            done += 1;
            Ok(done)
        };
        let (answer, last) = job.time(7, warm_up, work).unwrap();
        assert_eq!((answer.rows, answer.seconds.len(), last), (7, 3, 3));
        assert_eq!((warm, done), (1, 3));
        assert!(answer.seconds.iter().all(|seconds| *seconds >= 0.0));
        let failed = job.time(1, || Err(ExperimentError::Failed("cold".into())), || Ok(()));
        assert_eq!(failed.err().unwrap().to_string(), "cold");
    }
}
