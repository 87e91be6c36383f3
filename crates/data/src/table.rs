//! A dataset's rows as a Parquet table, for use elsewhere.

use std::path::Path;

use polars::prelude::{Column, DataFrame};

use crate::{DataError, Dataset, write_frame};

/// Writes one row a window, whose lookback must be 1: every feature unscaled, then `label`, `shortcut` (null where none is known),
/// `environment` and `split`.
pub fn write_table(dataset: &Dataset, path: &Path) -> Result<(), DataError> {
    if dataset.lookback != 1 {
        return Err(DataError::setting(
            "lookback",
            dataset.lookback,
            "1: a table has one row a window",
        ));
    }
    let windows = &dataset.windows;
    let mut columns: Vec<Column> = dataset
        .features
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let values: Vec<f32> = windows
                .iter()
                .map(|window| dataset.rows[[window.start, index]])
                .collect();
            Column::new(name.as_str().into(), values)
        })
        .collect();
    let flags = |of: &dyn Fn(usize) -> Option<f32>| -> Vec<Option<i64>> {
        (0..windows.len()).map(|w| of(w).map(|value| value as i64)).collect()
    };
    let texts = |of: &dyn Fn(usize) -> String| -> Vec<String> { (0..windows.len()).map(of).collect() };
    columns.push(Column::new("label".into(), flags(&|w| Some(windows[w].label))));
    columns.push(Column::new("shortcut".into(), flags(&|w| windows[w].shortcut)));
    let environment = |w: usize| dataset.environments[windows[w].environment as usize].clone();
    columns.push(Column::new("environment".into(), texts(&environment)));
    columns.push(Column::new("split".into(), texts(&|w| windows[w].split.name().into())));
    let mut frame = DataFrame::new_infer_height(columns).map_err(|error| DataError::Write {
        path: path.into(),
        reason: error.to_string(),
    })?;
    write_frame(path, &mut frame)
}
