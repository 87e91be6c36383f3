//! How robust and how well calibrated decisions are, in every environment.

use disentangle_analysis::{
    Estimate,
    classification::{RankedScores, calibration_error, sigmoid},
    importance::weighted_mean,
    multiple::{benjamini_hochberg_of, permutation_p},
    probing,
};

use super::{Asked, outcome::EnvironmentDecisions};
use crate::{ExperimentError, rows::Environment};

/// Bins of the calibration error.
const BINS: usize = 10;

impl Asked<'_> {
    pub(super) fn decisions(&self) -> Result<Vec<EnvironmentDecisions>, ExperimentError> {
        let environments = self.rows.environments.iter();
        let all: Result<Vec<EnvironmentDecisions>, ExperimentError> = environments.map(|one| self.of(one)).collect();
        let mut all = all?;
        // One family: every environment.
        let p: Vec<Option<f64>> = all.iter().map(|one| one.calibration_error.p).collect();
        for (one, q) in all.iter_mut().zip(benjamini_hochberg_of(&p)) {
            one.calibration_error.q = q;
        }
        Ok(all)
    }

    fn of(&self, environment: &Environment) -> Result<EnvironmentDecisions, ExperimentError> {
        self.context.go_on()?;
        let dataset = &self.rows.dataset;
        let (inputs, labels) = (dataset.inputs(&environment.rows), dataset.labels(&environment.rows));
        let found = probing::decisions(
            self.model,
            &inputs,
            self.config.directions,
            self.seed("directions").child(&environment.name),
            self.context.device,
            self.context.threads,
        )?;
        let bootstrap = self.bootstrap();
        let logits = &found.logits;
        let n = labels.len();
        let ranked = RankedScores::new(logits, &labels);
        let right = logits.iter().zip(&labels).map(|(z, y)| (*z > 0.0) == (*y > 0.5));
        let right: Vec<f64> = right.map(|right| f64::from(u8::from(right))).collect();
        Ok(EnvironmentDecisions {
            name: environment.name.clone(),
            about: environment.about.clone(),
            rows: n,
            positive: labels.iter().filter(|&&y| y > 0.5).count() as f64 / n.max(1) as f64,
            auc: bootstrap
                .estimate_weighted(n, |weights| ranked.auc(weights))
                .within(0.0, 1.0),
            accuracy: weighted_mean(&bootstrap, &right).within(0.0, 1.0),
            metrics: found.metrics(&bootstrap),
            calibration_error: self.calibration(&environment.name, logits, &labels),
        })
    }

    fn calibration(&self, environment: &str, logits: &[f64], labels: &[f32]) -> Estimate {
        let probabilities: Vec<f64> = logits.iter().map(|&z| sigmoid(z)).collect();
        let of_rows = |rows: &[usize]| {
            let pick: Vec<f64> = rows.iter().map(|&row| probabilities[row]).collect();
            let picked: Vec<f32> = rows.iter().map(|&row| labels[row]).collect();
            calibration_error(&pick, &picked, BINS)
        };
        let mut error = self.bootstrap().estimate(labels.len(), of_rows);
        // Under the null labels are drawn from the probabilities, each on its own: not so where rows depend on each other.
        if let Some(observed) = error.value.filter(|_| self.rows.block == 1) {
            let seed = self.seed("calibration").child(environment);
            let null = (0..self.config.null_draws).filter_map(|draw| {
                let mut rng = seed.index(draw as u64).rng();
                let drawn = probabilities.iter().map(|p| f32::from(u8::from(rng.uniform() < *p)));
                calibration_error(&probabilities, &drawn.collect::<Vec<f32>>(), BINS)
            });
            error.p = permutation_p(observed, &null.collect::<Vec<f64>>());
        }
        // Resampled rows repeat, which makes every bin's gap wider.
        error.reflected().within(0.0, 1.0)
    }
}
