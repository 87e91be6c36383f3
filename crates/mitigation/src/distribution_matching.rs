//! Distribution matching: what the model makes of the shortcut alone must be distributed alike in both classes.
//!
//! Objective: mean loss + λ mean_e ( ‖μ_1 - μ_0‖² + ‖C_1 - C_0‖²_F / (4 d²) ), over the batch's environments e; μ and C
//! are mean and covariance (divided by n - 1) of the embeddings, of width d, of a class's rows with all columns but the
//! shortcut's at their mean. The second term is CORAL's (Sun and Saenko 2016). An environment where a class has fewer
//! than two rows in the batch is left out.

use disentangle_models::{
    ModelError,
    train::{Ask, Batch, Loss, LossAndGradient, Outputs, Strategy},
};
use ndarray::{Array1, Array2, Array3, ArrayView2, Axis};

use crate::{
    Given, Mitigated, Mitigation, MitigationError, MitigationSettings, Needs,
    embedding::{POOL, mean_loss, only},
    irm::by_environment,
};

pub(crate) struct DistributionMatching {
    weight: f64,
}

const NAME: &str = "distribution_matching";

impl DistributionMatching {
    pub(crate) fn new(settings: &MitigationSettings) -> Self {
        Self {
            weight: settings.matching_weight,
        }
    }
}

pub(crate) struct Matched {
    pub(crate) weight: f64,
    pub(crate) columns: Vec<usize>,
}

/// The rows of one class in one environment.
struct Class {
    rows: Vec<usize>,
    mean: Array1<f64>,
    centred: Array2<f64>,
    covariance: Array2<f64>,
}

impl Class {
    /// `None` for fewer than two rows.
    fn of(x: ArrayView2<f64>, rows: Vec<usize>) -> Option<Self> {
        if rows.len() < 2 {
            return None;
        }
        let own = x.select(Axis(0), &rows);
        let mean = own.mean_axis(Axis(0))?;
        let centred = own - &mean;
        Some(Self {
            covariance: centred.t().dot(&centred) / (rows.len() - 1) as f64,
            rows,
            mean,
            centred,
        })
    }
}

impl Strategy for Matched {
    fn whole_batch(&self) -> bool {
        self.weight > 0.0
    }

    fn sites(&self) -> Vec<String> {
        vec![POOL.into()]
    }

    fn variants(&mut self, batch: &Batch, ask: &dyn Ask) -> Result<Vec<Array3<f32>>, ModelError> {
        Ok(vec![only(&ask.inputs(batch.windows), &self.columns)])
    }

    fn objective(&mut self, loss: Loss, outputs: &Outputs, batch: &Batch) -> LossAndGradient {
        let mut found = mean_loss(loss, outputs.batch, batch.labels);
        let Some(embedded) = outputs.variant_sites.first().and_then(|sites| sites.first()) else {
            return found;
        };
        let x = embedded.mapv(f64::from);
        let class = |rows: &[usize], one: bool| -> Vec<usize> {
            let rows = rows.iter().copied();
            rows.filter(|&row| (batch.labels[row] > 0.5) == one).collect()
        };
        let pairs: Vec<[Class; 2]> = by_environment(batch)
            .into_values()
            .filter_map(|rows| {
                let [zero, one] = [false, true].map(|one| Class::of(x.view(), class(&rows, one)));
                Some([zero?, one?])
            })
            .collect();
        let (count, width) = (pairs.len() as f64, x.ncols() as f64);
        let mut gradient = Array2::<f32>::zeros(x.dim());
        for [zero, one] in &pairs {
            let between = &one.mean - &zero.mean;
            let apart = &one.covariance - &zero.covariance;
            let distance = between.dot(&between) + (&apart * &apart).sum() / (4.0 * width * width);
            found.loss += self.weight * distance / count;
            for (class, sign) in [(zero, -1.0), (one, 1.0)] {
                let n = class.rows.len() as f64;
                // Of the covariances: 2 centred D / (n - 1), D = 2 (C_1 - C_0) / (4 d²).
                let of_covariance = class.centred.dot(&apart) / ((n - 1.0) * width * width);
                let pulls = (of_covariance + &(&between * (2.0 / n))) * (sign * self.weight / count);
                for (&row, pull) in class.rows.iter().zip(pulls.outer_iter()) {
                    gradient.row_mut(row).assign(&pull.mapv(|g| g as f32));
                }
            }
        }
        found.variant_sites = vec![vec![gradient]];
        found
    }
}

impl Mitigation for DistributionMatching {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "draws the classes' embeddings of the shortcut alone together, in mean and covariance, within environments"
    }

    fn source(&self) -> &'static str {
        "Sun and Saenko 2016 (CORAL); notebook part 38"
    }

    fn needs(&self) -> Needs {
        Needs {
            shortcut: true,
            ..Needs::default()
        }
    }

    fn train(&self, given: &Given) -> Result<Mitigated, MitigationError> {
        given.embedding(NAME)?;
        let mut matched = Matched {
            weight: self.weight,
            columns: given.shortcut(NAME)?,
        };
        given.fit(&mut matched, given.config)
    }
}
