//! Rows for any experiment: `--set dataset=` names them, one way everywhere.

mod environments;
mod groups;
mod records;
mod shown;
mod table;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use disentangle_analysis::causal::contrast::{check_groups, check_sides};
use disentangle_data::{
    DataError, Dataset, FeatureGroup, Role, Seed, Split,
    audit::{self, AuditCheck},
    synthetic::{Generator, SyntheticConfig},
    ward::WardConfig,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    ExperimentError,
    finance::{FinanceConfig, Loaded, Preprocess, load},
    saved,
};

pub(crate) use groups::integer_coded;
use groups::own_groups;
pub(crate) use records::MedsPreprocess;
use shown::{Generated, OfWard, Priced, Shown};
pub(crate) use table::TablePreprocess;

/// Which rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RowSettings {
    /// `biased`, `multifeature`, `ward`, `market`, `yahoo`, a price file, with `schema` any table, or a folder with a MEDS dataset.
    pub dataset: String,
    /// A TOML file that says what the columns of `dataset` are.
    pub schema: Option<PathBuf>,
    /// A TOML file that says which codes of a MEDS dataset are predicted from; its own `task.toml` if absent.
    pub task: Option<PathBuf>,
    /// Accept a column that tells the label of every training row, or the future.
    pub allow_leaks: bool,
    /// Groups of your own instead of the dataset's: `NAME:COLUMN+COLUMN;NAME:...`; columns in none stay without a group.
    pub groups: Option<String>,
    /// Keys of generated rows: `samples`, `bias_strength`, ...
    #[serde(flatten, with = "Generated")]
    pub synthetic: SyntheticConfig,
    /// Keys of the simulated ward: `patients`, `agreement`, ...
    #[serde(flatten, with = "OfWard")]
    pub ward: WardConfig,
    /// Keys of prices: `symbols`, `lookback`, `rsi`, ...
    #[serde(flatten, with = "Priced")]
    pub prices: FinanceConfig,
}

impl Default for RowSettings {
    fn default() -> Self {
        Self {
            dataset: "biased".into(),
            schema: None,
            task: None,
            allow_leaks: false,
            groups: None,
            synthetic: SyntheticConfig::default(),
            ward: WardConfig::default(),
            prices: FinanceConfig::default(),
        }
    }
}

/// Datasets that need no file.
const NAMES: [&str; 5] = ["biased", "multifeature", "ward", "market", "yahoo"];

/// Rows, and how they depend on each other.
#[derive(Clone, Debug)]
pub(crate) struct LoadedRows {
    pub(crate) dataset: Dataset,
    /// Rows of a bootstrap block: 1 where rows are independent.
    pub(crate) block: usize,
    /// Rows that training did not see, by what holds there; the first are the main ones.
    pub(crate) environments: Vec<Environment>,
    /// What is needed beside a model to score new rows.
    pub(crate) preprocess: Value,
    /// What the leakage audit found in order.
    pub(crate) audit: Vec<AuditCheck>,
    /// Of the input files.
    pub(crate) hash: String,
}

/// Rows of which the same holds.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) rows: Vec<usize>,
    /// Whether training saw no row of it.
    pub(crate) unseen: bool,
}

impl RowSettings {
    /// Reads or draws the rows, checks groups and environments. `chosen` names the environments to keep, all if empty; each holds at
    /// most `most` rows: random ones where rows are independent, else the latest. Of a subject a random one is taken.
    pub(crate) fn load(&self, chosen: &[String], most: usize, seed: Seed) -> Result<LoadedRows, ExperimentError> {
        let mut loaded = self.load_all(chosen, seed)?;
        loaded.one_a_subject(seed);
        loaded.at_most(most, seed)?;
        Ok(loaded)
    }

    /// The same with every row of a subject, however many there are.
    pub(crate) fn load_all(&self, chosen: &[String], seed: Seed) -> Result<LoadedRows, ExperimentError> {
        let named = NAMES.contains(&self.dataset.as_str());
        let mut loaded = match self.dataset.as_str() {
            name if named && self.schema.is_some() => {
                let reason =
                    format!("`schema` describes a table, but `dataset = {name}` is none; expected dataset=FILE");
                return Err(ExperimentError::Input(reason));
            }
            name if named && self.task.is_some() => {
                let reason =
                    format!("`task` belongs to a MEDS dataset, but `dataset = {name}` is none; expected dataset=DIR");
                return Err(ExperimentError::Input(reason));
            }
            "ward" => self.ward(seed)?,
            folder if !named && Path::new(folder).is_dir() => self.records(Path::new(folder), seed)?,
            file if self.schema.is_some() => self.table(Path::new(file), seed)?,
            "biased" => self.generated(Generator::Biased, seed)?,
            "multifeature" => self.generated(Generator::Multifeature, seed)?,
            _ => self.priced(seed)?,
        };
        if let Some(text) = &self.groups {
            loaded.dataset.groups = own_groups(text, &loaded.dataset)?;
            loaded.preprocess["groups"] = serde_json::json!(loaded.dataset.groups);
        }
        check_groups(&loaded.dataset.groups, loaded.dataset.features.len())?;
        loaded.keep(chosen)?;
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
            unseen: false,
        }];
        for (index, name) in dataset.environments.iter().enumerate() {
            if !seen.contains(&(index as u32)) {
                environments.push(Environment {
                    name: name.clone(),
                    about: format!("test rows of an environment that training did not see: {name}"),
                    rows: of(&|environment| environment as usize == index),
                    unseen: true,
                });
            }
        }
        Ok(LoadedRows {
            preprocess: saved::rows_preprocess(&dataset),
            audit: Vec::new(),
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
        self.of_prices(loaded, seed)
    }

    /// Rows of prices that are there already.
    pub(crate) fn of_prices(&self, loaded: Loaded, seed: Seed) -> Result<LoadedRows, ExperimentError> {
        let config = FinanceConfig {
            dataset: Some(self.dataset.clone()),
            ..self.prices.clone()
        };
        let features = config.features();
        let mut dataset = features.dataset(&loaded.name, loaded.simulated, &loaded.symbols)?;
        dataset.notices.extend(loaded.notices.clone());
        let of_features = |prices: &disentangle_data::Prices| features.compute(prices);
        let mut audit = vec![audit::causal_features(
            &loaded.symbols,
            &dataset.features,
            of_features,
            seed.child("audit"),
        )?];
        audit.extend(audit::windows_and_splits(&dataset, features.longest_indicator() - 1)?);
        let environment = |split: Split, about: &str| Environment {
            name: split.name().into(),
            about: about.into(),
            rows: dataset.part(split),
            unseen: false,
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
            audit,
            dataset,
        })
    }

    /// A file that does not exist may be a misspelt name.
    fn or_a_name(&self, error: ExperimentError) -> ExperimentError {
        if let ExperimentError::Data(missing @ DataError::MissingColumn { .. }) = &error {
            return ExperimentError::Input(format!(
                "{missing}; a table without prices needs schema=FILE, which `dataset describe` proposes"
            ));
        }
        let is_name = !self.dataset.contains(['.', '/', '\\']);
        if is_name && !std::path::Path::new(&self.dataset).exists() {
            let names = NAMES.map(|name| format!("`{name}`")).join(", ");
            let expected = format!("{names}, a price file, a table with schema=FILE, or a folder with a MEDS dataset");
            return ExperimentError::Input(format!(
                "`dataset = {}` cannot be used: expected {expected}",
                self.dataset
            ));
        }
        error
    }
}

impl LoadedRows {
    /// Leaves a random row of each subject: rows of one subject depend on each other, those of different ones do not. Prices keep all.
    pub(crate) fn one_a_subject(&mut self, seed: Seed) {
        if self.block == 1 && self.dataset.subjects.len() > 1 {
            environments::one_a_subject(&self.dataset, &mut self.environments, seed.child("one a subject"));
        }
    }

    /// Leaves so many rows of each environment. Fails where that leaves one label only.
    pub(crate) fn at_most(&mut self, most: usize, seed: Seed) -> Result<(), ExperimentError> {
        for environment in &mut self.environments {
            let rows = &mut environment.rows;
            if rows.len() > most && self.block == 1 {
                let order = seed.child("kept").rng().permutation(rows.len());
                let mut kept: Vec<usize> = order[..most].iter().map(|&place| rows[place]).collect();
                kept.sort_unstable();
                *rows = kept;
            } else {
                rows.drain(..rows.len().saturating_sub(most));
            }
            let labels = self.dataset.labels(rows);
            check_sides(&labels, &format!("environment `{}`", environment.name), "label")?;
        }
        Ok(())
    }

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
