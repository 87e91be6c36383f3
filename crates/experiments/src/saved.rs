//! What a run keeps of its model: weights, what they belong to, and what it says of every row.

use disentangle_analysis::probing;
use disentangle_data::{Dataset, Split, format_time};
use disentangle_models::{Model, weights};
use disentangle_report::{Prediction, write_predictions};
use serde::Serialize;

use crate::{Context, ExperimentError, cards::ModelCard};

/// What is needed beside the model to score rows that a generator drew.
pub(crate) fn rows_preprocess(dataset: &Dataset) -> serde_json::Value {
    serde_json::json!({
        "kind": "synthetic",
        "features": dataset.features,
        "groups": dataset.groups,
        "scaler": dataset.scaler,
        "lookback": dataset.lookback,
    })
}

/// `model.safetensors`, `model.json`, `preprocess.json` and `predictions.parquet`.
pub(crate) fn save(
    dataset: &Dataset,
    model: &Model,
    preprocess: &impl Serialize,
    context: &Context,
) -> Result<(), ExperimentError> {
    // One seed of several has a folder of its own, which nobody may have made yet.
    let folder = context.path("");
    std::fs::create_dir_all(&folder)
        .map_err(|error| ExperimentError::Failed(format!("{}: {error}", folder.display())))?;
    weights::save(model, &context.path("model.safetensors"))?;
    context.run.write_json(&context.name("model.json"), &model.config())?;
    context.run.write_json(&context.name("preprocess.json"), preprocess)?;
    let family = ModelCard::new(model).family;
    let mut predictions = Vec::new();
    for split in Split::PARTS {
        if split == Split::Validation && dataset.shared_validation {
            continue;
        }
        let rows = dataset.part(split);
        let logits = probing::logits(model, &dataset.inputs(&rows), context.device, context.threads)?;
        predictions.extend(rows.iter().zip(logits).map(|(&row, logit)| {
            let window = &dataset.windows[row];
            // Drawn rows have no time.
            let timeless = window.time == chrono::NaiveDateTime::default();
            Prediction {
                split: split.name().into(),
                row: window.target as u64,
                time: if timeless {
                    String::new()
                } else {
                    format_time(window.time)
                },
                subject: dataset.subjects[window.subject as usize].clone(),
                environment: dataset.environments[window.environment as usize].clone(),
                seed: context.seed,
                model: family.clone(),
                strategy: None,
                label: Some(window.label),
                logit,
            }
        }));
    }
    Ok(write_predictions(&context.path("predictions.parquet"), &predictions)?)
}
