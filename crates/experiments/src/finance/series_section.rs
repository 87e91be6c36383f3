//! The section of the report with the tests on series.

use disentangle_report::{Cell, Mark, Section, Series, Values};

use super::outcome::SeriesTests;
use crate::present::{cell, figure, number, table};

pub(super) fn series_section(title: &str, which: &str, tests: &Result<SeriesTests, String>) -> Section {
    let tests = match tests {
        Ok(tests) => tests,
        Err(reason) => {
            return Section {
                title: title.into(),
                text: vec![format!("Left out: {reason}.")],
                ..Section::default()
            };
        }
    };
    let singles = tests.series.iter().map(|s| {
        let (period, p, reason) = match &s.season {
            Ok(season) => (Some(season.period), Some(season.p), String::new()),
            Err(reason) => (None, None, reason.clone()),
        };
        let trend = Cell::Number {
            value: s.trend.value,
            shown: s
                .trend
                .value
                .map_or_else(|| s.trend.show(0), |value| format!("{value:.3e}")),
        };
        let volatility = Cell::Number {
            value: s.volatility.value,
            shown: s
                .volatility
                .value
                .map_or_else(|| s.volatility.show(0), |value| format!("{value:.4}")),
        };
        vec![
            s.name.clone().into(),
            trend,
            number(s.trend.q, 3),
            volatility,
            number(period, 1),
            number(p, 3),
            number(s.season_q, 3),
            reason.into(),
        ]
    });
    let pairs = tests.pairs.iter().map(|pair| {
        let mut cells: Vec<Cell> = vec![
            pair.names[0].clone().into(),
            pair.names[1].clone().into(),
            cell(&pair.correlation, 3),
            number(pair.correlation.q, 3),
        ];
        match &pair.granger {
            Ok(g) => cells.extend([
                number(Some(g.lag as f64), 0),
                number(Some(g.f), 2),
                number(Some(g.p), 3),
                number(pair.granger_q, 3),
                "".into(),
            ]),
            Err(reason) => cells.extend([
                number(None, 0),
                number(None, 0),
                number(None, 0),
                number(None, 0),
                reason.clone().into(),
            ]),
        }
        cells
    });
    let mut blocks = vec![
        table(
            "Trend, volatility and season of each series",
            &[
                "series",
                "slope a step",
                "q",
                "volatility",
                "period",
                "p of period",
                "q",
                "note",
            ],
            singles.collect(),
        ),
        table(
            "Pairs: correlation, and whether the past of the first helps to predict the second",
            &["first", "second", "correlation", "q", "lag", "F", "p", "q", "note"],
            pairs.collect(),
        ),
    ];
    let p_values: Vec<_> = tests
        .pairs
        .iter()
        .filter_map(|pair| Some((pair.names.join(" → "), -pair.granger.as_ref().ok()?.p.log10())))
        .collect();
    if !p_values.is_empty() {
        let (names, heights): (Vec<String>, Vec<f64>) = p_values.into_iter().unzip();
        blocks.push(figure(
            &format!("granger-{which}"),
            "Granger tests",
            "A bar above the dotted line (p = 0.05) says that the first series' past helps to predict the second, before correction for the number of tests.",
            ["pair", "-log10 p", ""],
            vec![Series::new("pairs", Mark::Bar, Values::Names(names), heights)],
            vec![-(0.05f64.log10())],
        ));
    }
    let spectra: Vec<Series> = tests
        .series
        .iter()
        .filter(|s| !s.periodogram.is_empty())
        .map(|s| {
            let total: f64 = s.periodogram.iter().sum();
            let n = tests.length as f64;
            let frequencies = (1..=s.periodogram.len()).map(|j| j as f64 / n).collect();
            Series::new(
                &s.name,
                Mark::Line,
                Values::Numbers(frequencies),
                s.periodogram
                    .iter()
                    .map(|i| if total > 0.0 { i / total } else { 0.0 })
                    .collect(),
            )
        })
        .collect();
    if !spectra.is_empty() {
        blocks.push(figure(
            &format!("seasonality-{which}"),
            "Periodogram after detrending",
            "A peak at frequency f is a pattern that repeats every 1 / f steps; high values at the left edge are mere persistence, which the test in the table allows for.",
            ["frequency (cycles a step)", "share of power", ""],
            spectra,
            vec![],
        ));
    }
    Section {
        title: title.into(),
        text: vec![
            format!("Series: {}; {} values each, detrended.", tests.about, tests.length),
            "q corrects for all tests of this section (Benjamini and Hochberg). Granger's p simulates the restricted model and chooses the lag anew each time; \
             the period's p is Fisher's, after division by the spectrum of a first-order autoregression; those of trend and correlation assume independent values."
                .into(),
        ],
        blocks,
    }
}
