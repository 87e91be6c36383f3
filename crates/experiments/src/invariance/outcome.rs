//! What is measured, and the published figures that it is held against.

use disentangle_analysis::{Estimate, over_seeds};
use serde::{Deserialize, Serialize};

use super::{
    directions::{Basis, Kept},
    methods::{self, ORACLE, OURS, Scores, least},
    problem::{HALF, PROBLEMS},
    reference::{self, Check},
    structural::{Errors, VARIANTS},
};

/// Everything that is measured: `metrics.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Of this layout.
    pub schema_version: u32,
    /// `run`.
    pub kind: String,
    /// `invariance`.
    pub experiment: String,
    /// The seed.
    pub seed: u64,
    /// How much was done.
    pub protocol: Protocol,
    /// Test errors, by problem and method.
    pub tests: Vec<Test>,
    /// What ours kept, by problem.
    pub kept: Vec<KeptSets>,
    /// The structural model, by row of the published table and method.
    pub structural: Vec<Structural>,
    /// Published figures beside ours.
    pub checks: Vec<Check>,
}

/// How much was done.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Protocol {
    /// Data seeds a problem.
    pub data_seeds: usize,
    /// Hyper-parameter draws a method.
    pub draws: usize,
    /// Steps of a training.
    pub steps: usize,
    /// Rows of an environment in regressions.
    pub rows: usize,
    /// Rows of an environment in classifications.
    pub logistic_rows: usize,
    /// Data seeds of the structural model.
    pub repeats: usize,
    /// Steps of a training of the structural model.
    pub iterations: usize,
}

/// One method on one problem.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Test {
    /// For example `Example2s`.
    pub problem: String,
    /// For example `IRMv1`.
    pub method: String,
    /// The draw of hyper-parameters that validation chose, from 0; undefined where nothing is drawn.
    pub draw: Option<usize>,
    /// Mean squared error on rows whose shortcut is permuted if the problem is a regression, else share of wrong labels.
    pub test: Estimate,
    /// The same on held-out rows of the training environments.
    pub validation: Estimate,
    /// The test error, had hyper-parameters been chosen by it ("oracle selection"); undefined where nothing is drawn.
    pub best_on_test: Option<Estimate>,
    /// The test error of every data seed.
    pub each: Vec<f64>,
}

/// What ours kept on one problem.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeptSets {
    /// The problem.
    pub problem: String,
    /// Of every data seed.
    pub each: Vec<Kept>,
}

/// One method on one row of the structural model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Structural {
    /// The row.
    pub variant: String,
    /// `OLS` or `IRMv1`.
    pub method: String,
    /// Mean squared error of the weights of causes.
    pub causal: Estimate,
    /// Mean squared error of the weights of effects.
    pub other: Estimate,
}

/// Whether a problem's error is a squared one.
pub(super) fn is_regression(problem: &str) -> bool {
    PROBLEMS
        .iter()
        .any(|(name, kind, _)| *name == problem && kind.is_regression())
}

impl Outcome {
    /// From every cell: `scores` by problem and data seed, `structural` by variant and repeat.
    pub(super) fn new(seed: u64, protocol: Protocol, scores: &[Vec<Scores>], structural: &[Vec<[Errors; 2]>]) -> Self {
        let (mut tests, mut kept) = (Vec::new(), Vec::new());
        for ((problem, ..), scores) in PROBLEMS.iter().zip(scores) {
            tests.extend(of_problem(problem, scores));
            kept.push(KeptSets {
                problem: (*problem).into(),
                each: scores.iter().map(|one| one.kept.clone()).collect(),
            });
        }
        let structural: Vec<Structural> = VARIANTS
            .iter()
            .zip(structural)
            .flat_map(|(variant, repeats)| {
                ["OLS", "IRMv1"]
                    .into_iter()
                    .enumerate()
                    .map(|(method, name)| Structural {
                        variant: variant.name.into(),
                        method: name.into(),
                        causal: over(repeats, |errors| Some(errors[method].causal)).within(0.0, f64::INFINITY),
                        other: over(repeats, |errors| Some(errors[method].other)).within(0.0, f64::INFINITY),
                    })
            })
            .collect();
        let checks = reference::checks(&protocol, &tests, &structural);
        Self {
            schema_version: 1,
            kind: "run".into(),
            experiment: "invariance".into(),
            seed,
            protocol,
            tests,
            kept,
            structural,
            checks,
        }
    }

    pub(super) fn test(&self, problem: &str, method: &str) -> Option<&Test> {
        self.tests
            .iter()
            .find(|test| test.problem == problem && test.method == method)
    }

    /// Methods in the order of the results.
    pub(super) fn methods(&self) -> Vec<&str> {
        let mut methods: Vec<&str> = Vec::new();
        for test in &self.tests {
            if !methods.contains(&test.method.as_str()) {
                methods.push(&test.method);
            }
        }
        methods
    }

    /// Whether ours lies below every published method on Example2 and Example3, its whole interval included.
    pub(super) fn better(&self) -> bool {
        ["Example2", "Example3"].iter().all(|problem| {
            let ours = self.test(problem, OURS);
            let published = reference::best_published(problem);
            ours.zip(published)
                .is_some_and(|(ours, (_, best))| ours.test.below(best))
        })
    }
}

impl KeptSets {
    /// Data seeds in which the environments show every direction that moves.
    pub(super) fn identified(&self) -> usize {
        self.each.iter().filter(|kept| kept.identified).count()
    }

    /// In words, for example `5 of 5 data seeds: 5.2 features`.
    pub(super) fn describe(&self) -> String {
        let of = |basis: Basis| self.each.iter().filter(move |kept| kept.basis == basis);
        let mean = |kept: &[&Kept], count: fn(&Kept) -> usize| {
            kept.iter().map(|one| count(one) as f64).sum::<f64>() / kept.len() as f64
        };
        let parts = [
            (Basis::Features, "features"),
            (Basis::Directions, "directions"),
            (Basis::All, "all, as no set is invariant"),
        ];
        let said = parts.into_iter().filter_map(|(basis, name)| {
            let own: Vec<&Kept> = of(basis).collect();
            (!own.is_empty()).then(|| {
                let size = mean(&own, |kept| kept.members.len());
                format!("{} of {} data seeds: {size:.1} {name}", own.len(), self.each.len())
            })
        });
        said.collect::<Vec<_>>().join("; ")
    }

    /// Mean number of kept features that are of the shortcut; `None` where the problem is scrambled or no features were kept.
    pub(super) fn shortcut_features(&self) -> Option<f64> {
        let own: Vec<&Kept> = self.each.iter().filter(|kept| kept.basis == Basis::Features).collect();
        let scrambled = PROBLEMS
            .iter()
            .any(|(name, _, scrambled)| *name == self.problem && *scrambled);
        let count: usize = own
            .iter()
            .map(|kept| kept.members.iter().filter(|i| **i >= HALF).count())
            .sum();
        (!scrambled && !own.is_empty()).then(|| count as f64 / own.len() as f64)
    }
}

fn of_problem(problem: &str, scores: &[Scores]) -> Vec<Test> {
    let methods = scores.first().map_or(&[][..], |one| &one.methods[..]);
    let each = methods.iter().enumerate().map(|(index, method)| {
        let all: Vec<&[methods::Errors]> = scores.iter().map(|one| &one.methods[index].draws[..]).collect();
        let at = |draw: usize, of: fn(&methods::Errors) -> f64| {
            bounded(problem, over(&all, |draws| draws.get(draw).map(of)))
        };
        let chosen = least(&all, |errors| errors.validation);
        let on_test = least(&all, |errors| errors.test);
        Test {
            problem: problem.into(),
            method: method.method.into(),
            draw: method.drawn.then_some(chosen),
            test: at(chosen, |errors| errors.test),
            validation: at(chosen, |errors| errors.validation),
            best_on_test: method.drawn.then(|| at(on_test, |errors| errors.test)),
            each: all.iter().filter_map(|draws| Some(draws.get(chosen)?.test)).collect(),
        }
    });
    each.collect()
}

fn bounded(problem: &str, estimate: Estimate) -> Estimate {
    estimate.within(0.0, if is_regression(problem) { f64::INFINITY } else { 1.0 })
}

fn over<T>(all: &[T], of: impl Fn(&T) -> Option<f64>) -> Estimate {
    over_seeds(&all.iter().map(of).collect::<Vec<_>>())
}

/// Whether a method saw permuted rows in training.
pub(super) fn is_oracle(method: &str) -> bool {
    method == ORACLE
}
