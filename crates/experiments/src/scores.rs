//! Accuracy, ROC AUC and worst-group accuracy of some rows.

use disentangle_analysis::classification::{accuracy, roc_auc};
use disentangle_data::Dataset;

/// Accuracy, ROC AUC, and the least accuracy over (label, shortcut) groups where these are known.
pub(crate) type Scores = [Option<f64>; 3];

/// Of `rows` of the dataset, which have one logit each.
pub(crate) fn scores(dataset: &Dataset, rows: &[usize], logits: &[f64]) -> Scores {
    let labels = dataset.labels(rows);
    let worst = dataset.subgroups(rows).and_then(|groups| {
        let of = |group: u32| {
            let own = (0..rows.len()).filter(|&row| groups[row] == group);
            let (z, y): (Vec<f64>, Vec<f32>) = own.map(|row| (logits[row], labels[row])).unzip();
            accuracy(&z, &y)
        };
        (0..4).filter_map(of).min_by(f64::total_cmp)
    });
    [accuracy(logits, &labels), roc_auc(logits, &labels), worst]
}

#[cfg(test)]
mod tests {
    use disentangle_data::Seed;

    use super::*;
    use crate::rows::RowSettings;

    #[test]
    fn the_worst_group_is_the_least_accurate_one() {
        let loaded = RowSettings::default().load(&[], 400, Seed::new(0)).unwrap();
        let (dataset, rows) = (&loaded.dataset, &loaded.environments[0].rows);
        let (labels, groups) = (dataset.labels(rows), dataset.subgroups(rows).unwrap());
        // Every row is right but for those of one group.
        for wrong in 0..4 {
            let logits: Vec<f64> = (0..rows.len())
                .map(|row| (f64::from(labels[row]) - 0.5) * if groups[row] == wrong { -1.0 } else { 1.0 })
                .collect();
            let share = groups.iter().filter(|&&group| group == wrong).count() as f64 / rows.len() as f64;
            assert!(0.0 < share && share < 1.0);
            let [accuracy, auc, worst] = scores(dataset, rows, &logits);
            assert!((accuracy.unwrap() - (1.0 - share)).abs() < 1e-12);
            assert_eq!(worst, Some(0.0), "group {wrong}");
            assert!(auc.is_some_and(|auc| 0.5 < auc && auc < 1.0));
        }
        let right: Vec<f64> = labels.iter().map(|&y| f64::from(y) - 0.5).collect();
        assert_eq!(scores(dataset, rows, &right), [Some(1.0); 3]);
    }
}
