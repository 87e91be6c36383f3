//! Counterfactual rows: what a group's columns are set to, and in which direction that moves them.

use disentangle_data::{FeatureGroup, Seed};
use ndarray::Array3;
use serde::{Deserialize, Serialize};

use super::CausalError;

/// What the group holds in a counterfactual row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Contrast {
    /// The group of a random row of the other side, so that every row is moved across.
    #[default]
    Opposite,
    /// The group of a random row.
    Permute,
    /// The mean of each column over rows and positions.
    Mean,
    /// 0, the training mean of standardised columns (the notebook's).
    Zero,
}

impl Contrast {
    /// In words.
    pub fn describe(self) -> &'static str {
        match self {
            Contrast::Opposite => "the group of a random row of the other side",
            Contrast::Permute => "the group of a random row",
            Contrast::Mean => "the mean of each column",
            Contrast::Zero => "zero",
        }
    }
}

/// Rows with a group changed.
#[derive(Clone, Debug)]
pub struct Counterfactual {
    /// One array of rows a draw, `[row, position, feature]`.
    pub draws: Vec<Array3<f32>>,
    /// For each row +1 where its side is 0 and -1 where it is 1: an effect times this is the effect of moving the group from
    /// side 0 to side 1.
    pub orientation: Vec<f64>,
}

/// Refuses groups without columns, with columns that do not exist, that cover everything or that overlap.
pub fn check_groups(groups: &[FeatureGroup], features: usize) -> Result<(), CausalError> {
    let mut owner: Vec<Option<&str>> = vec![None; features];
    for group in groups {
        if group.columns.is_empty() {
            return Err(CausalError::NoColumns {
                group: group.name.clone(),
            });
        }
        for &column in &group.columns {
            match owner.get_mut(column) {
                None => {
                    return Err(CausalError::NoSuchColumn {
                        group: group.name.clone(),
                        column,
                        features,
                    });
                }
                Some(Some(first)) => {
                    return Err(CausalError::Overlap {
                        first: (*first).to_string(),
                        second: group.name.clone(),
                        column,
                    });
                }
                Some(free) => *free = Some(&group.name),
            }
        }
        if group.columns.len() == features {
            return Err(CausalError::CoversAll {
                group: group.name.clone(),
                features,
            });
        }
    }
    Ok(())
}

/// The group called `name`.
pub fn find_group<'a>(groups: &'a [FeatureGroup], name: &str) -> Result<&'a FeatureGroup, CausalError> {
    groups.iter().find(|group| group.name == name).ok_or_else(|| {
        let known: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        CausalError::UnknownGroup {
            name: name.into(),
            known: known.join(", "),
        }
    })
}

/// Refuses no rows, and rows that all lie on one side. `rows` and `what` name them in the message.
pub fn check_sides(sides: &[f32], rows: &str, what: &str) -> Result<(), CausalError> {
    let Some(first) = sides.first() else {
        return Err(CausalError::Empty { rows: rows.into() });
    };
    if sides.iter().all(|side| (*side > 0.5) == (*first > 0.5)) {
        return Err(CausalError::OneClass {
            rows: rows.into(),
            count: sides.len(),
            what: what.into(),
            value: u8::from(*first > 0.5),
        });
    }
    Ok(())
}

/// Counterfactual rows of `inputs`, `[row, position, feature]`: only `columns` differ. `sides` (0 or 1, one a row) say what the group
/// stands for in a row, for example the label that a shortcut suggests. [`Contrast::Mean`] and [`Contrast::Zero`] have one draw.
///
/// Fails where sides are missing, or lie all on one side where rows of the other are needed.
pub fn counterfactual(
    inputs: &Array3<f32>,
    columns: &[usize],
    sides: &[f32],
    contrast: Contrast,
    draws: usize,
    seed: Seed,
) -> Result<Counterfactual, CausalError> {
    let (rows, positions, features) = inputs.dim();
    if sides.len() != rows {
        return Err(CausalError::Length {
            what: "sides",
            found: sides.len(),
            expected: rows,
        });
    }
    if let Some(&column) = columns.iter().find(|&&column| column >= features) {
        return Err(CausalError::NoSuchColumn {
            group: "the changed group".into(),
            column,
            features,
        });
    }
    let one =
        |sides: &[f32], side: bool| -> Vec<usize> { (0..rows).filter(|&row| (sides[row] > 0.5) == side).collect() };
    let filled = |of: &dyn Fn(usize) -> f32| {
        let mut changed = inputs.clone();
        for &column in columns {
            changed.slice_mut(ndarray::s![.., .., column]).fill(of(column));
        }
        vec![changed]
    };
    let from_donors = |donor: &dyn Fn(usize, Seed) -> Vec<usize>| -> Vec<Array3<f32>> {
        let drawn = (0..draws).map(|draw| {
            let donors = donor(rows, seed.index(draw as u64));
            crate::importance::permute_columns(inputs, columns, &donors)
        });
        drawn.collect()
    };
    let draws = match contrast {
        Contrast::Zero => filled(&|_| 0.0),
        Contrast::Mean => filled(&|column| {
            let values = inputs.slice(ndarray::s![.., .., column]);
            (values.iter().map(|&x| f64::from(x)).sum::<f64>() / (rows * positions).max(1) as f64) as f32
        }),
        Contrast::Permute => from_donors(&|rows, seed| seed.rng().permutation(rows)),
        Contrast::Opposite => {
            check_sides(sides, "the rows", "side")?;
            let by_side = [one(sides, false), one(sides, true)];
            from_donors(&|rows, seed| {
                let mut rng = seed.rng();
                let other = |row: usize| &by_side[usize::from(sides[row] <= 0.5)];
                (0..rows).map(|row| other(row)[rng.below(other(row).len())]).collect()
            })
        }
    };
    Ok(Counterfactual {
        draws,
        orientation: sides.iter().map(|&side| if side > 0.5 { -1.0 } else { 1.0 }).collect(),
    })
}
