//! A detector from what a run kept.

use std::ops::Deref;

use disentangle_analysis::{
    classification::roc_auc,
    descriptive::{mean, std_dev},
    detection::GroupProbe,
};
use disentangle_data::{Reference, Seed};
use ndarray::{Array2, Axis, s};

use super::{
    drawing::Drawing,
    reference::width,
    statistics::{Detector, Group, Kind, Rows, Statistic, out_of_fold},
};
use crate::{ExperimentError, saved::SavedRun};

/// Folds of the reference for the scores of probes.
const FOLDS: usize = 5;
/// A group's probe is asked where its AUC in the reference lies so many standard errors above chance.
const ABOVE_CHANCE: f64 = 2.0;

/// A detector, and how new rows become like its reference.
#[derive(Debug)]
pub(super) struct Fitted {
    detector: Detector,
    /// Names of the columns.
    pub(super) columns: Vec<String>,
    /// Groups that do not predict the label in the reference.
    pub(super) without_probe: Vec<String>,
    centre: Vec<f64>,
    scale: Vec<f64>,
}

impl Deref for Fitted {
    type Target = Detector;

    fn deref(&self) -> &Detector {
        &self.detector
    }
}

impl Fitted {
    /// Features in the reference's standard deviations from its means.
    pub(super) fn standardised(&self, features: Array2<f64>) -> Array2<f64> {
        standardised(features, &self.centre, &self.scale)
    }
}

/// The root of the draws: the same rows get the same answer.
pub(super) fn seed() -> Seed {
    Seed::new(0).child("monitor")
}

/// Everything that is fitted, on the reference alone.
pub(super) fn fitted(reference: &Reference, saved: &SavedRun, labelled: bool) -> Result<Fitted, ExperimentError> {
    let subjects: std::collections::BTreeSet<&String> = reference.subjects.iter().collect();
    let drawing = Drawing::new(reference, saved.block(subjects.len()));
    let of_columns = |of: &dyn Fn(&[f64]) -> f64| -> Vec<f64> {
        let columns = reference.features.columns().into_iter();
        columns.map(|column| of(&column.to_vec())).collect()
    };
    let centre = of_columns(&|values| mean(values).unwrap_or(0.0));
    // What never varied is left in its own units.
    let scale = of_columns(&|values| std_dev(values).filter(|spread| *spread > 1e-9).unwrap_or(1.0));
    let features = standardised(reference.features.clone(), &centre, &scale);
    let fold_of = drawing.folds(FOLDS, seed().child("folds"));
    let positive = reference.labels.iter().filter(|&&label| label > 0.5).count();
    let (positive, negative) = (positive as f64, (reference.len() - positive) as f64);
    // Of the Mann-Whitney statistic under chance.
    let error = ((positive + negative + 1.0) / (12.0 * positive * negative)).sqrt();
    let (mut groups, mut scores, mut without_probe) = (Vec::new(), Vec::new(), Vec::new());
    let mut first = 0;
    for group in &saved.rows.groups {
        let columns = first..first + group.columns.len() * width(saved.rows.lookback);
        first = columns.end;
        let own = features.slice(s![.., columns.clone()]).to_owned();
        let found = out_of_fold(&own, &reference.labels, &fold_of, FOLDS);
        let auc = roc_auc(&found, &reference.labels);
        let predicts = auc.is_some_and(|auc| auc > 0.5 + ABOVE_CHANCE * error);
        if !predicts {
            without_probe.push(group.name.clone());
        }
        scores.push(if predicts { found } else { Vec::new() });
        groups.push(Group {
            name: group.name.clone(),
            columns,
            probe: predicts.then(|| GroupProbe::fit(own.view(), &reference.labels)),
        });
    }
    if first != features.len_of(Axis(1)) {
        let reason = "reference.parquet: another number of columns than the groups have";
        return Err(ExperimentError::Failed(reason.into()));
    }
    let orders = features.columns().into_iter().map(|column| {
        let mut order: Vec<usize> = (0..column.len()).collect();
        order.sort_by(|&a, &b| column[a].total_cmp(&column[b]));
        order
    });
    let detector = Detector {
        statistics: statistics(&groups, reference, labelled),
        orders: orders.collect(),
        groups,
        reference: Rows {
            features,
            logits: reference.logits.clone(),
            labels: reference.labels.iter().copied().map(Some).collect(),
            missing: reference.missing.clone(),
            scores,
        },
        drawing,
    };
    Ok(Fitted {
        detector,
        columns: reference.columns.clone(),
        without_probe,
        centre,
        scale,
    })
}

fn standardised(mut features: Array2<f64>, centre: &[f64], scale: &[f64]) -> Array2<f64> {
    for (index, mut column) in features.columns_mut().into_iter().enumerate() {
        column.mapv_inplace(|value| (value - centre[index]) / scale[index]);
    }
    features
}

/// What is asked of every window.
fn statistics(groups: &[Group], reference: &Reference, labelled: bool) -> Vec<Statistic> {
    let one = |kind: Kind, group: Option<usize>| Statistic { kind, group };
    let all = || 0..groups.len();
    let mut statistics: Vec<Statistic> = all().map(|group| one(Kind::Distance, Some(group))).collect();
    statistics.push(one(Kind::Prediction, None));
    // Where the reference misses nothing, it cannot say how rare one missing value is.
    if reference.missing.iter().any(|share| *share > 0.0) {
        statistics.push(one(Kind::Missing, None));
    }
    if labelled {
        statistics.push(one(Kind::Auc, None));
        statistics.push(one(Kind::Accuracy, None));
        let asked = all().filter(|&group| groups[group].probe.is_some());
        statistics.extend(asked.map(|group| one(Kind::Probe, Some(group))));
    }
    statistics
}
