//! One million price rows: read and window. Target: under 2 seconds.
#![allow(missing_docs)]

use chrono::{DateTime, TimeDelta};
use criterion::{Criterion, criterion_group, criterion_main};
use disentangle_data::{
    Prices, Seed, finance::FinanceFeatures, read_csv, read_parquet, synthetic::SyntheticConfig, write_parquet,
};

const ROWS: usize = 1_000_000;

/// Minutes of a random walk.
fn prices() -> Prices {
    let mut rng = Seed::new(0).rng();
    let start = DateTime::from_timestamp(946_684_800, 0).unwrap_or_default().naive_utc();
    let mut prices = Prices {
        symbol: "BENCH".into(),
        ..Prices::default()
    };
    let mut close = 100.0;
    for row in 0..ROWS {
        close *= (0.0005 * rng.normal()).exp();
        prices.times.push(start + TimeDelta::minutes(row as i64));
        for column in [
            &mut prices.open,
            &mut prices.high,
            &mut prices.low,
            &mut prices.close,
            &mut prices.adjusted,
        ] {
            column.push(close);
        }
        prices.volume.push((1e4 * rng.uniform()).round());
    }
    prices
}

fn csv(prices: &Prices) -> String {
    let mut text = String::from("Date,Open,High,Low,Close,Adj Close,Volume\n");
    for i in 0..prices.len() {
        let (c, v) = (prices.close[i], prices.volume[i]);
        text += &format!(
            "{},{c:.4},{c:.4},{c:.4},{c:.4},{c:.4},{v}\n",
            prices.times[i].format("%Y-%m-%d %H:%M:%S")
        );
    }
    text
}

fn loading(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (text, parquet) = (folder.path().join("p.csv"), folder.path().join("p.parquet"));
    let prices = prices();
    std::fs::write(&text, csv(&prices)).expect("a CSV file");
    write_parquet(&parquet, &prices).expect("a Parquet file");
    let mut group = criterion.benchmark_group("one million rows");
    group.sample_size(10);
    group.bench_function("read CSV", |b| b.iter(|| read_csv(&text).expect("good prices")));
    group.bench_function("read Parquet", |b| {
        b.iter(|| read_parquet(&parquet).expect("good prices"));
    });
    let symbols = [prices];
    group.bench_function("window", |b| {
        b.iter(|| {
            FinanceFeatures::default()
                .dataset("bench", true, &symbols)
                .expect("windows")
        });
    });
    let rows = SyntheticConfig {
        samples: 1_000_000,
        validation: 2,
        test: 2,
        ..SyntheticConfig::multifeature()
    };
    // With so few validation rows one class may be missing.
    let rows = SyntheticConfig {
        degenerate: true,
        ..rows
    };
    group.bench_function("draw synthetic", |b| {
        b.iter(|| {
            rows.dataset(Seed::new(1)).expect("rows");
        });
    });
    group.finish();
}

criterion_group!(benches, loading);
criterion_main!(benches);
