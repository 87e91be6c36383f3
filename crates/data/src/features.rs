//! Encoding of columns: numbers with what is missing, categories as one column each.
//!
//! A linear layer over one column a category is an embedding of the categories: its weights hold one vector each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{DataError, Dataset};

/// Categories that get a column of their own: the most frequent ones with at least [`LEAST_ROWS`] training rows.
const MOST_CATEGORIES: usize = 24;
const LEAST_ROWS: usize = 10;
/// The name of a category that is not there.
pub(crate) const MISSING: &str = "missing";

/// How one column of a source becomes columns of features: fitted on training rows, applied to any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Encoding {
    /// Numbers as they are.
    Numbers {
        /// The column.
        column: String,
        /// Whether a second column says where there is none, because training rows missed some.
        missing: bool,
    },
    /// One column a category.
    Categories {
        /// The column.
        column: String,
        /// Categories with a column of their own, in order.
        own: Vec<String>,
        /// Whether all others share a column, because training had others; else they are none of the columns.
        other: bool,
    },
}

/// Rows that no training saw, made by what training fitted.
#[derive(Clone, Debug)]
pub struct NewRows {
    /// Their windows, all called test rows. Where a label is not known, it is 0 here.
    pub dataset: Dataset,
    /// The label of each window, if it is known.
    pub labels: Vec<Option<f32>>,
}

/// Columns of features while they are made.
#[derive(Debug, Default)]
pub(crate) struct Features {
    pub(crate) names: Vec<String>,
    pub(crate) columns: Vec<Vec<f32>>,
    pub(crate) notices: Vec<String>,
    /// How they were made, in order.
    pub(crate) encodings: Vec<Encoding>,
}

impl Features {
    fn push(&mut self, name: String, values: Vec<f32>) {
        self.names.push(name);
        self.columns.push(values);
    }

    /// Numbers, NaN where missing, and a second column that says where, if any training row misses one. Whether any training row has a
    /// number; if not, nothing is added.
    pub(crate) fn numbers(&mut self, name: &str, values: Vec<f32>, train: &[usize]) -> bool {
        let present = || train.iter().map(|&row| values[row]).filter(|value| !value.is_nan());
        let Some(first) = present().next() else {
            return false;
        };
        if present().all(|value| value == first) {
            self.notices
                .push(format!("column `{name}` has one value only in training rows"));
        }
        let missing = train.iter().any(|&row| values[row].is_nan());
        self.encoded_numbers(name, values, missing);
        true
    }

    /// Numbers as an encoding says.
    pub(crate) fn encoded_numbers(&mut self, name: &str, values: Vec<f32>, missing: bool) {
        let flags = missing.then(|| values.iter().map(|value| f32::from(u8::from(value.is_nan()))).collect());
        self.push(name.into(), values);
        if let Some(flags) = flags {
            self.push(format!("{name} is missing"), flags);
        }
        self.encodings.push(Encoding::Numbers {
            column: name.into(),
            missing,
        });
    }

    /// One column a category; rarer ones, and those that training never saw, share `other` if training has any of them. `counted` are
    /// training rows, each of another case. Whether any of them has a category; if not, nothing is added.
    pub(crate) fn categories<'a>(
        &mut self,
        name: &str,
        rows: usize,
        value: impl Fn(usize) -> Option<&'a str>,
        counted: &[usize],
    ) -> bool {
        if counted.iter().all(|&row| value(row).is_none()) {
            return false;
        }
        let value = |row: usize| value(row).unwrap_or(MISSING);
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for &row in counted {
            *counts.entry(value(row)).or_default() += 1;
        }
        let mut own: Vec<(&str, usize)> = counts.iter().map(|(name, count)| (*name, *count)).collect();
        own.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
        own.retain(|(_, count)| *count >= LEAST_ROWS);
        own.truncate(MOST_CATEGORIES);
        let own: Vec<String> = own.into_iter().map(|(name, _)| name.into()).collect();
        let unseen = (0..rows).filter(|&row| !counts.contains_key(value(row))).count();
        if unseen > 0 {
            self.notices.push(format!(
                "column `{name}`: {unseen} rows outside training hold categories that training never saw; they count as none of its own"
            ));
        }
        let (kinds, other) = (counts.len(), own.len() < counts.len());
        self.encoded_categories(name, rows, value, &own, other);
        if kinds == 1 {
            self.notices
                .push(format!("column `{name}` has one value only in training rows"));
        }
        true
    }

    /// Categories as an encoding says; `value` names the category of each row, [`MISSING`] where there is none.
    pub(crate) fn encoded_categories<'a>(
        &mut self,
        name: &str,
        rows: usize,
        value: impl Fn(usize) -> &'a str,
        own: &[String],
        other: bool,
    ) {
        let flags = |holds: &dyn Fn(&str) -> bool| -> Vec<f32> {
            (0..rows).map(|row| f32::from(u8::from(holds(value(row))))).collect()
        };
        for category in own {
            let flags = flags(&|value| value == category);
            self.push(format!("{name}={category}"), flags);
        }
        if other {
            let flags = flags(&|value| !own.iter().any(|category| category == value));
            self.push(format!("{name}=other"), flags);
        }
        self.encodings.push(Encoding::Categories {
            column: name.into(),
            own: own.to_vec(),
            other,
        });
    }

    /// Refuses a column that tells the label of every one of some training rows: it is a copy of the outcome, or made from it.
    pub(crate) fn no_perfect_predictor(&self, rows: &[usize], label: impl Fn(usize) -> f32) -> Result<(), DataError> {
        for (name, values) in self.names.iter().zip(&self.columns) {
            let mut ends = [[f32::INFINITY, f32::NEG_INFINITY]; 2];
            let mut missing = false;
            for &row in rows {
                let [low, high] = &mut ends[usize::from(label(row) > 0.5)];
                (*low, *high) = (low.min(values[row]), high.max(values[row]));
                missing |= values[row].is_nan();
            }
            let both = ends.iter().all(|[low, high]| low <= high);
            let apart = ends[0][1] < ends[1][0] || ends[1][1] < ends[0][0];
            if both && apart && !missing {
                return Err(DataError::Leak(format!(
                    "column `{name}` tells the label of all {} training rows: it is made from the outcome; expected it to be left out, or allow_leaks = true",
                    rows.len()
                )));
            }
        }
        Ok(())
    }
}
