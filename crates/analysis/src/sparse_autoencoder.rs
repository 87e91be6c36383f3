//! Sparse autoencoders: the directions of which a site's activations are sparse sums (Bricken et al. 2023, "Towards
//! monosemanticity").
//!
//! h = ReLU(W_e (x - b_d) + b_e) and x̂ = W_d h + b_d, trained on mean ‖x - x̂‖² + λ · mean Σ|h|, means over rows, with decoder columns of
//! unit length. Inputs are centred on the training mean and scaled so that mean ‖x‖² = d: λ then means the same at every site. The
//! gradients are written out by hand; arithmetic is f32.

use disentangle_data::{Random, Seed};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, NdFloat, Zip};
use serde::{Deserialize, Serialize};

use crate::{
    adam::Adam,
    linalg::product,
    matrix::{self, MatrixError},
};

/// Rows that are encoded at once.
const ROWS: usize = 1024;

/// How an autoencoder is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SparseAutoencoderConfig {
    /// Latents, N.
    pub latents: usize,
    /// λ, for inputs with mean ‖x‖² = d.
    pub l1: f64,
    /// Of Adam.
    pub learning_rate: f64,
    /// Steps of Adam.
    pub steps: usize,
    /// Rows a step; all rows where there are fewer.
    pub batch: usize,
}

impl Default for SparseAutoencoderConfig {
    fn default() -> Self {
        Self {
            latents: 256,
            l1: 1.0,
            learning_rate: 3e-3,
            steps: 3000,
            batch: 256,
        }
    }
}

impl SparseAutoencoderConfig {
    /// Says which setting is out of range.
    pub fn check(&self) -> Result<(), MatrixError> {
        let wrong = |key: &'static str, found: String, expected: &'static str| {
            Err(MatrixError::Setting { key, found, expected })
        };
        for (key, found) in [("latents", self.latents), ("steps", self.steps), ("batch", self.batch)] {
            if found == 0 {
                return wrong(key, found.to_string(), "a whole number above 0");
            }
        }
        if !(self.l1.is_finite() && self.l1 >= 0.0) {
            return wrong("l1", self.l1.to_string(), "a number that is not negative");
        }
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            return wrong("learning_rate", self.learning_rate.to_string(), "a number above 0");
        }
        Ok(())
    }
}

/// Training losses, means over the steps since the point before, in the scaled units.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Steps done.
    pub step: usize,
    /// Mean over rows of ‖x - x̂‖².
    pub reconstruction: f64,
    /// Mean over rows of Σ|h|.
    pub sparsity: f64,
}

/// A trained autoencoder.
#[derive(Clone, Debug, PartialEq)]
pub struct SparseAutoencoder {
    /// Subtracted from inputs, `[d]`: the mean of the training rows.
    pub mean: Array1<f64>,
    /// Multiplied to centred inputs.
    pub scale: f64,
    /// W_e transposed, `[d, N]`.
    pub encoder: Array2<f32>,
    /// b_e, `[N]`.
    pub encoder_bias: Array1<f32>,
    /// W_d transposed, `[N, d]`: a row a latent, of unit length.
    pub decoder: Array2<f32>,
    /// b_d, `[d]`.
    pub decoder_bias: Array1<f32>,
    /// About 100 points.
    pub curve: Vec<CurvePoint>,
}

/// What an autoencoder does on rows that it was not trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SparseAutoencoderMetrics {
    /// Rows.
    pub rows: usize,
    /// Mean number of latents above 0 in a row.
    pub l0: f64,
    /// Latents that are 0 on every row.
    pub dead: usize,
    /// Mean over rows of ‖x - x̂‖², in the units of the inputs.
    pub reconstruction: f64,
    /// 1 - Σ‖x - x̂‖² / Σ‖x - mean x‖², the mean being that of these rows; `None` where they do not vary.
    pub explained_variance: Option<f64>,
    /// ψ = exp(H(p)) / N, p_i = mean|z_i| / Σ, the share of latents in effective use (superposition ratio, TMLR 2025); `None` where all
    /// latents are dead.
    pub psi: Option<f64>,
}

/// How well decoder columns match known directions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recovery {
    /// For each known direction the largest |cosine| to any latent.
    pub best: Vec<f64>,
    /// The latent of each known direction and their |cosine|, one to one: the closest pair of all is matched first, then the closest of the
    /// rest, and so on (greedy); `None` where latents ran out.
    pub matched: Vec<Option<(usize, f64)>>,
    /// Mean of `best`.
    pub mean_best: f64,
    /// Mean of the matched cosines, a direction without a latent counting 0.
    pub mean_matched: f64,
}

/// Weights, or gradients of them, in the shapes of [`SparseAutoencoder`].
#[derive(Clone, Debug)]
pub(crate) struct Weights<A> {
    pub(crate) encoder: Array2<A>,
    pub(crate) encoder_bias: Array1<A>,
    pub(crate) decoder: Array2<A>,
    pub(crate) decoder_bias: Array1<A>,
}

/// Σ‖x - x̂‖² and Σ|h| over the rows `[n, d]`, and the gradient of the first plus `l1` times the second.
pub(crate) fn gradients<A: NdFloat>(weights: &Weights<A>, x: ArrayView2<A>, l1: A) -> (A, A, Weights<A>) {
    let two = A::one() + A::one();
    let centred = &x - &weights.decoder_bias;
    let hidden = hidden(weights, centred.view());
    let mut residual = product(hidden.view(), weights.decoder.view());
    residual -= &centred;
    let reconstruction = residual.iter().fold(A::zero(), |sum, &r| sum + r * r);
    let sparsity = hidden.iter().fold(A::zero(), |sum, &h| sum + h);
    residual.mapv_inplace(|r| two * r);
    let outer = residual;
    let mut inner = product(outer.view(), weights.decoder.t());
    Zip::from(&mut inner).and(&hidden).for_each(|inner, &hidden| {
        *inner = if hidden > A::zero() { *inner + l1 } else { A::zero() };
    });
    let encoder_bias = inner.sum_axis(Axis(0));
    // b_d is added to the output, and subtracted from the input.
    let decoder_bias = outer.sum_axis(Axis(0)) - weights.encoder.dot(&encoder_bias);
    let gradient = Weights {
        encoder: product(centred.t(), inner.view()),
        encoder_bias,
        decoder: product(hidden.t(), outer.view()),
        decoder_bias,
    };
    (reconstruction, sparsity, gradient)
}

/// ReLU(W_e x + b_e), `[n, N]`, of rows from which b_d was subtracted.
fn hidden<A: NdFloat>(weights: &Weights<A>, centred: ArrayView2<A>) -> Array2<A> {
    let mut hidden = product(centred, weights.encoder.view());
    hidden += &weights.encoder_bias;
    hidden.mapv_inplace(|h| h.max(A::zero()));
    hidden
}

/// Decoder columns in random directions, the encoder their transpose.
fn initial(columns: usize, latents: usize, mut rng: Random) -> Weights<f32> {
    let mut decoder = Array2::from_shape_simple_fn((latents, columns), || rng.normal() as f32);
    unit_rows(&mut decoder);
    Weights {
        encoder: decoder.t().as_standard_layout().into_owned(),
        encoder_bias: Array1::zeros(latents),
        decoder,
        decoder_bias: Array1::zeros(columns),
    }
}

/// Scales every row that is not 0 to unit length.
fn unit_rows(matrix: &mut Array2<f32>) {
    for mut row in matrix.rows_mut() {
        let norm = row.dot(&row).sqrt();
        if norm > 0.0 {
            row /= norm;
        }
    }
}

/// Removes from each row of `gradient` what would change the length of that row of `decoder`.
fn project_out(gradient: &mut Array2<f32>, decoder: &Array2<f32>) {
    for (mut row, direction) in gradient.rows_mut().into_iter().zip(decoder.rows()) {
        let along = row.dot(&direction);
        row.scaled_add(-along, &direction);
    }
}

/// Trains on the rows of `[n, d]`, n at least 2. Batches go through the rows in random orders, every row once an order.
///
/// The same rows, settings and seed give the same weights for any number of threads. Fails for settings out of range, fewer rows,
/// values that are not finite, and rows that do not vary.
pub fn train(
    name: &str,
    rows: ArrayView2<f64>,
    config: &SparseAutoencoderConfig,
    seed: Seed,
) -> Result<SparseAutoencoder, MatrixError> {
    config.check()?;
    matrix::check(name, rows, 2)?;
    let (n, columns) = rows.dim();
    let mean = rows.sum_axis(Axis(0)) / n as f64;
    let centred = matrix::centred(rows);
    let squares: f64 = centred.iter().map(|x| x * x).sum();
    if squares <= 0.0 {
        return Err(MatrixError::Constant {
            matrix: name.to_string(),
        });
    }
    let scale = (columns as f64 * n as f64 / squares).sqrt();
    let scaled = centred.mapv(|x| (x * scale) as f32);

    let mut weights = initial(columns, config.latents, seed.child("weights").rng());
    let mut encoder = Adam::new(&weights.encoder);
    let mut encoder_bias = Adam::new(&weights.encoder_bias);
    let mut decoder = Adam::new(&weights.decoder);
    let mut decoder_bias = Adam::new(&weights.decoder_bias);

    let batch = config.batch.min(n);
    let mut rng = seed.child("order").rng();
    let mut order = rng.permutation(n);
    let mut picked = Vec::with_capacity(batch);
    let mut curve = Vec::new();
    let interval = config.steps.div_ceil(100);
    let (mut reconstruction, mut sparsity, mut since) = (0.0, 0.0, 0u32);
    for step in 1..=config.steps {
        picked.clear();
        while picked.len() < batch {
            if order.is_empty() {
                order = rng.permutation(n);
            }
            let rest = order.len().saturating_sub(batch - picked.len());
            picked.extend(order.drain(rest..));
        }
        let x = scaled.select(Axis(0), &picked);
        let (squares, active, mut gradient) = gradients(&weights, x.view(), config.l1 as f32);
        let share = 1.0 / batch as f32;
        gradient.encoder *= share;
        gradient.encoder_bias *= share;
        gradient.decoder *= share;
        gradient.decoder_bias *= share;
        project_out(&mut gradient.decoder, &weights.decoder);
        let rate = config.learning_rate;
        encoder.update(&mut weights.encoder, &gradient.encoder, rate, step);
        encoder_bias.update(&mut weights.encoder_bias, &gradient.encoder_bias, rate, step);
        decoder.update(&mut weights.decoder, &gradient.decoder, rate, step);
        decoder_bias.update(&mut weights.decoder_bias, &gradient.decoder_bias, rate, step);
        unit_rows(&mut weights.decoder);

        reconstruction += f64::from(squares) / batch as f64;
        sparsity += f64::from(active) / batch as f64;
        since += 1;
        if step % interval == 0 || step == config.steps {
            curve.push(CurvePoint {
                step,
                reconstruction: reconstruction / f64::from(since),
                sparsity: sparsity / f64::from(since),
            });
            (reconstruction, sparsity, since) = (0.0, 0.0, 0);
        }
    }
    Ok(SparseAutoencoder {
        mean,
        scale,
        encoder: weights.encoder,
        encoder_bias: weights.encoder_bias,
        decoder: weights.decoder,
        decoder_bias: weights.decoder_bias,
        curve,
    })
}

impl SparseAutoencoder {
    /// Latents h of `[n, d]`, `[n, N]`, in the scaled units. Fails for other columns and values that are not finite.
    pub fn encode(&self, name: &str, rows: ArrayView2<f64>) -> Result<Array2<f32>, MatrixError> {
        self.check(name, rows)?;
        Ok(self.latents(rows))
    }

    /// x̂ of `[n, d]`, in the units of the inputs. Fails as [`SparseAutoencoder::encode`].
    pub fn reconstruct(&self, name: &str, rows: ArrayView2<f64>) -> Result<Array2<f64>, MatrixError> {
        self.check(name, rows)?;
        Ok(self.decode(self.latents(rows).view()))
    }

    /// Unit directions of the latents in the space of the inputs, `[N, d]`.
    pub fn directions(&self) -> Array2<f64> {
        self.decoder.mapv(f64::from)
    }

    /// Measures on rows `[n, d]`, n at least 1, which should not be those it was trained on. Fails as
    /// [`SparseAutoencoder::encode`] and for no rows.
    pub fn evaluate(&self, name: &str, rows: ArrayView2<f64>) -> Result<SparseAutoencoderMetrics, MatrixError> {
        matrix::check(name, rows, 1)?;
        self.check(name, rows)?;
        let n = rows.nrows() as f64;
        let mut totals: Array1<f64> = Array1::zeros(self.encoder_bias.len());
        let (mut active, mut left) = (0, 0.0);
        for part in rows.axis_chunks_iter(Axis(0), ROWS) {
            let hidden = self.latents(part);
            active += hidden.iter().filter(|&&h| h > 0.0).count();
            for row in hidden.rows() {
                totals.zip_mut_with(&row, |total, &h| *total += f64::from(h));
            }
            let found = self.decode(hidden.view());
            left += part
                .iter()
                .zip(&found)
                .map(|(x, found)| (x - found).powi(2))
                .sum::<f64>();
        }
        let all: f64 = matrix::centred(rows).iter().map(|x| x * x).sum();
        Ok(SparseAutoencoderMetrics {
            rows: rows.nrows(),
            l0: active as f64 / n,
            dead: totals.iter().filter(|&&total| total <= 0.0).count(),
            reconstruction: left / n,
            explained_variance: (all > 0.0).then(|| 1.0 - left / all),
            psi: superposition_ratio(totals.view()),
        })
    }

    fn check(&self, name: &str, rows: ArrayView2<f64>) -> Result<(), MatrixError> {
        matrix::check_equal("columns", (name, rows.ncols()), ("the autoencoder", self.mean.len()))?;
        matrix::check_finite(name, rows)
    }

    fn latents(&self, rows: ArrayView2<f64>) -> Array2<f32> {
        let mut inputs = (&rows - &self.mean).mapv(|x| (x * self.scale) as f32);
        inputs -= &self.decoder_bias;
        let mut hidden = product(inputs.view(), self.encoder.view());
        hidden += &self.encoder_bias;
        hidden.mapv_inplace(|h| h.max(0.0));
        hidden
    }

    fn decode(&self, hidden: ArrayView2<f32>) -> Array2<f64> {
        let scaled = product(hidden, self.decoder.view()) + &self.decoder_bias;
        scaled.mapv(f64::from) / self.scale + &self.mean
    }
}

/// ψ = exp(H(p)) / N with p the totals over their sum: 1/N for one latent in use, 1 for all alike. Totals are not negative;
/// `None` where all are 0.
pub fn superposition_ratio(totals: ArrayView1<f64>) -> Option<f64> {
    let sum = totals.sum();
    if sum.is_nan() || sum <= 0.0 {
        return None;
    }
    let entropy: f64 = totals
        .iter()
        .map(|total| total / sum)
        .filter(|&p| p > 0.0)
        .map(|p| -p * p.ln())
        .sum();
    Some(entropy.exp() / totals.len() as f64)
}

/// Compares known directions `[m, d]` with those of latents `[N, d]`, by |cosine|: a direction and its opposite count as the same.
/// A direction of length 0 has cosine 0 with all.
///
/// Fails for no rows or columns, different numbers of columns, and values that are not finite.
pub fn recovery(
    (name, known): (&str, ArrayView2<f64>),
    (other, latents): (&str, ArrayView2<f64>),
) -> Result<Recovery, MatrixError> {
    matrix::check(name, known, 1)?;
    matrix::check(other, latents, 1)?;
    matrix::check_equal("columns", (name, known.ncols()), (other, latents.ncols()))?;
    let cosines = product(unit(known).view(), unit(latents).t()).mapv(|cosine| cosine.abs().min(1.0));
    let best: Vec<f64> = cosines
        .rows()
        .into_iter()
        .map(|row| row.iter().copied().fold(0.0, f64::max))
        .collect();
    let mut pairs: Vec<(f64, usize, usize)> = cosines
        .indexed_iter()
        .map(|((direction, latent), &cosine)| (cosine, direction, latent))
        .collect();
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut matched = vec![None; known.nrows()];
    let mut taken = vec![false; latents.nrows()];
    for (cosine, direction, latent) in pairs {
        if matched[direction].is_none() && !taken[latent] {
            matched[direction] = Some((latent, cosine));
            taken[latent] = true;
        }
    }
    let count = known.nrows() as f64;
    Ok(Recovery {
        mean_best: best.iter().sum::<f64>() / count,
        mean_matched: matched.iter().flatten().map(|pair| pair.1).sum::<f64>() / count,
        best,
        matched,
    })
}

/// Rows at unit length; rows that are 0 stay so.
fn unit(matrix: ArrayView2<f64>) -> Array2<f64> {
    let mut rows = matrix.to_owned();
    for mut row in rows.rows_mut() {
        let largest = row.iter().fold(0.0f64, |most, x| most.max(x.abs()));
        if largest > 0.0 {
            row /= largest;
            let norm = row.dot(&row).sqrt();
            row /= norm;
        }
    }
    rows
}
