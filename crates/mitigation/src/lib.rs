//! Remedies for what a model learned for the wrong reason: one file a strategy, one contract for all of them.
//!
//! A strategy takes a model with its initial weights and training and validation rows, and gives a trained model. It never sees test rows. What it
//! needs beside them (group labels, several environments, a named shortcut) it says, and refuses to run without.
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
mod dfr;
mod erm;
mod error;
mod given;
mod group_dro;
mod irm;
mod jtt;
mod pcgrad;
mod settings;
mod sparse_logistic;
#[cfg(test)]
mod tests;
mod vrex;

pub use error::MitigationError;
pub use given::{Given, Needs};
pub use settings::MitigationSettings;

use disentangle_models::train::Trained;

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
    fn train(&self, given: &Given) -> Result<Trained, MitigationError>;
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
    ])
}
