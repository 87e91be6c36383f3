//! Price files as text: Yahoo's columns in any order and case, plain or gzip.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path};

use chrono::{NaiveDate, NaiveTime, TimeDelta};

use crate::{
    DataError, Prices,
    bars::{Bar, COLUMNS, Moment},
};

/// Prices by symbol, and notices for the reader.
pub type PricesAndNotices = (Vec<Prices>, Vec<String>);

/// Reads a price file: Parquet (by its first bytes or its name), gzip and plain text (by their first bytes).
pub fn read_prices(path: &Path) -> Result<PricesAndNotices, DataError> {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    let named = extension == "parquet" || extension == "pq";
    let mut magic = Vec::new();
    let start = File::open(path).and_then(|file| file.take(4).read_to_end(&mut magic));
    match start {
        Ok(_) if magic == *b"PAR1" || named => crate::read_parquet(path),
        _ => read_csv(path),
    }
}

/// Reads a CSV file, gzip or not (told by its first bytes, not its name).
///
/// Needs `Date` (or `Datetime`), `Open`, `High`, `Low`, `Close` and `Volume`; without `Adj Close`, `Close` stands for it.
/// Dates are ISO or M/D/YYYY. A column `Symbol`, `Ticker` or `Name` divides the file into symbols; so does the second header
/// line (`Ticker,SPY,..`) that yfinance writes.
pub fn read_csv(path: &Path) -> Result<PricesAndNotices, DataError> {
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .has_headers(false)
        .trim(csv::Trim::All)
        .from_reader(open(path)?);
    let mut record = csv::ByteRecord::new();
    let mut next = |record: &mut csv::ByteRecord| -> Result<Option<usize>, DataError> {
        let more = reader.read_byte_record(record).map_err(|error| DataError::Read {
            path: path.into(),
            reason: error.to_string(),
        })?;
        // The reader stands behind the line.
        let line = (reader.position().line() as usize).saturating_sub(1);
        Ok(more.then_some(line))
    };
    next(&mut record)?;
    // No text has such bytes, and a message should not print them.
    if record.iter().flatten().any(|&byte| byte < b'\t') {
        return Err(DataError::Read {
            path: path.into(),
            reason: "holds binary data, expected text, gzip or Parquet".into(),
        });
    }
    let header: Vec<String> = record.iter().map(text).collect();
    let mut row = next(&mut record)?;
    let tickers: Vec<String> = record.iter().map(text).collect();
    let names: Vec<(String, String)> =
        if header.first().is_some_and(|name| name == "Price") && tickers.first().is_some_and(|name| name == "Ticker") {
            row = next(&mut record)?;
            // The line that names the index: `Date,,,`.
            if record.iter().skip(1).all(<[u8]>::is_empty) {
                row = next(&mut record)?;
            }
            let pairs = header.iter().cloned().zip(tickers).skip(1);
            std::iter::once(("Date".to_string(), String::new()))
                .chain(pairs)
                .collect()
        } else {
            header.iter().map(|name| (name.clone(), String::new())).collect()
        };
    let layouts = Places::find(path, &names)?;
    let mut symbols: BTreeMap<String, Vec<Bar>> = BTreeMap::new();
    while let Some(line) = row {
        if record.len() != header.len() {
            return Err(DataError::Ragged {
                path: path.into(),
                row: line,
                found: record.len(),
                expected: header.len(),
            });
        }
        for (symbol, places) in &layouts {
            let bar = places.bar(path, line, &record)?;
            let symbol = places
                .symbol
                .map_or_else(|| symbol.clone(), |column| text(&record[column]));
            match symbols.get_mut(&symbol) {
                Some(bars) => bars.push(bar),
                None => {
                    symbols.insert(symbol, vec![bar]);
                }
            }
        }
        row = next(&mut record)?;
    }
    finish(path, symbols)
}

/// Sorts and checks each symbol's rows; a nameless symbol takes the file's stem.
pub(crate) fn finish(path: &Path, symbols: BTreeMap<String, Vec<Bar>>) -> Result<PricesAndNotices, DataError> {
    if symbols.is_empty() {
        return Err(DataError::TooFewRows {
            name: path.display().to_string(),
            found: 0,
            needed: 1,
            why: "the file has a header only".into(),
        });
    }
    let (mut all, mut notices) = (Vec::new(), Vec::new());
    for (symbol, bars) in symbols {
        let symbol = if symbol.is_empty() { stem(path) } else { symbol };
        let (prices, notice) = Bar::prices(&symbol, path, bars)?;
        all.push(prices);
        notices.extend(notice);
    }
    Ok((all, notices))
}

fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or("prices").to_string()
}

pub(crate) fn open(path: &Path) -> Result<Box<dyn Read>, DataError> {
    let error = |error: std::io::Error| DataError::Read {
        path: path.into(),
        reason: error.to_string(),
    };
    let mut file = File::open(path).map_err(error)?;
    let mut magic = Vec::new();
    file.by_ref().take(2).read_to_end(&mut magic).map_err(error)?;
    let whole = std::io::Cursor::new(magic.clone()).chain(file);
    if magic == [0x1f, 0x8b] {
        let inner = flate2::read::MultiGzDecoder::new(whole);
        Ok(Box::new(Lines { inner, last: b'\n' }))
    } else {
        Ok(Box::new(Lines {
            inner: whole,
            last: b'\n',
        }))
    }
}

/// Ends every line, the last one too, by a line feed alone: the reader counts lines by these.
struct Lines<R> {
    inner: R,
    last: u8,
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let read = self.inner.read(buffer)?;
            if read == 0 && self.last != b'\n' && !buffer.is_empty() {
                (self.last, buffer[0]) = (b'\n', b'\n');
                return Ok(1);
            }
            let mut kept = 0;
            for place in 0..read {
                if buffer[place] != b'\r' {
                    buffer[kept] = buffer[place];
                    kept += 1;
                }
            }
            if kept > 0 {
                self.last = buffer[kept - 1];
            }
            // Nothing kept of something read is not the end of the file.
            if kept > 0 || read == 0 {
                return Ok(kept);
            }
        }
    }
}

/// Where each column stands in the file.
pub(crate) struct Places {
    pub(crate) time: usize,
    pub(crate) values: [usize; 6],
    pub(crate) symbol: Option<usize>,
}

impl Places {
    /// Looks columns up by name, whatever their case and punctuation: one set of places a symbol. Each column has a name and,
    /// where the header says so, the symbol to which it belongs.
    pub(crate) fn find(path: &Path, header: &[(String, String)]) -> Result<Vec<(String, Self)>, DataError> {
        let mut owners: Vec<String> = header
            .iter()
            .map(|(_, symbol)| symbol.clone())
            .filter(|symbol| !symbol.is_empty())
            .collect();
        owners.sort();
        owners.dedup();
        if owners.is_empty() {
            return Ok(vec![(String::new(), Self::of(path, header, "")?)]);
        }
        owners
            .into_iter()
            .map(|owner| Ok((owner.clone(), Self::of(path, header, &owner)?)))
            .collect()
    }

    fn of(path: &Path, header: &[(String, String)], owner: &str) -> Result<Self, DataError> {
        let normal = |name: &str| -> String {
            let letters = name.chars().filter(|c| c.is_alphanumeric());
            letters.collect::<String>().to_lowercase()
        };
        let find = |owner: &str, names: &[&str]| {
            header
                .iter()
                .position(|(name, symbol)| symbol == owner && names.contains(&normal(name).as_str()))
        };
        let missing = |shown: &str| DataError::MissingColumn {
            path: path.into(),
            column: shown.into(),
            found: header
                .iter()
                .map(|(name, _)| name.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        };
        let need = |names: &[&str], shown: &str| find(owner, names).ok_or_else(|| missing(shown));
        let close = need(&["close"], "Close")?;
        let time = find("", &["date", "datetime", "time", "timestamp"])
            // pandas writes an index that has no name so.
            .or_else(|| find("", &["indexlevel0", "unnamed0", ""]));
        Ok(Self {
            time: time.ok_or_else(|| missing("Date"))?,
            values: [
                need(&["open"], "Open")?,
                need(&["high"], "High")?,
                need(&["low"], "Low")?,
                close,
                find(owner, &["adjclose", "adjustedclose", "adjusted"]).unwrap_or(close),
                need(&["volume"], "Volume")?,
            ],
            symbol: find("", &["symbol", "ticker", "name"]),
        })
    }

    fn bar(&self, path: &Path, row: usize, record: &csv::ByteRecord) -> Result<Bar, DataError> {
        let cell = |column: usize, name: &str, expected: &str| DataError::Cell {
            path: path.into(),
            row,
            column: name.into(),
            value: text(&record[column]),
            expected: expected.into(),
        };
        let time =
            parse_time(&record[self.time]).ok_or_else(|| cell(self.time, "Date", "a date (YYYY-MM-DD or M/D/YYYY)"))?;
        let mut values = [0.0; 6];
        for (index, value) in values.iter_mut().enumerate() {
            *value = std::str::from_utf8(&record[self.values[index]])
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| cell(self.values[index], COLUMNS[index], "a number"))?;
        }
        let bar = Bar { time, row, values };
        bar.check(path, |index| text(&record[self.values[index]]))?;
        Ok(bar)
    }
}

fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    // A cell in a message stays one line long; a byte-order mark is not part of the first name.
    text.trim_start_matches('\u{feff}').chars().take(80).collect()
}

/// `YYYY-MM-DD` or `M/D/YYYY`, with an optional time of day and offset from UTC.
pub(crate) fn parse_time(cell: &[u8]) -> Option<Moment> {
    let text = std::str::from_utf8(cell).ok()?;
    let (date, clock) = match text.split_once([' ', 'T']) {
        Some((date, clock)) => (date, Some(clock)),
        None => (text, None),
    };
    let mut parts = date.split(['-', '/']);
    let (a, b, c) = (parts.next()?, parts.next()?, parts.next()?);
    let (year, month, day) = if date.contains('-') { (a, b, c) } else { (c, a, b) };
    if parts.next().is_some() || year.len() < 4 {
        return None;
    }
    let date = NaiveDate::from_ymd_opt(number(year, 6)? as i32, number(month, 2)?, number(day, 2)?)?;
    let (time, offset) = match clock {
        None => (NaiveTime::MIN, 0),
        Some(clock) => match clock.find(['+', '-', 'Z']) {
            None => (parse_clock(clock)?, 0),
            Some(end) => (parse_clock(&clock[..end])?, parse_offset(&clock[end..])?),
        },
    };
    let local = date.and_time(time);
    let instant = local.checked_sub_signed(TimeDelta::seconds(offset))?;
    Some(Moment { local, instant })
}

fn number(part: &str, longest: usize) -> Option<u32> {
    let plain = !part.is_empty() && part.len() <= longest && part.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| part.parse().ok()).flatten()
}

/// `HH:MM`, `HH:MM:SS` or `HH:MM:SS.fraction`, whose fraction is dropped.
fn parse_clock(clock: &str) -> Option<NaiveTime> {
    let mut fields = clock.split('.').next()?.trim_end().split(':');
    let (hour, minute) = (number(fields.next()?, 2)?, number(fields.next()?, 2)?);
    let second = fields.next().map_or(Some(0), |second| number(second, 2))?;
    NaiveTime::from_hms_opt(hour, minute, second)
}

/// `Z`, `+HH:MM` or `-HHMM`, in seconds.
fn parse_offset(offset: &str) -> Option<i64> {
    let (sign, rest) = offset.split_at_checked(1)?;
    if sign == "Z" {
        return rest.is_empty().then_some(0);
    }
    let digits: String = rest.chars().filter(|c| *c != ':').collect();
    let (hours, minutes) = (
        number(digits.get(..2)?, 2)?,
        digits.get(2..4).map_or(Some(0), |m| number(m, 2))?,
    );
    let seconds = i64::from(hours) * 3600 + i64::from(minutes) * 60;
    Some(if sign == "-" { -seconds } else { seconds })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const HEADER: &str = "Date,Open,High,Low,Close,Adj Close,Volume\n";

    fn read(content: &[u8]) -> Result<PricesAndNotices, String> {
        let mut file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
        file.write_all(content).unwrap();
        read_csv(file.path()).map_err(|error| error.to_string().replace(&file.path().display().to_string(), "FILE"))
    }

    #[test]
    fn good_files() {
        let plain = format!("{HEADER}1/4/1999,1,2,.5,1.5,1.4,10\n1/5/1999,1.5,2,1,1.75,1.7,0\n");
        let gz = {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(plain.as_bytes()).unwrap();
            encoder.finish().unwrap()
        };
        let shuffled = "VOLUME,adj_close,close,LOW,high,open,date\n10,1.4,1.5,.5,2,1,1999-01-04\n0,1.7,1.75,1,2,1.5,1999-01-05 00:00:00-05:00\n";
        let marked = format!("\u{feff}{plain}");
        let crlf = plain.replace('\n', "\r\n");
        let expected = read(plain.as_bytes()).unwrap().0;
        assert_eq!(expected[0].close, [1.5, 1.75]);
        assert_eq!(expected[0].adjusted, [1.4, 1.7]);
        for content in [&gz[..], shuffled.as_bytes(), marked.as_bytes(), crlf.as_bytes()] {
            let mut found = read(content).unwrap().0;
            found[0].symbol.clone_from(&expected[0].symbol);
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn files_as_yfinance_and_pandas_write_them() {
        let two = "Price,Close,Close,High,High,Low,Low,Open,Open,Volume,Volume\nTicker,QQQ,SPY,QQQ,SPY,QQQ,SPY,QQQ,SPY,QQQ,SPY\nDate,,,,,,,,,,\n2020-01-02,2,3,2,3,2,3,2,3,7,8\n";
        let (prices, _) = read(two.as_bytes()).unwrap();
        assert_eq!(
            prices
                .iter()
                .map(|p| (p.symbol.as_str(), p.close[0], p.volume[0]))
                .collect::<Vec<_>>(),
            [("QQQ", 2.0, 7.0), ("SPY", 3.0, 8.0)]
        );
        let unnamed = ",Open,High,Low,Close,Volume\n2020-01-02,1,1,1,1,1\n";
        assert_eq!(read(unnamed.as_bytes()).unwrap().0[0].len(), 1);
        // The hour that the clock shows twice when summer ends.
        let autumn = "Datetime,Open,High,Low,Close,Volume\n2020-11-01 01:00:00-04:00,1,1,1,1,1\n2020-11-01 01:00:00-05:00,1,1,1,2,1\n";
        assert_eq!(read(autumn.as_bytes()).unwrap().0[0].close, [1.0, 2.0]);
    }

    #[test]
    fn symbols_and_order() {
        let content = "date,open,high,low,close,volume,Name\n2020-01-03,1,1,1,2,1,B\n2020-01-02,1,1,1,3,1,B\n2020-01-02,1,1,1,4,1,A\n";
        let (prices, notices) = read(content.as_bytes()).unwrap();
        assert_eq!(prices.iter().map(|p| p.symbol.as_str()).collect::<Vec<_>>(), ["A", "B"]);
        assert_eq!(prices[1].close, [3.0, 2.0]);
        assert_eq!(prices[1].adjusted, prices[1].close);
        assert_eq!(notices.len(), 1);
    }

    #[test]
    fn bad_files_name_the_place() {
        let row = |row: &str| format!("{HEADER}2020-01-02,1,1,1,1,1,1\n{row}\n");
        let cases = [
            (String::new(), "FILE: column `Close` is missing; found: "),
            (
                "\u{7f}ELF\u{2}\u{1}\u{0}\u{0},Close".into(),
                "FILE: cannot be read: holds binary data, expected text, gzip or Parquet",
            ),
            (
                HEADER.into(),
                "FILE: 0 rows are too few, expected at least 1 (the file has a header only)",
            ),
            (
                "Date,Open,High,Low,Volume\n".into(),
                "FILE: column `Close` is missing; found: Date, Open, High, Low, Volume",
            ),
            (
                row("2020-13-03,1,1,1,1,1,1"),
                "FILE: row 3, column `Date`: `2020-13-03` is not a date (YYYY-MM-DD or M/D/YYYY)",
            ),
            (
                row("31/12/2020,1,1,1,1,1,1"),
                "FILE: row 3, column `Date`: `31/12/2020` is not a date (YYYY-MM-DD or M/D/YYYY)",
            ),
            (
                row("2020-01-03,1,1,1,x,1,1"),
                "FILE: row 3, column `Close`: `x` is not a number",
            ),
            (
                row("2020-01-03,1,1,1,,1,1"),
                "FILE: row 3, column `Close`: `` is not a number",
            ),
            (
                row("2020-01-03,1,1,1,NaN,1,1"),
                "FILE: row 3, column `Close`: `NaN` is not a finite number",
            ),
            (
                row("2020-01-03,1,1,1,inf,1,1"),
                "FILE: row 3, column `Close`: `inf` is not a finite number",
            ),
            (
                row("2020-01-03,1,1,1,0,1,1"),
                "FILE: row 3, column `Close`: `0` is not a price, which is above zero",
            ),
            (
                row("2020-01-03,1,-2,1,1,1,1"),
                "FILE: row 3, column `High`: `-2` is not a price, which is above zero",
            ),
            (
                row("2020-01-03,1,1,1,1,1,-1"),
                "FILE: row 3, column `Volume`: `-1` is not a volume, which is zero or more",
            ),
            (
                row("2020-01-03,1,1"),
                "FILE: row 3 has 3 fields, expected 7 as in the header",
            ),
            (
                row("2020-01-02,1,1,1,1,1,1"),
                "FILE: rows 2 and 3 have the same date 2020-01-02; expected one row a date",
            ),
        ];
        for (content, expected) in cases {
            assert_eq!(read(content.as_bytes()).unwrap_err(), expected);
            // Line ends of another system, and a last line without one, change no row number.
            assert_eq!(read(content.replace('\n', "\r\n").as_bytes()).unwrap_err(), expected);
            assert_eq!(read(content.trim_end_matches('\n').as_bytes()).unwrap_err(), expected);
        }
        let blank = format!("{HEADER}\n\n2020-01-02,1,1,1,x,1,1\n");
        assert_eq!(
            read(blank.as_bytes()).unwrap_err(),
            "FILE: row 4, column `Close`: `x` is not a number"
        );
        assert!(
            read(&[0x1f, 0x8b, 1, 2, 3])
                .unwrap_err()
                .starts_with("FILE: cannot be read: ")
        );
        let absent = read_csv(Path::new("/nowhere/prices.csv")).unwrap_err().to_string();
        assert!(absent.starts_with("/nowhere/prices.csv: cannot be read: "), "{absent}");
    }

    proptest::proptest! {
        /// Whatever the bytes, the answer is prices or a sentence, never a panic.
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200), with_header: bool) {
            let mut content = if with_header { HEADER.as_bytes().to_vec() } else { Vec::new() };
            content.extend(bytes);
            let _ = read(&content);
        }

        #[test]
        fn dates_round_trip(days in 0i32..2_900_000) {
            let date = NaiveDate::from_num_days_from_ce_opt(days + 366_000).unwrap();
            let iso = date.to_string();
            proptest::prop_assert_eq!(parse_time(iso.as_bytes()).map(|t| t.local), Some(date.and_time(NaiveTime::MIN)));
            let american = date.format("%-m/%-d/%Y").to_string();
            let plain = !american.contains('+');
            if plain {
                proptest::prop_assert_eq!(parse_time(american.as_bytes()).map(|t| t.local), Some(date.and_time(NaiveTime::MIN)));
            }
        }
    }
}
