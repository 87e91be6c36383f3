//! How a model does on parts of the population: rates, discrimination and calibration of each, and the gaps between them.

use std::collections::BTreeMap;

use disentangle_data::{Random, Seed};
use serde::{Deserialize, Serialize};

use crate::{
    Bootstrap, Estimate,
    classification::{RankedScores, calibration_error, sigmoid},
    importance::weighted_mean,
    multiple::permutation_p,
};

/// Cases below which numbers of a subgroup are a hint at best.
pub const FEW_CASES: usize = 50;
/// Bins of the calibration error.
const BINS: usize = 10;

/// Predictions, and who belongs where.
#[derive(Clone, Copy, Debug)]
pub struct Population<'a> {
    /// One a row.
    pub logits: &'a [f64],
    /// 0 or 1.
    pub labels: &'a [f32],
    /// The case (patient) of each row; intervals draw cases.
    pub cases: &'a [u32],
    /// The subgroup of each row, an index into `names`; `None` is in no subgroup.
    pub member: &'a [Option<u32>],
    /// Names of the subgroups.
    pub names: &'a [String],
    /// A row is predicted positive if its logit is above.
    pub threshold: f64,
}

/// One subgroup.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Subgroup {
    /// Its name.
    pub name: String,
    /// Rows.
    pub rows: usize,
    /// Different cases.
    pub cases: usize,
    /// Rows with label 1.
    pub positives: usize,
    /// Share of rows with label 1.
    pub base_rate: Estimate,
    /// Mean predicted probability.
    pub mean_probability: Estimate,
    /// ROC AUC within the subgroup.
    pub auc: Estimate,
    /// Share of positives that are predicted positive (sensitivity).
    pub true_positive_rate: Estimate,
    /// Share of negatives that are predicted positive.
    pub false_positive_rate: Estimate,
    /// Expected calibration error, ten bins of equal mass; its interval is reflected, because resampled rows repeat.
    pub calibration_error: Estimate,
    /// Fewer than [`FEW_CASES`] cases: no conclusion should rest on it.
    pub few: bool,
}

/// All subgroups of one attribute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Subgroups {
    /// In the order of their names' list, those with rows.
    pub groups: Vec<Subgroup>,
    /// Largest minus smallest true positive rate, over subgroups that are large enough and have positives.
    pub true_positive_gap: Estimate,
    /// The same of the false positive rate.
    pub false_positive_gap: Estimate,
    /// The larger of both gaps (Hardt, Price and Srebro 2016; Fairlearn's `equalized_odds_difference`). Its p value permutes the subgroups of
    /// cases among cases of the same label: under the null the prediction does not depend on the subgroup once the label is known. Where a case changes its subgroup, it is that
    /// of the first row of every case.
    pub equalised_odds_difference: Estimate,
}

struct Rates<'a> {
    population: &'a Population<'a>,
    positive: Vec<bool>,
}

impl Rates<'_> {
    /// Share predicted positive among rows of a subgroup with a label, rows counted by weight; `None` without such rows.
    fn rate(&self, member: &[Option<u32>], group: u32, label: bool, weights: &[f64]) -> Option<f64> {
        let (mut total, mut positive) = (0.0, 0.0);
        for (row, weight) in weights.iter().enumerate() {
            if member[row] == Some(group) && (self.population.labels[row] > 0.5) == label {
                total += weight;
                positive += weight * f64::from(u8::from(self.positive[row]));
            }
        }
        (total > 0.0).then(|| positive / total)
    }

    /// Gaps of the true and of the false positive rate between some subgroups, and the larger one.
    fn gaps(&self, member: &[Option<u32>], groups: &[u32], weights: &[f64]) -> Vec<Option<f64>> {
        let gap = |label: bool| {
            let rates = groups
                .iter()
                .filter_map(|&group| self.rate(member, group, label, weights));
            let rates: Vec<f64> = rates.collect();
            let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
            let most = rates.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            (rates.len() > 1).then_some(most - least)
        };
        let (truly, falsely) = (gap(true), gap(false));
        let larger = truly.zip(falsely).map(|(truly, falsely)| truly.max(falsely));
        vec![truly, falsely, larger]
    }
}

/// Measures every subgroup and the gaps between those with at least `least_cases` cases. `draws` permutations give the p value.
///
/// Intervals draw cases again. Those of gaps are centred on their value: resampling makes every gap wider.
pub fn subgroups(population: &Population, least_cases: usize, bootstrap: &Bootstrap, draws: usize) -> Subgroups {
    let rates = Rates {
        population,
        positive: population.logits.iter().map(|z| *z > population.threshold).collect(),
    };
    let mut groups = Vec::new();
    let mut compared = Vec::new();
    for (index, name) in population.names.iter().enumerate() {
        let rows: Vec<usize> = (0..population.labels.len())
            .filter(|&row| population.member[row] == Some(index as u32))
            .collect();
        if rows.is_empty() {
            continue;
        }
        let group = one(name, &rows, &rates, bootstrap);
        if group.cases >= least_cases {
            compared.push(index as u32);
        }
        groups.push(group);
    }
    let n = population.labels.len();
    let member = population.member;
    let clustered = bootstrap.clustered(population.cases);
    let gaps = clustered.estimate_many_centred(n, |weights| rates.gaps(member, &compared, weights));
    let mut gaps = gaps.into_iter().map(|gap| {
        let mut gap = gap.within(0.0, 1.0);
        if gap.value.is_none() {
            gap.note = Some(format!(
                "undefined: fewer than two subgroups of at least {least_cases} cases hold both labels"
            ));
        }
        gap
    });
    let (true_positive_gap, false_positive_gap) = (gaps.next().unwrap_or_default(), gaps.next().unwrap_or_default());
    let mut difference = gaps.next().unwrap_or_default();
    difference.p = difference.value.and_then(|_| {
        let (observed, null) = null(&rates, &compared, draws, bootstrap.seed.child("subgroups"))?;
        permutation_p(observed, &null)
    });
    Subgroups {
        groups,
        true_positive_gap,
        false_positive_gap,
        equalised_odds_difference: difference,
    }
}

fn one(name: &str, rows: &[usize], rates: &Rates, bootstrap: &Bootstrap) -> Subgroup {
    let population = rates.population;
    let labels: Vec<f32> = rows.iter().map(|&row| population.labels[row]).collect();
    let logits: Vec<f64> = rows.iter().map(|&row| population.logits[row]).collect();
    let cases: Vec<u32> = rows.iter().map(|&row| population.cases[row]).collect();
    let probabilities: Vec<f64> = logits.iter().map(|&z| sigmoid(z)).collect();
    let targets: Vec<f64> = labels.iter().map(|&y| f64::from(u8::from(y > 0.5))).collect();
    let bootstrap = bootstrap.clustered(&cases);
    let n = rows.len();
    let ranked = RankedScores::new(&logits, &labels);
    let rate = |label: bool| {
        let of = |weights: &[f64]| {
            let (mut total, mut positive) = (0.0, 0.0);
            for (place, &row) in rows.iter().enumerate() {
                if (labels[place] > 0.5) == label {
                    total += weights[place];
                    positive += weights[place] * f64::from(u8::from(rates.positive[row]));
                }
            }
            (total > 0.0).then(|| positive / total)
        };
        bootstrap.estimate_weighted(n, of).within(0.0, 1.0)
    };
    let calibration = |rows: &[usize]| {
        let pick: Vec<f64> = rows.iter().map(|&row| probabilities[row]).collect();
        let picked: Vec<f32> = rows.iter().map(|&row| labels[row]).collect();
        calibration_error(&pick, &picked, BINS)
    };
    let mut different = cases.clone();
    different.sort_unstable();
    different.dedup();
    Subgroup {
        name: name.into(),
        rows: n,
        cases: different.len(),
        positives: labels.iter().filter(|&&y| y > 0.5).count(),
        base_rate: weighted_mean(&bootstrap, &targets).within(0.0, 1.0),
        mean_probability: weighted_mean(&bootstrap, &probabilities).within(0.0, 1.0),
        auc: bootstrap
            .estimate_weighted(n, |weights| ranked.auc(weights))
            .within(0.0, 1.0),
        true_positive_rate: rate(true),
        false_positive_rate: rate(false),
        calibration_error: bootstrap.estimate(n, calibration).reflected().within(0.0, 1.0),
        few: different.len() < FEW_CASES,
    }
}

/// The difference, and differences with subgroups permuted among cases of the same labels, which are exchangeable under the null. Where a case
/// changes its subgroup, both are of the first row of every case.
fn null(rates: &Rates, compared: &[u32], draws: usize, seed: Seed) -> Option<(f64, Vec<f64>)> {
    let population = rates.population;
    let mut cases: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (row, case) in population.cases.iter().enumerate() {
        cases.entry(*case).or_default().push(row);
    }
    let changes = |rows: &Vec<usize>| {
        let first = population.member[rows[0]];
        rows.iter().any(|&row| population.member[row] != first)
    };
    if cases.values().any(changes) {
        for rows in cases.values_mut() {
            rows.truncate(1);
        }
    }
    let mut counted = vec![0.0; population.labels.len()];
    let mut strata: BTreeMap<(bool, bool), Vec<&Vec<usize>>> = BTreeMap::new();
    for rows in cases.values() {
        for &row in rows {
            counted[row] = 1.0;
        }
        let any = |label: bool| rows.iter().any(|&row| (population.labels[row] > 0.5) == label);
        strata.entry((any(true), any(false))).or_default().push(rows);
    }
    let observed = rates.gaps(population.member, compared, &counted)[2]?;
    let mut member = population.member.to_vec();
    let draw = |member: &mut Vec<Option<u32>>, rng: &mut Random| {
        for cases in strata.values() {
            let order = rng.permutation(cases.len());
            for (case, donor) in cases.iter().zip(order) {
                let given = population.member[cases[donor][0]];
                for &row in *case {
                    member[row] = given;
                }
            }
        }
        rates.gaps(member, compared, &counted)[2]
    };
    let values = (0..draws).map(|index| draw(&mut member, &mut seed.index(index as u64).rng()));
    Some((observed, values.flatten().collect()))
}
