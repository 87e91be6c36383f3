//! Deep feature reweighting: plain training, then only the last layer is fitted anew, on group-balanced validation rows.
//!
//! Embeddings (site `pool`) are standardised. The strength of an ℓ1 penalty is chosen on one half of the validation rows by the worst group of the other half;
//! the classifier is the mean of several, each fitted on another group-balanced draw of all validation rows.

use disentangle_analysis::{classification::accuracy, probing};
use disentangle_data::Seed;
use disentangle_models::train::{Erm, Trained};
use ndarray::{Array1, Array2, Axis};

use crate::{
    Given, Mitigated, Mitigation, MitigationError, MitigationSettings, Needs, sparse_logistic::SparseLogistic,
};

pub(crate) struct Dfr {
    draws: usize,
}

const NAME: &str = "dfr";
/// Inverse strengths of the penalty.
const STRENGTHS: [f64; 7] = [1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01];

impl Dfr {
    pub(crate) fn new(settings: &MitigationSettings) -> Self {
        Self {
            draws: settings.dfr_draws,
        }
    }
}

/// Embeddings with what is known of their rows.
pub(crate) struct Embedded {
    pub(crate) x: Array2<f64>,
    pub(crate) labels: Vec<f32>,
    pub(crate) groups: Vec<u32>,
}

/// The strength whose fit on one half has the best worst group on the other; the weakest penalty of equals.
pub(crate) fn strength(half: &Embedded, other: &Embedded) -> f64 {
    let mut best = (f64::NEG_INFINITY, STRENGTHS[0]);
    for strength in STRENGTHS {
        let worst = other.worst_group(&half.fit(strength));
        if worst > best.0 {
            best = (worst, strength);
        }
    }
    best.1
}

impl Embedded {
    fn take(&self, rows: &[usize]) -> Self {
        Self {
            x: self.x.select(Axis(0), rows),
            labels: rows.iter().map(|&row| self.labels[row]).collect(),
            groups: rows.iter().map(|&row| self.groups[row]).collect(),
        }
    }

    /// As many rows of each group as the smallest has, drawn without replacement.
    pub(crate) fn balanced(&self, seed: Seed) -> Self {
        let order = seed.rng().permutation(self.groups.len());
        let of =
            |group: u32| -> Vec<usize> { order.iter().copied().filter(|&row| self.groups[row] == group).collect() };
        let groups: Vec<Vec<usize>> = (0..4).map(of).collect();
        let least = groups.iter().map(Vec::len).min().unwrap_or(0);
        let rows: Vec<usize> = groups
            .into_iter()
            .flat_map(|rows| rows.into_iter().take(least))
            .collect();
        self.take(&rows)
    }

    fn fit(&self, strength: f64) -> SparseLogistic {
        SparseLogistic::fit(self.x.view(), &self.labels, strength)
    }

    fn worst_group(&self, fit: &SparseLogistic) -> f64 {
        let logits = fit.logits(self.x.view());
        let of = |group: u32| {
            let rows = (0..logits.len()).filter(|&row| self.groups[row] == group);
            let (z, y): (Vec<f64>, Vec<f32>) = rows.map(|row| (logits[row], self.labels[row])).unzip();
            accuracy(&z, &y)
        };
        (0..4).filter_map(of).fold(1.0, f64::min)
    }
}

impl Mitigation for Dfr {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "plain training, then the last layer anew on group-balanced validation rows"
    }

    fn source(&self) -> &'static str {
        "Kirichenko et al. 2022 (DFR)"
    }

    fn needs(&self) -> Needs {
        Needs {
            groups: true,
            ..Needs::default()
        }
    }

    fn train(&self, given: &Given) -> Result<Mitigated, MitigationError> {
        let groups = given.groups(NAME, given.validation)?;
        let Mitigated { trained, layer } = given.fit(&mut Erm, given.config)?;
        let model = &trained.model;
        let inputs = given.dataset.inputs(given.validation);
        let x = probing::activations(model, inputs.view(), "pool", given.device)?;
        let mean = x.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(x.ncols()));
        // A neuron that never varies keeps its scale.
        let spread = x.std_axis(Axis(0), 0.0).mapv(|s| if s > 1e-9 { s } else { 1.0 });
        let all = Embedded {
            x: (&x - &mean) / &spread,
            labels: given.dataset.labels(given.validation),
            groups,
        };
        let seed = given.seed.child("dfr");
        let mut order = seed.child("halves").rng().permutation(all.labels.len());
        // Every other row of each group, so that both halves hold all groups of at least two rows.
        order.sort_by_key(|&row| all.groups[row]);
        let mut taken = [0usize; 4];
        let (fitted, chosen): (Vec<usize>, Vec<usize>) = order.into_iter().partition(|&row| {
            let own = &mut taken[all.groups[row] as usize];
            *own += 1;
            *own % 2 == 1
        });
        let (half, other) = (all.take(&fitted).balanced(seed.child("half")), all.take(&chosen));
        let strength = strength(&half, &other);
        let mut weights = Array1::<f64>::zeros(x.ncols());
        let mut bias = 0.0;
        for draw in 0..self.draws {
            let fit = all.balanced(seed.index(draw as u64)).fit(strength);
            weights += &(fit.coefficients / self.draws as f64);
            bias += fit.intercept / self.draws as f64;
        }
        // On embeddings that are not standardised.
        let weights = weights / &spread;
        let bias = bias - weights.dot(&mean);
        let head: Vec<f32> = weights.iter().map(|w| *w as f32).collect();
        let model = model.with_head(&head, bias as f32, given.device)?;
        Ok(Mitigated {
            trained: Trained { model, ..trained },
            layer,
        })
    }
}
