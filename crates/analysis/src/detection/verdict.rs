//! All tests of all groups, and what follows from them.

use std::ops::Range;

use disentangle_data::Seed;
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::{
    features::independence,
    instability::{Instability, instability},
    power::{Power, power},
    probe,
};
use crate::{
    matrix::{self, MatrixError},
    multiple::{LEAST_DRAWS, benjamini_hochberg_of},
};

/// How groups are tested.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DetectionConfig {
    /// Permutations of each test, at least 19.
    pub permutations: usize,
    /// Folds of the cross-fitted probe, at least 2.
    pub folds: usize,
    /// The false discovery rate over groups.
    pub false_discovery_rate: f64,
    /// A change of the AUC that would matter: groups pass as genuine only if the test would have seen it.
    pub tolerance: f64,
}

impl Default for DetectionConfig {
    fn default() -> Self {
        Self {
            permutations: 499,
            folds: 5,
            false_discovery_rate: 0.05,
            tolerance: 0.1,
        }
    }
}

impl DetectionConfig {
    /// Says which setting is out of range.
    pub fn check(&self) -> Result<(), MatrixError> {
        let wrong = |key: &'static str, found: String, expected: &'static str| {
            Err(MatrixError::Setting { key, found, expected })
        };
        if !(LEAST_DRAWS..=1_000_000).contains(&self.permutations) {
            let found = self.permutations.to_string();
            return wrong("permutations", found, "a whole number from 19 to 1000000");
        }
        if !(2..=100).contains(&self.folds) {
            return wrong("folds", self.folds.to_string(), "a whole number from 2 to 100");
        }
        for (key, value) in [
            ("false_discovery_rate", self.false_discovery_rate),
            ("tolerance", self.tolerance),
        ] {
            if !(value > 0.0 && value < 1.0) {
                return wrong(key, value.to_string(), "a number above 0 and below 1");
            }
        }
        Ok(())
    }
}

/// Labels of rows, and how rows depend on each other. Rows of series are in the order of time.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// 0 or 1.
    pub labels: &'a [f32],
    /// Indices of environments.
    pub environments: &'a [u32],
    /// Consecutive rows that move together: 1 where rows are independent.
    pub block: usize,
}

/// What the tests say of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It tells the label, and differently well from environment to environment.
    Shortcut,
    /// It tells the label, and alike in all environments that were seen: nothing tells it from a cause there.
    Genuine,
    /// The tests cannot tell.
    Undecided,
}

/// A group with its evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detected {
    /// Its name.
    pub group: String,
    /// Shortcut, genuine or undecided.
    pub standing: Standing,
    /// Why, as a sentence without its subject.
    pub reason: String,
    /// How well it tells the label.
    pub power: Power,
    /// Whether it does so alike everywhere.
    pub instability: Instability,
    /// power × instability: the spurious score.
    pub score: Option<f64>,
    /// 1 - mean |correlation| between its columns; no part of the score.
    pub independence: Option<f64>,
    /// power × instability × (1 - independence), the notebook's product.
    pub notebook_score: Option<f64>,
    /// Cross-fitted score of each row, from which other measures follow.
    #[serde(skip)]
    pub scores: Vec<f64>,
}

/// Tests each group, name and `[n, k]`. See [`super`] for what is tested; p values become q values (Benjamini and Hochberg), those of association over all groups, those of
/// instability over the groups whose association is clear.
///
/// - Shortcut: both q at most the false discovery rate.
/// - Genuine: the association is clear, the instability is not (its p too lies above the rate), and 95 % of the null lies below `tolerance`, so that a change of that size would have been seen.
/// - Undecided: anything else, for example one environment only.
///
/// Fails for settings out of range, other numbers of rows, labels other than 0 and 1, and values that are not finite.
pub fn detect(
    groups: &[(String, Array2<f64>)],
    rows: &Rows,
    config: &DetectionConfig,
    seed: Seed,
) -> Result<Vec<Detected>, MatrixError> {
    config.check()?;
    let units = Units::new(rows)?;
    let mut found = Vec::with_capacity(groups.len());
    for (group, features) in groups {
        matrix::check(group, features.view(), 1)?;
        matrix::check_equal("rows", (group, features.nrows()), ("the labels", rows.labels.len()))?;
        let seed = seed.child(group);
        let design = probe::design(features.view());
        let draws = [config.folds, config.permutations];
        let (power, scores) = power(design.view(), rows.labels, &units, draws, seed.child("power"));
        let permutations = config.permutations;
        let instability = instability(
            design.view(),
            rows.labels,
            &units,
            permutations,
            seed.child("instability"),
        );
        let score = power.power.zip(instability.value).map(|(power, value)| power * value);
        let independence = independence(features.view());
        found.push(Detected {
            group: group.clone(),
            standing: Standing::Undecided,
            reason: String::new(),
            power,
            instability,
            score,
            independence,
            notebook_score: score.zip(independence).map(|(score, own)| score * (1.0 - own)),
            scores,
        });
    }
    let association: Vec<Option<f64>> = found.iter().map(|one| one.power.auc.p).collect();
    for (one, q) in found.iter_mut().zip(benjamini_hochberg_of(&association)) {
        one.power.auc.q = q;
    }
    // What does not tell the label cannot tell it differently: such groups would only dilute the family.
    let clear = |one: &Detected| one.power.auc.q.is_some_and(|q| q <= config.false_discovery_rate);
    let change: Vec<Option<f64>> = found
        .iter()
        .map(|one| one.instability.p.filter(|_| clear(one)))
        .collect();
    for (one, q) in found.iter_mut().zip(benjamini_hochberg_of(&change)) {
        one.instability.q = q;
        (one.standing, one.reason) = standing(one, config);
    }
    Ok(found)
}

fn standing(one: &Detected, config: &DetectionConfig) -> (Standing, String) {
    let undecided = |reason: String| (Standing::Undecided, reason);
    let (Some(association), Some(auc)) = (one.power.auc.q, one.power.auc.value) else {
        return undecided("cannot be tested: its rows hold one label only".into());
    };
    if association > config.false_discovery_rate {
        return undecided(format!(
            "does not tell the label (AUC {auc:.2}, q {association:.3}): neither a shortcut nor a cause shows"
        ));
    }
    let tested = one.instability.value.zip(one.instability.q).zip(one.instability.p);
    let (Some(((value, q), p)), Some(limit)) = (tested, one.instability.null_quantile) else {
        return undecided("is not identifiable: fewer than two environments hold both labels".into());
    };
    if q <= config.false_discovery_rate {
        let reason = format!(
            "tells the label (AUC {auc:.2}), but not alike everywhere: the AUC differs by {value:.2} between environments (q {q:.3})"
        );
        return (Standing::Shortcut, reason);
    }
    if p <= config.false_discovery_rate {
        return undecided(format!(
            "tells the label (AUC {auc:.2}), perhaps not alike everywhere: the AUC differs by {value:.2} between environments (p {p:.3}, but q {q:.3} over all groups)"
        ));
    }
    if limit <= config.tolerance {
        let reason = format!(
            "tells the label (AUC {auc:.2}) alike in all environments seen: the AUC differs by {value:.2}, as chance does (q {q:.2}); {limit:.2} would have been seen"
        );
        return (Standing::Genuine, reason);
    }
    undecided(format!(
        "tells the label (AUC {auc:.2}), but the environments are too small to see a change of its AUC: chance alone makes up to {limit:.2}, {:.2} is asked",
        config.tolerance
    ))
}

/// Rows that an environment needs to be compared, and blocks where rows move together: the AUC of fewer says little, and would make the null as wide as itself.
const LEAST_ROWS: usize = 30;
const LEAST_BLOCKS: usize = 3;

/// Rows that move together, and their environments.
pub(super) struct Units {
    pub(super) block: usize,
    /// Environments in ascending order.
    pub(super) environments: Vec<u32>,
    /// The place of each row's environment among them.
    pub(super) places: Vec<usize>,
    /// 0 or 1; where whole blocks move, labels are mixed within them and this is 0.
    class: Vec<u8>,
}

impl Units {
    pub(super) fn new(rows: &Rows) -> Result<Self, MatrixError> {
        let n = rows.labels.len();
        matrix::check_equal("rows", ("the environments", rows.environments.len()), ("the labels", n))?;
        if let Some(row) = rows.labels.iter().position(|&label| label != 0.0 && label != 1.0) {
            let (matrix, found) = ("the labels".into(), rows.labels[row]);
            return Err(MatrixError::Label { matrix, found, row });
        }
        let mut environments = rows.environments.to_vec();
        environments.sort_unstable();
        environments.dedup();
        let place = |environment: &u32| environments.binary_search(environment).unwrap_or(0);
        let places = rows.environments.iter().map(place).collect();
        let block = rows.block.max(1);
        let class = rows.labels.iter().map(|&y| u8::from(block == 1 && y > 0.5)).collect();
        Ok(Self {
            block,
            environments,
            places,
            class,
        })
    }

    /// The rows of environments that are large enough to be compared, what is left of the units there, and the environments that are too small.
    pub(super) fn comparable(&self) -> (Vec<usize>, Self, Vec<u32>) {
        let least = if self.block > 1 {
            LEAST_BLOCKS * self.block
        } else {
            LEAST_ROWS
        };
        let mut counts = vec![0; self.environments.len()];
        for &place in &self.places {
            counts[place] += 1;
        }
        let large = |place: usize| counts[place] >= least;
        let rows: Vec<usize> = (0..self.places.len()).filter(|&row| large(self.places[row])).collect();
        let kept: Vec<usize> = (0..counts.len()).filter(|&place| large(place)).collect();
        let again = |place: usize| kept.binary_search(&place).unwrap_or(0);
        let units = Self {
            block: self.block,
            environments: kept.iter().map(|&place| self.environments[place]).collect(),
            places: rows.iter().map(|&row| again(self.places[row])).collect(),
            class: rows.iter().map(|&row| self.class[row]).collect(),
        };
        let small = (0..counts.len()).filter(|&place| !large(place));
        let small = small.map(|place| self.environments[place]).collect();
        (rows, units, small)
    }

    /// Rows of each block, none across environments.
    pub(super) fn blocks(&self) -> Vec<Range<usize>> {
        let mut blocks = Vec::new();
        let mut start = 0;
        for row in 1..=self.places.len() {
            let ends = row == self.places.len() || self.places[row] != self.places[start] && self.block > 1;
            if ends || row - start == self.block {
                blocks.push(start..row);
                start = row;
            }
        }
        blocks
    }

    /// Environments permuted among rows of the same label, or among whole blocks.
    pub(super) fn permuted(&self, seed: Seed) -> Vec<usize> {
        let blocks = self.blocks();
        let mut rng = seed.rng();
        let mut places = self.places.clone();
        for class in [0, 1] {
            let own: Vec<&Range<usize>> = blocks.iter().filter(|block| self.class[block.start] == class).collect();
            for (block, donor) in own.iter().zip(rng.permutation(own.len())) {
                places[(*block).clone()].fill(self.places[own[donor].start]);
            }
        }
        places
    }

    /// Labels permuted among rows; those of series are shifted around it by at least a block, so that they keep their own dependence.
    pub(super) fn relabelled(&self, labels: &[f32], seed: Seed) -> Vec<f32> {
        let n = labels.len();
        let mut rng = seed.rng();
        if self.block == 1 || n <= 2 * self.block {
            return rng.permutation(n).into_iter().map(|row| labels[row]).collect();
        }
        let shift = self.block + rng.below(n - 2 * self.block + 1);
        (0..n).map(|row| labels[(row + shift) % n]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Estimate;

    /// At a rate of 0.05 and a tolerance of 0.1: q of the association; p and q of the change, and 95 % of its null.
    #[test]
    fn a_standing_says_no_more_than_its_tests() {
        use Standing::{Genuine, Shortcut, Undecided};

        let check = |association: Option<f64>, change: Option<[f64; 3]>, expected: Standing, says: &str| {
            let one = Detected {
                group: "group".into(),
                standing: Undecided,
                reason: String::new(),
                power: Power {
                    auc: Estimate {
                        q: association,
                        ..Estimate::point(0.8, 100)
                    },
                    power: Some(0.6),
                },
                instability: Instability {
                    value: change.map(|_| 0.2),
                    p: change.map(|[p, _, _]| p),
                    q: change.map(|[_, q, _]| q),
                    null_quantile: change.map(|[_, _, limit]| limit),
                    ..Instability::default()
                },
                score: None,
                independence: None,
                notebook_score: None,
                scores: Vec::new(),
            };
            let (found, reason) = standing(&one, &DetectionConfig::default());
            assert_eq!(found, expected, "{reason}");
            assert!(reason.contains(says), "{reason}");
        };
        check(None, None, Undecided, "cannot be tested");
        check(
            Some(0.06),
            Some([0.001, 0.001, 0.05]),
            Undecided,
            "does not tell the label",
        );
        check(Some(0.05), None, Undecided, "not identifiable");
        check(
            Some(0.05),
            Some([0.001, 0.05, 0.3]),
            Shortcut,
            "but not alike everywhere",
        );
        check(Some(0.01), Some([0.05, 0.06, 0.05]), Undecided, "perhaps not alike");
        check(
            Some(0.01),
            Some([0.06, 0.06, 0.1]),
            Genuine,
            "alike in all environments seen",
        );
        check(Some(0.01), Some([0.06, 0.06, 0.11]), Undecided, "too small to see");
    }
}
