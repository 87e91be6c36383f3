//! Objectives on embeddings: values by hand, gradients against central differences.

use disentangle_models::train::{Batch, Loss, LossAndGradient, Outputs, Strategy};
use ndarray::{Array2, array};

use crate::{
    contrastive::Contrasted,
    distribution_matching::Matched,
    embedding::{only, without},
};

/// Rows of two environments; in the second one class has one row only.
const LABELS: [f32; 7] = [1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0];
const ENVIRONMENTS: [u32; 7] = [3, 3, 3, 3, 5, 5, 5];
const LOGITS: [f32; 7] = [0.5, -0.3, -1.2, 0.8, 0.0, 2.0, -0.7];

/// The first `rows` rows, with the embeddings of each variant.
fn ask(strategy: &mut dyn Strategy, rows: usize, embedded: &[Array2<f32>]) -> LossAndGradient {
    let sites: Vec<Vec<Array2<f32>>> = embedded.iter().map(|one| vec![one.clone()]).collect();
    let windows: Vec<usize> = (0..rows).collect();
    let outputs = Outputs {
        batch: &LOGITS[..rows],
        variant_sites: &sites,
        ..Outputs::default()
    };
    let batch = Batch {
        windows: &windows,
        labels: &LABELS[..rows],
        environments: &ENVIRONMENTS[..rows],
        step: 0,
    };
    strategy.objective(Loss::Bce, &outputs, &batch)
}

fn mean_loss(rows: usize) -> f64 {
    Loss::Bce.mean(&LOGITS[..rows], &LABELS[..rows])
}

/// The gradients at the logits are those of the mean loss; those at the embeddings agree with central differences.
fn differences(strategy: &mut dyn Strategy, embedded: &[Array2<f32>]) {
    let rows = embedded[0].nrows();
    let found = ask(strategy, rows, embedded);
    for (row, gradient) in found.gradient.iter().enumerate() {
        let slope = Loss::Bce.row(LOGITS[row], LABELS[row]).1 / rows as f64;
        assert!((f64::from(*gradient) - slope).abs() < 1e-7);
    }
    assert!(found.sites.is_empty() && found.variants.is_empty());
    assert_eq!(found.variant_sites.len(), embedded.len());
    for (variant, gradients) in found.variant_sites.iter().enumerate() {
        for (place, gradient) in gradients[0].indexed_iter() {
            let mut at = |step: f32| {
                let mut moved = embedded.to_vec();
                moved[variant][place] += step;
                (ask(strategy, rows, &moved).loss, f64::from(moved[variant][place]))
            };
            let (up, down) = (at(1e-3), at(-1e-3));
            let slope = (up.0 - down.0) / (up.1 - down.1);
            assert!(
                (slope - f64::from(*gradient)).abs() < 1e-4,
                "{variant} {place:?}: {slope} {gradient}"
            );
        }
    }
}

#[test]
fn views_keep_or_lose_the_shortcut() {
    let x = array![[[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]]];
    assert_eq!(without(&x, &[0, 2]), array![[[0.0, 2.0, 0.0], [0.0, 5.0, 0.0]]]);
    assert_eq!(only(&x, &[0, 2]), array![[[1.0, 0.0, 3.0], [4.0, 0.0, 6.0]]]);
}

#[test]
fn the_contrastive_objective_by_hand() {
    let mut strategy = Contrasted {
        weight: 0.3,
        columns: vec![0],
    };
    // Unit vectors (1,0), (1,0) with label 1 and (0,1), (0,-1) with label 0; temperature .5 doubles their products.
    let genuine = array![[1.0f32, 0.0], [3.0, 0.0], [0.0, 2.0], [0.0, -1.0]];
    // Cosines with these: 1, 0, 1/√2, -1.
    let shortcut = array![[2.0f32, 0.0], [0.0, 5.0], [1.0, 1.0], [0.0, 1.0]];
    let near = ((2f64.exp() + 2.0) / 2f64.exp()).ln();
    let far = (((-2f64).exp() + 2.0) / (-2f64).exp()).ln();
    let expected = mean_loss(4) + 0.3 * (f64::midpoint(near, far) + 0.625);
    let found = ask(&mut strategy, 4, &[genuine, shortcut]).loss;
    assert!((found - expected).abs() < 1e-7, "{found} {expected}");
    // Of the first three rows the last has nobody of its label: it is in the sums of the others, and no anchor.
    let genuine = array![[1.0f32, 0.0], [3.0, 0.0], [0.0, 2.0]];
    let shortcut = array![[0.0f32, 1.0], [0.0, 5.0], [0.0, 0.0]];
    let near = ((2f64.exp() + 1.0) / 2f64.exp()).ln();
    let found = ask(&mut strategy, 3, &[genuine, shortcut]);
    assert!((found.loss - mean_loss(3) - 0.3 * near).abs() < 1e-7);
    let mut gradients = found.variant_sites.iter().flatten().flatten();
    assert!(gradients.all(|gradient| gradient.is_finite()));
}

#[test]
fn distribution_matching_by_hand() {
    let mut strategy = Matched {
        weight: 0.7,
        columns: vec![0],
    };
    // First environment, label 1: mean (1,0), covariance diag(2,0); label 0: mean (1,3), covariance diag(0,8). Difference of means 9,
    // of covariances (4 + 64) / (4 · 2²).
    let embedded = array![
        [0.0f32, 0.0],
        [2.0, 0.0],
        [1.0, 1.0],
        [1.0, 5.0],
        [9.0, 9.0],
        [-3.0, 1.0],
        [4.0, 4.0]
    ];
    let found = ask(&mut strategy, 7, &[embedded]);
    let expected = mean_loss(7) + 0.7 * (9.0 + 4.25);
    assert!((found.loss - expected).abs() < 1e-7, "{} {expected}", found.loss);
    // The second environment is left out: one row of label 1.
    let outside = found.variant_sites[0][0].slice(ndarray::s![4.., ..]);
    assert!(outside.iter().all(|gradient| *gradient == 0.0));
    let few = ask(&mut strategy, 3, &[array![[0.0f32, 0.0], [2.0, 0.0], [1.0, 1.0]]]);
    assert!((few.loss - mean_loss(3)).abs() < 1e-12);
}

#[test]
fn objectives_on_embeddings_have_the_gradients_that_they_say() {
    let wave = |rows: usize, phase: f32| {
        Array2::from_shape_fn((rows, 3), |(row, column)| {
            ((row * 3 + column) as f32 * 1.7 + phase).sin()
        })
    };
    let mut contrasted = Contrasted {
        weight: 0.8,
        columns: vec![0],
    };
    differences(&mut contrasted, &[wave(7, 0.2), wave(7, 1.0)]);
    let mut matched = Matched {
        weight: 2.0,
        columns: vec![0],
    };
    differences(&mut matched, &[wave(7, 0.2)]);
}

#[test]
fn environments_and_classes_of_several_sizes_are_matched() {
    let mut strategy = Matched {
        weight: 0.7,
        columns: vec![0],
    };
    // First environment as above: 9 + 4.25. Second, label 1: mean (1, 1), covariance [[3, -1.5], [-1.5, 3]]; label 0: mean (3, 1),
    // covariance 0: 4 + 22.5 / 16.
    let embedded = array![
        [0.0f32, 0.0],
        [2.0, 0.0],
        [1.0, 1.0],
        [1.0, 5.0],
        [0.0, 0.0],
        [3.0, 0.0],
        [0.0, 3.0],
        [3.0, 1.0],
        [3.0, 1.0]
    ];
    let (logits, labels) = ([0.0; 9], [1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
    let sites = [vec![embedded]];
    let outputs = Outputs {
        batch: &logits,
        variant_sites: &sites,
        ..Outputs::default()
    };
    let batch = Batch {
        windows: &[0, 1, 2, 3, 4, 5, 6, 7, 8],
        labels: &labels,
        environments: &[3, 3, 3, 3, 5, 5, 5, 5, 5],
        step: 0,
    };
    let found = strategy.objective(Loss::Bce, &outputs, &batch);
    let expected = 2f64.ln() + 0.7 * f64::midpoint(13.25, 5.40625);
    assert!((found.loss - expected).abs() < 1e-6, "{} {expected}", found.loss);
    // 0.35 (centred · C / (2 · 4) + 2/3 (-2, 0)) with centred (-1, -1), (2, -1) and (-1, 2); and 0.35 · (2, 0).
    let expected = array![
        [-0.532_291_7f32, -0.065_625],
        [-0.138_541_67, -0.2625],
        [-0.729_166_7, 0.328_125],
        [0.7, 0.0],
        [0.7, 0.0]
    ];
    let gradient = found.variant_sites[0][0].slice(ndarray::s![4.., ..]);
    let apart = (&gradient - &expected).mapv(f32::abs);
    assert!(apart.iter().all(|apart| *apart < 1e-6), "{gradient}");
}
