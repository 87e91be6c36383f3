//! `experiment capacity`: how does superposition depend on features and width? (Notebook part 18.)

mod render;

use burn::tensor::Device;
use disentangle_analysis::Estimate;
use disentangle_data::{Seed, synthetic::SyntheticConfig};
use disentangle_models::{Classifier, train::TrainConfig};
use serde::{Deserialize, Serialize};

use crate::{
    Context, Experiment, ExperimentError,
    cards::ModelSettings,
    cells::{self, Cell, CellOutcome, MEASURES, measure_over_repeats, over_repeats},
    study::StudySettings,
};

/// The experiment.
#[derive(Clone, Copy, Debug)]
pub struct Capacity;

/// The configuration; every key can be set by `--set key=value`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CapacitySettings {
    /// Numbers of feature groups.
    pub grid_features: Vec<usize>,
    /// Widths.
    pub grid_hidden: Vec<usize>,
    /// Trainings of each cell, each with data and weights of its own; one gives no intervals.
    pub repeats: usize,
    /// The rows; `features` is the grid's.
    #[serde(flatten)]
    pub data: SyntheticConfig,
    /// The model; `hidden` is the grid's.
    #[serde(flatten)]
    pub model: ModelSettings,
    /// Training: `epochs`, `batch`, ...
    #[serde(flatten)]
    pub training: TrainConfig,
    /// Sites: by default where features enter and where they leave.
    #[serde(flatten)]
    pub study: StudySettings,
}

impl Default for CapacitySettings {
    fn default() -> Self {
        Self {
            grid_features: vec![3, 5, 7],
            grid_hidden: vec![32, 64, 128],
            repeats: 5,
            data: SyntheticConfig::multifeature(),
            model: ModelSettings::default(),
            training: TrainConfig::default(),
            study: StudySettings {
                sites: vec!["embed".into(), "pool".into()],
                ..StudySettings::default()
            },
        }
    }
}

/// Everything that is measured: `metrics.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Of this layout.
    pub schema_version: u32,
    /// `run`.
    pub kind: String,
    /// `capacity`.
    pub experiment: String,
    /// The seed.
    pub seed: u64,
    /// `multifeature` or `biased`.
    pub dataset: String,
    /// The model's family.
    pub model: String,
    /// Numbers of groups, the grid's columns.
    pub features: Vec<usize>,
    /// Widths, the grid's rows.
    pub hidden: Vec<usize>,
    /// Trainings of each cell.
    pub repeats: usize,
    /// One a cell, widths within numbers of groups.
    pub cells: Vec<GridCell>,
}

/// One cell of the grid.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GridCell {
    /// Feature groups.
    pub features: usize,
    /// Width.
    pub hidden: usize,
    /// Accuracy on test rows, over repeats.
    pub accuracy: Estimate,
    /// ROC AUC on test rows, over repeats.
    pub auc: Estimate,
    /// The studied sites, each with all measures over repeats.
    pub sites: Vec<(String, Vec<Estimate>)>,
}

impl Experiment for Capacity {
    const NAME: &'static str = "capacity";
    const ABOUT: &'static str =
        "number of features against width: how much do features overlap, over several trainings of each?";
    type Config = CapacitySettings;
    type Input = ();
    type Outcome = Outcome;

    fn fast(config: &mut CapacitySettings) {
        (config.grid_features, config.grid_hidden, config.repeats) = (vec![2, 3], vec![16, 32], 2);
        config.training.epochs = 2;
        (config.data.samples, config.data.validation, config.data.test) = (200, 100, 100);
        (config.study.bases, config.study.donors) = (2, 32);
    }

    fn load(config: &CapacitySettings, seed: u64, device: &Device) -> Result<(), ExperimentError> {
        config.training.check()?;
        config.study.check()?;
        for (key, list) in [
            ("grid_features", &config.grid_features),
            ("grid_hidden", &config.grid_hidden),
        ] {
            if list.is_empty() {
                return Err(ExperimentError::Input(format!(
                    "`{key}` is empty: expected numbers separated by commas"
                )));
            }
        }
        if config.repeats == 0 {
            return Err(ExperimentError::Input(
                "`repeats = 0` cannot be used: expected at least 1, and 2 for intervals".into(),
            ));
        }
        // Every cell's sizes, before anything is trained.
        for features in &config.grid_features {
            for hidden in &config.grid_hidden {
                let dataset = config.data(*features).dataset(Seed::new(seed))?;
                let model = config.model(*hidden).config(&dataset)?.init(Seed::new(seed), device)?;
                config.study.sites(&model)?;
                debug_assert_eq!(model.input_shape()[0], 1);
            }
        }
        Ok(())
    }

    fn input_hash((): &()) -> String {
        String::new()
    }

    fn run(config: &CapacitySettings, (): &(), context: &Context) -> Result<Outcome, ExperimentError> {
        let grid: Vec<(usize, usize)> = config
            .grid_features
            .iter()
            .flat_map(|&features| config.grid_hidden.iter().map(move |&hidden| (features, hidden)))
            .collect();
        let cells: Vec<Cell> = grid
            .iter()
            .flat_map(|&(features, hidden)| {
                (0..config.repeats).map(move |repeat| {
                    let model = config.model(hidden);
                    Cell {
                        data: config.data(features),
                        model: Box::new(move |dataset| model.config(dataset)),
                        seed: context.root().child("cells").index(repeat as u64),
                    }
                })
            })
            .collect();
        let outcomes = cells::run(&cells, &config.training, &config.study, context, "trainings")?;
        let summarised = grid.iter().zip(outcomes.chunks(config.repeats));
        let name = cells[0].data.dataset(Seed::new(0)).map(|dataset| dataset.name);
        Ok(Outcome {
            schema_version: 1,
            kind: "run".into(),
            experiment: Self::NAME.into(),
            seed: context.seed,
            dataset: name.unwrap_or_default(),
            model: config.model.family(1).name().into(),
            features: config.grid_features.clone(),
            hidden: config.grid_hidden.clone(),
            repeats: config.repeats,
            cells: summarised.map(|(&cell, outcomes)| grid_cell(cell, outcomes)).collect(),
        })
    }

    /// `hidden` and `features` are keys of the model and the data, which the grid overrides.
    fn sweep_key(key: &str) -> &str {
        match key {
            "n_features" | "features" => "grid_features",
            "hidden" => "grid_hidden",
            other => other,
        }
    }

    /// A sweep repeats by its seeds.
    fn sweep_defaults() -> &'static [&'static str] {
        &["repeats=1"]
    }
}

impl CapacitySettings {
    fn data(&self, features: usize) -> SyntheticConfig {
        SyntheticConfig {
            features,
            ..self.data.clone()
        }
    }

    fn model(&self, hidden: usize) -> ModelSettings {
        ModelSettings {
            hidden: Some(hidden),
            ..self.model.clone()
        }
    }
}

fn grid_cell((features, hidden): (usize, usize), outcomes: &[CellOutcome]) -> GridCell {
    let sites = outcomes.first().map_or(&[][..], |outcome| &outcome.sites);
    let sites = sites.iter().enumerate().map(|(index, site)| {
        let measures = MEASURES
            .iter()
            .map(|measure| measure_over_repeats(measure, outcomes, index));
        (site.site.clone(), measures.collect())
    });
    GridCell {
        features,
        hidden,
        accuracy: over_repeats(outcomes.iter(), |outcome| outcome.accuracy).within(0.0, 1.0),
        auc: over_repeats(outcomes.iter(), |outcome| outcome.auc).within(0.0, 1.0),
        sites: sites.collect(),
    }
}
