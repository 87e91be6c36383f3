//! Prices to a dataset: indicators, calendar flags, windows, labels, splits.

use chrono::{Datelike, NaiveDateTime};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::{
    DataError, Dataset, FeatureGroup, InputLayer, Prices, Role, Scaler, Split, SplitRule, Window, calendar, indicators,
    split,
};

/// How the relative strength index is smoothed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rsi {
    /// Simple means over 14 changes (the notebook's).
    Simple,
    /// Wilder's exponential smoothing; five periods are left out while it settles.
    Wilder,
}

/// Which day is flagged as the end of a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MonthEnd {
    /// The last calendar day (the notebook's); often no trading day.
    Calendar,
    /// The last weekday that the exchange opens, known beforehand from its calendar.
    Trading,
    /// Both, as two columns.
    Both,
}

/// How the day of the week enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DayEncoding {
    /// 0 (Monday) to 4 (the notebook's).
    Number,
    /// Sine and cosine of the day's angle in a week of seven days, which also holds where weekends are traded.
    Cyclic,
}

/// From prices to features and windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FinanceFeatures {
    /// Rows in a window.
    pub lookback: usize,
    /// Smoothing of the relative strength index.
    pub rsi: Rsi,
    /// Scale-free features: close / SMA - 1, and the spread of the log volume.
    pub stationary: bool,
    /// The month-end flag.
    pub month_end: MonthEnd,
    /// The day of the week.
    pub day: DayEncoding,
    /// Whether labels and indicators use prices adjusted for splits and dividends.
    pub adjusted: bool,
    /// How windows are divided.
    pub split: SplitRule,
}

impl Default for FinanceFeatures {
    fn default() -> Self {
        Self {
            lookback: 30,
            rsi: Rsi::Simple,
            stationary: false,
            month_end: MonthEnd::Calendar,
            day: DayEncoding::Number,
            adjusted: true,
            split: SplitRule::Chronological,
        }
    }
}

const SMA: usize = 20;
const RSI: usize = 14;
const VOLUME: usize = 20;

impl FinanceFeatures {
    /// The longest history that one indicator needs, in rows.
    pub fn longest_indicator(&self) -> usize {
        SMA.max(VOLUME).max(self.rsi_history())
    }

    /// Rows between parts: lookback plus the longest indicator window.
    pub fn embargo(&self) -> usize {
        self.lookback + self.longest_indicator()
    }

    fn rsi_history(&self) -> usize {
        match self.rsi {
            Rsi::Simple => RSI + 1,
            Rsi::Wilder => 5 * RSI,
        }
    }

    /// Names of the feature columns, in order.
    pub fn names(&self) -> Vec<String> {
        self.columns().into_iter().map(|(name, _)| name.into()).collect()
    }

    /// `technical` (genuine) and `calendar` (spurious).
    pub fn groups(&self) -> Vec<FeatureGroup> {
        let columns = self.columns();
        [("technical", Role::Genuine), ("calendar", Role::Spurious)]
            .into_iter()
            .map(|(name, role)| FeatureGroup {
                name: name.into(),
                role,
                columns: (0..columns.len()).filter(|&c| columns[c].1 == role).collect(),
            })
            .collect()
    }

    fn columns(&self) -> Vec<(&'static str, Role)> {
        let mut columns = match self.stationary {
            false => vec![
                ("sma_20", Role::Genuine),
                ("rsi_14", Role::Genuine),
                ("volume_std_20", Role::Genuine),
            ],
            true => vec![
                ("close_to_sma_20", Role::Genuine),
                ("rsi_14", Role::Genuine),
                ("log_volume_std_20", Role::Genuine),
            ],
        };
        columns.extend(match self.day {
            DayEncoding::Number => vec![("day_of_week", Role::Spurious)],
            DayEncoding::Cyclic => {
                vec![("day_sine", Role::Spurious), ("day_cosine", Role::Spurious)]
            }
        });
        if self.month_end != MonthEnd::Trading {
            columns.push(("month_end", Role::Spurious));
        }
        if self.month_end != MonthEnd::Calendar {
            columns.push(("last_trading_day", Role::Spurious));
        }
        columns
    }

    /// Feature values, one row a price row, NaN while there is too little history. Row t uses rows up to t only.
    pub fn compute(&self, prices: &Prices) -> Array2<f32> {
        let close = self.close(prices);
        let rsi = match self.rsi {
            Rsi::Simple => indicators::rsi_simple(close, RSI),
            Rsi::Wilder => indicators::rsi_wilder(close, RSI),
        };
        let sma = indicators::rolling_mean(close, SMA);
        let (level, spread) = if self.stationary {
            let log_volume: Vec<f64> = prices.volume.iter().map(|v| v.max(1.0).ln()).collect();
            let gap = close.iter().zip(&sma).map(|(c, s)| c / s - 1.0).collect();
            (gap, indicators::rolling_std(&log_volume, VOLUME))
        } else {
            (sma, indicators::rolling_std(&prices.volume, VOLUME))
        };
        let width = self.columns().len();
        let mut values = Vec::with_capacity(prices.len() * width);
        for row in 0..prices.len() {
            values.extend([level[row] as f32, rsi[row] as f32, spread[row] as f32]);
            self.push_calendar(prices.times[row], &mut values);
        }
        Array2::from_shape_vec((prices.len(), width), values).unwrap_or_default()
    }

    fn push_calendar(&self, time: NaiveDateTime, values: &mut Vec<f32>) {
        let date = time.date();
        let weekday = f64::from(date.weekday().num_days_from_monday());
        match self.day {
            DayEncoding::Number => values.push(weekday as f32),
            DayEncoding::Cyclic => {
                let angle = weekday / 7.0 * std::f64::consts::TAU;
                values.extend([angle.sin() as f32, angle.cos() as f32]);
            }
        }
        let flag = |yes: bool| f32::from(u8::from(yes));
        if self.month_end != MonthEnd::Trading {
            values.push(flag(calendar::is_month_end(date)));
        }
        if self.month_end != MonthEnd::Calendar {
            // From the exchange's calendar, not from the next row: that would be a look ahead.
            let next = date.iter_days().skip(1).find(|&day| calendar::is_trading_day(day));
            values.push(flag(next.is_none_or(|next| next.month() != date.month())));
        }
    }

    fn close<'a>(&self, prices: &'a Prices) -> &'a [f64] {
        if self.adjusted { &prices.adjusted } else { &prices.close }
    }

    /// The first row whose features are all known.
    pub fn first_complete_row(&self) -> usize {
        match self.rsi {
            Rsi::Simple => SMA.max(VOLUME).max(RSI + 1) - 1,
            Rsi::Wilder => self.rsi_history(),
        }
    }

    /// Windows over one symbol's rows: `lookback` complete rows, then the row to be predicted. The label is 1 when its
    /// close is above the close before it.
    fn windows(&self, prices: &Prices, offset: usize, subject: u32, years: &[i32]) -> Vec<Window> {
        let close = self.close(prices);
        let first = self.first_complete_row() + self.lookback;
        (first..prices.len())
            .map(|target| Window {
                start: offset + target - self.lookback,
                target: offset + target,
                time: prices.times[target],
                subject,
                environment: years
                    .iter()
                    .position(|&y| y == prices.times[target].year())
                    .unwrap_or(0) as u32,
                label: f32::from(u8::from(close[target] > close[target - 1])),
                shortcut: None,
                split: Split::Train,
            })
            .collect()
    }

    /// The dataset of one or more symbols. Environments are calendar years; parts are cut by time over all symbols.
    pub fn dataset(&self, name: &str, simulated: bool, symbols: &[Prices]) -> Result<Dataset, DataError> {
        if self.lookback == 0 {
            return Err(DataError::setting("lookback", 0, "at least 1 row"));
        }
        let mut dataset = self.unsplit(name, simulated, symbols)?;
        split::assign(
            &mut dataset.windows,
            self.split,
            self.embargo(),
            self.longest_indicator() - 1,
        )
        .map_err(|error| self.explain(error, name, symbols))?;
        if self.split == SplitRule::Notebook {
            dataset.shared_validation = true;
            dataset
                .notices
                .push("split = notebook: validation and test are the same rows, so figures are optimistic".into());
        }
        dataset.scaler = Scaler::fit(dataset.rows.view(), &training_rows(&dataset));
        dataset.check_classes(0.01)?;
        Ok(dataset)
    }

    /// Windows without parts, with a scaler that changes nothing; for scoring new rows.
    pub fn unsplit(&self, name: &str, simulated: bool, symbols: &[Prices]) -> Result<Dataset, DataError> {
        let mut years: Vec<i32> = symbols
            .iter()
            .flat_map(|p| p.times.iter().map(Datelike::year))
            .collect();
        years.sort_unstable();
        years.dedup();
        let width = self.columns().len();
        let total = symbols.iter().map(Prices::len).sum();
        let mut rows = Vec::with_capacity(total * width);
        let mut windows = Vec::new();
        for (subject, prices) in symbols.iter().enumerate() {
            let needed = self.first_complete_row() + self.lookback + 1;
            if prices.len() < needed {
                return Err(DataError::TooFewRows {
                    name: format!("{name}: symbol `{}`", prices.symbol),
                    found: prices.len(),
                    needed,
                    why: format!("lookback {} plus the indicators' history", self.lookback),
                });
            }
            windows.extend(self.windows(prices, rows.len() / width, subject as u32, &years));
            let features = self.compute(prices);
            for ((row, column), &value) in features.indexed_iter() {
                if row >= self.first_complete_row() && !value.is_finite() {
                    return Err(DataError::NotFinite {
                        name: name.into(),
                        symbol: prices.symbol.clone(),
                        feature: self.columns()[column].0.into(),
                        time: crate::format_time(prices.times[row]),
                        value,
                    });
                }
            }
            rows.extend(features);
        }
        windows.sort_by_key(|window| window.time);
        Ok(Dataset {
            name: name.into(),
            simulated,
            lookback: self.lookback,
            features: self.names(),
            groups: self.groups(),
            rows: Array2::from_shape_vec((total, width), rows).unwrap_or_default(),
            windows,
            subjects: symbols.iter().map(|p| p.symbol.clone()).collect(),
            environments: years.iter().map(ToString::to_string).collect(),
            scaler: Scaler::identity(width),
            layer: InputLayer::default(),
            shared_validation: false,
            notices: Vec::new(),
        })
    }

    // The split counts windows; a reader counts the rows of a file.
    fn explain(&self, error: DataError, name: &str, symbols: &[Prices]) -> DataError {
        match error {
            DataError::TooFewRows { needed, why, .. } => DataError::TooFewRows {
                name: name.into(),
                found: symbols.iter().map(Prices::len).max().unwrap_or(0),
                needed: needed + self.first_complete_row() + self.lookback,
                why,
            },
            other => other,
        }
    }
}

/// The feature rows that training windows hold, each once.
pub(crate) fn training_rows(dataset: &Dataset) -> Vec<usize> {
    let mut used = vec![false; dataset.rows.nrows()];
    for window in dataset.windows.iter().filter(|w| w.split == Split::Train) {
        used[window.start..window.start + dataset.lookback].fill(true);
    }
    (0..used.len()).filter(|&row| used[row]).collect()
}
