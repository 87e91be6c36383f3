//! Remedies for what a model learned for the wrong reason: one file a strategy, one contract for all of them.
//!
//! A strategy takes a model with its initial weights and training and validation rows, and gives a trained model and a fixed
//! layer that its inputs pass, which changes nothing for most. It never sees test rows. What it needs beside them (group labels,
//! several environments, a named shortcut) it says, and refuses to run without.
//!
//! ```
//! use disentangle_mitigation::{MitigationSettings, strategies};
//!
//! let names: Vec<&str> = strategies(&MitigationSettings::default())?.iter().map(|one| one.name()).collect();
//! assert!(names.contains(&"erm") && names.contains(&"group_dro"));
//! # Ok::<(), disentangle_mitigation::MitigationError>(())
//! ```

mod adversarial;
mod balanced;
mod consistency;
mod contrastive;
mod dfr;
mod distribution_matching;
mod embedding;
mod erm;
mod error;
mod given;
mod group_dro;
mod group_lasso;
mod irm;
mod jtt;
mod orthogonality;
mod pcgrad;
mod settings;
mod sparse_logistic;
mod temporal_smoothing;
#[cfg(test)]
mod tests;
mod uncertainty_weighting;
mod vrex;

pub use error::MitigationError;
pub use given::{Given, Needs};
pub use settings::MitigationSettings;

use disentangle_data::InputLayer;
use disentangle_models::train::Trained;

/// What a strategy leaves: a trained model, and what its inputs pass first, at test too.
#[derive(Clone, Debug)]
pub struct Mitigated {
    /// The model.
    pub trained: Trained,
    /// The layer of the dataset that it was trained on; whoever asks the model sets [`disentangle_data::Dataset::layer`] to it.
    pub layer: InputLayer,
}

/// A strategy against shortcuts.
pub trait Mitigation {
    /// As on the command line and in reports.
    fn name(&self) -> &'static str;

    /// What it does, in a sentence.
    fn about(&self) -> &'static str;

    /// Where it comes from: a paper, or a part of the notebook.
    fn source(&self) -> &'static str;

    /// What it needs beside rows.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// Trains. Fails where [`Mitigation::needs`] is not met, which says what is missing, and as training does.
    fn train(&self, given: &Given) -> Result<Mitigated, MitigationError>;
}

/// Every strategy, plain training first. Fails for settings that cannot work.
pub fn strategies(settings: &MitigationSettings) -> Result<Vec<Box<dyn Mitigation>>, MitigationError> {
    settings.check()?;
    Ok(vec![
        Box::new(erm::ErmStrategy),
        Box::new(balanced::Balanced),
        Box::new(group_dro::GroupDro::new(settings)),
        Box::new(jtt::Jtt::new(settings)),
        Box::new(dfr::Dfr::new(settings)),
        Box::new(irm::Irm::new(settings)),
        Box::new(vrex::Vrex::new(settings)),
        Box::new(pcgrad::PcGrad),
        Box::new(adversarial::Adversarial::new(settings)),
        Box::new(consistency::Consistency::new(settings)),
        Box::new(contrastive::Contrastive::new(settings)),
        Box::new(distribution_matching::DistributionMatching::new(settings)),
        Box::new(group_lasso::GroupLasso::new(settings)),
        Box::new(orthogonality::Orthogonality::new(settings)),
        Box::new(uncertainty_weighting::UncertaintyWeighting::new(settings)),
        Box::new(temporal_smoothing::TemporalSmoothing::new(settings)),
    ])
}
