//! `preprocess.json`, and scoring new rows with a run's model.

use std::path::Path;

use burn::tensor::Device;
use disentangle_data::{DataError, Dataset, FeatureGroup, Prices, Scaler, finance::FinanceFeatures, format_time};
use disentangle_models::{ModelConfig, weights};
use disentangle_report::{Prediction, read_json};
use serde::{Deserialize, Serialize};

use crate::ExperimentError;

/// All that turns prices into the model's input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocess {
    /// `finance`.
    pub kind: String,
    /// Rows in a window.
    pub lookback: usize,
    /// Columns, in order.
    pub features: Vec<String>,
    /// Their groups.
    pub groups: Vec<FeatureGroup>,
    /// Fitted on training rows; medians stand for what is missing.
    pub scaler: Scaler,
    /// How columns are computed from prices.
    pub finance: FinanceFeatures,
}

impl Preprocess {
    /// Of a dataset.
    pub fn new(finance: FinanceFeatures, dataset: &Dataset) -> Self {
        Self {
            kind: "finance".into(),
            lookback: dataset.lookback,
            features: dataset.features.clone(),
            groups: dataset.groups.clone(),
            scaler: dataset.scaler.clone(),
            finance,
        }
    }
}

/// Scores every row of `symbols` that has enough history, and the row after the last, whose label nobody knows yet.
pub fn predict(
    run: &Path,
    name: &str,
    symbols: &[Prices],
    device: &Device,
    threads: usize,
) -> Result<Vec<Prediction>, ExperimentError> {
    let preprocess: Preprocess = read_json(run, "preprocess.json")?;
    let config: ModelConfig = read_json(run, "model.json")?;
    let model = config.init(disentangle_data::Seed::new(0), device)?;
    let model = weights::load(model, &run.join("model.safetensors"), device)?;
    let mut all = Vec::new();
    for prices in symbols {
        let needed = preprocess.finance.first_complete_row() + preprocess.lookback;
        if prices.len() < needed {
            return Err(DataError::TooFewRows {
                name: format!("{name}: symbol `{}`", prices.symbol),
                found: prices.len(),
                needed,
                why: "one window with its indicators' history".into(),
            }
            .into());
        }
        // A row after the last makes the window that ends with the last one; its own values are never looked at.
        let mut extended = prices.clone();
        let Some(&last) = prices.times.last() else {
            continue;
        };
        for column in [
            &mut extended.open,
            &mut extended.high,
            &mut extended.low,
            &mut extended.close,
            &mut extended.adjusted,
            &mut extended.volume,
        ] {
            column.extend(column.last().copied());
        }
        extended.times.push(last + chrono::Days::new(1));
        let mut dataset = preprocess.finance.unsplit(&prices.symbol, false, &[extended])?;
        dataset.scaler = preprocess.scaler.clone();
        let rows: Vec<usize> = (0..dataset.windows.len()).collect();
        let logits = model.logits(dataset.inputs(&rows).view(), device, threads)?;
        for (window, logit) in dataset.windows.iter().zip(logits) {
            let known = window.target < prices.len();
            all.push(Prediction {
                split: "new".into(),
                row: window.target as u64,
                time: if known {
                    format_time(window.time)
                } else {
                    format!("after {}", format_time(last))
                },
                subject: prices.symbol.clone(),
                environment: dataset.environments[window.environment as usize].clone(),
                seed: 0,
                model: "sequence".into(),
                strategy: None,
                label: known.then_some(window.label),
                logit: f64::from(logit),
            });
        }
    }
    Ok(all)
}
