//! Live prices from Yahoo, through `yahoo_finance_api` on tokio, with a Parquet cache.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta};
use time::OffsetDateTime;
use tokio::task::JoinSet;
use yahoo_finance_api::{YahooConnector, YahooConnectorBuilder, YahooError};

use crate::{DataError, Prices, Seed, parquet_prices};

/// What to download, and how patiently.
#[derive(Clone, Debug)]
pub struct YahooRequest {
    /// Symbols, as Yahoo spells them.
    pub symbols: Vec<String>,
    /// First day, included.
    pub start: NaiveDate,
    /// Last day, not included.
    pub end: NaiveDate,
    /// Where downloads are kept as Parquet.
    pub cache: PathBuf,
    /// A cached file younger than this is used without asking.
    pub fresh: Duration,
    /// Time limit of one request.
    pub timeout: Duration,
    /// First pause after a refusal; doubles each time, times a jitter in [0.5, 1.5).
    pub pause: Duration,
}

impl YahooRequest {
    /// The usual patience: cache for a day, 20 seconds a request, first pause one second.
    pub fn new(symbols: Vec<String>, start: NaiveDate, end: NaiveDate, cache: PathBuf) -> Self {
        Self {
            symbols,
            start,
            end,
            cache,
            fresh: Duration::from_hours(24),
            timeout: Duration::from_secs(20),
            pause: Duration::from_secs(1),
        }
    }
}

/// Requests that one symbol may cost, the connector's own retry included.
const REQUESTS: u32 = 4;
const CONCURRENT: usize = 4;

/// Prices of one symbol, and a notice where they are not fresh or not complete.
pub type Download = Result<(Prices, Vec<String>), DataError>;

/// Downloads every symbol, several at a time. One answer a symbol, in the order asked; a failure never becomes other data.
pub fn download(request: &YahooRequest) -> Vec<Download> {
    let client = reqwest::Client::builder()
        .user_agent("Mozilla/5.0 (compatible; disentangle)")
        .timeout(request.timeout)
        .https_only(true)
        .build();
    match client {
        Ok(client) => download_with(request, &client),
        Err(error) => request
            .symbols
            .iter()
            .map(|symbol| Err(failed(symbol, &reason(&error))))
            .collect(),
    }
}

fn download_with(request: &YahooRequest, client: &reqwest::Client) -> Vec<Download> {
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return request
                .symbols
                .iter()
                .map(|symbol| Err(failed(symbol, &error)))
                .collect();
        }
    };
    runtime.block_on(async {
        let mut answers: Vec<Option<Download>> = request.symbols.iter().map(|_| None).collect();
        let mut tasks = JoinSet::new();
        let mut waiting = request.symbols.iter().cloned().enumerate();
        loop {
            while tasks.len() < CONCURRENT
                && let Some((index, symbol)) = waiting.next()
            {
                let (request, client) = (request.clone(), client.clone());
                tasks.spawn(async move { (index, one(&request, client, &symbol).await) });
            }
            match tasks.join_next().await {
                Some(Ok((index, answer))) => answers[index] = Some(answer),
                Some(Err(_)) => {}
                None => break,
            }
        }
        let unanswered = |symbol: &String| Err(failed(symbol, &"the download task stopped"));
        let pairs = answers.into_iter().zip(&request.symbols);
        pairs
            .map(|(answer, symbol)| answer.unwrap_or_else(|| unanswered(symbol)))
            .collect()
    })
}

async fn one(request: &YahooRequest, client: reqwest::Client, symbol: &str) -> Download {
    let path = cache_path(request, symbol);
    let age = age(&path);
    if age.is_some_and(|age| age < request.fresh) {
        let notice = format!("symbol `{symbol}`: from the cache, {}", path.display());
        return cached(&path, symbol).map(|prices| (prices, vec![notice]));
    }
    let connector = YahooConnectorBuilder::build_with_client(client).map_err(|error| explain(symbol, &error))?;
    match fetch(request, &connector, symbol).await {
        Ok((prices, notices)) => {
            std::fs::create_dir_all(&request.cache).map_err(|error| DataError::Write {
                path: request.cache.clone(),
                reason: error.to_string(),
            })?;
            parquet_prices::write_parquet(&path, &prices)?;
            Ok((prices, notices))
        }
        Err(error) => match age {
            None => Err(error),
            Some(age) => {
                let notice = format!(
                    "{error}; used {} instead, {:.1} days old",
                    path.display(),
                    age.as_secs_f64() / 86400.0
                );
                Ok((cached(&path, symbol)?, vec![notice]))
            }
        },
    }
}

fn cached(path: &Path, symbol: &str) -> Result<Prices, DataError> {
    let (mut prices, _) = parquet_prices::read_parquet(path)?;
    let mut prices = prices
        .pop()
        .ok_or_else(|| failed(symbol, &"the cached file holds no prices"))?;
    prices.symbol = symbol.into();
    Ok(prices)
}

/// Asks until it works, the budget of requests is spent, or asking again cannot help.
async fn fetch(request: &YahooRequest, connector: &YahooConnector, symbol: &str) -> Download {
    let at = |day: NaiveDate| {
        let seconds = day.and_time(NaiveTime::MIN).and_utc().timestamp();
        OffsetDateTime::from_unix_timestamp(seconds).map_err(|error| failed(symbol, &error))
    };
    let (start, end) = (at(request.start)?, at(request.end)?);
    let clock = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let mut jitter = Seed::new(clock.as_nanos() as u64).child(symbol).rng();
    let (mut spent, mut pause) = (0, request.pause);
    loop {
        let error = match connector.get_quote_history(symbol, start, end).await {
            Ok(response) => return prices(symbol, &response),
            Err(error) => error,
        };
        // The connector itself asks a second time at once after these three.
        let cost = match error {
            YahooError::ServerError(_) | YahooError::HtmlResponse | YahooError::EmptyResponse => 2,
            YahooError::TooManyRequests(_) | YahooError::ConnectionFailed(_) => 1,
            other => return Err(explain(symbol, &other)),
        };
        spent += cost;
        if spent + cost > REQUESTS {
            return Err(explain(symbol, &error));
        }
        tokio::time::sleep(pause.mul_f64(0.5 + jitter.uniform())).await;
        pause *= 2;
    }
}

fn prices(symbol: &str, response: &yahoo_finance_api::YResponse) -> Download {
    let quotes = response.quotes().map_err(|error| explain(symbol, &error))?;
    let offset = response.metadata().map_err(|error| explain(symbol, &error))?.gmtoffset;
    let sent = response
        .chart
        .result
        .as_ref()
        .and_then(|blocks| blocks.first()?.timestamp.as_ref().map(Vec::len));
    let mut prices = Prices {
        symbol: symbol.into(),
        ..Prices::default()
    };
    for quote in &quotes {
        let values = [quote.open, quote.high, quote.low, quote.close, quote.adjclose];
        // The connector writes 0 for a field that Yahoo left out.
        if values.iter().any(|value| *value <= 0.0 || !value.is_finite()) {
            continue;
        }
        let time = DateTime::from_timestamp(quote.timestamp + i64::from(offset), 0)
            .ok_or_else(|| failed(symbol, &format!("timestamp {} is out of range", quote.timestamp)))?;
        // Where the day begins at midnight, the offset of today puts a day of the other half of the year at 23:00 of the day before.
        let day = (time + TimeDelta::hours(2)).date_naive().and_time(NaiveTime::MIN);
        if prices.times.last().is_some_and(|&last| last >= day) {
            // While the market is open, Yahoo repeats the current day as a live row.
            continue;
        }
        prices.times.push(day);
        prices.open.push(quote.open);
        prices.high.push(quote.high);
        prices.low.push(quote.low);
        prices.close.push(quote.close);
        prices.adjusted.push(quote.adjclose);
        prices.volume.push(quote.volume as f64);
    }
    if prices.is_empty() {
        return Err(failed(symbol, &"Yahoo sent no complete rows for these dates"));
    }
    let dropped = sent.unwrap_or(0).saturating_sub(prices.len());
    let notice = (dropped > 0)
        .then(|| format!("symbol `{symbol}`: {dropped} incomplete or repeated rows from Yahoo were left out"));
    Ok((prices, notice.into_iter().collect()))
}

fn cache_path(request: &YahooRequest, symbol: &str) -> PathBuf {
    // `^GSPC` and `BRK-B` stay readable; nothing else can name a path.
    let name: String = symbol
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "^-=".contains(c) {
                c.to_string()
            } else {
                format!("%{:x}", c as u32)
            }
        })
        .collect();
    request
        .cache
        .join(format!("{name}_{}_{}.parquet", request.start, request.end))
}

fn age(path: &Path) -> Option<Duration> {
    let modified = std::fs::metadata(path).ok()?.modified().ok()?;
    Some(SystemTime::now().duration_since(modified).unwrap_or_default())
}

fn failed(symbol: &str, reason: &dyn std::fmt::Display) -> DataError {
    DataError::Download {
        symbol: symbol.into(),
        reason: reason.to_string(),
    }
}

fn explain(symbol: &str, error: &YahooError) -> DataError {
    let text = match error {
        YahooError::ApiError(message) => {
            let description = message.description.as_deref().unwrap_or("no reason given");
            format!("Yahoo refused it: {description}; expected a symbol as Yahoo spells it")
        }
        YahooError::FetchFailed(message) if message.starts_with("404") => {
            "Yahoo does not know it (404); expected a symbol as Yahoo spells it".into()
        }
        YahooError::NoResult | YahooError::NoQuotes => "Yahoo has no prices for these dates".into(),
        YahooError::TooManyRequests(_) => {
            format!("Yahoo limits the rate of requests (429), also after {REQUESTS} requests; try again later")
        }
        YahooError::ServerError(_) => {
            format!("Yahoo's server failed (5xx), also after {REQUESTS} requests; try again later")
        }
        YahooError::HtmlResponse => "Yahoo sent a web page instead of data; try again later".into(),
        YahooError::EmptyResponse => "Yahoo sent an empty answer; try again later".into(),
        YahooError::ConnectionFailed(error) => format!("no connection to Yahoo: {}", reason(error)),
        YahooError::DeserializeFailed(error) => {
            format!("Yahoo's answer is not in its chart format: {error}")
        }
        other => other.to_string(),
    };
    failed(symbol, &text)
}

// The outer error says that a request failed; the innermost says why.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "the time limit was reached".into();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
