//! The grid: keys, their values, and where a combination stands among all.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ExperimentError;

/// One `--grid key=a,b,...`, split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// As it was written.
    pub(super) key: String,
    /// The configuration's own key.
    pub(super) canonical: String,
    /// The values.
    pub(super) texts: Vec<String>,
}

/// Splits the options; `canonical` gives the configuration's name of a key. A key may neither come twice nor stand in
/// `sets` too.
pub(super) fn parse(
    grid: &[String],
    sets: &[String],
    canonical: fn(&str) -> &str,
) -> Result<Vec<Written>, ExperimentError> {
    let mut keys: Vec<Written> = Vec::new();
    for option in grid {
        let wrong = |reason: String| ExperimentError::Input(format!("`--grid {option}`: {reason}"));
        let (key, text) = option
            .split_once('=')
            .map(|(key, text)| (key.trim(), text))
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| wrong("expected key=value,value,...".into()))?;
        let own = canonical(key);
        if let Some(other) = keys.iter().find(|other| other.canonical == own) {
            return Err(wrong(match other.key == key {
                true => format!("`{key}` is there twice; expected all its values in one --grid"),
                false => format!("`{key}` and `{}` are the same key; expected one of them", other.key),
            }));
        }
        if sets
            .iter()
            .any(|set| set_key(set).is_some_and(|set| canonical(set) == own))
        {
            return Err(wrong(format!(
                "`{key}` stands in --set too; expected it in one of the two"
            )));
        }
        let separator = if text.contains(';') { ';' } else { ',' };
        let texts: Vec<String> = text.split(separator).map(|value| value.trim().to_string()).collect();
        if texts.iter().any(String::is_empty) {
            return Err(wrong(format!(
                "a value of `{key}` is empty; expected values separated by commas, or by `;` where one is a list"
            )));
        }
        keys.push(Written {
            key: key.into(),
            canonical: own.into(),
            texts,
        });
    }
    Ok(keys)
}

fn set_key(set: &str) -> Option<&str> {
    set.split_once('=').map(|(key, _)| key.trim())
}

/// `key=value` settings under the configuration's own keys.
pub(super) fn canonical_sets(sets: &[String], canonical: fn(&str) -> &str) -> Vec<String> {
    let renamed = sets.iter().map(|set| match set.split_once('=') {
        Some((key, value)) => format!("{}={value}", canonical(key.trim())),
        None => set.clone(),
    });
    renamed.collect()
}

/// A key of the grid with its values, in the order of the command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct GridKey {
    /// As it was written.
    pub(super) key: String,
    /// What runs hold; a list of one is its element.
    pub(super) values: Vec<Value>,
}

impl GridKey {
    /// The values, if all are numbers.
    pub(super) fn numbers(&self) -> Option<Vec<f64>> {
        self.values.iter().map(Value::as_f64).collect()
    }

    /// Places of the values along an axis: numbers rise, anything else stands as it was written.
    pub(super) fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.values.len()).collect();
        if let Some(numbers) = self.numbers() {
            order.sort_by(|&a, &b| numbers[a].total_cmp(&numbers[b]));
        }
        order
    }
}

/// Where a combination stands: later keys vary fastest.
pub(super) fn index(grid: &[GridKey], places: &[usize]) -> usize {
    let keys = grid.iter().zip(places);
    keys.fold(0, |index, (key, place)| index * key.values.len() + place)
}

/// The places of all combinations of so many values each, later ones varying fastest.
pub(super) fn combinations(lengths: &[usize]) -> Vec<Vec<usize>> {
    lengths.iter().fold(vec![Vec::new()], |all, &length| {
        let longer = all.iter().flat_map(|places| {
            (0..length).map(move |place| {
                let mut places = places.clone();
                places.push(place);
                places
            })
        });
        longer.collect()
    })
}

/// A value as it is read: text without quotes, numbers without an idle `.0`.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => number.as_f64().unwrap_or_default().to_string(),
        Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// The value that names a run: a list of one is its element.
pub(super) fn scalar(value: Value) -> Value {
    match value {
        Value::Array(mut values) if values.len() == 1 => values.remove(0),
        other => other,
    }
}
