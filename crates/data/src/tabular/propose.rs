//! A first schema for a table, from its own cells: to be read and corrected by somebody who knows the data.

use std::{collections::BTreeMap, path::Path};

use super::Table;
use crate::{DataError, csv_prices::parse_time};

/// Rows that are looked at.
const ROWS: usize = 20_000;
/// Words for a missing value that are looked for.
const MARKERS: [&str; 6] = ["?", "NA", "N/A", "NULL", "nan", "NaN"];
/// More different texts than this are no categories.
const MOST_CATEGORIES: usize = 100;
/// Names that usually mean the outcome, and those that usually mean whose a row is.
const OUTCOMES: [&str; 7] = ["label", "target", "outcome", "readmitted", "y", "class", "event"];
const SUBJECTS: [&str; 5] = ["patient", "subject", "person", "customer", "user"];

/// What the cells of a column look like.
struct Column {
    name: String,
    /// Different values that are not missing, and how often each occurs.
    values: BTreeMap<String, usize>,
    present: usize,
    numeric: bool,
    time: bool,
}

impl Column {
    fn new(name: &str, cells: impl Iterator<Item = String>) -> Self {
        let mut column = Self {
            name: name.into(),
            values: BTreeMap::new(),
            present: 0,
            numeric: true,
            time: true,
        };
        for cell in cells.filter(|cell| !cell.is_empty() && !MARKERS.contains(&cell.as_str())) {
            column.present += 1;
            column.numeric &= cell.parse::<f64>().is_ok_and(f64::is_finite);
            column.time &= parse_time(cell.as_bytes()).is_some();
            *column.values.entry(cell).or_default() += 1;
        }
        column.numeric &= column.present > 0;
        column.time &= column.present > 0;
        column
    }

    fn is_called(&self, words: &[&str], whole: bool) -> bool {
        let name = self.name.to_ascii_lowercase();
        words
            .iter()
            .any(|word| if whole { name == *word } else { name.contains(word) })
    }

    /// Whether each row has a value of its own, as row numbers do.
    fn is_key(&self) -> bool {
        self.values.len() == self.present
            && self.present > 20
            && (!self.numeric || self.values.keys().all(|v| !v.contains('.')))
    }
}

/// The text of a schema for a CSV or Parquet file. Fails for files that cannot be read, and for fewer than three columns.
pub fn propose(path: &Path) -> Result<String, DataError> {
    let (names, rows) = Table::peek(path, ROWS)?;
    let columns: Vec<Column> = names
        .iter()
        .enumerate()
        .map(|(place, name)| Column::new(name, rows.iter().filter_map(|row| row.get(place).cloned())))
        .collect();
    if columns.len() < 3 || rows.is_empty() {
        return Err(DataError::Read {
            path: path.into(),
            reason: format!(
                "holds {} columns and {} rows, expected a table with a label and features",
                columns.len(),
                rows.len()
            ),
        });
    }
    let markers: Vec<&str> = MARKERS
        .iter()
        .copied()
        .filter(|marker| rows.iter().flatten().any(|cell| cell == marker))
        .collect();
    let few = |column: &&Column| (2..=10).contains(&column.values.len());
    let named = columns
        .iter()
        .rev()
        .filter(few)
        .find(|column| column.is_called(&OUTCOMES, true));
    let label = named
        .or_else(|| columns.iter().rev().find(|column| column.values.len() == 2))
        .or_else(|| columns.last());
    let label = label.map_or("", |column| column.name.as_str());
    let rest = || columns.iter().filter(|column| column.name != label);
    let repeats = |column: &&Column| column.values.len() > 20 && column.values.len() < column.present;
    let subject = rest()
        .find(|column| repeats(column) && column.is_called(&SUBJECTS, false))
        .map(|column| column.name.as_str());
    let time = rest()
        .find(|column| column.time && !column.numeric)
        .map(|column| column.name.as_str());
    let (mut numeric, mut categorical, mut ignored) = (Vec::new(), Vec::new(), Vec::new());
    for column in rest().filter(|column| Some(column.name.as_str()) != subject && Some(column.name.as_str()) != time) {
        let code = column.numeric && column.name.to_ascii_lowercase().ends_with("_id");
        match () {
            () if column.is_key() || column.present == 0 || column.time && !column.numeric => {
                ignored.push(&column.name);
            }
            () if column.numeric && !code => numeric.push(&column.name),
            () if column.values.len() <= MOST_CATEGORIES => categorical.push(&column.name),
            () => ignored.push(&column.name),
        }
    }
    let mut text = format!(
        "# Proposed from the first {} rows of {}: read every line, and correct it.\n# Say what each group is: role = \"genuine\", \"spurious\", \"protected\" or \"unknown\".\n",
        rows.len(),
        path.file_name().unwrap_or_default().to_string_lossy()
    );
    text += &format!("label = {}\n", quoted(label));
    let values = columns
        .iter()
        .find(|column| column.name == label)
        .map(|column| &column.values);
    let flag = |value: &String| ["0", "1", "true", "false"].contains(&value.to_ascii_lowercase().as_str());
    if let Some(values) = values.filter(|values| !values.keys().all(flag)) {
        let shown: Vec<String> = values.keys().take(10).map(|value| quoted(value)).collect();
        let rarest = values.iter().min_by_key(|(_, count)| **count);
        let rarest = rarest.map_or_else(String::new, |(value, _)| quoted(value));
        text += &format!("# its values: {}\npositive = [{rarest}]\n", shown.join(", "));
    }
    for (key, column) in [("subject", subject), ("time", time)] {
        text += &column.map_or_else(String::new, |column| format!("{key} = {}\n", quoted(column)));
    }
    let list = |names: &[&String]| names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    let marked: Vec<String> = markers.iter().map(|marker| quoted(marker)).collect();
    text += &format!("missing = [{}]\nignore = [{}]\n", marked.join(", "), list(&ignored));
    for (group, kind, columns) in [
        ("numbers", "numeric", numeric),
        ("categories", "categorical", categorical),
    ] {
        if !columns.is_empty() {
            text += &format!(
                "\n[groups.{group}]\nrole = \"unknown\"\n{kind} = [{}]\n",
                list(&columns)
            );
        }
    }
    Ok(text)
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}
