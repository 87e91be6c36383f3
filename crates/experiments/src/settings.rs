//! From `--config FILE` and `--set key=value` to a checked configuration. Unknown keys are errors.

use std::path::Path;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::ExperimentError;

/// The configuration: `start`, then the file's keys, then each `key=value`.
pub fn resolve<C: Serialize + DeserializeOwned>(
    start: &C,
    file: Option<&Path>,
    sets: &[String],
) -> Result<C, ExperimentError> {
    let mut config = object(start)?;
    let known = config.clone();
    let mut put = |place: &str, key: &str, value: Value| -> Result<(), ExperimentError> {
        check::<C>(place, &known, key, &value)?;
        config.insert(key.into(), value);
        Ok(())
    };
    if let Some(path) = file {
        for (key, value) in read(path)? {
            put(&format!("{}: ", path.display()), &key, value)?;
        }
    }
    for set in sets {
        let (key, text) = set
            .split_once('=')
            .ok_or_else(|| ExperimentError::Input(format!("`--set {set}`: expected key=value")))?;
        let key = key.trim();
        let value = parse(known.get(key), text.trim(), |value| {
            check::<C>("", &known, key, value).is_ok()
        });
        put("", key, value)?;
    }
    from_object(config)
}

fn object(config: &impl Serialize) -> Result<Map<String, Value>, ExperimentError> {
    match serde_json::to_value(config) {
        Ok(Value::Object(map)) => Ok(map),
        _ => Err(ExperimentError::Failed("a configuration is not a table".into())),
    }
}

fn from_object<C: DeserializeOwned>(config: Map<String, Value>) -> Result<C, ExperimentError> {
    serde_json::from_value(Value::Object(config))
        .map_err(|error| ExperimentError::Input(format!("configuration: {error}")))
}

fn read(path: &Path) -> Result<Vec<(String, Value)>, ExperimentError> {
    let error = |reason: String| ExperimentError::Input(format!("{}: {reason}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|e| error(format!("cannot be read: {e}")))?;
    let table: toml::Table = text
        .parse()
        .map_err(|e: toml::de::Error| error(e.to_string().trim_end().replace('\n', " ")))?;
    let pairs = table.into_iter().map(|(key, value)| {
        let value = match value {
            toml::Value::Datetime(date) => Value::String(date.to_string()),
            other => serde_json::to_value(other).unwrap_or(Value::Null),
        };
        (key, value)
    });
    Ok(pairs.collect())
}

/// The text as the type that the key has by default; where that is not known, as the first that `fits`.
fn parse(default: Option<&Value>, text: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let string = |text: &str| Value::String(text.into());
    let number = |text: &str| {
        let parsed = serde_json::from_str::<serde_json::Number>(text);
        parsed.map_or_else(|_| string(text), Value::Number)
    };
    match default {
        Some(Value::Bool(_)) => text.parse().map_or_else(|_| string(text), Value::Bool),
        Some(Value::Number(_)) => number(text),
        Some(Value::Array(_)) => {
            let parts = || text.split(',').map(str::trim).filter(|part| !part.is_empty());
            let strings: Value = parts().map(Value::from).collect();
            if fits(&strings) {
                strings
            } else {
                parts().map(number).collect()
            }
        }
        _ if fits(&string(text)) => string(text),
        _ => number(text),
    }
}

/// Tries the one key alone, so that the message can name it.
fn check<C: DeserializeOwned>(
    place: &str,
    known: &Map<String, Value>,
    key: &str,
    value: &Value,
) -> Result<(), ExperimentError> {
    let Some(default) = known.get(key) else {
        let keys: Vec<&str> = known.keys().map(String::as_str).collect();
        return Err(ExperimentError::Input(format!(
            "{place}unknown key `{key}`; expected one of: {}",
            keys.join(", ")
        )));
    };
    let mut tried = known.clone();
    tried.insert(key.into(), value.clone());
    let result: Result<C, _> = serde_json::from_value(Value::Object(tried));
    result.map(|_| ()).map_err(|error| {
        let expected = match default {
            Value::Bool(_) => "true or false".to_string(),
            Value::Number(number) if number.is_u64() => "a whole number, zero or more".into(),
            Value::Number(_) => "a number".into(),
            Value::Array(_) => "a list, separated by commas".into(),
            _ => match error.to_string().split_once("expected ") {
                Some((_, expected)) => expected.to_string(),
                None => error.to_string(),
            },
        };
        let shown = value.as_str().map_or_else(|| value.to_string(), Into::into);
        ExperimentError::Input(format!("{place}`{key} = {shown}` cannot be used: expected {expected}"))
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        epochs: usize,
        rate: f64,
        symbols: Vec<String>,
        fast: bool,
        path: Option<String>,
        rate_of_decay: Option<f64>,
        sizes: Vec<usize>,
        start: Option<chrono::NaiveDate>,
        mode: Mode,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        One,
        Two,
    }

    fn start() -> Config {
        Config {
            epochs: 1,
            rate: 0.5,
            symbols: vec!["A".into()],
            fast: false,
            path: None,
            rate_of_decay: None,
            sizes: vec![],
            start: None,
            mode: Mode::One,
        }
    }

    fn with(sets: &[&str]) -> Result<Config, String> {
        let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
        resolve(&start(), None, &sets).map_err(|error| error.to_string())
    }

    #[test]
    fn values_take_the_type_of_their_key() {
        let config = with(&[
            "epochs=3",
            "rate=1",
            "symbols=SPY,QQQ",
            "fast=true",
            "path=12",
            "rate_of_decay=0.25",
            "sizes=3, 5",
            "start=2020-01-02",
            "mode=two",
        ])
        .unwrap();
        let expected = Config {
            epochs: 3,
            rate: 1.0,
            symbols: vec!["SPY".into(), "QQQ".into()],
            fast: true,
            path: Some("12".into()),
            rate_of_decay: Some(0.25),
            sizes: vec![3, 5],
            start: chrono::NaiveDate::from_ymd_opt(2020, 1, 2),
            mode: Mode::Two,
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn bad_settings_name_the_key() {
        let check = |set: &str, expected: &str| assert_eq!(with(&[set]).unwrap_err(), expected);
        check(
            "epoch=3",
            "unknown key `epoch`; expected one of: epochs, fast, mode, path, rate, rate_of_decay, sizes, start, symbols",
        );
        check(
            "epochs=x",
            "`epochs = x` cannot be used: expected a whole number, zero or more",
        );
        check(
            "epochs=-1",
            "`epochs = -1` cannot be used: expected a whole number, zero or more",
        );
        check(
            "sizes=3,x",
            "`sizes = [3,\"x\"]` cannot be used: expected a list, separated by commas",
        );
        check("rate=fast", "`rate = fast` cannot be used: expected a number");
        check("fast=1", "`fast = 1` cannot be used: expected true or false");
        check("mode=three", "`mode = three` cannot be used: expected `one` or `two`");
        check("epochs", "`--set epochs`: expected key=value");
        let date = with(&["start=soon"]).unwrap_err();
        assert!(date.starts_with("`start = soon` cannot be used: expected "), "{date}");
    }

    #[test]
    fn files_come_before_sets_and_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        let read = |content: &str, sets: &[String]| {
            std::fs::write(&path, content).unwrap();
            let result = resolve(&start(), Some(&path), sets);
            result.map_err(|error| error.to_string().replace(&path.display().to_string(), "FILE"))
        };
        let config = read("epochs = 4\nrate = 2\nstart = 2021-03-04\n", &["epochs=5".into()]).unwrap();
        assert_eq!((config.epochs, config.rate), (5, 2.0));
        assert_eq!(config.start, chrono::NaiveDate::from_ymd_opt(2021, 3, 4));
        assert!(
            read("epoks = 4", &[])
                .unwrap_err()
                .starts_with("FILE: unknown key `epoks`")
        );
        assert!(
            read("epochs = \"x\"", &[])
                .unwrap_err()
                .starts_with("FILE: `epochs = x` cannot be used")
        );
        assert!(read("epochs = = 4", &[]).unwrap_err().starts_with("FILE: "));
        let absent = resolve(&start(), Some(Path::new("/none.toml")), &[])
            .unwrap_err()
            .to_string();
        assert!(absent.starts_with("/none.toml: cannot be read"), "{absent}");
    }
}
