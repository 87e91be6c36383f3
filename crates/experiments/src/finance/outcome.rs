//! Everything that `experiment finance` measures: `metrics.json`.

use chrono::NaiveDateTime;
use disentangle_analysis::{Estimate, granger::Granger, importance::Importance, spectrum::Season};
use disentangle_data::{FeatureGroup, audit::AuditCheck};
use serde::{Deserialize, Serialize};

use crate::cards::{ModelCard, Training};

/// The outcome of one seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Of this layout.
    pub schema_version: u32,
    /// `run`.
    pub kind: String,
    /// `finance`.
    pub experiment: String,
    /// The seed.
    pub seed: u64,
    /// What went in.
    pub data: DataCard,
    /// What was checked before training.
    pub audit: Vec<AuditCheck>,
    /// The model.
    pub model: ModelCard,
    /// How training went.
    pub training: Training,
    /// Each model on each part.
    pub performance: Vec<Performance>,
    /// ROC AUC of the transformer minus that of the logistic regression, on the same resamples.
    pub over_logistic: Vec<(String, Estimate)>,
    /// Each group on each part.
    pub importance: Vec<PartImportance>,
    /// Refits through time, or why there are none.
    pub walk_forward: Result<WalkForward, String>,
    /// Tests on the importance series, or why there are none.
    pub importance_series: Result<SeriesTests, String>,
    /// The same tests on the feature series.
    pub feature_series: Result<SeriesTests, String>,
    /// The pooled representation of test rows.
    pub representation: Representation,
}

/// What went in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DataCard {
    /// Where it came from.
    pub name: String,
    /// Whether a generator made it.
    pub simulated: bool,
    /// Symbols.
    pub symbols: Vec<String>,
    /// Price rows.
    pub rows: usize,
    /// First and last day.
    pub span: [NaiveDateTime; 2],
    /// Rows in a window.
    pub lookback: usize,
    /// Rows between parts.
    pub embargo: usize,
    /// Feature columns.
    pub features: Vec<String>,
    /// Their groups.
    pub groups: Vec<FeatureGroup>,
    /// Windows of each part.
    pub parts: Vec<PartCard>,
    /// For the reader.
    pub notices: Vec<String>,
}

/// One part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PartCard {
    /// `train`, `validation` or `test`.
    pub part: String,
    /// Windows.
    pub windows: usize,
    /// Share of rises.
    pub positive: f64,
    /// First and last target.
    pub span: [NaiveDateTime; 2],
}

/// One model on one set of rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Performance {
    /// `sequence`, `logistic` or `majority`.
    pub model: String,
    /// The rows.
    pub part: String,
    /// ROC AUC; its p value permutes labels (exchangeable under the null: the labels, if days are independent of each other).
    pub auc: Estimate,
    /// Accuracy at 0.5.
    pub accuracy: Estimate,
    /// Mean cross-entropy.
    pub log_loss: Estimate,
    /// Expected calibration error, 10 bins of equal mass.
    pub calibration_error: Estimate,
}

/// One group on one set of rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PartImportance {
    /// The rows.
    pub part: String,
    /// What the group is worth there.
    pub importance: Importance,
}

/// Refits through time: each window is scored by a model that saw only rows before it, an embargo apart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WalkForward {
    /// One entry a window, in time order; the windows do not overlap.
    pub windows: Vec<WalkWindow>,
    /// All windows' rows together.
    pub pooled: Performance,
    /// All windows' rows together, each permuted within its window.
    pub importance: Vec<Importance>,
}

/// One window.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WalkWindow {
    /// First and last target.
    pub span: [NaiveDateTime; 2],
    /// Rows that the refit trained on.
    pub train_rows: usize,
    /// ROC AUC.
    pub auc: Estimate,
    /// Accuracy at 0.5.
    pub accuracy: Estimate,
    /// One entry a group.
    pub importance: Vec<Importance>,
}

/// Tests on several series of equal length (notebook part 27). q values are over all tests of this value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SeriesTests {
    /// What the series are.
    pub about: String,
    /// Values in each series.
    pub length: usize,
    /// One entry a series.
    pub series: Vec<OneSeries>,
    /// One entry a pair, or its reason.
    pub pairs: Vec<Pair>,
}

/// One series.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OneSeries {
    /// Its name.
    pub name: String,
    /// Its values.
    pub values: Vec<f64>,
    /// Slope a step, with the p value for independent errors.
    pub trend: Estimate,
    /// Standard deviation.
    pub volatility: Estimate,
    /// The strongest period, or why there is none.
    pub season: Result<Season, String>,
    /// q value of the season.
    pub season_q: Option<f64>,
    /// Ordinates of the detrended periodogram, by frequency.
    pub periodogram: Vec<f64>,
}

/// Two series.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pair {
    /// The possible cause, and the possible effect.
    pub names: [String; 2],
    /// Pearson's correlation at the same time.
    pub correlation: Estimate,
    /// Whether the past of the first helps to predict the second, or why that is not known.
    pub granger: Result<Granger, String>,
    /// q value of that test.
    pub granger_q: Option<f64>,
}

/// Principal components of a site.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Representation {
    /// The site.
    pub site: String,
    /// Share of variance of the first components, over all of them.
    pub share: Vec<f64>,
    /// Coordinates of test rows along the first three.
    pub points: Vec<[f64; 3]>,
    /// Their labels.
    pub labels: Vec<u8>,
}
