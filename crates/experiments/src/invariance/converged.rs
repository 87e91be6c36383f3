//! Linear models at their optimum: least squares in closed form, logistic regression by Newton's method.

use ndarray::{Array1, Array2};

use super::{
    logistic::{sigmoid, softplus},
    moments::{Cholesky, Moments},
    objective::{P, Theta, output},
    problem::{DIM, Rows},
};

/// Penalty ½ · 1e-6 · w² on weights of standardised directions: where classes can be separated there is no optimum without one.
const RIDGE: f64 = 1e-6;
const MOST_STEPS: usize = 100;

/// The model that only sees the given directions of the feature space (and a bias), trained to its optimum on all environments;
/// `None` where the directions depend on each other.
pub(super) fn fit(environments: &[Rows], directions: &[[f64; DIM]], regression: bool) -> Option<Theta> {
    let moments = Moments::mean(&environments.iter().map(Moments::of).collect::<Vec<_>>());
    // Directions of variance 1, and last the bias.
    let mut columns: Vec<Theta> = directions
        .iter()
        .map(|direction| standardised(direction, &moments))
        .collect();
    let mut bias = [0.0; P];
    bias[DIM] = 1.0;
    columns.push(bias);
    let weights = if regression {
        least_squares(&columns, &moments)?
    } else {
        newton(&columns, environments)?
    };
    let mut theta = [0.0; P];
    for (weight, column) in weights.iter().zip(&columns) {
        theta
            .iter_mut()
            .zip(column)
            .for_each(|(theta, entry)| *theta += weight * entry);
    }
    Some(theta)
}

/// Share of wrong labels, or mean squared error; the mean over environments.
pub(super) fn error(environments: &[Rows], theta: &Theta, regression: bool) -> f64 {
    let each = environments.iter().map(|rows| {
        let wrong = rows.x.iter().zip(&rows.y).map(|(x, y)| {
            let z = output(theta, x);
            match regression {
                true => (z - y).powi(2),
                false => f64::from(u8::from((z > 0.0) != (*y > 0.5))),
            }
        });
        wrong.sum::<f64>() / rows.y.len() as f64
    });
    each.sum::<f64>() / environments.len() as f64
}

/// The features themselves.
pub(super) fn axes() -> Vec<[f64; DIM]> {
    (0..DIM)
        .map(|i| std::array::from_fn(|j| f64::from(u8::from(i == j))))
        .collect()
}

fn standardised(direction: &[f64; DIM], moments: &Moments) -> Theta {
    let mut column = [0.0; P];
    column[..DIM].copy_from_slice(direction);
    let mean = output(&column, &std::array::from_fn(|j| moments.xx[DIM][j]));
    let square: f64 = column
        .iter()
        .zip(&moments.xx)
        .map(|(a, row)| a * output_of(&column, row))
        .sum();
    let deviation = (square - mean * mean).max(0.0).sqrt();
    let scale = if deviation > 0.0 { 1.0 / deviation } else { 0.0 };
    column = column.map(|entry| entry * scale);
    column[DIM] = -mean * scale;
    column
}

fn output_of(column: &Theta, row: &Theta) -> f64 {
    column.iter().zip(row).map(|(a, b)| a * b).sum()
}

fn least_squares(columns: &[Theta], moments: &Moments) -> Option<Array1<f64>> {
    let n = columns.len();
    let products: Vec<Theta> = columns
        .iter()
        .map(|column| std::array::from_fn(|i| output_of(column, &moments.xx[i])))
        .collect();
    let gram = Array2::from_shape_fn((n, n), |(i, j)| output_of(&columns[i], &products[j]));
    let cross = columns.iter().map(|column| output_of(column, &moments.xy)).collect();
    Some(Cholesky::of(&gram)?.solve(&cross))
}

fn newton(columns: &[Theta], environments: &[Rows]) -> Option<Array1<f64>> {
    let n = columns.len();
    let rows = environments.iter().flat_map(|one| one.x.iter().zip(&one.y));
    let seen: Vec<(Vec<f64>, f64)> = rows
        .map(|(x, y)| (columns.iter().map(|column| output(column, x)).collect(), *y))
        .collect();
    let share = 1.0 / seen.len() as f64;
    let penalty = |i: usize| if i + 1 < n { RIDGE } else { 0.0 };
    let of = |weights: &Array1<f64>, row: &[f64]| weights.iter().zip(row).map(|(w, x)| w * x).sum::<f64>();
    let value = |weights: &Array1<f64>| {
        let loss = seen.iter().map(|(row, y)| {
            let z = of(weights, row);
            softplus(z) - y * z
        });
        let decay: f64 = weights.iter().enumerate().map(|(i, w)| penalty(i) * w * w).sum();
        share * loss.sum::<f64>() + 0.5 * decay
    };
    let mut weights = Array1::<f64>::zeros(n);
    let mut reached = value(&weights);
    for _ in 0..MOST_STEPS {
        let mut gradient: Array1<f64> = (0..n).map(|i| penalty(i) * weights[i]).collect();
        // The least curvature keeps the bias solvable where all rows are far from the boundary.
        let mut hessian = Array2::from_diag(&(0..n).map(|i| penalty(i) + 1e-12).collect::<Array1<f64>>());
        for (row, y) in &seen {
            let p = sigmoid(of(&weights, row));
            let (slope, curvature) = (share * (p - y), share * p * (1.0 - p));
            for i in 0..n {
                gradient[i] += slope * row[i];
                for j in 0..=i {
                    hessian[[i, j]] += curvature * row[i] * row[j];
                }
            }
        }
        // Only the lower triangle is read.
        let step = Cholesky::of(&hessian)?.solve(&gradient);
        let decrease = step.dot(&gradient);
        if decrease.is_nan() || decrease <= 1e-14 {
            break;
        }
        let mut length = 1.0;
        loop {
            let tried = &weights - &(length * &step);
            let now = value(&tried);
            if now < reached {
                (weights, reached) = (tried, now);
                break;
            }
            length /= 2.0;
            if length < 1e-6 {
                return Some(weights);
            }
        }
    }
    Some(weights)
}

#[cfg(test)]
mod tests {
    use disentangle_data::Seed;

    use super::*;
    use crate::invariance::{
        logistic::Blocks,
        objective::Objective,
        problem::{Kind, Problem, Shortcut},
    };

    #[test]
    fn least_squares_leave_a_residual_that_is_orthogonal_to_all_that_was_seen() {
        let rows = Problem::new(Kind::One, true, Seed::new(1)).split(400, Shortcut::Kept, Seed::new(2));
        let theta = fit(&rows, &axes(), true).unwrap();
        let moments = Moments::mean(&rows.iter().map(Moments::of).collect::<Vec<_>>());
        for i in 0..P {
            let rest = output_of(&theta, &moments.xx[i]) - moments.xy[i];
            assert!(rest.abs() < 1e-10, "{i}: {rest}");
        }
        assert!((error(&rows, &theta, true) - moments.risk(&theta)).abs() < 1e-9);
        let two = fit(&rows, &axes()[..2], true).unwrap();
        assert!(two[2..DIM].iter().all(|weight| *weight == 0.0));
        assert!(error(&rows, &two, true) > error(&rows, &theta, true));
        assert!(
            fit(&rows, &[axes()[0], axes()[0]], true).is_none(),
            "the same direction twice"
        );
    }

    #[test]
    fn newton_ends_where_the_gradient_does() {
        let rows = Problem::new(Kind::Three, false, Seed::new(1)).split(400, Shortcut::Kept, Seed::new(2));
        // On the small margin alone classes overlap.
        let theta = fit(&rows, &axes()[..5], false).unwrap();
        let mut blocks: [Blocks; 3] = std::array::from_fn(|e| Blocks::of(&rows[e], false));
        let gradient = Objective::Erm.gradient(0.0, &mut blocks, &theta);
        for i in (0..5).chain([DIM]) {
            assert!(gradient[i].abs() < 1e-5, "{i}: {}", gradient[i]);
        }
        // Five margins of one standard deviation: wrong with probability Φ(-√5) = .0127.
        assert!((error(&rows, &theta, false) - 0.0127).abs() < 0.015);
    }

    #[test]
    fn converged_regression_sees_the_faint_animal() {
        let problem = Problem::new(Kind::Two, true, Seed::new(5));
        let theta = fit(&problem.split(1000, Shortcut::Kept, Seed::new(6)), &axes(), false).unwrap();
        let test = problem.split(1000, Shortcut::Permuted, Seed::new(7));
        assert!(error(&test, &theta, false) < 0.01);
    }
}
