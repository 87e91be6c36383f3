//! What every report says about the model and its training.

use disentangle_analysis::learning::{self, Dynamics};
use disentangle_models::{
    Family, Layout, Model, ModelConfig,
    train::{Epoch, Stop, Trained},
};
use disentangle_report::{Mark, Section, Series, Values};
use serde::{Deserialize, Serialize};

use crate::{
    ExperimentError,
    present::{cell, figure, table},
};

/// Which model, and its sizes; what is absent is the notebook's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelSettings {
    /// Family; see `list`. If absent, `small` for single rows and `sequence` for windows.
    pub model: Option<Family>,
    /// `flat` (one token) or `per-group` (one token a feature group), for `small` and `disentangled`.
    pub layout: LayoutChoice,
    /// Width of the residual stream.
    pub hidden: Option<usize>,
    /// Attention heads.
    pub heads: Option<usize>,
    /// Layers.
    pub layers: Option<usize>,
    /// Width of the feed-forward part.
    pub feed_forward: Option<usize>,
    /// Dropout rate while training.
    pub dropout: Option<f64>,
}

/// How a row becomes tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayoutChoice {
    /// One token, as in the notebook: of 1000 rows hardly anything is learned.
    Flat,
    /// One token a feature group.
    #[default]
    PerGroup,
}

impl Default for ModelSettings {
    fn default() -> Self {
        Self {
            model: None,
            layout: LayoutChoice::PerGroup,
            hidden: None,
            heads: None,
            layers: None,
            feed_forward: None,
            dropout: None,
        }
    }
}

impl ModelSettings {
    /// The family for windows of `lookback` rows.
    pub(crate) fn family(&self, lookback: usize) -> Family {
        let usual = if lookback == 1 { Family::Small } else { Family::Sequence };
        self.model.unwrap_or(usual)
    }

    /// The model's configuration for rows of a dataset.
    pub(crate) fn config(&self, dataset: &disentangle_data::Dataset) -> Result<ModelConfig, ExperimentError> {
        let family = self.family(dataset.lookback);
        let start = family.config(dataset.features.len(), dataset.lookback, &dataset.groups);
        let mut settings: Vec<(&'static str, serde_json::Value)> = Vec::new();
        let sizes = [
            ("hidden", self.hidden),
            ("heads", self.heads),
            ("layers", self.layers),
            ("feed_forward", self.feed_forward),
        ];
        settings.extend(sizes.into_iter().filter_map(|(key, size)| Some((key, size?.into()))));
        settings.extend(self.dropout.map(|rate| ("dropout", rate.into())));
        let tokens = [Family::Small, Family::Disentangled].contains(&family);
        if tokens && self.layout == LayoutChoice::PerGroup {
            let groups = dataset.groups.iter().map(|group| group.columns.clone()).collect();
            let layout = serde_json::to_value(Layout::PerGroup { groups });
            settings.push(("layout", layout.unwrap_or_default()));
        }
        Ok(start.with_settings(&settings)?)
    }
}

/// The model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelCard {
    /// For example `sequence`.
    pub family: String,
    /// Numbers that are learned.
    pub parameters: usize,
}

impl ModelCard {
    pub(crate) fn new(model: &Model) -> Self {
        let config = serde_json::to_value(model.config()).unwrap_or_default();
        Self {
            family: config["family"].as_str().unwrap_or_default().into(),
            parameters: burn::module::Module::num_params(model),
        }
    }
}

/// How training went.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Training {
    /// One entry an epoch.
    pub history: Vec<Epoch>,
    /// Whose weights are used, from 1.
    pub best_epoch: usize,
    /// Why it ended.
    pub stop: Stop,
    /// What the curves say.
    pub dynamics: Dynamics,
}

impl Training {
    pub(crate) fn new(trained: Trained) -> Self {
        let losses = |of: fn(&Epoch) -> f64| trained.history.iter().map(of).collect::<Vec<_>>();
        Self {
            dynamics: learning::dynamics(&losses(|e| e.train_loss), &losses(|e| e.validation_loss)),
            history: trained.history,
            best_epoch: trained.best_epoch,
            stop: trained.stop,
        }
    }

    /// Curves and learning dynamics.
    pub(crate) fn section(&self, model: &ModelCard) -> Section {
        let curve = |name: &str, of: fn(&Epoch) -> f64| {
            let epochs = self.history.iter().map(|e| e.epoch as f64).collect();
            let values = self.history.iter().map(of).collect();
            Series::new(name, Mark::Line, Values::Numbers(epochs), values)
        };
        let rows = [
            (
                "convergence rate",
                &self.dynamics.convergence_rate,
                "factor by which the distance to the best training loss shrinks in an epoch",
            ),
            (
                "generalisation gap",
                &self.dynamics.generalisation_gap,
                "mean of validation loss minus training loss",
            ),
            (
                "stability",
                &self.dynamics.stability,
                "standard deviation of the last 10 validation losses",
            ),
        ];
        if self.history.is_empty() {
            return Section {
                title: "Training".into(),
                text: vec![format!(
                    "{} parameters, taken as they were given: nothing was trained (`epochs = 0`).",
                    model.parameters
                )],
                blocks: Vec::new(),
            };
        }
        let why = match self.stop {
            Stop::Epochs => "all epochs were done",
            Stop::Patience => "the watched loss stopped improving",
            Stop::Cancelled => "it was cancelled",
        };
        let mut curves = vec![
            curve("training (with dropout)", |e| e.train_loss),
            curve("validation", |e| e.validation_loss),
        ];
        if self.history.iter().any(|epoch| epoch.penalty != 0.0) {
            curves.push(curve("penalty on the weights", |e| e.penalty));
        }
        Section {
            title: "Training".into(),
            text: vec![format!(
                "{} parameters, {} epochs; training ended because {why}; the weights are those of epoch {}.",
                model.parameters,
                self.history.len(),
                self.best_epoch
            )],
            blocks: vec![
                figure(
                    "training",
                    "Loss by epoch",
                    "Cross-entropy, lower is better; ln 2 (dotted) is what a coin achieves, and a validation curve that rises while the other falls is overfitting.",
                    ["epoch", "cross-entropy", ""],
                    curves,
                    vec![std::f64::consts::LN_2],
                ),
                table(
                    "Learning dynamics",
                    &["measure", "value", "meaning"],
                    rows.map(|(name, estimate, meaning)| vec![name.into(), cell(estimate, 4), meaning.into()])
                        .into(),
                ),
            ],
        }
    }
}
