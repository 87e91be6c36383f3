//! How far apart samples lie (Wasserstein-1), and whether environments shift a value within classes (notebook part 36).

use disentangle_data::Seed;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{descriptive::mean, multiple::permutation_p};

/// ∫ |F_a - F_b|, the least mean distance over which the mass of one sample is moved onto the other, in the units of
/// the values.
///
/// Exact for samples of any sizes: the merged order is walked once. `None` where either is empty or holds values that
/// are not finite.
pub fn wasserstein_1(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.is_empty() || b.is_empty() || a.iter().chain(b).any(|x| !x.is_finite()) {
        return None;
    }
    let members = a.iter().map(|&x| (x, 0)).chain(b.iter().map(|&x| (x, 1)));
    let merged = Sorted::new(members.collect());
    Some(merged.distances(&merged.groups))
}

/// [`wasserstein_1`] between the two classes, in pooled within-class standard deviations (divisor n minus the number of
/// classes).
///
/// This is separation, not shift: a value that tells the classes apart has it in every environment. `labels` above 0.5
/// are class 1. `None` without both classes, where no value varies within its class, for different numbers of values
/// and labels, and for values that are not finite.
pub fn class_separation(values: &[f64], labels: &[f32]) -> Option<f64> {
    let deviation = pooled_deviation(values, labels).ok()?;
    let [first, second] = classes(values, labels);
    Some(wasserstein_1(&first, &second)? / deviation)
}

/// How far environments shift a value within classes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shift {
    /// Mean over classes, and over pairs of environments that both have rows of the class, of [`wasserstein_1`] between
    /// them, in pooled within-class standard deviations. Above 0 even without a shift.
    pub shift: Option<f64>,
    /// `shift` minus its mean over permutations of the environments within classes: about 0 without a shift.
    pub excess: Option<f64>,
    /// One-sided, of the same permutations: exchangeable under the null are the environments of rows of the same class.
    pub p: Option<f64>,
    /// Why something is undefined.
    pub note: Option<String>,
}

/// The shift of one value a row. `labels` above 0.5 are class 1, the others class 0; `environments` are any numbers.
///
/// Each class is sorted once; a permutation deals its environments to the sorted values again. Rows must be
/// independent: of several rows of one subject, give one. Undefined, with a note, where no class has rows of two
/// environments, no value varies within its class, numbers of rows differ, or a value is not finite; `p` also below
/// [`crate::multiple::LEAST_DRAWS`] permutations, `excess` without any.
pub fn within_class_shift(
    values: &[f64],
    labels: &[f32],
    environments: &[u32],
    permutations: usize,
    seed: Seed,
) -> Shift {
    let undefined = |note: &str| Shift {
        note: Some(note.into()),
        ..Shift::default()
    };
    if environments.len() != values.len() {
        return undefined("there is not one environment a value");
    }
    let deviation = match pooled_deviation(values, labels) {
        Ok(deviation) => deviation,
        Err(note) => return undefined(note),
    };
    let of_class = |positive: bool| {
        let rows = (0..values.len()).filter(|&row| (labels[row] > 0.5) == positive);
        Sorted::new(rows.map(|row| (values[row] / deviation, environments[row])).collect())
    };
    let classes = [of_class(false), of_class(true)];
    let pairs: usize = classes.iter().map(Sorted::pairs).sum();
    if pairs == 0 {
        return undefined("no class has rows of two environments");
    }
    let distances = classes.iter().map(|class| class.distances(&class.groups));
    let observed = distances.sum::<f64>() / pairs as f64;
    let null: Vec<f64> = (0..permutations)
        .into_par_iter()
        .map(|draw| {
            let mut rng = seed.index(draw as u64).rng();
            let distances = classes.iter().map(|class| {
                let mut groups = class.groups.clone();
                rng.shuffle(&mut groups);
                class.distances(&groups)
            });
            distances.sum::<f64>() / pairs as f64
        })
        .collect();
    // Sums in another order differ in the last places; equal distances must count as equal.
    let p = permutation_p(observed * (1.0 - 1e-12), &null);
    Shift {
        shift: Some(observed),
        excess: mean(&null).map(|chance| observed - chance),
        note: p.is_none().then(|| "too few permutations for a p value".to_string()),
        p,
    }
}

/// Values in ascending order, each with the group that it belongs to.
struct Sorted {
    values: Vec<f64>,
    /// Positions in `sizes`, one a value.
    groups: Vec<usize>,
    /// How many values each group has, at least one.
    sizes: Vec<usize>,
}

impl Sorted {
    /// From values and the numbers of their groups.
    fn new(mut members: Vec<(f64, u32)>) -> Self {
        members.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut names: Vec<u32> = members.iter().map(|member| member.1).collect();
        names.sort_unstable();
        names.dedup();
        let place = |name: u32| names.partition_point(|&other| other < name);
        let groups: Vec<usize> = members.iter().map(|member| place(member.1)).collect();
        let mut sizes = vec![0; names.len()];
        for &group in &groups {
            sizes[group] += 1;
        }
        Self {
            values: members.into_iter().map(|member| member.0).collect(),
            groups,
            sizes,
        }
    }

    /// Pairs of groups.
    fn pairs(&self) -> usize {
        self.sizes.len() * self.sizes.len().saturating_sub(1) / 2
    }

    /// Sum of [`wasserstein_1`] over the pairs of groups, the values dealt to them as `groups` says: between
    /// neighbouring values the distribution functions are constant.
    fn distances(&self, groups: &[usize]) -> f64 {
        let mut below = vec![0.0; self.sizes.len()];
        let mut shares = below.clone();
        let mut sum = 0.0;
        for (ends, &group) in self.values.windows(2).zip(groups) {
            below[group] += 1.0;
            shares[group] = below[group] / self.sizes[group] as f64;
            let gap = ends[1] - ends[0];
            if gap > 0.0 {
                sum += gap * differences(&shares);
            }
        }
        sum
    }
}

/// Σ |a - b| over the pairs.
fn differences(shares: &[f64]) -> f64 {
    let mut sum = 0.0;
    for (place, a) in shares.iter().enumerate() {
        for b in &shares[place + 1..] {
            sum += (a - b).abs();
        }
    }
    sum
}

/// Values of class 0 and of class 1.
fn classes(values: &[f64], labels: &[f32]) -> [Vec<f64>; 2] {
    [false, true].map(|positive| {
        let rows = values.iter().zip(labels).filter(|(_, y)| (**y > 0.5) == positive);
        rows.map(|(value, _)| *value).collect()
    })
}

/// Standard deviation around the means of the classes, divisor n minus the number of classes. `Err` says why there is
/// none.
fn pooled_deviation(values: &[f64], labels: &[f32]) -> Result<f64, &'static str> {
    if labels.len() != values.len() {
        return Err("there is not one label a value");
    }
    if values.iter().any(|x| !x.is_finite()) {
        return Err("values that are not finite");
    }
    let (mut squares, mut freedom, mut flat) = (0.0, values.len(), true);
    for class in classes(values, labels) {
        let Some(mean) = mean(&class) else {
            continue;
        };
        freedom -= 1;
        flat &= class.iter().all(|value| *value == class[0]);
        squares += class.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    }
    if flat || squares <= 0.0 {
        return Err("no value varies within its class");
    }
    Ok((squares / freedom as f64).sqrt())
}
