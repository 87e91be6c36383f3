//! From text to the numbers that models take.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use ndarray::Array2;

use super::{Table, TableSchema, split};
use crate::{
    DataError, Dataset, FeatureGroup, Scaler, Seed, Split, Window, check_groups, csv_prices::parse_time,
    features::Features,
};

impl TableSchema {
    /// Rows for any experiment. Numbers keep a column and get a second one that says where they are missing, if they ever are; categories
    /// become one column each. `name` is for reports; `allow_leaks` accepts a column that tells the label perfectly.
    ///
    /// Fails for labels that are not two classes, cells that are no numbers, columns without any value, parts of one class, and perfect
    /// predictors.
    pub fn dataset(&self, table: &Table, name: &str, allow_leaks: bool, seed: Seed) -> Result<Dataset, DataError> {
        if table.rows == 0 {
            return Err(DataError::Read {
                path: table.path.clone(),
                reason: "holds no rows".into(),
            });
        }
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
                numbers(table, column, &train, &mut features)?;
            }
            for column in &columns.categorical {
                categories(table, column, &train, &mut features)?;
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
        // The rows of a subject stand together, in the order of their times.
        let mut order: Vec<usize> = (0..table.rows).collect();
        order.sort_by_key(|&row| (subjects[row], times.as_ref().map(|times| times[row])));
        let rows = Array2::from_shape_fn((table.rows, features.names.len()), |(place, column)| {
            features.columns[column][order[place]]
        });
        let mut windows: Vec<Window> = (self.lookback - 1..table.rows)
            .filter(|&last| subjects[order[last]] == subjects[order[last + 1 - self.lookback]])
            .map(|last| {
                let row = order[last];
                Window {
                    start: last + 1 - self.lookback,
                    target: row,
                    time: times.as_ref().map_or_else(NaiveDateTime::default, |times| times[row]),
                    subject: subjects[row],
                    environment: environments[row],
                    label: labels[row],
                    shortcut: None,
                    split: parts[row],
                }
            })
            .collect();
        windows.sort_by_key(|window| (window.time, window.target));
        let trained: Vec<usize> = (0..table.rows)
            .filter(|&place| parts[order[place]] == Split::Train)
            .collect();
        let mut notices = features.notices;
        if self.lookback > 1 && windows.len() < table.rows {
            notices.push(format!(
                "{} of {} rows have fewer than {} rows of their subject before them and are predicted by no window",
                table.rows - windows.len(),
                table.rows,
                self.lookback - 1
            ));
        }
        if self.time.is_none() {
            notices.push("the table has no time: what happens through time is left out".into());
        }
        let dataset = Dataset {
            name: name.into(),
            simulated: false,
            lookback: self.lookback,
            scaler: Scaler::fit(rows.view(), &trained),
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
        Ok(dataset)
    }

    fn labels(&self, table: &Table) -> Result<Vec<f32>, DataError> {
        let cell = |row: usize| {
            let cell = table.cell(&self.label, row);
            cell.ok_or_else(|| table.wrong(&self.label, row, "a label; it is missing"))
        };
        if self.positive.is_empty() {
            let label = |row: usize| match cell(row)?.to_ascii_lowercase().as_str() {
                "1" | "true" => Ok(1.0),
                "0" | "false" => Ok(0.0),
                _ => Err(table.wrong(
                    &self.label,
                    row,
                    "0 or 1; name the values that count as 1 by `positive = [..]`",
                )),
            };
            return (0..table.rows).map(label).collect();
        }
        let label = |row: usize| {
            let cell = cell(row)?;
            Ok(f32::from(u8::from(
                self.positive.iter().any(|positive| positive == cell),
            )))
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

fn numbers(table: &Table, column: &str, train: &[usize], features: &mut Features) -> Result<(), DataError> {
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
    let values: Vec<f32> = (0..table.rows).map(number).collect::<Result<_, _>>()?;
    match features.numbers(column, values, train) {
        true => Ok(()),
        false => Err(nothing_there(table, column)),
    }
}

fn categories(table: &Table, column: &str, train: &[usize], features: &mut Features) -> Result<(), DataError> {
    match features.categories(column, table.rows, |row| table.cell(column, row), train) {
        true => Ok(()),
        false => Err(nothing_there(table, column)),
    }
}
