//! One problem and one data seed: every method with every draw of its hyper-parameters.
//!
//! As in the published runs the draws are the same for all data seeds, and the one is chosen whose validation error is least in the
//! mean over data seeds.

use disentangle_data::Seed;

use super::{
    converged::{axes, error, fit},
    directions::{Kept, invariant},
    logistic::Blocks,
    moments::Moments,
    objective::{Draw, Objective, P, Theta, train},
    problem::{DIM, Kind, PROBLEMS, Problem, Rows, Shortcut},
};
use crate::ExperimentError;

/// Trained by Adam over draws of hyper-parameters, in the order of the results.
const TRAINED: [(&str, Objective); 4] = [
    ("ERM", Objective::Erm),
    ("IRMv1", Objective::Irm),
    ("V-REx", Objective::Vrex),
    (ORACLE, Objective::Erm),
];
/// ERM whose training and validation rows have their shortcut permuted as well: what can be reached.
pub(super) const ORACLE: &str = "Oracle";
/// ERM at its optimum.
pub(super) const CONVERGED: &str = "converged ERM";
/// Ours.
pub(super) const OURS: &str = "invariant directions";

/// Learning rate, decay and 1 - λ of the published runs: the authors' defaults, and what their code draws for the seeds 1001 to 1019 of
/// Python's generator. The published error of ERM on Example2 is that of the second; a rate and decay a little further on would give 0.
const DRAWS: [(f64, f64, f64); 20] = [
    (1e-3, 0.0, 0.1),
    (3.9201e-3, 1.7160e-6, 1.1289e-1),
    (1.1013e-3, 4.8417e-5, 3.9496e-3),
    (9.8783e-4, 2.7540e-5, 8.9036e-2),
    (6.9542e-4, 8.0247e-3, 4.5275e-2),
    (9.2517e-4, 4.0619e-3, 2.8258e-2),
    (4.9345e-4, 8.2142e-6, 1.0801e-3),
    (5.1508e-3, 1.5920e-3, 4.0121e-2),
    (1.0956e-3, 6.8170e-3, 8.2947e-3),
    (2.2929e-4, 8.9012e-5, 1.6199e-3),
    (2.1979e-3, 2.6682e-3, 4.6435e-3),
    (5.4180e-4, 1.3276e-6, 3.0143e-3),
    (4.7528e-4, 3.7955e-6, 3.6494e-3),
    (6.4722e-3, 1.1543e-3, 7.2145e-2),
    (1.0742e-3, 9.0587e-6, 1.2422e-3),
    (1.6126e-4, 1.5988e-5, 3.3331e-1),
    (5.3662e-4, 3.6458e-5, 8.7394e-3),
    (9.1755e-4, 3.4738e-4, 3.2742e-3),
    (6.1369e-4, 1.2138e-3, 8.2125e-2),
    (1.1709e-4, 7.1899e-6, 1.2562e-1),
];

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    /// Rows of an environment in regressions.
    pub(super) rows: usize,
    /// The same in classifications, where every step reads them all.
    pub(super) logistic_rows: usize,
    pub(super) steps: usize,
    pub(super) draws: usize,
}

/// Errors of one trained model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Errors {
    /// On held-out rows of the training environments.
    pub(super) validation: f64,
    /// On rows whose shortcut is permuted.
    pub(super) test: f64,
}

/// Errors of one method, a draw each; a single one where nothing is drawn.
#[derive(Clone, Debug)]
pub(super) struct Score {
    pub(super) method: &'static str,
    pub(super) drawn: bool,
    pub(super) draws: Vec<Errors>,
}

/// Everything of one problem and one data seed.
#[derive(Clone, Debug)]
pub(super) struct Scores {
    pub(super) methods: Vec<Score>,
    pub(super) kept: Kept,
}

/// Rows that a method learns from and is chosen by.
struct Splits {
    train: Vec<Rows>,
    validation: Vec<Rows>,
}

/// Runs the `problem`-th problem on the data of `seed`, with draws beyond the published ones from `draws`; `go_on` fails when the run is
/// to stop.
pub(super) fn scores(
    problem: usize,
    seed: Seed,
    draws: Seed,
    effort: Effort,
    go_on: impl Fn() -> Result<(), ExperimentError>,
) -> Result<Scores, ExperimentError> {
    let (name, kind, scrambled) = PROBLEMS[problem];
    let problem = Problem::new(kind, scrambled, seed.child("problem"));
    let regression = kind.is_regression();
    let rows = if regression { effort.rows } else { effort.logistic_rows };
    let splits = |shortcut: Shortcut, name: &str| Splits {
        train: problem.split(rows, shortcut, seed.child(name).child("train")),
        validation: problem.split(rows, shortcut, seed.child(name).child("validation")),
    };
    let (kept, permuted) = (splits(Shortcut::Kept, "kept"), splits(Shortcut::Permuted, "permuted"));
    let test = problem.split(rows, Shortcut::Permuted, seed.child("test"));
    let errors = |own: &Splits, theta: &Theta| Errors {
        validation: finite(error(&own.validation, theta, regression)),
        test: finite(error(&test, theta, regression)),
    };
    let mut methods = Vec::new();
    for (method, objective) in TRAINED {
        let own = if method == ORACLE { &permuted } else { &kept };
        let mut tried = Vec::with_capacity(effort.draws);
        for index in 0..effort.draws {
            go_on()?;
            let start = seed.child(method).index(index as u64);
            let draw = Draw::new(objective, index, draws.child(method), start);
            let theta = trained(problem.kind(), &own.train, objective, &draw, effort.steps);
            tried.push(errors(own, &theta));
        }
        methods.push(Score {
            method,
            drawn: true,
            draws: tried,
        });
    }
    go_on()?;
    let failed = || ExperimentError::Failed(format!("{name}: the features depend on each other linearly"));
    let mut add = |method: &'static str, theta: &Theta| {
        methods.push(Score {
            method,
            drawn: false,
            draws: vec![errors(&kept, theta)],
        });
    };
    add(CONVERGED, &fit(&kept.train, &axes(), regression).ok_or_else(failed)?);
    let (theta, seen) = invariant(&kept.train, &kept.validation, regression).ok_or_else(failed)?;
    add(OURS, &theta);
    Ok(Scores { methods, kept: seen })
}

/// A training that ran away is the worst, whatever the sign of its NaN.
fn finite(error: f64) -> f64 {
    if error.is_finite() { error } else { f64::MAX }
}

/// The draw whose mean over data seeds is least, the first of equals; `each` holds the errors of all draws for every data seed.
pub(super) fn least(each: &[&[Errors]], of: fn(&Errors) -> f64) -> usize {
    let draws = each.iter().map(|draws| draws.len()).min().unwrap_or(0);
    let mean = |draw: usize| {
        each.iter()
            .map(|draws| of(&draws[draw]) / each.len() as f64)
            .sum::<f64>()
    };
    (0..draws).min_by(|&a, &b| mean(a).total_cmp(&mean(b))).unwrap_or(0)
}

fn trained(kind: Kind, rows: &[Rows], objective: Objective, draw: &Draw, steps: usize) -> Theta {
    if kind.is_regression() {
        train(
            &mut std::array::from_fn(|e| Moments::of(&rows[e])),
            objective,
            draw,
            steps,
        )
    } else {
        let with_risk = objective == Objective::Vrex;
        train(
            &mut std::array::from_fn(|e| Blocks::of(&rows[e], with_risk)),
            objective,
            draw,
            steps,
        )
    }
}

impl Draw {
    /// The `index`-th draw: as published, and beyond those from the same ranges. The start is that of PyTorch's linear layers. β of V-REx,
    /// which Aubin et al. do not run, is drawn as in DomainBed.
    fn new(objective: Objective, index: usize, draws: Seed, start: Seed) -> Self {
        let mut rng = draws.index(index as u64).rng();
        let mut power = |low: f64, high: f64| 10f64.powf(low + (high - low) * rng.uniform());
        let drawn = (power(-4.0, -2.0), power(-6.0, -2.0), power(-3.0, -0.3));
        let (rate, decay, rest) = DRAWS.get(index).copied().unwrap_or(drawn);
        let strength = match objective {
            Objective::Erm => 0.0,
            Objective::Irm => 1.0 - rest,
            Objective::Vrex => power(-1.0, 5.0),
        };
        let (bound, mut rng) = (1.0 / (DIM as f64).sqrt(), start.rng());
        let start: [f64; P] = std::array::from_fn(|_| bound * (2.0 * rng.uniform() - 1.0));
        Self {
            rate,
            decay,
            strength,
            start,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EFFORT: Effort = Effort {
        rows: 2000,
        logistic_rows: 500,
        steps: 2000,
        draws: 2,
    };

    #[test]
    fn draws_are_the_published_ones_and_lie_in_their_ranges() {
        let new = |objective: Objective, index: usize| Draw::new(objective, index, Seed::new(1), Seed::new(2));
        let first = new(Objective::Irm, 0);
        assert_eq!((first.rate, first.decay, first.strength), (1e-3, 0.0, 0.9));
        for index in 1..200 {
            let draw = new(Objective::Irm, index);
            assert!((1e-4..1e-2).contains(&draw.rate) && (1e-6..1e-2).contains(&draw.decay));
            assert!((0.498..0.9991).contains(&draw.strength), "{index}");
            assert!(draw.start.iter().all(|w| w.abs() <= 0.3163));
            assert!((0.1..1e5).contains(&new(Objective::Vrex, index).strength));
        }
    }

    #[test]
    fn shortcuts_win_held_out_rows_and_lose_the_test() {
        let scores = scores(2, Seed::new(1), Seed::new(2), EFFORT, || Ok(())).unwrap();
        let of = |name: &str| {
            let score = scores.methods.iter().find(|score| score.method == name).unwrap();
            score.draws[least(&[&score.draws], |one| one.validation)]
        };
        assert!(of("ERM").validation < 0.01 && of("ERM").test > 0.3);
        assert!(of(ORACLE).test < 0.05 && of(OURS).test < 0.05);
    }

    #[test]
    fn one_draw_is_chosen_for_all_data_seeds() {
        let errors = |validation: f64| Errors { validation, test: 0.0 };
        let (first, second) = (
            [errors(0.3), errors(0.0), errors(0.2)],
            [errors(0.0), errors(0.5), errors(0.0)],
        );
        assert_eq!(least(&[&first], |one| one.validation), 1);
        assert_eq!(least(&[&first, &second], |one| one.validation), 2);
        assert_eq!(least(&[&first, &second], |one| one.test), 0, "the first of equals");
        assert_eq!(finite(f64::NAN), f64::MAX);
    }

    #[test]
    fn a_stop_is_heeded() {
        let stopped = scores(0, Seed::new(1), Seed::new(2), EFFORT, || {
            Err(ExperimentError::Interrupted)
        });
        assert!(matches!(stopped, Err(ExperimentError::Interrupted)));
    }
}
