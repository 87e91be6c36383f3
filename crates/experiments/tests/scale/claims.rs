//! A claim's verdict follows from its interval and its threshold, and all are counted.

use std::{collections::BTreeMap, path::Path};

use disentangle_experiments::registry;
use serde_json::Value;

use crate::{close, list, number, run};

/// Student's t interval of the mean of two or three values; none of fewer.
fn interval(values: &[Value]) -> Option<[f64; 2]> {
    let present: Vec<f64> = values.iter().filter_map(Value::as_f64).collect();
    let n = present.len() as f64;
    let quantile = match present.len() {
        2 => 12.706_204_736_174_7,
        3 => 4.302_652_729_749_5,
        _ => return None,
    };
    let mean = present.iter().sum::<f64>() / n;
    let variance = present.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let half = quantile * (variance / n).sqrt();
    Some([mean - half, mean + half])
}

/// What an interval says of an expectation.
fn verdict(interval: Option<[f64; 2]>, expectation: &Value) -> &'static str {
    let Some([low, high]) = interval else {
        return "undecided";
    };
    let end = |name: &str| number(&expectation[name]);
    let (holds, fails) = match expectation["side"].as_str().unwrap() {
        "above" => (low > end("threshold"), high < end("threshold")),
        "below" => (high < end("threshold"), low > end("threshold")),
        "between" => (
            low > end("low") && high < end("high"),
            high < end("low") || low > end("high"),
        ),
        "outside" => (
            high < end("low") || low > end("high"),
            low > end("low") && high < end("high"),
        ),
        other => panic!("unknown side {other}"),
    };
    match (holds, fails) {
        (true, _) => "supported",
        (_, true) => "contradicted",
        _ => "undecided",
    }
}

#[test]
fn verdicts_follow_from_intervals_and_thresholds() {
    let folder = tempfile::tempdir().unwrap();
    let (printed, found) = run(folder.path(), "claims", &[]);
    let claims = list(&found["claims"]);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for claim in claims {
        let standing = claim["standing"].as_str().unwrap();
        *counts.entry(standing).or_default() += 1;
        let Some(test) = claim["test"].as_object() else {
            assert_eq!(standing, "not-testable", "{claim}");
            assert!(!claim["reading"].as_str().unwrap().is_empty(), "{claim}: no reason");
            continue;
        };
        let values = list(&test["values"]);
        assert_eq!(values.len() as u64, found["repeats"].as_u64().unwrap(), "{claim}");
        let of_p = ["lead_lag", "season"].contains(&test["metric"].as_str().unwrap());
        let ends = interval(values).map(|ends| match of_p {
            true => ends.map(|end| end.clamp(0.0, 1.0)),
            false => ends,
        });
        let estimate = &test["estimate"];
        match ends {
            Some([low, high]) => {
                close("low", number(&estimate["low"]), low);
                close("high", number(&estimate["high"]), high);
            }
            None => assert!(estimate["low"].is_null() && estimate["high"].is_null(), "{claim}"),
        }
        let expected = match verdict(ends, &test["expectation"]) {
            // A test that does not reject has not seen the opposite.
            "contradicted" if of_p => "undecided",
            verdict => verdict,
        };
        assert_eq!(standing, expected, "{claim}");
    }
    let count = |standing: &str| counts.get(standing).copied().unwrap_or(0);
    let words = format!(
        "{} supported, {} contradicted, {} undecided, {} not testable",
        count("supported"),
        count("contradicted"),
        count("undecided"),
        count("not-testable")
    );
    let all = printed
        .lines()
        .find(|line| line.contains("of all claims that can be tested"));
    assert!(all.unwrap().ends_with(&words), "{all:?}, not {words}");
    assert_eq!(counts.values().sum::<usize>(), claims.len());
    assert!(count("supported") + count("contradicted") > 0, "{words}");
    assert!(claims.len() >= 70, "{words}");
    rows_are_those_of_the_claims(&folder.path().join("run"), claims);
}

/// Every claim that is tested has its value, its threshold and its standing among the rows.
fn rows_are_those_of_the_claims(run: &Path, claims: &[Value]) {
    let rows = (registry::experiment("claims").unwrap().read)(run).unwrap().rows();
    let of = |id: &Value, metric: &str| {
        let found = rows.iter().find_map(|row| {
            let params: Value = serde_json::from_str(row.params.as_ref()?).ok()?;
            (row.metric == metric && params["claim"] == *id).then_some((row.value, params))
        });
        found.unwrap_or_else(|| panic!("claim {id} has no row of {metric}"))
    };
    for claim in claims.iter().filter(|claim| claim["test"].is_object()) {
        let (id, test) = (&claim["id"], &claim["test"]);
        let (value, params) = of(id, test["metric"].as_str().unwrap());
        assert_eq!(value, test["estimate"]["value"].as_f64(), "{id}");
        assert_eq!(params["expected"], test["expectation"], "{id}");
        for standing in ["supported", "contradicted"] {
            let is = f64::from(u8::from(claim["standing"] == standing));
            assert_eq!(of(id, standing).0, Some(is), "{id}");
        }
    }
}
