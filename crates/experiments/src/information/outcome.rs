//! Everything that `experiment information` measures: `metrics.json`.

use disentangle_analysis::{
    Estimate,
    information::{Alignment, GaussianEntropy, Shared},
    probing::DecisionMetrics,
};
use disentangle_data::FeatureGroup;
use serde::{Deserialize, Serialize};

use crate::cards::{ModelCard, Training};

/// The outcome of one seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Of this layout.
    pub schema_version: u32,
    /// `run`.
    pub kind: String,
    /// `information`.
    pub experiment: String,
    /// The seed.
    pub seed: u64,
    /// What went in.
    pub data: DataCard,
    /// The model.
    pub model: ModelCard,
    /// How training went.
    pub training: Training,
    /// Every site in forward order, on the main rows (parts 28 and 29).
    pub sites: Vec<SiteInformation>,
    /// Along the residual stream, from its first to its last site.
    pub along: Option<Along>,
    /// From site to site, by the site that is reached (part 28).
    pub flows: Vec<Flow>,
    /// How the flows were measured.
    pub flow_settings: FlowSettings,
    /// Decisions in each environment (part 30).
    pub decisions: Vec<EnvironmentDecisions>,
    /// Single columns (part 30).
    pub importance: Importance,
}

/// What went in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DataCard {
    /// For example `biased`.
    pub name: String,
    /// Whether a generator made it.
    pub simulated: bool,
    /// Feature columns.
    pub features: usize,
    /// Their groups.
    pub groups: Vec<FeatureGroup>,
    /// Rows that training saw.
    pub train_rows: usize,
    /// For the reader.
    pub notices: Vec<String>,
}

/// One site.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SiteInformation {
    /// For example `layers.0.resid`.
    pub site: String,
    /// Whether the residual stream passes here: the input, the embedding, what a layer leaves, the pool, the logit.
    pub stream: bool,
    /// Samples: rows times positions.
    pub samples: usize,
    /// Neurons.
    pub neurons: usize,
    /// Neurons that do not vary; left out of the entropy.
    pub dead: usize,
    /// Whether only moments and a sample of the rows were kept.
    pub streamed: bool,
    /// Mean over live neurons of the entropy, over ln 20.
    pub entropy: Estimate,
    /// Smallest, lower quartile, median, upper quartile and largest of the live neurons.
    pub entropy_quartiles: Option<[f64; 5]>,
    /// Of the main directions.
    pub gaussian_entropy: Option<GaussianEntropy>,
    /// exp(H(σ / Σσ)) of the centred activations.
    pub effective_rank: Estimate,
    /// Components that hold more than 1 % of the variance.
    pub components_above_one_percent: Option<usize>,
    /// σ₁² / mean σ².
    pub compression_ratio: Option<f64>,
    /// Slope of ln σ.
    pub spectral_slope: Option<f64>,
    /// Directions that rounding alone explains.
    pub dropped: usize,
}

/// What changes along the residual stream inside the network.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Along {
    /// Where it begins.
    pub first: String,
    /// Where it ends.
    pub last: String,
    /// Entropy of neurons at the last site minus that at the first, over the same resamples.
    pub entropy_change: Estimate,
}

/// From one site to another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Flow {
    /// The earlier site.
    pub from: String,
    /// The later one.
    pub to: String,
    /// Whether both are neighbours on the residual stream.
    pub stream: bool,
    /// Whether the later site stands right after the earlier one among those that were asked for.
    pub consecutive: bool,
    /// Linear CKA.
    pub alignment: Alignment,
    /// Mutual information of the main directions.
    pub shared: Shared,
}

/// How flows were measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FlowSettings {
    /// Rows of input; their positions stand side by side.
    pub rows: usize,
    /// k of the estimator.
    pub neighbours: usize,
    /// Noise on both sites.
    pub noise: f64,
    /// What two sites share at most under this noise, if normal, in nats.
    pub ceiling: f64,
}

/// The model's decisions on the rows of one environment; training saw none of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnvironmentDecisions {
    /// For example `in-distribution`.
    pub name: String,
    /// What its rows are.
    pub about: String,
    /// Rows.
    pub rows: usize,
    /// Share of positive labels.
    pub positive: f64,
    /// ROC AUC.
    pub auc: Estimate,
    /// Accuracy.
    pub accuracy: Estimate,
    /// Boundary width, local linearity, sensitivity, confidence.
    pub metrics: DecisionMetrics,
    /// Expected calibration error, ten bins of equal mass. p is against labels drawn from the model's own probabilities, q over environments;
    /// neither where rows depend on each other.
    pub calibration_error: Estimate,
}

/// How much single columns move the logit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Importance {
    /// The environment whose rows were used.
    pub environment: String,
    /// How many.
    pub rows: usize,
    /// Permutations of each column.
    pub permutations: usize,
    /// One a column.
    pub columns: Vec<ColumnImportance>,
    /// How far the most important column is ahead; `None` below two columns.
    pub lead: Option<Lead>,
}

/// One column.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ColumnImportance {
    /// Its name.
    pub column: String,
    /// Its group.
    pub group: String,
    /// E|change of the logit| when the column is taken from other rows.
    pub size: Estimate,
    /// Standard error of `size`: its interval's width over 2 · 1.96.
    pub spread: Option<f64>,
    /// `spread` over `size`.
    pub relative_spread: Option<f64>,
}

/// The two most important columns.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lead {
    /// The first.
    pub first: String,
    /// The second.
    pub second: String,
    /// By how much more the first moves the logit, over the same rows.
    pub difference: Estimate,
}
