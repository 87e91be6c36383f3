//! `experiment finance`: does a transformer on prices lean on the calendar? (Notebook parts 3, 7, 11, 13, 26, 27.)

mod config;
mod evaluate;
mod outcome;
mod preprocess;
mod render;
mod sections;
mod series;
mod series_section;
mod source;
mod verdicts;
mod walk_forward;

use burn::tensor::Device;
use disentangle_analysis::{Bootstrap, Pca, importance, multiple::benjamini_hochberg_of, probing};
use disentangle_data::{Dataset, Seed, Split, audit, audit::AuditCheck, format_time};
use disentangle_models::{Model, ModelConfig, train::Trained, weights};
use disentangle_report::{Prediction, write_predictions};

pub use config::{FinanceConfig, Source};
pub use outcome::Outcome;
pub use preprocess::Preprocess;
pub use source::{EMBEDDED, Loaded, load};

use crate::{
    Context, Experiment, ExperimentError,
    baselines::{fit_logistic, logistic_logits},
    cards::{ModelCard, Training},
    monitor, training,
};
use evaluate::{Scored, difference, majority_logit, performance};
use outcome::{DataCard, PartCard, PartImportance, Performance, Representation};

/// The experiment.
#[derive(Clone, Copy, Debug)]
pub struct Finance;

/// Prices that were read, windowed and audited.
#[derive(Debug)]
pub struct Input {
    loaded: Loaded,
    dataset: Dataset,
    audit: Vec<AuditCheck>,
    hash: String,
}

impl Experiment for Finance {
    const NAME: &'static str = "finance";
    const ABOUT: &'static str =
        "prices: next day's direction from technical and calendar features; what does the model lean on?";
    type Config = FinanceConfig;
    type Input = Input;
    type Outcome = Outcome;

    fn fast(config: &mut FinanceConfig) {
        config.epochs = 3;
        config.permutations = 9;
        config.resamples = 50;
        config.granger_draws = 19;
        config.walk_forward = false;
    }

    fn load(config: &FinanceConfig, seed: u64, device: &Device) -> Result<Input, ExperimentError> {
        config.check()?;
        let loaded = load(config)?;
        let features = config.features();
        let mut dataset = features.dataset(&loaded.name, loaded.simulated, &loaded.symbols)?;
        dataset.notices.extend(loaded.notices.clone());
        let seed = Seed::new(seed).child("audit");
        let mut audit = vec![audit::causal_features(
            &loaded.symbols,
            &dataset.features,
            |prices| features.compute(prices),
            seed,
        )?];
        audit.extend(audit::windows_and_splits(&dataset, features.longest_indicator() - 1)?);
        // Sizes that cannot work and foreign weights are found before a folder is made.
        start_model(config, seed, device)?;
        let mut hash = blake3::Hasher::new();
        hash.update(loaded.hash.as_bytes());
        if let Some(path) = &config.weights {
            let error = |error| ExperimentError::Input(format!("{}: cannot be read: {error}", path.display()));
            hash.update(&std::fs::read(path).map_err(error)?);
        }
        let hash = hash.finalize().to_hex().to_string();
        Ok(Input {
            loaded,
            dataset,
            audit,
            hash,
        })
    }

    fn input_hash(input: &Input) -> String {
        input.hash.clone()
    }

    fn run(config: &FinanceConfig, input: &Input, context: &Context) -> Result<Outcome, ExperimentError> {
        let dataset = &input.dataset;
        // Windows of several symbols stand side by side, so that a block of days is as many times as long.
        let block = config.features().embargo() * dataset.subjects.len();
        let bootstrap = Bootstrap::new(block, config.resamples, context.root().child("bootstrap"));
        let trained = fit(config, dataset, context)?;
        save_model(config, dataset, &trained.model, context)?;

        let (performance, over_logistic) = compare_models(config, dataset, &trained.model, &bootstrap, context)?;
        let importance = importance_by_part(config, dataset, &trained.model, &bootstrap, context)?;
        let walk_forward = walk_forward::run(dataset, config, &bootstrap, context)?;
        context.go_on()?;
        let seed = context.root().child("granger");
        let importance_series = series::of_importance(&walk_forward, config.granger_draws, seed, context.threads);
        let feature_series = series::of_features(
            dataset,
            config.features().longest_indicator(),
            config.granger_draws,
            seed,
            context.threads,
        );
        let representation = representation(dataset, &trained.model, context)?;
        Ok(Outcome {
            schema_version: 1,
            kind: "run".into(),
            experiment: Self::NAME.into(),
            seed: context.seed,
            data: data_card(config, input),
            audit: input.audit.clone(),
            model: ModelCard::new(&trained.model),
            training: Training::new(trained),
            performance,
            over_logistic,
            importance,
            walk_forward,
            importance_series,
            feature_series,
            representation,
        })
    }
}

fn start_model(config: &FinanceConfig, seed: Seed, device: &Device) -> Result<Model, ExperimentError> {
    let model = config.model().init(seed.child("model"), device)?;
    match &config.weights {
        None => Ok(model),
        Some(path) => Ok(weights::load(model, path, device)?),
    }
}

/// Trains, or goes on training, the main model.
fn fit(config: &FinanceConfig, dataset: &Dataset, context: &Context) -> Result<Trained, ExperimentError> {
    let model = start_model(config, context.root(), context.device)?;
    training::fit(&model, dataset, &config.training(), context)
}

/// Everything that is needed to score new rows.
fn save_model(
    config: &FinanceConfig,
    dataset: &Dataset,
    model: &Model,
    context: &Context,
) -> Result<(), ExperimentError> {
    weights::save(model, &context.path("model.safetensors"))?;
    let config_json: ModelConfig = model.config();
    context.run.write_json(&context.name("model.json"), &config_json)?;
    context.run.write_json(
        &context.name("preprocess.json"),
        &Preprocess::new(config.features(), dataset),
    )?;
    monitor::save_reference(dataset, model, true, context)
}

type Compared = (Vec<Performance>, Vec<(String, disentangle_analysis::Estimate)>);

/// Transformer, logistic regression and majority class on validation and test rows; all rows' predictions to a file.
fn compare_models(
    config: &FinanceConfig,
    dataset: &Dataset,
    model: &Model,
    bootstrap: &Bootstrap,
    context: &Context,
) -> Result<Compared, ExperimentError> {
    let (mut performances, mut differences, mut predictions) = (Vec::new(), Vec::new(), Vec::new());
    let linear =
        fit_logistic(dataset).map_err(|reason| ExperimentError::Failed(format!("logistic regression: {reason}")))?;
    for split in Split::PARTS {
        if split == Split::Validation && dataset.shared_validation {
            continue;
        }
        let rows = dataset.part(split);
        let labels = dataset.labels(&rows);
        let sequence = probing::logits(model, &dataset.inputs(&rows), context.device, context.threads)?;
        let logistic = logistic_logits(&linear, dataset, &rows);
        let majority = vec![majority_logit(dataset); rows.len()];
        for (name, logits) in [
            ("sequence", &sequence),
            ("logistic", &logistic),
            ("majority", &majority),
        ] {
            let scored = Scored {
                model: name,
                part: split.name(),
                logits,
                labels: &labels,
            };
            performances.push(performance(&scored, bootstrap, config.permutations, |seed| {
                permute_days(dataset, &rows, seed)
            }));
            predictions.extend(
                rows.iter()
                    .zip(logits)
                    .map(|(&row, &logit)| prediction(dataset, row, name, split, logit, context.seed)),
            );
        }
        differences.push((
            split.name().to_string(),
            difference(&sequence, &logistic, &labels, bootstrap),
        ));
    }
    write_predictions(&context.path("predictions.parquet"), &predictions)?;
    Ok((performances, differences))
}

fn prediction(dataset: &Dataset, row: usize, model: &str, split: Split, logit: f64, seed: u64) -> Prediction {
    let window = &dataset.windows[row];
    Prediction {
        split: split.name().into(),
        row: window.target as u64,
        time: format_time(window.time),
        subject: dataset.subjects[window.subject as usize].clone(),
        environment: dataset.environments[window.environment as usize].clone(),
        seed,
        model: model.into(),
        strategy: None,
        label: Some(window.label),
        logit,
    }
}

/// Names and columns, as the permutations take them.
fn groups_of(dataset: &Dataset) -> Vec<(String, Vec<usize>)> {
    dataset
        .groups
        .iter()
        .map(|group| (group.name.clone(), group.columns.clone()))
        .collect()
}

/// The latest rows of a part on which groups are permuted: their number times the draws must pass through the network.
const IMPORTANCE_ROWS: usize = 1000;

fn importance_by_part(
    config: &FinanceConfig,
    dataset: &Dataset,
    model: &Model,
    bootstrap: &Bootstrap,
    context: &Context,
) -> Result<Vec<PartImportance>, ExperimentError> {
    let parts: &[Split] = if dataset.shared_validation {
        &[Split::Test]
    } else {
        &[Split::Validation, Split::Test]
    };
    let bar = context.progress("importance", parts.len());
    let mut all = Vec::new();
    for split in parts {
        context.go_on()?;
        let rows = dataset.part(*split);
        let rows = &rows[rows.len().saturating_sub(IMPORTANCE_ROWS)..];
        let (inputs, labels) = (dataset.inputs(rows), dataset.labels(rows));
        let logits = |x: &ndarray::Array3<f32>| probing::logits(model, x, context.device, context.threads);
        let seed = context.root().child("importance").child(split.name());
        let ablated = importance::ablate(
            &inputs,
            &groups_of(dataset),
            config.permutations,
            |seed| permute_days(dataset, rows, seed),
            seed,
            logits,
        )?;
        let whole = logits(&inputs)?;
        for group in &ablated {
            all.push(PartImportance {
                part: split.name().into(),
                importance: importance::importance(&whole, &labels, group, bootstrap),
            });
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    // One family: every group on every part.
    let q = benjamini_hochberg_of(&all.iter().map(|part| part.importance.auc_drop.p).collect::<Vec<_>>());
    for (part, q) in all.iter_mut().zip(q) {
        part.importance.auc_drop.q = q;
    }
    Ok(all)
}

/// A donor for each row. Rows of one symbol are permuted freely; with several symbols whole days are, because the symbols of
/// a day move together, and a row takes its own symbol's row of the donor day where there is one.
pub(crate) fn permute_days(dataset: &Dataset, rows: &[usize], seed: Seed) -> Vec<usize> {
    let mut days: Vec<Vec<usize>> = Vec::new();
    for (position, &row) in rows.iter().enumerate() {
        let same = position > 0 && dataset.windows[rows[position - 1]].time == dataset.windows[row].time;
        match days.last_mut() {
            Some(day) if same => day.push(position),
            _ => days.push(vec![position]),
        }
    }
    let order = seed.rng().permutation(days.len());
    let subject = |position: usize| dataset.windows[rows[position]].subject;
    let mut donors = vec![0; rows.len()];
    for (day, &donor) in days.iter().zip(&order) {
        for (place, &position) in day.iter().enumerate() {
            let own = days[donor]
                .iter()
                .copied()
                .find(|&other| subject(other) == subject(position));
            donors[position] = own.unwrap_or(days[donor][place % days[donor].len()]);
        }
    }
    donors
}

fn representation(dataset: &Dataset, model: &Model, context: &Context) -> Result<Representation, ExperimentError> {
    let rows = dataset.part(Split::Test);
    let rows = &rows[rows.len().saturating_sub(IMPORTANCE_ROWS)..];
    let pooled = probing::activations(model, dataset.inputs(rows).view(), "pool", context.device)?;
    let pca = Pca::fit(pooled.view()).map_err(|error| ExperimentError::Failed(format!("site `pool`: {error}")))?;
    let points = pca.project(pooled.view(), 3);
    let coordinate = |row: usize, axis: usize| points.get([row, axis]).copied().unwrap_or(0.0);
    Ok(Representation {
        site: "pool".into(),
        share: pca.share.iter().take(10).copied().collect(),
        points: (0..rows.len())
            .map(|row| [0, 1, 2].map(|axis| coordinate(row, axis)))
            .collect(),
        labels: dataset.labels(rows).iter().map(|&y| u8::from(y > 0.5)).collect(),
    })
}

fn data_card(config: &FinanceConfig, input: &Input) -> DataCard {
    let dataset = &input.dataset;
    let times = || {
        input
            .loaded
            .symbols
            .iter()
            .flat_map(|prices| prices.times.iter().copied())
    };
    let parts = Split::PARTS.map(|split| {
        let rows = dataset.part(split);
        let labels = dataset.labels(&rows);
        let time = |row: Option<&usize>| row.map_or_else(Default::default, |&row| dataset.windows[row].time);
        PartCard {
            part: split.name().into(),
            windows: rows.len(),
            positive: labels.iter().map(|&y| f64::from(y)).sum::<f64>() / labels.len().max(1) as f64,
            span: [time(rows.first()), time(rows.last())],
        }
    });
    DataCard {
        name: dataset.name.clone(),
        simulated: dataset.simulated,
        symbols: dataset.subjects.clone(),
        rows: input.loaded.symbols.iter().map(disentangle_data::Prices::len).sum(),
        span: [times().min().unwrap_or_default(), times().max().unwrap_or_default()],
        lookback: dataset.lookback,
        embargo: config.features().embargo(),
        features: dataset.features.clone(),
        groups: dataset.groups.clone(),
        parts: parts.into(),
        notices: dataset.notices.clone(),
    }
}

#[cfg(test)]
mod tests {
    use disentangle_data::market::{MarketConfig, simulate};

    use super::*;

    #[test]
    fn whole_days_are_permuted_and_a_row_takes_its_own_symbol() {
        let symbols = [1, 2].map(|seed| {
            simulate(&MarketConfig {
                seed,
                ..MarketConfig::default()
            })
        });
        let features = FinanceConfig::default().features();
        let both = features.dataset("market", true, &symbols).unwrap();
        let rows: Vec<usize> = (0..60).collect();
        let (time, subject) = (
            |row: usize| both.windows[row].time,
            |row: usize| both.windows[row].subject,
        );
        let donors = permute_days(&both, &rows, Seed::new(1));
        let mut sorted = donors.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, rows, "each row is given once");
        assert!(donors.iter().enumerate().any(|(row, &donor)| row != donor));
        for (row, &donor) in donors.iter().enumerate() {
            assert_eq!(subject(row), subject(donor), "row {row}");
        }
        for (day, donors) in rows.chunks(2).zip(donors.chunks(2)) {
            assert!(
                time(day[0]) == time(day[1]) && time(donors[0]) == time(donors[1]),
                "{day:?} {donors:?}"
            );
        }
        // A day of one symbol that is given to a day of two is given to both of them, one of two gives the own symbol's row.
        let few = [0, 1, 2];
        for seed in 0..20 {
            let donors = permute_days(&both, &few, Seed::new(seed));
            let own = (0..2).find(|&row| subject(row) == subject(2)).unwrap();
            assert!(donors == [0, 1, 2] || donors == [2, 2, own], "{donors:?}");
        }
        // One symbol: rows are permuted freely.
        let one = features.dataset("market", true, &symbols[..1]).unwrap();
        let mut donors = permute_days(&one, &rows, Seed::new(1));
        assert_ne!(donors, rows);
        donors.sort_unstable();
        assert_eq!(donors, rows);
    }
}
