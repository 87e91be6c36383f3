//! From text to the numbers that models take.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use ndarray::Array2;

use super::{Table, TableSchema, split};
use crate::{
    DataError, Dataset, FeatureGroup, InputLayer, Scaler, Seed, Split, Window, check_groups,
    csv_prices::parse_time,
    features::{Encoding, Features, MISSING, NewRows},
};

impl TableSchema {
    /// Rows for any experiment: [`TableSchema::fitted`] without the encodings.
    pub fn dataset(&self, table: &Table, name: &str, allow_leaks: bool, seed: Seed) -> Result<Dataset, DataError> {
        self.fitted(table, name, allow_leaks, seed).map(|(dataset, _)| dataset)
    }

    /// Rows for any experiment, and how each column was encoded. Numbers keep a column and get a second one that says where they are
    /// missing, if they ever are; categories become one column each. `name` is for reports; `allow_leaks` accepts a column that tells the
    /// label perfectly.
    ///
    /// Fails for labels that are not two classes, cells that are no numbers, columns without any value, parts of one class, and perfect
    /// predictors.
    pub fn fitted(
        &self,
        table: &Table,
        name: &str,
        allow_leaks: bool,
        seed: Seed,
    ) -> Result<(Dataset, Vec<Encoding>), DataError> {
        not_empty(table)?;
        let labels = self.labels(table)?;
        let (subjects, subject_names) = codes(table, self.subject.as_deref(), "row");
        let (environments, environment_names) = codes(table, self.environment.as_deref(), "all");
        let times = self.times(table)?;
        let parts = split::parts(self, &subjects, times.as_deref(), seed);
        let train: Vec<usize> = (0..table.rows).filter(|&row| parts[row] == Split::Train).collect();
        let mut features = Features::default();
        let mut groups = Vec::new();
        for (group, columns) in &self.groups {
            let first = features.names.len();
            for column in &columns.numeric {
                let values = numbers(table, column)?;
                if !features.numbers(column, values, &train) {
                    return Err(nothing_there(table, column));
                }
            }
            for column in &columns.categorical {
                if !features.categories(column, table.rows, |row| table.cell(column, row), &train) {
                    return Err(nothing_there(table, column));
                }
            }
            groups.push(FeatureGroup {
                name: group.clone(),
                role: columns.role,
                columns: (first..features.names.len()).collect(),
            });
        }
        check_groups(&groups, features.names.len())?;
        if !allow_leaks {
            features.no_perfect_predictor(&train, |row| labels[row])?;
        }
        let order = order(&subjects, times.as_deref());
        let rows = placed(&features, &order);
        let ids = Ids {
            subjects: &subjects,
            environments: &environments,
            times: times.as_deref(),
        };
        let windows = self.windows(&order, &ids, |row| (labels[row], parts[row]));
        let trained: Vec<usize> = (0..table.rows)
            .filter(|&place| parts[order[place]] == Split::Train)
            .collect();
        let mut notices = features.notices;
        notices.extend(self.unpredicted(table.rows, windows.len()));
        if self.time.is_none() {
            notices.push("the table has no time: what happens through time is left out".into());
        }
        let dataset = Dataset {
            name: name.into(),
            simulated: false,
            lookback: self.lookback,
            scaler: Scaler::fit(rows.view(), &trained),
            layer: InputLayer::default(),
            features: features.names,
            groups,
            rows,
            windows,
            subjects: subject_names,
            environments: environment_names,
            shared_validation: false,
            notices,
        };
        dataset.check_classes(0.0)?;
        Ok((dataset, features.encodings))
    }

    /// New rows of such a table, encoded as training rows were; nothing is fitted. The label may be absent, as a column or in a cell, and
    /// so may the environment. The dataset's groups are empty and its scaler changes nothing: both belong to the run.
    ///
    /// Fails for a table without rows, cells that are no numbers, and labels that are none.
    pub fn new_rows(&self, table: &Table, name: &str, encodings: &[Encoding]) -> Result<NewRows, DataError> {
        not_empty(table)?;
        let (subjects, subject_names) = codes(table, self.subject.as_deref(), "row");
        let environment = self.environment.as_deref().filter(|column| table.has(column));
        let (environments, environment_names) = codes(table, environment, "all");
        let times = self.times(table)?;
        let labels: Vec<Option<f32>> = (0..table.rows)
            .map(|row| self.new_label(table, row))
            .collect::<Result<_, _>>()?;
        let mut features = Features::default();
        for encoding in encodings {
            match encoding {
                Encoding::Numbers { column, missing } => {
                    features.encoded_numbers(column, numbers(table, column)?, *missing);
                }
                Encoding::Categories { column, own, other } => {
                    let category = |row: usize| table.cell(column, row).unwrap_or(MISSING);
                    features.encoded_categories(column, table.rows, category, own, *other);
                }
            }
        }
        let order = order(&subjects, times.as_deref());
        let rows = placed(&features, &order);
        let ids = Ids {
            subjects: &subjects,
            environments: &environments,
            times: times.as_deref(),
        };
        let windows = self.windows(&order, &ids, |row| (labels[row].unwrap_or(0.0), Split::Test));
        let labels = windows.iter().map(|window| labels[window.target]).collect();
        let dataset = Dataset {
            name: name.into(),
            simulated: false,
            lookback: self.lookback,
            scaler: Scaler::identity(features.names.len()),
            layer: InputLayer::default(),
            features: features.names,
            groups: Vec::new(),
            rows,
            notices: self.unpredicted(table.rows, windows.len()).into_iter().collect(),
            windows,
            subjects: subject_names,
            environments: environment_names,
            shared_validation: false,
        };
        Ok(NewRows { dataset, labels })
    }

    /// Windows of `lookback` rows of one subject, ordered by the time of their last row, whose label and part `of` gives. `order` is that
    /// in which rows are stored.
    fn windows(&self, order: &[usize], ids: &Ids, of: impl Fn(usize) -> (f32, Split)) -> Vec<Window> {
        let mut windows: Vec<Window> = (self.lookback - 1..order.len())
            .filter(|&last| ids.subjects[order[last]] == ids.subjects[order[last + 1 - self.lookback]])
            .map(|last| {
                let row = order[last];
                let (label, split) = of(row);
                Window {
                    start: last + 1 - self.lookback,
                    target: row,
                    time: ids.times.map_or_else(NaiveDateTime::default, |times| times[row]),
                    subject: ids.subjects[row],
                    environment: ids.environments[row],
                    label,
                    shortcut: None,
                    split,
                }
            })
            .collect();
        windows.sort_by_key(|window| (window.time, window.target));
        windows
    }

    /// What is said of rows that are in no window's last place.
    fn unpredicted(&self, rows: usize, windows: usize) -> Option<String> {
        (self.lookback > 1 && windows < rows).then(|| {
            format!(
                "{} of {rows} rows have fewer than {} rows of their subject before them and are predicted by no window",
                rows - windows,
                self.lookback - 1
            )
        })
    }

    /// The label of a new row, if it has one.
    fn new_label(&self, table: &Table, row: usize) -> Result<Option<f32>, DataError> {
        match table.cell(&self.label, row) {
            None => Ok(None),
            Some(cell) => self.label(table, row, cell).map(Some),
        }
    }

    /// A cell as a label.
    fn label(&self, table: &Table, row: usize, cell: &str) -> Result<f32, DataError> {
        if !self.positive.is_empty() {
            return Ok(f32::from(u8::from(
                self.positive.iter().any(|positive| positive == cell),
            )));
        }
        match cell.to_ascii_lowercase().as_str() {
            "1" | "true" => Ok(1.0),
            "0" | "false" => Ok(0.0),
            _ => Err(table.wrong(
                &self.label,
                row,
                "0 or 1; name the values that count as 1 by `positive = [..]`",
            )),
        }
    }

    fn labels(&self, table: &Table) -> Result<Vec<f32>, DataError> {
        let label = |row: usize| {
            let cell = table.cell(&self.label, row);
            let cell = cell.ok_or_else(|| table.wrong(&self.label, row, "a label; it is missing"))?;
            self.label(table, row, cell)
        };
        let labels: Vec<f32> = (0..table.rows).map(label).collect::<Result<_, DataError>>()?;
        let occurs = |positive: &&String| (0..table.rows).any(|row| table.cell(&self.label, row) == Some(positive));
        if let Some(absent) = self.positive.iter().find(|positive| !occurs(positive)) {
            return Err(DataError::setting(
                "positive",
                absent,
                format!("values that column `{}` holds", self.label),
            ));
        }
        Ok(labels)
    }

    fn times(&self, table: &Table) -> Result<Option<Vec<NaiveDateTime>>, DataError> {
        let Some(column) = &self.time else {
            return Ok(None);
        };
        let time = |row: usize| {
            let cell = table.cell(column, row).unwrap_or_default();
            let moment = parse_time(cell.as_bytes());
            moment.map(|moment| moment.instant).ok_or_else(|| {
                table.wrong(
                    column,
                    row,
                    "a date (YYYY-MM-DD, or M/D/YYYY, with a time of day or without)",
                )
            })
        };
        (0..table.rows).map(time).collect::<Result<_, _>>().map(Some)
    }
}

/// Whose each row of a table is, where and when it was.
struct Ids<'t> {
    subjects: &'t [u32],
    environments: &'t [u32],
    times: Option<&'t [NaiveDateTime]>,
}

fn not_empty(table: &Table) -> Result<(), DataError> {
    match table.rows {
        0 => Err(DataError::Read {
            path: table.path.clone(),
            reason: "holds no rows".into(),
        }),
        _ => Ok(()),
    }
}

/// The order in which rows are stored: those of a subject stand together, in the order of their times.
fn order(subjects: &[u32], times: Option<&[NaiveDateTime]>) -> Vec<usize> {
    let mut order: Vec<usize> = (0..subjects.len()).collect();
    order.sort_by_key(|&row| (subjects[row], times.map(|times| times[row])));
    order
}

/// `[row, feature]` in that order.
fn placed(features: &Features, order: &[usize]) -> Array2<f32> {
    Array2::from_shape_fn((order.len(), features.names.len()), |(place, column)| {
        features.columns[column][order[place]]
    })
}

/// Numbers for the values of a column in order of appearance, and the values; missing ones share a name. Without a column, a number of
/// its own for each row (`row`), or the same for all.
fn codes(table: &Table, column: Option<&str>, without: &str) -> (Vec<u32>, Vec<String>) {
    let Some(column) = column else {
        return match without {
            "row" => (
                (0..table.rows as u32).collect(),
                (0..table.rows)
                    .map(|row| format!("row {}", row + table.first_row))
                    .collect(),
            ),
            name => (vec![0; table.rows], vec![name.into()]),
        };
    };
    let (mut known, mut names) = (HashMap::new(), Vec::new());
    let of_rows = (0..table.rows).map(|row| {
        let name = table.cell(column, row).unwrap_or("missing");
        *known.entry(name.to_string()).or_insert_with(|| {
            names.push(name.to_string());
            names.len() as u32 - 1
        })
    });
    let of_rows = of_rows.collect();
    (of_rows, names)
}

fn nothing_there(table: &Table, column: &str) -> DataError {
    DataError::Read {
        path: table.path.clone(),
        reason: format!(
            "column `{column}` is missing in every training row; expected values, or the column under `ignore`"
        ),
    }
}

/// The cells of a column as numbers, NaN where missing.
fn numbers(table: &Table, column: &str) -> Result<Vec<f32>, DataError> {
    let number = |row: usize| match table.cell(column, row) {
        None => Ok(f32::NAN),
        Some(cell) => {
            let value = cell.parse::<f64>().ok().filter(|value| value.is_finite());
            let value = value.map(|value| value as f32).filter(|value| value.is_finite());
            value.ok_or_else(|| {
                table.wrong(
                    column,
                    row,
                    "a number; list it under `categorical`, or the value under `missing`",
                )
            })
        }
    };
    (0..table.rows).map(number).collect()
}
