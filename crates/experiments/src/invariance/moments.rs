//! Second moments of an environment: all that a least-squares training needs of its rows, and solves of the size of the model.

use ndarray::{Array1, Array2};

use super::{
    objective::{Environment, P, Terms, Theta},
    problem::{DIM, Rows},
};

/// Means over rows of x xᵀ, x y and y², where x ends with a 1 for the bias.
#[derive(Clone, Debug)]
pub(super) struct Moments {
    pub(super) xx: [[f64; P]; P],
    pub(super) xy: Theta,
    pub(super) yy: f64,
}

impl Moments {
    pub(super) fn of(rows: &Rows) -> Self {
        let mut sums = Self {
            xx: [[0.0; P]; P],
            xy: [0.0; P],
            yy: 0.0,
        };
        let share = 1.0 / rows.y.len() as f64;
        for (x, y) in rows.x.iter().zip(&rows.y) {
            let mut one = [1.0; P];
            one[..DIM].copy_from_slice(x);
            for i in 0..P {
                for j in 0..P {
                    sums.xx[i][j] += share * one[i] * one[j];
                }
                sums.xy[i] += share * one[i] * y;
            }
            sums.yy += share * y * y;
        }
        sums
    }

    /// Of all environments, each with the same weight.
    pub(super) fn mean(all: &[Self]) -> Self {
        let share = 1.0 / all.len() as f64;
        Self {
            xx: std::array::from_fn(|i| {
                std::array::from_fn(|j| share * all.iter().map(|one| one.xx[i][j]).sum::<f64>())
            }),
            xy: std::array::from_fn(|i| share * all.iter().map(|one| one.xy[i]).sum::<f64>()),
            yy: share * all.iter().map(|one| one.yy).sum::<f64>(),
        }
    }

    fn product(&self, theta: &Theta) -> Theta {
        std::array::from_fn(|i| dot(&self.xx[i], theta))
    }

    /// Mean squared error.
    #[cfg(test)]
    pub(super) fn risk(&self, theta: &Theta) -> f64 {
        dot(theta, &self.product(theta)) - 2.0 * dot(theta, &self.xy) + self.yy
    }
}

impl Environment for Moments {
    fn terms(&mut self, theta: &Theta) -> Terms {
        let product = self.product(theta);
        let (square, cross) = (dot(theta, &product), dot(theta, &self.xy));
        Terms {
            risk: square - 2.0 * cross + self.yy,
            scale: 2.0 * (square - cross),
            shift: 2.0 * (product[DIM] - self.xy[DIM]),
        }
    }

    fn add_gradient(&self, theta: &Theta, weights: &Terms, into: &mut Theta) {
        let product = self.product(theta);
        for i in 0..P {
            into[i] += 2.0
                * (weights.risk * (product[i] - self.xy[i])
                    + weights.scale * (2.0 * product[i] - self.xy[i])
                    + weights.shift * self.xx[DIM][i]);
        }
    }
}

fn dot(a: &Theta, b: &Theta) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The lower factor L of a positive definite A = L Lᵀ; `None` for any other A.
pub(super) struct Cholesky(Array2<f64>);

impl Cholesky {
    pub(super) fn of(a: &Array2<f64>) -> Option<Self> {
        let n = a.nrows();
        let mut l = Array2::<f64>::zeros((n, n));
        for j in 0..n {
            let pivot = a[[j, j]] - (0..j).map(|k| l[[j, k]] * l[[j, k]]).sum::<f64>();
            if pivot.is_nan() || pivot <= 1e-14 * a[[j, j]].abs() {
                return None;
            }
            l[[j, j]] = pivot.sqrt();
            for i in j + 1..n {
                let inner: f64 = (0..j).map(|k| l[[i, k]] * l[[j, k]]).sum();
                l[[i, j]] = (a[[i, j]] - inner) / l[[j, j]];
            }
        }
        Some(Self(l))
    }

    pub(super) fn solve(&self, b: &Array1<f64>) -> Array1<f64> {
        let (l, n) = (&self.0, b.len());
        let mut x = b.clone();
        for i in 0..n {
            let known: f64 = (0..i).map(|k| l[[i, k]] * x[k]).sum();
            x[i] = (x[i] - known) / l[[i, i]];
        }
        for i in (0..n).rev() {
            let known: f64 = (i + 1..n).map(|k| l[[k, i]] * x[k]).sum();
            x[i] = (x[i] - known) / l[[i, i]];
        }
        x
    }

    pub(super) fn inverse(&self) -> Array2<f64> {
        let n = self.0.nrows();
        let mut inverse = Array2::zeros((n, n));
        for j in 0..n {
            let mut unit = Array1::zeros(n);
            unit[j] = 1.0;
            inverse.column_mut(j).assign(&self.solve(&unit));
        }
        inverse
    }
}

#[cfg(test)]
mod tests {
    use disentangle_data::Seed;
    use ndarray::array;

    use super::*;
    use crate::invariance::{
        objective::output,
        problem::{Kind, Problem, Shortcut},
    };

    #[test]
    fn the_risk_from_moments_is_that_of_the_rows() {
        let rows = &Problem::new(Kind::One, true, Seed::new(3)).split(501, Shortcut::Kept, Seed::new(4))[2];
        let theta: Theta = std::array::from_fn(|i| 0.3 - 0.1 * i as f64);
        let squares = rows.x.iter().zip(&rows.y).map(|(x, y)| (output(&theta, x) - y).powi(2));
        let expected = squares.sum::<f64>() / 501.0;
        assert!((Moments::of(rows).risk(&theta) / expected - 1.0).abs() < 1e-10);
    }

    #[test]
    fn solves_and_inverses_are_exact_and_what_is_not_definite_is_refused() {
        let a = array![[4.0, 2.0, 0.5], [2.0, 3.0, 1.0], [0.5, 1.0, 2.0]];
        let factor = Cholesky::of(&a).unwrap();
        let x = factor.solve(&array![1.0, -2.0, 3.0]);
        assert!(
            (a.dot(&x) - array![1.0, -2.0, 3.0])
                .iter()
                .all(|rest| rest.abs() < 1e-12)
        );
        assert!(
            (a.dot(&factor.inverse()) - Array2::<f64>::eye(3))
                .iter()
                .all(|rest| rest.abs() < 1e-12)
        );
        assert!(Cholesky::of(&array![[1.0, 2.0], [2.0, 4.0]]).is_none());
        assert!(Cholesky::of(&array![[f64::NAN]]).is_none());
    }
}
