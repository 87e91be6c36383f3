//! What detectors say of the groups before any model, and what strategies make of the shortcut (notebook parts 34 to 44).

use disentangle_analysis::{
    detection::{DetectionConfig, Standing},
    multiple::LEAST_DRAWS,
};
use disentangle_data::Role;
use disentangle_models::Model;

use super::{Audit, EhrSettings};
use crate::{
    Context, Experiment as _, ExperimentError,
    detect::{self, Asked, RepeatOutcome},
    mitigate,
    rows::LoadedRows,
};

/// Strategies are left out.
pub(super) const NONE: &str = "none";
/// What an audit compares with plain training: strategies that need no group labels, one of each kind.
pub(super) const OF_AUDIT: &str = "consistency;group_lasso;jtt;vrex";
/// Rows in a window of temporal consistency.
const WINDOW: usize = 100;

/// Every group on training and validation rows.
pub(super) fn detection(
    config: &EhrSettings,
    rows: &LoadedRows,
    model: &Model,
    context: &Context,
) -> Result<RepeatOutcome, ExperimentError> {
    let tests = DetectionConfig {
        permutations: config.null_draws.max(LEAST_DRAWS),
        ..DetectionConfig::default()
    };
    let asked = Asked {
        tests: &tests,
        rows: config.rows,
        window: WINDOW,
    };
    detect::gather(
        &asked,
        rows,
        Some(model),
        context.root().child("detection"),
        context.device,
    )
}

/// Strategies against the shortcut, or why there are none. The shortcut is the group that is named, else the first that is spurious, else the one that
/// detectors call a shortcut with the highest score.
pub(super) fn mitigation(
    config: &EhrSettings,
    rows: &LoadedRows,
    detection: &RepeatOutcome,
    experiment: &str,
    context: &Context,
) -> Result<Result<mitigate::Outcome, String>, ExperimentError> {
    match config.strategies.as_deref() {
        Some(NONE) => return Ok(Err("`strategies = none` was asked for".into())),
        None if experiment != Audit::NAME => {
            return Ok(Err(
                "set strategies=all or some names, or run experiment mitigate".into()
            ));
        }
        _ if config.training.epochs == 0 => {
            return Ok(Err(
                "`epochs = 0`: the weights are taken as they are, and strategies would train them".into(),
            ));
        }
        _ => {}
    }
    let spurious = rows.dataset.groups.iter().find(|group| group.role == Role::Spurious);
    let named = config
        .group
        .clone()
        .or_else(|| spurious.map(|group| group.name.clone()));
    let Some(group) = named.or_else(|| detected(detection)) else {
        return Ok(Err(
            "no group is named as the shortcut, and the detectors call none one; name it by group=NAME to compare strategies against it".into(),
        ));
    };
    let asked = config.mitigate(&group);
    let input = mitigate::Input::new(&asked, rows.clone(), group)?;
    // Beside the model of the audit, not over it.
    let beside = Context {
        prefix: context.name("mitigated/"),
        ..context.clone()
    };
    mitigate::analyse(&asked, &input, &beside).map(Ok)
}

fn detected(detection: &RepeatOutcome) -> Option<String> {
    let shortcuts = detection.groups.iter().map(|group| &group.detected);
    let shortcuts = shortcuts.filter(|one| one.standing == Standing::Shortcut);
    shortcuts
        .max_by(|a, b| a.score.unwrap_or(0.0).total_cmp(&b.score.unwrap_or(0.0)))
        .map(|one| one.group.clone())
}
