//! Attributes by which people are told apart: categories of groups that are not genuine, and thirds of protected numbers.

use disentangle_data::{Dataset, FeatureGroup, Role, Split};

use crate::ExperimentError;

/// An attribute with its subgroups.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Attribute {
    pub(super) name: String,
    pub(super) group: String,
    /// Names of its subgroups.
    pub(super) names: Vec<String>,
    how: How,
}

#[derive(Clone, Debug, PartialEq)]
enum How {
    /// One column a category, 1 in the row's own.
    Columns(Vec<usize>),
    /// A column of two values.
    Values(usize, [f32; 2]),
    /// A column of numbers and the ends of its lower and middle third.
    Thirds(usize, [f32; 2]),
}

/// The attributes of a dataset; those that `chosen` names (`insurance;sex`), in its order, if it names any.
pub(super) fn attributes(dataset: &Dataset, chosen: Option<&str>) -> Result<Vec<Attribute>, ExperimentError> {
    let every = |group: &FeatureGroup| of_group(dataset, group);
    let Some(chosen) = chosen else {
        let groups = dataset.groups.iter().filter(|group| group.role != Role::Genuine);
        return Ok(groups
            .flat_map(every)
            .filter(|attribute| !matches!(attribute.how, How::Thirds(..)) || is_protected(dataset, attribute))
            .collect());
    };
    let all: Vec<Attribute> = dataset.groups.iter().flat_map(every).collect();
    let names = chosen.split(';').map(str::trim).filter(|name| !name.is_empty());
    let find = |name: &str| {
        let found = all.iter().find(|attribute| attribute.name == name).cloned();
        found.ok_or_else(|| {
            let known: Vec<&str> = all.iter().map(|attribute| attribute.name.as_str()).collect();
            let known = known.join(", ");
            ExperimentError::Input(format!(
                "`subgroups = {chosen}` cannot be used: there is no attribute `{name}`; expected some of: {known}"
            ))
        })
    };
    names.map(find).collect()
}

fn is_protected(dataset: &Dataset, attribute: &Attribute) -> bool {
    dataset
        .group(&attribute.group)
        .is_some_and(|group| group.role == Role::Protected)
}

fn of_group(dataset: &Dataset, group: &FeatureGroup) -> Vec<Attribute> {
    let mut found: Vec<Attribute> = Vec::new();
    for &column in &group.columns {
        let feature = &dataset.features[column];
        if let Some((name, category)) = feature.split_once('=') {
            match found.iter_mut().find(|attribute| attribute.name == name) {
                Some(Attribute {
                    names,
                    how: How::Columns(columns),
                    ..
                }) => {
                    names.push(category.into());
                    columns.push(column);
                }
                _ => found.push(Attribute {
                    name: name.into(),
                    group: group.name.clone(),
                    names: vec![category.into()],
                    how: How::Columns(vec![column]),
                }),
            }
        } else if !feature.ends_with(" is missing") {
            found.extend(of_numbers(dataset, group, column));
        }
    }
    found.retain(|attribute| attribute.names.len() > 1);
    found
}

/// Two values, or thirds, of a column on training rows.
fn of_numbers(dataset: &Dataset, group: &FeatureGroup, column: usize) -> Option<Attribute> {
    let train = dataset.part(Split::Train);
    let values = train.iter().map(|&window| last(dataset, window, column));
    let mut values: Vec<f32> = values.filter(|value| value.is_finite()).collect();
    values.sort_by(f32::total_cmp);
    let name = dataset.features[column].clone();
    let attribute = |names: Vec<String>, how: How| Attribute {
        name: name.clone(),
        group: group.name.clone(),
        names,
        how,
    };
    let (first, last) = (*values.first()?, *values.last()?);
    if first < last && values.iter().all(|value| *value == first || *value == last) {
        return Some(attribute(
            vec![first.to_string(), last.to_string()],
            How::Values(column, [first, last]),
        ));
    }
    let ends = [values[values.len() / 3], values[2 * values.len() / 3]];
    if first >= ends[0] || ends[0] >= ends[1] {
        return None;
    }
    let shown = ends.map(|end| {
        format!("{end:.3}")
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_string()
    });
    let names = vec![
        format!("below {}", shown[0]),
        format!("{} to {}", shown[0], shown[1]),
        format!("from {}", shown[1]),
    ];
    Some(attribute(names, How::Thirds(column, ends)))
}

/// The value of a column in the last row of a window.
pub(super) fn last(dataset: &Dataset, window: usize, column: usize) -> f32 {
    dataset.rows[[dataset.windows[window].start + dataset.lookback - 1, column]]
}

impl Attribute {
    /// The subgroup of each window.
    pub(super) fn members(&self, dataset: &Dataset, windows: &[usize]) -> Vec<Option<u32>> {
        let value = |window: usize, column: usize| last(dataset, window, column);
        let member = |&window: &usize| match &self.how {
            How::Columns(columns) => columns
                .iter()
                .position(|&column| value(window, column) > 0.5)
                .map(|place| place as u32),
            How::Values(column, values) => {
                let found = value(window, *column);
                values
                    .iter()
                    .position(|value| *value == found)
                    .map(|place| place as u32)
            }
            How::Thirds(column, [low, high]) => {
                let found = value(window, *column);
                (!found.is_nan()).then_some(u32::from(found >= *low) + u32::from(found >= *high))
            }
        };
        windows.iter().map(member).collect()
    }
}

#[cfg(test)]
mod tests {
    use disentangle_data::{Seed, ward::WardConfig};

    use super::*;

    #[test]
    fn categories_flags_and_thirds_are_attributes() {
        let config = WardConfig {
            patients: 120,
            vitals_minutes: 720,
            ..WardConfig::default()
        };
        let dataset = config.dataset(false, Seed::new(1)).unwrap().dataset;
        let all = attributes(&dataset, None).unwrap();
        let named: Vec<(&str, usize)> = all.iter().map(|one| (one.name.as_str(), one.names.len())).collect();
        let of = |name: &str| named.iter().find(|one| one.0 == name).map(|one| one.1);
        assert_eq!(
            (of("admission_type"), of("insurance"), of("sex"), of("age")),
            (Some(2), Some(4), Some(2), Some(3))
        );
        assert_eq!(of("heart_rate"), None);
        let rows: Vec<usize> = (0..dataset.windows.len()).collect();
        let insurance = all.iter().find(|one| one.name == "insurance").unwrap();
        for (row, member) in rows.iter().zip(insurance.members(&dataset, &rows)) {
            let name = &insurance.names[member.unwrap() as usize];
            let column = dataset
                .features
                .iter()
                .position(|f| *f == format!("insurance={name}"))
                .unwrap();
            assert_eq!(last(&dataset, *row, column), 1.0);
            // The shortcut decides the insurance.
            let suggested = dataset.windows[*row].shortcut == Some(1.0);
            assert_eq!(["MEDICAID", "SELF_PAY"].contains(&name.as_str()), suggested);
        }
        // Thirds of the training rows.
        let age = all.iter().find(|one| one.name == "age").unwrap();
        let train = dataset.part(Split::Train);
        let members = age.members(&dataset, &train);
        for third in 0..3 {
            let share = members.iter().filter(|&&member| member == Some(third)).count() as f64 / train.len() as f64;
            assert!((share - 1.0 / 3.0).abs() < 0.03, "{third}: {share}");
        }
        let chosen = attributes(&dataset, Some("sex; heart_rate")).unwrap();
        assert_eq!(
            chosen.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(),
            ["sex", "heart_rate"]
        );
        let error = attributes(&dataset, Some("sexx")).unwrap_err().to_string();
        assert!(error.contains("there is no attribute `sexx`"), "{error}");
    }
}
