//! Price files as Parquet, in and out.

use std::{collections::BTreeMap, fs::File, path::Path};

use chrono::DateTime;
use polars::prelude::*;

use crate::{
    DataError, Prices,
    bars::{Bar, COLUMNS, Moment},
    csv_prices::{Places, PricesAndNotices, finish, parse_time},
    write_frame,
};

/// Reads a Parquet file with Yahoo's columns. `Date` may be a date, a timestamp or text; rows are counted from 1.
pub fn read_parquet(path: &Path) -> Result<PricesAndNotices, DataError> {
    // Polars adds hints on further lines.
    let read_error = |reason: String| DataError::Read {
        path: path.into(),
        reason: reason.lines().next().unwrap_or_default().into(),
    };
    let file = File::open(path).map_err(|error| read_error(error.to_string()))?;
    let frame = ParquetReader::new(file)
        .finish()
        .map_err(|error| read_error(error.to_string()))?;
    parse(path, &frame, &read_error)
}

/// Reads Parquet from memory; `name` stands for the path in messages.
pub fn parse_parquet(name: &str, bytes: &[u8]) -> Result<PricesAndNotices, DataError> {
    let path = Path::new(name);
    // Polars adds hints on further lines.
    let read_error = |reason: String| DataError::Read {
        path: path.into(),
        reason: reason.lines().next().unwrap_or_default().into(),
    };
    let cursor = std::io::Cursor::new(bytes);
    let frame = ParquetReader::new(cursor)
        .finish()
        .map_err(|error| read_error(error.to_string()))?;
    parse(path, &frame, &read_error)
}

fn parse(
    path: &Path,
    frame: &DataFrame,
    read_error: &dyn Fn(String) -> DataError,
) -> Result<PricesAndNotices, DataError> {
    let header: Vec<(String, String)> = frame.get_column_names().iter().map(|name| pair(name)).collect();
    let mut symbols: BTreeMap<String, Vec<Bar>> = BTreeMap::new();
    for (owner, places) in Places::find(path, &header)? {
        let times = times(path, &frame.columns()[places.time])?;
        let mut values = Vec::with_capacity(6);
        for (index, &place) in places.values.iter().enumerate() {
            values.push(numbers(path, &frame.columns()[place], COLUMNS[index])?);
        }
        let names = match places.symbol {
            None => None,
            Some(place) => Some(
                frame.columns()[place]
                    .cast(&DataType::String)
                    .map_err(|e| read_error(e.to_string()))?,
            ),
        };
        for (index, &time) in times.iter().enumerate() {
            let bar = Bar {
                time,
                row: index + 1,
                values: std::array::from_fn(|column| values[column][index]),
            };
            bar.check(path, |column| bar.values[column].to_string())?;
            let symbol = match &names {
                None => owner.clone(),
                Some(names) => names
                    .str()
                    .ok()
                    .and_then(|s| s.get(index))
                    .unwrap_or_default()
                    .to_string(),
            };
            symbols.entry(symbol).or_default().push(bar);
        }
    }
    finish(path, symbols)
}

/// `('Close', 'SPY')`, as pandas writes columns with two levels, as name and symbol.
fn pair(name: &str) -> (String, String) {
    let inner = name
        .strip_prefix("('")
        .and_then(|rest| rest.strip_suffix("')"))
        .and_then(|inner| inner.split_once("', '"));
    inner.map_or_else(
        || (name.into(), String::new()),
        |(name, symbol)| (name.into(), symbol.into()),
    )
}

fn numbers(path: &Path, column: &Column, name: &str) -> Result<Vec<f64>, DataError> {
    let cell = |row: usize, value: String| DataError::Cell {
        path: path.into(),
        row,
        column: name.into(),
        value,
        expected: "a number".into(),
    };
    let number = column.dtype().is_primitive_numeric() || column.dtype().is_decimal();
    if !number {
        return Err(cell(1, format!("{:?}", column.dtype())));
    }
    let cast = column
        .cast(&DataType::Float64)
        .map_err(|_| cell(1, format!("{:?}", column.dtype())))?;
    let values = cast.f64().map_err(|_| cell(1, format!("{:?}", column.dtype())))?;
    values
        .iter()
        .enumerate()
        .map(|(row, value)| value.ok_or_else(|| cell(row + 1, "null".into())))
        .collect()
}

fn times(path: &Path, column: &Column) -> Result<Vec<Moment>, DataError> {
    let cell = |row: usize, value: String| DataError::Cell {
        path: path.into(),
        row,
        column: "Date".into(),
        value,
        expected: "a date, a timestamp, or text as YYYY-MM-DD or M/D/YYYY".into(),
    };
    let null = |row: usize| cell(row + 1, "null".into());
    match column.dtype() {
        DataType::String => {
            let texts = column.str().map_err(|_| null(0))?;
            let parsed = texts.iter().enumerate().map(|(row, text)| {
                let text = text.ok_or_else(|| null(row))?;
                parse_time(text.as_bytes()).ok_or_else(|| cell(row + 1, text.into()))
            });
            parsed.collect()
        }
        DataType::Date | DataType::Datetime(_, _) => {
            let zone = match column.dtype() {
                DataType::Datetime(_, Some(zone)) => {
                    let name = zone.to_string();
                    Some(
                        name.parse::<chrono_tz::Tz>()
                            .map_err(|_| cell(1, format!("time zone {name}")))?,
                    )
                }
                _ => None,
            };
            let micros = column
                .cast(&DataType::Datetime(TimeUnit::Microseconds, None))
                .map_err(|_| null(0))?;
            let micros = micros.cast(&DataType::Int64).map_err(|_| null(0))?;
            let parsed = micros
                .i64()
                .map_err(|_| null(0))?
                .iter()
                .enumerate()
                .map(|(row, value)| {
                    let value = value.ok_or_else(|| null(row))?;
                    let time =
                        DateTime::from_timestamp_micros(value).ok_or_else(|| cell(row + 1, value.to_string()))?;
                    // An instant with a zone is shown by the clock of that zone: its weekday is the exchange's.
                    let local = zone.map_or_else(|| time.naive_utc(), |zone| time.with_timezone(&zone).naive_local());
                    Ok(Moment {
                        local,
                        instant: time.naive_utc(),
                    })
                });
            parsed.collect()
        }
        other => Err(cell(1, format!("{other:?}"))),
    }
}

/// Writes prices with Yahoo's columns, by rename: a reader never sees half a file.
pub fn write_parquet(path: &Path, prices: &Prices) -> Result<(), DataError> {
    let write_error = |reason: String| DataError::Write {
        path: path.into(),
        reason,
    };
    let micros: Vec<i64> = prices.times.iter().map(|t| t.and_utc().timestamp_micros()).collect();
    let times = Column::new("Date".into(), micros)
        .cast(&DataType::Datetime(TimeUnit::Microseconds, None))
        .map_err(|error| write_error(error.to_string()))?;
    let columns = [
        &prices.open,
        &prices.high,
        &prices.low,
        &prices.close,
        &prices.adjusted,
        &prices.volume,
    ];
    let values = COLUMNS
        .iter()
        .zip(columns)
        .map(|(name, values)| Column::new((*name).into(), values.as_slice()));
    let mut frame = DataFrame::new(prices.len(), std::iter::once(times).chain(values).collect())
        .map_err(|error| write_error(error.to_string()))?;

    write_frame(path, &mut frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{MarketConfig, simulate};

    #[test]
    fn round_trip() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("SIMULATED.parquet");
        let prices = simulate(&MarketConfig::default());
        write_parquet(&path, &prices).unwrap();
        let (found, notices) = read_parquet(&path).unwrap();
        assert_eq!(found, [prices]);
        assert!(notices.is_empty());
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no temporary file stays"
        );
    }

    #[test]
    fn zones_keep_their_clock_and_pairs_are_symbols() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tz.parquet");
        let read = |zone: &str, instant: i64, names: [&str; 5]| {
            let zone = TimeZone::opt_try_new(Some(zone)).unwrap();
            let time = Column::new("Date".into(), [instant])
                .cast(&DataType::Datetime(TimeUnit::Nanoseconds, zone))
                .unwrap();
            let values = names.map(|name| Column::new(name.into(), [2i64]));
            let mut frame = DataFrame::new_infer_height(std::iter::once(time).chain(values).collect()).unwrap();
            ParquetWriter::new(File::create(&path).unwrap())
                .finish(&mut frame)
                .unwrap();
            crate::read_prices(&path).unwrap().0.remove(0)
        };
        let plain = ["Open", "High", "Low", "Close", "Volume"];
        // Midnight of 2020-01-06 in Tokyo is 15:00 of the day before in Greenwich; in New York it is 05:00.
        let tokyo = read("Asia/Tokyo", 1_578_236_400_000_000_000, plain);
        assert_eq!(tokyo.times[0].to_string(), "2020-01-06 00:00:00");
        let pairs = [
            "('Open', 'SPY')",
            "('High', 'SPY')",
            "('Low', 'SPY')",
            "('Close', 'SPY')",
            "('Volume', 'SPY')",
        ];
        let new_york = read("America/New_York", 1_578_286_800_000_000_000, pairs);
        assert_eq!(
            (new_york.times[0].to_string().as_str(), new_york.symbol.as_str()),
            ("2020-01-06 00:00:00", "SPY")
        );
    }

    #[test]
    fn decimals_are_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d.parquet");
        let mut columns = vec![Column::new("Date".into(), ["2020-01-02", "2020-01-03"])];
        columns.extend(["Open", "High", "Low", "Close", "Volume"].map(|name| {
            let values = Column::new(name.into(), [2.5, 1234.0625]);
            values.cast(&DataType::Decimal(12, 4)).unwrap()
        }));
        let mut frame = DataFrame::new_infer_height(columns).unwrap();
        let written = ParquetWriter::new(File::create(&path).unwrap()).finish(&mut frame);
        written.unwrap();
        assert_eq!(read_parquet(&path).unwrap().0[0].close, [2.5, 1234.0625]);
    }

    fn check(columns: Vec<Column>, expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.parquet");
        let mut frame = DataFrame::new_infer_height(columns).unwrap();
        ParquetWriter::new(File::create(&path).unwrap())
            .finish(&mut frame)
            .unwrap();
        let error = read_parquet(&path).unwrap_err().to_string();
        assert_eq!(error.replace(&path.display().to_string(), "FILE"), expected);
    }

    #[test]
    fn bad_files_name_the_place() {
        let number = |name: &str, value: Option<f64>| Column::new(name.into(), &[Some(1.0), value]);
        let columns = |dates: [&str; 2], close: Option<f64>| {
            let mut columns = vec![Column::new("date".into(), dates)];
            columns.extend(["open", "high", "low", "volume"].map(|name| number(name, Some(1.0))));
            columns.push(number("close", close));
            columns
        };
        let days = ["2020-01-02", "2020-01-03"];
        check(
            columns(days, None),
            "FILE: row 2, column `Close`: `null` is not a number",
        );
        check(
            columns(days, Some(f64::NAN)),
            "FILE: row 2, column `Close`: `NaN` is not a finite number",
        );
        check(
            columns(days, Some(-1.0)),
            "FILE: row 2, column `Close`: `-1` is not a price, which is above zero",
        );
        check(
            columns(["2020-01-02", "soon"], Some(1.0)),
            "FILE: row 2, column `Date`: `soon` is not a date, a timestamp, or text as YYYY-MM-DD or M/D/YYYY",
        );
        check(
            columns(days, Some(1.0))[..5].to_vec(),
            "FILE: column `Close` is missing; found: date, open, high, low, volume",
        );
        let mut texts = columns(days, Some(1.0));
        texts[5] = Column::new("close".into(), ["1", "2"]);
        check(texts, "FILE: row 1, column `Close`: `String` is not a number");
        assert!(
            parse_parquet("memory", b"PAR1 not really")
                .unwrap_err()
                .to_string()
                .starts_with("memory: cannot be read: ")
        );
    }
}
