//! Daily (or intraday) prices of one symbol, checked.

use chrono::NaiveDateTime;

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
        let last = end
            .map_or(self.len(), |end| self.times.partition_point(|&t| t < end))
            .max(first);
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
}

/// ISO date, with the time of day where it is not midnight.
pub fn format_time(time: NaiveDateTime) -> String {
    if time.time() == chrono::NaiveTime::MIN {
        time.date().to_string()
    } else {
        time.format("%Y-%m-%d %H:%M:%S").to_string()
    }
}
