//! Uncertainty weighting: feature groups whose power differs between environments are scaled down, in training and at
//! test.
//!
//! factor_g = (v_g / mean v)^s with v_g = 1 / (Var_e A_e + floor), A_e the AUC in environment e of a probe on the group
//! alone that was fitted on all other environments (training rows only), the variance over environments divided by
//! their number.

use disentangle_analysis::detection::{auc_by_environment, group_features};
use disentangle_data::InputLayer;
use disentangle_models::train::Erm;

use crate::{Given, Mitigated, Mitigation, MitigationError, MitigationSettings, Needs};

pub(crate) struct UncertaintyWeighting {
    strength: f64,
}

const NAME: &str = "uncertainty_weighting";
/// The square of an AUC's noise in a large environment (.01), so that a group whose AUCs agree by chance is not all that counts.
pub(crate) const FLOOR: f64 = 1e-4;

impl UncertaintyWeighting {
    pub(crate) fn new(settings: &MitigationSettings) -> Self {
        Self {
            strength: settings.uncertainty_strength,
        }
    }
}

/// One factor a group out of the variances of its AUC; their mean is 1 at strength 1.
pub(crate) fn factors(variances: &[f64], strength: f64) -> Vec<f64> {
    let inverse: Vec<f64> = variances.iter().map(|variance| 1.0 / (variance + FLOOR)).collect();
    let mean = inverse.iter().sum::<f64>() / inverse.len() as f64;
    inverse.iter().map(|v| (v / mean).powf(strength)).collect()
}

/// One factor a feature; a column without a group keeps 1.
fn scale(given: &Given, strength: f64) -> Result<Vec<f32>, MitigationError> {
    let dataset = given.dataset;
    let fails = |needs: &str, found: String| MitigationError::Needs {
        strategy: NAME,
        needs: needs.into(),
        found,
    };
    if dataset.groups.is_empty() {
        return Err(fails("groups of features", format!("`{}` has none", dataset.name)));
    }
    let (inputs, labels) = (dataset.inputs(given.train), dataset.labels(given.train));
    let windows = given.train.iter().map(|&window| &dataset.windows[window]);
    let environments: Vec<u32> = windows.map(|window| window.environment).collect();
    let mut variances = Vec::with_capacity(dataset.groups.len());
    for group in &dataset.groups {
        let features = group_features(inputs.view(), &group.columns);
        let found = auc_by_environment(features.view(), &labels, &environments);
        let aucs: Vec<f64> = found.iter().filter_map(|(_, auc)| *auc).collect();
        if aucs.len() < 2 {
            let needs = "training rows of both labels in at least two environments";
            let found = format!("`{}` has them in {} of {}", dataset.name, aucs.len(), found.len());
            return Err(fails(needs, found));
        }
        let count = aucs.len() as f64;
        let mean = aucs.iter().sum::<f64>() / count;
        variances.push(aucs.iter().map(|auc| (auc - mean).powi(2)).sum::<f64>() / count);
    }
    let mut scale = vec![1.0; dataset.features.len()];
    for (group, factor) in dataset.groups.iter().zip(factors(&variances, strength)) {
        for &column in &group.columns {
            scale[column] = factor as f32;
        }
    }
    Ok(scale)
}

impl Mitigation for UncertaintyWeighting {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "scales feature groups down whose power differs between environments, at test too"
    }

    fn source(&self) -> &'static str {
        "notebook part 42 (uncertainty weighting)"
    }

    fn needs(&self) -> Needs {
        Needs {
            environments: true,
            ..Needs::default()
        }
    }

    fn train(&self, given: &Given) -> Result<Mitigated, MitigationError> {
        given.environments(NAME)?;
        if self.strength == 0.0 {
            return given.fit(&mut Erm, given.config);
        }
        let mut dataset = given.dataset.clone();
        dataset.layer = InputLayer {
            scale: Some(scale(given, self.strength)?),
            ..dataset.layer
        };
        given.on(&dataset).fit(&mut Erm, given.config)
    }
}
