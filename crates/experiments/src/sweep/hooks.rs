//! What a sweep asks of an experiment, without its types.

use std::path::Path;

use serde_json::Value;

use crate::{Experiment, ExperimentError, Finished, Options, experiment::execute_resolved, settings};

/// A configuration, or why there is none.
type Resolved = Result<Value, ExperimentError>;

/// Configurations pass as JSON; each function reads them into the experiment's own type and checks them by it.
#[derive(Clone, Copy)]
pub(crate) struct Hooks {
    /// The configuration's key behind a name that users may write.
    pub(super) key: fn(&str) -> &str,
    /// The configuration that all runs share, of a file and `key=value` settings.
    pub(super) base: fn(Option<&Path>, bool, &[String]) -> Resolved,
    /// A key's value as the configuration holds it, of its text.
    pub(super) value: fn(&Value, &str, &str) -> Resolved,
    /// The configuration with these values of keys.
    pub(super) with: fn(&Value, &[(String, Value)]) -> Resolved,
    /// Runs a configuration; of the options, `config`, `sets` and `fast` do not count.
    pub(super) run: fn(&Options, &Value) -> Result<Finished, ExperimentError>,
}

impl Hooks {
    /// Those of an experiment.
    pub(crate) fn of<E: Experiment>() -> Self {
        Self {
            key: E::sweep_key,
            base: base::<E>,
            value: value::<E>,
            with: with::<E>,
            run: |options, config| execute_resolved::<E>(options, &typed::<E>(config)?),
        }
    }
}

fn base<E: Experiment>(config: Option<&Path>, fast: bool, sets: &[String]) -> Result<Value, ExperimentError> {
    let mut start = E::Config::default();
    if fast {
        E::fast(&mut start);
    }
    let defaults: Vec<String> = E::sweep_defaults().iter().map(ToString::to_string).collect();
    let start = settings::resolve(&start, None, &defaults)?;
    json::<E>(&settings::resolve(&start, config, sets)?)
}

fn value<E: Experiment>(base: &Value, key: &str, text: &str) -> Result<Value, ExperimentError> {
    let set = settings::resolve(&typed::<E>(base)?, None, &[format!("{key}={text}")])?;
    Ok(json::<E>(&set)?.get(key).cloned().unwrap_or_default())
}

fn with<E: Experiment>(base: &Value, values: &[(String, Value)]) -> Result<Value, ExperimentError> {
    let mut config = base.clone();
    for (key, value) in values {
        config[key.as_str()] = value.clone();
    }
    json::<E>(&typed::<E>(&config)?)
}

fn typed<E: Experiment>(config: &Value) -> Result<E::Config, ExperimentError> {
    serde_json::from_value(config.clone()).map_err(|error| ExperimentError::Input(format!("configuration: {error}")))
}

fn json<E: Experiment>(config: &E::Config) -> Result<Value, ExperimentError> {
    serde_json::to_value(config).map_err(|error| ExperimentError::Failed(error.to_string()))
}
