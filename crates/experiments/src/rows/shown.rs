//! Keys of other configurations beside those of one's own.

use disentangle_data::{synthetic::SyntheticConfig, ward::WardConfig};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, de::Error as _, ser::Error as _};
use serde_json::{Map, Value};

use crate::finance::FinanceConfig;

/// A configuration of which some keys are shown.
pub(super) trait Shown {
    type Config: Serialize + DeserializeOwned + Default;
    fn shows(key: &str) -> bool;

    fn serialize<S: Serializer>(config: &Self::Config, serializer: S) -> Result<S::Ok, S::Error> {
        let mut keys = object(config).map_err(S::Error::custom)?;
        keys.retain(|key, _| Self::shows(key));
        // TOML leaves out what is absent, but knows no null.
        let keys = keys
            .into_iter()
            .map(|(key, value)| (key, Some(value).filter(|value| !value.is_null())));
        serializer.collect_map(keys)
    }

    /// Other keys are somebody else's; those that nobody knows are refused where settings are resolved.
    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self::Config, D::Error> {
        let given = Map::deserialize(deserializer)?;
        let mut keys = object(&Self::Config::default()).map_err(D::Error::custom)?;
        let own = given
            .into_iter()
            .filter(|(key, _)| Self::shows(key) && keys.contains_key(key));
        keys.extend(own.collect::<Vec<_>>());
        serde_json::from_value(Value::Object(keys)).map_err(D::Error::custom)
    }
}

fn object(config: &impl Serialize) -> Result<Map<String, Value>, String> {
    match serde_json::to_value(config) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err("a configuration is not a table".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// All of generated rows but which generator.
pub(super) struct Generated;

impl Shown for Generated {
    type Config = SyntheticConfig;

    fn shows(key: &str) -> bool {
        key != "dataset"
    }
}

/// All of the simulated ward.
pub(super) struct OfWard;

impl Shown for OfWard {
    type Config = WardConfig;

    fn shows(_: &str) -> bool {
        true
    }
}

/// What of the finance experiment says how prices become rows.
pub(super) struct Priced;

impl Shown for Priced {
    type Config = FinanceConfig;

    fn shows(key: &str) -> bool {
        let keys = [
            "symbols",
            "start",
            "end",
            "cache",
            "lookback",
            "rsi",
            "stationary",
            "month_end",
            "day",
            "adjusted",
            "split",
        ];
        keys.contains(&key)
    }
}
