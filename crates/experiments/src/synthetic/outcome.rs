//! Everything that `experiment synthetic` measures: `metrics.json`.

use disentangle_analysis::{
    Estimate,
    importance::Importance,
    probing::NeuronImportance,
    sparse_autoencoder::{CurvePoint, Recovery, SparseAutoencoderMetrics},
};
use disentangle_data::FeatureGroup;
use serde::{Deserialize, Serialize};

use crate::{
    cards::{ModelCard, Training},
    study::SiteStudy,
};

/// The outcome of one seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Of this layout.
    pub schema_version: u32,
    /// `run`.
    pub kind: String,
    /// `synthetic`.
    pub experiment: String,
    /// The seed.
    pub seed: u64,
    /// What went in.
    pub data: DataCard,
    /// The model.
    pub model: ModelCard,
    /// How training went.
    pub training: Training,
    /// The model on each part and environment.
    pub performance: Vec<Performance>,
    /// Each group on the test rows of each environment.
    pub importance: Vec<EnvironmentImportance>,
    /// Every site before and after training.
    pub sites: Vec<SiteStudy>,
    /// Every neuron of every site, by ablation.
    pub neurons: Vec<SiteNeurons>,
    /// A sparse autoencoder of one site, or why there is none.
    pub autoencoder: Result<Autoencoder, String>,
    /// The representation of the studied rows.
    pub representation: Representation,
}

/// What went in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DataCard {
    /// `biased` or `multifeature`.
    pub name: String,
    /// Feature columns.
    pub features: usize,
    /// Their groups, roles known.
    pub groups: Vec<FeatureGroup>,
    /// Rows of each part and environment.
    pub parts: Vec<PartCard>,
    /// The rows on which sites are studied.
    pub studied: String,
    /// For the reader.
    pub notices: Vec<String>,
}

/// One environment of one part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PartCard {
    /// `train`, `validation` or `test`.
    pub part: String,
    /// The environment.
    pub environment: String,
    /// Rows.
    pub rows: usize,
    /// Share of positive labels.
    pub positive: f64,
    /// Share of rows whose shortcut agrees with the label, where there is one.
    pub agreement: Option<f64>,
}

/// The model on some rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Performance {
    /// `validation` or `test`.
    pub part: String,
    /// The environment; `None` for all.
    pub environment: Option<String>,
    /// ROC AUC.
    pub auc: Estimate,
    /// Accuracy at 0.5.
    pub accuracy: Estimate,
    /// Mean cross-entropy.
    pub log_loss: Estimate,
    /// Least accuracy over the (label, shortcut) groups; its interval resamples rows, which lowers a minimum.
    pub worst_group: Option<Estimate>,
    /// Accuracy of each (label, shortcut) group.
    pub subgroups: Vec<(String, Estimate)>,
}

/// One group in one environment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnvironmentImportance {
    /// The environment of these test rows.
    pub environment: String,
    /// The group's importance.
    pub importance: Importance,
}

/// All neurons of one site.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SiteNeurons {
    /// The site.
    pub site: String,
    /// Rows over which they were ablated.
    pub rows: usize,
    /// One a neuron (head times neuron).
    pub neurons: Vec<NeuronImportance>,
}

/// A sparse autoencoder of one site.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Autoencoder {
    /// The site.
    pub site: String,
    /// Latents.
    pub latents: usize,
    /// On held-out rows.
    pub metrics: SparseAutoencoderMetrics,
    /// Training losses.
    pub curve: Vec<CurvePoint>,
    /// How well its latents match the directions of the groups' strengths; `None` where these explain too little.
    pub recovery: Option<Recovery>,
}

/// Principal components of the representation at one site.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Representation {
    /// The site.
    pub site: String,
    /// Shares of variance of the first components, over all components.
    pub share: Vec<f64>,
    /// Coordinates of rows along the first three.
    pub points: Vec<[f64; 3]>,
    /// 0 or 1.
    pub labels: Vec<u8>,
    /// 0 or 1, where a shortcut is known.
    pub shortcuts: Option<Vec<u8>>,
}
