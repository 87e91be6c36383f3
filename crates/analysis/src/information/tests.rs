//! Against closed forms, scipy, scikit-learn and numpy (`tests/fixtures/make_information.py`), and what must always hold.

use std::path::PathBuf;

use disentangle_data::Seed;
use ndarray::{Array2, Axis, concatenate, s};
use serde_json::Value;

use super::*;
use crate::{Bootstrap, classification::calibration_error, similarity::linear_cka, spectra::Spectrum};

fn fixture(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/information.json");
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

fn matrix(value: &Value) -> Array2<f64> {
    let rows: Vec<Vec<f64>> = value.as_array().unwrap().iter().map(floats).collect();
    Array2::from_shape_vec((rows.len(), rows[0].len()), rows.concat()).unwrap()
}

fn close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= tolerance, "{what}: {a} instead of {b}");
    }
}

/// Two blocks of `columns` standard normal columns, those of the same place correlated by `rho`.
fn correlated(seed: u64, n: usize, columns: usize, rho: f64) -> (Array2<f64>, Array2<f64>) {
    let mut rng = Seed::new(seed).rng();
    let x = Array2::from_shape_simple_fn((n, columns), || rng.normal());
    let own = Array2::from_shape_simple_fn((n, columns), || rng.normal());
    let y = &x * rho + &own * (1.0 - rho * rho).sqrt();
    (x, y)
}

#[test]
fn entropy_agrees_with_numpy_and_scipy() {
    let case = fixture("entropy");
    let rows = matrix(&case["matrix"]);
    let size = case["size"].as_u64().unwrap() as usize;
    let histograms = Histograms::new("site", rows.view(), size).unwrap();
    assert_eq!((histograms.dead, histograms.live), (1, rows.ncols() - 1));
    assert_eq!(histograms.pieces(), rows.nrows() / size);
    let ones = vec![1.0; histograms.pieces()];
    let expected = floats(&case["entropies"]);
    close("all rows", &histograms.neurons(&ones), &expected, 1e-12);
    let mean = expected.iter().sum::<f64>() / expected.len() as f64;
    close("mean", &[histograms.mean(&ones).unwrap()], &[mean], 1e-12);
    let found = histograms.neurons(&floats(&case["weights"]));
    close("a resample", &found, &floats(&case["resampled"]), 1e-12);

    let constant = Histograms::new("site", Array2::from_elem((9, 2), 3.0).view(), 4).unwrap();
    assert_eq!((constant.dead, constant.live, constant.mean(&[1.0; 3])), (2, 0, None));
    let (normal, _) = correlated(3, 20_000, 1, 0.0);
    let normal = Histograms::new("site", normal.view(), 400).unwrap();
    assert!((normal.mean(&[1.0; 50]).unwrap() - NORMAL).abs() < 0.005);
}

#[test]
fn the_gaussian_entropy_is_that_of_the_main_variances() {
    let case = fixture("gaussian_entropy");
    let spectrum = Spectrum::new("site", matrix(&case["matrix"]).view()).unwrap();
    for (index, expected) in floats(&case["by_components"]).into_iter().enumerate() {
        let found = gaussian_entropy(&spectrum, index + 1).unwrap();
        assert_eq!(found.components, index + 1);
        assert!((found.nats - expected).abs() < 1e-9, "{found:?} instead of {expected}");
    }
    assert_eq!(gaussian_entropy(&spectrum, 99).unwrap().components, 5);
    let constant = Spectrum::new("site", Array2::from_elem((9, 2), 3.0).view()).unwrap();
    assert_eq!(gaussian_entropy(&constant, 2), None);
}

#[test]
fn mutual_information_agrees_with_scipy_and_scikit_learn() {
    for case in cases("mutual") {
        let (x, y) = (matrix(&case["x"]), matrix(&case["y"]));
        let neighbours = case["neighbours"].as_u64().unwrap() as usize;
        let name = case["name"].as_str().unwrap();
        let found = ksg(x.view(), y.view(), neighbours).unwrap();
        close(name, &[found], &[case["ksg"].as_f64().unwrap()], 1e-9);
        let found = gaussian_information(x.view(), y.view()).unwrap().unwrap();
        close(name, &[found], &[case["gaussian"].as_f64().unwrap()], 1e-9);
    }
}

#[test]
fn mutual_information_of_normal_blocks_has_a_closed_form() {
    for (columns, rho) in [(1, 0.0), (1, 0.6), (1, 0.9), (2, 0.5), (2, 0.9)] {
        let (x, y) = correlated(7, 1500, columns, rho);
        let expected = -0.5 * columns as f64 * f64::ln(1.0 - rho * rho);
        let found = ksg(x.view(), y.view(), 3).unwrap();
        assert!(
            (found - expected).abs() < 0.12,
            "{columns}, {rho}: {found} instead of {expected}"
        );
        let found = gaussian_information(x.view(), y.view()).unwrap().unwrap();
        assert!(
            (found - expected).abs() < 0.08,
            "{columns}, {rho}: {found} instead of {expected}"
        );
    }
}

#[test]
fn intervals_of_mutual_information_cover_it() {
    let settings = SharedSettings {
        neighbours: 3,
        noise: 0.0,
        block: 1,
    };
    let expected = -0.5 * f64::ln(1.0 - 0.49);
    let shared: Vec<Shared> = (0..60)
        .map(|seed| {
            let (x, y) = correlated(seed, 400, 1, 0.7);
            shared_information(x.view(), y.view(), &settings, Seed::new(seed)).unwrap()
        })
        .collect();
    let covered = shared.iter().filter(|one| {
        let (low, high) = (one.ksg.low.unwrap(), one.ksg.high.unwrap());
        (low..=high).contains(&expected)
    });
    // With ten parts of 40 rows nine of ten intervals do.
    assert!(covered.count() >= 48);
    let values: Vec<f64> = shared.iter().map(|one| one.ksg.value.unwrap()).collect();
    let spread = crate::descriptive::std_dev(&values).unwrap();
    let width = |one: &Shared| one.ksg.high.unwrap() - one.ksg.low.unwrap();
    let mean_width = shared.iter().map(width).sum::<f64>() / 60.0;
    // t of 9 degrees of freedom is 2.26.
    let ratio = mean_width / (2.0 * 2.26 * spread);
    assert!((0.6..1.4).contains(&ratio), "{ratio}");
    let agreeing = shared.iter().filter(|one| one.agrees() == Some(true)).count();
    assert!(agreeing >= 50, "{agreeing}");
}

/// Sixty rows are three parts of twenty: of Student's t with 2 degrees of freedom the 97.5 % quantile is .95 √(2 / .0975).
#[test]
fn an_interval_of_mutual_information_is_that_of_its_parts() {
    let (x, y) = correlated(4, 60, 1, 0.5);
    let settings = SharedSettings {
        neighbours: 3,
        noise: 0.0,
        block: 1,
    };
    let found = shared_information(x.view(), y.view(), &settings, Seed::new(1)).unwrap();
    let of = |start: isize, end: isize, step: isize| {
        let rows = ndarray::Slice::new(start, Some(end), step);
        ksg(x.slice_axis(Axis(0), rows), y.slice_axis(Axis(0), rows), 3).unwrap()
    };
    let (all, parts) = (of(0, 60, 1), [of(0, 20, 1), of(20, 40, 1), of(40, 60, 1)]);
    let mean = parts.iter().sum::<f64>() / 3.0;
    let variance = parts.iter().map(|part| (part - mean).powi(2)).sum::<f64>() / 2.0;
    let reach = 4.302_652_729_749_464 * (variance / 3.0).sqrt();
    let half = f64::midpoint(of(0, 60, 2), of(1, 60, 2));
    let ends = [found.ksg.low.unwrap(), found.ksg.high.unwrap(), found.half.unwrap()];
    close("interval and half", &ends, &[all - reach, all + reach, half], 1e-8);
}

#[test]
fn noise_bounds_what_a_block_shares_with_itself() {
    let (x, _) = correlated(5, 1000, 2, 0.0);
    let settings = SharedSettings {
        neighbours: 3,
        noise: 0.1,
        block: 1,
    };
    let found = shared_information(x.view(), x.view(), &settings, Seed::new(1)).unwrap();
    let most = ceiling(2, 0.1);
    assert!((most - 3.927).abs() < 1e-3, "-ln(1 - 1 / 1.01²)");
    assert!((found.gaussian.unwrap() - most).abs() < 0.15, "{found:?}");
    assert!((found.ksg.value.unwrap() - most).abs() < 0.5, "{found:?}");
    assert_eq!(
        found,
        shared_information(x.view(), x.view(), &settings, Seed::new(1)).unwrap()
    );
    let noiseless = SharedSettings { noise: 0.0, ..settings };
    let found = shared_information(x.view(), x.view(), &noiseless, Seed::new(1)).unwrap();
    assert_eq!(found.gaussian, None, "infinite");
}

#[test]
fn few_rows_and_dependent_rows() {
    let (x, y) = correlated(2, 200, 1, 0.5);
    let shared = |rows: usize, block: usize| {
        let settings = SharedSettings {
            neighbours: 3,
            noise: 0.1,
            block,
        };
        let part = |block: &Array2<f64>| block.slice(s![..rows, ..]).to_owned();
        shared_information(part(&x).view(), part(&y).view(), &settings, Seed::new(1)).unwrap()
    };
    let parts = |shared: &Shared| shared.ksg.method.clone().unwrap_or_default();
    assert!(parts(&shared(200, 1)).contains("10 disjoint parts"));
    assert!(parts(&shared(200, 25)).contains("4 disjoint parts"));
    let long = shared(200, 50);
    assert!(long.ksg.low.is_none() && long.ksg.note.is_some() && long.half.is_some() && long.agrees().is_none());
    assert_eq!(shared(6, 1).half, None);

    let error = |x: &Array2<f64>, y: &Array2<f64>, k: usize| ksg(x.view(), y.view(), k).unwrap_err().to_string();
    assert_eq!(error(&x, &y, 0), "neighbours is 0; expected is at least 1");
    assert_eq!(
        error(&x, &y, 200),
        "the first block has too few rows: 200, where at least 201 are needed"
    );
    let short = y.slice(s![..9, ..]).to_owned();
    assert_eq!(
        error(&x, &short, 3),
        "the number of rows of the first block is 200, that of the second block is 9; they must be equal"
    );
    // A constant block shares nothing, and rows that are all equal are nobody's neighbours.
    let constant = Array2::from_elem((200, 1), 1.0);
    assert_eq!(gaussian_information(x.view(), constant.view()).unwrap(), Some(0.0));
    assert!(ksg(constant.view(), constant.view(), 3).unwrap().is_finite());
}

#[test]
fn top_components_are_whitened_as_by_scikit_learn() {
    for case in cases("components") {
        let most = case["most"].as_u64().unwrap() as usize;
        let name = case["name"].as_str().unwrap();
        let found = top_components(name, matrix(&case["matrix"]).view(), most)
            .unwrap()
            .unwrap();
        let expected = matrix(&case["scores"]);
        assert_eq!(found.dim(), expected.dim(), "{name}");
        for (found, expected) in found.columns().into_iter().zip(expected.columns()) {
            let sign = found.dot(&expected).signum();
            close(name, &found.mapv(|x| sign * x).to_vec(), &expected.to_vec(), 1e-7);
        }
    }
    assert_eq!(
        top_components("site", Array2::from_elem((5, 2), 1.0).view(), 2).unwrap(),
        None
    );
    // A second column that says what the first says adds no component.
    let (x, _) = correlated(1, 50, 1, 0.0);
    let twice = concatenate(Axis(1), &[x.view(), x.view()]).unwrap();
    assert_eq!(top_components("site", twice.view(), 2).unwrap().unwrap().ncols(), 1);
}

#[test]
fn alignment_agrees_with_numpy_and_with_cka() {
    let case = fixture("alignment");
    let (x, y) = (matrix(&case["x"]), matrix(&case["y"]));
    let size = case["size"].as_u64().unwrap() as usize;
    let kernel = |matrix: &Array2<f64>, size: usize| Kernel::new("site", matrix.view(), size).unwrap().unwrap();
    let bootstrap = Bootstrap::new(1, 200, Seed::new(1));
    let found = alignment(&kernel(&x, size), &kernel(&y, size), &bootstrap).unwrap();
    let expected = case["cka"].as_f64().unwrap();
    close("CKA", &[found.cka.value.unwrap()], &[expected], 1e-12);
    let value = linear_cka(("x", x.view()), ("y", y.view())).unwrap().unwrap();
    close("linear_cka", &[value], &[expected], 1e-12);
    assert!(found.cka.low < found.cka.value && found.cka.value < found.cka.high);

    // Rows that are counted are as good as rows that are repeated.
    let weights = floats(&case["weights"]);
    let (a, b) = (kernel(&x, size), kernel(&y, size));
    let across = super::alignment::across(&a, &b);
    let resampled = super::alignment::weighted(&a, &b, &across, &weights).unwrap();
    close(
        "a resample",
        &[resampled],
        &[case["resampled"].as_f64().unwrap()],
        1e-12,
    );

    let (x, y) = (matrix(&case["few"]["x"]), matrix(&case["few"]["y"]));
    let found = alignment(&kernel(&x, 1), &kernel(&y, 1), &bootstrap).unwrap();
    close(
        "chance",
        &[found.chance.unwrap()],
        &[case["chance"].as_f64().unwrap()],
        1e-12,
    );
    let error = alignment(&kernel(&x, 1), &kernel(&y, 2), &bootstrap)
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "the number of rows of a piece of site is 1, that of site is 2; they must be equal"
    );
    assert!(
        Kernel::new("site", Array2::from_elem((5, 2), 1.0).view(), 1)
            .unwrap()
            .is_none()
    );
}

#[test]
fn intervals_of_alignment_are_as_wide_as_it_varies() {
    let found: Vec<Alignment> = (0..60)
        .map(|seed| {
            let (x, y) = correlated(seed, 300, 3, 0.6);
            let kernel = |matrix: &Array2<f64>| Kernel::new("site", matrix.view(), 6).unwrap().unwrap();
            let bootstrap = Bootstrap::new(1, 200, Seed::new(1000 + seed));
            alignment(&kernel(&x), &kernel(&y), &bootstrap).unwrap()
        })
        .collect();
    let values: Vec<f64> = found.iter().map(|one| one.cka.value.unwrap()).collect();
    let spread = crate::descriptive::std_dev(&values).unwrap();
    let width = |one: &Alignment| one.cka.high.unwrap() - one.cka.low.unwrap();
    let mean_width = found.iter().map(width).sum::<f64>() / 60.0;
    // Of a normal distribution 95 % lie within 1.96 standard deviations.
    let ratio = mean_width / (2.0 * 1.96 * spread);
    assert!((0.7..1.4).contains(&ratio), "{ratio}");
}

#[test]
fn calibration_errors_agree_with_scikit_learn() {
    let case = fixture("calibration");
    let labels: Vec<f32> = floats(&case["labels"]).into_iter().map(|y| y as f32).collect();
    let bins = case["bins"].as_u64().unwrap() as usize;
    let found = calibration_error(&floats(&case["probabilities"]), &labels, bins).unwrap();
    close("ECE", &[found], &[case["calibration_error"].as_f64().unwrap()], 1e-12);
}
