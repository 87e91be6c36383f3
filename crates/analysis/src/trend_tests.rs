//! Trends over sizes against numpy and scipy (`tests/fixtures/make_trends.py`), which takes AIC from the densities of the values themselves.

use std::path::PathBuf;

use serde_json::Value;

use crate::{
    Estimate,
    trend::{Form, SizeTrend, size_trend},
};

fn cases() -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/trends.json");
    let text = std::fs::read_to_string(path).unwrap();
    let fixture: Value = serde_json::from_str(&text).unwrap();
    fixture["cases"].as_array().unwrap().clone()
}

/// Numbers, absent where they are null.
fn floats(value: &Value) -> Vec<Option<f64>> {
    value.as_array().unwrap().iter().map(Value::as_f64).collect()
}

/// Both are absent, or they differ by a millionth at most.
#[track_caller]
fn near(what: &str, found: Option<f64>, expected: &Value) {
    match (found, expected.as_f64()) {
        (None, None) => {}
        (Some(found), Some(expected)) => assert!(
            (found - expected).abs() <= 1e-6 * expected.abs() + 1e-12,
            "{what}: {found} instead of {expected}"
        ),
        other => panic!("{what}: {other:?}"),
    }
}

#[track_caller]
fn estimate_near(what: &str, found: &Estimate, expected: &Value) {
    near(&format!("{what}, value"), found.value, &expected["value"]);
    near(&format!("{what}, low"), found.low, &expected["low"]);
    near(&format!("{what}, high"), found.high, &expected["high"]);
    // Of a change there is none on either side.
    near(&format!("{what}, p"), found.p, &expected["p"]);
    assert_eq!(found.n as u64, expected["n"].as_u64().unwrap(), "{what}");
}

fn fitted(case: &Value) -> SizeTrend {
    let sizes: Vec<f64> = floats(&case["sizes"]).into_iter().flatten().collect();
    let values: Vec<Vec<Option<f64>>> = case["values"].as_array().unwrap().iter().map(floats).collect();
    size_trend(&sizes, &values)
}

#[test]
fn forms_slopes_and_intervals_are_those_of_scipy() {
    let cases = cases();
    assert!(cases.len() >= 10);
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let found = fitted(case);
        assert_eq!(serde_json::to_value(found.form).unwrap(), case["form"], "{name}");
        near(&format!("{name}, AIC"), found.aic_lead, &case["aic_lead"]);
        estimate_near(&format!("{name}, slope"), &found.slope, &case["slope"]);
        estimate_near(&format!("{name}, change"), &found.change, &case["change"]);
        let curve = found.curve.unwrap();
        near(&format!("{name}, a"), Some(curve[0]), &case["curve"][0]);
        near(&format!("{name}, b"), Some(curve[1]), &case["curve"][1]);
        near(&format!("{name}, R²"), found.r_squared, &case["r_squared"]);
    }
}

/// Another unit of size changes neither the form nor an exponent, and divides a slope.
#[test]
fn the_unit_of_size_does_not_matter() {
    for case in &cases() {
        let name = case["name"].as_str().unwrap();
        let found = fitted(case);
        let mut larger = case.clone();
        for size in larger["sizes"].as_array_mut().unwrap() {
            *size = (size.as_f64().unwrap() * 64.0).into();
        }
        let scaled = fitted(&larger);
        assert_eq!(scaled.form, found.form, "{name}");
        let divided = match found.form {
            Form::Linear => 64.0,
            Form::PowerLaw => 1.0,
        };
        let expected = found.slope.value.map(|slope| slope / divided);
        near(name, scaled.slope.value, &expected.into());
        near(name, scaled.change.value, &found.change.value.into());
        near(name, scaled.slope.p, &found.slope.p.into());
    }
}
