//! `experiment synthetic`: rows with known causes and a known shortcut; what does a model learn of them, and where does it keep
//! it? (Notebook parts 1, 2, 5, 11, 15 - 17, 19.)

mod config;
mod evaluate;
mod outcome;
mod render;
mod sections;
mod site_sections;
mod verdicts;

use burn::tensor::Device;
use disentangle_analysis::{Bootstrap, Pca, dimensionality, probing, sparse_autoencoder};
use disentangle_data::{Dataset, Seed, Split};
use disentangle_models::{Classifier, Model, weights};
use ndarray::s;

pub use config::SyntheticSettings;
pub use outcome::Outcome;

use crate::{
    Context, Experiment, ExperimentError,
    cards::{ModelCard, Training},
    saved,
    study::{SiteStudy, Study, mean_over_tokens, study_rows},
    training,
};
use outcome::{Autoencoder, DataCard, PartCard, Representation, SiteNeurons};

/// The experiment.
#[derive(Clone, Copy, Debug)]
pub struct Synthetic;

/// Rows that were drawn and checked.
#[derive(Debug)]
pub struct Input {
    dataset: Dataset,
    hash: String,
}

impl Experiment for Synthetic {
    const NAME: &'static str = "synthetic";
    const ABOUT: &'static str =
        "rows with known causes and a planted shortcut: what is learned, and how features share neurons at every site";
    type Config = SyntheticSettings;
    type Input = Input;
    type Outcome = Outcome;

    fn fast(config: &mut SyntheticSettings) {
        config.training.epochs = 3;
        (config.data.samples, config.data.validation, config.data.test) = (200, 100, 100);
        (config.permutations, config.resamples, config.site_resamples) = (5, 50, 10);
        (config.study.bases, config.study.donors, config.neuron_rows) = (2, 32, 32);
        config.autoencoder_steps = 200;
    }

    fn load(config: &SyntheticSettings, seed: u64, device: &Device) -> Result<Input, ExperimentError> {
        config.check()?;
        let root = Seed::new(seed);
        let dataset = config.data.dataset(root.child("data"))?;
        // Sizes that cannot work, unknown sites and foreign weights are found before a folder is made.
        let model = start_model(config, &dataset, root, device)?;
        config.study.sites(&model)?;
        chosen_site("autoencoder_site", config.autoencoder_site.as_ref(), &model)?;
        chosen_site("representation_site", config.representation_site.as_ref(), &model)?;
        let mut hash = blake3::Hasher::new();
        if let Some(path) = &config.weights {
            let error = |error| ExperimentError::Input(format!("{}: cannot be read: {error}", path.display()));
            hash.update(&std::fs::read(path).map_err(error)?);
        }
        Ok(Input {
            dataset,
            hash: hash.finalize().to_hex().to_string(),
        })
    }

    fn input_hash(input: &Input) -> String {
        input.hash.clone()
    }

    fn run(config: &SyntheticSettings, input: &Input, context: &Context) -> Result<Outcome, ExperimentError> {
        let dataset = &input.dataset;
        let start = start_model(config, dataset, context.root(), context.device)?;
        let trained = training::fit(&start, dataset, &config.training, context)?;
        let model = trained.model.clone();
        saved::save(dataset, &model, &saved::rows_preprocess(dataset), context)?;

        let bootstrap = Bootstrap::new(1, config.resamples, context.root().child("bootstrap"));
        let performance = evaluate::performance(dataset, &model, &bootstrap, context)?;
        let importance = evaluate::importance(dataset, &model, config.permutations, &bootstrap, context)?;

        let rows = study_rows(dataset);
        let inputs = dataset.inputs(&rows);
        let study = Study {
            settings: &config.study,
            groups: &dataset.groups,
            inputs: inputs.view(),
            seed: context.root().child("study"),
            device: context.device,
        };
        let bar = context.progress("sites", 4);
        let site_bootstrap = Bootstrap::new(1, config.site_resamples, context.root().child("sites"));
        let mut sites: Vec<SiteStudy> = study.run(&start, "initial", None)?;
        for site in &mut sites {
            // Neuron by neuron only what was learned is of interest.
            site.measures.statistics.neurons.clear();
        }
        bar.inc(1);
        context.go_on()?;
        sites.extend(study.run(&model, "trained", Some(&site_bootstrap))?);
        bar.inc(1);
        let mut neurons = Vec::new();
        let few = inputs.slice(s![..config.neuron_rows.min(rows.len()), .., ..]);
        for site in config.study.sites(&model)? {
            context.go_on()?;
            let ablated =
                probing::neuron_importance(&model, few, &site, config.ablation, context.device, context.threads)?;
            neurons.push(SiteNeurons {
                site,
                rows: few.dim().0,
                neurons: ablated,
            });
        }
        bar.inc(1);
        let autoencoder = autoencoder(config, &study, &model, context)?;
        bar.finish_and_clear();
        let representation = representation(config, dataset, &rows, &model, context)?;
        Ok(Outcome {
            schema_version: 1,
            kind: "run".into(),
            experiment: Self::NAME.into(),
            seed: context.seed,
            data: data_card(dataset, rows.len()),
            model: ModelCard::new(&model),
            training: Training::new(trained),
            performance,
            importance,
            sites,
            neurons,
            autoencoder,
            representation,
        })
    }
}

fn start_model(
    config: &SyntheticSettings,
    dataset: &Dataset,
    seed: Seed,
    device: &Device,
) -> Result<Model, ExperimentError> {
    let model = config.model.config(dataset)?.init(seed.child("model"), device)?;
    if model.input_shape() != [dataset.lookback, dataset.features.len()] {
        let [positions, features] = model.input_shape();
        let reason =
            format!("the model takes {positions} positions of {features} features, which the dataset does not have");
        return Err(ExperimentError::Input(reason));
    }
    match &config.weights {
        None => Ok(model),
        Some(path) => Ok(weights::load(model, path, device)?),
    }
}

/// Where a model's representation ends: `pool`; a linear model has its input only.
fn main_site(model: &Model) -> String {
    let pool = model.sites().iter().any(|site| site.name == "pool");
    if pool { "pool" } else { "input" }.into()
}

/// The site that `key` names; the main one if it names none.
fn chosen_site(key: &str, site: Option<&String>, model: &Model) -> Result<String, ExperimentError> {
    let Some(site) = site else {
        return Ok(main_site(model));
    };
    let known: Vec<String> = model.sites().into_iter().map(|site| site.name).collect();
    if known.contains(site) {
        return Ok(site.clone());
    }
    let near = disentangle_models::near_names(site, &known);
    let reason = format!("`{key} = {site}` is no site of this model; near names: {near}");
    Err(ExperimentError::Input(reason))
}

fn data_card(dataset: &Dataset, studied: usize) -> DataCard {
    let mut parts = Vec::new();
    for split in Split::PARTS {
        for (index, environment) in dataset.environments.iter().enumerate() {
            let of_part = dataset.part(split);
            let rows: Vec<usize> = of_part
                .into_iter()
                .filter(|&row| dataset.windows[row].environment as usize == index)
                .collect();
            if rows.is_empty() {
                continue;
            }
            let share = |holds: &dyn Fn(usize) -> bool| {
                rows.iter().filter(|&&row| holds(row)).count() as f64 / rows.len() as f64
            };
            let window = |row: usize| &dataset.windows[row];
            let agrees = |row: usize| window(row).shortcut == Some(window(row).label);
            parts.push(PartCard {
                part: split.name().into(),
                environment: environment.clone(),
                rows: rows.len(),
                positive: share(&|row| window(row).label > 0.5),
                agreement: window(rows[0]).shortcut.map(|_| share(&agrees)),
            });
        }
    }
    let independent = dataset.environments.iter().any(|name| name == "independent");
    DataCard {
        name: dataset.name.clone(),
        features: dataset.features.len(),
        groups: dataset.groups.clone(),
        parts,
        studied: match independent {
            true => format!("{studied} test rows of the environment `independent`, in which the shortcut says nothing"),
            false => format!("{studied} test rows"),
        },
        notices: dataset.notices.clone(),
    }
}

/// Trained on the first half of the studied rows and judged on the second.
fn autoencoder(
    config: &SyntheticSettings,
    study: &Study,
    model: &Model,
    context: &Context,
) -> Result<Result<Autoencoder, String>, ExperimentError> {
    if config.autoencoder_steps == 0 {
        return Ok(Err("`autoencoder_steps = 0`".into()));
    }
    let site = &chosen_site("autoencoder_site", config.autoencoder_site.as_ref(), model)?;
    let captured = probing::capture_whole(model, study.inputs, std::slice::from_ref(site), context.device)?;
    let rows = captured[0].mapv(f64::from);
    let tokens = rows.nrows() / study.inputs.dim().0.max(1);
    let half = study.inputs.dim().0 / 2 * tokens;
    let (fit, held_out) = (rows.slice(s![..half, ..]), rows.slice(s![half.., ..]));
    let settings = config.autoencoder(rows.ncols());
    let seed = context.root().child("autoencoder");
    let trained = match sparse_autoencoder::train(site, fit, &settings, seed) {
        Ok(trained) => trained,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let metrics = trained.evaluate(site, held_out)?;
    let strengths = study.group_scores();
    let of_rows = mean_over_tokens(&rows, strengths.nrows());
    let middle = strengths.nrows() / 2;
    let directions = dimensionality::site_directions(
        site,
        (of_rows.slice(s![..middle, ..]), strengths.slice(s![..middle, ..])),
        (of_rows.slice(s![middle.., ..]), strengths.slice(s![middle.., ..])),
    )?;
    let clear = directions.held_out_r2.is_some_and(|r2| r2 >= dimensionality::LEAST_R2);
    let recovery = match clear {
        false => None,
        true => Some(sparse_autoencoder::recovery(
            ("the groups' directions", directions.directions.view()),
            ("the latents", trained.directions().view()),
        )?),
    };
    Ok(Ok(Autoencoder {
        site: site.clone(),
        latents: settings.latents,
        metrics,
        curve: trained.curve,
        recovery,
    }))
}

fn representation(
    config: &SyntheticSettings,
    dataset: &Dataset,
    rows: &[usize],
    model: &Model,
    context: &Context,
) -> Result<Representation, ExperimentError> {
    let site = &chosen_site("representation_site", config.representation_site.as_ref(), model)?;
    let pooled = probing::activations(model, dataset.inputs(rows).view(), site, context.device)?;
    let pca = Pca::fit(pooled.view()).map_err(|error| ExperimentError::Failed(format!("site `{site}`: {error}")))?;
    let points = pca.project(pooled.view(), 3);
    let coordinate = |row: usize, axis: usize| points.get([row, axis]).copied().unwrap_or(0.0);
    let flag = |value: f32| u8::from(value > 0.5);
    Ok(Representation {
        site: site.clone(),
        share: pca.share.iter().take(10).copied().collect(),
        points: (0..rows.len())
            .map(|row| [0, 1, 2].map(|axis| coordinate(row, axis)))
            .collect(),
        labels: dataset.labels(rows).into_iter().map(flag).collect(),
        shortcuts: rows
            .iter()
            .map(|&row| dataset.windows[row].shortcut.map(flag))
            .collect(),
    })
}
