//! `dataset generate|fetch|describe`.

use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use disentangle_data::{
    DataError, Dataset, Prices, Seed, Split, YahooRequest, download,
    finance::FinanceFeatures,
    format_time,
    market::{MarketConfig, simulate},
    meds::propose_task,
    read_prices,
    synthetic::SyntheticConfig,
    tabular::propose,
    ward::WardConfig,
    write_parquet, write_table,
};
use disentangle_report::write_file;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{ExperimentError, settings};

/// What to do with data.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum DatasetCommand {
    /// Makes simulated data with its ground truth beside it.
    Generate {
        /// `market`, `multifeature`, `biased` or `ward`.
        kind: String,
        /// Where the Parquet file goes, its truth beside it as JSON; of the ward, a new folder for a MEDS dataset with its truth.
        #[arg(long)]
        out: PathBuf,
        /// Parameters, as key=value.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        sets: Vec<String>,
    },
    /// Downloads prices from Yahoo as Parquet files, one a symbol.
    Fetch {
        /// Symbols, as Yahoo spells them.
        #[arg(required = true)]
        symbols: Vec<String>,
        /// First day, included.
        #[arg(long, default_value = "2020-01-01")]
        start: NaiveDate,
        /// Last day, not included.
        #[arg(long, default_value = "2024-01-01")]
        end: NaiveDate,
        /// The folder for the files.
        #[arg(long, default_value = ".cache/yahoo")]
        out: PathBuf,
    },
    /// Says what a price file holds; proposes a schema for any other table, and a task for a MEDS dataset.
    Describe {
        /// CSV (also gzip) or Parquet, or the folder of a MEDS dataset.
        file: PathBuf,
    },
    /// Checks a whole MEDS dataset, or a table against its schema, and says what it holds.
    Validate {
        /// The folder of a MEDS dataset, or a table.
        path: PathBuf,
        /// Of a table.
        #[arg(long)]
        schema: Option<PathBuf>,
        /// Of a MEDS dataset: what is predicted from what; its own task.toml if absent.
        #[arg(long)]
        task: Option<PathBuf>,
    },
}

/// Runs a dataset command; returns what is printed.
pub fn dataset(command: &DatasetCommand) -> Result<String, ExperimentError> {
    match command {
        DatasetCommand::Generate { kind, out, sets } if kind == "market" => generate(out, sets),
        DatasetCommand::Generate { kind, out, sets } if kind == "multifeature" => {
            synthetic(&SyntheticConfig::multifeature(), out, sets)
        }
        DatasetCommand::Generate { kind, out, sets } if kind == "biased" => {
            synthetic(&SyntheticConfig::biased(), out, sets)
        }
        DatasetCommand::Generate { kind, out, sets } if kind == "ward" => ward(out, sets),
        DatasetCommand::Generate { kind, .. } => Err(ExperimentError::Input(format!(
            "unknown dataset `{kind}`; expected one of: market, multifeature, biased, ward"
        ))),
        DatasetCommand::Fetch {
            symbols,
            start,
            end,
            out,
        } => fetch(symbols, *start, *end, out),
        DatasetCommand::Describe { file } if file.is_dir() => Ok(propose_task(file)?),
        DatasetCommand::Describe { file } => describe(file),
        DatasetCommand::Validate { path, schema, task } => super::validate(path, schema.as_deref(), task.as_deref()),
    }
}

/// The day from which the shortcut is gone: the first test row under the default split.
fn first_test_day(config: &MarketConfig) -> Result<NaiveDate, ExperimentError> {
    let dataset: Dataset = FinanceFeatures::default().dataset("market", true, &[simulate(config)])?;
    let first = dataset
        .part(Split::Test)
        .first()
        .map(|&w| dataset.windows[w].time.date());
    first.ok_or_else(|| ExperimentError::Failed("the simulated market has no test rows".into()))
}

fn generate(out: &Path, sets: &[String]) -> Result<String, ExperimentError> {
    let mut config: MarketConfig = settings::resolve(&MarketConfig::default(), None, sets)?;
    if !config.volatility.is_finite()
        || config.volatility <= 0.0
        || config.alpha + config.gamma / 2.0 + config.beta >= 1.0
    {
        return Err(ExperimentError::Input(
            "`volatility`, `alpha`, `gamma`, `beta`: expected a volatility above 0 and alpha + gamma / 2 + beta below 1".into(),
        ));
    }
    if config.shortcut_end.is_none() {
        config.shortcut_end = Some(first_test_day(&config)?);
    }
    let prices = simulate(&config);
    write_parquet(out, &prices)?;
    let truth = json!({
        "simulated": true,
        "what": "GJR-GARCH(1,1) returns with a weak genuine momentum (RSI) and a calendar shortcut that ends; see disentangle_data::market",
        "parameters": config,
        "rows": prices.len(),
        "roles": {"technical": "genuine", "calendar": "spurious"},
        "shortcut": {"group": "calendar", "holds_until_before": config.shortcut_end},
    });
    write_truth(out, &truth, prices.len())
}

/// The ward as a MEDS dataset; `seed` and `shard_rows` are keys beside the ward's.
fn ward(out: &Path, sets: &[String]) -> Result<String, ExperimentError> {
    let start = WardFiles::default();
    let files: WardFiles = settings::resolve(&start, None, sets)?;
    // The patients of `experiment ehr` with the same seed.
    let events = files
        .ward
        .write(out, files.shard_rows, Seed::new(files.seed).child("data"))?;
    Ok(format!(
        "{events} events of {} patients in {}: MEDS files, task.toml, and the truth in truth/\n",
        files.ward.patients,
        out.display()
    ))
}

/// Keys of a ward in files.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct WardFiles {
    seed: u64,
    /// Events after which a new shard begins.
    shard_rows: usize,
    #[serde(flatten)]
    ward: WardConfig,
}

impl Default for WardFiles {
    fn default() -> Self {
        Self {
            seed: 0,
            shard_rows: 10_000_000,
            ward: WardConfig::default(),
        }
    }
}

/// The ground truth beside the data, and what is said of both.
fn write_truth(out: &Path, truth: &serde_json::Value, rows: usize) -> Result<String, ExperimentError> {
    let path = out.with_extension("truth.json");
    let text = serde_json::to_string_pretty(truth).map_err(|error| ExperimentError::Failed(error.to_string()))?;
    write_file(&path, (text + "\n").as_bytes())?;
    Ok(format!(
        "{rows} rows in {}, truth in {}\n",
        out.display(),
        path.display()
    ))
}

/// Draws rows with known causes; `seed` is a key beside the generator's.
fn synthetic(start: &SyntheticConfig, out: &Path, sets: &[String]) -> Result<String, ExperimentError> {
    let (seeds, sets): (Vec<String>, Vec<String>) = sets.iter().cloned().partition(|set| set.starts_with("seed="));
    let seed = match seeds.last() {
        None => 0,
        Some(set) => set["seed=".len()..].parse().map_err(|_| {
            ExperimentError::Input(format!("`{set}` cannot be used: expected a whole number, zero or more"))
        })?,
    };
    let config: SyntheticConfig = settings::resolve(start, None, &sets)?;
    // The rows of `experiment synthetic` with the same seed.
    let dataset = config.dataset(Seed::new(seed).child("data"))?;
    write_table(&dataset, out)?;
    let roles: serde_json::Map<String, serde_json::Value> = dataset
        .groups
        .iter()
        .map(|group| {
            let columns: Vec<&String> = group.columns.iter().map(|&column| &dataset.features[column]).collect();
            (group.name.clone(), json!({"role": group.role, "columns": columns}))
        })
        .collect();
    let truth = json!({
        "simulated": true,
        "what": "standard normal columns; the label says whether the genuine columns' sum of squares is large; see disentangle_data::synthetic",
        "seed": seed,
        "parameters": config,
        "groups": roles,
    });
    write_truth(out, &truth, dataset.windows.len())
}

fn fetch(symbols: &[String], start: NaiveDate, end: NaiveDate, out: &Path) -> Result<String, ExperimentError> {
    let request = YahooRequest::new(symbols.to_vec(), start, end, out.into());
    let (mut text, mut failures) = (String::new(), Vec::new());
    for answer in download(&request) {
        match answer {
            Ok((prices, notices)) => {
                text += &summary(&prices);
                text.extend(notices.into_iter().map(|notice| format!("  note: {notice}\n")));
            }
            Err(error) => failures.push(error.to_string()),
        }
    }
    if failures.is_empty() {
        return Ok(text);
    }
    // What did come stays in the cache and is said; the failure decides the exit code.
    eprint!("{text}");
    Err(ExperimentError::Input(failures.join("; ")))
}

fn describe(file: &Path) -> Result<String, ExperimentError> {
    let (symbols, notices) = match read_prices(file) {
        Ok(found) => found,
        // Not a price file: any table gets a schema to start from. What cannot be read at all is said of the table.
        Err(DataError::MissingColumn { .. }) => return Ok(propose(file)?),
        Err(error) => return Err(error.into()),
    };
    let mut text = String::new();
    for prices in &symbols {
        text += &summary(prices);
    }
    text.extend(notices.into_iter().map(|notice| format!("note: {notice}\n")));
    match FinanceFeatures::default().dataset(&file.display().to_string(), false, &symbols) {
        Ok(dataset) => {
            for split in Split::PARTS {
                text += &format!("{:<10} {} windows\n", split.name(), dataset.part(split).len());
            }
        }
        Err(error) => text += &format!("not ready for `experiment finance` with its defaults: {error}\n"),
    }
    Ok(text)
}

fn summary(prices: &Prices) -> String {
    let span = |time: Option<&chrono::NaiveDateTime>| time.map_or_else(String::new, |&time| format_time(time));
    let adjusted = if prices.adjusted == prices.close {
        "no adjustment"
    } else {
        "adjusted close differs from close"
    };
    format!(
        "{:<10} {} rows from {} to {}; {adjusted}\n",
        prices.symbol,
        prices.len(),
        span(prices.times.first()),
        span(prices.times.last())
    )
}
