//! Rows with known causes and a known shortcut (notebook parts 1 and 2).
//!
//! Every feature is standard normal. A group of columns is "strong" where its sum of squares exceeds a threshold; the label says
//! whether all genuine columns together are. In the biased generator one more group, `bias`, is no cause of the label, but its
//! own strength agrees with the label at a rate that depends on the environment: a shortcut that holds in training (0.9 and
//! 0.7), is worthless in the environment `independent` (0.5), and misleads in `reversed` (0.1).

use chrono::NaiveDateTime;
use ndarray::Array2;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ChiSquared, ContinuousCDF};

use crate::{DataError, Dataset, FeatureGroup, InputLayer, Random, Role, Scaler, Seed, Split, Window};

/// Which generator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Generator {
    /// Genuine groups only (part 1).
    Multifeature,
    /// Genuine groups and a shortcut (part 2).
    #[default]
    Biased,
}

/// From which sum of squares on a group of k standard normal columns is strong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Threshold {
    /// The median of the chi-squared distribution with k degrees of freedom: classes are equally frequent.
    #[default]
    Median,
    /// k / 2, the notebook's: of 50 columns 99.9 % of rows are positive.
    Notebook,
}

/// How the bias group and the label depend on each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// The label depends on genuine columns only; the bias group agrees with it at the environment's rate.
    #[default]
    Spurious,
    /// The notebook's: with probability `bias_strength` the label *is* the bias group's strength, so that the bias is a cause.
    Mixed,
}

/// Sizes and rates of a synthetic dataset; the defaults are the notebook's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SyntheticConfig {
    /// Which generator.
    #[serde(rename = "dataset")]
    pub generator: Generator,
    /// Training rows.
    pub samples: usize,
    /// Validation rows.
    pub validation: usize,
    /// Rows of each test environment.
    pub test: usize,
    /// Genuine groups.
    pub features: usize,
    /// Columns of a group.
    pub feature_dim: usize,
    /// Where a group becomes strong.
    pub threshold: Threshold,
    /// What the bias group is.
    pub rule: Rule,
    /// Mean rate at which the bias group agrees with the label in training; the two training environments lie 0.1 above and below it.
    pub bias_strength: f64,
    /// Accepts datasets of which (almost) all rows have one label.
    pub degenerate: bool,
}

impl Default for SyntheticConfig {
    fn default() -> Self {
        Self {
            generator: Generator::Biased,
            samples: 1000,
            validation: 500,
            test: 1000,
            features: 5,
            feature_dim: 10,
            threshold: Threshold::Median,
            rule: Rule::Spurious,
            bias_strength: 0.8,
            degenerate: false,
        }
    }
}

/// Rows that one thread draws from one stream.
const BLOCK: usize = 4096;
/// 8 GB of values: more is a slip of the hand.
const MOST_VALUES: u128 = 2_000_000_000;
/// How far the rates of the two training environments lie from their mean.
const SPREAD: f64 = 0.1;

/// An environment, the rate at which the bias group agrees with the label there, and its rows in each part.
struct Environment {
    name: String,
    rate: f64,
    rows: [(Split, usize); 3],
}

impl SyntheticConfig {
    /// The genuine groups only.
    pub fn multifeature() -> Self {
        Self {
            generator: Generator::Multifeature,
            ..Self::default()
        }
    }

    /// Genuine groups and a shortcut.
    pub fn biased() -> Self {
        Self::default()
    }

    /// Columns of a row.
    pub fn columns(&self) -> usize {
        (self.features + usize::from(self.generator == Generator::Biased)) * self.feature_dim
    }

    fn check(&self) -> Result<(), DataError> {
        let sizes = [
            ("samples", self.samples, 2),
            ("validation", self.validation, 2),
            ("test", self.test, 2),
            ("features", self.features, 1),
            ("feature_dim", self.feature_dim, 1),
        ];
        for (key, value, least) in sizes {
            if value < least {
                return Err(DataError::setting(key, value, format!("at least {least}")));
            }
        }
        let rows = [self.samples, self.validation, 3 * self.test];
        let total: u128 = rows.iter().map(|&rows| rows as u128).sum();
        let groups = (self.features as u128 + 1) * self.feature_dim as u128;
        if total.saturating_mul(groups) > MOST_VALUES {
            let expected = format!("rows times columns of at most {MOST_VALUES}");
            return Err(DataError::setting("samples", self.samples, expected));
        }
        if self.rule == Rule::Mixed && !(0.0..=1.0).contains(&self.bias_strength) {
            return Err(DataError::setting(
                "bias_strength",
                self.bias_strength,
                "a rate from 0 to 1",
            ));
        }
        if self.rule == Rule::Spurious && !(SPREAD..=1.0 - SPREAD).contains(&self.bias_strength) {
            let expected = "a rate from 0.1 to 0.9 (the training environments lie 0.1 above and below it)";
            return Err(DataError::setting("bias_strength", self.bias_strength, expected));
        }
        Ok(())
    }

    fn environments(&self) -> Vec<Environment> {
        let both = |rows: usize| [rows.div_ceil(2), rows / 2];
        let (train, validation, test) = (both(self.samples), both(self.validation), both(self.test));
        let seen = |name: String, rate: f64, half: usize| Environment {
            name,
            rate,
            rows: [
                (Split::Train, train[half]),
                (Split::Validation, validation[half]),
                (Split::Test, test[half]),
            ],
        };
        let whole = |name: &str, rate: f64| Environment {
            name: name.into(),
            rate,
            rows: [
                (Split::Train, self.samples),
                (Split::Validation, self.validation),
                (Split::Test, self.test),
            ],
        };
        let unseen = |name: &str, rate: f64| Environment {
            name: name.into(),
            rate,
            rows: [(Split::Train, 0), (Split::Validation, 0), (Split::Test, self.test)],
        };
        let strength = self.bias_strength;
        match (self.generator, self.rule) {
            (Generator::Multifeature, _) => vec![whole("all", 0.5)],
            (Generator::Biased, Rule::Spurious) => {
                let rate = |rate: f64| (rate * 1e9).round() / 1e9;
                let (high, low) = (rate(strength + SPREAD), rate(strength - SPREAD));
                vec![
                    seen(format!("rate {high}"), high, 0),
                    seen(format!("rate {low}"), low, 1),
                    unseen("independent", 0.5),
                    unseen("reversed", 0.1),
                ]
            }
            (Generator::Biased, Rule::Mixed) => vec![
                whole("mixed", strength),
                unseen("independent", 0.0),
                unseen("reversed", -strength),
            ],
        }
    }

    fn strong_from(&self, columns: usize) -> f64 {
        let median = ChiSquared::new(columns as f64).map(|chi| chi.inverse_cdf(0.5));
        match (self.threshold, median) {
            (Threshold::Median, Ok(median)) => median,
            // `check` refuses 0 columns, the only case without a distribution.
            (Threshold::Notebook, _) | (Threshold::Median, Err(_)) => columns as f64 / 2.0,
        }
    }

    /// Draws the dataset: one row a window, all on one scale. Fails for sizes and rates that cannot work, and, unless
    /// `degenerate`, where a part holds under 1 % of one class.
    pub fn dataset(&self, seed: Seed) -> Result<Dataset, DataError> {
        self.check()?;
        let environments = self.environments();
        let mut windows = Vec::new();
        for split in Split::PARTS {
            for (index, environment) in environments.iter().enumerate() {
                let rows = environment.rows.iter().find(|(part, _)| *part == split);
                for _ in 0..rows.map_or(0, |(_, rows)| *rows) {
                    windows.push(Window {
                        start: windows.len(),
                        target: windows.len(),
                        time: NaiveDateTime::default(),
                        subject: 0,
                        environment: index as u32,
                        label: 0.0,
                        shortcut: None,
                        split,
                    });
                }
            }
        }
        let rates: Vec<f64> = environments.iter().map(|environment| environment.rate).collect();
        let rows = self.draw(&mut windows, &rates, seed.child("synthetic"));
        let dataset = Dataset {
            name: match self.generator {
                Generator::Multifeature => "multifeature".into(),
                Generator::Biased => "biased".into(),
            },
            simulated: true,
            lookback: 1,
            features: self.names(),
            groups: self.groups(),
            rows,
            windows,
            subjects: vec!["synthetic".into()],
            environments: environments.into_iter().map(|environment| environment.name).collect(),
            // Every column is standard normal as it is drawn.
            scaler: Scaler::identity(self.columns()),
            layer: InputLayer::default(),
            shared_validation: false,
            notices: self.notices(),
        };
        if !self.degenerate {
            dataset.check_classes(0.01)?;
        }
        Ok(dataset)
    }

    fn names(&self) -> Vec<String> {
        let columns = self.groups().into_iter().flat_map(|group| {
            let name = group.name;
            (0..group.columns.len()).map(move |column| format!("{name}.{}", column + 1))
        });
        columns.collect()
    }

    fn groups(&self) -> Vec<FeatureGroup> {
        let dim = self.feature_dim;
        let genuine = (0..self.features).map(|index| (format!("feature_{}", index + 1), Role::Genuine));
        let bias = (self.generator == Generator::Biased).then(|| ("bias".to_string(), Role::Spurious));
        genuine
            .chain(bias)
            .enumerate()
            .map(|(index, (name, role))| FeatureGroup {
                name,
                role,
                columns: (index * dim..(index + 1) * dim).collect(),
            })
            .collect()
    }

    fn notices(&self) -> Vec<String> {
        let mut notices = Vec::new();
        if self.threshold == Threshold::Notebook {
            notices.push("threshold = notebook: almost all rows have the same label".into());
        }
        if self.generator == Generator::Biased && self.rule == Rule::Mixed {
            notices.push(
                "rule = mixed: the bias group is a cause of the label, as in the notebook, and no shortcut".into(),
            );
        }
        notices
    }

    /// Fills in labels and shortcuts, and returns the rows. Blocks have seeds of their own, so that threads change nothing.
    fn draw(&self, windows: &mut [Window], rates: &[f64], seed: Seed) -> Array2<f32> {
        let width = self.columns();
        let from = Strengths {
            genuine: self.strong_from(self.features * self.feature_dim),
            bias: self.strong_from(self.feature_dim),
        };
        let mut values = vec![0.0f32; windows.len() * width];
        let blocks = windows
            .chunks_mut(BLOCK)
            .zip(values.chunks_mut(BLOCK * width))
            .enumerate();
        let jobs = std::sync::Mutex::new(blocks);
        let threads = std::thread::available_parallelism().map_or(1, Into::into);
        let work = || {
            while let Some((index, (windows, values))) = jobs.lock().ok().and_then(|mut jobs| jobs.next()) {
                let mut rng = seed.index(index as u64).rng();
                for (window, row) in windows.iter_mut().zip(values.chunks_mut(width)) {
                    self.draw_row(window, row, &from, rates[window.environment as usize], &mut rng);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
        Array2::from_shape_vec((values.len() / width, width), values).unwrap_or_default()
    }

    fn draw_row(&self, window: &mut Window, row: &mut [f32], from: &Strengths, rate: f64, rng: &mut Random) {
        let (genuine, bias) = row.split_at_mut(self.features * self.feature_dim);
        let mut label = strong(genuine, from.genuine, rng);
        if !bias.is_empty() {
            let shortcut = match self.rule {
                Rule::Spurious => {
                    let wanted = label == (rng.uniform() < rate);
                    // Drawn again until it is as wanted: standard normal columns given their strength.
                    while strong(bias, from.bias, rng) != wanted {}
                    wanted
                }
                Rule::Mixed => {
                    let shortcut = strong(bias, from.bias, rng);
                    if rng.uniform() < rate.abs() {
                        label = shortcut == (rate > 0.0);
                    }
                    shortcut
                }
            };
            window.shortcut = Some(f32::from(u8::from(shortcut)));
        }
        window.label = f32::from(u8::from(label));
    }
}

/// From which sums of squares on columns are strong.
struct Strengths {
    genuine: f64,
    bias: f64,
}

/// Fills `columns` with standard normal values; whether their sum of squares exceeds `threshold`.
fn strong(columns: &mut [f32], threshold: f64, rng: &mut Random) -> bool {
    let mut sum = 0.0;
    for column in columns {
        let value = rng.normal();
        sum += value * value;
        *column = value as f32;
    }
    sum > threshold
}

#[cfg(test)]
mod tests;
