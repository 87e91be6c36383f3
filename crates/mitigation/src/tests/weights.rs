//! Strategies that change weights: proximal steps and orthogonal projections.

use burn::tensor::Device;
use disentangle_data::{Seed, Split};
use disentangle_models::train::Strategy;
use ndarray::{Array2, array};

use super::{Setup, data, shortcut};
use crate::{MitigationSettings, embedding::without, group_lasso::Shrunk, orthogonality::towards_orthogonal};

#[test]
fn a_proximal_step_by_hand() {
    let mut strategy = Shrunk {
        weight: 10.0,
        groups: vec![vec![0, 1], vec![4], vec![3]],
    };
    // Learning rate · λ = 1: the norm 5 becomes 4, the norm 1 becomes 0, and what is 0 stays.
    let mut parameters = [3.0, 4.0, 7.0, 0.0, -1.0];
    strategy.after_step(&mut parameters, 0.1);
    assert!((parameters[0] - 2.4).abs() < 1e-6 && (parameters[1] - 3.2).abs() < 1e-6);
    assert_eq!(parameters[2..], [7.0, 0.0, 0.0]);
}

#[test]
fn a_strong_lasso_cuts_the_shortcut_off() {
    let moved = |lasso_weight: f64| {
        let setup = Setup {
            settings: MitigationSettings {
                lasso_weight,
                ..MitigationSettings::default()
            },
            ..Setup::new()
        };
        let model = setup.run("group_lasso").unwrap().trained.model;
        let other = data(9);
        let x = other.inputs(&other.part(Split::Test));
        let changed = without(&x, &shortcut(&other));
        let logits = |x: &ndarray::Array3<f32>| model.logits(x.view(), &Device::flex(), 1).unwrap();
        logits(&x) != logits(&changed)
    };
    assert!(moved(0.05));
    assert!(!moved(1e6));
}

#[test]
fn towards_orthogonal_by_hand() {
    let check = |weight: &Array2<f32>, strength: f64, expected: &Array2<f64>| {
        let found = towards_orthogonal(weight, strength).unwrap();
        let apart = found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs());
        assert!(apart.fold(0.0, f64::max) < 1e-6, "{found} {expected}");
    };
    let diagonal = array![[3.0f32, 0.0], [0.0, 1.0]];
    let root = 5f64.sqrt();
    check(&diagonal, 1.0, &array![[root, 0.0], [0.0, root]]);
    check(
        &diagonal,
        0.5,
        &array![[f64::midpoint(3.0, root), 0.0], [0.0, f64::midpoint(1.0, root)]],
    );
    check(&diagonal, 0.0, &array![[3.0, 0.0], [0.0, 1.0]]);
    let side = 2.5f64.sqrt();
    check(
        &array![[0.0f32, 2.0, 0.0], [-1.0, 0.0, 0.0]],
        1.0,
        &array![[0.0, side, 0.0], [-side, 0.0, 0.0]],
    );
    check(&Array2::zeros((2, 3)), 1.0, &Array2::zeros((2, 3)));
    assert!(towards_orthogonal(&array![[f32::NAN]], 1.0).is_err());
}

#[test]
fn at_full_strength_columns_or_rows_are_orthogonal_and_the_norm_stays() {
    let mut rng = Seed::new(3).rng();
    for shape in [(4, 7), (7, 4), (5, 5)] {
        let weight = Array2::from_shape_simple_fn(shape, || rng.normal() as f32);
        let found = towards_orthogonal(&weight, 1.0).unwrap();
        let gram = if shape.0 <= shape.1 {
            found.dot(&found.t())
        } else {
            found.t().dot(&found)
        };
        let norm: f32 = weight.iter().map(|w| w * w).sum();
        let side = gram.nrows();
        for ((row, column), value) in gram.indexed_iter() {
            let expected = if row == column { norm / side as f32 } else { 0.0 };
            assert!((value - expected).abs() < 1e-4, "{gram}");
        }
    }
}
