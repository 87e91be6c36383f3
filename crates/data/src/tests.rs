//! From prices to datasets: fixtures by pandas (`tests/fixtures/make_statistics.py`), splits, and every planted leak.

use std::path::PathBuf;

use ndarray::Array2;
use serde_json::Value;

use crate::{
    DataError, Dataset, Prices, Role, Seed, Split, SplitRule, audit,
    finance::{DayEncoding, FinanceFeatures, MonthEnd, Rsi},
    indicators,
    market::{MarketConfig, simulate},
};

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

fn finance() -> Value {
    let text = std::fs::read_to_string(fixtures().join("statistics.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["finance"].take()
}

/// `null` as NaN.
fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap_or(f64::NAN))
        .collect()
}

fn close(name: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (row, (a, b)) in found.iter().zip(expected).enumerate() {
        let same = a.is_nan() && b.is_nan() || (a - b).abs() <= tolerance * b.abs().max(1.0);
        assert!(same, "{name}, row {row}: {a} instead of {b}");
    }
}

#[test]
fn indicators_agree_with_pandas() {
    let finance = finance();
    for price in ["Close", "Adj Close"] {
        let case = &finance["by_price"][price];
        let series = numbers(&case["close"]);
        close(
            "sma",
            &indicators::rolling_mean(&series, 20),
            &numbers(&case["sma"]),
            1e-9,
        );
        close(
            "rsi_simple",
            &indicators::rsi_simple(&series, 14),
            &numbers(&case["rsi_simple"]),
            1e-7,
        );
        close(
            "rsi_wilder",
            &indicators::rsi_wilder(&series, 14),
            &numbers(&case["rsi_wilder"]),
            1e-7,
        );
    }
    let edge = &finance["rsi_edge"];
    let series = numbers(&edge["close"]);
    close(
        "edge",
        &indicators::rsi_simple(&series, 14),
        &numbers(&edge["rsi_simple"]),
        1e-7,
    );
    close(
        "edge",
        &indicators::rsi_wilder(&series, 14),
        &numbers(&edge["rsi_wilder"]),
        1e-7,
    );
    close(
        "volume",
        &indicators::rolling_std(&numbers(&finance["volume"]), 20),
        &numbers(&finance["volume_std"]),
        1e-9,
    );
    assert!(indicators::rsi_wilder(&[1.0, 2.0], 14).iter().all(|x| x.is_nan()));
    assert!(indicators::rolling_mean(&[], 20).is_empty());
}

#[cfg(feature = "io")]
#[test]
fn features_and_labels_agree_with_pandas() {
    let finance = finance();
    let prices = crate::read_csv(&fixtures().join("prices.csv")).unwrap().0.remove(0);
    for (price, adjusted) in [("Close", false), ("Adj Close", true)] {
        let case = &finance["by_price"][price];
        let check = |features: FinanceFeatures, expected: [Vec<f64>; 5]| {
            let found = features.compute(&prices);
            for (column, expected) in expected.iter().enumerate() {
                let found: Vec<f64> = found.column(column).iter().map(|&x| f64::from(x)).collect();
                close(&features.names()[column], &found, expected, 2e-6);
            }
        };
        let plain = FinanceFeatures {
            adjusted,
            ..FinanceFeatures::default()
        };
        let calendar = [numbers(&finance["day_of_week"]), numbers(&finance["month_end"])];
        let [day, end] = calendar.clone();
        check(
            plain,
            [
                numbers(&case["sma"]),
                numbers(&case["rsi_simple"]),
                numbers(&finance["volume_std"]),
                day,
                end,
            ],
        );
        let stationary = FinanceFeatures {
            stationary: true,
            rsi: Rsi::Wilder,
            ..plain
        };
        let log_spread = indicators::rolling_std(&numbers(&finance["log_volume"]), 20);
        let [day, end] = calendar;
        check(
            stationary,
            [
                numbers(&case["close_over_sma_minus_1"]),
                numbers(&case["rsi_wilder"]),
                log_spread,
                day,
                end,
            ],
        );

        let labels = numbers(&case["label_up"]);
        for window in &plain
            .unsplit("x", false, std::slice::from_ref(&prices))
            .unwrap()
            .windows
        {
            assert_eq!(f64::from(window.label), labels[window.target], "row {}", window.target);
            assert_eq!(window.start + 30, window.target);
        }
    }
}

#[test]
fn last_trading_day_comes_from_the_exchange_calendar() {
    let features = FinanceFeatures {
        month_end: MonthEnd::Both,
        day: DayEncoding::Cyclic,
        ..FinanceFeatures::default()
    };
    assert_eq!(
        features.names()[3..],
        ["day_sine", "day_cosine", "month_end", "last_trading_day"]
    );
    let prices = simulate(&MarketConfig::default());
    let found = features.compute(&prices);
    // 2020-01-02 is a Thursday: three sevenths of the circle.
    assert!((found[[0, 3]] - 0.433_883_7).abs() < 1e-6 && (found[[0, 4]] + 0.900_968_9).abs() < 1e-6);
    for row in 0..prices.len() - 1 {
        use chrono::Datelike;
        let last = prices.times[row].month() != prices.times[row + 1].month();
        assert_eq!(found[[row, 6]] == 1.0, last, "{}", prices.times[row]);
    }
}

fn market() -> Vec<Prices> {
    vec![simulate(&MarketConfig::default())]
}

#[test]
fn parts_are_chronological_with_an_embargo() {
    for lookback in [1, 30, 60] {
        for rsi in [Rsi::Simple, Rsi::Wilder] {
            let features = FinanceFeatures {
                lookback,
                rsi,
                ..FinanceFeatures::default()
            };
            let data = features.dataset("market", true, &market()).unwrap();
            let ends = |split| {
                let part = data.part(split);
                let first = &data.windows[part[0]];
                (
                    first.start - (features.longest_indicator() - 1),
                    data.windows[part[part.len() - 1]].target,
                )
            };
            let (train, validation, test) = (ends(Split::Train), ends(Split::Validation), ends(Split::Test));
            assert!(train.1 < validation.0 && validation.1 < test.0, "{lookback} {rsi:?}");
            let share = data.part(Split::Train).len() as f64 / data.windows.len() as f64;
            assert!((share - 0.6).abs() < 0.01);
            audit::windows_and_splits(&data, features.longest_indicator() - 1).unwrap();
        }
    }
}

#[test]
fn notebook_split_shares_validation_and_says_so() {
    let features = FinanceFeatures {
        split: SplitRule::Notebook,
        ..FinanceFeatures::default()
    };
    let data = features.dataset("market", true, &market()).unwrap();
    assert_eq!(data.part(Split::Validation), data.part(Split::Test));
    assert!(data.notices[0].contains("optimistic"));
}

#[test]
fn several_symbols_are_cut_at_the_same_times() {
    let other = simulate(&MarketConfig {
        seed: 7,
        ..MarketConfig::default()
    });
    let symbols = [
        simulate(&MarketConfig::default()),
        Prices {
            symbol: "B".into(),
            ..other
        },
    ];
    let data = FinanceFeatures::default().dataset("two", true, &symbols).unwrap();
    for split in Split::PARTS {
        let of = |subject: u32| {
            let part = data
                .part(split)
                .into_iter()
                .filter(|&w| data.windows[w].subject == subject);
            part.map(|w| data.windows[w].time).collect::<Vec<_>>()
        };
        assert_eq!(of(0), of(1));
        assert!(!of(0).is_empty());
    }
    audit::windows_and_splits(&data, 19).unwrap();
    // A symbol with gaps around the boundaries is held back instead of refused.
    let mut gappy = symbols.clone();
    let keep = |row: usize| !row.is_multiple_of(5);
    let second = &mut gappy[1];
    let pick = |values: &Vec<f64>| {
        values
            .iter()
            .enumerate()
            .filter(|(row, _)| keep(*row))
            .map(|(_, v)| *v)
            .collect::<Vec<_>>()
    };
    for column in [
        &mut second.open,
        &mut second.high,
        &mut second.low,
        &mut second.close,
        &mut second.adjusted,
        &mut second.volume,
    ] {
        *column = pick(column);
    }
    second.times = second
        .times
        .iter()
        .enumerate()
        .filter(|(row, _)| keep(*row))
        .map(|(_, t)| *t)
        .collect();
    let data_with_gaps = FinanceFeatures::default().dataset("gaps", true, &gappy).unwrap();
    audit::windows_and_splits(&data_with_gaps, 19).unwrap();
    assert_eq!(data.subjects, ["SIMULATED", "B"]);
    assert_eq!(data.environments, ["2020", "2021", "2022", "2023"]);
    assert!(data.windows.iter().all(|w| {
        w.time
            .date()
            .to_string()
            .starts_with(&data.environments[w.environment as usize])
    }));
    let wilder = FinanceFeatures {
        rsi: Rsi::Wilder,
        ..FinanceFeatures::default()
    };
    assert_eq!(
        (
            wilder.first_complete_row(),
            FinanceFeatures::default().first_complete_row()
        ),
        (70, 19)
    );
    assert_eq!(data.groups[1].role, Role::Spurious);
}

#[test]
fn inputs_are_scaled_views() {
    let data = FinanceFeatures::default().dataset("market", true, &market()).unwrap();
    let train = data.part(Split::Train);
    let inputs = data.inputs(&train);
    for (row, &window) in [(0, &train[0]), (100, &train[100])] {
        let window = &data.windows[window];
        let expected = (f64::from(data.rows[[window.start + 7, 1]]) - data.scaler.mean[1]) / data.scaler.scale[1];
        assert!((f64::from(inputs[[row, 7, 1]]) - expected).abs() < 1e-6);
    }
    assert!(inputs.iter().all(|x| x.is_finite()));
}

fn leak(result: Result<Vec<audit::AuditCheck>, DataError>, expected: &str) {
    let error = result.unwrap_err().to_string();
    assert!(
        error.starts_with("leakage audit: ") && error.contains(expected),
        "{error}"
    );
}

#[test]
fn every_planted_leak_is_caught() {
    let features = FinanceFeatures::default();
    let symbols = market();
    let honest = features.dataset("market", true, &symbols).unwrap();
    let history = features.longest_indicator() - 1;
    audit::windows_and_splits(&honest, history).unwrap();
    let changed = |change: &dyn Fn(&mut Dataset)| {
        let mut data = honest.clone();
        change(&mut data);
        audit::windows_and_splits(&data, history)
    };
    leak(changed(&|d| d.windows[3].start += 1), "holds the row that it predicts");
    let first = honest.part(Split::Validation)[0];
    leak(
        changed(&|d| d.windows[first - 2].split = Split::Validation),
        "train and validation overlap",
    );
    let first = honest.part(Split::Test)[0];
    leak(
        changed(&|d| d.windows[first - 2].split = Split::Test),
        "validation and test overlap",
    );
    leak(
        changed(&|d| d.windows[first].split = Split::Train),
        " overlap: the first ",
    );
    leak(
        changed(&|d| {
            let all: Vec<usize> = (100..d.rows.nrows()).collect();
            d.scaler = crate::Scaler::fit(d.rows.view(), &all);
        }),
        "the scaler of `sma_20` was not fitted on the training rows",
    );
    leak(changed(&|d| d.scaler.median[2] += 1e6), "the scaler of `volume_std_20`");
}

#[test]
fn a_feature_that_looks_ahead_is_caught() {
    let features = FinanceFeatures::default();
    let symbols = market();
    let check = |compute: &dyn Fn(&Prices) -> Array2<f32>| {
        audit::causal_features(&symbols, &features.names(), compute, Seed::new(0))
    };
    assert!(
        check(&|prices| features.compute(prices))
            .unwrap()
            .detail
            .starts_with("25 rows")
    );
    let tomorrow = |prices: &Prices| {
        let mut values = features.compute(prices);
        for row in 0..prices.len() - 1 {
            values[[row, 1]] = prices.close[row + 1] as f32;
        }
        values
    };
    let error = check(&tomorrow).unwrap_err().to_string();
    assert!(
        error.contains("feature `rsi_14` of SIMULATED on ") && error.contains(" uses later rows"),
        "{error}"
    );
    let whole_mean = |prices: &Prices| {
        let mut values = features.compute(prices);
        let mean = prices.close.iter().sum::<f64>() / prices.len() as f64;
        values.column_mut(0).mapv_inplace(|x| x - mean as f32);
        values
    };
    assert!(check(&whole_mean).unwrap_err().to_string().contains("feature `sma_20`"));
}

#[test]
fn too_little_data_is_a_sentence() {
    let market = simulate(&MarketConfig::default());
    let check = |rows: usize, lookback: usize, expected: &str| {
        let features = FinanceFeatures {
            lookback,
            ..FinanceFeatures::default()
        };
        let error = features
            .dataset("FILE", true, &[market.prefix(rows)])
            .unwrap_err()
            .to_string();
        assert_eq!(error, expected);
    };
    check(
        10,
        30,
        "FILE: symbol `SIMULATED`: 10 rows are too few, expected at least 50 (lookback 30 plus the indicators' history)",
    );
    check(
        1006,
        2000,
        "FILE: symbol `SIMULATED`: 1006 rows are too few, expected at least 2020 (lookback 2000 plus the indicators' history)",
    );
    check(
        200,
        30,
        "FILE: 200 rows are too few, expected at least 309 (60/20/20 windows with an embargo of 50 rows between the parts)",
    );
    let mut huge = market.clone();
    huge.volume[500] = 1e200;
    let error = FinanceFeatures::default()
        .dataset("FILE", true, &[huge])
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "FILE: feature `volume_std_20` of symbol `SIMULATED` on 2021-12-27 is inf, expected a finite number"
    );
    check(1006, 0, "`lookback = 0` cannot be used: expected at least 1 row");
    // The promised number of rows is enough for the split; whether both classes are there is another question.
    let enough = FinanceFeatures::default().dataset("x", true, &[market.prefix(309)]);
    assert!(!matches!(enough, Err(DataError::TooFewRows { .. })));
    assert!(
        FinanceFeatures::default()
            .dataset("x", true, &[market.prefix(420)])
            .is_ok()
    );
}

#[test]
fn one_class_is_a_sentence() {
    let mut prices = simulate(&MarketConfig::default());
    for (index, price) in prices.adjusted.iter_mut().enumerate() {
        *price = 100.0 + index as f64;
    }
    let error = FinanceFeatures::default()
        .dataset("FILE", true, &[prices])
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "FILE: 574 of 574 train labels are positive; expected both classes, the smaller with at least 6"
    );
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]
    /// Whatever the options, features are causal and parts are apart.
    #[test]
    fn every_option_passes_the_audit(lookback in 1usize..80, wilder: bool, stationary: bool, cyclic: bool, end in 0..3, adjusted: bool) {
        let features = FinanceFeatures {
            lookback,
            rsi: if wilder { Rsi::Wilder } else { Rsi::Simple },
            stationary,
            day: if cyclic { DayEncoding::Cyclic } else { DayEncoding::Number },
            month_end: [MonthEnd::Calendar, MonthEnd::Trading, MonthEnd::Both][end as usize],
            adjusted,
            split: SplitRule::Chronological,
        };
        let symbols = market();
        let data = features.dataset("market", true, &symbols).unwrap();
        audit::windows_and_splits(&data, features.longest_indicator() - 1).unwrap();
        audit::causal_features(&symbols, &features.names(), |p| features.compute(p), Seed::new(1)).unwrap();
        crate::check_groups(&data.groups, data.features.len()).unwrap();
        proptest::prop_assert!(data.inputs(&data.part(Split::Test)).iter().all(|x| x.is_finite()));
    }
}

#[test]
fn parts_have_the_sizes_that_their_rule_says() {
    let check = |split: SplitRule, expected: [usize; 4]| {
        let features = FinanceFeatures {
            split,
            ..FinanceFeatures::default()
        };
        let data = features.dataset("market", true, &market()).unwrap();
        let count = |part: Split| data.windows.iter().filter(|window| window.split == part).count();
        let parts = [Split::Train, Split::Validation, Split::Test, Split::Embargo];
        assert_eq!(parts.map(count), expected, "{split:?}");
    };
    // 1006 rows less 19 of history and 30 of lookback are 957 windows, cut before 574 and 765; 50 behind each cut are in no part.
    check(SplitRule::Chronological, [574, 141, 142, 100]);
    check(SplitRule::Notebook, [765, 0, 192, 0]);
}
