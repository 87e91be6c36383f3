//! Numbers and predictions as Parquet.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use disentangle_data::write_frame;
use polars::prelude::*;
use serde::Serialize;
use serde_json::Value;

use crate::ReportError;

/// One number of a run: a row of `metrics.parquet`. What does not apply is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MetricRow {
    /// The experiment.
    pub experiment: String,
    /// The dataset.
    pub dataset: String,
    /// The model.
    pub model: Option<String>,
    /// The mitigation strategy.
    pub strategy: Option<String>,
    /// `initial`, `trained`, `before` or `after`.
    pub stage: Option<String>,
    /// `None` over seeds.
    pub seed: Option<u64>,
    /// The environment.
    pub environment: Option<String>,
    /// `train`, `validation`, `test` or `walk-forward`.
    pub split: Option<String>,
    /// The feature group or subgroup.
    pub group: Option<String>,
    /// The site.
    pub site: Option<String>,
    /// The attention head.
    pub head: Option<u32>,
    /// The metric's name.
    pub metric: String,
    /// Its value.
    pub value: Option<f64>,
    /// Lower end of the interval.
    pub low: Option<f64>,
    /// Upper end of the interval.
    pub high: Option<f64>,
    /// Coverage.
    pub level: Option<f64>,
    /// How the interval was made.
    pub interval_method: Option<String>,
    /// p value.
    pub p: Option<f64>,
    /// q value.
    pub q: Option<f64>,
    /// Rows behind the number.
    pub n: u64,
    /// JSON of grid keys.
    pub params: Option<String>,
}

/// Writes `metrics.parquet` into `folder`.
pub fn write_metrics(folder: &Path, rows: &[MetricRow]) -> Result<(), ReportError> {
    write(&folder.join("metrics.parquet"), metric_columns(rows))
}

fn metric_columns(rows: &[MetricRow]) -> Vec<Column> {
    let text = |name: &str, get: &dyn Fn(&MetricRow) -> Option<&str>| {
        Column::new(name.into(), rows.iter().map(get).collect::<Vec<_>>())
    };
    let number = |name: &str, get: &dyn Fn(&MetricRow) -> Option<f64>| {
        Column::new(name.into(), rows.iter().map(get).collect::<Vec<_>>())
    };
    vec![
        text("experiment", &|r| Some(&r.experiment)),
        text("dataset", &|r| Some(&r.dataset)),
        text("model", &|r| r.model.as_deref()),
        text("strategy", &|r| r.strategy.as_deref()),
        text("stage", &|r| r.stage.as_deref()),
        Column::new("seed".into(), rows.iter().map(|r| r.seed).collect::<Vec<_>>()),
        text("environment", &|r| r.environment.as_deref()),
        text("split", &|r| r.split.as_deref()),
        text("group", &|r| r.group.as_deref()),
        text("site", &|r| r.site.as_deref()),
        Column::new("head".into(), rows.iter().map(|r| r.head).collect::<Vec<_>>()),
        text("metric", &|r| Some(&r.metric)),
        number("value", &|r| r.value),
        number("low", &|r| r.low),
        number("high", &|r| r.high),
        number("level", &|r| r.level),
        text("interval_method", &|r| r.interval_method.as_deref()),
        number("p", &|r| r.p),
        number("q", &|r| r.q),
        Column::new("n".into(), rows.iter().map(|r| r.n).collect::<Vec<_>>()),
        text("params", &|r| r.params.as_deref()),
    ]
}

/// A column beside those of [`MetricRow`], with one value for all rows of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunColumn {
    /// Its name.
    pub name: String,
    /// Whether it holds numbers; text otherwise.
    pub numbers: bool,
}

/// `metrics.parquet` of many runs, written piece by piece, so that their rows never lie in memory together. The file stands
/// there, whole, once [`MetricsWriter::finish`] was called, and not at all if it was not.
pub struct MetricsWriter {
    target: PathBuf,
    temporary: PathBuf,
    columns: Vec<RunColumn>,
    writer: BatchedWriter<File>,
    rows: Vec<MetricRow>,
    /// Values of the columns, and for how many rows.
    runs: Vec<(Vec<Value>, usize)>,
}

impl MetricsWriter {
    /// Rows of a piece, about.
    const PIECE: usize = 50_000;

    /// Starts a file in `folder` with these columns after the usual ones.
    pub fn create(folder: &Path, columns: Vec<RunColumn>) -> Result<Self, ReportError> {
        let target = folder.join("metrics.parquet");
        let temporary = target.with_extension("parquet.tmp");
        let error = |error: PolarsError| ReportError::write(&target, error);
        let empty = rows_of_runs(&[], &columns, &[]).map_err(error)?;
        let file = File::create(&temporary).map_err(|error| ReportError::write(&target, error))?;
        let writer = ParquetWriter::new(file).batched(empty.schema()).map_err(error)?;
        Ok(Self {
            temporary,
            columns,
            writer,
            rows: Vec::new(),
            runs: Vec::new(),
            target,
        })
    }

    /// Adds the rows of a run and its value of each column: a number, or a string in a column of text; anything else is left open.
    pub fn add(&mut self, rows: Vec<MetricRow>, values: Vec<Value>) -> Result<(), ReportError> {
        self.runs.push((values, rows.len()));
        self.rows.extend(rows);
        if self.rows.len() < Self::PIECE {
            return Ok(());
        }
        self.flush()
    }

    /// Ends the file and puts it in its place.
    pub fn finish(mut self) -> Result<(), ReportError> {
        self.flush()?;
        let error = |error: String| ReportError::write(&self.target, error);
        self.writer.finish().map_err(|reason| error(reason.to_string()))?;
        fs::rename(&self.temporary, &self.target).map_err(|reason| error(reason.to_string()))
    }

    fn flush(&mut self) -> Result<(), ReportError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let frame = rows_of_runs(&self.rows, &self.columns, &self.runs);
        frame
            .and_then(|frame| self.writer.write_batch(&frame))
            .map_err(|error| ReportError::write(&self.target, error))?;
        self.rows.clear();
        self.runs.clear();
        Ok(())
    }
}

impl Drop for MetricsWriter {
    fn drop(&mut self) {
        // Half a file helps nobody; after `finish` there is none.
        let _ = fs::remove_file(&self.temporary);
    }
}

fn rows_of_runs(
    rows: &[MetricRow],
    columns: &[RunColumn],
    runs: &[(Vec<Value>, usize)],
) -> Result<DataFrame, PolarsError> {
    let mut all = metric_columns(rows);
    for (place, column) in columns.iter().enumerate() {
        let values = runs
            .iter()
            .flat_map(|(values, count)| std::iter::repeat_n(values.get(place), *count));
        let name: PlSmallStr = column.name.as_str().into();
        all.push(match column.numbers {
            true => Column::new(name, values.map(|value| value?.as_f64()).collect::<Vec<_>>()),
            false => Column::new(name, values.map(|value| value?.as_str()).collect::<Vec<_>>()),
        });
    }
    DataFrame::new_infer_height(all)
}

/// One scored row of `predictions.parquet`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prediction {
    /// The part that it belongs to.
    pub split: String,
    /// The target's row in the source.
    pub row: u64,
    /// The target's time.
    pub time: String,
    /// The subject.
    pub subject: String,
    /// The environment.
    pub environment: String,
    /// The run's seed.
    pub seed: u64,
    /// The model.
    pub model: String,
    /// The mitigation strategy.
    pub strategy: Option<String>,
    /// 0 or 1; `None` where it is not known yet.
    pub label: Option<f32>,
    /// The model's output.
    pub logit: f64,
}

/// Writes predictions as Parquet, with the probability beside the logit.
pub fn write_predictions(path: &Path, rows: &[Prediction]) -> Result<(), ReportError> {
    let text = |name: &str, get: &dyn Fn(&Prediction) -> Option<&str>| {
        Column::new(name.into(), rows.iter().map(get).collect::<Vec<_>>())
    };
    let columns = vec![
        text("split", &|r| Some(&r.split)),
        Column::new("row".into(), rows.iter().map(|r| r.row).collect::<Vec<_>>()),
        text("time", &|r| Some(&r.time)),
        text("subject", &|r| Some(&r.subject)),
        text("environment", &|r| Some(&r.environment)),
        Column::new("seed".into(), rows.iter().map(|r| r.seed).collect::<Vec<_>>()),
        text("model", &|r| Some(&r.model)),
        text("strategy", &|r| r.strategy.as_deref()),
        Column::new("label".into(), rows.iter().map(|r| r.label).collect::<Vec<_>>()),
        Column::new("logit".into(), rows.iter().map(|r| r.logit).collect::<Vec<_>>()),
        Column::new(
            "probability".into(),
            rows.iter().map(|r| 1.0 / (1.0 + (-r.logit).exp())).collect::<Vec<_>>(),
        ),
    ];
    write(path, columns)
}

fn write(path: &Path, columns: Vec<Column>) -> Result<(), ReportError> {
    let mut frame = DataFrame::new_infer_height(columns).map_err(|error| ReportError::write(path, error))?;
    write_frame(path, &mut frame).map_err(|error| ReportError::write(path, error))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(metric: &str, value: f64) -> MetricRow {
        MetricRow {
            metric: metric.into(),
            value: Some(value),
            ..MetricRow::default()
        }
    }

    fn columns() -> Vec<RunColumn> {
        [("run", false), ("grid.hidden", true)]
            .map(|(name, numbers)| RunColumn {
                name: name.into(),
                numbers,
            })
            .into()
    }

    #[test]
    fn pieces_are_one_file_with_a_column_of_each_key() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = MetricsWriter::create(folder.path(), columns()).unwrap();
        // More than a piece, so that the file has two.
        let many = vec![row("accuracy", 0.5); MetricsWriter::PIECE];
        writer.add(many, vec![json!("a"), json!(32)]).unwrap();
        writer
            .add(
                vec![row("accuracy", 0.75), row("roc_auc", 1.0)],
                vec![json!("b"), json!("wide")],
            )
            .unwrap();
        let path = folder.path().join("metrics.parquet");
        assert!(!path.exists(), "not before it is whole");
        writer.finish().unwrap();
        let frame = ParquetReader::new(File::open(&path).unwrap()).finish().unwrap();
        assert_eq!(frame.height(), MetricsWriter::PIECE + 2);
        let last = frame.tail(Some(1));
        assert_eq!(last.column("run").unwrap().str().unwrap().get(0), Some("b"));
        assert_eq!(last.column("metric").unwrap().str().unwrap().get(0), Some("roc_auc"));
        let hidden = frame.column("grid.hidden").unwrap();
        assert_eq!(hidden.f64().unwrap().get(0), Some(32.0));
        assert_eq!(hidden.null_count(), 2, "text is no number");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file");
    }

    #[test]
    fn what_is_not_finished_leaves_nothing_and_no_rows_are_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = MetricsWriter::create(folder.path(), columns()).unwrap();
        writer
            .add(vec![row("accuracy", 0.5)], vec![json!("a"), json!(1)])
            .unwrap();
        drop(writer);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        MetricsWriter::create(folder.path(), columns())
            .unwrap()
            .finish()
            .unwrap();
        let file = File::open(folder.path().join("metrics.parquet")).unwrap();
        assert_eq!(ParquetReader::new(file).finish().unwrap().height(), 0);
    }
}
