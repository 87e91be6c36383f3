//! Rows for any experiment: `--set dataset=` names them, one way everywhere.

use disentangle_analysis::causal::contrast::{check_groups, check_sides};
use disentangle_data::{
    Dataset, FeatureGroup, Role, Seed, Split, audit,
    synthetic::{Generator, SyntheticConfig},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, de::Error as _, ser::Error as _};
use serde_json::{Map, Value};

use crate::{
    ExperimentError,
    finance::{FinanceConfig, Preprocess, load},
    saved,
};

/// Which rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RowSettings {
    /// `biased`, `multifeature`, `market`, `yahoo`, or a price file.
    pub dataset: String,
    /// Groups of your own instead of the dataset's: `NAME:COLUMN+COLUMN;NAME:...`; columns in none stay without a group.
    pub groups: Option<String>,
    /// Keys of generated rows: `samples`, `bias_strength`, ...
    #[serde(flatten, with = "Generated")]
    pub synthetic: SyntheticConfig,
    /// Keys of prices: `symbols`, `lookback`, `rsi`, ...
    #[serde(flatten, with = "Priced")]
    pub prices: FinanceConfig,
}

impl Default for RowSettings {
    fn default() -> Self {
        Self {
            dataset: "biased".into(),
            groups: None,
            synthetic: SyntheticConfig::default(),
            prices: FinanceConfig::default(),
        }
    }
}

/// A configuration of which some keys are shown.
trait Shown {
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

struct Generated;

impl Shown for Generated {
    type Config = SyntheticConfig;

    fn shows(key: &str) -> bool {
        key != "dataset"
    }
}

struct Priced;

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

/// Rows, and how they depend on each other.
#[derive(Debug)]
pub(crate) struct LoadedRows {
    pub(crate) dataset: Dataset,
    /// Rows of a bootstrap block: 1 where rows are independent.
    pub(crate) block: usize,
    /// Rows that training did not see, by what holds there; the first are the main ones.
    pub(crate) environments: Vec<Environment>,
    /// What is needed beside a model to score new rows.
    pub(crate) preprocess: Value,
    /// Of the input files.
    pub(crate) hash: String,
}

/// Rows of which the same holds.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) rows: Vec<usize>,
}

impl RowSettings {
    /// Reads or draws the rows, checks groups and environments. `chosen` names the environments to keep, all if empty; each holds at
    /// most `most` rows: random ones where rows are independent, else the latest.
    pub(crate) fn load(&self, chosen: &[String], most: usize, seed: Seed) -> Result<LoadedRows, ExperimentError> {
        let mut loaded = match self.dataset.as_str() {
            "biased" => self.generated(Generator::Biased, seed)?,
            "multifeature" => self.generated(Generator::Multifeature, seed)?,
            _ => self.priced(seed)?,
        };
        if let Some(text) = &self.groups {
            loaded.dataset.groups = own_groups(text, &loaded.dataset)?;
        }
        check_groups(&loaded.dataset.groups, loaded.dataset.features.len())?;
        loaded.keep(chosen)?;
        for environment in &mut loaded.environments {
            let rows = &mut environment.rows;
            if rows.len() > most && loaded.block == 1 {
                let order = seed.child("kept").rng().permutation(rows.len());
                let mut kept: Vec<usize> = order[..most].iter().map(|&place| rows[place]).collect();
                kept.sort_unstable();
                *rows = kept;
            } else {
                rows.drain(..rows.len().saturating_sub(most));
            }
            let labels = loaded.dataset.labels(rows);
            check_sides(&labels, &format!("environment `{}`", environment.name), "label")?;
        }
        Ok(loaded)
    }

    fn generated(&self, generator: Generator, seed: Seed) -> Result<LoadedRows, ExperimentError> {
        let config = SyntheticConfig {
            generator,
            ..self.synthetic.clone()
        };
        let dataset = config.dataset(seed.child("data"))?;
        let test = dataset.part(Split::Test);
        let seen: Vec<u32> = dataset
            .part(Split::Train)
            .iter()
            .map(|&row| dataset.windows[row].environment)
            .collect();
        let of = |holds: &dyn Fn(u32) -> bool| -> Vec<usize> {
            let rows = test.iter().copied();
            rows.filter(|&row| holds(dataset.windows[row].environment)).collect()
        };
        let mut environments = vec![Environment {
            name: "in-distribution".into(),
            about: "test rows of the environments of training".into(),
            rows: of(&|environment| seen.contains(&environment)),
        }];
        for (index, name) in dataset.environments.iter().enumerate() {
            if !seen.contains(&(index as u32)) {
                environments.push(Environment {
                    name: name.clone(),
                    about: format!("test rows of an environment that training did not see: {name}"),
                    rows: of(&|environment| environment as usize == index),
                });
            }
        }
        Ok(LoadedRows {
            preprocess: saved::rows_preprocess(&dataset),
            dataset,
            block: 1,
            environments,
            hash: blake3::hash(b"").to_hex().to_string(),
        })
    }

    fn priced(&self, seed: Seed) -> Result<LoadedRows, ExperimentError> {
        let config = FinanceConfig {
            dataset: Some(self.dataset.clone()),
            ..self.prices.clone()
        };
        let loaded = load(&config).map_err(|error| self.or_a_name(error))?;
        let features = config.features();
        let mut dataset = features.dataset(&loaded.name, loaded.simulated, &loaded.symbols)?;
        dataset.notices.extend(loaded.notices.clone());
        let of_features = |prices: &disentangle_data::Prices| features.compute(prices);
        audit::causal_features(&loaded.symbols, &dataset.features, of_features, seed.child("audit"))?;
        audit::windows_and_splits(&dataset, features.longest_indicator() - 1)?;
        let environment = |split: Split, about: &str| Environment {
            name: split.name().into(),
            about: about.into(),
            rows: dataset.part(split),
        };
        let test = environment(Split::Test, "the days after validation, an embargo apart");
        let environments = if dataset.shared_validation {
            vec![test]
        } else {
            let about = "the days after training, an embargo apart; they decided when training stopped";
            vec![environment(Split::Validation, about), test]
        };
        let preprocess = serde_json::to_value(Preprocess::new(config.features(), &dataset));
        Ok(LoadedRows {
            preprocess: preprocess.map_err(|error| ExperimentError::Failed(error.to_string()))?,
            block: features.embargo() * dataset.subjects.len(),
            environments,
            hash: loaded.hash,
            dataset,
        })
    }

    /// A file that does not exist may be a misspelt name.
    fn or_a_name(&self, error: ExperimentError) -> ExperimentError {
        let is_name = !self.dataset.contains(['.', '/', '\\']);
        if is_name && !std::path::Path::new(&self.dataset).exists() {
            let expected = "`biased`, `multifeature`, `market`, `yahoo`, or a price file";
            return ExperimentError::Input(format!(
                "`dataset = {}` cannot be used: expected {expected}",
                self.dataset
            ));
        }
        error
    }
}

impl LoadedRows {
    fn keep(&mut self, chosen: &[String]) -> Result<(), ExperimentError> {
        let known: Vec<&str> = self.environments.iter().map(|one| one.name.as_str()).collect();
        if let Some(unknown) = chosen.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(ExperimentError::Input(format!(
                "`environments`: unknown environment `{unknown}`; expected some of: {}",
                known.join(", ")
            )));
        }
        if !chosen.is_empty() {
            self.environments.retain(|one| chosen.contains(&one.name));
        }
        Ok(())
    }

    /// What a group stands for in each row: the planted shortcut's value for a spurious group where it is known, else the label.
    pub(crate) fn sides(&self, group: &FeatureGroup, rows: &[usize]) -> (&'static str, Vec<f32>) {
        let shortcuts: Option<Vec<f32>> = rows.iter().map(|&row| self.dataset.windows[row].shortcut).collect();
        match shortcuts {
            Some(shortcuts) if group.role == Role::Spurious => ("shortcut", shortcuts),
            _ => ("label", self.dataset.labels(rows)),
        }
    }
}

/// `NAME:COLUMN+COLUMN;...` over the dataset's columns; a group of the dataset's name keeps its role.
fn own_groups(text: &str, dataset: &Dataset) -> Result<Vec<FeatureGroup>, ExperimentError> {
    let wrong = |reason: String| ExperimentError::Input(format!("`groups = {text}` cannot be used: {reason}"));
    let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
    let mut groups: Vec<FeatureGroup> = Vec::new();
    for part in parts {
        let (name, columns) = part
            .split_once(':')
            .ok_or_else(|| wrong(format!("expected NAME:COLUMN+COLUMN, got `{part}`")))?;
        let name = name.trim();
        if name.is_empty() || groups.iter().any(|group| group.name == name) {
            return Err(wrong(format!(
                "expected a name of its own for each group, got `{name}`"
            )));
        }
        let mut indices = Vec::new();
        for column in columns.split('+').map(str::trim).filter(|column| !column.is_empty()) {
            let index = dataset.features.iter().position(|feature| feature == column);
            indices.push(index.ok_or_else(|| {
                let known = dataset.features.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
                wrong(format!("there is no column `{column}`; expected some of: {known}"))
            })?);
        }
        indices.sort_unstable();
        indices.dedup();
        groups.push(FeatureGroup {
            role: dataset.group(name).map_or(Role::Unknown, |group| group.role),
            name: name.into(),
            columns: indices,
        });
    }
    match groups.is_empty() {
        true => Err(wrong("expected at least one group".into())),
        false => Ok(groups),
    }
}

/// For each column of the dataset whether its values are codes: whole numbers, few of them, on all training rows.
pub(crate) fn integer_coded(dataset: &Dataset) -> Vec<bool> {
    let starts: Vec<usize> = dataset
        .part(Split::Train)
        .iter()
        .map(|&row| dataset.windows[row].start)
        .collect();
    let coded = (0..dataset.features.len()).map(|column| {
        let mut codes: Vec<i64> = Vec::new();
        for &start in &starts {
            for row in start..start + dataset.lookback {
                let value = dataset.rows[[row, column]];
                if value.fract() != 0.0 {
                    return false;
                }
                let code = value as i64;
                if let Err(place) = codes.binary_search(&code) {
                    codes.insert(place, code);
                    if codes.len() > MOST_CODES {
                        return false;
                    }
                }
            }
        }
        true
    });
    coded.collect()
}

/// More different whole numbers than this are a measurement.
const MOST_CODES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::resolve;

    fn with(sets: &[&str]) -> Result<RowSettings, ExperimentError> {
        let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
        resolve(&RowSettings::default(), None, &sets)
    }

    #[test]
    fn every_dataset_s_keys_stand_side_by_side() {
        let settings = with(&[
            "dataset=market",
            "samples=50",
            "lookback=12",
            "rsi=wilder",
            "rule=mixed",
        ])
        .unwrap();
        assert_eq!((settings.synthetic.samples, settings.prices.lookback), (50, 12));
        assert_eq!(settings.dataset, "market");
        let error = |set: &str| with(&[set]).unwrap_err().to_string();
        assert!(
            error("epochs=3").starts_with("unknown key `epochs`"),
            "a key of the finance experiment only"
        );
        assert_eq!(
            error("samples=x"),
            "`samples = x` cannot be used: expected a whole number, zero or more"
        );
        assert!(
            error("rsi=x").starts_with("`rsi = x` cannot be used: expected "),
            "{}",
            error("rsi=x")
        );
        let text = toml::to_string(&settings).unwrap();
        assert!(text.contains("lookback = 12") && !text.contains("epochs"), "{text}");
    }

    #[test]
    fn environments_hold_rows_that_training_did_not_see() {
        let load = |sets: &[&str], chosen: &[&str]| {
            let chosen: Vec<String> = chosen.iter().map(ToString::to_string).collect();
            with(sets).unwrap().load(&chosen, 100, Seed::new(1))
        };
        for (dataset, names) in [
            ("biased", vec!["in-distribution", "independent", "reversed"]),
            ("multifeature", vec!["in-distribution"]),
            ("market", vec!["validation", "test"]),
        ] {
            let loaded = load(&[&format!("dataset={dataset}")], &[]).unwrap();
            let found: Vec<&str> = loaded.environments.iter().map(|one| one.name.as_str()).collect();
            assert_eq!(found, names);
            for environment in &loaded.environments {
                assert_eq!(environment.rows.len(), 100);
                assert!(environment.rows.windows(2).all(|pair| pair[0] < pair[1]));
                let split = |row: &usize| loaded.dataset.windows[*row].split;
                assert!(environment.rows.iter().all(|row| split(row) != Split::Train));
            }
            assert_eq!(loaded.block > 1, dataset == "market");
        }
        assert_eq!(load(&[], &["reversed"]).unwrap().environments.len(), 1);
        let error = |sets: &[&str], chosen: &[&str]| load(sets, chosen).unwrap_err().to_string();
        assert_eq!(
            error(&[], &["nowhere"]),
            "`environments`: unknown environment `nowhere`; expected some of: in-distribution, independent, reversed"
        );
        assert_eq!(
            error(&["dataset=prices"], &[]),
            "`dataset = prices` cannot be used: expected `biased`, `multifeature`, `market`, `yahoo`, or a price file"
        );
    }

    #[test]
    fn groups_of_one_s_own() {
        let load = |groups: &str| {
            let set = format!("groups={groups}");
            with(&["features=2", "feature_dim=2", &set])
                .unwrap()
                .load(&[], 100, Seed::new(1))
        };
        let loaded = load("bias:bias.1;rest:feature_1.1 + feature_2.2").unwrap();
        let found: Vec<_> = loaded
            .dataset
            .groups
            .iter()
            .map(|g| (g.name.as_str(), g.role, g.columns.clone()))
            .collect();
        assert_eq!(
            found,
            [("bias", Role::Spurious, vec![4]), ("rest", Role::Unknown, vec![0, 3])]
        );
        let check = |groups: &str, expected: &str| {
            let error = load(groups).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(
            "a:feature_1.1;b:feature_1.1",
            "groups `a` and `b` overlap: both hold column 0",
        );
        check("a:", "group `a` has no columns");
        check(
            "a:nothing",
            "there is no column `nothing`; expected some of: feature_1.1, ",
        );
        check("a", "expected NAME:COLUMN+COLUMN, got `a`");
        check(";", "expected at least one group");
        let all = "a:feature_1.1+feature_1.2+feature_2.1+feature_2.2+bias.1+bias.2";
        check(all, "group `a` covers all 6 columns");
    }

    #[test]
    fn codes_are_told_from_measurements() {
        let loaded = with(&["dataset=market"]).unwrap().load(&[], 100, Seed::new(1)).unwrap();
        let coded = integer_coded(&loaded.dataset);
        for (name, coded) in loaded.dataset.features.iter().zip(coded) {
            assert_eq!(coded, name.starts_with("day") || name.starts_with("month"), "{name}");
        }
    }
}
