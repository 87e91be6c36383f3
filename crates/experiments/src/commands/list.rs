//! `list`: what there is.

use burn::tensor::Device;
use disentangle_data::Seed;
use disentangle_models::{Classifier, Family};

use crate::{ExperimentError, claims, registry};

/// Experiments, datasets, models with their sites, metrics and strategies, as text.
pub fn list(device: &Device) -> Result<String, ExperimentError> {
    let mut text = String::from("experiments\n");
    for experiment in registry::experiments() {
        text += &format!("  {:<18} {}\n", experiment.name, experiment.about);
    }
    text += "\ndatasets\n";
    text += "  biased       genuine groups and a planted shortcut, drawn (the default of most experiments)\n";
    text += "  multifeature genuine groups only, drawn\n";
    text +=
        "  market       simulated market, four years of business days, part of the program (the default of finance)\n";
    text += "  yahoo        live prices: --set symbols=SPY,QQQ --set start=2020-01-01 --set end=2024-01-01\n";
    text += "  ward         simulated hospital ward (MEDS), with a shortcut that holds in the hospitals of training only (the default of ehr)\n";
    text += "  planted      all generators with known roles (detect only, its default)\n";
    text += "  FILE         your prices, CSV (also gzip) or Parquet with Yahoo's columns; any other table with --set schema=FILE.toml (not in finance and synthetic)\n";
    text += "  FOLDER       your health records (MEDS 0.4), with --set task=FILE.toml where it holds no task.toml (not in finance and synthetic)\n\nmodels and their sites\n";
    for family in Family::ALL {
        let name = family.name();
        let model = family.config(5, 30, &[]).init(Seed::new(0), device)?;
        text += &format!(
            "  {name} ({} parameters at its default sizes)\n",
            burn::module::Module::num_params(&model)
        );
        for site in model.sites() {
            let [heads, positions, neurons] = site.axes;
            text += &format!("    {:<24} [row, {heads}, {positions}, {neurons}]\n", site.name);
        }
    }
    text += "  axes: row, head, position, neuron; a part of a site: layers.0.attn.z[head=2], layers.1.ff.hidden[neuron=3..9]\n\nmetrics\n";
    text += &metrics();
    text += "\nstrategies\n";
    let strategies = disentangle_mitigation::strategies(&disentangle_mitigation::MitigationSettings::default());
    for one in strategies.map_err(|error| ExperimentError::Failed(error.to_string()))? {
        text += &format!("  {:<16} {} ({})\n", one.name(), one.about(), one.source());
    }
    Ok(text)
}

/// What every metric in `metrics.parquet` says: topics, and below each a line `NAME | MEANING` a metric. A `*` stands for any part of a name.
const METRICS: &str = include_str!("list/metrics.txt");

/// Names and meanings, without topics.
fn described() -> impl Iterator<Item = (&'static str, &'static str)> {
    METRICS.lines().filter_map(|line| line.split_once(" | "))
}

/// All metrics as text; those of single claims that have no line of their own come last.
fn metrics() -> String {
    let mut text = String::new();
    let line = |name: &str, meaning: &str| format!("    {name:<32} {meaning}\n");
    for own in METRICS.lines().filter(|own| !own.is_empty()) {
        text += &match own.split_once(" | ") {
            Some((name, meaning)) => line(name, meaning),
            None => format!("  {own}\n"),
        };
    }
    text += "  tests of single claims\n";
    for (name, meaning) in claims::metrics() {
        if described().all(|(known, _)| known != name) {
            text += &line(name, meaning);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn metrics_are_described_once_in_short_phrases() {
        let mut seen = BTreeSet::new();
        for (name, meaning) in described() {
            assert!(seen.insert(name), "{name} is described twice");
            assert!(name.matches('*').count() <= 1 && !name.contains(' '), "{name}");
            let length = meaning.chars().count();
            assert!(
                (5..=120).contains(&length) && !meaning.ends_with('.'),
                "{name}: {meaning}"
            );
        }
        assert!(seen.len() > 150);
        // A suffix alone would match every name that ends so.
        assert!(!seen.contains("*"));
        let text = metrics();
        assert!(text.contains("\n  attention\n    attention_entropy ") && text.contains("    groups_per_neuron "));
    }
}
