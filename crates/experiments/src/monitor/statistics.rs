//! What is measured of a window of rows, and what it is in windows of the reference itself.

use std::ops::Range;

use disentangle_analysis::{
    classification::{accuracy, roc_auc, sigmoid},
    descriptive::mean,
    detection::GroupProbe,
    transport::wasserstein_1,
};
use disentangle_data::Seed;
use ndarray::{Array2, Axis, s};
use rayon::prelude::*;
use serde::Serialize;

use super::drawing::Drawing;

/// Windows with fewer labels than this share are not asked how well anything predicts them.
const LABELLED: f64 = 0.9;

/// What a statistic says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// The largest Wasserstein-1 distance of a group's columns to the reference, in the reference's standard deviations.
    Distance,
    /// The mean predicted probability.
    Prediction,
    /// The share of values that are missing.
    Missing,
    /// The model's AUC.
    Auc,
    /// The model's accuracy.
    Accuracy,
    /// The AUC of a probe that sees one group only and was fitted on the reference.
    Probe,
}

/// On which side of the reference a statistic is surprising.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Above it.
    Above,
    /// Below it.
    Below,
    /// Either.
    Both,
}

impl Kind {
    /// On which side it is surprising.
    pub(super) fn side(self) -> Side {
        match self {
            Kind::Distance => Side::Above,
            Kind::Prediction | Kind::Missing => Side::Both,
            Kind::Auc | Kind::Accuracy | Kind::Probe => Side::Below,
        }
    }

    fn needs_labels(self) -> bool {
        self.side() == Side::Below
    }
}

/// One statistic of every window.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Statistic {
    pub(super) kind: Kind,
    /// The place of its group.
    pub(super) group: Option<usize>,
}

/// A feature group among the columns of the reference.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) columns: Range<usize>,
    /// Fitted on the whole reference, if the group predicts the label there.
    pub(super) probe: Option<GroupProbe>,
}

/// Rows as the statistics take them, one entry each.
#[derive(Debug)]
pub(super) struct Rows {
    /// `[row, column]` in the reference's standard deviations.
    pub(super) features: Array2<f64>,
    pub(super) logits: Vec<f64>,
    pub(super) labels: Vec<Option<f32>>,
    pub(super) missing: Vec<f64>,
    /// By group; empty where it has no probe.
    pub(super) scores: Vec<Vec<f64>>,
}

/// A statistic of one window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Measured {
    /// `None` without enough labels, or with one label only.
    pub(super) value: Option<f64>,
    /// The column that lies farthest, of a distance.
    pub(super) column: Option<usize>,
}

/// The reference, and what is measured against it.
#[derive(Debug)]
pub(super) struct Detector {
    pub(super) groups: Vec<Group>,
    pub(super) statistics: Vec<Statistic>,
    pub(super) reference: Rows,
    /// Rows of the reference in ascending order of each column: what is sorted once is compared often.
    pub(super) orders: Vec<Vec<usize>>,
    pub(super) drawing: Drawing,
}

impl Detector {
    /// Every statistic of a window.
    pub(super) fn measure(&self, window: &Rows) -> Vec<Measured> {
        let all: Vec<usize> = (0..window.logits.len()).collect();
        let none = vec![false; self.reference.logits.len()];
        let statistics = self.statistics.par_iter();
        statistics.map(|one| self.one(one, window, &all, &none)).collect()
    }

    /// Every statistic in `draws` windows of `window` rows of the reference, each compared with the rest of it: a distance is one to the rest, and a level is
    /// moved as far from that of the whole reference as it lies from that of the rest. Without that the null would hold what windows vary by and not what the
    /// reference does, and be too narrow. Where a statistic is undefined, it has fewer draws.
    pub(super) fn null(&self, window: usize, draws: usize, seed: Seed) -> Vec<Vec<f64>> {
        let of_draw = |draw: usize| -> Vec<Option<f64>> {
            let chosen = self.drawing.draw(window, seed.index(draw as u64));
            let mut left_out = vec![false; self.reference.logits.len()];
            for &row in &chosen {
                left_out[row] = true;
            }
            let statistics = self.statistics.iter();
            statistics
                .map(|one| self.one(one, &self.reference, &chosen, &left_out).value)
                .collect()
        };
        let drawn: Vec<Vec<Option<f64>>> = (0..draws).into_par_iter().map(of_draw).collect();
        let all: Vec<usize> = (0..self.reference.logits.len()).collect();
        let none = vec![false; all.len()];
        // A mean of all rows is that of the window and the rest, weighted; an AUC is nearly so.
        let apart = all.len() as f64 / all.len().saturating_sub(window).max(1) as f64;
        let of_statistic = |(place, statistic): (usize, &Statistic)| -> Vec<f64> {
            let values = drawn.iter().filter_map(|values| values[place]);
            match self.one(statistic, &self.reference, &all, &none).value {
                Some(whole) if statistic.kind != Kind::Distance => {
                    values.map(|value| whole + apart * (value - whole)).collect()
                }
                _ => values.collect(),
            }
        };
        self.statistics.iter().enumerate().map(of_statistic).collect()
    }

    fn one(&self, statistic: &Statistic, rows: &Rows, chosen: &[usize], left_out: &[bool]) -> Measured {
        let plain = |value: Option<f64>| Measured { value, column: None };
        let of = |values: &[f64]| -> Vec<f64> { chosen.iter().map(|&row| values[row]).collect() };
        if statistic.kind.needs_labels() {
            let scores = match statistic.group {
                Some(group) => &rows.scores[group],
                None => &rows.logits,
            };
            let labelled = chosen.iter().filter_map(|&row| Some((scores[row], rows.labels[row]?)));
            let (scores, labels): (Vec<f64>, Vec<f32>) = labelled.unzip();
            let enough = labels.len() as f64 >= LABELLED * chosen.len() as f64;
            return plain(match statistic.kind {
                _ if !enough => None,
                Kind::Accuracy => accuracy(&scores, &labels),
                _ => roc_auc(&scores, &labels),
            });
        }
        match (statistic.kind, statistic.group) {
            (Kind::Distance, Some(group)) => self.distance(&self.groups[group], rows, chosen, left_out),
            (Kind::Missing, _) => plain(mean(&of(&rows.missing))),
            _ => {
                let probabilities: Vec<f64> = of(&rows.logits).into_iter().map(sigmoid).collect();
                plain(mean(&probabilities))
            }
        }
    }

    /// The largest distance of a group's columns in some rows to the reference without what is left out.
    fn distance(&self, group: &Group, rows: &Rows, chosen: &[usize], left_out: &[bool]) -> Measured {
        let of_column = |column: usize| {
            let own: Vec<f64> = chosen.iter().map(|&row| rows.features[[row, column]]).collect();
            let kept = self.orders[column].iter().filter(|&&row| !left_out[row]);
            let others: Vec<f64> = kept.map(|&row| self.reference.features[[row, column]]).collect();
            wasserstein_1(&own, &others).map(|distance| (distance, column))
        };
        let farthest = group
            .columns
            .clone()
            .filter_map(of_column)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        Measured {
            value: farthest.map(|(distance, _)| distance),
            column: farthest.map(|(_, column)| column),
        }
    }

    /// The score of every row by each group's probe.
    pub(super) fn scores(groups: &[Group], features: &Array2<f64>) -> Vec<Vec<f64>> {
        let of_group = |group: &Group| match &group.probe {
            Some(probe) => probe.scores(features.slice(s![.., group.columns.clone()])),
            None => Vec::new(),
        };
        groups.iter().map(of_group).collect()
    }
}

/// Scores of rows by probes that did not see them: of each of `folds` by one fitted on the others. From each score the probe's mean on the
/// rows that it was fitted on is taken, so that folds with more positives do not score their rows by another level.
pub(super) fn out_of_fold(features: &Array2<f64>, labels: &[f32], fold_of: &[usize], folds: usize) -> Vec<f64> {
    let mut scores = vec![0.0; labels.len()];
    for fold in 0..folds {
        let (test, train): (Vec<usize>, Vec<usize>) = (0..labels.len()).partition(|&row| fold_of[row] == fold);
        let known: Vec<f32> = train.iter().map(|&row| labels[row]).collect();
        let positive = known.iter().filter(|&&label| label > 0.5).count();
        if test.is_empty() || positive == 0 || positive == known.len() {
            continue;
        }
        let fitted_on = features.select(Axis(0), &train);
        let probe = GroupProbe::fit(fitted_on.view(), &known);
        let level = mean(&probe.scores(fitted_on.view())).unwrap_or(0.0);
        let found = probe.scores(features.select(Axis(0), &test).view());
        for (row, score) in test.into_iter().zip(found) {
            scores[row] = score - level;
        }
    }
    scores
}
