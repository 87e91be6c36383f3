//! A finished run as other tools take it: parameters, tags, and numbers with a name and a step.

use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
};

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::MetricRow;

/// One number at one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar {
    /// Parts with slashes between them, for example `test/roc_auc/calendar`.
    pub name: String,
    /// The epoch; 0 for a number of the whole run.
    pub step: i64,
    /// When it was measured, as well as that is known.
    pub time: DateTime<Utc>,
    /// Finite.
    pub value: f64,
}

/// A finished run.
#[derive(Clone, Debug)]
pub struct Exported {
    /// Of the folder, or `seed-3` for one seed of several.
    pub name: String,
    /// Where its files lie.
    pub folder: PathBuf,
    /// The experiment's name.
    pub experiment: String,
    /// The same whenever this run is exported; no other run has it.
    pub id: String,
    /// The same for all runs of one configuration on one input, whatever the seed.
    pub group: String,
    /// The machine's name.
    pub host: String,
    /// When the run was created.
    pub started: DateTime<Utc>,
    /// When it was done.
    pub ended: DateTime<Utc>,
    /// The resolved configuration as TOML.
    pub config: String,
    /// The same with one entry a key, and the seed.
    pub parameters: BTreeMap<String, Value>,
    /// Where the numbers come from: revision, version, backend, folder.
    pub tags: BTreeMap<String, String>,
    /// Its numbers.
    pub scalars: Vec<Scalar>,
    /// Its seeds, if there are several; they have no parts of their own.
    pub parts: Vec<Exported>,
}

/// The numbers of every epoch in the text of `events.jsonl`, called `epoch/<key>`, for the events of `seed` and those
/// without one.
///
/// The time is the event's own `time` (RFC 3339, or seconds since 1970) if it has one, else `started`.
pub fn epoch_scalars(events: &str, seed: u64, started: DateTime<Utc>) -> Vec<Scalar> {
    let mut scalars = Vec::new();
    for line in events.lines() {
        let Ok(Value::Object(mut event)) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let time = event.remove("time").as_ref().and_then(time_of).unwrap_or(started);
        let of = event.remove("seed").and_then(|of| of.as_u64());
        let Some(step) = event.remove("epoch").and_then(|epoch| epoch.as_i64()) else {
            continue;
        };
        if of.is_some_and(|of| of != seed) {
            continue;
        }
        numbers("epoch", &Value::Object(event), &mut |name, value| {
            scalars.push(Scalar {
                name,
                step,
                time,
                value,
            });
        });
    }
    scalars
}

fn time_of(value: &Value) -> Option<DateTime<Utc>> {
    match value {
        Value::String(text) => Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc()),
        Value::Number(seconds) => DateTime::from_timestamp_millis((seconds.as_f64()? * 1000.0) as i64),
        _ => None,
    }
}

/// Every number inside a document, called by the way to it.
fn numbers(name: &str, value: &Value, put: &mut dyn FnMut(String, f64)) {
    match value {
        Value::Number(number) => {
            if let Some(number) = number.as_f64().filter(|number| number.is_finite()) {
                put(name.into(), number);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                numbers(&format!("{name}/{index}"), value, put);
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                numbers(&format!("{name}/{key}"), value, put);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// The numbers of a whole run at step 0: each row that has a finite value, and the ends of its interval as `<name>/low`
/// and `<name>/high`.
///
/// A name is split, metric, group, site, model, strategy, stage and environment, those that apply, then `head=`,
/// `seed=` (where it is not the run's own), `dataset=` (where it is not that of the first row) and the grid keys. A
/// name that comes again gets `/2`, `/3`.
pub fn final_scalars(rows: &[MetricRow], seed: Option<u64>, time: DateTime<Utc>) -> Vec<Scalar> {
    let dataset = rows.first().map(|row| row.dataset.as_str()).unwrap_or_default();
    let mut taken = HashSet::new();
    let mut scalars = Vec::new();
    for row in rows {
        let Some(value) = row.value.filter(|value| value.is_finite()) else {
            continue;
        };
        let name = free(name_of(row, seed, dataset), '/', &mut taken);
        let ends = [("low", row.low), ("high", row.high)];
        let ends = ends.map(|(end, value)| (format!("{name}/{end}"), value.filter(|value| value.is_finite())));
        let mut put = |name: String, value: f64| {
            scalars.push(Scalar {
                name,
                step: 0,
                time,
                value,
            });
        };
        put(name, value);
        for (name, value) in ends {
            if let Some(value) = value {
                put(name, value);
            }
        }
    }
    scalars
}

fn name_of(row: &MetricRow, seed: Option<u64>, dataset: &str) -> String {
    let mut parts: Vec<String> = row.split.iter().cloned().collect();
    parts.push(row.metric.clone());
    let about = [
        &row.group,
        &row.site,
        &row.model,
        &row.strategy,
        &row.stage,
        &row.environment,
    ];
    parts.extend(about.into_iter().flatten().cloned());
    parts.extend(row.head.map(|head| format!("head={head}")));
    let other = row.seed.filter(|of| Some(*of) != seed);
    parts.extend(other.map(|seed| format!("seed={seed}")));
    if row.dataset != dataset {
        parts.push(format!("dataset={}", row.dataset));
    }
    let keys = row.params.as_deref().map(serde_json::from_str::<Value>);
    if let Some(Ok(Value::Object(keys))) = keys {
        let keys: BTreeMap<String, Value> = keys.into_iter().collect();
        parts.extend(keys.iter().map(|(key, value)| format!("{key}={}", plain(value))));
    }
    parts.retain(|part| !part.is_empty());
    parts.join("/")
}

/// Text without quotes, anything else as JSON.
pub(crate) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), Into::into)
}

/// The name, with a number behind it if it is taken; it is taken from now on.
pub(crate) fn free(name: String, separator: char, taken: &mut HashSet<String>) -> String {
    let mut one = name.clone();
    let mut number = 1;
    while !taken.insert(one.clone()) {
        number += 1;
        one = format!("{name}{separator}{number}");
    }
    one
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn at(milliseconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(milliseconds).unwrap()
    }

    /// A run of half a minute in a folder that need not exist.
    pub(crate) fn run(scalars: Vec<Scalar>) -> Exported {
        let parameters = [
            ("epochs", Value::from(3)),
            ("fast", false.into()),
            ("model", "gated".into()),
        ];
        Exported {
            name: "the-run".into(),
            folder: "no/such/folder".into(),
            experiment: "synthetic".into(),
            id: "0123456789abcdef".into(),
            group: "g".into(),
            host: "a machine".into(),
            started: at(1_700_000_000_500),
            ended: at(1_700_000_030_000),
            config: "epochs = 3\nfast = false\nmodel = \"gated\"\n".into(),
            parameters: parameters.map(|(key, value)| (key.to_string(), value)).into(),
            tags: [("version".to_string(), "0.1.0".to_string())].into(),
            scalars,
            parts: Vec::new(),
        }
    }

    fn shown(scalars: &[Scalar]) -> Vec<String> {
        let show = |one: &Scalar| {
            format!(
                "{}@{} {} {}",
                one.name,
                one.step,
                one.value,
                one.time.timestamp_millis()
            )
        };
        scalars.iter().map(show).collect()
    }

    #[test]
    fn epochs_are_those_of_the_seed() {
        let check = |events: &str, expected: &[&str]| {
            assert_eq!(shown(&epoch_scalars(events, 3, at(5))), expected);
        };
        check(
            r#"{"epoch":1,"loss":0.5,"seed":3}
               {"epoch":1,"loss":0.7,"seed":4}
               {"epoch":2,"loss":0.25}"#,
            &["epoch/loss@1 0.5 5", "epoch/loss@2 0.25 5"],
        );
        check(
            r#"{"epoch":1,"part_norms":[1,2.5],"seed":3}"#,
            &["epoch/part_norms/0@1 1 5", "epoch/part_norms/1@1 2.5 5"],
        );
        check(r#"{"epoch":1,"time":2.5,"loss":1}"#, &["epoch/loss@1 1 2500"]);
        check(
            r#"{"epoch":1,"time":"1970-01-01T00:00:07Z","loss":1}"#,
            &["epoch/loss@1 1 7000"],
        );
        // Undefined, no number, no epoch, and a line that a crash cut off.
        check(
            r#"{"epoch":1,"loss":null,"note":"x"}
               {"loss":1}
               {"epoch":2,"lo"#,
            &[],
        );
    }

    #[test]
    fn names_say_what_a_number_is_about() {
        let row = |metric: &str| MetricRow {
            dataset: "biased".into(),
            metric: metric.into(),
            value: Some(0.5),
            seed: Some(3),
            ..MetricRow::default()
        };
        let check = |rows: &[MetricRow], expected: &[&str]| {
            let found = final_scalars(rows, Some(3), at(0));
            let found: Vec<(&str, f64)> = found.iter().map(|one| (one.name.as_str(), one.value)).collect();
            let names: Vec<&str> = found.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, expected);
            for (name, value) in found {
                let expected = if name.ends_with("/low") { 0.25 } else { 0.5 };
                assert_eq!(value, expected, "{name}");
            }
        };
        let all = MetricRow {
            model: Some("gated".into()),
            strategy: Some("jtt".into()),
            stage: Some("after".into()),
            environment: Some("all".into()),
            split: Some("test".into()),
            group: Some("bias".into()),
            site: Some("layers.0.attn.z".into()),
            head: Some(2),
            low: Some(0.25),
            params: Some("{\"window\":7,\"form\":\"linear\",\"all\":[1,2]}".into()),
            ..row("roc_auc")
        };
        let name = "test/roc_auc/bias/layers.0.attn.z/gated/jtt/after/all/head=2/all=[1,2]/form=linear/window=7";
        check(&[all], &[name, &format!("{name}/low")]);
        check(
            &[row("roc_auc"), row("roc_auc"), row("roc_auc")],
            &["roc_auc", "roc_auc/2", "roc_auc/3"],
        );
        let other = |seed, dataset: &str| MetricRow {
            seed,
            dataset: dataset.into(),
            ..row("gap")
        };
        check(
            &[other(Some(3), "biased"), other(Some(4), "biased"), other(None, "ward")],
            &["gap", "gap/seed=4", "gap/dataset=ward"],
        );
        let undefined = |value| MetricRow {
            value,
            low: Some(0.25),
            ..row("gap")
        };
        check(
            &[
                undefined(None),
                undefined(Some(f64::NAN)),
                undefined(Some(f64::INFINITY)),
            ],
            &[],
        );
    }
}
