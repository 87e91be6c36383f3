//! Our method, *invariant directions*: a linear model of those features, or directions, whose effect is the same in every environment.
//!
//! It uses the rows of the training environments only.
//!
//! 1. In each environment e the linear coefficients of the target on a set S of features are computed from second moments, with their
//!    covariance V: for a regression θ = C⁻¹c (C covariances of features, c those with the target) and V = s² C⁻¹ / n; for two classes
//!    Fisher's discriminant θ = C⁻¹δ (C within classes, δ the difference of class means), which depends on no class frequency, and
//!    V = (1/n₀ + 1/n₁) C⁻¹ + ((δᵀθ) C⁻¹ + θθᵀ) / n for normal rows.
//! 2. S is *invariant* if the coefficients are the same in all environments by Wald's test,
//!    Σ (θ_e - θ̄)ᵀ V_e⁻¹ (θ_e - θ̄) below the .999 quantile of χ² with (E - 1)|S| degrees of freedom, θ̄ weighted by V_e⁻¹; for two classes
//!    δ must be the same as well by the same test, with V = (1/n₀ + 1/n₁) C (a large shift of means is known to a smaller share of itself than
//!    its coefficient). All 1023 sets are tried, and of the invariant ones those kept that lie in no other.
//! 3. The same is done for ten *directions* instead of features: features made white within classes, rotated to the eigenvectors of
//!    Σ (C_e - C̄)² + Σ (δ_e - δ̄)(δ_e - δ̄)ᵀ, which gather what moves between environments in few directions. For problems whose
//!    features are mixtures.
//! 4. A model is fitted to its optimum on each set, and the one with the least error on held-out rows of the training
//!    environments is kept.
//!
//! Difference of class means can be seen to move in at most E - 1 directions. If they do move in E - 1 (Bartlett's test of the
//! last root, at the same level), further directions may move unseen: the invariant subspace is *not identified*, and held-out rows would choose a shortcut that
//! happens not to have moved. Then directions are used only where no set of features is invariant. (Example3s at 3 environments is such
//! a case: nothing in its training rows tells one direction of the shortcut from the small margin.)

use disentangle_analysis::linalg;
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use super::{
    converged::{axes, error, fit},
    local::Local,
    moments::Cholesky,
    objective::Theta,
    problem::{DIM, Rows},
};

/// The normal quantile of .999.
const LEVEL: f64 = 3.090_232_306_167_813_5;
/// Sets that are fitted at most.
const MOST_SETS: usize = 16;

/// What the model may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// Some of the features.
    Features,
    /// Some directions.
    Directions,
    /// Everything, because no set is invariant.
    All,
}

/// What was kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kept {
    /// Features or directions.
    pub basis: Basis,
    /// Which of the ten.
    pub members: Vec<usize>,
    /// Whether the environments are enough to see every direction that moves.
    pub identified: bool,
}

/// Fits it on `train`, with `validation` to choose among invariant sets; both of the training environments.
pub(super) fn invariant(train: &[Rows], validation: &[Rows], regression: bool) -> Option<(Theta, Kept)> {
    let local: Vec<Local> = train.iter().map(|rows| Local::of(rows, regression)).collect();
    let identified = regression || moving(&local).is_none_or(|all| !all);
    let mut sets: Vec<(Basis, Vec<usize>, Vec<[f64; DIM]>)> = Vec::new();
    let mut add = |basis: Basis, local: &[Local], directions: &[[f64; DIM]]| {
        for members in largest_invariant(local, regression) {
            let chosen = members.iter().map(|&i| directions[i]).collect();
            sets.push((basis, members, chosen));
        }
        sets.is_empty()
    };
    let none = add(Basis::Features, &local, &axes());
    if (identified || none)
        && let Some(directions) = directions(&local, regression)
    {
        let rotated: Vec<Local> = local.iter().map(|one| one.seen_along(&directions)).collect();
        add(Basis::Directions, &rotated, &directions);
    }
    if sets.is_empty() {
        sets.push((Basis::All, (0..DIM).collect(), axes()));
    }
    let fitted = sets.into_iter().filter_map(|(basis, members, chosen)| {
        let theta = fit(train, &chosen, regression)?;
        let kept = Kept {
            basis,
            members,
            identified,
        };
        Some((error(validation, &theta, regression), theta, kept))
    });
    // The first of equals: features before directions, larger sets before smaller ones.
    let best = fitted.min_by(|a, b| a.0.total_cmp(&b.0))?;
    Some((best.1, best.2))
}

/// Whether `set` has the same effects everywhere.
fn is_invariant(local: &[Local], set: &[usize], regression: bool) -> Option<bool> {
    let each: Vec<_> = local
        .iter()
        .map(|one| one.effects(set, regression))
        .collect::<Option<_>>()?;
    let limit = critical((local.len() - 1) * set.len());
    for which in 0..each.first()?.len() {
        let same: Vec<_> = each.iter().map(|effects| &effects[which]).collect();
        if wald(&same)? > limit {
            return Some(false);
        }
    }
    Some(true)
}

/// Wald's statistic of equality, from estimates and the inverses of their covariances.
fn wald(each: &[&(Array1<f64>, Array2<f64>)]) -> Option<f64> {
    let size = each.first()?.0.len();
    let mut total = Array2::<f64>::zeros((size, size));
    let mut weighted = Array1::<f64>::zeros(size);
    for (estimate, precision) in each {
        total += precision;
        weighted += &precision.dot(estimate);
    }
    let mean = Cholesky::of(&total)?.solve(&weighted);
    let parts = each.iter().map(|(estimate, precision)| {
        let away = estimate - &mean;
        away.dot(&precision.dot(&away))
    });
    Some(parts.sum())
}

/// The .999 quantile of χ² (Wilson and Hilferty 1931; within 3 %).
fn critical(freedom: usize) -> f64 {
    let part = 2.0 / (9.0 * freedom as f64);
    freedom as f64 * (1.0 - part + LEVEL * part.sqrt()).powi(3)
}

/// Invariant sets that lie in no other, the largest first.
fn largest_invariant(local: &[Local], regression: bool) -> Vec<Vec<usize>> {
    let mut masks: Vec<u32> = (1..1 << DIM).collect();
    masks.sort_by_key(|mask| std::cmp::Reverse(mask.count_ones()));
    let mut found: Vec<u32> = Vec::new();
    for mask in masks {
        if found.len() == MOST_SETS {
            break;
        }
        if found.iter().any(|larger| larger & mask == mask) {
            continue;
        }
        if is_invariant(local, &members(mask), regression) == Some(true) {
            found.push(mask);
        }
    }
    found.into_iter().map(members).collect()
}

fn members(mask: u32) -> Vec<usize> {
    (0..DIM).filter(|i| mask >> i & 1 == 1).collect()
}

/// Rows that make features white within classes (pooled over environments).
fn whitening(local: &[Local]) -> Option<Array2<f64>> {
    let pooled = local
        .iter()
        .fold(Array2::<f64>::zeros((DIM, DIM)), |sum, one| sum + &one.within)
        / local.len() as f64;
    let svd = linalg::svd(pooled.view()).ok()?;
    let mut white = svd.vt;
    for (mut row, value) in white.rows_mut().into_iter().zip(&svd.s) {
        if value.is_nan() || *value <= 0.0 {
            return None;
        }
        row /= value.sqrt();
    }
    Some(white)
}

/// Directions that gather what moves between environments.
fn directions(local: &[Local], regression: bool) -> Option<Vec<[f64; DIM]>> {
    let white = whitening(local)?;
    let rows = rows_of(&white);
    let seen: Vec<Local> = local.iter().map(|one| one.seen_along(&rows)).collect();
    let count = seen.len() as f64;
    let within = seen
        .iter()
        .fold(Array2::<f64>::zeros((DIM, DIM)), |sum, one| sum + &one.within)
        / count;
    let effect = seen
        .iter()
        .fold(Array1::<f64>::zeros(DIM), |sum, one| sum + &one.effect)
        / count;
    let mut moves = Array2::<f64>::zeros((DIM, DIM));
    for one in &seen {
        let away = &one.within - &within;
        moves += &away.dot(&away);
        if !regression {
            let away = (&one.effect - &effect).insert_axis(ndarray::Axis(1));
            moves += &away.dot(&away.t());
        }
    }
    let svd = linalg::svd(moves.view()).ok()?;
    Some(rows_of(&svd.vt.dot(&white)))
}

fn rows_of(matrix: &Array2<f64>) -> Vec<[f64; DIM]> {
    let rows = matrix.rows().into_iter();
    rows.map(|row| std::array::from_fn(|j| row[j])).collect()
}

/// Whether differences of class means move in as many directions as could be seen.
fn moving(local: &[Local]) -> Option<bool> {
    let rows = rows_of(&whitening(local)?);
    let seen: Vec<Local> = local.iter().map(|one| one.seen_along(&rows)).collect();
    let total: f64 = seen.iter().map(|one| 1.0 / one.rest).sum();
    let mean = seen
        .iter()
        .fold(Array1::<f64>::zeros(DIM), |sum, one| sum + &(&one.effect / one.rest))
        / total;
    // In standard errors, an environment a row.
    let away = Array2::from_shape_fn((seen.len(), DIM), |(e, j)| {
        (seen[e].effect[j] - mean[j]) / seen[e].rest.sqrt()
    });
    let roots = linalg::singular_values(away.view()).ok()?;
    let last = roots.get(seen.len().checked_sub(2)?)?;
    Some(last * last > critical(DIM + 2 - seen.len()))
}

#[cfg(test)]
mod tests {
    use disentangle_data::Seed;

    use super::*;
    use crate::invariance::problem::{HALF, Kind, Problem, Shortcut};

    fn found(kind: Kind, scrambled: bool) -> (f64, Kept) {
        let problem = Problem::new(kind, scrambled, Seed::new(11));
        let train = problem.split(3000, Shortcut::Kept, Seed::new(12));
        let validation = problem.split(3000, Shortcut::Kept, Seed::new(13));
        let test = problem.split(3000, Shortcut::Permuted, Seed::new(14));
        let (theta, kept) = invariant(&train, &validation, kind.is_regression()).unwrap();
        (error(&test, &theta, kind.is_regression()), kept)
    }

    #[test]
    fn the_causes_are_found_among_features() {
        let causes: Vec<usize> = (0..HALF).collect();
        let (test, kept) = found(Kind::Three, false);
        assert_eq!((kept.basis, kept.members), (Basis::Features, causes));
        assert!(test < 0.02, "{test}");
        let (test, _) = found(Kind::Two, false);
        assert!(test < 0.01, "{test}");
        let (test, _) = found(Kind::One, false);
        assert!(test < 11.5, "{test}");
    }

    #[test]
    fn mixtures_are_unmixed_where_environments_suffice() {
        let (test, kept) = found(Kind::Two, true);
        assert_eq!(kept.basis, Basis::Directions);
        assert!(test < 0.01 && kept.identified, "{test}");
        assert!(!found(Kind::Three, true).1.identified);
        assert!(!found(Kind::Three, false).1.identified);
    }

    #[test]
    fn quantiles_are_close_to_the_tables() {
        for (freedom, table) in [(1, 10.828), (2, 13.816), (9, 27.877), (20, 45.315)] {
            assert!(
                (critical(freedom) / table - 1.0).abs() < 0.035,
                "{freedom}: {}",
                critical(freedom)
            );
        }
    }
}
