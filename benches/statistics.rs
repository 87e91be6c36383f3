//! The analyses that take time.
#![allow(missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use disentangle_analysis::{Bootstrap, Pca, classification::roc_auc, granger::granger};
use disentangle_data::Seed;
use ndarray::Array2;

fn statistics(criterion: &mut Criterion) {
    let mut rng = Seed::new(0).rng();
    let scores: Vec<f64> = (0..1000).map(|_| rng.normal()).collect();
    let labels: Vec<f32> = scores
        .iter()
        .map(|s| f32::from(u8::from(*s + rng.normal() > 0.0)))
        .collect();
    criterion.bench_function("ROC AUC interval, 1000 rows, 1000 resamples", |b| {
        b.iter(|| {
            Bootstrap::new(50, 1000, Seed::new(1)).estimate(1000, |rows| {
                let (s, y): (Vec<f64>, Vec<f32>) = rows.iter().map(|&r| (scores[r], labels[r])).unzip();
                roc_auc(&s, &y)
            })
        });
    });
    let other: Vec<f64> = (0..1000).map(|_| rng.normal()).collect();
    let mut group = criterion.benchmark_group("slow");
    group.sample_size(10);
    group.bench_function("Granger, 1000 values, 499 draws", |b| {
        b.iter(|| granger(&scores, &other, 499, Seed::new(2)));
    });
    let rows = Array2::from_shape_simple_fn((1000, 768), || rng.normal());
    group.bench_function("PCA, 1000 x 768", |b| b.iter(|| Pca::fit(rows.view())));
    group.finish();
}

criterion_group!(benches, statistics);
criterion_main!(benches);
