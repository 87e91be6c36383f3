//! What is measured.

use disentangle_analysis::Estimate;
use serde::{Deserialize, Serialize};

use super::Check;

/// How groups are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// All rows count alike.
    Erm,
    /// Rows count inversely to the size of their group.
    Reweighted,
    /// Every group is cut to the size of the smallest, at random.
    Undersampled,
}

impl Method {
    /// In the order of reports.
    pub const ALL: [Self; 3] = [Self::Erm, Self::Reweighted, Self::Undersampled];

    /// As in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Erm => "ERM",
            Self::Reweighted => "reweighted",
            Self::Undersampled => "undersampled",
        }
    }
}

/// Everything that is measured: `metrics.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Of this layout.
    pub schema_version: u32,
    /// `run`.
    pub kind: String,
    /// `overparameterised`.
    pub experiment: String,
    /// The seed.
    pub seed: u64,
    /// Training rows.
    pub n: usize,
    /// Share of rows whose shortcut agrees with the label.
    pub majority: f64,
    /// Training sets behind each estimate.
    pub data_seeds: usize,
    /// The worst-group error of a model that uses the core feature alone.
    pub floor: f64,
    /// By number of noise dimensions and method.
    pub cells: Vec<CellOutcome>,
    /// Published figures beside ours.
    pub checks: Vec<Check>,
    /// What is asked beyond them.
    pub goal: Check,
}

/// One method with one number of noise dimensions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CellOutcome {
    /// Noise dimensions.
    pub noise: usize,
    /// The method.
    pub method: Method,
    /// Error on the group where it is greatest, over data seeds.
    pub worst_group: Estimate,
    /// Standard deviation of it over data seeds.
    pub deviation: Option<f64>,
    /// Error on rows whose shortcut agrees with the label.
    pub majority: Estimate,
    /// Error on rows whose shortcut does not.
    pub minority: Estimate,
    /// Weight of the shortcut over weight of the core feature.
    pub shortcut_over_core: Estimate,
    /// Norm of all weights.
    pub norm: Estimate,
    /// Worst-group error of each data seed.
    pub each: Vec<f64>,
    /// Most Newton steps of a fit.
    pub steps: usize,
    /// The greatest norm of a gradient with which a fit ended.
    pub gradient: f64,
}
