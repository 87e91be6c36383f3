//! MEDS out: shards written by row groups, so that memory does not grow with the data.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use polars::prelude::{
    ArrowDataType, ArrowField, ArrowSchema, BatchedWriter, Column, CompatLevel, DataFrame, DataType, Field, IntoColumn,
    KeyValueMetadata, NamedFrom, ParquetWriter, PlSmallStr, Schema, Series, TimeUnit,
};
use polars_parquet::write::schema_to_metadata_key;

use super::{Event, labels::Sample};
use crate::{DataError, Split, frame::write_by_rename};

/// Rows of a row group, about.
const ROW_GROUP: usize = 1 << 19;

/// Writes a dataset below a folder, subject by subject.
pub struct MedsWriter {
    folder: PathBuf,
    /// Rows after which a new shard begins.
    shard_rows: usize,
    shards: usize,
    open: Option<(PathBuf, BatchedWriter<File>)>,
    written: usize,
    rows: Rows,
    codes: BTreeMap<String, u64>,
    last: Option<i64>,
}

/// A row group in the making.
#[derive(Default)]
struct Rows {
    subjects: Vec<i64>,
    times: Vec<Option<i64>>,
    codes: Vec<PlSmallStr>,
    numbers: Vec<Option<f32>>,
    texts: Vec<Option<PlSmallStr>>,
}

/// One label to be written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record {
    /// Whose it is.
    pub subject: i64,
    /// Microseconds since 1970.
    pub time: i64,
    /// Its value.
    pub label: bool,
}

impl MedsWriter {
    /// Makes the folder, which must be new or empty. A shard ends with the subject that brings it to `shard_rows` rows.
    pub fn create(folder: &Path, shard_rows: usize) -> Result<Self, DataError> {
        let failed = |error: std::io::Error| unwritable(folder, error);
        if folder.is_dir() && std::fs::read_dir(folder).map_err(failed)?.next().is_some() {
            return Err(unwritable(folder, "is not empty; expected a new folder"));
        }
        for part in ["data", "metadata"] {
            std::fs::create_dir_all(folder.join(part)).map_err(failed)?;
        }
        Ok(Self {
            folder: folder.into(),
            shard_rows: shard_rows.max(1),
            shards: 0,
            open: None,
            written: 0,
            rows: Rows::default(),
            codes: BTreeMap::new(),
            last: None,
        })
    }

    /// The next event; events of a subject follow each other, static ones first, in the order of their times.
    pub fn event(&mut self, event: &Event) -> Result<(), DataError> {
        if self.last != Some(event.subject) {
            self.end_subject()?;
            self.last = Some(event.subject);
        }
        match self.codes.get_mut(event.code) {
            Some(count) => *count += 1,
            None => {
                self.codes.insert(event.code.into(), 1);
            }
        }
        self.rows.subjects.push(event.subject);
        self.rows.times.push(event.time);
        self.rows.codes.push(event.code.into());
        self.rows.numbers.push(event.number);
        self.rows.texts.push(event.text.map(Into::into));
        Ok(())
    }

    fn end_subject(&mut self) -> Result<(), DataError> {
        let ends = self.written + self.rows.subjects.len() >= self.shard_rows;
        if ends || self.rows.subjects.len() >= ROW_GROUP {
            self.flush()?;
        }
        if ends {
            self.close()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DataError> {
        let rows = std::mem::take(&mut self.rows);
        if rows.subjects.is_empty() {
            return Ok(());
        }
        let (path, mut writer) = match self.open.take() {
            Some(open) => open,
            None => {
                let path = self.folder.join(format!("data/{}.parquet", self.shards));
                let file = File::create(&path).map_err(|error| unwritable(&path, error))?;
                let writer = typed(file, &schema())
                    .batched(&schema())
                    .map_err(|error| unwritable(&path, error))?;
                (path, writer)
            }
        };
        self.written += rows.subjects.len();
        let frame = rows.frame().map_err(|error| unwritable(&path, error))?;
        writer.write_batch(&frame).map_err(|error| unwritable(&path, error))?;
        self.open = Some((path, writer));
        Ok(())
    }

    fn close(&mut self) -> Result<(), DataError> {
        if let Some((path, writer)) = self.open.take() {
            writer.finish().map_err(|error| unwritable(&path, error))?;
            self.shards += 1;
        }
        self.written = 0;
        Ok(())
    }

    /// Ends the last shard and writes the metadata: each code with what `describe` says of it, the parts of subjects, and what the dataset
    /// is. Returns the number of events.
    pub fn finish(
        mut self,
        name: &str,
        describe: impl Fn(&str) -> String,
        parts: &BTreeMap<i64, Split>,
    ) -> Result<u64, DataError> {
        self.flush()?;
        self.close()?;
        let codes: Vec<&str> = self.codes.keys().map(String::as_str).collect();
        let descriptions: Vec<String> = codes.iter().map(|code| describe(code)).collect();
        let columns = vec![
            Column::new("code".into(), codes),
            Column::new("description".into(), descriptions),
        ];
        self.write("metadata/codes.parquet", columns)?;
        let (subjects, splits): (Vec<i64>, Vec<&str>) = parts
            .iter()
            .map(|(subject, part)| {
                let split = match part {
                    Split::Train => "train",
                    Split::Validation => "tuning",
                    Split::Test => "held_out",
                    Split::Embargo => "excluded",
                };
                (*subject, split)
            })
            .unzip();
        let columns = vec![
            Column::new("subject_id".into(), subjects),
            Column::new("split".into(), splits),
        ];
        self.write("metadata/subject_splits.parquet", columns)?;
        let dataset = serde_json::json!({
            "dataset_name": name,
            "dataset_version": env!("CARGO_PKG_VERSION"),
            "etl_name": env!("CARGO_PKG_NAME"),
            "etl_version": env!("CARGO_PKG_VERSION"),
            "meds_version": "0.4.0",
        });
        let path = self.folder.join("metadata/dataset.json");
        std::fs::write(&path, format!("{dataset:#}\n")).map_err(|error| unwritable(&path, error))?;
        Ok(self.codes.values().sum())
    }

    fn write(&self, file: &str, columns: Vec<Column>) -> Result<(), DataError> {
        write_columns(&self.folder.join(file), columns)
    }
}

/// Writes a label file with `boolean_value`; makes its folder.
pub(crate) fn write_labels(path: &Path, labels: &[Record]) -> Result<(), DataError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| unwritable(folder, error))?;
    }
    let times: Vec<i64> = labels.iter().map(|label| label.time).collect();
    let times = Series::new("prediction_time".into(), times)
        .cast(&time_type())
        .map_err(|error| unwritable(path, error))?;
    let columns = vec![
        Column::new(
            "subject_id".into(),
            labels.iter().map(|label| label.subject).collect::<Vec<_>>(),
        ),
        times.into_column(),
        Column::new(
            "boolean_value".into(),
            labels.iter().map(|label| label.label).collect::<Vec<_>>(),
        ),
    ];
    write_columns(path, columns)
}

impl Sample {
    /// The label, and the label that the shortcut suggests.
    pub(crate) fn records(&self) -> (Record, Option<Record>) {
        let record = |label: f32| Record {
            subject: self.subject,
            time: self.time,
            label: label > 0.5,
        };
        (record(self.label), self.shortcut.map(record))
    }
}

fn write_columns(path: &Path, columns: Vec<Column>) -> Result<(), DataError> {
    let mut frame = DataFrame::new_infer_height(columns).map_err(|error| unwritable(path, error))?;
    let schema = frame.schema().as_ref().clone();
    write_by_rename(path, |file| typed(file, &schema).finish(&mut frame).map(|_| ()))
}

/// A writer whose files hold the Arrow types of MEDS 0.4: `large_string` for `text_value`, `string` for every other text.
fn typed(file: File, schema: &Schema) -> ParquetWriter<File> {
    let arrow: ArrowSchema = schema
        .iter()
        .map(|(name, of)| {
            let of = match of {
                DataType::String if name == "text_value" => ArrowDataType::LargeUtf8,
                DataType::String => ArrowDataType::Utf8,
                other => other.to_arrow(CompatLevel::oldest()),
            };
            (name.clone(), ArrowField::new(name.clone(), of, true))
        })
        .collect();
    let key = schema_to_metadata_key(&arrow);
    let metadata = KeyValueMetadata::from_static(vec![(key.key, key.value.unwrap_or_default())]);
    ParquetWriter::new(file).with_key_value_metadata(Some(metadata))
}

impl Rows {
    fn frame(self) -> polars::prelude::PolarsResult<DataFrame> {
        let texts = |texts: Vec<Option<PlSmallStr>>| -> Vec<Option<String>> {
            texts
                .into_iter()
                .map(|text| text.map(|text| text.to_string()))
                .collect()
        };
        let codes: Vec<&str> = self.codes.iter().map(PlSmallStr::as_str).collect();
        DataFrame::new_infer_height(vec![
            Column::new("subject_id".into(), self.subjects),
            Series::new("time".into(), self.times).cast(&time_type())?.into_column(),
            Column::new("code".into(), codes),
            Column::new("numeric_value".into(), self.numbers),
            Column::new("text_value".into(), texts(self.texts)),
        ])
    }
}

fn time_type() -> DataType {
    DataType::Datetime(TimeUnit::Microseconds, None)
}

fn schema() -> Schema {
    Schema::from_iter([
        Field::new("subject_id".into(), DataType::Int64),
        Field::new("time".into(), time_type()),
        Field::new("code".into(), DataType::String),
        Field::new("numeric_value".into(), DataType::Float32),
        Field::new("text_value".into(), DataType::String),
    ])
}

fn unwritable(path: &Path, error: impl ToString) -> DataError {
    DataError::Write {
        path: path.into(),
        reason: error.to_string().lines().next().unwrap_or_default().into(),
    }
}
