//! Every experiment by name: the one place to add a line for a new one.

use std::path::Path;

use disentangle_report::read_json;

use crate::{
    Experiment, ExperimentError, Finished, Options, Render,
    capacity::Capacity,
    causal::Causal,
    claims::Claims,
    components::Components,
    detect::Detect,
    disentangle::Disentangle,
    ehr::{Audit, Ehr},
    execute,
    finance::Finance,
    information::Information,
    invariance::Invariance,
    mitigate::Mitigate,
    overparameterised::Overparameterised,
    scaling::Scaling,
    sweep::Hooks,
    synthetic::Synthetic,
    toy::ToySuperposition,
    variants::Variants,
};

/// An experiment without its types.
#[derive(Clone, Copy)]
pub struct Registered {
    /// As on the command line.
    pub name: &'static str,
    /// One line for `list`.
    pub about: &'static str,
    /// Runs it from options to a finished folder.
    pub run: fn(&Options) -> Result<Finished, ExperimentError>,
    /// Reads the numbers of a run.
    pub read: fn(&Path) -> Result<Box<dyn Render>, ExperimentError>,
    /// What `sweep` asks of it.
    pub(crate) sweep: Hooks,
}

/// All experiments, in the order of `list`.
pub fn experiments() -> Vec<Registered> {
    vec![
        entry::<Finance>(),
        entry::<Synthetic>(),
        entry::<Capacity>(),
        entry::<Disentangle>(),
        entry::<Causal>(),
        entry::<Information>(),
        entry::<Ehr>(),
        entry::<Audit>(),
        entry::<Detect>(),
        entry::<Mitigate>(),
        entry::<Invariance>(),
        entry::<Overparameterised>(),
        entry::<Scaling>(),
        entry::<Variants>(),
        entry::<Components>(),
        entry::<Claims>(),
        entry::<ToySuperposition>(),
    ]
}

/// The experiment called `name`; the error names all of them.
pub fn experiment(name: &str) -> Result<Registered, ExperimentError> {
    let all = experiments();
    let names: Vec<&str> = all.iter().map(|experiment| experiment.name).collect();
    all.iter()
        .find(|experiment| experiment.name == name)
        .copied()
        .ok_or_else(|| {
            let names = names.join(", ");
            ExperimentError::Input(format!("unknown experiment `{name}`; expected one of: {names}"))
        })
}

fn entry<E: Experiment>() -> Registered
where
    E::Outcome: 'static,
{
    Registered {
        name: E::NAME,
        about: E::ABOUT,
        run: execute::<E>,
        read: |path| Ok(Box::new(read_json::<E::Outcome>(path, "metrics.json")?)),
        sweep: Hooks::of::<E>(),
    }
}
