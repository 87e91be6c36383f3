//! `list`: what there is.

use burn::tensor::Device;
use disentangle_data::Seed;
use disentangle_models::{Classifier, Family};

use crate::{ExperimentError, registry};

/// Experiments, datasets, models with their sites, metrics and strategies, as text.
pub fn list(device: &Device) -> Result<String, ExperimentError> {
    let mut text = String::from("experiments\n");
    for experiment in registry::experiments() {
        text += &format!("  {:<18} {}\n", experiment.name, experiment.about);
    }
    text += "\ndatasets\n";
    text += "  biased       genuine groups and a planted shortcut (synthetic)\n";
    text += "  multifeature genuine groups only (synthetic)\n";
    text += "  market       simulated market, four years of business days, part of the program (the default)\n";
    text += "  yahoo        live prices: --set symbols=SPY,QQQ --set start=2020-01-01 --set end=2024-01-01\n";
    text +=
        "  ward         simulated hospital ward (MEDS), with a shortcut that holds in the hospitals of training only\n";
    text += "  FILE         your prices, CSV (also gzip) or Parquet with Yahoo's columns; in causal and ehr any table, with --set schema=FILE.toml\n";
    text += "  FOLDER       your health records (MEDS 0.4), in causal and ehr, with --set task=FILE.toml\n\nmodels and their sites\n";
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
    for (name, meaning) in METRICS {
        text += &format!("  {name:<26} {meaning}\n");
    }
    text += "\nstrategies\n";
    let strategies = disentangle_mitigation::strategies(&disentangle_mitigation::MitigationSettings::default());
    for one in strategies.map_err(|error| ExperimentError::Failed(error.to_string()))? {
        text += &format!("  {:<16} {} ({})\n", one.name(), one.about(), one.source());
    }
    Ok(text)
}

const METRICS: [(&str, &str); 23] = [
    ("roc_auc", "area under the ROC curve, ties count one half"),
    ("accuracy", "share of rows on the right side of probability 0.5"),
    ("log_loss", "mean cross-entropy, natural logarithm"),
    ("calibration_error", "expected calibration error, 10 bins of equal mass"),
    ("roc_auc_over_logistic", "ROC AUC minus that of a logistic regression"),
    ("roc_auc_over_this", "ROC AUC of the model minus that of a baseline"),
    (
        "equalised_odds_difference",
        "largest difference of true or false positive rates between subgroups",
    ),
    (
        "label_association",
        "correlation ratio of the label over the categories of an attribute",
    ),
    (
        "attention_entropy",
        "entropy of attention over ln(keys): 1 is even, 0 is one key",
    ),
    (
        "attention_bias",
        "unevenness of the attention that keys receive: 0 is even, 1 is one key",
    ),
    ("roc_auc_drop", "ROC AUC lost when a group is permuted"),
    ("accuracy_drop", "accuracy lost when a group is permuted"),
    ("roc_auc_only", "ROC AUC when all but a group is permuted"),
    ("probability_shift", "E[(p(x) - p(x without a group))^2]"),
    (
        "total_effect",
        "E[change of the logit] when a group is set to a counterfactual",
    ),
    ("natural_direct_effect", "E[Y(x', M(x)) - Y(x, M(x))]: around a place"),
    (
        "natural_indirect_effect",
        "E[Y(x, M(x')) - Y(x, M(x))]: through a place",
    ),
    ("mediated_share", "natural indirect over total effect"),
    ("degradation_slope", "ROC AUC that a unit of noise or attack costs"),
    (
        "friedman_h_squared",
        "how much two groups act together, by partial dependence",
    ),
    (
        "completeness_gap",
        "what integrated gradients miss of the change of the logit",
    ),
    ("*_granger_f", "F of a Granger test; its p is by parametric bootstrap"),
    ("*_period", "strongest period; its p is Fisher's against an AR(1)"),
];
