//! Groups of one's own, and which columns hold codes.

use disentangle_data::{Dataset, FeatureGroup, Role, Split};

use crate::ExperimentError;

/// `NAME:COLUMN+COLUMN;...` over the dataset's columns; a group of the dataset's name keeps its role.
pub(super) fn own_groups(text: &str, dataset: &Dataset) -> Result<Vec<FeatureGroup>, ExperimentError> {
    let wrong = |reason: String| ExperimentError::Input(format!("`groups = {text}` cannot be used: {reason}"));
    let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
    let mut groups: Vec<FeatureGroup> = Vec::new();
    for part in parts {
        let (name, columns) = part
            .split_once(':')
            .ok_or_else(|| wrong(format!("expected NAME:COLUMN+COLUMN, got `{part}`")))?;
        let name = name.trim();
        if name.is_empty() || groups.iter().any(|group| group.name == name) {
            return Err(wrong(format!(
                "expected a name of its own for each group, got `{name}`"
            )));
        }
        let mut indices = Vec::new();
        for column in columns.split('+').map(str::trim).filter(|column| !column.is_empty()) {
            let index = dataset.features.iter().position(|feature| feature == column);
            indices.push(index.ok_or_else(|| {
                let known = dataset.features.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
                wrong(format!("there is no column `{column}`; expected some of: {known}"))
            })?);
        }
        indices.sort_unstable();
        indices.dedup();
        groups.push(FeatureGroup {
            role: dataset.group(name).map_or(Role::Unknown, |group| group.role),
            name: name.into(),
            columns: indices,
        });
    }
    match groups.is_empty() {
        true => Err(wrong("expected at least one group".into())),
        false => Ok(groups),
    }
}

/// For each column of the dataset whether its values are codes: whole numbers, few of them, on all training rows.
pub(crate) fn integer_coded(dataset: &Dataset) -> Vec<bool> {
    let starts: Vec<usize> = dataset
        .part(Split::Train)
        .iter()
        .map(|&row| dataset.windows[row].start)
        .collect();
    let coded = (0..dataset.features.len()).map(|column| {
        let mut codes: Vec<i64> = Vec::new();
        for &start in &starts {
            for row in start..start + dataset.lookback {
                let value = dataset.rows[[row, column]];
                if value.fract() != 0.0 {
                    return false;
                }
                let code = value as i64;
                if let Err(place) = codes.binary_search(&code) {
                    codes.insert(place, code);
                    if codes.len() > MOST_CODES {
                        return false;
                    }
                }
            }
        }
        true
    });
    coded.collect()
}

/// More different whole numbers than this are a measurement.
const MOST_CODES: usize = 32;
