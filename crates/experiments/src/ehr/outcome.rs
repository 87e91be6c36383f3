//! Everything that `experiment ehr` and `audit` measure: `metrics.json`.

use disentangle_analysis::{Estimate, subgroups::Subgroups};
use disentangle_data::audit::AuditCheck;
use serde::{Deserialize, Serialize};

use crate::{causal, detect::RepeatOutcome, mitigate};

/// The outcome of one seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Of this layout.
    pub schema_version: u32,
    /// `run`.
    pub kind: String,
    /// `ehr` or `audit`.
    pub experiment: String,
    /// The seed.
    pub seed: u64,
    /// Each check of the leakage audit, all of them passed.
    pub audit: Vec<AuditCheck>,
    /// Single columns by how well they predict the label of training rows, the best first.
    pub single_columns: Vec<SingleColumn>,
    /// The model and its baselines in every environment, the main one first.
    pub performance: Vec<Performance>,
    /// Modules whose gradient norms the training history holds, in the order of `part_norms`.
    pub gradient_parts: Vec<String>,
    /// Attention of every pattern site (part 33).
    pub attention: Vec<SiteAttention>,
    /// Attributes with the label and with the prediction (part 32).
    pub associations: Vec<Association>,
    /// Subgroups of every attribute in every environment (part 33).
    pub attributes: Vec<AttributeGroups>,
    /// Through time (part 33); absent where rows have no times that differ.
    pub stability: Option<Stability>,
    /// Why there is no stability through time.
    pub no_stability: Option<String>,
    /// What each group does in each environment: whether it is used, and whether that holds where training did not see the environment.
    pub accusations: Vec<Accusation>,
    /// What detectors say of each group, on training and validation rows.
    pub detection: RepeatOutcome,
    /// Strategies against the shortcut.
    pub mitigation: Option<mitigate::Outcome>,
    /// Why there are none.
    pub no_mitigation: Option<String>,
    /// Importance, effects, robustness, interactions and attributions on one row of each subject.
    pub causal: causal::Outcome,
}

/// How well one column alone predicts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SingleColumn {
    /// Its name.
    pub column: String,
    /// Its group.
    pub group: String,
    /// max(AUC, 1 - AUC) of its value at the end of the window on training rows.
    pub auc: f64,
}

/// One model in one environment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Performance {
    /// The environment.
    pub environment: String,
    /// The trained family, `logistic regression`, `gradient boosting`.
    pub model: String,
    /// Rows.
    pub rows: usize,
    /// Subjects.
    pub cases: usize,
    /// ROC AUC.
    pub auc: Estimate,
    /// Accuracy at probability 0.5.
    pub accuracy: Estimate,
    /// Mean cross-entropy.
    pub log_loss: Estimate,
    /// Expected calibration error.
    pub calibration_error: Estimate,
    /// AUC of the trained model minus this one's, on the same resampled subjects; absent for the trained model itself.
    pub trained_over_this: Option<Estimate>,
}

/// One pattern site in the main environment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SiteAttention {
    /// For example `clinical.attn.pattern`.
    pub site: String,
    /// Rows.
    pub rows: usize,
    /// Normalised entropy: 1 is even attention, 0 is one key.
    pub entropy: Estimate,
    /// Unevenness over keys: 0 is even, 1 is one key for all.
    pub bias: Estimate,
    /// The weight that each position receives.
    pub received: Vec<f64>,
}

/// An attribute's association with the label and with what the model predicts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Association {
    /// For example `insurance`.
    pub attribute: String,
    /// Its group.
    pub group: String,
    /// Where: `training`, or an environment.
    pub environment: String,
    /// Correlation ratio of the label; its p value permutes subjects.
    pub label: Estimate,
    /// Correlation ratio of the predicted probability; absent on training rows.
    pub prediction: Option<Estimate>,
    /// Prediction minus label: above 0, the model uses the attribute more than the label warrants.
    pub excess: Option<Estimate>,
}

/// Subgroups of one attribute in one environment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttributeGroups {
    /// For example `insurance`.
    pub attribute: String,
    /// Its group.
    pub group: String,
    /// The environment.
    pub environment: String,
    /// Rows are predicted positive above this probability, which was chosen on validation rows (Youden's J).
    pub threshold: f64,
    /// What was found.
    pub subgroups: Subgroups,
}

/// The main rows in the order of their times, cut into periods of equally many rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stability {
    /// Each period.
    pub periods: Vec<Period>,
    /// Standard deviation over periods of mean prediction minus base rate; its p value permutes subjects through time.
    pub calibration_spread: Estimate,
    /// Standard deviation over periods of the AUC lost without each group; p values likewise.
    pub importance_spread: Vec<(String, Estimate)>,
}

/// One period.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Period {
    /// First and last prediction time.
    pub span: [String; 2],
    /// Rows.
    pub rows: usize,
    /// Subjects.
    pub cases: usize,
    /// Share of label 1.
    pub base_rate: Estimate,
    /// Mean predicted probability.
    pub mean_probability: Estimate,
    /// ROC AUC.
    pub auc: Estimate,
    /// AUC lost without each group.
    pub importance: Vec<(String, Estimate)>,
}

/// What is to be said of a group's use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Used where training saw the environment; clearly less, at most half as much, where it did not.
    Shortcut,
    /// Used in both.
    Holds,
    /// Not clearly used.
    Unused,
    /// Used, but the intervals do not say whether it holds elsewhere, or there is no environment that training did not see.
    Undecided,
}

/// A group's use in the environments of training and outside.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Accusation {
    /// The group.
    pub group: String,
    /// What is said.
    pub standing: Standing,
    /// AUC lost without it where training saw the environment.
    pub inside: Estimate,
    /// The same in the first environment that training did not see, and which that is.
    pub outside: Option<(String, Estimate)>,
}
