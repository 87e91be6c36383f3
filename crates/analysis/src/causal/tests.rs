//! Against closed forms, Captum, scipy and numpy (`tests/fixtures/make_causal.py`), and what must always hold.

use std::path::PathBuf;

use disentangle_data::{FeatureGroup, Role, Seed};
use ndarray::{Array3, s};
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use serde_json::Value;

use super::{
    CausalError,
    attribution::{Rule, agreement, completeness_gap, integrated_gradients},
    contrast::{Contrast, check_groups, check_sides, counterfactual, find_group},
    interaction::{PairLogits, friedman_h_squared, interaction, partial_dependence, sign_flip_p, without},
    mediation::{RowEffects, mediation, total_effect},
    robustness::{Disturbance, degradation, feature_dropout, gaussian_noise, slope},
};
use crate::{
    Bootstrap,
    descriptive::{mean, spearman, std_dev},
};

pub(crate) fn fixture(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/causal.json");
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()[name].take()
}

pub(crate) fn floats(value: &Value) -> Vec<f64> {
    let nested = value.as_array().unwrap().iter();
    nested
        .flat_map(|x| x.as_f64().map_or_else(|| floats(x), |x| vec![x]))
        .collect()
}

pub(crate) fn close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= tolerance, "{what}: {a} instead of {b}");
    }
}

fn bootstrap() -> Bootstrap {
    Bootstrap::new(1, 100, Seed::new(3))
}

fn normal(rows: usize, columns: usize, seed: u64) -> Array3<f32> {
    let mut rng = Seed::new(seed).rng();
    Array3::from_shape_simple_fn((rows, 1, columns), || rng.normal() as f32)
}

/// M = dX, Y = aX + bM + cXM, X from 0 to 1: NDE = a, NIE = bd, TE = a + bd + cd, interaction = cd.
#[test]
fn the_mediation_model_with_interaction() {
    let (a, b, c, d) = (0.3, -1.2, 0.7, 2.5);
    let y = |x: f64, m: f64| a * x + b * m + c * x * m;
    let m = |x: f64| d * x;
    let n = 50;
    // What else moves the output is the same in all four runs.
    let noise: Vec<f64> = normal(n, 1, 1).iter().map(|&x| f64::from(x)).collect();
    let row = |x: f64, of: f64| -> Vec<f64> { noise.iter().map(|u| y(x, m(of)) + u).collect() };
    let minus = |one: Vec<f64>| -> Vec<f64> { one.iter().zip(row(0.0, 0.0)).map(|(one, plain)| one - plain).collect() };
    let (total, direct, indirect) = (minus(row(1.0, 1.0)), minus(row(1.0, 0.0)), minus(row(0.0, 1.0)));
    let ones = vec![1.0; n];
    let found = mediation(&total, &RowEffects { direct, indirect }, &ones, &bootstrap());
    let value = |estimate: &crate::Estimate| estimate.value.unwrap();
    close(
        "effects",
        &[
            value(&found.direct),
            value(&found.indirect),
            value(&found.interaction),
            value(&total_effect(&total, &ones, &bootstrap())),
            value(&found.share),
        ],
        &[a, b * d, c * d, a + b * d + c * d, b * d / (a + b * d + c * d)],
        1e-9,
    );
    // The reverse indirect effect: TE = NDE - NIE(reverse).
    let reverse = y(1.0, m(0.0)) - y(1.0, m(1.0));
    assert!((reverse + (b + c) * d).abs() < 1e-12);
    assert!((value(&found.direct) - reverse - (a + b * d + c * d)).abs() < 1e-9);
}

#[test]
fn a_share_needs_a_total_effect_and_keeps_its_sign() {
    let total: Vec<f64> = (0..60).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
    let effects = RowEffects {
        direct: total.iter().map(|t| 1.5 * t).collect(),
        indirect: total.iter().map(|t| -0.5 * t).collect(),
    };
    let unclear = mediation(&total, &effects, &[1.0; 60], &bootstrap());
    assert_eq!(unclear.share.value, None);
    assert_eq!(
        unclear.share.note.as_deref(),
        Some("the interval of the total effect includes 0")
    );
    // Oriented, the same effects are clear: every row moves one way; the share is not clipped.
    let clear = mediation(&total, &effects, &total, &bootstrap());
    assert!((clear.share.value.unwrap() + 0.5).abs() < 1e-12);
    assert!((clear.interaction.value.unwrap()).abs() < 1e-12);
    assert!(clear.share.low.is_some() && clear.share.high.is_some());
}

#[test]
fn nodes_integrate_polynomials() {
    for steps in [1, 2, 3, 10, 50, 101] {
        let nodes = Rule::GaussLegendre.nodes(steps);
        assert_eq!(nodes.len(), steps);
        for degree in 0..(2 * steps).min(60) {
            let sum: f64 = nodes.iter().map(|(x, w)| w * x.powi(degree as i32)).sum();
            assert!(
                (sum - 1.0 / (degree as f64 + 1.0)).abs() < 1e-13,
                "{steps} nodes, degree {degree}: {sum}"
            );
        }
        let middle = Rule::Midpoint.nodes(steps);
        let sum: f64 = middle.iter().map(|(x, w)| w * x).sum();
        assert!((sum - 0.5).abs() < 1e-12);
    }
}

/// REFERENCE's network of two layers, with its gradient by hand.
#[test]
fn integrated_gradients_of_a_small_network() {
    let case = fixture("closed_form");
    let (w1, w2, x) = (floats(&case["w1"]), floats(&case["w2"]), floats(&case["x"]));
    let output = case["output"].as_u64().unwrap() as usize;
    let gradient = |points: &Array3<f32>| -> Result<Array3<f32>, ()> {
        let mut slopes = Array3::zeros(points.dim());
        for (point, mut slope) in points.outer_iter().zip(slopes.outer_iter_mut()) {
            for hidden in 0..3 {
                let z: f64 = (0..3).map(|i| w1[3 * hidden + i] * f64::from(point[[0, i]])).sum();
                if z > 0.0 {
                    for i in 0..3 {
                        slope[[0, i]] += (w2[3 * output + hidden] * w1[3 * hidden + i]) as f32;
                    }
                }
            }
        }
        Ok(slopes)
    };
    let x = Array3::from_shape_fn((1, 1, 3), |(_, _, i)| x[i] as f32);
    let baseline = Array3::zeros(x.dim());
    let found = integrated_gradients(&x, &baseline, Rule::GaussLegendre, 50, gradient).unwrap();
    let found: Vec<f64> = found.iter().copied().collect();
    close("exact", &found, &floats(&case["exact"]), 1e-6);
    close(
        "captum",
        &found,
        &floats(&case["integrated_gradients_gausslegendre"]),
        1e-6,
    );
    let (out, at_baseline) = (floats(&case["out"])[output], floats(&case["baseline_out"])[output]);
    let attributions = Array3::from_shape_vec((1, 1, 3), found).unwrap();
    assert!(completeness_gap(&attributions, &[out], &[at_baseline]).unwrap() < 1e-6);
    let half = attributions.mapv(|a| a / 2.0);
    assert!((completeness_gap(&half, &[out], &[at_baseline]).unwrap() - 0.5).abs() < 1e-6);
    assert_eq!(completeness_gap(&attributions, &[1.0], &[1.0]), None);
}

#[test]
fn statistics_agree_with_scipy_and_numpy() {
    let cases = fixture("interaction");
    for case in cases["sign_flip"].as_array().unwrap() {
        let p = sign_flip_p(&floats(&case["values"]), 1, 10, Seed::new(0)).unwrap();
        assert!((p - case["p"].as_f64().unwrap()).abs() < 1e-12, "{p}");
    }
    for case in cases["spearman"].as_array().unwrap() {
        let found = spearman(&floats(&case["x"]), &floats(&case["y"])).map(|found| found.r);
        match case["rho"].as_f64() {
            None => assert_eq!(found, None),
            Some(rho) => assert!((found.unwrap() - rho).abs() < 1e-12),
        }
    }
    for case in fixture("slope").as_array().unwrap() {
        let found = slope(&floats(&case["levels"]), &floats(&case["auc"])).unwrap();
        assert!((found - case["slope"].as_f64().unwrap()).abs() < 1e-12);
    }
    assert_eq!(slope(&[1.0, 1.0], &[0.0, 2.0]), None);
}

#[test]
fn friedman_s_h_squared_agrees_with_brute_force() {
    let case = &fixture("interaction")["friedman"];
    let values = floats(&case["X"]);
    let x = Array3::from_shape_fn((values.len() / 3, 1, 3), |(row, _, i)| values[3 * row + i] as f32);
    let f = |x: &Array3<f32>| -> Result<Vec<f64>, ()> {
        let rows = x.outer_iter();
        Ok(rows
            .map(|row| f64::from(row[[0, 0]]) * f64::from(row[[0, 1]]) + f64::from(row[[0, 2]]))
            .collect())
    };
    let dependence = |columns: &[usize]| partial_dependence(&x, &x, columns, f).unwrap();
    for pair in case["pairs"].as_array().unwrap() {
        let columns: Vec<usize> = floats(&pair["pair"]).iter().map(|&c| c as usize).collect();
        let found = friedman_h_squared(
            &dependence(&columns),
            &dependence(&columns[..1]),
            &dependence(&columns[1..]),
            &bootstrap(),
        );
        let expected = pair["h2"].as_f64().unwrap();
        assert!(
            (found.value.unwrap() - expected).abs() < 1e-6,
            "{found:?} instead of {expected}"
        );
    }
    let flat = friedman_h_squared(&[2.0; 9], &[2.0; 9], &[2.0; 9], &bootstrap());
    assert_eq!(
        (flat.value, flat.note.as_deref()),
        (None, Some("the output does not vary with these groups"))
    );
}

/// Logits of f without each of two columns and without both.
fn pair_of(f: &dyn Fn(&[f32]) -> f64, x: &Array3<f32>, draws: usize) -> (Vec<f64>, PairLogits) {
    let of = |x: &Array3<f32>| -> Vec<f64> {
        x.outer_iter()
            .map(|row| f(&row.iter().copied().collect::<Vec<_>>()))
            .collect()
    };
    let replaced = |groups: &[(usize, &[usize])]| {
        (0..draws)
            .map(|draw| of(&without(x, groups, draw, Seed::new(5))))
            .collect()
    };
    let pair = PairLogits {
        without_first: replaced(&[(0, &[0])]),
        without_second: replaced(&[(1, &[1])]),
        without_both: replaced(&[(0, &[0]), (1, &[1])]),
    };
    (of(x), pair)
}

#[test]
fn products_interact_and_sums_do_not() {
    let x = normal(2000, 3, 8);
    let found = |f: &dyn Fn(&[f32]) -> f64| {
        let (whole, pair) = pair_of(f, &x, 20);
        interaction(["a", "b"], &whole, &pair, &bootstrap(), 99)
    };
    let product = found(&|row| f64::from(row[0]) * f64::from(row[1]) + f64::from(row[2]));
    // Mean 0, root mean square 1; D of a row has the variance 1, that of the mean over 2000 rows 1/2000.
    assert!(
        product.mean.value.unwrap().abs() < 0.1 && product.mean.p.unwrap() > 0.01,
        "{product:?}"
    );
    let of = |column: usize| -> Vec<f64> { x.slice(s![.., 0, column]).iter().map(|&x| f64::from(x)).collect() };
    let (first, second) = (of(0), of(1));
    let (m1, m2) = (mean(&first).unwrap(), mean(&second).unwrap());
    let squares: Vec<f64> = first
        .iter()
        .zip(&second)
        .map(|(a, b)| ((a - m1) * (b - m2)).powi(2))
        .collect();
    let expected = mean(&squares).unwrap().sqrt();
    assert!((expected - 1.0).abs() < 0.15);
    assert!(
        (product.root_mean_square.value.unwrap() - expected).abs() < 0.05,
        "{product:?}, {expected}"
    );
    // Permuted groups interact on average only where they depend on each other: then E[D] is their covariance.
    let mut tied = x.clone();
    let half = (&x.slice(s![.., .., 0]) + &x.slice(s![.., .., 1])) / 2.0;
    tied.slice_mut(s![.., .., 1]).assign(&half);
    let (whole, pair) = pair_of(&|row| f64::from(row[0]) * f64::from(row[1]), &tied, 20);
    let dependent = interaction(["a", "b"], &whole, &pair, &bootstrap(), 99);
    assert!(
        (dependent.mean.value.unwrap() - 0.5).abs() < 0.1 && dependent.mean.p == Some(0.01),
        "{dependent:?}"
    );
    let sum = found(&|row| f64::from(row[0]).powi(3) - f64::from(row[1]).exp() + f64::from(row[2]));
    assert!(
        sum.mean.value.unwrap().abs() < 1e-12 && sum.root_mean_square.value.unwrap() < 1e-6,
        "{sum:?}"
    );
}

#[test]
fn sign_flips_reject_at_their_level_and_flip_whole_blocks() {
    let (mut rejected, repeats) = (0, 400);
    for repeat in 0..repeats {
        let mut rng = Seed::new(repeat).rng();
        // Blocks of five equal values: independent rows would be rejected far too often.
        let values: Vec<f64> = (0..20).flat_map(|_| [rng.normal(); 5]).collect();
        rejected += usize::from(sign_flip_p(&values, 5, 99, Seed::new(repeat).child("signs")).unwrap() <= 0.05);
    }
    let share = rejected as f64 / repeats as f64;
    assert!((0.015..0.095).contains(&share), "{share}");
    assert_eq!(sign_flip_p(&[], 1, 9, Seed::new(0)), None);
    assert_eq!(sign_flip_p(&[1.0; 5], 1, 9, Seed::new(0)), Some(2.0 / 32.0));
}

#[test]
fn methods_agree_with_themselves() {
    let columns: Vec<Vec<f64>> = (0..5)
        .map(|c| (0..40).map(|r| f64::from(c * 3 + r % 2)).collect())
        .collect();
    let reversed: Vec<Vec<f64>> = columns
        .iter()
        .map(|column| column.iter().map(|v| 1.0 / (v + 1.0)).collect())
        .collect();
    let same = agreement(&columns, &columns, &bootstrap());
    assert_eq!((same.value, same.low, same.high), (Some(1.0), Some(1.0), Some(1.0)));
    assert!((agreement(&columns, &reversed, &bootstrap()).value.unwrap() + 1.0).abs() < 1e-12);
    let two = agreement(&columns[..2], &reversed[..2], &bootstrap());
    assert_eq!(
        two.note.as_deref(),
        Some("fewer than 3 columns, or all of equal importance")
    );
}

#[test]
fn disturbances_disturb_their_columns_by_their_level() {
    let x = normal(20_000, 3, 2);
    let noisy = gaussian_noise(&x, &[1], 0.2, Seed::new(1));
    let dropped = feature_dropout(&x, &[0, 2], 0.3, Seed::new(1));
    for column in [0, 2] {
        assert_eq!(noisy.slice(s![.., .., column]), x.slice(s![.., .., column]));
        let zeros = dropped.slice(s![.., .., column]).iter().filter(|&&x| x == 0.0).count();
        assert!((zeros as f64 / 20_000.0 - 0.3).abs() < 0.02);
    }
    assert_eq!(dropped.slice(s![.., .., 1]), x.slice(s![.., .., 1]));
    let noise: Vec<f64> = (0..20_000)
        .map(|row| f64::from(noisy[[row, 0, 1]] - x[[row, 0, 1]]))
        .collect();
    assert!(mean(&noise).unwrap().abs() < 0.01 && (std_dev(&noise).unwrap() - 0.2).abs() < 0.01);
}

#[test]
fn degradation_is_a_slope_of_lost_auc() {
    let labels = [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0];
    let good: Vec<f64> = labels.iter().map(|&y| f64::from(y)).collect();
    let bad: Vec<f64> = good.iter().map(|y| 1.0 - y).collect();
    let none = vec![0.0; 8];
    let levels = [(0.5, vec![good.clone(), none]), (1.0, vec![bad.clone(), bad])];
    let found = degradation(Disturbance::Fgsm, &labels, &good, &levels, &bootstrap());
    let auc: Vec<Option<f64>> = found.auc.iter().map(|auc| auc.value).collect();
    assert_eq!(auc, [Some(0.75), Some(0.0)]);
    // 1 - AUC is 0, 0.25, 1 at 0, 0.5, 1.
    assert!((found.slope.value.unwrap() - 1.0).abs() < 1e-12);
    let one_class = degradation(Disturbance::Fgsm, &[1.0; 8], &good, &levels, &bootstrap());
    assert!(one_class.slope.value.is_none() && one_class.auc[0].value.is_none());
}

fn group(name: &str, columns: &[usize]) -> FeatureGroup {
    FeatureGroup {
        name: name.into(),
        role: Role::Unknown,
        columns: columns.to_vec(),
    }
}

#[test]
fn questions_without_an_answer() {
    let check = |found: Result<(), CausalError>, expected: &str| assert_eq!(found.unwrap_err().to_string(), expected);
    let groups = |groups: &[FeatureGroup]| check_groups(groups, 4);
    assert!(groups(&[group("a", &[0, 1]), group("b", &[3])]).is_ok());
    check(
        groups(&[group("a", &[0, 1]), group("b", &[1])]),
        "groups `a` and `b` overlap: both hold column 1",
    );
    check(groups(&[group("a", &[])]), "group `a` has no columns");
    check(
        groups(&[group("a", &[4])]),
        "group `a` names column 4, but rows have 4 columns, counted from 0",
    );
    check(
        groups(&[group("a", &[0, 1, 2, 3])]),
        "group `a` covers all 4 columns: nothing is left that could stay as it is; expected a part of them",
    );
    check(
        find_group(&[group("a", &[0]), group("b", &[1])], "c").map(|_| ()),
        "unknown group `c`; expected one of: a, b",
    );
    check(
        check_sides(&[], "environment `x`", "label"),
        "environment `x`: holds no rows",
    );
    check(
        check_sides(&[1.0, 1.0], "environment `x`", "label"),
        "environment `x`: all 2 rows have label 1; expected both 0 and 1",
    );
    let x = normal(4, 3, 0);
    let ask = |columns: &[usize], sides: &[f32]| {
        counterfactual(&x, columns, sides, Contrast::Opposite, 1, Seed::new(0)).map(|_| ())
    };
    check(
        ask(&[0], &[0.0; 4]),
        "the rows: all 4 rows have side 0; expected both 0 and 1",
    );
    check(ask(&[0], &[0.0, 1.0]), "sides: 2 values, expected 4");
    check(
        ask(&[3], &[0.0, 1.0, 1.0, 0.0]),
        "group `the changed group` names column 3, but rows have 3 columns, counted from 0",
    );
}

#[test]
fn a_group_is_set_to_its_mean_or_to_zero() {
    // Two rows of two positions; the second column holds 1, 2, 3, 6.
    let x = Array3::from_shape_vec((2, 2, 2), vec![9.0, 1.0, 9.0, 2.0, 9.0, 3.0, 7.0, 6.0]).unwrap();
    for (contrast, expected) in [(Contrast::Mean, 3.0), (Contrast::Zero, 0.0)] {
        let found = counterfactual(&x, &[1], &[0.0, 0.0], contrast, 5, Seed::new(0)).unwrap();
        assert_eq!(found.draws.len(), 1);
        let changed = &found.draws[0];
        assert!(changed.slice(s![.., .., 1]).iter().all(|&x| x == expected), "{changed}");
        assert_eq!(changed.slice(s![.., .., 0]), x.slice(s![.., .., 0]));
    }
}

proptest! {
    #[test]
    fn counterfactuals_change_their_group_only(seed in 0u64..1000, rows in 2usize..20, column in 0usize..4) {
        let x = normal(rows, 4, seed);
        let sides: Vec<f32> = (0..rows).map(|row| (row % 2) as f32).collect();
        for contrast in [Contrast::Opposite, Contrast::Permute, Contrast::Mean, Contrast::Zero] {
            let found = counterfactual(&x, &[column], &sides, contrast, 2, Seed::new(seed)).unwrap();
            prop_assert!(!found.draws.is_empty());
            for draw in &found.draws {
                for row in 0..rows {
                    for other in (0..4).filter(|other| *other != column) {
                        prop_assert_eq!(draw[[row, 0, other]], x[[row, 0, other]]);
                    }
                    if contrast == Contrast::Opposite {
                        let donor = (0..rows).find(|&donor| x[[donor, 0, column]] == draw[[row, 0, column]]).unwrap();
                        prop_assert!(sides[donor] != sides[row]);
                    }
                }
                if contrast == Contrast::Permute {
                    let sum = |x: &Array3<f32>| x.slice(s![.., .., column]).iter().map(|&v| f64::from(v)).sum::<f64>();
                    prop_assert!((sum(draw) - sum(&x)).abs() < 1e-4);
                }
            }
            let expected: Vec<f64> = sides.iter().map(|side| 1.0 - 2.0 * f64::from(*side)).collect();
            prop_assert_eq!(found.orientation, expected);
        }
    }
}
