//! How rows are shown to families that take them differently, so that all of them can be trained on the same ones.
//!
//! Families of one position see a window's positions side by side. Families of many positions see a single row as one position a feature group:
//! with one position alone their attention would be the constant 1.

use disentangle_data::{Dataset, FeatureGroup, InputLayer, Scaler, Window};
use disentangle_models::Family;
use ndarray::{Array2, Array3};

/// How rows of a dataset become a model's input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// As the dataset has them.
    AsTheyAre,
    /// A row's feature groups are its positions; these are the columns of each, and narrower ones end in zeros.
    GroupsAsPositions(Vec<Vec<usize>>),
    /// A window's positions are one row.
    SideBySide,
}

impl Shape {
    /// What `family` needs for rows of `dataset`.
    pub(crate) fn new(family: Family, dataset: &Dataset) -> Self {
        let one_position = matches!(family, Family::Small | Family::Disentangled);
        let any_position = matches!(family, Family::Linear | Family::Healthcare);
        if one_position && dataset.lookback > 1 {
            return Shape::SideBySide;
        }
        if one_position || any_position || dataset.lookback > 1 {
            return Shape::AsTheyAre;
        }
        let mut positions: Vec<Vec<usize>> = dataset.groups.iter().map(|group| group.columns.clone()).collect();
        let in_a_group = |column: &usize| dataset.groups.iter().any(|group| group.columns.contains(column));
        let others: Vec<usize> = (0..dataset.features.len())
            .filter(|column| !in_a_group(column))
            .collect();
        if !others.is_empty() {
            positions.push(others);
        }
        match positions.len() {
            0 | 1 => Shape::AsTheyAre,
            _ => Shape::GroupsAsPositions(positions),
        }
    }

    /// For a table or a sentence.
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Shape::AsTheyAre => "as they are",
            Shape::GroupsAsPositions(_) => "one position a feature group",
            Shape::SideBySide => "all positions side by side",
        }
    }

    /// `[row, position, feature]` of the dataset in the model's shape.
    pub(crate) fn rows(&self, x: &Array3<f32>) -> Array3<f32> {
        let (rows, positions, features) = x.dim();
        match self {
            Shape::AsTheyAre => x.clone(),
            Shape::GroupsAsPositions(columns) => {
                let width = columns.iter().map(Vec::len).max().unwrap_or(0);
                Array3::from_shape_fn((rows, columns.len(), width), |(row, position, slot)| {
                    let column = columns[position].get(slot);
                    column.map_or(0.0, |&column| x[[row, 0, column]])
                })
            }
            Shape::SideBySide => Array3::from_shape_fn((rows, 1, positions * features), |(row, _, place)| {
                x[[row, place / features, place % features]]
            }),
        }
    }

    /// Values of the model's inputs as those of the dataset's columns, added up over positions, `[row, feature]`.
    pub(crate) fn by_column(&self, shaped: &Array3<f64>, features: usize) -> Array2<f64> {
        let mut sums = Array2::zeros((shaped.dim().0, features));
        for ((row, position, slot), &value) in shaped.indexed_iter() {
            let column = match self {
                Shape::AsTheyAre => Some(slot),
                Shape::GroupsAsPositions(columns) => columns[position].get(slot).copied(),
                Shape::SideBySide => Some(slot % features),
            };
            if let Some(column) = column {
                sums[[row, column]] += value;
            }
        }
        sums
    }

    /// The same windows in the model's shape: standardised already, under the same indices. Where groups are positions, there are no groups
    /// of columns.
    pub(crate) fn dataset(&self, dataset: &Dataset) -> Dataset {
        if *self == Shape::AsTheyAre {
            return dataset.clone();
        }
        let all: Vec<usize> = (0..dataset.windows.len()).collect();
        let shaped = self.rows(&dataset.inputs(&all));
        let (windows, positions, width) = shaped.dim();
        let rows = Array2::from_shape_fn((windows * positions, width), |(row, slot)| {
            shaped[[row / positions, row % positions, slot]]
        });
        let moved = dataset.windows.iter().enumerate().map(|(place, window)| Window {
            start: place * positions,
            ..window.clone()
        });
        Dataset {
            lookback: positions,
            features: (1..=width).map(|slot| format!("input {slot}")).collect(),
            groups: self.groups(dataset),
            rows,
            windows: moved.collect(),
            scaler: Scaler::identity(width),
            layer: InputLayer::default(),
            ..dataset.clone()
        }
    }

    fn groups(&self, dataset: &Dataset) -> Vec<FeatureGroup> {
        let (positions, features) = (dataset.lookback, dataset.features.len());
        match self {
            Shape::AsTheyAre => dataset.groups.clone(),
            Shape::GroupsAsPositions(_) => Vec::new(),
            Shape::SideBySide => {
                let everywhere = |group: &FeatureGroup| FeatureGroup {
                    columns: (0..positions)
                        .flat_map(|position| group.columns.iter().map(move |column| position * features + column))
                        .collect(),
                    ..group.clone()
                };
                dataset.groups.iter().map(everywhere).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use disentangle_data::{Seed, Split, synthetic::SyntheticConfig};
    use disentangle_models::{Classifier, ModelConfig};

    use super::*;

    fn rows() -> Dataset {
        let config = SyntheticConfig {
            samples: 40,
            validation: 40,
            test: 40,
            features: 2,
            feature_dim: 3,
            ..SyntheticConfig::biased()
        };
        config.dataset(Seed::new(1)).unwrap()
    }

    /// Rows of three positions out of single ones.
    fn windows() -> Dataset {
        let mut dataset = rows();
        dataset.lookback = 3;
        dataset.windows.truncate(dataset.rows.nrows() - 2);
        dataset
    }

    #[test]
    fn every_value_has_a_place_and_finds_its_column_again() {
        let check = |family: Family, dataset: &Dataset, words: &str, shape: [usize; 2]| {
            let found = Shape::new(family, dataset);
            assert_eq!(found.words(), words, "{family:?}");
            let of_family = found.dataset(dataset);
            let own = dataset.part(Split::Train);
            assert_eq!(own, of_family.part(Split::Train));
            assert_eq!(dataset.labels(&own), of_family.labels(&own));
            let shaped = found.rows(&dataset.inputs(&own));
            assert_eq!(shaped, of_family.inputs(&own), "{family:?}");
            assert_eq!([shaped.dim().1, shaped.dim().2], shape, "{family:?}");

            // Of the values themselves, columns hold the sums over positions.
            let expected = dataset.inputs(&own).mapv(f64::from).sum_axis(ndarray::Axis(1));
            let columns = found.by_column(&shaped.mapv(f64::from), dataset.features.len());
            assert!((&columns - &expected).iter().all(|difference| difference.abs() < 1e-9));
            let config: ModelConfig = family.config(shape[1], shape[0], &of_family.groups);
            let model = config.init(Seed::new(0), &Device::flex()).unwrap();
            assert_eq!(model.input_shape(), shape, "{family:?}");
        };
        let (rows, windows) = (rows(), windows());
        check(Family::Small, &rows, "as they are", [1, 9]);
        check(Family::Sequence, &rows, "one position a feature group", [3, 3]);
        check(Family::Small, &windows, "all positions side by side", [1, 27]);
        check(Family::Sequence, &windows, "as they are", [3, 9]);
    }

    #[test]
    fn columns_without_a_group_are_a_position_and_narrow_groups_end_in_zeros() {
        let mut dataset = rows();
        dataset.groups.truncate(2);
        dataset.groups[1].columns.truncate(1);
        let shape = Shape::new(Family::Gated, &dataset);
        let expected = vec![vec![0, 1, 2], vec![3], vec![4, 5, 6, 7, 8]];
        assert_eq!(shape, Shape::GroupsAsPositions(expected));
        let shaped = shape.rows(&dataset.inputs(&[0]));
        assert_eq!(shaped.dim(), (1, 3, 5));
        assert_eq!((shaped[[0, 1, 1]], shaped[[0, 1, 4]]), (0.0, 0.0));
        // One group alone is no sequence.
        dataset.groups.truncate(1);
        dataset.groups[0].columns = (0..9).collect();
        assert_eq!(Shape::new(Family::Gated, &dataset), Shape::AsTheyAre);

        let side_by_side = Shape::SideBySide.dataset(&windows());
        assert_eq!(side_by_side.groups[1].columns, [3, 4, 5, 12, 13, 14, 21, 22, 23]);
    }
}
