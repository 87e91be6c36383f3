//! From a row of features to tokens: one for all of them, or one a feature group.

use burn::{
    module::Param,
    tensor::{Device, Int, Tensor, TensorData},
};
use serde::{Deserialize, Serialize};

use crate::{ModelError, layers::Linear, model::InputWeight};

/// How features become tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Layout {
    /// All features are one token, as in the notebook: attention has one key and its pattern is 1.
    #[default]
    Flat,
    /// Each feature group is a token: its own projection, and a learned embedding that says which group it is.
    PerGroup {
        /// Columns of each group.
        groups: Vec<Vec<usize>>,
    },
}

impl Layout {
    /// How many tokens a row becomes.
    pub fn tokens(&self) -> usize {
        match self {
            Layout::Flat => 1,
            Layout::PerGroup { groups } => groups.len(),
        }
    }

    /// Columns of each token.
    pub(super) fn columns(&self, features: usize) -> Vec<Vec<usize>> {
        match self {
            Layout::Flat => vec![(0..features).collect()],
            Layout::PerGroup { groups } => groups.clone(),
        }
    }

    /// The weights of the projections to tokens; `weight` is what they are called within one.
    pub(super) fn input_weights(&self, features: usize, weight: &str) -> Vec<InputWeight> {
        let of = |(token, columns): (usize, Vec<usize>)| {
            let projection = match self {
                Layout::Flat => "input_proj".to_string(),
                Layout::PerGroup { .. } => format!("group_proj.{token}"),
            };
            InputWeight::new(format!("{projection}.{weight}"), columns)
        };
        self.columns(features).into_iter().enumerate().map(of).collect()
    }

    /// Refuses groups that are empty or name columns that do not exist.
    pub(super) fn check(&self, features: usize) -> Result<(), ModelError> {
        let Layout::PerGroup { groups } = self else {
            return Ok(());
        };
        if groups.is_empty() {
            return Err(ModelError::setting("groups", "[]", "at least one group of columns"));
        }
        for columns in groups {
            check_columns("groups", columns, features)?;
        }
        Ok(())
    }
}

/// `[row, 1, feature]` to `[row, token, width]`: one projection a token, in the layout's order.
pub(super) fn embed<'m>(
    x: &Tensor<3>,
    layout: &Layout,
    projections: impl Iterator<Item = &'m Linear>,
    group_embedding: Option<&Param<Tensor<3>>>,
) -> Tensor<3> {
    let columns = layout.columns(x.dims()[2]);
    let tokens = projections.zip(&columns);
    let tokens = tokens.map(|(projection, columns)| projection.forward(select(x, columns)));
    let tokens = Tensor::cat(tokens.collect(), 1);
    match group_embedding {
        None => tokens,
        Some(embedding) => tokens + embedding.val(),
    }
}

/// Refuses no columns, and columns that do not exist.
pub(super) fn check_columns(key: &'static str, columns: &[usize], features: usize) -> Result<(), ModelError> {
    if columns.is_empty() {
        return Err(ModelError::setting(key, "[]", "at least one column"));
    }
    match columns.iter().find(|&&column| column >= features) {
        None => Ok(()),
        Some(column) => {
            let expected = format!("column indices below {features}");
            Err(ModelError::setting(key, column, expected))
        }
    }
}

/// Some columns of `[row, position, feature]`, in the order given.
pub(super) fn select(x: &Tensor<3>, columns: &[usize]) -> Tensor<3> {
    let first = columns[0];
    if columns
        .iter()
        .enumerate()
        .all(|(place, &column)| column == first + place)
    {
        return x.clone().narrow(2, first, columns.len());
    }
    let indices: Vec<i64> = columns.iter().map(|&column| column as i64).collect();
    let device: Device = x.device().without_autodiff();
    let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [columns.len()]), &device);
    x.clone().select(2, indices)
}
