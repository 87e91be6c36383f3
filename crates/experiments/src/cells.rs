//! Many small trainings side by side, each on one thread, and what is read off each of them.

use burn::tensor::Device;
use disentangle_analysis::{Estimate, over_seeds, probing};
use disentangle_data::{Dataset, Seed, Split, synthetic::SyntheticConfig};
use disentangle_models::{Model, ModelConfig, parallel, train::TrainConfig};
use serde::{Deserialize, Serialize};

use crate::{
    Context, ExperimentError,
    scores::scores,
    study::{SiteStudy, Study, StudySettings, study_rows},
    training::once,
};

/// One training: data and weights are drawn from `seed`, so that cells with the same seed are pairs.
pub(crate) struct Cell {
    pub(crate) data: SyntheticConfig,
    pub(crate) model: CellModel,
    pub(crate) seed: Seed,
}

/// Makes the model's configuration once the data is there.
pub(crate) type CellModel = Box<dyn Fn(&Dataset) -> Result<ModelConfig, ExperimentError> + Sync + Send>;

/// What one training came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CellOutcome {
    /// ROC AUC on test rows.
    pub(crate) auc: Option<f64>,
    /// Accuracy on test rows.
    pub(crate) accuracy: Option<f64>,
    /// Least accuracy over (label, shortcut) groups of test rows.
    pub(crate) worst_group: Option<f64>,
    /// Last value of the model's own penalty on its weights.
    pub(crate) penalty: f64,
    /// Epochs until training stopped.
    pub(crate) epochs: usize,
    /// The studied sites.
    pub(crate) sites: Vec<SiteStudy>,
}

/// Runs all cells, `context.threads` at a time; the results do not depend on how many. Stops between cells on Ctrl-C.
pub(crate) fn run(
    cells: &[Cell],
    training: &TrainConfig,
    study: &StudySettings,
    context: &Context,
    what: &str,
) -> Result<Vec<CellOutcome>, ExperimentError> {
    let bar = context.progress(what, cells.len());
    let device = context.device;
    let outcomes = parallel::map(context.threads, cells, |cell| {
        context.go_on()?;
        let outcome = one(cell, training, study, device);
        bar.inc(1);
        outcome
    });
    bar.finish_and_clear();
    outcomes.into_iter().collect()
}

fn one(
    cell: &Cell,
    training: &TrainConfig,
    study: &StudySettings,
    device: &Device,
) -> Result<CellOutcome, ExperimentError> {
    let dataset = cell.data.dataset(cell.seed.child("data"))?;
    let start = (cell.model)(&dataset)?.init(cell.seed.child("model"), device)?;
    let trained = once(start, &dataset, training, cell.seed.child("train"), device)?;
    evaluate(cell, &dataset, &trained.model, study, device).map(|mut outcome| {
        outcome.penalty = trained.history.last().map_or(0.0, |epoch| epoch.penalty);
        outcome.epochs = trained.history.len();
        outcome
    })
}

fn evaluate(
    cell: &Cell,
    dataset: &Dataset,
    model: &Model,
    settings: &StudySettings,
    device: &Device,
) -> Result<CellOutcome, ExperimentError> {
    let rows = dataset.part(Split::Test);
    let logits = probing::logits(model, &dataset.inputs(&rows), device, 1)?;
    let studied = study_rows(dataset);
    let inputs = dataset.inputs(&studied);
    let study = Study {
        settings,
        groups: &dataset.groups,
        inputs: inputs.view(),
        seed: cell.seed.child("study"),
        device,
    };
    let mut sites = study.run(model, "trained", None)?;
    for site in &mut sites {
        // A grid of cells has no room for every neuron.
        site.measures.statistics.neurons.clear();
    }
    let [accuracy, auc, worst_group] = scores(dataset, &rows, &logits);
    Ok(CellOutcome {
        auc,
        accuracy,
        worst_group,
        penalty: 0.0,
        epochs: 0,
        sites,
    })
}

/// What is read off a cell at one site.
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// Where it can lie: intervals are cut to it.
    pub(crate) range: [f64; 2],
    pub(crate) of: fn(&SiteStudy) -> Option<f64>,
}

/// The measures of the notebook's capacity sweep (part 18), and the field's.
pub(crate) const MEASURES: [Measure; 11] = [
    Measure {
        name: "mean_overlap",
        title: "average overlap of groups",
        range: [0.0, 1.0],
        of: |site| site.overlap.mean,
    },
    Measure {
        name: "largest_overlap",
        title: "largest overlap of groups",
        range: [0.0, 1.0],
        of: |site| site.overlap.most,
    },
    Measure {
        name: "overlap_over_chance",
        title: "average overlap minus its chance value",
        range: [-1.0, 1.0],
        of: |site| Some(site.overlap.mean? - site.overlap.mean_chance?),
    },
    Measure {
        name: "effective_rank",
        title: "effective rank",
        range: [1.0, f64::INFINITY],
        of: |site| site.measures.effective_rank.value,
    },
    Measure {
        name: "column_dimensionality",
        title: "mean dimensionality D of columns",
        range: [0.0, 1.0],
        of: |site| site.columns.mean.value,
    },
    Measure {
        name: "group_dimensionality",
        title: "mean dimensionality D of groups' strengths",
        range: [0.0, 1.0],
        of: |site| site.groups.mean.value,
    },
    Measure {
        name: "cumulative_variance_1",
        title: "variance of the first component",
        range: [0.0, 1.0],
        of: |site| cumulative(site, 1),
    },
    Measure {
        name: "cumulative_variance_2",
        title: "variance of the first 2 components",
        range: [0.0, 1.0],
        of: |site| cumulative(site, 2),
    },
    Measure {
        name: "cumulative_variance_3",
        title: "variance of the first 3 components",
        range: [0.0, 1.0],
        of: |site| cumulative(site, 3),
    },
    Measure {
        name: "cumulative_variance_4",
        title: "variance of the first 4 components",
        range: [0.0, 1.0],
        of: |site| cumulative(site, 4),
    },
    Measure {
        name: "cumulative_variance_5",
        title: "variance of the first 5 components",
        range: [0.0, 1.0],
        of: |site| cumulative(site, 5),
    },
];

fn cumulative(site: &SiteStudy, count: usize) -> Option<f64> {
    let shares = &site.measures.spectrum.explained_variance;
    (!shares.is_empty()).then(|| shares.iter().take(count).sum())
}

/// A measure of the `site`-th studied site over repeats.
pub(crate) fn measure_over_repeats(measure: &Measure, cells: &[CellOutcome], site: usize) -> Estimate {
    let [least, most] = measure.range;
    over_repeats(cells.iter(), |cell| (measure.of)(&cell.sites[site])).within(least, most)
}

/// Mean and Student's t interval over repeats.
pub(crate) fn over_repeats<'a>(
    cells: impl Iterator<Item = &'a CellOutcome>,
    of: impl Fn(&CellOutcome) -> Option<f64>,
) -> Estimate {
    over_seeds(&cells.map(of).collect::<Vec<_>>())
}
