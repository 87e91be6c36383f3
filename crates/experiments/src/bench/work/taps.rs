//! What taps cost. A forward pass without any cannot be timed, because every pass takes one; but what a tap that is off
//! costs has an upper bound that can.
//!
//! At every site a tap that is off takes one branch. A tap that asks for one site takes that branch too and then does
//! more: it notes the site's name, looks whether it is the one, and at that one keeps the activation, here one number a
//! row. So the time of a pass with such a tap, less that of a pass with a tap that is off, is more than what the latter
//! loses.

use std::{hint::black_box, time::Instant};

use burn::tensor::{Tensor, TensorData};
use disentangle_analysis::{Bootstrap, Estimate, descriptive::quantile};
use disentangle_data::Seed;
use disentangle_models::{Classifier, Input, Model, ModelConfig, SequenceConfig, Tap};
use ndarray::s;
use serde_json::json;

use super::normal;
use crate::{
    ExperimentError,
    bench::measure::{Answer, Job},
};

/// Rows that pass at once, as everywhere.
const ROWS: usize = 64;

/// Seconds of the same rows with the tap off, and with one site asked for.
struct Pair {
    off: f64,
    on: f64,
}

/// Forward passes of the finance model over 800 rows. Seconds are of passes with the tap off; the number is by how many
/// per cent a pass with a tap at `logit` takes longer: the median over pairs of the same rows, with a bootstrap
/// interval.
pub(crate) fn taps(job: &Job) -> Result<Answer, ExperimentError> {
    let model = ModelConfig::Sequence(SequenceConfig::new(5, 30)).init(Seed::new(0), job.device)?;
    let x = normal("taps", 800, 30, 5);
    let parts = (0..x.dim().0).step_by(ROWS).map(|start| {
        let end = (start + ROWS).min(x.dim().0);
        let values: Vec<f32> = x.slice(s![start..end, .., ..]).iter().copied().collect();
        let data = TensorData::new(values, [end - start, 30, 5]);
        Input::new(Tensor::from_data(data, job.device))
    });
    let parts: Vec<Input> = parts.collect();
    let mut pairs: Vec<Pair> = Vec::new();
    let (mut answer, ()) = job.time(
        x.dim().0,
        || pass_all(&model, &parts, &mut Vec::new()),
        || pass_all(&model, &parts, &mut pairs),
    )?;
    answer.seconds = pairs
        .chunks(parts.len())
        .map(|round| round.iter().map(|pair| pair.off).sum())
        .collect();
    let percent = percent(&pairs);
    answer.number = percent.value;
    answer.extra.insert(
        "tap_percent".into(),
        json!({"value": percent.value, "low": percent.low, "high": percent.high, "pairs": pairs.len()}),
    );
    Ok(answer)
}

/// Both ways over the same rows, in an order that changes from pair to pair.
fn pass_all(model: &Model, parts: &[Input], pairs: &mut Vec<Pair>) -> Result<(), ExperimentError> {
    for (index, part) in parts.iter().enumerate() {
        let (off, on) = if index.is_multiple_of(2) {
            let off = seconds(model, part, Tap::off()).0;
            (off, with_tap(model, part)?)
        } else {
            let on = with_tap(model, part)?;
            (seconds(model, part, Tap::off()).0, on)
        };
        pairs.push(Pair { off, on });
    }
    Ok(())
}

fn with_tap(model: &Model, part: &Input) -> Result<f64, ExperimentError> {
    let (seconds, tap) = seconds(model, part, Tap::new().record("logit")?);
    tap.finish()?;
    Ok(seconds)
}

/// Of one pass whose logits are read, and the tap.
fn seconds<'t>(model: &Model, part: &Input, mut tap: Tap<'t>) -> (f64, Tap<'t>) {
    let start = Instant::now();
    black_box(model.forward(part, &mut tap).into_data());
    (start.elapsed().as_secs_f64(), tap)
}

/// The median over pairs of on / off - 1, in per cent.
fn percent(pairs: &[Pair]) -> Estimate {
    let ratios: Vec<f64> = pairs.iter().map(|pair| 100.0 * (pair.on / pair.off - 1.0)).collect();
    let draws = Bootstrap::new(1, 1000, Seed::new(0).child("taps"));
    draws.estimate(ratios.len(), |rows| {
        let mut drawn: Vec<f64> = rows.iter().map(|&row| ratios[row]).collect();
        drawn.sort_by(f64::total_cmp);
        quantile(&drawn, 0.5)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_is_the_median_over_pairs() {
        let pair = |off: f64, on: f64| Pair { off, on };
        let pairs = [
            pair(1.0, 1.01),
            pair(2.0, 2.04),
            pair(1.0, 9.0),
            pair(1.0, 1.0),
            pair(1.0, 1.03),
        ];
        let found = percent(&pairs);
        assert!((found.value.unwrap() - 2.0).abs() < 1e-9, "{found:?}");
        assert!(found.low.unwrap() <= 2.0 && found.high.unwrap() >= 2.0);
    }
}
