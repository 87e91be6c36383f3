//! A table of the user's own, described by a schema.

use std::path::Path;

use disentangle_data::{
    Dataset, Encoding, FeatureGroup, InputLayer, NewRows, Scaler, Seed, audit,
    tabular::{Table, TableSchema},
};
use serde::{Deserialize, Serialize};

use super::{LoadedRows, RowSettings, environments};
use crate::ExperimentError;

/// All that turns rows of a table into a model's input: `preprocess.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TablePreprocess {
    /// `table`.
    kind: String,
    schema: TableSchema,
    /// Of the schema's columns, in the order of the features.
    encodings: Vec<Encoding>,
    features: Vec<String>,
    groups: Vec<FeatureGroup>,
    scaler: Scaler,
    #[serde(default)]
    layer: InputLayer,
    lookback: usize,
}

impl TablePreprocess {
    pub(crate) fn new(schema: TableSchema, encodings: Vec<Encoding>, dataset: &Dataset) -> Self {
        Self {
            kind: "table".into(),
            schema,
            encodings,
            features: dataset.features.clone(),
            groups: dataset.groups.clone(),
            scaler: dataset.scaler.clone(),
            layer: dataset.layer.clone(),
            lookback: dataset.lookback,
        }
    }

    /// The rows of another table with the same columns.
    pub(crate) fn new_rows(&self, path: &Path) -> Result<NewRows, ExperimentError> {
        let table = Table::read_new(path, &self.schema)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(self.schema.new_rows(&table, &name, &self.encodings)?)
    }
}

impl RowSettings {
    /// A table of the user's own: all test rows, and the test rows of each of the largest environments.
    pub(super) fn table(&self, path: &Path, seed: Seed) -> Result<LoadedRows, ExperimentError> {
        let schema = TableSchema::read(self.schema.as_deref().unwrap_or(path))?;
        let table = Table::read(path, &schema)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let (mut dataset, encodings) = schema.fitted(&table, &name, self.allow_leaks, seed.child("split"))?;
        let audit = vec![audit::subjects_in_one_part(&dataset)?];
        let about = match &schema.subject {
            Some(_) => "test rows, whose subjects training did not see",
            None => "test rows",
        };
        let environments = environments::of_test_rows(&mut dataset, schema.environment.as_deref(), about);
        let mut hash = blake3::Hasher::new();
        for file in [path, self.schema.as_deref().unwrap_or(path)] {
            let error = |error| ExperimentError::Input(format!("{}: cannot be read: {error}", file.display()));
            hash.update_reader(std::fs::File::open(file).map_err(error)?)
                .map_err(error)?;
        }
        let preprocess = serde_json::to_value(TablePreprocess::new(schema, encodings, &dataset));
        Ok(LoadedRows {
            preprocess: preprocess.map_err(|error| ExperimentError::Failed(error.to_string()))?,
            block: 1,
            environments,
            hash: hash.finalize().to_hex().to_string(),
            audit,
            dataset,
        })
    }
}
