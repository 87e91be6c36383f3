//! What the model does on all rows of each environment, subjects drawn again for every interval.

use std::collections::BTreeMap;

use disentangle_analysis::{
    Bootstrap, Estimate,
    association::correlation_ratio,
    attention,
    classification::{RankedScores, accuracy, calibration_error, log_loss, sigmoid},
    importance::weighted_mean,
    multiple::permutation_p,
    probing,
    subgroups::{Population, subgroups},
};
use disentangle_data::{Dataset, Seed, Split};
use disentangle_models::{Classifier, Model};
use ndarray::Array4;

use super::{
    attributes::{Attribute, last},
    outcome::{Association, AttributeGroups, Performance, SingleColumn, SiteAttention},
};
use crate::{
    Context, ExperimentError,
    baselines::{boosting_logits, fit_boosting, fit_logistic, logistic_logits},
    rows::Environment,
};

/// Rows of attention that are kept, at most.
const ATTENTION_ROWS: usize = 512;

/// Rows of one environment with what the model says of them.
pub(super) struct Scored<'a> {
    pub(super) environment: &'a Environment,
    pub(super) labels: Vec<f32>,
    pub(super) cases: Vec<u32>,
    pub(super) logits: Vec<f64>,
    pub(super) bootstrap: Bootstrap,
}

/// Whose each row is: its subject, or itself where the data knows no subjects.
pub(super) fn cases(dataset: &Dataset, rows: &[usize]) -> Vec<u32> {
    match dataset.subjects.len() {
        0 | 1 => (0..rows.len() as u32).collect(),
        _ => rows.iter().map(|&row| dataset.windows[row].subject).collect(),
    }
}

fn count(cases: &[u32]) -> usize {
    cases.iter().collect::<std::collections::BTreeSet<_>>().len()
}

impl<'a> Scored<'a> {
    pub(super) fn new(
        dataset: &Dataset,
        model: &Model,
        environment: &'a Environment,
        bootstrap: &Bootstrap,
        context: &Context,
    ) -> Result<Self, ExperimentError> {
        let rows = &environment.rows;
        let cases = cases(dataset, rows);
        Ok(Self {
            environment,
            labels: dataset.labels(rows),
            bootstrap: bootstrap.clustered(&cases),
            cases,
            logits: probing::logits(model, &dataset.inputs(rows), context.device, context.threads)?,
        })
    }

    fn performance(&self, model: &str, logits: &[f64]) -> Performance {
        let (labels, n) = (&self.labels, self.labels.len());
        let ranked = RankedScores::new(logits, labels);
        let each = |metric: fn(&[f64], &[f32]) -> Option<f64>| -> Vec<f64> {
            let rows = (0..n).map(|row| metric(&logits[row..=row], &labels[row..=row]));
            rows.map(|value| value.unwrap_or(0.0)).collect()
        };
        let probabilities: Vec<f64> = logits.iter().map(|&z| sigmoid(z)).collect();
        let calibration = |rows: &[usize]| {
            let p: Vec<f64> = rows.iter().map(|&row| probabilities[row]).collect();
            let y: Vec<f32> = rows.iter().map(|&row| labels[row]).collect();
            calibration_error(&p, &y, 10)
        };
        Performance {
            environment: self.environment.name.clone(),
            model: model.into(),
            rows: n,
            cases: count(&self.cases),
            auc: self
                .bootstrap
                .estimate_weighted(n, |weights| ranked.auc(weights))
                .within(0.0, 1.0),
            accuracy: weighted_mean(&self.bootstrap, &each(accuracy)).within(0.0, 1.0),
            log_loss: weighted_mean(&self.bootstrap, &each(log_loss)),
            calibration_error: self.bootstrap.estimate(n, calibration).reflected().within(0.0, 1.0),
            trained_over_this: None,
        }
    }

    fn baseline(&self, name: &str, logits: &[f64]) -> Performance {
        let (ours, theirs) = (
            RankedScores::new(&self.logits, &self.labels),
            RankedScores::new(logits, &self.labels),
        );
        let difference = |weights: &[f64]| Some(ours.auc(weights)? - theirs.auc(weights)?);
        Performance {
            trained_over_this: Some(self.bootstrap.estimate_weighted(self.labels.len(), difference)),
            ..self.performance(name, logits)
        }
    }
}

/// The trained model and both baselines in every environment.
pub(super) fn performance(
    dataset: &Dataset,
    family: &str,
    scored: &[Scored],
) -> Result<Vec<Performance>, ExperimentError> {
    let failed = |what: &str| {
        let what = what.to_string();
        move |reason: String| ExperimentError::Failed(format!("{what}: {reason}"))
    };
    let linear = fit_logistic(dataset).map_err(failed("logistic regression"))?;
    let trees = fit_boosting(dataset).map_err(failed("gradient boosting"))?;
    let mut all = Vec::new();
    for one in scored {
        let rows = &one.environment.rows;
        all.push(one.performance(family, &one.logits));
        all.push(one.baseline("logistic regression", &logistic_logits(&linear, dataset, rows)));
        let logits = boosting_logits(&trees, dataset, rows).map_err(failed("gradient boosting"))?;
        all.push(one.baseline("gradient boosting", &logits));
    }
    Ok(all)
}

/// The columns that predict best alone on training rows, at the end of the window.
pub(super) fn single_columns(dataset: &Dataset, most: usize) -> Vec<SingleColumn> {
    let train = dataset.part(Split::Train);
    let labels = dataset.labels(&train);
    let group = |column: usize| dataset.groups.iter().find(|group| group.columns.contains(&column));
    let columns = (0..dataset.features.len()).filter_map(|column| {
        let present: Vec<usize> = (0..train.len())
            .filter(|&row| last(dataset, train[row], column).is_finite())
            .collect();
        let values: Vec<f64> = present
            .iter()
            .map(|&row| f64::from(last(dataset, train[row], column)))
            .collect();
        let labels: Vec<f32> = present.iter().map(|&row| labels[row]).collect();
        let auc = RankedScores::new(&values, &labels).auc(&vec![1.0; values.len()])?;
        Some(SingleColumn {
            column: dataset.features[column].clone(),
            group: group(column).map_or_else(String::new, |group| group.name.clone()),
            auc: auc.max(1.0 - auc),
        })
    });
    let mut columns: Vec<SingleColumn> = columns.collect();
    columns.sort_by(|a, b| b.auc.total_cmp(&a.auc));
    columns.truncate(most);
    columns
}

/// Entropy and bias of every attention pattern on the main rows.
pub(super) fn attention(
    dataset: &Dataset,
    model: &Model,
    main: &Scored,
    context: &Context,
) -> Result<Vec<SiteAttention>, ExperimentError> {
    let rows = &main.environment.rows[..main.environment.rows.len().min(ATTENTION_ROWS)];
    let inputs = dataset.inputs(rows);
    let bootstrap = main.bootstrap.clustered(&main.cases[..rows.len()]);
    let mut all = Vec::new();
    for site in model.sites().iter().filter(|site| site.name.ends_with("attn.pattern")) {
        context.go_on()?;
        let flat = probing::activations(model, inputs.view(), &site.name, context.device)?;
        let [heads, queries, keys] = site.axes;
        let found = flat.nrows();
        let values = flat.into_raw_vec_and_offset().0;
        let Ok(pattern) = Array4::from_shape_vec((found, heads, queries, keys), values) else {
            continue;
        };
        let measured = attention::attention(pattern.view());
        let mean = |values: &[f64]| match values.is_empty() {
            true => Estimate::undefined("one key takes all attention", rows.len()),
            false => weighted_mean(&bootstrap, values).within(0.0, 1.0),
        };
        all.push(SiteAttention {
            site: site.name.clone(),
            rows: rows.len(),
            entropy: mean(&measured.entropy),
            bias: mean(&measured.bias),
            received: measured.received,
        });
    }
    Ok(all)
}

/// The logit above which most is won on validation rows.
pub(super) fn threshold(dataset: &Dataset, model: &Model, context: &Context) -> Result<f64, ExperimentError> {
    let rows = dataset.part(Split::Validation);
    let logits = probing::logits(model, &dataset.inputs(&rows), context.device, context.threads)?;
    Ok(youden(&logits, &dataset.labels(&rows)))
}

/// The threshold with the largest true minus false positive rate (Youden 1950): half way to the next lower logit; the highest of several. 0
/// where all logits are equal.
fn youden(logits: &[f64], labels: &[f32]) -> f64 {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    let positives = labels.iter().filter(|&&y| y > 0.5).count() as f64;
    let negatives = labels.len() as f64 - positives;
    let (mut won, mut best, mut threshold) = (0.0, f64::NEG_INFINITY, 0.0);
    for (place, &row) in order.iter().enumerate() {
        won += if labels[row] > 0.5 {
            1.0 / positives
        } else {
            -1.0 / negatives
        };
        // Rows of one logit fall on the same side.
        let next = order.get(place + 1).map(|&next| logits[next]);
        if let Some(next) = next.filter(|next| *next < logits[row] && won > best + 1e-12) {
            (best, threshold) = (won, f64::midpoint(logits[row], next));
        }
    }
    threshold
}

/// Every attribute in every environment.
pub(super) fn attribute_groups(
    dataset: &Dataset,
    attributes: &[Attribute],
    scored: &[Scored],
    threshold: f64,
    [least_cases, draws]: [usize; 2],
) -> Vec<AttributeGroups> {
    let mut all = Vec::new();
    for attribute in attributes {
        for one in scored {
            let population = Population {
                logits: &one.logits,
                labels: &one.labels,
                cases: &one.cases,
                member: &attribute.members(dataset, &one.environment.rows),
                names: &attribute.names,
                threshold,
            };
            let mut seeded = one.bootstrap.clone();
            seeded.seed = seeded.seed.child(&attribute.name);
            all.push(AttributeGroups {
                attribute: attribute.name.clone(),
                group: attribute.group.clone(),
                environment: one.environment.name.clone(),
                threshold: sigmoid(threshold),
                subgroups: subgroups(&population, least_cases, &seeded, draws),
            });
        }
    }
    all
}

/// Every attribute with the label of training rows, and with label and prediction in every environment.
pub(super) fn associations(
    dataset: &Dataset,
    attributes: &[Attribute],
    scored: &[Scored],
    bootstrap: &Bootstrap,
    draws: usize,
) -> Vec<Association> {
    let train = dataset.part(Split::Train);
    let known = (dataset.labels(&train), cases(dataset, &train));
    let number = |labels: &[f32]| -> Vec<f64> { labels.iter().map(|&y| f64::from(u8::from(y > 0.5))).collect() };
    let mut all = Vec::new();
    for attribute in attributes {
        let seed = bootstrap.seed.child("associations").child(&attribute.name);
        let ratio = |values: &[f64], member: &[Option<u32>], cases: &[u32]| {
            let clustered = bootstrap.clustered(cases);
            let one = clustered
                .estimate_many_centred(values.len(), |weights| vec![correlation_ratio(values, member, weights)]);
            one.into_iter().next().unwrap_or_default().within(0.0, 1.0)
        };
        let (labels, cases) = (number(&known.0), &known.1);
        let member = attribute.members(dataset, &train);
        let mut label = ratio(&labels, &member, cases);
        label.p = null(&labels, &member, cases, draws, seed).and_then(|null| permutation_p(label.value?, &null));
        all.push(Association {
            attribute: attribute.name.clone(),
            group: attribute.group.clone(),
            environment: "training".into(),
            label,
            prediction: None,
            excess: None,
        });
        for one in scored {
            let member = attribute.members(dataset, &one.environment.rows);
            let labels = number(&one.labels);
            let probabilities: Vec<f64> = one.logits.iter().map(|&z| sigmoid(z)).collect();
            let found = one.bootstrap.estimate_many_centred(labels.len(), |weights| {
                let label = correlation_ratio(&labels, &member, weights);
                let prediction = correlation_ratio(&probabilities, &member, weights);
                vec![label, prediction, prediction.zip(label).map(|(p, l)| p - l)]
            });
            let mut found = found.into_iter();
            let mut next = || found.next().unwrap_or_default();
            let (mut label, prediction, excess) = (next().within(0.0, 1.0), next().within(0.0, 1.0), next());
            let seed = seed.child(&one.environment.name);
            label.p =
                null(&labels, &member, &one.cases, draws, seed).and_then(|null| permutation_p(label.value?, &null));
            all.push(Association {
                attribute: attribute.name.clone(),
                group: attribute.group.clone(),
                environment: one.environment.name.clone(),
                label,
                prediction: Some(prediction),
                excess: Some(excess),
            });
        }
    }
    all
}

/// Correlation ratios with subgroups permuted between cases; `None` where a case changes its subgroup.
fn null(values: &[f64], member: &[Option<u32>], cases: &[u32], draws: usize, seed: Seed) -> Option<Vec<f64>> {
    let mut of: BTreeMap<u32, Option<u32>> = BTreeMap::new();
    for (case, member) in cases.iter().zip(member) {
        if *of.entry(*case).or_insert(*member) != *member {
            return None;
        }
    }
    let given: Vec<Option<u32>> = of.values().copied().collect();
    let place: BTreeMap<u32, usize> = of.keys().enumerate().map(|(place, case)| (*case, place)).collect();
    let ones = vec![1.0; values.len()];
    let draws = (0..draws).filter_map(|draw| {
        let order = seed.index(draw as u64).rng().permutation(given.len());
        let permuted: Vec<Option<u32>> = cases.iter().map(|case| given[order[place[case]]]).collect();
        correlation_ratio(values, &permuted, &ones)
    });
    Some(draws.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_separate_best() {
        for (logits, labels, expected) in [
            (vec![-2.0, -1.0, 1.0, 2.0], vec![0.0, 0.0, 1.0, 1.0], 0.0),
            (vec![0.0, 1.0, 2.0, 3.0], vec![0.0, 1.0, 0.0, 1.0], 2.5),
            // Equal logits cannot be told apart.
            (vec![1.0, 1.0, 1.0, 5.0], vec![1.0, 0.0, 0.0, 1.0], 3.0),
            (vec![1.0, 1.0], vec![0.0, 1.0], 0.0),
        ] {
            assert_eq!(youden(&logits, &labels), expected, "{logits:?}");
        }
    }

    #[test]
    fn a_case_keeps_its_subgroup_when_subgroups_are_permuted() {
        // Two rows a case; the value is the subgroup.
        let cases: Vec<u32> = (0..80).map(|row| row / 2).collect();
        let member: Vec<Option<u32>> = cases.iter().map(|case| Some(case % 2)).collect();
        let values: Vec<f64> = member.iter().map(|member| f64::from(member.unwrap_or(0))).collect();
        let drawn = null(&values, &member, &cases, 99, Seed::new(1)).unwrap_or_default();
        assert_eq!(drawn.len(), 99);
        // Forty cases in two halves: the ratio under the null has standard deviation 1 / √39 around 0.
        let square = drawn.iter().map(|ratio| ratio * ratio).sum::<f64>() / 99.0;
        assert!((square * 39.0 - 1.0).abs() < 0.45, "{square}");
        let mut changing = member;
        changing[0] = Some(1);
        assert_eq!(null(&values, &changing, &cases, 9, Seed::new(1)), None);
    }
}
