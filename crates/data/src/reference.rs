//! Held-out rows of a run, which new rows are compared with: one Parquet file beside its model.

use std::{fs::File, path::Path};

use ndarray::Array2;
use polars::prelude::{Column, DataFrame, DataType, ParquetReader, SerReader as _};

use crate::{DataError, write_frame};

/// Rows in their order, one entry each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reference {
    /// The target's row in the source.
    pub rows: Vec<u64>,
    /// The target's time; empty where rows have none.
    pub times: Vec<String>,
    /// Whose they are.
    pub subjects: Vec<String>,
    /// Where they were.
    pub environments: Vec<String>,
    /// 0 or 1.
    pub labels: Vec<f32>,
    /// The model's output.
    pub logits: Vec<f64>,
    /// The share of feature values that were missing.
    pub missing: Vec<f64>,
    /// Names of the columns of [`Reference::features`].
    pub columns: Vec<String>,
    /// Standardised features, `[row, column]`.
    pub features: Array2<f64>,
}

const KNOWN: [&str; 7] = ["row", "time", "subject", "environment", "label", "logit", "missing"];

impl Reference {
    /// Rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes one row a row: what is known of it, then its features.
    pub fn write(&self, path: &Path) -> Result<(), DataError> {
        let [row, time, subject, environment, label, logit, missing] = KNOWN;
        let mut columns = vec![
            Column::new(row.into(), self.rows.clone()),
            Column::new(time.into(), self.times.clone()),
            Column::new(subject.into(), self.subjects.clone()),
            Column::new(environment.into(), self.environments.clone()),
            Column::new(label.into(), self.labels.clone()),
            Column::new(logit.into(), self.logits.clone()),
            Column::new(missing.into(), self.missing.clone()),
        ];
        for (name, values) in self.columns.iter().zip(self.features.columns()) {
            columns.push(Column::new(name.as_str().into(), values.to_vec()));
        }
        let mut frame = DataFrame::new_infer_height(columns).map_err(|error| DataError::Write {
            path: path.into(),
            reason: error.to_string(),
        })?;
        write_frame(path, &mut frame)
    }

    /// Reads what [`Reference::write`] wrote. Fails for a file without one of its columns, or with another value than it writes.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let unreadable = |reason: String| DataError::Read {
            path: path.into(),
            // Polars adds hints on further lines.
            reason: reason.lines().next().unwrap_or_default().into(),
        };
        let failed = |error: polars::prelude::PolarsError| unreadable(error.to_string());
        let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
        let frame = ParquetReader::new(file).finish().map_err(failed)?;
        let names: Vec<String> = frame.get_column_names().iter().map(ToString::to_string).collect();
        if !names.iter().take(KNOWN.len()).eq(KNOWN) {
            let found = names.join(", ");
            return Err(unreadable(format!(
                "its columns are {found}; expected a run's reference, which begins with {}",
                KNOWN.join(", ")
            )));
        }
        let numbers = |name: &str| -> Result<Vec<f64>, DataError> {
            let column = frame.column(name).map_err(failed)?;
            let cast = column.cast(&DataType::Float64).map_err(failed)?;
            let values: Option<Vec<f64>> = cast.f64().map_err(failed)?.iter().collect();
            let values = values.filter(|values| values.iter().all(|value| value.is_finite()));
            values.ok_or_else(|| unreadable(format!("column `{name}` has a value that is no finite number")))
        };
        let texts = |name: &str| -> Result<Vec<String>, DataError> {
            let column = frame.column(name).map_err(failed)?;
            let cells = column.str().map_err(failed)?;
            Ok(cells.iter().map(|cell| cell.unwrap_or_default().to_string()).collect())
        };
        let columns = names[KNOWN.len()..].to_vec();
        let mut features = Array2::<f64>::zeros((frame.height(), columns.len()));
        for (name, mut place) in columns.iter().zip(features.columns_mut()) {
            place.assign(&ndarray::Array1::from(numbers(name)?));
        }
        Ok(Self {
            rows: numbers("row")?.into_iter().map(|row| row as u64).collect(),
            times: texts("time")?,
            subjects: texts("subject")?,
            environments: texts("environment")?,
            labels: numbers("label")?.into_iter().map(|label| label as f32).collect(),
            logits: numbers("logit")?,
            missing: numbers("missing")?,
            columns,
            features,
        })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reference.parquet");
        let reference = Reference {
            rows: vec![4, 9],
            times: vec!["2020-01-01".into(), String::new()],
            subjects: vec!["P1".into(), "P2".into()],
            environments: vec!["all".into(), "all".into()],
            labels: vec![0.0, 1.0],
            logits: vec![-0.25, 1e-3],
            missing: vec![0.0, 0.5],
            columns: vec!["body/pulse".into()],
            features: array![[0.1], [-2.0]],
        };
        reference.write(&path).unwrap();
        assert_eq!(Reference::read(&path).unwrap(), reference);
        let mut frame = DataFrame::new_infer_height(vec![Column::new("a".into(), vec![1.0])]).unwrap();
        write_frame(&path, &mut frame).unwrap();
        let error = Reference::read(&path).unwrap_err().to_string();
        assert!(
            error.contains("its columns are a; expected a run's reference"),
            "{error}"
        );
    }
}
