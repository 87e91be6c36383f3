//! Intervals over test rows, where all trainings have the same.

use disentangle_analysis::{
    Bootstrap, Estimate, classification::RankedScores, descriptive::mean, importance::weighted_mean,
};

use super::measure::Measured;

/// Accuracy and ROC AUC of a strategy minus those of plain training, the mean over trainings, with an interval of the rows of one environment:
/// rows are drawn again, the trained models stay. `own` and `plain` are of the same trainings.
pub(super) fn over_rows(
    own: &[Measured],
    plain: &[Measured],
    environment: usize,
    labels: &[f32],
    bootstrap: &Bootstrap,
) -> [Estimate; 2] {
    let pairs: Vec<[&[f64]; 2]> = own
        .iter()
        .zip(plain)
        .map(|(own, plain)| [own, plain].map(|one| &one.logits[environment][..]))
        .collect();
    let right = |logits: &[f64], row: usize| f64::from(u8::from((logits[row] > 0.0) == (labels[row] > 0.5)));
    let differences: Vec<f64> = (0..labels.len())
        .map(|row| {
            let gains = pairs.iter().map(|[own, plain]| right(own, row) - right(plain, row));
            gains.sum::<f64>() / pairs.len() as f64
        })
        .collect();
    let ranked: Vec<[RankedScores; 2]> = pairs
        .iter()
        .map(|pair| pair.map(|logits| RankedScores::new(logits, labels)))
        .collect();
    let auc = bootstrap.estimate_weighted(labels.len(), |weights| {
        let gains = ranked
            .iter()
            .map(|[own, plain]| Some(own.auc(weights)? - plain.auc(weights)?));
        mean(&gains.collect::<Option<Vec<f64>>>()?)
    });
    [weighted_mean(bootstrap, &differences), auc]
}

#[cfg(test)]
mod tests {
    use disentangle_data::Seed;

    use super::*;

    fn models(logits: &[&[f64]]) -> Vec<Measured> {
        let of = |logits: &&[f64]| Measured {
            values: vec![],
            environments: vec![],
            logits: vec![vec![], logits.to_vec()],
            importance: vec![],
            pool: None,
        };
        logits.iter().map(of).collect()
    }

    #[test]
    fn the_difference_is_of_the_same_rows_in_blocks() {
        let labels = [0.0, 1.0].repeat(50);
        let signs =
            |of: fn(usize) -> bool| -> Vec<f64> { (0..100).map(|row| if of(row) { 1.0 } else { -1.0 }).collect() };
        let (all_right, always_one) = (signs(|row| row % 2 == 1), signs(|_| true));
        let bootstrap = Bootstrap::new(10, 200, Seed::new(1));
        let own = models(&[&all_right, &always_one]);
        let plain = models(&[&always_one, &always_one]);
        let [accuracy, auc] = over_rows(&own, &plain, 1, &labels, &bootstrap);
        // Half of the rows are gained in one of two trainings; an AUC of 1 against .5 in the same one.
        assert_eq!((accuracy.value, auc.value), (Some(0.25), Some(0.25)));
        for one in [&accuracy, &auc] {
            let method = one.method.as_ref().unwrap();
            assert!(
                method.starts_with("circular moving-block bootstrap, blocks of 10"),
                "{method}"
            );
        }
        // A block of ten holds five of either label wherever it starts, so that no resample of the accuracy differs.
        assert_eq!((accuracy.low, accuracy.high), (Some(0.25), Some(0.25)));
        let [same, _] = over_rows(&plain, &plain, 1, &labels, &bootstrap);
        assert_eq!((same.value, same.low, same.high), (Some(0.0), Some(0.0), Some(0.0)));
    }
}
