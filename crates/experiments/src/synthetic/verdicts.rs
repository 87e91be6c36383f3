//! What the numbers say, in plain sentences with the numbers in them.

use disentangle_data::Role;
use disentangle_report::{Tone, Verdict};

use super::{
    evaluate::worst,
    outcome::{Outcome, Performance},
};
use crate::study::SiteStudy;

pub(super) fn verdicts(outcome: &Outcome) -> Vec<Verdict> {
    let mut all = vec![shortcut(outcome).unwrap_or_else(|| power(outcome))];
    all.extend(worst_group(outcome));
    all.extend(overlap(outcome));
    all.extend(rank(outcome));
    all.extend(autoencoder(outcome));
    all
}

fn verdict(tone: Tone, text: String) -> Verdict {
    Verdict { text, tone }
}

fn test<'a>(outcome: &'a Outcome, environment: Option<&str>) -> Option<&'a Performance> {
    let mut on_test = outcome.performance.iter().filter(|p| p.part == "test");
    on_test.find(|p| p.environment.as_deref() == environment)
}

/// Without a shortcut: does it predict?
fn power(outcome: &Outcome) -> Verdict {
    match test(outcome, None) {
        Some(performance) if performance.auc.above(0.5) => {
            let text = format!("the model predicts test rows: AUC {}", performance.auc.show(2));
            verdict(Tone::Good, text)
        }
        Some(performance) => {
            let text = format!("no evidence of predictive power: AUC {}", performance.auc.show(2));
            verdict(Tone::Neutral, text)
        }
        None => verdict(Tone::Neutral, "predictive power was not measured".into()),
    }
}

/// Does the planted shortcut carry predictions where it holds, and mislead where it is reversed?
fn shortcut(outcome: &Outcome) -> Option<Verdict> {
    let planted = outcome.data.groups.iter().find(|group| group.role == Role::Spurious)?;
    let (reversed, independent) = (test(outcome, Some("reversed"))?, test(outcome, Some("independent"))?);
    let first = &outcome.data.parts.first()?.environment;
    let seen = test(outcome, Some(first))?;
    let lean = outcome
        .importance
        .iter()
        .find(|one| one.environment == *first && one.importance.group == planted.name)?;
    let drop = &lean.importance.auc_drop;
    let numbers = format!(
        "AUC {} where it holds ({first}), {} where it says nothing, {} where it is reversed; without it {} of AUC is lost in {first}",
        seen.auc.show(2),
        independent.auc.show(2),
        reversed.auc.show(2),
        drop.show(2)
    );
    // One group in one environment, chosen before the run: no family to correct for.
    Some(if drop.above(0.0) && drop.p.is_none_or(|p| p <= 0.05) {
        verdict(
            Tone::Bad,
            format!("the model leans on the shortcut `{}`: {numbers}", planted.name),
        )
    } else {
        let text = format!(
            "no evidence that the model leans on the shortcut `{}`: {numbers}",
            planted.name
        );
        verdict(Tone::Good, text)
    })
}

fn worst_group(outcome: &Outcome) -> Option<Verdict> {
    let whole = test(outcome, None)?;
    let (name, _) = worst(whole)?;
    let least = whole.worst_group.as_ref()?;
    let tone = if least.below(0.5) { Tone::Bad } else { Tone::Neutral };
    Some(verdict(
        tone,
        format!(
            "worst-group accuracy on all test rows: {} ({name}), beside {} over all rows",
            least.show(2),
            whole.accuracy.show(2)
        ),
    ))
}

/// A site that training can move: not the input, which is all that a linear model has.
fn trained<'a>(outcome: &'a Outcome, site: &str) -> Option<&'a SiteStudy> {
    if site == "input" {
        return None;
    }
    outcome
        .sites
        .iter()
        .find(|study| study.stage == "trained" && study.site == site)
}

fn overlap(outcome: &Outcome) -> Option<Verdict> {
    let site = &outcome.representation.site;
    let overlap = &trained(outcome, site)?.overlap;
    let (mean, chance, most) = (overlap.mean?, overlap.mean_chance?, overlap.most?);
    let before = outcome
        .sites
        .iter()
        .find(|study| study.stage == "initial" && study.site == *site)?
        .overlap
        .mean?;
    Some(verdict(
        Tone::Neutral,
        format!(
            "feature groups overlap {mean:.2} on average at `{site}` ({most:.2} at most); random directions have {chance:.2}, and before training it was {before:.2}"
        ),
    ))
}

fn rank(outcome: &Outcome) -> Option<Verdict> {
    let site = &outcome.representation.site;
    let after = &trained(outcome, site)?.measures;
    let before = outcome
        .sites
        .iter()
        .find(|study| study.stage == "initial" && study.site == *site)?;
    let start = before.measures.effective_rank.value?;
    Some(verdict(
        Tone::Neutral,
        format!(
            "training moved the effective rank of `{site}` from {start:.1} to {} of {} neurons, {} of them dead",
            after.effective_rank.show(1),
            after.columns,
            after.statistics.dead
        ),
    ))
}

fn autoencoder(outcome: &Outcome) -> Option<Verdict> {
    let found = outcome.autoencoder.as_ref().ok()?;
    let (explained, psi) = (found.metrics.explained_variance?, found.metrics.psi?);
    let recovery = match &found.recovery {
        None => "the groups' strengths have no clear directions to compare them with".to_string(),
        Some(recovery) => format!(
            "cosine {:.2} to the directions of the groups' strengths",
            recovery.mean_matched
        ),
    };
    Some(verdict(
        Tone::Neutral,
        format!(
            "a sparse autoencoder of `{}` explains {:.0} % of held-out variance with {:.1} of {} latents a row (ψ {psi:.2}, {} dead): {recovery}",
            found.site,
            100.0 * explained,
            found.metrics.l0,
            found.latents,
            found.metrics.dead
        ),
    ))
}
