//! A table of the user's own, described by a schema.

use std::path::Path;

use disentangle_data::{
    Seed, audit,
    tabular::{Table, TableSchema},
};

use super::{LoadedRows, RowSettings, environments};
use crate::ExperimentError;

impl RowSettings {
    /// A table of the user's own: all test rows, and the test rows of each of the largest environments.
    pub(super) fn table(&self, path: &Path, seed: Seed) -> Result<LoadedRows, ExperimentError> {
        let schema = TableSchema::read(self.schema.as_deref().unwrap_or(path))?;
        let table = Table::read(path, &schema)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut dataset = schema.dataset(&table, &name, self.allow_leaks, seed.child("split"))?;
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
        let shown = serde_json::json!({
            "kind": "table",
            "schema": schema,
            "features": dataset.features,
            "groups": dataset.groups,
            "scaler": dataset.scaler,
            "lookback": dataset.lookback,
        });
        Ok(LoadedRows {
            preprocess: shown,
            block: 1,
            environments,
            hash: hash.finalize().to_hex().to_string(),
            audit,
            dataset,
        })
    }
}
