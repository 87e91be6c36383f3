//! Distances between samples, normality and independent components against scipy and scikit-learn
//! (`tests/fixtures/make_detection.py`), closed forms and invariances.

use std::path::PathBuf;

use disentangle_data::Seed;
use ndarray::{Array2, Axis, array, s};
use serde_json::Value;

use crate::{
    ica::{self, Ica, IcaConfig, independent_components},
    matrix,
    multiple::benjamini_hochberg,
    normality::{jarque_bera, normality},
    transport::{class_separation, wasserstein_1, within_class_shift},
};

fn fixture(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/detection.json");
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()[name].take()
}

fn cases(name: &str) -> Vec<Value> {
    let cases = fixture(name).as_array().unwrap().clone();
    assert!(!cases.is_empty());
    cases
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn table(value: &Value) -> Array2<f64> {
    let rows: Vec<Vec<f64>> = value.as_array().unwrap().iter().map(floats).collect();
    Array2::from_shape_vec((rows.len(), rows[0].len()), rows.concat()).unwrap()
}

#[track_caller]
fn near(what: &str, found: f64, expected: f64, tolerance: f64) {
    assert!(
        (found - expected).abs() <= tolerance,
        "{what}: {found} instead of {expected}"
    );
}

#[track_caller]
fn all_near(what: &str, found: &Array2<f64>, expected: &Array2<f64>, tolerance: f64) {
    assert_eq!(found.dim(), expected.dim(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        near(what, *found, *expected, tolerance);
    }
}

#[test]
fn distances() {
    for case in cases("wasserstein") {
        let (a, b, name) = (floats(&case["a"]), floats(&case["b"]), case["name"].as_str().unwrap());
        let expected = case["distance"].as_f64().unwrap();
        for found in [wasserstein_1(&a, &b), wasserstein_1(&b, &a)] {
            near(name, found.unwrap(), expected, 1e-12 * (1.0 + expected));
        }
    }
    assert_eq!(wasserstein_1(&[0.0, 4.0], &[1.0]), Some(2.0));
    assert_eq!(wasserstein_1(&[], &[1.0]), None);
    assert_eq!(wasserstein_1(&[1.0], &[f64::NAN]), None);
    assert_eq!(wasserstein_1(&[f64::INFINITY], &[1.0]), None);
}

#[test]
fn shifts() {
    let draws = 20_000;
    for case in cases("shift") {
        let (values, name) = (floats(&case["values"]), case["name"].as_str().unwrap());
        let labels: Vec<f32> = floats(&case["labels"]).into_iter().map(|y| y as f32).collect();
        let environments: Vec<u32> = floats(&case["environments"]).into_iter().map(|e| e as u32).collect();
        let expected = |what: &str| case[what].as_f64().unwrap();
        let seed = Seed::new(1);

        let found = within_class_shift(&values, &labels, &environments, draws, seed);
        let shift = found.shift.unwrap();
        near(name, shift, expected("shift"), 1e-12);
        // Five standard errors of a mean and of a share.
        let error = 5.0 / (draws as f64).sqrt();
        let excess = shift - expected("null_mean");
        near(name, found.excess.unwrap(), excess, error * expected("null_deviation"));
        let p = expected("p");
        near(name, found.p.unwrap(), p, error * (p * (1.0 - p)).sqrt() + 1e-4);
        assert_eq!(found.note, None);

        match (class_separation(&values, &labels), case["separation"].as_f64()) {
            (Some(found), Some(expected)) => near(name, found, expected, 1e-12),
            (found, expected) => assert_eq!(found, expected, "{name}"),
        }
        // Neither units nor the order of rows matter.
        let turned = |row: usize| values.len() - 1 - row;
        let rows = || (0..values.len()).map(turned);
        let other = within_class_shift(
            &rows().map(|row| 100.0 - 3.0 * values[row]).collect::<Vec<_>>(),
            &rows().map(|row| labels[row]).collect::<Vec<_>>(),
            &rows().map(|row| environments[row]).collect::<Vec<_>>(),
            18,
            seed,
        );
        near(name, other.shift.unwrap(), shift, 1e-9);
        assert!(other.excess.is_some() && other.p.is_none() && other.note.is_some());

        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let alone = pool.install(|| within_class_shift(&values, &labels, &environments, draws, seed));
        assert_eq!(alone, found);
    }
}

#[test]
fn shifts_that_are_undefined() {
    let check = |values: &[f64], labels: &[f32], environments: &[u32], note: &str| {
        let found = within_class_shift(values, labels, environments, 99, Seed::new(2));
        assert_eq!((found.shift, found.excess, found.p), (None, None, None), "{note}");
        assert_eq!(found.note.as_deref(), Some(note));
    };
    let (values, labels) = ([1.0, 2.0, 3.0, 5.0], [0.0, 0.0, 1.0, 1.0]);
    check(&values, &labels, &[4, 4, 9, 9], "no class has rows of two environments");
    check(
        &[2.0, 2.0, 0.1, 0.1],
        &labels,
        &[0, 1, 0, 1],
        "no value varies within its class",
    );
    check(&[], &[], &[], "no value varies within its class");
    check(
        &[1.0, f64::NAN, 3.0, 5.0],
        &labels,
        &[0, 1, 0, 1],
        "values that are not finite",
    );
    check(&values, &labels, &[0, 1], "there is not one environment a value");
    check(&values, &labels[..3], &[0, 1, 0, 1], "there is not one label a value");
    assert_eq!(class_separation(&values, &[1.0; 4]), None);
    assert_eq!(class_separation(&[2.0, 2.0, 0.1, 0.1], &labels), None);
    // Within-class deviations of 1/2 and 2 around 1.5 and 4: pooled √((0.5 + 2) / 2).
    let separation = class_separation(&values, &labels).unwrap();
    near("separation", separation, 2.5 / 1.25f64.sqrt(), 1e-12);
}

#[test]
fn tests_of_normality() {
    let mut samples = Vec::new();
    let mut all_p = Vec::new();
    for case in cases("normality") {
        let (values, name) = (floats(&case["values"]), case["name"].as_str().unwrap());
        let (statistic, p) = jarque_bera(&values).unwrap();
        let expected = case["statistic"].as_f64().unwrap();
        near(name, statistic, expected, 1e-8 * expected);
        let expected = case["p"].as_f64().unwrap();
        near(name, p, expected, 1e-8 * expected);
        samples.push(values);
        all_p.push(p);
    }
    let found = normality(&samples).unwrap();
    let q: Vec<f64> = found.iter().map(|test| test.q).collect();
    assert_eq!(q, benjamini_hochberg(&all_p));
    for (test, values) in found.iter().zip(&samples) {
        assert_eq!(Some((test.statistic, test.p)), jarque_bera(values));
    }
    for untestable in [vec![], vec![1.0], vec![0.1; 10], vec![1.0, f64::NAN]] {
        assert_eq!(jarque_bera(&untestable), None);
        samples.push(untestable);
        assert_eq!(normality(&samples), None);
        samples.pop();
    }
}

#[test]
fn one_step() {
    let case = fixture("step");
    let (white, start) = (table(&case["white"]), table(&case["start"]));
    let after = ica::fixed_point(white.view(), start.view()).unwrap();
    all_near("step", &after, &table(&case["after"]), 1e-9);
    let change = ica::turned(start.view(), after.view());
    near("change", change, case["change"].as_f64().unwrap(), 1e-9);
    // A sign is no turn.
    near("sign", ica::turned(start.view(), (-&start).view()), 0.0, 1e-12);
}

/// Settings that make components exact enough to compare.
fn exact() -> IcaConfig {
    IcaConfig {
        tolerance: 1e-10,
        ..IcaConfig::default()
    }
}

/// What components are by definition, whatever they are components of.
fn check_definition(found: &Ica, x: &Array2<f64>, left_out: f64) {
    let centred = matrix::centred(x.view());
    let k = found.sources.ncols();
    let n = x.nrows() as f64;
    all_near("rows", &found.sources.dot(&found.mixing.t()), &centred, left_out);
    all_near("sources", &centred.dot(&found.unmixing.t()), &found.sources, 1e-8);
    let covariance = found.sources.t().dot(&found.sources) / n;
    all_near("covariance", &covariance, &Array2::eye(k), 1e-9);
    all_near(
        "mean",
        &(x - &centred).slice(s![..1, ..]).to_owned(),
        &found.mean.clone().insert_axis(Axis(0)),
        1e-9,
    );
    for loadings in found.mixing.columns() {
        let (least, most) = (
            loadings.fold(0.0f64, |a, b| a.min(*b)),
            loadings.fold(0.0f64, |a, b| a.max(*b)),
        );
        assert!(most >= -least, "{loadings}");
    }
    for (test, source) in found.normality.iter().zip(found.sources.columns()) {
        let (statistic, _) = jarque_bera(&source.to_vec()).unwrap();
        near("statistic", test.statistic, statistic, 1e-8 * (1.0 + statistic));
    }
    assert!(found.normality.is_sorted_by(|a, b| a.statistic >= b.statistic));
    assert_eq!((found.stability.len(), found.normality.len()), (k, k));
    assert!(found.stability.iter().all(|s| (0.0..=1.0).contains(s)));
}

#[test]
fn components_of_a_mixture() {
    let case = fixture("ica");
    let (x, sources, mixing) = (table(&case["X"]), table(&case["sources"]), table(&case["mixing"]));
    let found = independent_components("x", x.view(), &exact(), Seed::new(3)).unwrap();
    assert_eq!(found.sources.dim(), (x.nrows(), 3));
    // Inputs are rounded to 5 places, of which three components cannot hold everything.
    check_definition(&found, &x, 5e-5);

    let likeness = found.sources.t().dot(&sources) / x.nrows() as f64;
    let mut matched = [false; 3];
    for (place, row) in likeness.rows().into_iter().enumerate() {
        let best = (0..3).max_by(|&a, &b| row[a].abs().total_cmp(&row[b].abs())).unwrap();
        assert!(row[best].abs() > 0.999, "component {place}: {row}");
        assert!(!matched[best]);
        matched[best] = true;
        let sign = row[best].signum();
        for (ours, theirs) in found.mixing.column(place).iter().zip(mixing.column(best)) {
            near("mixing", *ours, sign * theirs, 1e-3);
        }
        let expected = floats(&case["statistics"])[best];
        near("statistic", found.normality[place].statistic, expected, 1e-3 * expected);
    }
    assert!(found.converged && found.change < 1e-10, "{}", found.change);
    assert!(found.stability.iter().all(|&s| s > 0.999), "{:?}", found.stability);
    assert!(found.normality.iter().all(|test| test.p <= test.q && test.q < 1e-5));

    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let alone = pool.install(|| independent_components("x", x.view(), &exact(), Seed::new(3)).unwrap());
    assert_eq!(alone, found);
}

#[test]
fn a_limit_of_steps_is_reported() {
    let x = table(&fixture("ica")["X"]);
    let config = IcaConfig {
        iterations: 1,
        tolerance: 1e-12,
        ..IcaConfig::default()
    };
    let found = independent_components("x", x.view(), &config, Seed::new(4)).unwrap();
    assert!(!found.converged && found.change >= 1e-12, "{}", found.change);
    check_definition(&found, &x, 5e-5);
}

#[test]
fn components_are_as_many_as_the_variance_needs() {
    let x = table(&fixture("ica")["X"]);
    // The shares of the leading principal components are 0.70, 0.88, 1.00.
    for (components, variance, expected) in [(10, 0.7, 1), (10, 0.8, 2), (10, 0.99, 3), (2, 0.99, 2), (1, 1.0, 1)] {
        let config = IcaConfig {
            components,
            variance,
            ..exact()
        };
        let found = independent_components("x", x.view(), &config, Seed::new(5)).unwrap();
        assert_eq!(found.sources.ncols(), expected, "{components}, {variance}");
        assert_eq!(found.mixing.dim(), (5, expected));
        assert_eq!(found.unmixing.dim(), (expected, 5));
    }
    // One direction, whatever share is asked for; rounding is no second one.
    let mut rng = Seed::new(6).rng();
    let line: Vec<f64> = (0..50).map(|_| rng.uniform()).collect();
    let x = Array2::from_shape_fn((50, 4), |(i, j)| line[i] * [1.0, 2.0, -3.0, 0.0][j] + 7.0);
    let config = IcaConfig {
        variance: 1.0,
        ..exact()
    };
    let found = independent_components("x", x.view(), &config, Seed::new(7)).unwrap();
    assert_eq!(found.sources.ncols(), 1);
    check_definition(&found, &x, 1e-9);
    assert!(found.converged);
    near("stability", found.stability[0], 1.0, 1e-12);
}

#[test]
fn bad_input_is_named() {
    let good = array![[1.0, 2.0], [3.0, 1.0], [0.0, 4.0]];
    let refused = |x: &Array2<f64>, config: &IcaConfig| {
        let found = independent_components("m", x.view(), config, Seed::new(8));
        found.map(|_| ()).unwrap_err().to_string()
    };
    let check = |x: &Array2<f64>, expected: &str| assert_eq!(refused(x, &IcaConfig::default()), expected);
    check(
        &Array2::from_elem((9, 2), 0.1),
        "m is constant: no column varies over the rows",
    );
    check(
        &good.slice(s![..1, ..]).to_owned(),
        "m has too few rows: 1, where at least 2 are needed",
    );
    check(&Array2::zeros((3, 0)), "m has no columns");
    let mut broken = good.clone();
    broken[[2, 1]] = f64::NAN;
    check(
        &broken,
        "m holds 1 NaN and 0 infinite values, the first at row 2, column 1 (counted from 0); every value must be finite",
    );
    let with = |change: fn(&mut IcaConfig)| {
        let mut config = IcaConfig::default();
        change(&mut config);
        refused(&good, &config)
    };
    assert_eq!(
        with(|c| c.components = 0),
        "components is 0; expected is a whole number above 0"
    );
    assert_eq!(
        with(|c| c.iterations = 0),
        "iterations is 0; expected is a whole number above 0"
    );
    assert_eq!(
        with(|c| c.seeds = 1),
        "seeds is 1; expected is a whole number of at least 2"
    );
    assert_eq!(
        with(|c| c.variance = 1.5),
        "variance is 1.5; expected is a number above 0 and at most 1"
    );
    assert_eq!(
        with(|c| c.tolerance = f64::NAN),
        "tolerance is NaN; expected is a number between 0 and 1"
    );
}
