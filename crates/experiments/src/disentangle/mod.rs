//! `experiment disentangle`: does drawing projections towards orthogonality keep features apart? (Notebook parts 6, 12, 20.)
//!
//! Three arms see the same data and seeds: the standard model, the disentangled one, and the disentangled one without its
//! penalty, which tells the penalty from the rest of the architecture (GELU, separate projections).

mod render;

use burn::tensor::Device;
use disentangle_analysis::{Estimate, over_seeds};
use disentangle_data::{Seed, synthetic::SyntheticConfig};
use disentangle_models::{Family, train::TrainConfig};
use serde::{Deserialize, Serialize};

use crate::{
    Context, Experiment, ExperimentError,
    cards::{LayoutChoice, ModelSettings},
    cells::{self, Cell, CellOutcome, MEASURES, over_repeats},
    study::StudySettings,
};

/// The experiment.
#[derive(Clone, Copy, Debug)]
pub struct Disentangle;

/// The configuration; every key can be set by `--set key=value`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DisentangleSettings {
    /// Trainings of each arm; repeat i has the same data and seed in every arm.
    pub repeats: usize,
    /// Weight of the orthogonality penalty.
    pub orthogonality: f64,
    /// `flat` or `per-group`.
    pub layout: LayoutChoice,
    /// Width of all arms.
    pub hidden: usize,
    /// Attention heads of all arms.
    pub heads: usize,
    /// Layers of all arms.
    pub layers: usize,
    /// Dropout rate of all arms (the notebook's disentangled model has none, its standard model 0.1).
    pub dropout: f64,
    /// The rows: `dataset`, `samples`, ...
    #[serde(flatten)]
    pub data: SyntheticConfig,
    /// Training: `epochs`, `batch`, ...
    #[serde(flatten)]
    pub training: TrainConfig,
    /// Sites: by default where features enter and where they leave.
    #[serde(flatten)]
    pub study: StudySettings,
}

impl Default for DisentangleSettings {
    fn default() -> Self {
        Self {
            repeats: 10,
            orthogonality: 0.1,
            layout: LayoutChoice::PerGroup,
            hidden: 64,
            heads: 4,
            layers: 2,
            dropout: 0.1,
            data: SyntheticConfig::biased(),
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
    /// `disentangle`.
    pub experiment: String,
    /// The seed.
    pub seed: u64,
    /// `multifeature` or `biased`.
    pub dataset: String,
    /// Trainings of each arm.
    pub repeats: usize,
    /// Weight of the penalty.
    pub orthogonality: f64,
    /// Names of the arms, in the order of [`Row::arms`].
    pub arms: Vec<String>,
    /// One a number.
    pub rows: Vec<Row>,
}

/// One number in every arm, and its paired differences.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// As in `metrics.parquet`.
    pub metric: String,
    /// For the reader.
    pub title: String,
    /// The site, if it is of one.
    pub site: Option<String>,
    /// Mean over repeats in each arm.
    pub arms: Vec<Estimate>,
    /// Disentangled minus standard, repeat by repeat.
    pub over_standard: Estimate,
    /// Disentangled minus the same without the penalty, repeat by repeat.
    pub over_unpenalised: Estimate,
}

const STANDARD: usize = 0;
const DISENTANGLED: usize = 1;
const UNPENALISED: usize = 2;
const ARMS: [&str; 3] = ["standard", "disentangled", "disentangled without penalty"];

impl Experiment for Disentangle {
    const NAME: &'static str = "disentangle";
    const ABOUT: &'static str =
        "standard against orthogonality-penalised model, paired over seeds: overlap, accuracy, worst group";
    type Config = DisentangleSettings;
    type Input = ();
    type Outcome = Outcome;

    fn fast(config: &mut DisentangleSettings) {
        (config.repeats, config.hidden, config.training.epochs) = (2, 16, 2);
        (config.data.samples, config.data.validation, config.data.test) = (200, 100, 100);
        (config.study.bases, config.study.donors) = (2, 32);
    }

    fn load(config: &DisentangleSettings, seed: u64, device: &Device) -> Result<(), ExperimentError> {
        config.training.check()?;
        config.study.check()?;
        if config.repeats < 2 {
            return Err(ExperimentError::Input(format!(
                "`repeats = {}` cannot be used: expected at least 2, or there are no intervals",
                config.repeats
            )));
        }
        let dataset = config.data.dataset(Seed::new(seed))?;
        for arm in 0..ARMS.len() {
            let model = config.model(arm, &dataset)?.init(Seed::new(seed), device)?;
            config.study.sites(&model)?;
        }
        Ok(())
    }

    fn input_hash((): &()) -> String {
        String::new()
    }

    fn run(config: &DisentangleSettings, (): &(), context: &Context) -> Result<Outcome, ExperimentError> {
        let cells: Vec<Cell> = (0..ARMS.len())
            .flat_map(|arm| {
                (0..config.repeats).map(move |repeat| {
                    let settings = config.clone();
                    Cell {
                        data: config.data.clone(),
                        model: Box::new(move |dataset| settings.model(arm, dataset)),
                        seed: context.root().child("cells").index(repeat as u64),
                    }
                })
            })
            .collect();
        let outcomes = cells::run(&cells, &config.training, &config.study, context, "trainings")?;
        let arms: Vec<&[CellOutcome]> = outcomes.chunks(config.repeats).collect();
        let dataset = config.data.dataset(context.root())?;
        Ok(Outcome {
            schema_version: 1,
            kind: "run".into(),
            experiment: Self::NAME.into(),
            seed: context.seed,
            dataset: dataset.name,
            repeats: config.repeats,
            orthogonality: config.orthogonality,
            arms: ARMS.map(Into::into).into(),
            rows: rows(&arms),
        })
    }
}

impl DisentangleSettings {
    fn model(
        &self,
        arm: usize,
        dataset: &disentangle_data::Dataset,
    ) -> Result<disentangle_models::ModelConfig, ExperimentError> {
        let settings = ModelSettings {
            model: if arm == STANDARD {
                Some(Family::Small)
            } else {
                Some(Family::Disentangled)
            },
            layout: self.layout,
            hidden: Some(self.hidden),
            heads: Some(self.heads),
            layers: Some(self.layers),
            feed_forward: None,
            dropout: Some(self.dropout),
        };
        let config = settings.config(dataset)?;
        let weight = match arm {
            DISENTANGLED => self.orthogonality,
            UNPENALISED => 0.0,
            _ => return Ok(config),
        };
        Ok(config.with_settings(&[("orthogonality", weight.into())])?)
    }
}

fn rows(arms: &[&[CellOutcome]]) -> Vec<Row> {
    let row = |metric: &str,
               title: &str,
               site: Option<String>,
               [least, most]: [f64; 2],
               of: &dyn Fn(&CellOutcome) -> Option<f64>| {
        let paired = |other: usize| {
            let pairs = arms[DISENTANGLED].iter().zip(arms[other]);
            let differences: Vec<Option<f64>> = pairs.map(|(a, b)| Some(of(a)? - of(b)?)).collect();
            over_seeds(&differences)
        };
        Row {
            metric: metric.into(),
            title: title.into(),
            site,
            arms: arms
                .iter()
                .map(|arm| over_repeats(arm.iter(), of).within(least, most))
                .collect(),
            over_standard: paired(STANDARD),
            over_unpenalised: paired(UNPENALISED),
        }
    };
    let (share, count) = ([0.0, 1.0], [0.0, f64::INFINITY]);
    let mut rows = vec![
        row("accuracy", "accuracy on test rows", None, share, &|cell| cell.accuracy),
        row("roc_auc", "ROC AUC on test rows", None, share, &|cell| cell.auc),
        row("worst_group_accuracy", "worst-group accuracy", None, share, &|cell| {
            cell.worst_group
        }),
        row("penalty", "orthogonality penalty at the end", None, count, &|cell| {
            Some(cell.penalty)
        }),
        row("epochs", "epochs until training stopped", None, count, &|cell| {
            Some(cell.epochs as f64)
        }),
    ];
    let sites = arms
        .first()
        .and_then(|arm| arm.first())
        .map_or(&[][..], |cell| &cell.sites);
    for (index, site) in sites.iter().enumerate() {
        rows.extend(MEASURES.iter().map(|measure| {
            let of = |cell: &CellOutcome| (measure.of)(&cell.sites[index]);
            row(measure.name, measure.title, Some(site.site.clone()), measure.range, &of)
        }));
    }
    rows
}
