//! Against scipy, scikit-learn and statsmodels: `tests/fixtures/make_statistics.py` made the figures.

use std::path::PathBuf;

use disentangle_data::Seed;
use ndarray::{Array2, Array3};
use serde_json::Value;

use crate::{
    Bootstrap, Estimate, Pca, classification as c, descriptive as d, granger, importance, learning, linalg,
    logistic::Logistic, multiple, over_seeds, regression, spectrum,
};

fn fixture(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/statistics.json");
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

fn labels(value: &Value) -> Vec<f32> {
    floats(value).into_iter().map(|x| x as f32).collect()
}

fn matrix(value: &Value) -> Array2<f64> {
    let rows: Vec<Vec<f64>> = value.as_array().unwrap().iter().map(floats).collect();
    Array2::from_shape_vec((rows.len(), rows[0].len()), rows.concat()).unwrap()
}

#[track_caller]
fn close(case: &Value, found: f64, expected: &Value) {
    let expected = expected.as_f64().unwrap();
    let name = &case["name"];
    assert!(
        (found - expected).abs() <= 1e-9 + 1e-7 * expected.abs(),
        "{name}: {found} instead of {expected}"
    );
}

#[track_caller]
fn all_close(case: &Value, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{}", case["name"]);
    for (a, b) in found.iter().zip(expected) {
        assert!(
            (a - b).abs() <= tolerance * (1.0 + b.abs()),
            "{}: {a} instead of {b}",
            case["name"]
        );
    }
}

#[test]
fn auc() {
    for case in cases("auc") {
        close(
            &case,
            c::roc_auc(&floats(&case["scores"]), &labels(&case["labels"])).unwrap(),
            &case["auc"],
        );
    }
    assert_eq!(c::roc_auc(&[1.0, 2.0], &[1.0, 1.0]), None);
    for case in cases("auc") {
        let (scores, y) = (floats(&case["scores"]), labels(&case["labels"]));
        let ranked = c::RankedScores::new(&scores, &y);
        close(&case, ranked.auc(&vec![1.0; y.len()]).unwrap(), &case["auc"]);
        // A weight of 2 is the row twice.
        let twice = |values: Vec<f64>| [values[..3].to_vec(), values].concat();
        let doubled: Vec<f32> = twice(y.iter().map(|&y| f64::from(y)).collect())
            .into_iter()
            .map(|y| y as f32)
            .collect();
        let weights: Vec<f64> = (0..y.len()).map(|i| if i < 3 { 2.0 } else { 1.0 }).collect();
        let (found, expected) = (
            ranked.auc(&weights).unwrap(),
            c::roc_auc(&twice(scores), &doubled).unwrap(),
        );
        assert!((found - expected).abs() < 1e-12, "{}", case["name"]);
    }
    assert_eq!(c::roc_auc(&[f64::NAN, 1.0], &[1.0, 0.0]), None);
    assert_eq!(c::RankedScores::new(&[f64::NAN, 1.0], &[1.0, 0.0]).auc(&[1.0; 2]), None);
}

#[test]
fn classification() {
    for case in cases("classification") {
        let (logits, y) = (floats(&case["logits"]), labels(&case["labels"]));
        let p: Vec<f64> = logits.iter().map(|&z| c::sigmoid(z)).collect();
        close(&case, c::log_loss(&logits, &y).unwrap(), &case["log_loss"]);
        close(&case, c::brier(&p, &y).unwrap(), &case["brier"]);
        close(&case, c::accuracy(&logits, &y).unwrap(), &case["accuracy"]);
    }
    for case in cases("ece") {
        let found = c::calibration_error(&floats(&case["probabilities"]), &labels(&case["labels"]), 10);
        close(&case, found.unwrap(), &case["ece"]);
    }
}

#[test]
fn correlations() {
    for (name, field, correlation) in [
        (
            "pearson",
            "r",
            d::pearson as fn(&[f64], &[f64]) -> Option<d::Correlation>,
        ),
        ("spearman", "rho", d::spearman),
    ] {
        for case in cases(name) {
            let found = correlation(&floats(&case["x"]), &floats(&case["y"])).unwrap();
            close(&case, found.r, &case[field]);
            let (p, expected) = (found.p.ln(), case["p"].as_f64().unwrap().ln());
            let both_tiny = p < -600.0 && expected < -600.0;
            assert!(
                both_tiny || (p - expected).abs() < 1e-6 * (1.0 + expected.abs()),
                "{}: {p} {expected}",
                case["name"]
            );
        }
    }
    assert_eq!(d::pearson(&[1.0, 2.0, 3.0], &[5.0; 3]), None);
}

#[test]
fn quantiles() {
    for case in cases("quantile") {
        let mut x = floats(&case["x"]);
        x.sort_by(f64::total_cmp);
        let found: Vec<f64> = floats(&case["q"])
            .into_iter()
            .map(|q| d::quantile(&x, q).unwrap())
            .collect();
        all_close(&case, &found, &floats(&case["values"]), 1e-12);
    }
}

#[test]
fn regressions() {
    let case = fixture("ols");
    let x = matrix(&case["X"]);
    let fit = regression::least_squares(x.as_slice().unwrap(), 4, &floats(&case["y"])).unwrap();
    all_close(&case, &fit.coefficients, &floats(&case["coefficients"]), 1e-9);
    close(&case, fit.rss, &case["rss"]);
    for case in cases("trend") {
        let trend = regression::trend(&floats(&case["y"])).unwrap();
        close(&case, trend.slope, &case["slope"]);
        close(&case, trend.standard_error, &case["standard_error"]);
        close(&case, trend.p, &case["p"]);
    }
    // The residuals are 0.1, 0.2, -0.7, 0.4; Student's t with 2 degrees of freedom.
    let trend = regression::trend(&[0.0, 1.0, 1.0, 3.0]).unwrap();
    let half = 4.302_652_729_749_464 * 0.07f64.sqrt();
    for (found, expected) in [
        (trend.intercept, -0.1),
        (trend.interval[0], 0.9 - half),
        (trend.interval[1], 0.9 + half),
    ] {
        assert!((found - expected).abs() < 1e-8, "{trend:?}, {expected}");
    }
    for (n, value) in [(36, 0.001), (100, 0.001), (250, 123.456)] {
        let flat = regression::trend(&vec![value; n]).unwrap();
        assert_eq!(
            (flat.slope, flat.p, flat.interval),
            (0.0, 1.0, [0.0; 2]),
            "{n} times {value}"
        );
    }
    for case in cases("detrend") {
        let trend = regression::trend(&floats(&case["y"])).unwrap();
        all_close(&case, &trend.detrended, &floats(&case["detrended"]), 1e-9);
    }
    for case in cases("ar1") {
        let fit = regression::autoregression(&floats(&case["y"])).unwrap();
        close(&case, fit.phi, &case["phi"]);
        close(&case, fit.intercept, &case["intercept"]);
        close(&case, fit.variance, &case["sigma2"]);
    }
    assert_eq!(
        regression::least_squares(&[1.0, 2.0, 2.0, 4.0, 3.0, 6.0], 2, &[1.0, 2.0, 3.0]),
        None,
        "collinear"
    );
}

#[test]
fn granger_regressions() {
    for case in cases("granger") {
        let fits = granger::lag_fits(&floats(&case["x"]), &floats(&case["y"])).unwrap();
        for (fit, lag) in fits.iter().zip(case["lags"].as_array().unwrap()) {
            assert_eq!(fit.lag as u64, lag["lag"].as_u64().unwrap());
            close(&case, fit.rss_restricted, &lag["rss_r"]);
            close(&case, fit.rss_unrestricted, &lag["rss_u"]);
            close(&case, fit.f, &lag["f"]);
            close(&case, fit.aic, &lag["aic"]);
            let (p, expected) = (fit.nominal_p.ln(), lag["p"].as_f64().unwrap().ln());
            assert!(
                (p - expected).abs() < 1e-6 * (1.0 + expected.abs()),
                "{}: {p} {expected}",
                case["name"]
            );
        }
    }
}

#[test]
fn granger_takes_the_lag_of_the_smallest_aic() {
    // By numpy, of the series without their trends.
    let expected = [
        (5, 8.140_910_043_013_477),
        (1, 0.867_000_019_640_203),
        (1, 150.821_331_768_382_5),
    ];
    let cases = cases("granger");
    assert_eq!(cases.len(), expected.len());
    for (case, (lag, f)) in cases.iter().zip(expected) {
        let found = granger::granger(&floats(&case["x"]), &floats(&case["y"]), 29, Seed::new(0)).unwrap();
        assert_eq!(
            (found.lag, found.rows as u64),
            (lag, case["effective_rows"].as_u64().unwrap())
        );
        close(case, found.f, &Value::from(f));
    }
}

/// `y` follows `x` by one step with weight `effect`; both are autoregressions.
fn pair(n: usize, effect: f64, seed: Seed) -> (Vec<f64>, Vec<f64>) {
    let mut rng = seed.rng();
    let (mut x, mut y) = (vec![0.0], vec![0.0]);
    for t in 1..n {
        y.push(0.4 * y[t - 1] + effect * x[t - 1] + rng.normal());
        x.push(0.4 * x[t - 1] + rng.normal());
    }
    (x, y)
}

#[test]
fn granger_has_its_size_and_finds_causes() {
    let rejected = |effect: f64, runs: u64| {
        let p = (0..runs).map(|run| {
            let (x, y) = pair(60, effect, Seed::new(run).child("pair"));
            granger::granger(&x, &y, 99, Seed::new(run)).unwrap().p
        });
        p.filter(|&p| p <= 0.05).count() as f64 / runs as f64
    };
    // Standard error at 5 % over 200 runs: 1.5 %. Nominal p values would reject 10-13 %.
    let size = rejected(0.0, 200);
    assert!((0.01..0.095).contains(&size), "{size}");
    assert!(rejected(0.8, 20) > 0.9);
}

#[test]
fn granger_says_why_not() {
    let check = |x: &[f64], y: &[f64], expected: &str| {
        assert_eq!(granger::granger(x, y, 9, Seed::new(0)).unwrap_err(), expected);
    };
    let noise = pair(60, 0.0, Seed::new(1)).0;
    let week: Vec<f64> = (0..60).map(|t| f64::from(t % 5)).collect();
    check(&noise[..34], &noise[..34], "too short: 34 values, 35 are needed");
    check(&[1.0; 60], &noise, "a series is constant");
    check(&noise, &week, "a series is constant or determined by the past");
    check(&noise, &noise[..59], "the series have different lengths");
}

#[test]
fn periodograms() {
    for case in cases("periodogram") {
        let detrended = regression::trend(&floats(&case["y"])).unwrap().detrended;
        let found = spectrum::periodogram(&detrended);
        all_close(&case, &found, &floats(&case["periodogram"]), 1e-7);
        let largest = found.iter().copied().fold(0.0, f64::max);
        let g = largest / found.iter().sum::<f64>();
        close(&case, g, &case["g"]);
        close(&case, spectrum::fisher_g_p(g, found.len()), &case["p"]);
    }
    for case in cases("fisher_g") {
        let m = case["m"].as_u64().unwrap() as usize;
        close(&case, spectrum::fisher_g_p(case["g"].as_f64().unwrap(), m), &case["p"]);
    }
}

#[test]
fn seasons() {
    let mut rng = Seed::new(4).rng();
    let wave: Vec<f64> = (0..120)
        .map(|t| (std::f64::consts::TAU * f64::from(t) / 12.0).sin() + 0.8 * rng.normal())
        .collect();
    let season = spectrum::season(&wave).unwrap();
    assert!((season.period - 12.0).abs() < 0.1 && season.p < 1e-4, "{season:?}");
    // Persistence alone is no season: the test keeps its size on autoregressions.
    let rejected = (0..300).filter(|&run| {
        let mut rng = Seed::new(run).child("ar").rng();
        let mut series = vec![0.0];
        for t in 1..80 {
            series.push(0.7 * series[t - 1] + rng.normal());
        }
        spectrum::season(&series).unwrap().p <= 0.05
    });
    let size = rejected.count() as f64 / 300.0;
    assert!((0.01..0.1).contains(&size), "{size}");
    assert!(spectrum::season(&[1.0; 5]).unwrap_err().starts_with("too short"));
    let line: Vec<f64> = (0..50).map(f64::from).collect();
    assert_eq!(spectrum::season(&line).unwrap_err(), "nothing is left after detrending");
}

#[test]
fn many_tests() {
    for case in cases("bh") {
        all_close(
            &case,
            &multiple::benjamini_hochberg(&floats(&case["p"])),
            &floats(&case["q"]),
            1e-12,
        );
    }
    assert_eq!(
        multiple::benjamini_hochberg_of(&[Some(0.01), None, Some(0.04)]),
        [Some(0.02), None, Some(0.04)]
    );
    assert_eq!(multiple::permutation_p(1.0, &[0.0, 1.0, 2.0]), None);
    let draws: Vec<f64> = (0..19).map(f64::from).collect();
    assert_eq!(multiple::permutation_p(17.0, &draws), Some(3.0 / 20.0));
}

#[test]
fn components() {
    for case in cases("pca") {
        let x = matrix(&case["X"]);
        let pca = Pca::fit(x.view()).unwrap();
        let rank = case["rank"].as_u64().unwrap() as usize;
        all_close(&case, &pca.mean.to_vec(), &floats(&case["mean"]), 1e-10);
        all_close(
            &case,
            &pca.variance.to_vec(),
            &floats(&case["explained_variance"]),
            1e-9,
        );
        all_close(
            &case,
            &pca.share.to_vec(),
            &floats(&case["explained_variance_ratio"]),
            1e-9,
        );
        let expected = matrix(&case["components"]);
        for k in 0..rank {
            all_close(&case, &pca.components.row(k).to_vec(), &expected.row(k).to_vec(), 1e-8);
        }
        let projected = pca.project(x.view(), 2);
        let variance = projected.column(0).mapv(|v| v * v).sum() / (x.nrows() - 1) as f64;
        assert!((variance - pca.variance[0]).abs() < 1e-9 * pca.variance[0]);
    }
    let flat = Pca::fit(Array2::ones((4, 3)).view()).unwrap();
    assert!(flat.share.iter().all(|&share| share == 0.0));
    let broken = Array2::from_elem((2, 2), f64::NAN);
    assert!(
        linalg::svd(broken.view())
            .unwrap_err()
            .to_string()
            .starts_with("the 2 x 2 matrix has no singular value")
    );
}

#[test]
fn logistic_regression() {
    let case = fixture("logistic");
    let (x, y) = (matrix(&case["X"]), labels(&case["y"]));
    let fit = Logistic::fit(x.view(), &y, 1.0).unwrap();
    all_close(
        &case,
        &fit.coefficients.to_vec(),
        &floats(&case["exact_coefficients"]),
        1e-6,
    );
    close(
        &case,
        (fit.intercept - case["exact_intercept"].as_f64().unwrap())
            .abs()
            .max(1e-6),
        &Value::from(1e-6),
    );
    let p: Vec<f64> = fit.logits(&x).into_iter().map(c::sigmoid).collect();
    all_close(&case, &p, &floats(&case["exact_probabilities"]), 1e-6);
    // The sign must not depend on which class comes first or is more frequent.
    let flipped: Vec<f32> = y.iter().map(|y| 1.0 - y).collect();
    let mirrored = Logistic::fit(x.view(), &flipped, 1.0).unwrap();
    all_close(
        &case,
        &(-&mirrored.coefficients).to_vec(),
        &fit.coefficients.to_vec(),
        1e-5,
    );
    assert_eq!(
        Logistic::fit(x.view(), &vec![1.0; y.len()], 1.0).unwrap_err(),
        "the labels hold one class only"
    );
}

#[test]
fn learning_curves() {
    for case in cases("convergence") {
        close(
            &case,
            learning::convergence_rate(&floats(&case["loss"])).unwrap(),
            &case["convergence_rate"],
        );
    }
    let dynamics = learning::dynamics(&[1.0, 0.5, 0.25], &[1.5, 1.0, 0.75]);
    assert_eq!(dynamics.generalisation_gap.value, Some(0.5));
    assert!((dynamics.stability.value.unwrap() - 0.381_881_307_912_986_7).abs() < 1e-12);
    // Of eleven losses the last ten count.
    let late = learning::dynamics(&[0.0; 11], &[9.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
    assert!((late.stability.value.unwrap() - (10.0f64 / 36.0).sqrt()).abs() < 1e-12);
    assert_eq!(learning::dynamics(&[1.0], &[1.0]).stability.value, None);
}

#[test]
fn bootstrap_intervals_cover() {
    // Coverage of the mean of an autoregression: blocks are needed, and are enough.
    let covered = |block: usize| {
        let hits = (0..200).filter(|&run| {
            let mut rng = Seed::new(run).child("series").rng();
            let mut series = vec![rng.normal() / (1.0f64 - 0.36).sqrt()];
            for t in 1..400 {
                series.push(0.6 * series[t - 1] + rng.normal());
            }
            let bootstrap = Bootstrap::new(block, 200, Seed::new(run));
            let estimate = bootstrap.estimate(400, |rows| {
                d::mean(&rows.iter().map(|&r| series[r]).collect::<Vec<_>>())
            });
            !estimate.above(0.0) && !estimate.below(0.0)
        });
        hits.count() as f64 / 200.0
    };
    assert!(covered(1) < 0.8, "rows are not independent");
    let blocks = covered(25);
    assert!((0.89..0.99).contains(&blocks), "{blocks}");
    // Also where there are few of them.
    let few = covered(130);
    assert!((0.85..0.99).contains(&few), "{few}");
}

/// Blocks of 36 of 100 rows widen by 1 / √(1 - 0.36) = 1.25; of 201 draws the 2.5 % quantiles are the 6th from either end.
#[test]
fn intervals_of_blocks_are_widened_percentiles() {
    let series: Vec<f64> = (0..100).map(|t| f64::from(t * t % 37)).collect();
    let drawn = std::cell::RefCell::new(Vec::new());
    let estimate = Bootstrap::new(36, 201, Seed::new(5)).estimate(100, |rows| {
        let mean = d::mean(&rows.iter().map(|&row| series[row]).collect::<Vec<_>>());
        drawn.borrow_mut().extend(mean);
        mean
    });
    let mut drawn = drawn.into_inner();
    let value = drawn.remove(0);
    drawn.sort_by(f64::total_cmp);
    assert_eq!((drawn.len(), estimate.value), (201, Some(value)));
    for (found, end) in [(estimate.low, drawn[5]), (estimate.high, drawn[195])] {
        let expected = value + 1.25 * (end - value);
        assert!((found.unwrap() - expected).abs() < 1e-9, "{estimate:?}, {expected}");
    }
}

#[test]
fn estimates_say_what_limits_them() {
    let bootstrap = Bootstrap::new(50, 100, Seed::new(0));
    let rough = bootstrap.estimate(120, |rows| Some(rows.len() as f64));
    assert_eq!(
        rough.note.as_deref(),
        Some("only 2.4 blocks of 50 rows: the interval is rough")
    );
    let none = bootstrap.estimate(99, |rows| Some(rows.len() as f64));
    assert_eq!(
        (none.low, none.note.as_deref()),
        (None, Some("no interval: 99 rows are fewer than two blocks of 50"))
    );
    let estimate = Estimate {
        low: Some(0.2),
        high: Some(1.4),
        ..Estimate::point(0.9, 9)
    };
    assert_eq!(estimate.clone().within(0.0, 1.0).high, Some(1.0));
    assert!((estimate.reflected().low.unwrap() - 0.4).abs() < 1e-12);
    // All resamples lie above the value: the interval still holds it.
    let pushed = Estimate {
        low: Some(0.2),
        high: Some(0.4),
        ..Estimate::point(0.1, 9)
    };
    let reflected = pushed.reflected().within(0.0, 1.0);
    assert_eq!((reflected.low, reflected.high), (Some(0.0), Some(0.1)));
    let undefined = bootstrap.estimate(120, |_| None);
    assert_eq!(
        (undefined.value, undefined.show(2).starts_with("undefined (")),
        (None, true)
    );
    assert_eq!(Estimate::point(f64::NAN, 3).value, None);
    let seeds = over_seeds(&[Some(1.0), Some(2.0), Some(3.0), None]);
    // 2 ± t(.975, 2) · 1/√3.
    assert!((seeds.low.unwrap() - (2.0 - 4.302_652_729_911_275 / 3f64.sqrt())).abs() < 1e-9);
    assert_eq!(seeds.note.as_deref(), Some("undefined for 1 of 4 seeds"));
    assert_eq!(seeds.show(1), "2.0 [-0.5, 4.5]");
    assert_eq!(
        (Estimate::point(-0.001, 1).show(2), Estimate::point(-0.1, 1).show(1)),
        ("0.00".to_string(), "-0.1".to_string())
    );
    let one = Bootstrap::new(1, 100, Seed::new(0)).estimate(1, |_| Some(3.0));
    assert_eq!((one.value, one.low, one.above(0.0)), (Some(3.0), None, false));
    assert!(one.note.unwrap().starts_with("no interval: 1 rows"));
}

#[test]
fn importance_finds_the_group_that_matters() {
    let mut rng = Seed::new(2).rng();
    let n = 400;
    let inputs = Array3::from_shape_simple_fn((n, 3, 4), || rng.normal() as f32);
    let logit = |x: &Array3<f32>| -> Vec<f64> {
        x.outer_iter()
            .map(|row| 3.0 * f64::from(row[[2, 0]]) + 1e-3 * f64::from(row[[0, 3]]))
            .collect()
    };
    let y: Vec<f32> = logit(&inputs)
        .iter()
        .map(|&z| f32::from(u8::from(c::sigmoid(z) > rng.uniform())))
        .collect();
    let groups = [("first".to_string(), vec![0, 1]), ("second".to_string(), vec![2, 3])];
    let ablated = importance::ablate(
        &inputs,
        &groups,
        30,
        |seed| seed.rng().permutation(n),
        Seed::new(1),
        |x| Ok::<_, ()>(logit(x)),
    )
    .unwrap();
    let bootstrap = Bootstrap::new(1, 200, Seed::new(3));
    let found: Vec<_> = ablated
        .iter()
        .map(|a| importance::importance(&logit(&inputs), &y, a, &bootstrap))
        .collect();
    assert!(found[0].auc_drop.above(0.2) && found[0].auc_drop.p == Some(1.0 / 31.0));
    assert!(found[1].auc_drop.value.unwrap().abs() < 0.01);
    let only = (found[0].auc_only.value.unwrap(), found[1].auc_only.value.unwrap());
    assert!(only.0 > 0.8 && (only.1 - 0.5).abs() < 0.05, "{only:?}");
    assert!(found[0].probability_shift.value > found[1].probability_shift.value);
    // What is permuted moves as whole windows and nothing else moves.
    let permuted = importance::permute_columns(&inputs, &[1], &(0..n).rev().collect::<Vec<_>>());
    assert_eq!(permuted[[0, 2, 1]], inputs[[n - 1, 2, 1]]);
    assert_eq!(permuted[[0, 2, 0]], inputs[[0, 2, 0]]);
}

/// Logits of ± ln 3 and 0 are probabilities of 3/4, 1/4 and 1/2; 0 predicts a negative. Draws without the group have AUC 5/8 and 3/4, accuracy 3/4 and
/// 1/2, and move one probability by 1/2 or two by 1/4.
#[test]
fn importance_of_four_rows_by_hand() {
    let t = 3f64.ln();
    let (labels, logits) = ([1.0, 1.0, 0.0, 0.0], [t, t, -t, 0.0]);
    let draws = [[t, -t, -t, 0.0], [0.0, 0.0, -t, 0.0]];
    let ablated = importance::Ablated {
        group: "group".into(),
        without: (0..20).map(|draw| draws[draw % 2].to_vec()).collect(),
        only: vec![vec![0.0, t, t, -t]],
    };
    let found = importance::importance(&logits, &labels, &ablated, &Bootstrap::new(1, 20, Seed::new(0)));
    for (what, found, expected) in [
        ("AUC drop", &found.auc_drop, 5.0 / 16.0),
        ("accuracy drop", &found.accuracy_drop, 3.0 / 8.0),
        ("AUC only", &found.auc_only, 5.0 / 8.0),
        ("accuracy only", &found.accuracy_only, 0.5),
        ("shift", &found.probability_shift, 3.0 / 64.0),
    ] {
        assert!((found.value.unwrap() - expected).abs() < 1e-12, "{what}: {found:?}");
    }
    let least = Some(1.0 / 21.0);
    assert_eq!((found.auc_drop.p, found.accuracy_drop.p), (least, least));
}

proptest::proptest! {
    /// AUC knows order only, and turns around with the labels.
    #[test]
    fn auc_invariances(rows in proptest::collection::vec((-3i32..3, proptest::bool::ANY), 2..60)) {
        let scores: Vec<f64> = rows.iter().map(|r| f64::from(r.0)).collect();
        let y: Vec<f32> = rows.iter().map(|r| f32::from(u8::from(r.1))).collect();
        if let Some(auc) = c::roc_auc(&scores, &y) {
            let grown: Vec<f64> = scores.iter().map(|s| s.exp()).collect();
            let flipped: Vec<f32> = y.iter().map(|y| 1.0 - y).collect();
            proptest::prop_assert_eq!(c::roc_auc(&grown, &y), Some(auc));
            proptest::prop_assert!((c::roc_auc(&scores, &flipped).unwrap() + auc - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn q_values_are_monotone_and_no_smaller_than_p(p in proptest::collection::vec(0.0f64..=1.0, 1..40)) {
        let q = multiple::benjamini_hochberg(&p);
        for i in 0..p.len() {
            proptest::prop_assert!(q[i] >= p[i] && q[i] <= 1.0);
            for j in 0..p.len() {
                proptest::prop_assert!(p[i] > p[j] || q[i] <= q[j]);
            }
        }
    }
}
