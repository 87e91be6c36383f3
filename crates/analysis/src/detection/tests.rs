//! Closed forms, tables of verdicts, and how often the tests err.

use disentangle_data::Seed;
use ndarray::{Array2, Array3};

use super::{
    instability::instability,
    probe::design,
    verdict::{DetectionConfig, Rows, Standing, Units, detect},
    *,
};
use crate::matrix::MatrixError;

/// Labels by a coin; environments one after the other.
fn sides(n: usize, environments: usize) -> (Vec<f32>, Vec<u32>) {
    let mut random = Seed::new(11).rng();
    let labels = (0..n).map(|_| random.below(2) as f32).collect();
    let environments = (0..n).map(|row| (row * environments / n) as u32).collect();
    (labels, environments)
}

#[test]
fn the_probe_reaches_aucs_that_are_known() {
    // Normal classes: apart by 1.5, Φ(1.5 / √2); alike in the mean with standard deviations 1 and 3, 2/π atan 3.
    let n = 40_000;
    let (labels, environments) = sides(n, 2);
    for (shift, spread, expected) in [
        (1.5, 1.0, 0.855_578_168),
        (0.0, 3.0, 2.0 / std::f64::consts::PI * 3_f64.atan()),
        (0.0, 1.0, 0.5),
    ] {
        let mut random = Seed::new(3).rng();
        let x = Array2::from_shape_fn((n, 1), |(row, _)| {
            let y = f64::from(labels[row]);
            shift * y + (1.0 + (spread - 1.0) * y) * random.normal()
        });
        for (environment, auc) in auc_by_environment(x.view(), &labels, &environments) {
            assert!(
                (auc.unwrap() - expected).abs() < 0.01,
                "{environment}: {auc:?}, {expected}"
            );
        }
        let probe = GroupProbe::fit(x.view(), &labels);
        let auc = crate::classification::roc_auc(&probe.scores(x.view()), &labels).unwrap();
        assert!((auc - expected).abs() < 0.01, "{auc}, {expected}");
    }
}

#[test]
fn an_environment_is_judged_by_the_others() {
    // What says yes in one environment says no in the other: each probe is wrong where it did not look.
    let (labels, environments) = sides(200, 2);
    let x = Array2::from_shape_fn((200, 1), |(row, _)| {
        let sign = if environments[row] == 0 { 1.0 } else { -1.0 };
        sign * (2.0 * f64::from(labels[row]) - 1.0)
    });
    for (_, auc) in auc_by_environment(x.view(), &labels, &environments) {
        assert_eq!(auc, Some(0.0));
    }
}

#[test]
fn what_cannot_be_told_is_none() {
    let (labels, environments) = sides(40, 2);
    let x = Array2::from_shape_fn((40, 1), |(row, _)| row as f64);
    let one = vec![0; 40];
    assert_eq!(auc_by_environment(x.view(), &labels, &one), [(0, None)]);
    // The second environment holds one label only.
    let labels: Vec<f32> = labels
        .iter()
        .zip(&environments)
        .map(|(y, e)| if *e == 1 { 1.0 } else { *y })
        .collect();
    let found = auc_by_environment(x.view(), &labels, &environments);
    assert_eq!(
        found.iter().map(|(_, auc)| auc.is_some()).collect::<Vec<_>>(),
        [false, false]
    );
}

/// Groups, labels and environments.
type Planted = (Vec<(String, Array2<f64>)>, Vec<f32>, Vec<u32>);

/// A cause, a shortcut that weakens, and noise.
fn planted(n: usize, environments: usize, seed: u64) -> Planted {
    let (labels, places) = sides(n, environments);
    let mut random = Seed::new(seed).rng();
    let mut column = |told: &dyn Fn(u32) -> f64| {
        Array2::from_shape_fn((n, 1), |(row, _)| {
            told(places[row]) * f64::from(labels[row]) + random.normal()
        })
    };
    let groups = vec![
        ("cause".to_string(), column(&|_| 1.5)),
        (
            "shortcut".to_string(),
            column(&|environment| 2.0 - 1.5 * f64::from(environment)),
        ),
        ("noise".to_string(), column(&|_| 0.0)),
    ];
    (groups, labels, places)
}

#[test]
fn standings_follow_from_the_tests() {
    use Standing::{Genuine, Shortcut, Undecided};
    for (n, environments, block, tolerance, expected, says) in [
        (
            800,
            2,
            1,
            0.1,
            [Genuine, Shortcut, Undecided],
            "does not tell the label",
        ),
        // Blocks instead of rows: less is known, the same is found.
        (
            2000,
            2,
            10,
            0.2,
            [Genuine, Shortcut, Undecided],
            "does not tell the label",
        ),
        (
            800,
            1,
            1,
            0.1,
            [Undecided, Undecided, Undecided],
            "does not tell the label",
        ),
        (
            120,
            2,
            1,
            0.1,
            [Undecided, Shortcut, Undecided],
            "does not tell the label",
        ),
    ] {
        let (groups, labels, environments) = planted(n, environments, 5);
        let rows = Rows {
            labels: &labels,
            environments: &environments,
            block,
        };
        let config = DetectionConfig {
            permutations: 199,
            tolerance,
            ..DetectionConfig::default()
        };
        let found = detect(&groups, &rows, &config, Seed::new(7)).unwrap();
        let standings: Vec<Standing> = found.iter().map(|one| one.standing).collect();
        assert_eq!(standings, expected, "n {n}, block {block}: {found:#?}");
        assert!(found[2].reason.contains(says), "{}", found[2].reason);
    }
    let (groups, labels, environments) = planted(800, 1, 5);
    let rows = Rows {
        labels: &labels,
        environments: &environments,
        block: 1,
    };
    let found = detect(&groups, &rows, &DetectionConfig::default(), Seed::new(7)).unwrap();
    assert!(found[0].reason.contains("not identifiable"), "{}", found[0].reason);
    assert_eq!(found[0].instability.value, None);
}

#[test]
fn scores_are_products_of_their_parts() {
    let (groups, labels, environments) = planted(600, 2, 9);
    let pair = ndarray::concatenate![ndarray::Axis(1), groups[0].1, groups[1].1];
    let rows = Rows {
        labels: &labels,
        environments: &environments,
        block: 1,
    };
    let config = DetectionConfig {
        permutations: 19,
        ..DetectionConfig::default()
    };
    let one = detect(&[("pair".into(), pair.clone())], &rows, &config, Seed::new(1))
        .unwrap()
        .remove(0);
    let (power, value) = (one.power.power.unwrap(), one.instability.value.unwrap());
    assert!((power - (2.0 * one.power.auc.value.unwrap() - 1.0)).abs() < 1e-12);
    assert!((one.score.unwrap() - power * value).abs() < 1e-12);
    let correlation = crate::descriptive::pearson(&pair.column(0).to_vec(), &pair.column(1).to_vec())
        .unwrap()
        .r;
    assert!((one.independence.unwrap() - (1.0 - correlation.abs())).abs() < 1e-9);
    assert!((one.notebook_score.unwrap() - power * value * correlation.abs()).abs() < 1e-9);
    let aucs: Vec<f64> = one
        .instability
        .environments
        .iter()
        .filter_map(|one| one.auc.value)
        .collect();
    assert!((value - (aucs[0] - aucs[1]).abs()).abs() < 1e-12);
}

/// The share of 200 samples without any change between environments that the test calls unstable at 0.05, rows being drawn in blocks.
fn rejections(block: usize) -> f64 {
    let n = 300;
    let environments: Vec<u32> = (0..n).map(|row| u32::from(row >= n / 2)).collect();
    let rejected = (0..200).filter(|&sample| {
        let mut random = Seed::new(100).index(sample).rng();
        let (mut label, mut drift) = (0.0_f32, 0.0);
        let (mut labels, mut x) = (Vec::new(), Array2::zeros((n, 1)));
        for row in 0..n {
            if row % block == 0 {
                (label, drift) = (f32::from(u8::from(random.uniform() < 0.5)), random.normal());
            }
            labels.push(label);
            x[[row, 0]] = f64::from(label) + if block > 1 { drift } else { random.normal() };
        }
        let rows = Rows {
            labels: &labels,
            environments: &environments,
            block,
        };
        let units = Units::new(&rows).unwrap();
        let found = instability(design(x.view()).view(), &labels, &units, 99, Seed::new(sample));
        found.p.is_some_and(|p| p <= 0.05)
    });
    rejected.count() as f64 / 200.0
}

#[test]
fn the_test_of_invariance_errs_as_often_as_it_says() {
    // Binomial(200, 0.05): more than 22 or fewer than 2 has a probability below 0.001 on either side.
    for block in [1, 5] {
        let share = rejections(block);
        assert!((0.01..=0.11).contains(&share), "blocks of {block}: {share}");
    }
}

#[test]
fn permutations_keep_what_they_must() {
    let (labels, environments) = sides(103, 3);
    for block in [1, 10] {
        let rows = Rows {
            labels: &labels,
            environments: &environments,
            block,
        };
        let units = Units::new(&rows).unwrap();
        for range in units.blocks() {
            assert!(environments[range.start] == environments[range.end - 1] && range.len() <= block);
        }
        let places = units.permuted(Seed::new(4));
        assert_ne!(places, units.places);
        if block == 1 {
            let count = |places: &[usize], label: f32, place: usize| {
                (0..103)
                    .filter(|&row| labels[row] == label && places[row] == place)
                    .count()
            };
            for place in 0..3 {
                for label in [0.0, 1.0] {
                    assert_eq!(count(&places, label, place), count(&units.places, label, place));
                }
            }
        }
        let again = units.relabelled(&labels, Seed::new(6));
        assert_eq!(again.iter().sum::<f32>(), labels.iter().sum::<f32>());
    }
}

#[test]
fn environments_need_thirty_rows_or_three_blocks() {
    for (block, sizes, small) in [(1, [40, 30, 29], 7), (5, [14, 15, 16], 3), (20, [60, 59, 61], 5)] {
        let named = [3_u32, 5, 7].into_iter().zip(sizes);
        let environments: Vec<u32> = named.flat_map(|(name, size)| vec![name; size]).collect();
        let labels: Vec<f32> = (0..environments.len()).map(|row| (row % 2) as f32).collect();
        let rows = Rows {
            labels: &labels,
            environments: &environments,
            block,
        };
        let (kept, units, left_out) = Units::new(&rows).unwrap().comparable();
        assert_eq!(left_out, [small], "blocks of {block}");
        let expected: Vec<usize> = (0..environments.len())
            .filter(|&row| environments[row] != small)
            .collect();
        assert_eq!(kept, expected);
        let named: Vec<u32> = units.places.iter().map(|&place| units.environments[place]).collect();
        assert_eq!(named, kept.iter().map(|&row| environments[row]).collect::<Vec<u32>>());
    }
}

#[test]
fn labels_of_series_are_shifted_by_a_block_at_least() {
    let (labels, environments) = sides(103, 3);
    let rows = Rows {
        labels: &labels,
        environments: &environments,
        block: 10,
    };
    let units = Units::new(&rows).unwrap();
    // Numbers in the place of labels, so that rows are known again.
    let numbers: Vec<f32> = (0..103).map(|row| row as f32).collect();
    for seed in 0..300 {
        let shifted = units.relabelled(&numbers, Seed::new(seed));
        let shift = shifted[0] as usize;
        assert!((10..=93).contains(&shift), "{shift}");
        assert!((0..103).all(|row| shifted[row] == numbers[(row + shift) % 103]));
    }
}

#[test]
fn features_of_windows() {
    let x = Array3::from_shape_vec((1, 2, 2), vec![1.0, 5.0, 3.0, 9.0]).unwrap();
    assert_eq!(group_features(x.view(), &[1]).row(0).to_vec(), [9.0, 7.0, 2.0]);
    let x = Array3::from_shape_vec((2, 1, 2), vec![1.0, 5.0, 3.0, 9.0]).unwrap();
    assert_eq!(group_features(x.view(), &[1, 0]).row(1).to_vec(), [9.0, 3.0]);
    assert_eq!(independence(Array2::zeros((5, 2)).view()), None);
}

#[test]
fn consistency_is_the_mean_change_between_windows() {
    let labels = [0.0, 1.0, 0.0, 1.0, 0.0, 1.0];
    // AUCs 1, 0, 1 in windows of two.
    assert_eq!(
        temporal_consistency(&[0.0, 1.0, 1.0, 0.0, 0.0, 1.0], &labels, 2),
        Some(0.0)
    );
    assert_eq!(
        temporal_consistency(&[0.0, 1.0, 0.0, 1.0, 0.5, 0.5], &labels, 2),
        Some(0.75)
    );
    assert_eq!(temporal_consistency(&[0.0, 1.0], &labels[..2], 2), None);
}

#[test]
fn interventions_move_what_the_model_reads() {
    // The model reads column 0 only; columns 1 and 2 hold two uniform sources, mixed.
    let mut random = Seed::new(8).rng();
    let mut x = Array3::zeros((400, 1, 3));
    for row in 0..400 {
        let (a, b) = (random.uniform() as f32 - 0.5, random.uniform() as f32 - 0.5);
        x[[row, 0, 0]] = random.normal() as f32;
        (x[[row, 0, 1]], x[[row, 0, 2]]) = (4.0 * a + b, a - 3.0 * b);
    }
    let reads = |columns: [usize; 2]| {
        move |x: &Array3<f32>| -> Result<Vec<f64>, MatrixError> {
            let of = |row: usize| columns.iter().map(|&column| f64::from(x[[row, 0, column]])).sum();
            Ok((0..x.dim().0).map(of).collect())
        }
    };
    let impact = |columns: &[usize]| counterfactual_impact(&x, columns, 3, Seed::new(1), reads([0, 0])).unwrap();
    assert_eq!(impact(&[1, 2]), Some(0.0));
    assert!(impact(&[0]).unwrap() > 0.2);
    let config = crate::ica::IcaConfig::default();
    let strength = |columns: [usize; 2], read: [usize; 2]| {
        causal_strength(&x, &columns, &config, Seed::new(2), reads(read)).unwrap()
    };
    let found = strength([1, 2], [1, 2]);
    assert_eq!((found.components, found.converged), (2, Some(true)));
    assert!(
        found.value.unwrap() > 0.05 && found.stability.unwrap() > 0.9,
        "{found:?}"
    );
    assert_eq!(strength([1, 2], [0, 0]).value, Some(0.0));
    let whole = causal_strength(&x, &[0], &config, Seed::new(2), reads([0, 0])).unwrap();
    assert!(whole.of.contains("whole group") && whole.value.unwrap() > 0.2);
    // A component becomes that of another row: a column's values change, its variance hardly does.
    let variances = std::cell::RefCell::new(Vec::new());
    let noting = |x: &Array3<f32>| -> Result<Vec<f64>, MatrixError> {
        let column: Vec<f64> = x.slice(ndarray::s![.., 0, 1]).iter().map(|&x| f64::from(x)).collect();
        variances
            .borrow_mut()
            .push(crate::descriptive::std_dev(&column).unwrap().powi(2));
        Ok(column)
    };
    causal_strength(&x, &[1, 2], &config, Seed::new(2), noting).unwrap();
    let variances = variances.into_inner();
    assert_eq!(variances.len(), 3);
    for variance in &variances[1..] {
        assert!((0.8..1.25).contains(&(variance / variances[0])), "{variances:?}");
    }
}

#[test]
fn bad_input_is_refused() {
    let (groups, labels, environments) = planted(60, 2, 1);
    let check = |labels: &[f32], environments: &[u32], config: &DetectionConfig, expected: &str| {
        let rows = Rows {
            labels,
            environments,
            block: 1,
        };
        let error = detect(&groups, &rows, config, Seed::new(1)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let config = DetectionConfig::default();
    check(&labels[..50], &environments[..50], &config, "rows");
    check(&labels, &environments[..50], &config, "environments");
    check(
        &[vec![2.0], labels[1..].to_vec()].concat(),
        &environments,
        &config,
        "must be 0 or 1",
    );
    for (change, expected) in [
        (
            DetectionConfig {
                permutations: 5,
                ..config.clone()
            },
            "permutations",
        ),
        (
            DetectionConfig {
                folds: 1,
                ..config.clone()
            },
            "folds",
        ),
        (
            DetectionConfig {
                false_discovery_rate: 0.0,
                ..config.clone()
            },
            "false_discovery_rate",
        ),
        (
            DetectionConfig {
                tolerance: f64::NAN,
                ..config.clone()
            },
            "tolerance",
        ),
    ] {
        check(&labels, &environments, &change, expected);
    }
}

#[test]
fn impact_is_the_mean_change_of_the_probability() {
    // Probabilities of 1/2 before, 3/4 and 1/4 after.
    let (up, calls) = (3f64.ln(), std::cell::Cell::new(0_usize));
    let logits = |x: &Array3<f32>| -> Result<Vec<f64>, MatrixError> {
        let call = calls.replace(calls.get() + 1);
        Ok(vec![[0.0, up, -up][call]; x.dim().0])
    };
    let found = counterfactual_impact(&Array3::zeros((5, 1, 2)), &[0], 2, Seed::new(1), logits);
    assert!((found.unwrap().unwrap() - 0.25).abs() < 1e-12);
}
