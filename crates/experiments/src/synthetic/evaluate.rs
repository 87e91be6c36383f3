//! How well the model does in each environment, and what it leans on there.

use disentangle_analysis::{
    Bootstrap, Estimate,
    classification::{RankedScores, accuracy, log_loss},
    importance as analysis,
    importance::weighted_mean,
    multiple::benjamini_hochberg_of,
    probing,
};
use disentangle_data::{Dataset, Split};
use disentangle_models::Model;

use super::outcome::{EnvironmentImportance, Performance};
use crate::{Context, ExperimentError};

/// Names of the (label, shortcut) groups, as [`Dataset::subgroups`] counts them.
const SUBGROUPS: [&str; 4] = [
    "label 0, shortcut 0",
    "label 0, shortcut 1",
    "label 1, shortcut 0",
    "label 1, shortcut 1",
];

/// Rows of one part, split by environment; `None` names all of them together.
fn by_environment(dataset: &Dataset, split: Split) -> Vec<(Option<String>, Vec<usize>)> {
    let rows = dataset.part(split);
    let mut parts = vec![(None, rows.clone())];
    if dataset.environments.len() > 1 {
        for (index, name) in dataset.environments.iter().enumerate() {
            let own = rows
                .iter()
                .filter(|&&row| dataset.windows[row].environment as usize == index);
            parts.push((Some(name.clone()), own.copied().collect()));
        }
    }
    parts.retain(|(_, rows)| !rows.is_empty());
    parts
}

/// The model on validation and test rows, all together and in each environment.
pub(super) fn performance(
    dataset: &Dataset,
    model: &Model,
    bootstrap: &Bootstrap,
    context: &Context,
) -> Result<Vec<Performance>, ExperimentError> {
    let mut all = Vec::new();
    for split in [Split::Validation, Split::Test] {
        for (environment, rows) in by_environment(dataset, split) {
            let logits = probing::logits(model, &dataset.inputs(&rows), context.device, context.threads)?;
            let labels = dataset.labels(&rows);
            let subgroups = dataset.subgroups(&rows);
            all.push(of_rows(
                split,
                environment,
                &logits,
                &labels,
                subgroups.as_deref(),
                bootstrap,
            ));
        }
    }
    Ok(all)
}

fn of_rows(
    split: Split,
    environment: Option<String>,
    logits: &[f64],
    labels: &[f32],
    subgroups: Option<&[u32]>,
    bootstrap: &Bootstrap,
) -> Performance {
    let n = labels.len();
    let each = |metric: fn(&[f64], &[f32]) -> Option<f64>| -> Vec<f64> {
        let rows = (0..n).map(|row| metric(&logits[row..=row], &labels[row..=row]));
        rows.map(|value| value.unwrap_or(0.0)).collect()
    };
    let ranked = RankedScores::new(logits, labels);
    let right = each(accuracy);
    Performance {
        part: split.name().into(),
        environment,
        auc: bootstrap
            .estimate_weighted(n, |weights| ranked.auc(weights))
            .within(0.0, 1.0),
        accuracy: weighted_mean(bootstrap, &right).within(0.0, 1.0),
        log_loss: weighted_mean(bootstrap, &each(log_loss)),
        worst_group: subgroups.map(|groups| {
            let worst = |weights: &[f64]| {
                let shares = (0..4).filter_map(|group| share_right(&right, groups, group, weights));
                shares.min_by(f64::total_cmp)
            };
            bootstrap.estimate_weighted(n, worst).within(0.0, 1.0)
        }),
        subgroups: subgroups.map_or_else(Vec::new, |groups| {
            let named = SUBGROUPS.iter().enumerate().map(|(group, name)| {
                let of_group = |weights: &[f64]| share_right(&right, groups, group as u32, weights);
                let mut estimate = bootstrap.estimate_weighted(n, of_group).within(0.0, 1.0);
                estimate.n = groups.iter().filter(|&&g| g == group as u32).count();
                (name.to_string(), estimate)
            });
            named.collect()
        }),
    }
}

/// Accuracy within one group; `None` where it has no rows.
fn share_right(right: &[f64], groups: &[u32], group: u32, weights: &[f64]) -> Option<f64> {
    let own = right.iter().zip(groups).zip(weights).filter(|((_, g), _)| **g == group);
    let (sum, total) = own.fold((0.0, 0.0), |(sum, total), ((right, _), weight)| {
        (sum + weight * right, total + weight)
    });
    (total > 0.0).then(|| sum / total)
}

/// Every group on the test rows of every environment; rows are exchangeable within an environment.
pub(super) fn importance(
    dataset: &Dataset,
    model: &Model,
    permutations: usize,
    bootstrap: &Bootstrap,
    context: &Context,
) -> Result<Vec<EnvironmentImportance>, ExperimentError> {
    let groups: Vec<(String, Vec<usize>)> = dataset
        .groups
        .iter()
        .map(|group| (group.name.clone(), group.columns.clone()))
        .collect();
    let mut parts = by_environment(dataset, Split::Test);
    if parts.len() > 1 {
        // Rows of different environments are not exchangeable.
        parts.remove(0);
    }
    let bar = context.progress("importance", parts.len());
    let mut all = Vec::new();
    for (environment, rows) in parts {
        context.go_on()?;
        let name = environment.unwrap_or_else(|| "all".into());
        let (inputs, labels) = (dataset.inputs(&rows), dataset.labels(&rows));
        let logits = |x: &ndarray::Array3<f32>| probing::logits(model, x, context.device, context.threads);
        let seed = context.root().child("importance").child(&name);
        let order = |seed: disentangle_data::Seed| seed.rng().permutation(rows.len());
        let ablated = analysis::ablate(&inputs, &groups, permutations, order, seed, logits)?;
        let whole = logits(&inputs)?;
        for group in &ablated {
            all.push(EnvironmentImportance {
                environment: name.clone(),
                importance: analysis::importance(&whole, &labels, group, bootstrap),
            });
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    // One family: every group in every environment.
    let p: Vec<Option<f64>> = all.iter().map(|one| one.importance.auc_drop.p).collect();
    for (one, q) in all.iter_mut().zip(benjamini_hochberg_of(&p)) {
        one.importance.auc_drop.q = q;
    }
    Ok(all)
}

/// A subgroup's estimate by the worst value.
pub(super) fn worst(performance: &Performance) -> Option<&(String, Estimate)> {
    let defined = performance
        .subgroups
        .iter()
        .filter(|(_, estimate)| estimate.value.is_some());
    defined.min_by(|a, b| a.1.value.unwrap_or(1.0).total_cmp(&b.1.value.unwrap_or(1.0)))
}

#[cfg(test)]
mod tests {
    use disentangle_data::Seed;

    use super::*;

    #[test]
    fn groups_and_the_worst_of_them() {
        // Label, shortcut, logit: the model follows the shortcut but for one row.
        let rows = [
            (0.0, 0, -1.0),
            (0.0, 0, -2.0),
            (0.0, 1, 1.0),
            (0.0, 1, -1.0),
            (1.0, 0, -1.0),
            (1.0, 0, -3.0),
            (1.0, 1, 2.0),
            (1.0, 1, 1.0),
        ];
        let labels: Vec<f32> = rows.iter().map(|row| row.0).collect();
        let groups: Vec<u32> = rows.iter().map(|row| 2 * row.0 as u32 + row.1).collect();
        let logits: Vec<f64> = rows.iter().map(|row| row.2).collect();
        let bootstrap = Bootstrap::new(1, 100, Seed::new(0));
        let found = of_rows(Split::Test, None, &logits, &labels, Some(&groups), &bootstrap);
        assert_eq!(found.accuracy.value, Some(5.0 / 8.0));
        let shares: Vec<Option<f64>> = found.subgroups.iter().map(|(_, estimate)| estimate.value).collect();
        assert_eq!(shares, [Some(1.0), Some(0.5), Some(0.0), Some(1.0)]);
        assert_eq!(found.worst_group.as_ref().unwrap().value, Some(0.0));
        assert_eq!(worst(&found).unwrap().0, "label 1, shortcut 0");
        // 9 of 16 pairs, ties counting one half: negatives -1, -2, 1, -1 against positives -1, -3, 2, 1.
        assert_eq!(found.auc.value, Some(9.5 / 16.0));
        let without = of_rows(Split::Test, None, &logits, &labels, None, &bootstrap);
        assert!(without.worst_group.is_none() && without.subgroups.is_empty());
    }
}
