//! How well scores and probabilities fit binary labels.

use crate::descriptive::ranks;

/// Area under the ROC curve: the probability that a positive scores above a negative, ties counting one half
/// (Mann and Whitney 1947). `labels` above 0.5 are positive. `None` without both classes.
pub fn roc_auc(scores: &[f64], labels: &[f32]) -> Option<f64> {
    let positive = labels.iter().filter(|&&y| y > 0.5).count();
    let negative = labels.len() - positive;
    if positive == 0 || negative == 0 || scores.len() != labels.len() || scores.iter().any(|score| score.is_nan()) {
        return None;
    }
    let sum: f64 = ranks(scores)
        .iter()
        .zip(labels)
        .filter(|(_, y)| **y > 0.5)
        .map(|(rank, _)| rank)
        .sum();
    let least = (positive * (positive + 1)) as f64 / 2.0;
    Some((sum - least) / (positive as f64 * negative as f64))
}

/// Scores in order, for the ROC AUC of many weightings of the same rows.
#[derive(Clone, Debug)]
pub struct RankedScores {
    /// Row, whether it is positive, and whether its score differs from the one before it.
    order: Vec<(u32, bool, bool)>,
}

impl RankedScores {
    /// Sorts once. `labels` above 0.5 are positive.
    pub fn new(scores: &[f64], labels: &[f32]) -> Self {
        let mut rows: Vec<usize> = (0..scores.len().min(labels.len())).collect();
        if scores.iter().any(|score| score.is_nan()) {
            // Without rows there is no AUC; NaN would rank above all.
            rows.clear();
        }
        rows.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        let order = rows.iter().enumerate().map(|(place, &row)| {
            let starts = place == 0 || scores[rows[place - 1]] != scores[row];
            (row as u32, labels[row] > 0.5, starts)
        });
        Self { order: order.collect() }
    }

    /// [`roc_auc`] with row `i` counted `weights[i]` times. `None` without both classes.
    pub fn auc(&self, weights: &[f64]) -> Option<f64> {
        let (mut wins, mut below, mut negative, mut positive) = (0.0, 0.0, 0.0, 0.0);
        let (mut tied_negative, mut tied_positive) = (0.0, 0.0);
        for &(row, is_positive, starts) in &self.order {
            if starts {
                wins += tied_positive * (below + 0.5 * tied_negative);
                below += tied_negative;
                (tied_negative, tied_positive) = (0.0, 0.0);
            }
            let weight = weights[row as usize];
            if is_positive {
                tied_positive += weight;
                positive += weight;
            } else {
                tied_negative += weight;
                negative += weight;
            }
        }
        wins += tied_positive * (below + 0.5 * tied_negative);
        (positive > 0.0 && negative > 0.0).then(|| wins / (positive * negative))
    }
}

/// Share of rows on whose side of 0.5 the probability lies; exactly 0.5 counts as negative. `None` for no rows.
pub fn accuracy(logits: &[f64], labels: &[f32]) -> Option<f64> {
    let right = logits
        .iter()
        .zip(labels)
        .filter(|(z, y)| (**z > 0.0) == (**y > 0.5))
        .count();
    (!labels.is_empty()).then(|| right as f64 / labels.len() as f64)
}

/// Mean binary cross-entropy of logits, natural logarithm. `None` for no rows.
pub fn log_loss(logits: &[f64], labels: &[f32]) -> Option<f64> {
    let total: f64 = logits
        .iter()
        .zip(labels)
        .map(|(&z, &y)| z.max(0.0) + (-z.abs()).exp().ln_1p() - f64::from(y) * z)
        .sum();
    (!labels.is_empty()).then(|| total / labels.len() as f64)
}

/// Mean squared error of probabilities (Brier 1950). `None` for no rows.
pub fn brier(probabilities: &[f64], labels: &[f32]) -> Option<f64> {
    let total: f64 = probabilities
        .iter()
        .zip(labels)
        .map(|(p, &y)| (p - f64::from(y)).powi(2))
        .sum();
    (!labels.is_empty()).then(|| total / labels.len() as f64)
}

/// Expected calibration error over `bins` bins of equal mass: rows sorted by probability, the first `n % bins` bins one
/// row larger; the mean over rows of |mean probability - mean label| of their bin. Rows of equal probability share their mean
/// label, so that their order does not matter. `None` for no rows.
pub fn calibration_error(probabilities: &[f64], labels: &[f32], bins: usize) -> Option<f64> {
    let n = labels.len();
    if n == 0 || bins == 0 {
        return None;
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
    let tied = order.chunk_by(|&a, &b| probabilities[a] == probabilities[b]);
    let gaps: Vec<f64> = tied
        .flat_map(|rows| {
            let label = rows.iter().map(|&row| f64::from(labels[row])).sum::<f64>() / rows.len() as f64;
            rows.iter().map(move |&row| probabilities[row] - label)
        })
        .collect();
    let mut total = 0.0;
    let mut start = 0;
    for bin in 0..bins {
        let end = start + n / bins + usize::from(bin < n % bins);
        let gap: f64 = gaps[start..end].iter().sum();
        start = end;
        total += gap.abs();
    }
    Some(total / n as f64)
}

/// The logistic function.
pub fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}
