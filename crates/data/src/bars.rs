//! Rows of a price file while they are read and checked.

use std::path::Path;

use chrono::NaiveDateTime;

use crate::{DataError, Prices, format_time};

/// The numeric columns in the order of [`Bar`], with Yahoo's names.
pub(crate) const COLUMNS: [&str; 6] = ["Open", "High", "Low", "Close", "Adj Close", "Volume"];

/// A time as the exchange's clock shows it, and the instant, which also tells the two hours apart that a clock shows twice
/// when summer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) local: NaiveDateTime,
    pub(crate) instant: NaiveDateTime,
}

/// One row while it is read: `COLUMNS` in order, and where it stood.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bar {
    pub(crate) time: Moment,
    pub(crate) row: usize,
    pub(crate) values: [f64; 6],
}

impl Bar {
    /// Checks one row: `cell` gives the text of column `index` for the message.
    pub(crate) fn check(&self, path: &Path, cell: impl Fn(usize) -> String) -> Result<(), DataError> {
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

    /// Sorts and checks what was read. Returns a notice if rows were out of order.
    pub(crate) fn prices(symbol: &str, path: &Path, mut bars: Vec<Bar>) -> Result<(Prices, Option<String>), DataError> {
        let sorted = bars.is_sorted_by_key(|bar| bar.time.instant);
        if !sorted {
            bars.sort_by_key(|bar| bar.time.instant);
        }
        if let Some(pair) = bars
            .windows(2)
            .find(|pair| pair[0].time.instant == pair[1].time.instant)
        {
            return Err(DataError::DuplicateTime {
                path: path.into(),
                first: pair[0].row.min(pair[1].row),
                second: pair[0].row.max(pair[1].row),
                time: format_time(pair[0].time.local),
            });
        }
        let column = |index: usize| bars.iter().map(|bar| bar.values[index]).collect();
        let prices = Prices {
            symbol: symbol.into(),
            times: bars.iter().map(|bar| bar.time.local).collect(),
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
