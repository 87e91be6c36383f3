//! A simulated market with a genuine signal and a calendar shortcut that ends, for runs without a network.
//!
//! Returns follow GJR-GARCH(1,1) (Glosten, Jagannathan and Runkle 1993): `r_t = drift_t + s_t * z_t`,
//! `s_t² = omega + (alpha + gamma * [e_{t-1} < 0]) * e_{t-1}² + beta * s_{t-1}²`, z standard normal. On top of the drift:
//! - a weak *genuine* momentum, `momentum * s_t * clamp((RSI_14(t-1) - 50) / 20, -1.5, 1.5)`, present throughout;
//! - a calendar *shortcut*, `shortcut * s_t * c(t)`, until the day before `shortcut_end`: c falls from +1 on Tuesdays
//!   to -1 on Mondays (a weekend effect), and is +1 on the first day after a calendar month end.

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::{Prices, Random, Seed, calendar, indicators};

/// What the simulated market is made of. Volatilities and drifts are per trading day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MarketConfig {
    /// Root seed.
    pub seed: u64,
    /// First day.
    pub start: NaiveDate,
    /// Last day.
    pub end: NaiveDate,
    /// First closing price.
    pub price: f64,
    /// Mean return of a day.
    pub mean: f64,
    /// Unconditional standard deviation of a day's return, which sets omega.
    pub volatility: f64,
    /// Reaction to the last shock.
    pub alpha: f64,
    /// Additional reaction to a negative shock.
    pub gamma: f64,
    /// Persistence.
    pub beta: f64,
    /// Strength of the genuine momentum, in volatilities.
    pub momentum: f64,
    /// Strength of the calendar shortcut, in volatilities.
    pub shortcut: f64,
    /// First day without the shortcut; the shortcut stays if absent.
    pub shortcut_end: Option<NaiveDate>,
}

impl Default for MarketConfig {
    fn default() -> Self {
        let day = |year, month, day| NaiveDate::from_ymd_opt(year, month, day).unwrap_or_default();
        Self {
            seed: 2020,
            start: day(2020, 1, 1),
            end: day(2023, 12, 31),
            price: 320.0,
            mean: 0.0003,
            volatility: 0.011,
            alpha: 0.03,
            gamma: 0.10,
            beta: 0.90,
            momentum: 0.2,
            shortcut: 1.2,
            shortcut_end: None,
        }
    }
}

/// Simulates closing prices day by day, then openings, highs, lows and volumes around them.
pub fn simulate(config: &MarketConfig) -> Prices {
    let days = calendar::trading_days(config.start, config.end);
    let seed = Seed::new(config.seed).child("market");
    let (mut shocks, mut shapes) = (seed.child("returns").rng(), seed.child("shapes").rng());
    let persistence = config.alpha + config.gamma / 2.0 + config.beta;
    let unconditional = config.volatility * config.volatility;
    let omega = unconditional * (1.0 - persistence);

    let mut prices = Prices {
        symbol: "SIMULATED".into(),
        ..Prices::default()
    };
    let (mut variance, mut log_volume) = (unconditional, 0.0);
    for (index, &day) in days.iter().enumerate() {
        let sigma = variance.sqrt();
        let previous = prices.close.last().copied().unwrap_or(config.price);
        let yesterday = index.checked_sub(1).map(|i| days[i]);
        let drift =
            config.mean + sigma * (config.momentum * momentum(&prices.close) + calendar_drift(config, yesterday, day));
        let shock = sigma * shocks.normal();
        let close = round(previous * (drift + shock).exp(), 4);
        push_bar(&mut prices, &mut shapes, previous, close, sigma);

        // Volume follows a slow log autoregression and rises with the size of the day's move.
        log_volume = 0.9 * log_volume + 0.15 * shapes.normal();
        let volume = 8.0e7 * (log_volume + 0.35 * (drift + shock).abs() / sigma).exp();
        prices.volume.push(volume.round());
        prices.times.push(day.and_time(chrono::NaiveTime::MIN));
        let leverage = if shock < 0.0 { config.gamma } else { 0.0 };
        variance = omega + (config.alpha + leverage) * shock * shock + config.beta * variance;
    }
    prices
}

fn momentum(close: &[f64]) -> f64 {
    let tail = &close[close.len().saturating_sub(15)..];
    let rsi = indicators::rsi_simple(tail, 14).last().copied().unwrap_or(f64::NAN);
    if rsi.is_nan() {
        0.0
    } else {
        ((rsi - 50.0) / 20.0).clamp(-1.5, 1.5)
    }
}

fn calendar_drift(config: &MarketConfig, yesterday: Option<NaiveDate>, day: NaiveDate) -> f64 {
    let over = config.shortcut_end.is_some_and(|end| day >= end);
    let Some(yesterday) = yesterday.filter(|_| !over) else {
        return 0.0;
    };
    // A function of yesterday's calendar only: that is what the features show.
    let weekday = 1.0 - 0.5 * f64::from(yesterday.weekday().num_days_from_monday());
    let effect = if calendar::is_month_end(yesterday) {
        1.0
    } else {
        weekday
    };
    config.shortcut * effect
}

fn push_bar(prices: &mut Prices, shapes: &mut Random, previous: f64, close: f64, sigma: f64) {
    let open = round(previous * (0.3 * sigma * shapes.normal()).exp(), 4);
    let high = round(open.max(close) * (0.4 * sigma * shapes.normal().abs()).exp(), 4);
    let low = round(open.min(close) * (-0.4 * sigma * shapes.normal().abs()).exp(), 4);
    prices.open.push(open);
    prices.high.push(high);
    prices.low.push(low);
    prices.close.push(close);
    prices.adjusted.push(close);
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn returns(prices: &Prices) -> Vec<f64> {
        prices.close.windows(2).map(|pair| (pair[1] / pair[0]).ln()).collect()
    }

    /// Long enough for the sample figures to settle.
    fn long(momentum: f64, shortcut: f64) -> Prices {
        simulate(&MarketConfig {
            end: NaiveDate::from_ymd_opt(2420, 1, 1).unwrap(),
            mean: 0.0,
            momentum,
            shortcut,
            ..MarketConfig::default()
        })
    }

    #[test]
    fn volatility_is_the_configured_one() {
        let returns = returns(&long(0.0, 0.0));
        let variance = returns.iter().map(|r| r * r).sum::<f64>() / returns.len() as f64;
        assert!((variance.sqrt() / 0.011 - 1.0).abs() < 0.06, "{}", variance.sqrt());
        let fourth = returns.iter().map(|r| r.powi(4)).sum::<f64>() / returns.len() as f64;
        assert!(fourth / (variance * variance) > 3.3, "GARCH returns have heavy tails");
    }

    #[test]
    fn shortcut_moves_the_days_that_it_names() {
        let prices = long(0.0, 0.9);
        let mut up = [[0.0, 0.0]; 5];
        for (index, pair) in prices.close.windows(2).enumerate() {
            let yesterday = prices.times[index].date();
            if !calendar::is_month_end(yesterday) {
                let cell = &mut up[yesterday.weekday().num_days_from_monday() as usize];
                cell[0] += f64::from(u8::from(pair[1] > pair[0]));
                cell[1] += 1.0;
            }
        }
        // P(z > -0.9 c) for c = 1, .5, 0, -.5, -1.
        for (cell, expected) in up.iter().zip([0.816, 0.674, 0.5, 0.326, 0.184]) {
            assert!((cell[0] / cell[1] - expected).abs() < 0.02, "{up:?}");
        }
    }

    #[test]
    fn bars_are_consistent_and_the_seed_decides() {
        let prices = simulate(&MarketConfig::default());
        assert_eq!(prices.len(), 1006);
        for i in 0..prices.len() {
            assert!(prices.low[i] <= prices.open[i].min(prices.close[i]));
            assert!(prices.high[i] >= prices.open[i].max(prices.close[i]));
            assert!(prices.volume[i] > 0.0);
        }
        assert_eq!(prices, simulate(&MarketConfig::default()));
        assert_ne!(
            prices,
            simulate(&MarketConfig {
                seed: 1,
                ..MarketConfig::default()
            })
        );
    }

    #[test]
    fn shortcut_end_changes_nothing_before_it() {
        let end = NaiveDate::from_ymd_opt(2023, 1, 3).unwrap();
        let whole = simulate(&MarketConfig::default());
        let ended = simulate(&MarketConfig {
            shortcut_end: Some(end),
            ..MarketConfig::default()
        });
        let cut = whole.times.partition_point(|t| t.date() < end);
        assert_eq!(whole.close[..cut], ended.close[..cut]);
        assert_ne!(whole.close[cut..], ended.close[cut..]);
    }
}
