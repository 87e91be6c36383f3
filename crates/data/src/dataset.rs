//! The one shape that every source produces and every analysis takes.

use chrono::NaiveDateTime;
use ndarray::{Array2, Array3};
use serde::{Deserialize, Serialize};

use crate::{DataError, InputLayer, Scaler};

/// What a feature group is known, or believed, to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A cause of the label, or a lasting correlate.
    Genuine,
    /// A shortcut: correlated in training, not to be relied upon.
    Spurious,
    /// An attribute that the model must not use.
    Protected,
    /// Nothing is claimed.
    Unknown,
}

/// A named set of feature columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureGroup {
    /// For example `calendar`.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Indices into the feature columns.
    pub columns: Vec<usize>,
}

/// The part of the data to which a window belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Fitted on: weights, scalers, selectors.
    Train,
    /// Chosen on: early stopping, thresholds.
    Validation,
    /// Reported on.
    Test,
    /// In no part, because it would overlap with the part before it.
    Embargo,
}

impl Split {
    /// The three parts that hold rows to be used.
    pub const PARTS: [Split; 3] = [Split::Train, Split::Validation, Split::Test];

    /// Lower-case name, as in files.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Validation => "validation",
            Split::Test => "test",
            Split::Embargo => "embargo",
        }
    }
}

/// One window: rows `start..start + lookback` predict the label of row `target`.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// First feature row.
    pub start: usize,
    /// The row whose label is predicted; after the last feature row where rows follow one another in time.
    pub target: usize,
    /// Time of the target row.
    pub time: NaiveDateTime,
    /// Index into [`Dataset::subjects`].
    pub subject: u32,
    /// Index into [`Dataset::environments`].
    pub environment: u32,
    /// 0 or 1.
    pub label: f32,
    /// 0 or 1: the label that the known shortcut suggests, where a generator planted one.
    pub shortcut: Option<f32>,
    /// The part to which it belongs.
    pub split: Split,
}

/// Rows, windows over them, labels, groups and splits.
///
/// Windows are views: a row that occurs in thirty windows is stored once.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// What it is called in reports.
    pub name: String,
    /// Whether a generator made it; reports must say so.
    pub simulated: bool,
    /// Rows in a window.
    pub lookback: usize,
    /// Names of the columns of [`Dataset::rows`].
    pub features: Vec<String>,
    /// Groups of those columns; they do not overlap.
    pub groups: Vec<FeatureGroup>,
    /// Unscaled feature values, `[row, feature]`.
    pub rows: Array2<f32>,
    /// Windows, ordered by time.
    pub windows: Vec<Window>,
    /// Names of the subjects (symbols, patients).
    pub subjects: Vec<String>,
    /// Names of the environments (calendar years, hospitals).
    pub environments: Vec<String>,
    /// Standardises features; fitted on training rows.
    pub scaler: Scaler,
    /// What standardised windows pass before anybody sees them; changes nothing unless a strategy asked for it.
    pub layer: InputLayer,
    /// Whether the test windows also serve as validation (the notebook's split).
    pub shared_validation: bool,
    /// Things that a reader must know, for example that dates were sorted.
    pub notices: Vec<String>,
}

impl Dataset {
    /// Indices of the windows of one part, in time order.
    pub fn part(&self, split: Split) -> Vec<usize> {
        let split = match split {
            Split::Validation if self.shared_validation => Split::Test,
            other => other,
        };
        (0..self.windows.len())
            .filter(|&w| self.windows[w].split == split)
            .collect()
    }

    /// Standardised features of the given windows, behind [`Dataset::layer`], `[window, lookback, feature]`. Every model and
    /// every analysis takes its rows from here.
    pub fn inputs(&self, windows: &[usize]) -> Array3<f32> {
        let (length, width) = (self.lookback, self.features.len());
        let mut values = Vec::with_capacity(windows.len() * length * width);
        for &w in windows {
            let start = self.windows[w].start;
            for row in start..start + length {
                self.scaler
                    .extend_scaled(self.rows.row(row).iter().copied(), &mut values);
            }
        }
        let mut inputs = Array3::from_shape_vec((windows.len(), length, width), values)
            .unwrap_or_else(|_| Array3::zeros((windows.len(), length, width)));
        self.layer.apply(&mut inputs);
        inputs
    }

    /// Labels of the given windows.
    pub fn labels(&self, windows: &[usize]) -> Vec<f32> {
        windows.iter().map(|&w| self.windows[w].label).collect()
    }

    /// The (label, shortcut) group of each window, `2 · label + shortcut`, over which worst-group accuracy is taken; `None`
    /// where no shortcut is known.
    pub fn subgroups(&self, windows: &[usize]) -> Option<Vec<u32>> {
        let group = |&w: &usize| {
            let window = &self.windows[w];
            Some(2 * u32::from(window.label > 0.5) + u32::from(window.shortcut? > 0.5))
        };
        windows.iter().map(group).collect()
    }

    /// The group called `name`.
    pub fn group(&self, name: &str) -> Option<&FeatureGroup> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// Refuses parts that are empty or hold (almost) one class only.
    ///
    /// `minimum_share` is the smallest accepted share of the minority class; at least one row of each class is always needed.
    pub fn check_classes(&self, minimum_share: f64) -> Result<(), DataError> {
        for split in Split::PARTS {
            let labels = self.labels(&self.part(split));
            let positive = labels.iter().filter(|&&y| y == 1.0).count();
            let minimum = ((labels.len() as f64 * minimum_share).ceil() as usize).max(1);
            if positive.min(labels.len() - positive) < minimum {
                return Err(DataError::Degenerate {
                    name: self.name.clone(),
                    part: split.name().into(),
                    positive,
                    total: labels.len(),
                    minimum,
                });
            }
        }
        Ok(())
    }
}

/// Refuses groups that are empty, overlap, repeat a name or name a column that does not exist.
pub fn check_groups(groups: &[FeatureGroup], features: usize) -> Result<(), DataError> {
    let mut owner: Vec<Option<&str>> = vec![None; features];
    for (index, group) in groups.iter().enumerate() {
        if group.columns.is_empty() {
            return Err(DataError::setting(
                "groups",
                &group.name,
                "at least one column in each group",
            ));
        }
        if groups[..index].iter().any(|other| other.name == group.name) {
            return Err(DataError::setting("groups", &group.name, "each group once"));
        }
        for &column in &group.columns {
            match owner.get_mut(column) {
                None => {
                    return Err(DataError::setting(
                        &format!("groups.{}", group.name),
                        column,
                        format!("column indices below {features}"),
                    ));
                }
                Some(Some(other)) => {
                    return Err(DataError::setting(
                        &format!("groups.{}", group.name),
                        column,
                        format!("groups that do not overlap (column {column} is also in `{other}`)"),
                    ));
                }
                Some(free) => *free = Some(&group.name),
            }
        }
    }
    Ok(())
}
