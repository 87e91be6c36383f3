//! Keys of `experiment finance`.

use std::path::PathBuf;

use chrono::NaiveDate;
use disentangle_data::{
    DataError, SplitRule,
    finance::{DayEncoding, FinanceFeatures, MonthEnd, Rsi},
};
use disentangle_models::{
    ModelConfig, SequenceConfig,
    train::{Monitor, TrainConfig},
};
use serde::{Deserialize, Serialize};

use crate::{ExperimentError, training};

/// Where prices come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The simulated market that is part of the program.
    Embedded,
    /// A CSV file, gzip or not: `path`.
    Csv,
    /// A Parquet file: `path`.
    Parquet,
    /// Yahoo, live: `symbols`, `start`, `end`.
    Yahoo,
}

/// The configuration; every key can be set by `--set key=value`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FinanceConfig {
    /// `market`, `yahoo` or a file: another spelling of `source` and `path`.
    pub dataset: Option<String>,
    /// Where prices come from; guessed from `path` if absent.
    pub source: Option<Source>,
    /// The price file.
    pub path: Option<PathBuf>,
    /// Symbols of `source = yahoo`, or those to keep of a file with a symbol column; all if empty.
    pub symbols: Vec<String>,
    /// First day, included.
    pub start: Option<NaiveDate>,
    /// Last day, not included.
    pub end: Option<NaiveDate>,
    /// Where downloads are kept.
    pub cache: PathBuf,

    /// Rows in a window.
    pub lookback: usize,
    /// `simple` or `wilder`.
    pub rsi: Rsi,
    /// Scale-free features.
    pub stationary: bool,
    /// `calendar`, `trading` or `both`.
    pub month_end: MonthEnd,
    /// `number` or `cyclic`.
    pub day: DayEncoding,
    /// Prices adjusted for splits and dividends.
    pub adjusted: bool,
    /// `chronological` or `notebook`.
    pub split: SplitRule,

    /// Width of the model.
    pub hidden: usize,
    /// Attention heads.
    pub heads: usize,
    /// Encoder layers.
    pub layers: usize,
    /// Width of the feed-forward part.
    pub feed_forward: usize,
    /// Dropout rate.
    pub dropout: f64,
    /// A weights file to start from instead of drawing weights.
    pub weights: Option<PathBuf>,

    /// Passes over the training rows, at most.
    pub epochs: usize,
    /// Rows in a step; 0 is all.
    pub batch: usize,
    /// Adam's step size.
    pub learning_rate: f64,
    /// Epochs without a better loss before training stops; 0 never.
    pub patience: usize,
    /// `validation` or `train`.
    pub monitor: Monitor,

    /// Permutations of a group, averaged for its importance and counted for its test.
    pub permutations: usize,
    /// Bootstrap resamples of each interval.
    pub resamples: usize,
    /// Draws of the Granger bootstrap.
    pub granger_draws: usize,
    /// Refits through time.
    pub walk_forward: bool,
    /// Rows in one non-overlapping window of the walk-forward.
    pub window: usize,
    /// Refits, at most: on a longer history the windows are widened.
    pub most_refits: usize,
    /// Rows that a refit trains on, at most: the latest ones.
    pub refit_rows: usize,
    /// Rows that the first refit trains on, at least.
    pub first_refit_rows: usize,
}

impl Default for FinanceConfig {
    fn default() -> Self {
        let model = SequenceConfig::new(1, 1);
        let features = FinanceFeatures::default();
        Self {
            dataset: None,
            source: None,
            path: None,
            symbols: Vec::new(),
            start: None,
            end: None,
            cache: ".cache/yahoo".into(),
            lookback: features.lookback,
            rsi: features.rsi,
            stationary: features.stationary,
            month_end: features.month_end,
            day: features.day,
            adjusted: features.adjusted,
            split: features.split,
            hidden: model.hidden,
            heads: model.heads,
            layers: model.layers,
            feed_forward: model.feed_forward,
            dropout: model.dropout,
            weights: None,
            epochs: 50,
            batch: 0,
            learning_rate: 1e-3,
            patience: 0,
            monitor: Monitor::Validation,
            permutations: 99,
            resamples: 1000,
            granger_draws: 499,
            walk_forward: true,
            window: 100,
            most_refits: 60,
            refit_rows: 500,
            first_refit_rows: 200,
        }
    }
}

/// A larger count is a slip of the hand: it would overflow a sum or fill the memory.
const MOST: usize = 1_000_000;

impl FinanceConfig {
    /// Refuses settings that cannot work, before anything is read or written.
    pub(super) fn check(&self) -> Result<(), ExperimentError> {
        for (key, value) in [
            ("lookback", self.lookback),
            ("epochs", self.epochs),
            ("hidden", self.hidden),
            ("feed_forward", self.feed_forward),
            ("layers", self.layers),
            ("patience", self.patience),
        ] {
            if value > MOST {
                return Err(DataError::setting(key, value, format!("at most {MOST}")).into());
            }
        }
        let counts = [
            ("permutations", self.permutations),
            ("resamples", self.resamples),
            ("granger_draws", self.granger_draws),
            ("window", self.window),
            ("refit_rows", self.refit_rows),
            ("most_refits", self.most_refits),
            ("first_refit_rows", self.first_refit_rows),
        ];
        for (key, value) in counts {
            if value == 0 {
                return Err(DataError::setting(key, 0, "at least 1").into());
            }
            if value > MOST {
                return Err(DataError::setting(key, value, format!("at most {MOST}")).into());
            }
        }
        training::check(&self.training(), self.weights.as_deref())
    }

    /// The part about features and splits.
    pub fn features(&self) -> FinanceFeatures {
        FinanceFeatures {
            lookback: self.lookback,
            rsi: self.rsi,
            stationary: self.stationary,
            month_end: self.month_end,
            day: self.day,
            adjusted: self.adjusted,
            split: self.split,
        }
    }

    /// The part about the model.
    pub fn model(&self) -> ModelConfig {
        ModelConfig::Sequence(SequenceConfig {
            hidden: self.hidden,
            heads: self.heads,
            layers: self.layers,
            feed_forward: self.feed_forward,
            dropout: self.dropout,
            ..SequenceConfig::new(self.features().names().len(), self.lookback)
        })
    }

    /// The part about training.
    pub fn training(&self) -> TrainConfig {
        TrainConfig {
            epochs: self.epochs,
            batch: self.batch,
            learning_rate: self.learning_rate,
            patience: self.patience,
            monitor: self.monitor,
            ..TrainConfig::default()
        }
    }
}
