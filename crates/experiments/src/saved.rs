//! What a run keeps of its model: weights, what they belong to, what it says of every row, and rows to compare new ones with.

use std::path::Path;

use burn::tensor::Device;
use disentangle_analysis::probing;
use disentangle_data::{
    Dataset, Encoding, FeatureGroup, InputLayer, NewRows, Scaler, Seed, Split, format_time, read_prices,
    tabular::{GroupSchema, Parts, TableSchema},
};
use disentangle_models::{Model, ModelConfig, weights};
use disentangle_report::{Prediction, ReportError, RunDir, read_json, write_predictions};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Context, ExperimentError,
    cards::ModelCard,
    finance, monitor,
    rows::{MedsPreprocess, TablePreprocess},
};

/// What is needed beside the model to score rows that a generator drew: they are a table, as `dataset generate` writes it.
pub(crate) fn rows_preprocess(dataset: &Dataset) -> Value {
    let groups = dataset.groups.iter().map(|group| {
        let columns = group.columns.iter().map(|&column| dataset.features[column].clone());
        let schema = GroupSchema {
            role: group.role,
            numeric: columns.collect(),
            categorical: Vec::new(),
        };
        (group.name.clone(), schema)
    });
    let schema = TableSchema {
        label: "label".into(),
        positive: Vec::new(),
        subject: None,
        time: None,
        environment: Some("environment".into()),
        missing: Vec::new(),
        lookback: dataset.lookback,
        ignore: Vec::new(),
        parts: Parts::default(),
        groups: groups.collect(),
    };
    let encodings = dataset.features.iter().map(|column| Encoding::Numbers {
        column: column.clone(),
        missing: false,
    });
    serde_json::json!(TablePreprocess::new(schema, encodings.collect(), dataset))
}

/// `model.safetensors`, `model.json`, `preprocess.json`, `predictions.parquet` and `reference.parquet`.
pub(crate) fn save(
    dataset: &Dataset,
    model: &Model,
    preprocess: &impl Serialize,
    context: &Context,
) -> Result<(), ExperimentError> {
    // One seed of several has a folder of its own, which nobody may have made yet.
    let folder = context.path("");
    std::fs::create_dir_all(&folder)
        .map_err(|error| ExperimentError::Failed(format!("{}: {error}", folder.display())))?;
    weights::save(model, &context.path("model.safetensors"))?;
    context.run.write_json(&context.name("model.json"), &model.config())?;
    let mut preprocess =
        serde_json::to_value(preprocess).map_err(|error| ExperimentError::Failed(error.to_string()))?;
    // A strategy may have given the rows another one since they were loaded.
    preprocess["layer"] = serde_json::json!(dataset.layer);
    context.run.write_json(&context.name("preprocess.json"), &preprocess)?;
    let family = ModelCard::new(model).family;
    let mut predictions = Vec::new();
    for split in Split::PARTS {
        if split == Split::Validation && dataset.shared_validation {
            continue;
        }
        let rows = dataset.part(split);
        let logits = probing::logits(model, &dataset.inputs(&rows), context.device, context.threads)?;
        predictions.extend(rows.iter().zip(logits).map(|(&row, logit)| {
            let window = &dataset.windows[row];
            Prediction {
                split: split.name().into(),
                row: window.target as u64,
                time: time(window.time),
                subject: dataset.subjects[window.subject as usize].clone(),
                environment: dataset.environments[window.environment as usize].clone(),
                seed: context.seed,
                model: family.clone(),
                strategy: None,
                label: Some(window.label),
                logit,
            }
        }));
    }
    write_predictions(&context.path("predictions.parquet"), &predictions)?;
    monitor::save_reference(dataset, model, preprocess["kind"] == "finance", context)
}

/// A row's time; drawn rows and tables without times have none.
pub(crate) fn time(time: chrono::NaiveDateTime) -> String {
    match time == chrono::NaiveDateTime::default() {
        true => String::new(),
        false => format_time(time),
    }
}

/// A run's model, and what turns new rows into its input.
#[derive(Debug)]
pub(crate) struct SavedRun {
    model: Model,
    recipe: Recipe,
    /// What every `preprocess.json` holds.
    pub(crate) rows: RowsOfRun,
}

/// How rows are made.
#[derive(Debug)]
enum Recipe {
    Prices(Box<finance::Preprocess>),
    Table(Box<TablePreprocess>),
    Records(Box<MedsPreprocess>),
}

/// Columns of a run's rows.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RowsOfRun {
    pub(crate) features: Vec<String>,
    pub(crate) groups: Vec<FeatureGroup>,
    pub(crate) lookback: usize,
    scaler: Scaler,
    #[serde(default)]
    layer: InputLayer,
}

impl SavedRun {
    /// Of a run's folder, or of one of its seeds' folders. Fails where nothing of a model was kept, or too little, as older versions did.
    pub(crate) fn open(run: &Path, device: &Device) -> Result<Self, ExperimentError> {
        let unusable = |reason: String| ReportError::NotARun {
            path: run.into(),
            reason,
        };
        if !run.join("preprocess.json").exists() {
            // Says so if it is no run at all; a seed's folder has its model, and no status of its own.
            RunDir::read_status(run)?;
            return Err(unusable(match run.join("seeds").exists() {
                true => "holds several seeds; expected one of the folders below seeds/".into(),
                false => "holds no trained model (preprocess.json is absent)".into(),
            })
            .into());
        }
        let text: Value = read_json(run, "preprocess.json")?;
        let kind = text["kind"].as_str().unwrap_or_default().to_string();
        if kind != "finance" && text.get("encodings").is_none() {
            let reason = "an older version made it, which did not keep how columns were encoded; run it again";
            return Err(unusable(reason.into()).into());
        }
        let recipe = match kind.as_str() {
            "finance" => Recipe::Prices(Box::new(read_json(run, "preprocess.json")?)),
            "table" => Recipe::Table(Box::new(read_json(run, "preprocess.json")?)),
            "meds" => Recipe::Records(Box::new(read_json(run, "preprocess.json")?)),
            other => {
                let reason = format!("its model takes {other} rows; expected finance, table or meds");
                return Err(unusable(reason).into());
            }
        };
        let config: ModelConfig = read_json(run, "model.json")?;
        // Every weight is read from the file.
        let model = config.init(Seed::new(0), device)?;
        Ok(Self {
            model: weights::load(model, &run.join("model.safetensors"), device)?,
            recipe,
            rows: read_json(run, "preprocess.json")?,
        })
    }

    /// New rows, encoded and scaled as those of the run: a price file, a table with the run's columns, or a MEDS folder with its codes.
    pub(crate) fn read(&self, data: &Path) -> Result<NewRows, ExperimentError> {
        let wrong = |found: &str, expected: &str| {
            let reason = format!("{}: is {found}, but the run has rows of {expected}", data.display());
            ExperimentError::Input(reason)
        };
        let mut rows = match &self.recipe {
            Recipe::Prices(prices) => {
                let (symbols, notices) = read_prices(data)?;
                let mut rows = prices.new_rows(&data.display().to_string(), &symbols)?;
                rows.dataset.notices.extend(notices);
                rows
            }
            Recipe::Table(_) if data.is_dir() => return Err(wrong("a folder", "a table; expected a file")),
            Recipe::Table(table) => table.new_rows(data)?,
            Recipe::Records(_) if data.is_file() => {
                return Err(wrong("a file", "a MEDS dataset; expected its folder"));
            }
            Recipe::Records(records) => records.new_rows(data)?,
        };
        if rows.dataset.features != self.rows.features {
            let reason = "preprocess.json names other columns than its own encoding makes; run it again";
            return Err(ExperimentError::Failed(reason.into()));
        }
        rows.dataset.groups.clone_from(&self.rows.groups);
        rows.dataset.scaler = self.rows.scaler.clone();
        rows.dataset.layer = self.rows.layer.clone();
        Ok(rows)
    }

    /// The model's output for some windows.
    pub(crate) fn logits(
        &self,
        dataset: &Dataset,
        windows: &[usize],
        device: &Device,
        threads: usize,
    ) -> Result<Vec<f64>, ExperimentError> {
        Ok(probing::logits(&self.model, &dataset.inputs(windows), device, threads)?)
    }

    /// The model's family.
    pub(crate) fn family(&self) -> String {
        ModelCard::new(&self.model).family
    }

    /// Rows of a block of days of so many symbols, where rows follow each other in time: the lookback and the longest indicator.
    pub(crate) fn block(&self, symbols: usize) -> Option<usize> {
        match &self.recipe {
            Recipe::Prices(prices) => Some(prices.finance.embargo() * symbols.max(1)),
            Recipe::Table(_) | Recipe::Records(_) => None,
        }
    }

    /// When a window's label is; of prices without one, after which day.
    pub(crate) fn time(&self, rows: &NewRows, window: usize) -> String {
        let at = rows.dataset.windows[window].time;
        match (&self.recipe, rows.labels[window]) {
            (Recipe::Prices(_), None) => format!("after {}", format_time(at - chrono::Days::new(1))),
            _ => time(at),
        }
    }
}
