//! Everything that `experiment components` measures: `metrics.json`.

use disentangle_analysis::Estimate;
use serde::{Deserialize, Serialize};

use crate::cards::{ModelCard, Training};

/// The outcome of one seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Of this layout.
    pub schema_version: u32,
    /// `run`.
    pub kind: String,
    /// `components`.
    pub experiment: String,
    /// The seed.
    pub seed: u64,
    /// What went in.
    pub data: DataCard,
    /// The model.
    pub model: ModelCard,
    /// How training went.
    pub training: Training,
    /// Before training.
    pub initial: Stage,
    /// After it.
    pub trained: Stage,
    /// What training changes in every attention, row by row.
    pub changes: Vec<AttentionChange>,
}

/// What went in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DataCard {
    /// For example `biased`.
    pub name: String,
    /// Whether a generator made it.
    pub simulated: bool,
    /// How the model was shown the rows.
    pub shown: String,
    /// Rows that training saw.
    pub train_rows: usize,
    /// The environment whose rows were used; training saw none of them.
    pub environment: String,
    /// What they are.
    pub about: String,
    /// How many.
    pub rows: usize,
    /// For the reader.
    pub notices: Vec<String>,
}

/// The model before or after training.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stage {
    /// Accuracy on the rows.
    pub accuracy: Estimate,
    /// ROC AUC on the rows.
    pub auc: Estimate,
    /// Every attention, in forward order.
    pub attention: Vec<AttentionPart>,
    /// Every parameter.
    pub weights: Vec<WeightPart>,
    /// Every site inside the network, in forward order.
    pub activations: Vec<ActivationPart>,
    /// Components that are compared with each other, in forward order.
    pub compared: Vec<String>,
    /// Each pair of them once.
    pub interactions: Vec<Interaction>,
    /// What is lost without each component.
    pub importance: Vec<Importance>,
}

/// One attention.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttentionPart {
    /// For example `layers.0.attn`.
    pub place: String,
    /// Its heads.
    pub heads: Vec<Head>,
    /// Mean over heads of their entropy.
    pub entropy: Estimate,
    /// 1 - mean pairwise cosine of the heads' attention maps.
    pub diversity: Estimate,
    /// Minus the mean cosine of the heads' outputs over all pairs, a head with itself included (Li et al. 2018): -1 where all are alike.
    pub disagreement: Estimate,
}

/// One head.
#[allow(clippy::struct_field_names)] // The index of a head is its head, as everywhere.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Head {
    /// Counted from 0.
    pub head: usize,
    /// Entropy over keys, divided by ln of the keys that are no padding, mean over queries: 1 is even, 0 is one key.
    pub entropy: Estimate,
    /// Largest weight, mean over queries.
    pub largest: Estimate,
    /// 1 - mean cosine of its map and those of the other heads.
    pub specialisation: Estimate,
}

/// Trained minus initial, row by row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttentionChange {
    /// The attention.
    pub place: String,
    /// Of the entropy.
    pub entropy: Estimate,
    /// Of the diversity.
    pub diversity: Estimate,
}

/// One parameter, or one of the three maps of a fused projection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WeightPart {
    /// PyTorch's name.
    pub name: String,
    /// `attention`, `feed-forward`, `normalisation`, `gating`, `output` or `embedding`.
    pub kind: String,
    /// PyTorch's shape.
    pub shape: Vec<usize>,
    /// Mean.
    pub mean: f64,
    /// Standard deviation with divisor n.
    pub std: f64,
    /// Square root of the sum of squares.
    pub norm: f64,
    /// Share of |w| ≤ .01 times the parameter's root mean square.
    pub sparsity: f64,
    /// Largest singular value; of matrices only.
    pub spectral_norm: Option<f64>,
    /// Sum of squares over the squared largest singular value; of matrices that are not 0 only.
    pub stable_rank: Option<f64>,
    /// Norm of the change since the initial weights over the initial norm; undefined where that is 0.
    pub moved: Option<f64>,
}

/// One site.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ActivationPart {
    /// For example `layers.0.ff.hidden`.
    pub site: String,
    /// Neurons.
    pub neurons: usize,
    /// Mean over rows, positions and neurons.
    pub mean: Estimate,
    /// Standard deviation over these.
    pub std: Estimate,
    /// Share of |a| ≤ .01 times the site's root mean square.
    pub sparsity: Estimate,
    /// Neurons whose range is at most 1e-6 times that.
    pub dead: usize,
}

/// Two components.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Interaction {
    /// The earlier one.
    pub from: String,
    /// The later one.
    pub to: String,
    /// Linear CKA.
    pub cka: Estimate,
    /// What sites of these spectra have by chance.
    pub chance: Option<f64>,
}

/// One component whose output is replaced by its mean, or one normalisation whose gains are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Importance {
    /// For example `layers.0.attn.z[head=1]`.
    pub component: String,
    /// `head`, `attention`, `feed-forward`, `gating` or `normalisation`.
    pub kind: String,
    /// E[change of the logit].
    pub mean_change: Estimate,
    /// E|change of the logit|.
    pub size: Estimate,
    /// Accuracy lost.
    pub accuracy_lost: Estimate,
}

impl Outcome {
    /// Both stages with their names.
    pub(super) fn stages(&self) -> [(&'static str, &Stage); 2] {
        [("initial", &self.initial), ("trained", &self.trained)]
    }
}
