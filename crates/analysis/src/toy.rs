//! The toy model of superposition (Elhage et al. 2022): x̂ = ReLU(WᵀW x + b) with fewer hidden dimensions than features.

use disentangle_data::{Seed, sparse_features};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, NdFloat, Zip};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{adam::Adam, matrix::MatrixError};

/// Rows of one task; gradients of tasks are added in order, so that the result is the same for any number of threads.
const ROWS: usize = 128;

/// Steps over which one entry of the loss curve is averaged.
pub const CURVE: usize = 100;

/// A toy model's task and training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ToyConfig {
    /// n.
    pub features: usize,
    /// m.
    pub hidden: usize,
    /// Probability that a feature is present; it is then uniform in [0, 1], and 0 otherwise. The paper's 1 - S.
    pub density: f64,
    /// Feature i weighs `importance` to the power i, i from 0.
    pub importance: f64,
    /// Of Adam.
    pub learning_rate: f64,
    /// Steps of Adam, each on new rows.
    pub steps: usize,
    /// Rows a step.
    pub batch: usize,
}

impl Default for ToyConfig {
    fn default() -> Self {
        Self {
            features: 5,
            hidden: 2,
            density: 0.1,
            importance: 0.9,
            learning_rate: 1e-3,
            steps: 10_000,
            batch: 1024,
        }
    }
}

impl ToyConfig {
    /// Says which setting is out of range.
    pub fn check(&self) -> Result<(), MatrixError> {
        let wrong = |key: &'static str, found: String, expected: &'static str| {
            Err(MatrixError::Setting { key, found, expected })
        };
        for (key, found) in [
            ("features", self.features),
            ("hidden", self.hidden),
            ("steps", self.steps),
            ("batch", self.batch),
        ] {
            if found == 0 {
                return wrong(key, found.to_string(), "a whole number above 0");
            }
        }
        for (key, found) in [("density", self.density), ("importance", self.importance)] {
            if !(found > 0.0 && found <= 1.0) {
                return wrong(key, found.to_string(), "a number above 0 and at most 1");
            }
        }
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            return wrong("learning_rate", self.learning_rate.to_string(), "a number above 0");
        }
        Ok(())
    }
}

impl ToyConfig {
    /// Weights of the features' errors, `[n]`.
    fn importances(&self) -> Array1<f32> {
        let powers = std::iter::successors(Some(1.0f64), |last| Some(last * self.importance));
        powers.take(self.features).map(|importance| importance as f32).collect()
    }
}

/// A trained toy model.
#[derive(Clone, Debug, PartialEq)]
pub struct ToyModel {
    /// W, `[m, n]`: column i is the direction of feature i.
    pub w: Array2<f64>,
    /// b, `[n]`.
    pub b: Array1<f64>,
    /// Mean over rows of Σ importance · (x - x̂)², averaged over every [`CURVE`] steps; the last entry over what is left.
    pub loss: Vec<f64>,
}

impl ToyModel {
    /// Wᵀ, `[n, m]`, a row a feature, as [`crate::dimensionality::feature_dimensionality`] takes it.
    pub fn directions(&self) -> Array2<f64> {
        self.w.t().to_owned()
    }

    /// Mean of Σ importance · (x - x̂)² over `rows` fresh rows of `config`; models that are compared get the same `seed`, so that they
    /// see the same rows.
    pub fn loss_on(&self, config: &ToyConfig, rows: usize, seed: Seed) -> f64 {
        let (w, b) = (self.w.mapv(|w| w as f32), self.b.mapv(|b| b as f32));
        let importance = config.importances();
        let starts: Vec<usize> = (0..rows).step_by(ROWS).collect();
        let parts: Vec<f64> = starts
            .par_iter()
            .map(|&start| {
                let mut rng = seed.index(start as u64).rng();
                let x = sparse_features(ROWS.min(rows - start), config.features, config.density, &mut rng);
                f64::from(gradients(w.view(), b.view(), x.view(), importance.view()).loss)
            })
            .collect();
        parts.iter().sum::<f64>() / rows.max(1) as f64
    }
}

/// Sums over rows.
#[derive(Clone, Debug)]
pub(crate) struct Gradients<A> {
    pub(crate) loss: A,
    pub(crate) w: Array2<A>,
    pub(crate) b: Array1<A>,
}

/// Σ over rows of Σ importance · (x - x̂)², and its gradient, for W `[m, n]`, b `[n]` and rows `[rows, n]`.
pub(crate) fn gradients<A: NdFloat>(
    w: ArrayView2<A>,
    b: ArrayView1<A>,
    x: ArrayView2<A>,
    importance: ArrayView1<A>,
) -> Gradients<A> {
    let two = A::one() + A::one();
    let hidden = x.dot(&w.t());
    // Becomes the gradient with respect to what the ReLU takes.
    let mut outer = hidden.dot(&w);
    // Sums of columns: additions that do not wait for each other.
    let mut squares: Array1<A> = Array1::zeros(b.len());
    for (outer, x) in outer.rows_mut().into_iter().zip(x.rows()) {
        Zip::from(outer)
            .and(&mut squares)
            .and(x)
            .and(b)
            .and(importance)
            .for_each(|outer, squares, &x, &b, &importance| {
                let before = *outer + b;
                let active = if before > A::zero() { A::one() } else { A::zero() };
                let error = active * before - x;
                *squares += error * error;
                *outer = active * two * importance * error;
            });
    }
    let inner = outer.dot(&w.t());
    Gradients {
        loss: squares.dot(&importance),
        w: hidden.t().dot(&outer) + inner.t().dot(&x),
        b: outer.sum_axis(Axis(0)),
    }
}

/// Trains from Xavier-normal weights and zero biases, with Adam (without decay).
///
/// The same settings and seed give the same model for any number of threads. Which of several stable arrangements it finds depends on
/// the seed; the paper trains many and keeps the best. Fails for settings out of range.
pub fn train(config: &ToyConfig, seed: Seed) -> Result<ToyModel, MatrixError> {
    config.check()?;
    let (n, m) = (config.features, config.hidden);
    let mut rng = seed.child("weights").rng();
    let spread = (2.0 / (n + m) as f64).sqrt();
    let mut w = Array2::from_shape_simple_fn((m, n), || (spread * rng.normal()) as f32);
    let mut b: Array1<f32> = Array1::zeros(n);
    let (mut adam_w, mut adam_b) = (Adam::new(&w), Adam::new(&b));
    let importance = config.importances();
    let rows = seed.child("rows");
    let tasks: Vec<(u64, usize)> = (0..config.batch.div_ceil(ROWS))
        .map(|task| (task as u64, ROWS.min(config.batch - task * ROWS)))
        .collect();
    let share = 1.0 / config.batch as f32;
    let mut loss = Vec::new();
    let (mut sum, mut since) = (0.0, 0);
    for step in 1..=config.steps {
        let seed = rows.index(step as u64);
        let parts: Vec<Gradients<f32>> = tasks
            .par_iter()
            .map(|&(task, rows)| {
                let x = sparse_features(rows, n, config.density, &mut seed.index(task).rng());
                gradients(w.view(), b.view(), x.view(), importance.view())
            })
            .collect();
        let mut gradient_w: Array2<f32> = Array2::zeros((m, n));
        let mut gradient_b: Array1<f32> = Array1::zeros(n);
        for part in &parts {
            gradient_w.scaled_add(share, &part.w);
            gradient_b.scaled_add(share, &part.b);
            sum += f64::from(part.loss) / config.batch as f64;
        }
        adam_w.update(&mut w, &gradient_w, config.learning_rate, step);
        adam_b.update(&mut b, &gradient_b, config.learning_rate, step);
        since += 1;
        if since == CURVE || step == config.steps {
            loss.push(sum / since as f64);
            (sum, since) = (0.0, 0);
        }
    }
    Ok(ToyModel {
        w: w.mapv(f64::from),
        b: b.mapv(f64::from),
        loss,
    })
}

/// Expected loss of two features of importance 1 and `ratio` that share one hidden dimension as opposites, W = (1, -1) and b = 0:
/// (1 + ratio) · density² / 6. Only rows with both features cost something: the square of the smaller, for each.
pub fn antipodal_loss(density: f64, ratio: f64) -> f64 {
    (1.0 + ratio) * density * density / 6.0
}

/// Expected loss where the first of two features has the hidden dimension to itself, W = (1, 0), and the second is guessed by its
/// mean, b = (0, density / 2): ratio times that feature's variance, density / 3 - density² / 4.
pub fn dedicated_loss(density: f64, ratio: f64) -> f64 {
    ratio * (density / 3.0 - density * density / 4.0)
}

/// The density below which [`antipodal_loss`] is smaller than [`dedicated_loss`]: 4 · ratio / (2 + 5 · ratio). Models whose scales and
/// biases are trained cross at somewhat higher densities.
pub fn crossing_density(ratio: f64) -> f64 {
    4.0 * ratio / (2.0 + 5.0 * ratio)
}
