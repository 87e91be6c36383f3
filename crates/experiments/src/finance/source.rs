//! Prices from wherever the configuration says.

use std::path::{Path, PathBuf};

use chrono::{NaiveDate, NaiveTime};
use disentangle_data::{DataError, Prices, YahooRequest, download, parse_parquet, read_prices};

use super::{FinanceConfig, Source};
use crate::ExperimentError;

/// Prices, where they came from, and what must be known about them.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// For reports.
    pub name: String,
    /// Whether a generator made them.
    pub simulated: bool,
    /// One entry a symbol.
    pub symbols: Vec<Prices>,
    /// For the reader.
    pub notices: Vec<String>,
    /// BLAKE3 of the prices.
    pub hash: String,
}

/// Four simulated years; `dataset generate market` makes the same file.
pub const EMBEDDED: &[u8] = include_bytes!("../../../../datasets/finance/simulated-market.parquet");

/// Reads or downloads.
pub fn load(config: &FinanceConfig) -> Result<Loaded, ExperimentError> {
    let (source, path) = choose(config)?;
    let (name, simulated, (mut symbols, mut notices)) = match source {
        Source::Embedded => {
            let (mut symbols, notices) = parse_parquet("simulated-market.parquet", EMBEDDED)?;
            for prices in &mut symbols {
                prices.symbol = "SIMULATED".into();
            }
            ("simulated market".to_string(), true, (symbols, notices))
        }
        // The content decides: a file may be called anything.
        Source::Csv | Source::Parquet => (shown(&path), false, read_prices(&path)?),
        Source::Yahoo => ("Yahoo".to_string(), false, yahoo(config)?),
    };
    if source != Source::Yahoo && !config.symbols.is_empty() {
        symbols = pick(symbols, &config.symbols, &name)?;
    }
    let at = |day: Option<NaiveDate>| day.map(|day| day.and_time(NaiveTime::MIN));
    for prices in &mut symbols {
        prices.clip(at(config.start), at(config.end));
        if prices.adjusted != prices.close && config.adjusted {
            notices.push(format!(
                "symbol `{}`: prices are adjusted for splits and dividends",
                prices.symbol
            ));
        }
    }
    let mut hasher = blake3::Hasher::new();
    for prices in &symbols {
        hasher.update(prices.symbol.as_bytes());
        for time in &prices.times {
            hasher.update(&time.and_utc().timestamp().to_le_bytes());
        }
        for value in prices.close.iter().chain(&prices.adjusted).chain(&prices.volume) {
            hasher.update(&value.to_le_bytes());
        }
    }
    Ok(Loaded {
        name,
        simulated,
        symbols,
        notices,
        hash: hasher.finalize().to_hex().to_string(),
    })
}

/// The source and its file, from `dataset`, `source` and `path`.
fn choose(config: &FinanceConfig) -> Result<(Source, PathBuf), ExperimentError> {
    if let (Some(start), Some(end)) = (config.start, config.end)
        && start >= end
    {
        return Err(DataError::setting("end", end, format!("a day after start = {start}")).into());
    }
    let mut path = config.path.clone();
    let named = match config.dataset.as_deref() {
        None => None,
        Some("market") => Some(Source::Embedded),
        Some("yahoo") => Some(Source::Yahoo),
        Some(file) => {
            path = Some(file.into());
            None
        }
    };
    let guessed = path
        .as_deref()
        .map(|path| match path.extension().and_then(|e| e.to_str()) {
            Some("parquet" | "pq") => Source::Parquet,
            _ => Source::Csv,
        });
    let source = config.source.or(named).or(guessed).unwrap_or(Source::Embedded);
    match (source, path) {
        (Source::Csv | Source::Parquet, None) => {
            let name = if source == Source::Csv { "csv" } else { "parquet" };
            Err(DataError::setting("source", name, "`path` to be set too, as path=FILE").into())
        }
        (Source::Embedded | Source::Yahoo, Some(path)) => {
            let expected = "no file, because `dataset` or `source` names another source";
            Err(DataError::setting("path", path.display(), expected).into())
        }
        (_, path) => Ok((source, path.unwrap_or_default())),
    }
}

fn shown(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn pick(symbols: Vec<Prices>, wanted: &[String], name: &str) -> Result<Vec<Prices>, ExperimentError> {
    let known: Vec<String> = symbols.iter().map(|prices| prices.symbol.clone()).collect();
    if let Some(unknown) = wanted.iter().find(|symbol| !known.contains(symbol)) {
        let shown = known.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
        return Err(DataError::setting("symbols", unknown, format!("symbols that {name} holds: {shown}")).into());
    }
    Ok(symbols
        .into_iter()
        .filter(|prices| wanted.contains(&prices.symbol))
        .collect())
}

/// Every symbol must come; one that does not stops the run and is named.
fn yahoo(config: &FinanceConfig) -> Result<(Vec<Prices>, Vec<String>), ExperimentError> {
    let day = |year, month, day| NaiveDate::from_ymd_opt(year, month, day).unwrap_or_default();
    let mut symbols = if config.symbols.is_empty() {
        vec!["SPY".into()]
    } else {
        config.symbols.clone()
    };
    symbols.sort();
    symbols.dedup();
    let start = config.start.unwrap_or_else(|| day(2020, 1, 1));
    let end = config.end.unwrap_or_else(|| day(2024, 1, 1));
    let request = YahooRequest::new(symbols, start, end, config.cache.clone());
    let (mut prices, mut notices, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    for answer in download(&request) {
        match answer {
            Ok((symbol, own)) => {
                prices.push(symbol);
                notices.extend(own);
            }
            Err(error) => failures.push(error.to_string()),
        }
    }
    if failures.is_empty() {
        Ok((prices, notices))
    } else {
        Err(ExperimentError::Input(failures.join("; ")))
    }
}
