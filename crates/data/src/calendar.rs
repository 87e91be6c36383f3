//! Trading days of the New York Stock Exchange, by its published rules (full-day closures; no half days).

use chrono::{Datelike, Days, NaiveDate, Weekday};

/// Trading days from `start` to `end`, both included.
pub fn trading_days(start: NaiveDate, end: NaiveDate) -> Vec<NaiveDate> {
    start
        .iter_days()
        .take_while(|&day| day <= end)
        .filter(|&day| is_trading_day(day))
        .collect()
}

/// Whether the exchange opens on `day`.
pub fn is_trading_day(day: NaiveDate) -> bool {
    !is_weekend(day) && !holidays(day.year()).contains(&day)
}

/// Whether `day` is the last calendar day of its month.
pub fn is_month_end(day: NaiveDate) -> bool {
    day.succ_opt().is_none_or(|next| next.month() != day.month())
}

fn is_weekend(day: NaiveDate) -> bool {
    matches!(day.weekday(), Weekday::Sat | Weekday::Sun)
}

fn holidays(year: i32) -> Vec<NaiveDate> {
    let fixed = |month, day| NaiveDate::from_ymd_opt(year, month, day);
    let nth = |month, weekday, n| NaiveDate::from_weekday_of_month_opt(year, month, weekday, n);
    // A new year's day on a Saturday is not moved to the last day of the old year.
    let new_year = fixed(1, 1).map(|day| match day.weekday() {
        Weekday::Sun => day + Days::new(1),
        _ => day,
    });
    let last_monday_of_may = nth(5, Weekday::Mon, 5).or_else(|| nth(5, Weekday::Mon, 4));
    [
        new_year,
        nth(1, Weekday::Mon, 3),
        nth(2, Weekday::Mon, 3),
        Some(easter(year) - Days::new(2)),
        last_monday_of_may,
        (year >= 2022).then(|| fixed(6, 19)).flatten().map(observed),
        fixed(7, 4).map(observed),
        nth(9, Weekday::Mon, 1),
        nth(11, Weekday::Thu, 4),
        fixed(12, 25).map(observed),
    ]
    .into_iter()
    .flatten()
    .collect()
}

// A holiday on a Saturday closes the Friday before it, on a Sunday the Monday after it.
fn observed(day: NaiveDate) -> NaiveDate {
    match day.weekday() {
        Weekday::Sat => day - Days::new(1),
        Weekday::Sun => day + Days::new(1),
        _ => day,
    }
}

/// Easter Sunday of the Gregorian calendar (Meeus, Astronomical Algorithms, chapter 8).
fn easter(year: i32) -> NaiveDate {
    let (a, b, c) = (year % 19, year / 100, year % 100);
    let (d, e) = (b / 4, b % 4);
    let g = (b - (b + 8) / 25 + 1) / 3;
    let h = (19 * a + b - d - g + 15) % 30;
    let l = (32 + 2 * e + 2 * (c / 4) - h - c % 4) % 7;
    let m = (a + 11 * h + 22 * l) / 451;
    let day = h + l - 7 * m + 114;
    NaiveDate::from_ymd_opt(year, (day / 31) as u32, (day % 31 + 1) as u32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(year: i32, month: u32, day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(year, month, day).unwrap()
    }

    /// The exchange's own counts of trading days.
    #[test]
    fn counts_agree_with_the_exchange() {
        for (year, expected) in [
            (2010, 252),
            (2016, 252),
            (2019, 252),
            (2020, 253),
            (2021, 252),
            (2022, 251),
            (2023, 250),
        ] {
            let found = trading_days(day(year, 1, 1), day(year, 12, 31)).len();
            // 2012 and 2018 are left out: a hurricane and a funeral closed the exchange by no rule.
            assert_eq!(found, expected, "{year}");
        }
    }

    #[test]
    fn known_closures() {
        for closed in [
            day(2020, 4, 10),
            day(2021, 7, 5),
            day(2022, 6, 20),
            day(2022, 12, 26),
            day(2023, 1, 2),
            day(2023, 11, 23),
        ] {
            assert!(!is_trading_day(closed), "{closed}");
        }
        for open in [day(2021, 12, 31), day(2021, 6, 18), day(2020, 2, 28)] {
            assert!(is_trading_day(open), "{open}");
        }
    }

    #[test]
    fn month_ends() {
        assert!(is_month_end(day(2020, 2, 29)) && is_month_end(day(2021, 12, 31)));
        assert!(!is_month_end(day(2020, 2, 28)));
    }
}
