//! Numbers and predictions as Parquet.

use std::path::Path;

use disentangle_data::write_frame;
use polars::prelude::*;
use serde::Serialize;

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
    let text = |name: &str, get: &dyn Fn(&MetricRow) -> Option<&str>| {
        Column::new(name.into(), rows.iter().map(get).collect::<Vec<_>>())
    };
    let number = |name: &str, get: &dyn Fn(&MetricRow) -> Option<f64>| {
        Column::new(name.into(), rows.iter().map(get).collect::<Vec<_>>())
    };
    let columns = vec![
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
    ];
    write(&folder.join("metrics.parquet"), columns)
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
