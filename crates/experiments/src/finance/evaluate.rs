//! Out-of-sample performance and importance with intervals.

use super::outcome::Performance;
use disentangle_analysis::{
    Bootstrap, Estimate,
    classification::{RankedScores, accuracy, calibration_error, log_loss, roc_auc, sigmoid},
    importance::weighted_mean,
    multiple::permutation_p,
};
use disentangle_data::{Dataset, Seed, Split};

/// Scores of one model on one set of rows.
pub(super) struct Scored<'a> {
    pub(super) model: &'a str,
    pub(super) part: &'a str,
    pub(super) logits: &'a [f64],
    pub(super) labels: &'a [f32],
}

fn take(values: &[f64], rows: &[usize]) -> Vec<f64> {
    rows.iter().map(|&row| values[row]).collect()
}

fn take_labels(values: &[f32], rows: &[usize]) -> Vec<f32> {
    rows.iter().map(|&row| values[row]).collect()
}

/// All metrics of one model on one set of rows.
///
/// `order` permutes rows for the null of the AUC.
pub(super) fn performance(
    scored: &Scored,
    bootstrap: &Bootstrap,
    permutations: usize,
    order: impl Fn(Seed) -> Vec<usize>,
) -> Performance {
    let (logits, labels, n) = (scored.logits, scored.labels, scored.labels.len());
    let ranked = RankedScores::new(logits, labels);
    let mut auc = bootstrap
        .estimate_weighted(n, |weights| ranked.auc(weights))
        .within(0.0, 1.0);
    auc.p = auc.value.and_then(|value| {
        permutation_p(
            value,
            &null_auc(scored, bootstrap.seed.child("null"), permutations, order),
        )
    });
    let each = |metric: fn(&[f64], &[f32]) -> Option<f64>| -> Vec<f64> {
        (0..n)
            .map(|row| metric(&logits[row..=row], &labels[row..=row]).unwrap_or(0.0))
            .collect()
    };
    let probabilities: Vec<f64> = logits.iter().map(|&z| sigmoid(z)).collect();
    Performance {
        model: scored.model.into(),
        part: scored.part.into(),
        auc,
        accuracy: weighted_mean(bootstrap, &each(accuracy)).within(0.0, 1.0),
        log_loss: weighted_mean(bootstrap, &each(log_loss)),
        calibration_error: bootstrap
            .estimate(n, |rows| {
                calibration_error(&take(&probabilities, rows), &take_labels(labels, rows), 10)
            })
            // Resampled rows repeat, which makes any model look worse calibrated.
            .reflected()
            .within(0.0, 1.0),
    }
}

/// AUC of the same scores on permuted labels.
fn null_auc(scored: &Scored, seed: Seed, draws: usize, order: impl Fn(Seed) -> Vec<usize>) -> Vec<f64> {
    let drawn = (0..draws).filter_map(|draw| {
        let labels: Vec<f32> = order(seed.index(draw as u64))
            .into_iter()
            .map(|row| scored.labels[row])
            .collect();
        roc_auc(scored.logits, &labels)
    });
    drawn.collect()
}

/// AUC of `ours` minus AUC of `theirs` on the same resampled rows.
pub(super) fn difference(ours: &[f64], theirs: &[f64], labels: &[f32], bootstrap: &Bootstrap) -> Estimate {
    let (ours, theirs) = (RankedScores::new(ours, labels), RankedScores::new(theirs, labels));
    bootstrap.estimate_weighted(labels.len(), |weights| Some(ours.auc(weights)? - theirs.auc(weights)?))
}

/// The constant logit of the training rows' positive rate.
pub(super) fn majority_logit(dataset: &Dataset) -> f64 {
    let labels = dataset.labels(&dataset.part(Split::Train));
    let positive = labels.iter().filter(|&&y| y > 0.5).count() as f64;
    let rate = (positive + 0.5) / (labels.len() as f64 + 1.0);
    (rate / (1.0 - rate)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_ours_minus_theirs_and_the_null_permutes() {
        let labels = [0.0f32, 1.0].repeat(50);
        let right: Vec<f64> = labels.iter().map(|&y| f64::from(y) - 0.5).collect();
        let none = vec![0.0; 100];
        let bootstrap = Bootstrap::new(1, 50, Seed::new(1));
        let found = difference(&right, &none, &labels, &bootstrap);
        assert!(found.value == Some(0.5) && found.above(0.0), "{found:?}");
        let found = difference(&none, &right, &labels, &bootstrap);
        assert!(found.value == Some(-0.5) && found.below(0.0), "{found:?}");
        let scored = Scored {
            model: "sequence",
            part: "test",
            logits: &right,
            labels: &labels,
        };
        // No permutation of 100 rows is as good: one of twenty. Where nothing is permuted all are.
        let found = performance(&scored, &bootstrap, 19, |seed| seed.rng().permutation(100));
        assert_eq!(
            (found.auc.value, found.auc.p, found.accuracy.value),
            (Some(1.0), Some(0.05), Some(1.0))
        );
        let found = performance(&scored, &bootstrap, 19, |_| (0..100).collect());
        assert_eq!(found.auc.p, Some(1.0));
    }
}
