//! Price files as text: Yahoo's columns in any order and case, plain or gzip.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path};

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

use crate::{DataError, Prices, bars::{Bar, COLUMNS}};

/// Prices by symbol, and notices for the reader.
pub type PricesAndNotices = (Vec<Prices>, Vec<String>);

/// Reads a CSV file, gzip or not (told by its first bytes, not its name).
///
/// Needs `Date` (or `Datetime`), `Open`, `High`, `Low`, `Close` and `Volume`; without `Adj Close`, `Close` stands for it.
/// Dates are ISO or M/D/YYYY. A column `Symbol`, `Ticker` or `Name` divides the file into symbols.
pub fn read_csv(path: &Path) -> Result<PricesAndNotices, DataError> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(open(path)?);
    let read_error = |error: csv::Error| DataError::Read {
        path: path.into(),
        reason: error.to_string(),
    };
    let header: Vec<String> = reader.byte_headers().map_err(read_error)?.iter().map(text).collect();
    let places = Places::find(path, &header)?;
    let mut symbols: BTreeMap<String, Vec<Bar>> = BTreeMap::new();
    let mut record = csv::ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(read_error)? {
        let row = record.position().map_or(0, |position| position.line() as usize);
        if record.len() != header.len() {
            return Err(DataError::Ragged {
                path: path.into(),
                row,
                found: record.len(),
                expected: header.len(),
            });
        }
        let bar = places.bar(path, row, &record)?;
        let symbol = places.symbol.map_or_else(String::new, |column| text(&record[column]));
        match symbols.get_mut(&symbol) {
            Some(bars) => bars.push(bar),
            None => {
                symbols.insert(symbol, vec![bar]);
            }
        }
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

fn open(path: &Path) -> Result<Box<dyn Read>, DataError> {
    let error = |error: std::io::Error| DataError::Read {
        path: path.into(),
        reason: error.to_string(),
    };
    let mut file = File::open(path).map_err(error)?;
    let mut magic = Vec::new();
    file.by_ref().take(2).read_to_end(&mut magic).map_err(error)?;
    let whole = std::io::Cursor::new(magic.clone()).chain(file);
    if magic == [0x1f, 0x8b] {
        Ok(Box::new(flate2::read::MultiGzDecoder::new(whole)))
    } else {
        Ok(Box::new(whole))
    }
}

/// Where each column stands in the file.
pub(crate) struct Places {
    pub(crate) time: usize,
    pub(crate) values: [usize; 6],
    pub(crate) symbol: Option<usize>,
}

impl Places {
    /// Looks columns up by name, whatever their case and punctuation.
    pub(crate) fn find(path: &Path, header: &[String]) -> Result<Self, DataError> {
        let normal = |name: &str| -> String {
            let letters = name.chars().filter(|c| c.is_alphanumeric());
            letters.collect::<String>().to_lowercase()
        };
        let find = |names: &[&str]| header.iter().position(|column| names.contains(&normal(column).as_str()));
        let need = |names: &[&str], shown: &str| {
            find(names).ok_or_else(|| DataError::MissingColumn {
                path: path.into(),
                column: shown.into(),
                found: header.join(", "),
            })
        };
        let close = need(&["close"], "Close")?;
        Ok(Self {
            time: need(&["date", "datetime", "time", "timestamp"], "Date")?,
            values: [
                need(&["open"], "Open")?,
                need(&["high"], "High")?,
                need(&["low"], "Low")?,
                close,
                find(&["adjclose", "adjustedclose", "adjusted"]).unwrap_or(close),
                need(&["volume"], "Volume")?,
            ],
            symbol: find(&["symbol", "ticker", "name"]),
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
        let time = parse_time(&record[self.time])
            .ok_or_else(|| cell(self.time, "Date", "a date (YYYY-MM-DD or M/D/YYYY)"))?;
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

/// `YYYY-MM-DD` or `M/D/YYYY`, with an optional time of day; an offset from UTC is dropped, because rows are in local time.
pub(crate) fn parse_time(cell: &[u8]) -> Option<NaiveDateTime> {
    let text = std::str::from_utf8(cell).ok()?;
    let (date, time) = match text.split_once([' ', 'T']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let number = |part: &str, longest: usize| {
        let plain = !part.is_empty() && part.len() <= longest && part.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| part.parse::<u32>().ok()).flatten()
    };
    let mut parts = date.split(['-', '/']);
    let (a, b, c) = (parts.next()?, parts.next()?, parts.next()?);
    let (year, month, day) = if date.contains('-') { (a, b, c) } else { (c, a, b) };
    if parts.next().is_some() || year.len() < 4 {
        return None;
    }
    let date = NaiveDate::from_ymd_opt(number(year, 6)? as i32, number(month, 2)?, number(day, 2)?)?;
    let time = match time {
        None => NaiveTime::MIN,
        Some(time) => {
            let clock = time.split(['+', '-', 'Z']).next()?.split('.').next()?;
            let mut fields = clock.split(':');
            let (hour, minute) = (number(fields.next()?, 2)?, number(fields.next()?, 2)?);
            let second = fields.next().map_or(Some(0), |second| number(second, 2))?;
            NaiveTime::from_hms_opt(hour, minute, second)?
        }
    };
    Some(date.and_time(time))
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
            (HEADER.into(), "FILE: 0 rows are too few, expected at least 1 (the file has a header only)"),
            ("Date,Open,High,Low,Volume\n".into(), "FILE: column `Close` is missing; found: Date, Open, High, Low, Volume"),
            (row("2020-13-03,1,1,1,1,1,1"), "FILE: row 3, column `Date`: `2020-13-03` is not a date (YYYY-MM-DD or M/D/YYYY)"),
            (row("31/12/2020,1,1,1,1,1,1"), "FILE: row 3, column `Date`: `31/12/2020` is not a date (YYYY-MM-DD or M/D/YYYY)"),
            (row("2020-01-03,1,1,1,x,1,1"), "FILE: row 3, column `Close`: `x` is not a number"),
            (row("2020-01-03,1,1,1,,1,1"), "FILE: row 3, column `Close`: `` is not a number"),
            (row("2020-01-03,1,1,1,NaN,1,1"), "FILE: row 3, column `Close`: `NaN` is not a finite number"),
            (row("2020-01-03,1,1,1,inf,1,1"), "FILE: row 3, column `Close`: `inf` is not a finite number"),
            (row("2020-01-03,1,1,1,0,1,1"), "FILE: row 3, column `Close`: `0` is not a price, which is above zero"),
            (row("2020-01-03,1,-2,1,1,1,1"), "FILE: row 3, column `High`: `-2` is not a price, which is above zero"),
            (row("2020-01-03,1,1,1,1,1,-1"), "FILE: row 3, column `Volume`: `-1` is not a volume, which is zero or more"),
            (row("2020-01-03,1,1"), "FILE: row 3 has 3 fields, expected 7 as in the header"),
            (row("2020-01-02,1,1,1,1,1,1"), "FILE: rows 2 and 3 have the same date 2020-01-02; expected one row a date"),
        ];
        for (content, expected) in cases {
            assert_eq!(read(content.as_bytes()).unwrap_err(), expected);
        }
        assert!(read(&[0x1f, 0x8b, 1, 2, 3]).unwrap_err().starts_with("FILE: cannot be read: "));
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
            proptest::prop_assert_eq!(parse_time(iso.as_bytes()), Some(date.and_time(NaiveTime::MIN)));
            let american = date.format("%-m/%-d/%Y").to_string();
            let plain = !american.contains('+');
            if plain {
                proptest::prop_assert_eq!(parse_time(american.as_bytes()), Some(date.and_time(NaiveTime::MIN)));
            }
        }
    }
}
