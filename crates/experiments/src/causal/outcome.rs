//! Everything that `experiment causal` measures: `metrics.json`.

use disentangle_analysis::{
    Estimate,
    causal::{
        attribution::Rule, contrast::Contrast, interaction::Interaction, mediation::Mediation, robustness::Degradation,
    },
    importance::Importance,
    probing::Passage,
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
    /// `causal`.
    pub experiment: String,
    /// The seed.
    pub seed: u64,
    /// What went in.
    pub data: DataCard,
    /// The model.
    pub model: ModelCard,
    /// How training went.
    pub training: Training,
    /// Each group in each environment (parts 16 and 21).
    pub importance: Vec<EnvironmentImportance>,
    /// Single interventions that were asked for.
    pub interventions: Vec<Intervened>,
    /// Total effect of every group on the main rows.
    pub total_effects: Vec<TotalEffect>,
    /// Where the traced groups' effects travel (part 22).
    pub traced: Vec<Traced>,
    /// Noise and attacks (part 23).
    pub robustness: Robustness,
    /// Pairs of groups (part 24).
    pub interactions: Interactions,
    /// Contributions of single columns (part 47).
    pub attribution: Attribution,
}

/// What went in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DataCard {
    /// For example `biased`.
    pub name: String,
    /// Whether a generator made it.
    pub simulated: bool,
    /// Feature columns.
    pub features: Vec<String>,
    /// Their groups.
    pub groups: Vec<FeatureGroup>,
    /// Rows that training saw.
    pub train_rows: usize,
    /// The rows on which everything is measured, the main ones first; training saw none of them.
    pub environments: Vec<EnvironmentCard>,
    /// For the reader.
    pub notices: Vec<String>,
}

/// Rows on which the model is questioned.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnvironmentCard {
    /// For example `in-distribution`.
    pub name: String,
    /// What they are.
    pub about: String,
    /// Rows.
    pub rows: usize,
    /// Share of positive labels.
    pub positive: f64,
    /// Share of rows whose shortcut agrees with the label, where one is known.
    pub agreement: Option<f64>,
    /// The model's ROC AUC there.
    pub auc: Estimate,
    /// Its accuracy.
    pub accuracy: Estimate,
}

/// One group in one environment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnvironmentImportance {
    /// The environment.
    pub environment: String,
    /// What is lost when the group's rows are permuted; of a shortcut, `accuracy_drop` is its spurious impact.
    pub importance: Importance,
    /// Accuracy lost when the group is set to its mean.
    pub accuracy_drop_mean: Estimate,
    /// Accuracy lost when the group is set to 0, as in the notebook.
    pub accuracy_drop_zero: Estimate,
}

/// One intervention in one environment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Intervened {
    /// As asked for, for example `layers.0.attn.z[head=1]=mean`.
    pub intervention: String,
    /// The environment.
    pub environment: String,
    /// E[change of the logit].
    pub change: Estimate,
    /// √E[(change of the logit)²].
    pub root_mean_square: Estimate,
    /// Accuracy lost.
    pub accuracy_drop: Estimate,
}

/// What moving a group does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TotalEffect {
    /// The group.
    pub group: String,
    /// `shortcut` or `label`: what the sides between which the group is moved are.
    pub side: String,
    /// E[change of the logit], oriented from side 0 to side 1.
    pub oriented: Estimate,
    /// E[change of the logit], every row as it is moved.
    pub plain: Estimate,
    /// E|change of the logit|.
    pub size: Estimate,
}

/// Where one group's effect travels.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Traced {
    /// The group.
    pub group: String,
    /// What it is set to.
    pub contrast: Contrast,
    /// `shortcut` or `label`.
    pub side: String,
    /// Whether effects are oriented from side 0 to side 1.
    pub oriented: bool,
    /// The environment whose rows were used.
    pub environment: String,
    /// How many.
    pub rows: usize,
    /// Draws of counterfactual rows.
    pub draws: usize,
    /// The total effect.
    pub total: Estimate,
    /// Heads, attention and feed-forward outputs, in forward order.
    pub mediators: Vec<Mediated>,
    /// Token positions of the residual stream, in forward order; empty where there is one position or too many.
    pub positions: Vec<Mediated>,
    /// Single paths.
    pub paths: Vec<PathEffect>,
}

/// One place.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mediated {
    /// The place, for example `layers.0.attn.z[head=1]`.
    pub place: String,
    /// The site alone.
    pub site: String,
    /// The head, if one is meant.
    pub head: Option<usize>,
    /// The position, if one is meant.
    pub position: Option<usize>,
    /// Whether the effect must or cannot pass here, whatever the weights.
    pub passage: Passage,
    /// Its effects.
    pub mediation: Mediation,
}

/// What travels straight from one place to another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PathEffect {
    /// From here.
    pub sender: String,
    /// To here.
    pub receiver: String,
    /// E[change of the logit], oriented as the total effect.
    pub effect: Estimate,
    /// Over the total effect; undefined where its interval includes 0.
    pub share: Estimate,
}

/// Noise and attacks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Robustness {
    /// The environment whose rows were used.
    pub environment: String,
    /// The group that was disturbed; all columns if absent.
    pub group: Option<String>,
    /// Columns that attacks left alone because they are integer-coded.
    pub not_attacked: Vec<String>,
    /// ROC AUC without disturbance.
    pub undisturbed: Estimate,
    /// One a disturbance.
    pub degradations: Vec<Degradation>,
}

/// Pairs of groups.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Interactions {
    /// The environment whose rows were used.
    pub environment: String,
    /// How many.
    pub rows: usize,
    /// Draws of every replacement.
    pub draws: usize,
    /// Rows of the background of H².
    pub background: usize,
    /// Every pair once; q values are over these.
    pub pairs: Vec<Interaction>,
}

/// Contributions of columns to the logit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attribution {
    /// The environment whose rows were used.
    pub environment: String,
    /// How many.
    pub rows: usize,
    /// Nodes of integrated gradients.
    pub steps: usize,
    /// Where they lie.
    pub rule: Rule,
    /// Mean |what is missing| over mean |change of the logit from the baseline 0|.
    pub completeness_gap: Option<f64>,
    /// One a column and method: mean over rows of the absolute contribution.
    pub columns: Vec<ColumnAttribution>,
    /// The same, contributions of a group's columns added up before their size is taken.
    pub groups: Vec<GroupAttribution>,
    /// Rank correlation over columns of each pair of methods.
    pub agreement: Vec<MethodAgreement>,
}

/// Methods of attribution, in the order of reports.
pub(super) const METHODS: [&str; 4] = ["integrated gradients", "saliency", "permutation", "occlusion"];

/// One column.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ColumnAttribution {
    /// Its name.
    pub column: String,
    /// Its group.
    pub group: String,
    /// One a method of `METHODS`.
    pub by_method: Vec<f64>,
}

/// One group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GroupAttribution {
    /// The group.
    pub group: String,
    /// Mean over rows of |sum of integrated gradients|.
    pub size: Estimate,
}

/// Two methods.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MethodAgreement {
    /// Their names.
    pub methods: [String; 2],
    /// Spearman's rank correlation.
    pub correlation: Estimate,
}
