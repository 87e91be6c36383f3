//! `preprocess.json` of prices, and new prices as rows of a run.

use disentangle_data::{
    DataError, Dataset, FeatureGroup, InputLayer, NewRows, Prices, Scaler, Split, finance::FinanceFeatures,
};
use ndarray::{Axis, concatenate};
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
    /// What standardised windows pass.
    #[serde(default)]
    pub layer: InputLayer,
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
            layer: dataset.layer.clone(),
            finance,
        }
    }

    /// A window for every row of `symbols` that has enough history, and for the row after the last, whose label nobody knows yet; symbol by
    /// symbol. Groups and scaler of the dataset belong to the run and are not set.
    pub(crate) fn new_rows(&self, name: &str, symbols: &[Prices]) -> Result<NewRows, ExperimentError> {
        let mut all: Option<NewRows> = None;
        for prices in symbols {
            let own = self.of_symbol(name, prices)?;
            match &mut all {
                None => all = Some(own),
                Some(all) => append(all, own)?,
            }
        }
        all.ok_or_else(|| ExperimentError::Input(format!("{name}: holds no prices")))
    }

    fn of_symbol(&self, name: &str, prices: &Prices) -> Result<NewRows, ExperimentError> {
        let needed = self.finance.first_complete_row() + self.lookback;
        let last = match prices.times.last() {
            Some(&last) if prices.len() >= needed => last,
            _ => {
                return Err(DataError::TooFewRows {
                    name: format!("{name}: symbol `{}`", prices.symbol),
                    found: prices.len(),
                    needed,
                    why: "one window with its indicators' history".into(),
                }
                .into());
            }
        };
        // A row after the last makes the window that ends with the last one; its own values are never looked at.
        let mut extended = prices.clone();
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
        let mut dataset = self.finance.unsplit(name, false, &[extended])?;
        for window in &mut dataset.windows {
            window.split = Split::Test;
        }
        let known = |target: usize| target < prices.len();
        let labels = dataset.windows.iter();
        let labels = labels.map(|window| known(window.target).then_some(window.label));
        Ok(NewRows {
            labels: labels.collect(),
            dataset,
        })
    }
}

/// The rows of another symbol after those that are there.
fn append(all: &mut NewRows, other: NewRows) -> Result<(), ExperimentError> {
    let (into, from) = (&mut all.dataset, other.dataset);
    let first = into.rows.nrows();
    into.rows = concatenate(Axis(0), &[into.rows.view(), from.rows.view()])
        .map_err(|error| ExperimentError::Failed(error.to_string()))?;
    let subject = into.subjects.len() as u32;
    into.subjects.extend(from.subjects);
    let environment = |name: &String, known: &mut Vec<String>| -> u32 {
        let place = known.iter().position(|other| other == name);
        place.unwrap_or_else(|| {
            known.push(name.clone());
            known.len() - 1
        }) as u32
    };
    for mut window in from.windows {
        window.start += first;
        window.subject = subject;
        window.environment = environment(&from.environments[window.environment as usize], &mut into.environments);
        into.windows.push(window);
    }
    all.labels.extend(other.labels);
    Ok(())
}
