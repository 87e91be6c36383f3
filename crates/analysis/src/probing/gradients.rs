//! Gradients of the logit with respect to the input, and what is made of them: attributions and attacks.

use burn::tensor::Device;
use disentangle_models::{Model, ModelError, parallel, rows_at_once};
use ndarray::{Array3, ArrayView3, Axis, Zip, concatenate, s};

use super::{ProbingError, effects::check_shapes};
use crate::causal::{
    CausalError,
    attribution::{Rule, integrated_gradients},
    robustness::Disturbance,
};

/// ∂logit/∂x of every row, `[row, position, feature]` like `x`; without dropout. Does not depend on `threads`.
pub fn logit_gradient(
    model: &Model,
    x: &Array3<f32>,
    device: &Device,
    threads: usize,
) -> Result<Array3<f32>, ProbingError> {
    check_shapes(model, x, std::slice::from_ref(x))?;
    in_parts(model, x.dim().0, device, threads, |model, rows| {
        gradient_of_part(model, x.slice(s![rows, .., ..]), device)
    })
}

/// Runs `work` on ranges of rows, each thread on a model of its own, and joins the results.
fn in_parts<A: Clone + Send>(
    model: &Model,
    rows: usize,
    device: &Device,
    threads: usize,
    work: impl Fn(&Model, std::ops::Range<usize>) -> Result<Array3<A>, ModelError> + Sync,
) -> Result<Array3<A>, ProbingError> {
    let at_once = rows_at_once(device);
    let starts: Vec<usize> = (0..rows).step_by(at_once).collect();
    let parts = parallel::map_with(
        threads,
        &starts,
        || model.fork(device),
        |model, &start| work(model, start..(start + at_once).min(rows)),
    );
    let parts: Vec<Array3<A>> = parts.into_iter().collect::<Result<_, _>>()?;
    let views: Vec<_> = parts.iter().map(Array3::view).collect();
    concatenate(Axis(0), &views).map_err(|error| ModelError::Train(error.to_string()).into())
}

fn gradient_of_part(model: &Model, x: ArrayView3<f32>, device: &Device) -> Result<Array3<f32>, ModelError> {
    let shape = x.dim();
    let values = model.input_gradient(x, device)?;
    Ok(Array3::from_shape_vec(shape, values).unwrap_or_else(|_| Array3::zeros(shape)))
}

/// Integrated gradients of the logit from `baseline`, `[row, position, feature]`; rows pass in parts, one node at a time.
pub fn model_integrated_gradients(
    model: &Model,
    x: &Array3<f32>,
    baseline: &Array3<f32>,
    rule: Rule,
    steps: usize,
    device: &Device,
    threads: usize,
) -> Result<Array3<f64>, ProbingError> {
    check_shapes(model, x, std::slice::from_ref(baseline))?;
    in_parts(model, x.dim().0, device, threads, |model, rows| {
        let part = |x: &Array3<f32>| x.slice(s![rows.clone(), .., ..]).to_owned();
        integrated_gradients(&part(x), &part(baseline), rule, steps, |points| {
            gradient_of_part(model, points.view(), device)
        })
    })
}

/// logit(x) - logit(x with a column at all positions replaced by `baseline`'s), for each of `columns` a vector of rows.
pub fn occlusion(
    model: &Model,
    x: &Array3<f32>,
    baseline: &Array3<f32>,
    columns: &[usize],
    device: &Device,
    threads: usize,
) -> Result<Vec<Vec<f64>>, ProbingError> {
    check_shapes(model, x, std::slice::from_ref(baseline))?;
    let plain = model.logits(x.view(), device, threads)?;
    let one = |&column: &usize| {
        let mut without = x.clone();
        let column = s![.., .., column];
        without.slice_mut(column).assign(&baseline.slice(column));
        let logits = model.logits(without.view(), device, threads)?;
        let changes = plain.iter().zip(logits);
        Ok(changes.map(|(&plain, z)| f64::from(plain) - f64::from(z)).collect())
    };
    columns.iter().map(one).collect()
}

/// An attack on some columns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attack<'a> {
    /// [`Disturbance::Pgd`], or one step.
    pub kind: Disturbance,
    /// How far a value may move.
    pub level: f64,
    /// Columns that move.
    pub columns: &'a [usize],
}

/// Steps of PGD, each 2.5 / 10 of the level long.
const PGD_STEPS: usize = 10;

/// Rows moved within the attack's level so that the cross-entropy of `labels` rises: [`Disturbance::Fgsm`] in one
/// step, [`Disturbance::Pgd`] in ten without a random start. Entries whose gradient is 0 stay.
///
/// Fails for labels that are not one a row.
pub fn attack(
    model: &Model,
    x: &Array3<f32>,
    labels: &[f32],
    attack: &Attack,
    device: &Device,
    threads: usize,
) -> Result<Array3<f32>, ProbingError> {
    let Attack { kind, level, columns } = *attack;
    if labels.len() != x.dim().0 {
        return Err(CausalError::Length {
            what: "labels",
            found: labels.len(),
            expected: x.dim().0,
        }
        .into());
    }
    let (steps, length) = match kind {
        Disturbance::Pgd => (PGD_STEPS, 2.5 * level / PGD_STEPS as f64),
        _ => (1, level),
    };
    let mut moved = x.clone();
    for _ in 0..steps {
        let gradient = logit_gradient(model, &moved, device, threads)?;
        for &column in columns {
            let column = s![.., .., column];
            let (start, slope) = (x.slice(column), gradient.slice(column));
            let mut own = moved.slice_mut(column);
            for (row, &label) in labels.iter().enumerate() {
                // The loss's slope is (probability - label) times the logit's: its sign does not vanish where the probability is 0 or 1.
                let towards = if label > 0.5 { -1.0 } else { 1.0 };
                Zip::from(own.row_mut(row))
                    .and(start.row(row))
                    .and(slope.row(row))
                    .for_each(|value, &start, &slope| {
                        if slope != 0.0 {
                            let step = (length as f32) * towards * slope.signum();
                            *value = (*value + step).clamp(start - level as f32, start + level as f32);
                        }
                    });
            }
        }
    }
    Ok(moved)
}
