//! Strategies that are a layer over the inputs.

use disentangle_data::{
    InputLayer, Role, Seed, Smoothing, Split,
    synthetic::{Generator, SyntheticConfig},
};

use super::{Setup, data, of_positions, shortcut};
use crate::uncertainty_weighting::{FLOOR, factors};

#[test]
fn factors_by_hand() {
    let check = |variances: &[f64], strength: f64, expected: &[f64]| {
        let found = factors(variances, strength);
        assert_eq!(found.len(), expected.len());
        assert!(
            found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12),
            "{found:?}"
        );
    };
    // 1/floor and 1/(4 floor), whose mean is 5/8 of the first.
    check(&[0.0, 3.0 * FLOOR], 1.0, &[1.6, 0.4]);
    check(&[0.0, 3.0 * FLOOR], 0.5, &[1.6f64.sqrt(), 0.4f64.sqrt()]);
    check(&[0.0, 3.0 * FLOOR], 0.0, &[1.0, 1.0]);
    check(&[0.2, 0.2, 0.2], 1.0, &[1.0, 1.0, 1.0]);
}

#[test]
fn the_planted_shortcut_is_scaled_down() {
    let config = SyntheticConfig {
        generator: Generator::Biased,
        samples: 1600,
        validation: 160,
        test: 40,
        ..SyntheticConfig::default()
    };
    let setup = Setup {
        dataset: config.dataset(Seed::new(2)).unwrap(),
        ..Setup::new()
    };
    let mitigated = setup.run("uncertainty_weighting").unwrap();
    let scale = mitigated.layer.scale.unwrap();
    let (mut mean, mut least, mut of_shortcut) = (0.0, f32::INFINITY, 0.0);
    for group in &setup.dataset.groups {
        let factor = scale[group.columns[0]];
        assert!(group.columns.iter().all(|&column| scale[column] == factor));
        mean += factor / setup.dataset.groups.len() as f32;
        match group.role {
            Role::Spurious => of_shortcut = factor,
            _ => least = least.min(factor),
        }
    }
    assert!((mean - 1.0).abs() < 1e-5, "{scale:?}");
    assert!(of_shortcut < 0.5 && of_shortcut < least, "{scale:?}");
}

#[test]
fn the_smoothing_that_is_asked_for_is_what_inputs_pass() {
    let mut dataset = of_positions(data(2), 2);
    let plain = dataset.inputs(&dataset.part(Split::Train));
    let layer = Setup::new().run("temporal_smoothing").unwrap().layer;
    let columns = shortcut(&dataset);
    assert_eq!(
        layer,
        InputLayer {
            scale: None,
            smoothing: Some(Smoothing {
                columns: columns.clone(),
                keep: 0.8
            }),
        }
    );
    layer.check(dataset.features.len()).unwrap();
    dataset.layer = layer;
    let smoothed = dataset.inputs(&dataset.part(Split::Train));
    for ((row, position, column), &value) in smoothed.indexed_iter() {
        let now = plain[[row, position, column]];
        let expected = if columns.contains(&column) && position == 1 {
            0.8 * plain[[row, 0, column]] + 0.2 * now
        } else {
            now
        };
        assert!((value - expected).abs() < 1e-6);
    }
}

#[test]
fn other_strategies_leave_inputs_as_they_are() {
    for name in ["erm", "jtt", "dfr", "orthogonality"] {
        assert_eq!(Setup::new().run(name).unwrap().layer, InputLayer::default(), "{name}");
    }
}
