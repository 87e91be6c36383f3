//! A table of the user's own, described by a schema.

use std::{collections::BTreeSet, path::Path};

use disentangle_data::{
    Dataset, Seed, Split, audit,
    tabular::{Table, TableSchema},
};

use super::{Environment, LoadedRows, RowSettings};
use crate::ExperimentError;

/// Environments of a table that are questioned one by one, at most.
const MOST_ENVIRONMENTS: usize = 6;
/// Test rows that an environment needs for that.
const LEAST_ROWS: usize = 50;

impl RowSettings {
    /// A table of the user's own: all test rows, and the test rows of each of the largest environments.
    pub(super) fn table(&self, path: &Path, seed: Seed) -> Result<LoadedRows, ExperimentError> {
        let schema = TableSchema::read(self.schema.as_deref().unwrap_or(path))?;
        let table = Table::read(path, &schema)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut dataset = schema.dataset(&table, &name, self.allow_leaks, seed.child("split"))?;
        audit::subjects_in_one_part(&dataset)?;
        let test = one_a_subject(&dataset, seed.child("one a subject"));
        let about = match (test.len() < dataset.part(Split::Test).len(), &schema.subject) {
            (true, _) => "one random test row of each subject, of which training saw nothing",
            (false, Some(_)) => "test rows, whose subjects training did not see",
            (false, None) => "test rows",
        };
        let mut environments = vec![Environment {
            name: "test".into(),
            about: about.into(),
            rows: test.clone(),
        }];
        let mut left_out = Vec::new();
        let mut by_size: Vec<(usize, Vec<usize>)> = (0..dataset.environments.len())
            .map(|index| {
                let rows = test.iter().copied();
                let own = rows.filter(|&row| dataset.windows[row].environment as usize == index);
                (index, own.collect())
            })
            .collect();
        by_size.sort_by_key(|(index, rows)| (std::cmp::Reverse(rows.len()), *index));
        if let (Some(column), true) = (&schema.environment, by_size.len() > 1) {
            for (place, (index, rows)) in by_size.into_iter().enumerate() {
                let positive = dataset.labels(&rows).iter().filter(|&&y| y > 0.5).count();
                let name = format!("{column}={}", dataset.environments[index]);
                if place < MOST_ENVIRONMENTS && rows.len() >= LEAST_ROWS && (1..rows.len()).contains(&positive) {
                    environments.push(Environment {
                        about: format!("test rows of {name}"),
                        name,
                        rows,
                    });
                } else {
                    left_out.push(name);
                }
            }
        }
        if !left_out.is_empty() {
            dataset.notices.push(format!(
                "{} environments have fewer than {LEAST_ROWS} test rows or one label only there, or are not among the {MOST_ENVIRONMENTS} largest, and are left out: {}",
                left_out.len(),
                left_out.iter().take(10).cloned().collect::<Vec<_>>().join(", ")
            ));
        }
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
            dataset,
        })
    }
}

/// A random test row of each subject, in order: rows of one subject depend on each other, those of different ones do not.
fn one_a_subject(dataset: &Dataset, seed: Seed) -> Vec<usize> {
    let rows = dataset.part(Split::Test);
    let mut seen = BTreeSet::new();
    let order = seed.rng().permutation(rows.len());
    let drawn = order.into_iter().map(|place| rows[place]);
    let mut kept: Vec<usize> = drawn.filter(|&row| seen.insert(dataset.windows[row].subject)).collect();
    kept.sort_unstable();
    kept
}
