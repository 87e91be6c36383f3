//! Everything that `experiment detect` measures: `metrics.json`.

use disentangle_analysis::{
    Estimate,
    detection::{CausalStrength, Detected},
    transport::Shift,
};
use disentangle_data::Role;
use serde::{Deserialize, Serialize};

/// The outcome of one seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Of this layout.
    pub schema_version: u32,
    /// `run`.
    pub kind: String,
    /// `detect`.
    pub experiment: String,
    /// The seed.
    pub seed: u64,
    /// Whether all rows were generated.
    pub simulated: bool,
    /// For the reader.
    pub notices: Vec<String>,
    /// The false discovery rate over groups.
    pub rate: f64,
    /// The change of an AUC that would matter.
    pub tolerance: f64,
    /// Sources of rows.
    pub plants: Vec<PlantOutcome>,
}

/// One source of rows over its repeats.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlantOutcome {
    /// Its name.
    pub name: String,
    /// What is planted there.
    pub about: String,
    /// Whether rows that detectors see can tell the shortcut from a cause.
    pub identifiable: bool,
    /// Whether its rows were generated, so that roles are true by construction.
    pub generated: bool,
    /// Names of the environments that detectors saw in the first repeat.
    pub environments: Vec<String>,
    /// How the detector does against the true roles.
    pub accuracy: Accuracy,
    /// How well each score alone ranks shortcuts above causes.
    pub scores: Vec<Ranking>,
    /// One a repeat.
    pub repeats: Vec<RepeatOutcome>,
}

/// Standings against true roles. Shares have exact intervals over groups.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Accuracy {
    /// Planted shortcuts that are called shortcuts.
    pub found: Estimate,
    /// Causes that are called shortcuts: false accusations.
    pub accused: Estimate,
    /// Causes that pass as genuine.
    pub passed: Estimate,
    /// Planted shortcuts that pass as genuine.
    pub missed: Estimate,
}

/// One score.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ranking {
    /// Its name.
    pub score: String,
    /// Probability that a shortcut has a higher score than a cause of the same source (AUROC), with an interval over repeats.
    pub auroc: Estimate,
}

/// One draw of rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RepeatOutcome {
    /// Rows that the detector saw.
    pub rows: usize,
    /// Every group.
    pub groups: Vec<GroupOutcome>,
    /// Sites of the trained model, where one was trained.
    pub superposition: Vec<SiteProxy>,
}

/// One group in one draw.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GroupOutcome {
    /// What is known of it.
    pub role: Role,
    /// The tests and the verdict.
    pub detected: Detected,
    /// Mean over columns: Wasserstein distance between environments within class, above its permutation mean.
    pub shift: Shift,
    /// Where rows follow one another in time.
    pub temporal_consistency: Option<f64>,
    /// What the model does when the group comes from other rows.
    pub impact: Option<f64>,
    /// What it does when independent components do.
    pub causal: Option<CausalStrength>,
}

/// Superposition at one site: the detector's proxy with the field's measures beside it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SiteProxy {
    /// The site.
    pub site: String,
    /// Neurons, and those that are dead.
    pub neurons: [usize; 2],
    /// Participation ratio over neurons.
    pub alignment: Option<f64>,
    /// Mean |correlation| of live neurons above its noise level.
    pub interference: Option<f64>,
    /// alignment × interference.
    pub proxy: Option<f64>,
    /// exp of the entropy of the singular values.
    pub effective_rank: Option<f64>,
    /// Mean dimensionality of the columns' directions.
    pub dimensionality: Option<f64>,
}

/// Scores that are compared, the detector's own first.
pub(super) const SCORES: [&str; 9] = [
    "power × instability",
    "instability",
    "instability, 1 - p",
    "notebook's product",
    "power alone",
    "distribution shift",
    "1 - temporal consistency",
    "counterfactual impact",
    "causal strength",
];

impl GroupOutcome {
    /// In the order of [`SCORES`]; the higher, the more like a shortcut.
    pub(super) fn scores(&self) -> [Option<f64>; 9] {
        let detected = &self.detected;
        [
            detected.score,
            detected.instability.value,
            detected.instability.p.map(|p| 1.0 - p),
            detected.notebook_score,
            detected.power.power,
            self.shift.excess,
            self.temporal_consistency.map(|consistency| 1.0 - consistency),
            self.impact,
            self.causal.as_ref().and_then(|causal| causal.value),
        ]
    }
}
