//! Contrastive regularisation: embeddings of the genuine columns cluster by label, and lie apart from those of the
//! shortcut.
//!
//! Objective: mean loss + λ (C + mean cos²(g, s)), g the embedding of a row without its shortcut, s that of its
//! shortcut alone. C is the supervised contrastive loss of all g (Khosla et al. 2020, L_out): with unit vectors u and
//! P(i) the other rows of i's label, C = mean_i -1/|P(i)| Σ_{p in P(i)} ln( exp(u_i·u_p/τ) / Σ_{a≠i} exp(u_i·u_a/τ) ),
//! over rows i that have such others.

use disentangle_models::{
    ModelError,
    train::{Ask, Batch, Loss, LossAndGradient, Outputs, Strategy},
};
use ndarray::{Array2, Array3, Axis};

use crate::{
    Given, Mitigated, Mitigation, MitigationError, MitigationSettings, Needs,
    embedding::{POOL, mean_loss, only, without},
};

pub(crate) struct Contrastive {
    weight: f64,
}

const NAME: &str = "contrastive";
/// τ, the notebook's.
const TEMPERATURE: f64 = 0.5;

impl Contrastive {
    pub(crate) fn new(settings: &MitigationSettings) -> Self {
        Self {
            weight: settings.contrastive_weight,
        }
    }
}

pub(crate) struct Contrasted {
    pub(crate) weight: f64,
    pub(crate) columns: Vec<usize>,
}

impl Strategy for Contrasted {
    fn whole_batch(&self) -> bool {
        self.weight > 0.0
    }

    fn sites(&self) -> Vec<String> {
        vec![POOL.into()]
    }

    /// The genuine view, then the shortcut's.
    fn variants(&mut self, batch: &Batch, ask: &dyn Ask) -> Result<Vec<Array3<f32>>, ModelError> {
        let x = ask.inputs(batch.windows);
        Ok(vec![without(&x, &self.columns), only(&x, &self.columns)])
    }

    fn objective(&mut self, loss: Loss, outputs: &Outputs, batch: &Batch) -> LossAndGradient {
        let mut found = mean_loss(loss, outputs.batch, batch.labels);
        let [genuine, shortcut] = outputs.variant_sites else {
            return found;
        };
        let (Some(genuine), Some(shortcut)) = (genuine.first(), shortcut.first()) else {
            return found;
        };
        let (genuine, shortcut) = (Unit::of(genuine), Unit::of(shortcut));
        let (contrast, mut at_genuine) = supervised(&genuine.vectors, batch.labels);
        let n = batch.labels.len() as f64;
        let cosines = (&genuine.vectors * &shortcut.vectors)
            .sum_axis(Axis(1))
            .insert_axis(Axis(1));
        let similarity = cosines.mapv(|c| c * c).sum() / n;
        let pull = cosines * (2.0 / n);
        at_genuine += &(&pull * &shortcut.vectors);
        let at_shortcut = &pull * &genuine.vectors;
        found.loss += self.weight * (contrast + similarity);
        found.variant_sites = vec![
            vec![genuine.behind(&at_genuine, self.weight)],
            vec![shortcut.behind(&at_shortcut, self.weight)],
        ];
        found
    }
}

/// Rows divided by their lengths; a row of zeros stays.
struct Unit {
    vectors: Array2<f64>,
    lengths: Array2<f64>,
}

impl Unit {
    fn of(x: &Array2<f32>) -> Self {
        let x = x.mapv(f64::from);
        let squares = x.mapv(|v| v * v).sum_axis(Axis(1)).insert_axis(Axis(1));
        // Over an infinite length a row of zeros stays, and so does its gradient.
        let lengths = squares.mapv(|square: f64| if square > 1e-24 { square.sqrt() } else { f64::INFINITY });
        Self {
            vectors: &x / &lengths,
            lengths,
        }
    }

    /// The gradient with respect to the rows, out of that with respect to the unit vectors, times a weight.
    fn behind(&self, gradient: &Array2<f64>, weight: f64) -> Array2<f32> {
        let along = (gradient * &self.vectors).sum_axis(Axis(1)).insert_axis(Axis(1));
        let across = gradient - &(&along * &self.vectors);
        (across / &self.lengths).mapv(|g| (weight * g) as f32)
    }
}

/// The supervised contrastive loss of unit vectors `[row, width]`, and its gradient; 0 where no two rows share a label.
fn supervised(vectors: &Array2<f64>, labels: &[f32]) -> (f64, Array2<f64>) {
    let n = labels.len();
    let same = |i: usize, j: usize| i != j && (labels[i] > 0.5) == (labels[j] > 0.5);
    let others: Vec<usize> = (0..n).map(|i| (0..n).filter(|&j| same(i, j)).count()).collect();
    let anchors = others.iter().filter(|count| **count > 0).count() as f64;
    let scores = vectors.dot(&vectors.t()) / TEMPERATURE;
    let mut value = 0.0;
    // The gradient with respect to u_i·u_j as row i's score.
    let mut pull = Array2::<f64>::zeros((n, n));
    for i in (0..n).filter(|&i| others[i] > 0) {
        let row = scores.row(i);
        let rest = || (0..n).filter(move |&j| j != i);
        let most = rest().map(|j| row[j]).fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = rest().map(|j| (row[j] - most).exp()).sum();
        let positives = others[i] as f64;
        for j in rest() {
            let log_share = row[j] - most - total.ln();
            let wanted = if same(i, j) { 1.0 / positives } else { 0.0 };
            value -= wanted * log_share / anchors;
            pull[[i, j]] = (log_share.exp() - wanted) / anchors / TEMPERATURE;
        }
    }
    let both = &pull + &pull.t();
    (value, both.dot(vectors))
}

impl Mitigation for Contrastive {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "clusters embeddings of the genuine columns by label, apart from embeddings of the shortcut"
    }

    fn source(&self) -> &'static str {
        "Khosla et al. 2020 (supervised contrastive loss); notebook part 41"
    }

    fn needs(&self) -> Needs {
        Needs {
            shortcut: true,
            ..Needs::default()
        }
    }

    fn train(&self, given: &Given) -> Result<Mitigated, MitigationError> {
        given.embedding(NAME)?;
        let mut contrasted = Contrasted {
            weight: self.weight,
            columns: given.shortcut(NAME)?,
        };
        given.fit(&mut contrasted, given.config)
    }
}
