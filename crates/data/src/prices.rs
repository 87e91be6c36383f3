//! Daily (or intraday) prices of one symbol, checked.

use chrono::NaiveDateTime;

use crate::DataError;

/// One row a time, strictly increasing; every price is positive and finite, every volume finite and not negative.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prices {
    /// The symbol, or the file's stem.
    pub symbol: String,
    /// Local time at the exchange; midnight for daily rows.
    pub times: Vec<NaiveDateTime>,
    /// Opening price.
    pub open: Vec<f64>,
    /// Highest price.
    pub high: Vec<f64>,
    /// Lowest price.
    pub low: Vec<f64>,
    /// Closing price.
    pub close: Vec<f64>,
    /// Closing price adjusted for splits and dividends.
    pub adjusted: Vec<f64>,
    /// Shares traded.
    pub volume: Vec<f64>,
}

/// The numeric columns in the order of [`Bar`], with Yahoo's names.
pub(crate) const COLUMNS: [&str; 6] = ["Open", "High", "Low", "Close", "Adj Close", "Volume"];

/// One row while it is read: `COLUMNS` in order, and where it stood.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bar {
    pub(crate) time: NaiveDateTime,
    pub(crate) row: usize,
    pub(crate) values: [f64; 6],
}

impl Prices {
    /// Rows.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// The first `rows` rows, as somebody would have seen them then.
    #[must_use]
    pub fn prefix(&self, rows: usize) -> Self {
        let cut = |values: &Vec<f64>| values[..rows].to_vec();
        Self {
            symbol: self.symbol.clone(),
            times: self.times[..rows].to_vec(),
            open: cut(&self.open),
            high: cut(&self.high),
            low: cut(&self.low),
            close: cut(&self.close),
            adjusted: cut(&self.adjusted),
            volume: cut(&self.volume),
        }
    }

    /// Keeps the rows with `start <= time < end`, either of which may be absent.
    pub fn clip(&mut self, start: Option<NaiveDateTime>, end: Option<NaiveDateTime>) {
        let first = start.map_or(0, |start| self.times.partition_point(|&t| t < start));
        let last = end.map_or(self.len(), |end| self.times.partition_point(|&t| t < end)).max(first);
        let cut = |values: &mut Vec<f64>| *values = values[first..last].to_vec();
        self.times = self.times[first..last].to_vec();
        for column in [
            &mut self.open,
            &mut self.high,
            &mut self.low,
            &mut self.close,
            &mut self.adjusted,
            &mut self.volume,
        ] {
            cut(column);
        }
    }

    /// Sorts and checks what was read. Returns a notice if rows were out of order.
    pub(crate) fn from_bars(
        symbol: &str,
        path: &std::path::Path,
        mut bars: Vec<Bar>,
    ) -> Result<(Self, Option<String>), DataError> {
        let sorted = bars.is_sorted_by_key(|bar| bar.time);
        if !sorted {
            bars.sort_by_key(|bar| bar.time);
        }
        if let Some(pair) = bars.windows(2).find(|pair| pair[0].time == pair[1].time) {
            return Err(DataError::DuplicateTime {
                path: path.into(),
                first: pair[0].row.min(pair[1].row),
                second: pair[0].row.max(pair[1].row),
                time: format_time(pair[0].time),
            });
        }
        let column = |index: usize| bars.iter().map(|bar| bar.values[index]).collect();
        let prices = Self {
            symbol: symbol.into(),
            times: bars.iter().map(|bar| bar.time).collect(),
            open: column(0),
            high: column(1),
            low: column(2),
            close: column(3),
            adjusted: column(4),
            volume: column(5),
        };
        let notice = (!sorted).then(|| format!("{}: dates were not in order; they were sorted", path.display()));
        Ok((prices, notice))
    }
}

impl Bar {
    /// Checks one row: `cell` gives the text of column `index` for the message.
    pub(crate) fn check(&self, path: &std::path::Path, cell: impl Fn(usize) -> String) -> Result<(), DataError> {
        for (index, &value) in self.values.iter().enumerate() {
            let expected = match (index, value) {
                (_, v) if !v.is_finite() => "a finite number",
                (5, v) if v < 0.0 => "a volume, which is zero or more",
                (0..=4, v) if v <= 0.0 => "a price, which is above zero",
                _ => continue,
            };
            return Err(DataError::Cell {
                path: path.into(),
                row: self.row,
                column: COLUMNS[index].into(),
                value: cell(index),
                expected: expected.into(),
            });
        }
        Ok(())
    }
}

/// ISO date, with the time of day where it is not midnight.
pub fn format_time(time: NaiveDateTime) -> String {
    if time.time() == chrono::NaiveTime::MIN {
        time.date().to_string()
    } else {
        time.format("%Y-%m-%d %H:%M:%S").to_string()
    }
}
