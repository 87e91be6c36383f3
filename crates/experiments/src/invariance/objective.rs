//! What the published methods minimise, from a few numbers of each environment.

use super::{
    adam::Adam,
    problem::{DIM, ENVIRONMENTS},
};

/// Weights of the features and, last, the bias.
pub(super) const P: usize = DIM + 1;
/// Parameters of a linear model.
pub(super) type Theta = [f64; P];

/// Of one environment: the risk, and its derivatives by a factor and by a shift of the output (at 1 and 0) - or a weight for each.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Terms {
    pub(super) risk: f64,
    pub(super) scale: f64,
    pub(super) shift: f64,
}

/// The rows of one environment, or what is known of them.
pub(super) trait Environment {
    /// At `theta`.
    fn terms(&mut self, theta: &Theta) -> Terms;

    /// Adds the gradient of `weights.risk` · risk + `weights.scale` · scale + `weights.shift` · shift, at the `theta` that `terms` was
    /// asked for last.
    fn add_gradient(&self, theta: &Theta, weights: &Terms, into: &mut Theta);
}

/// What is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Objective {
    /// Mean risk.
    Erm,
    /// (1 - λ) mean risk + λ Σ (scale² + shift²).
    Irm,
    /// Mean risk + β · variance of the risk over environments (Krueger et al. 2021).
    Vrex,
}

impl Objective {
    /// The value, from every environment's terms.
    #[cfg(test)]
    pub(super) fn value(self, strength: f64, terms: &[Terms]) -> f64 {
        let n = terms.len() as f64;
        let mean = terms.iter().map(|t| t.risk).sum::<f64>() / n;
        match self {
            Objective::Erm => mean,
            Objective::Irm => {
                let penalty: f64 = terms.iter().map(|t| t.scale * t.scale + t.shift * t.shift).sum();
                (1.0 - strength) * mean + strength * penalty
            }
            Objective::Vrex => mean + strength * terms.iter().map(|t| (t.risk - mean).powi(2)).sum::<f64>() / n,
        }
    }

    /// Derivatives of the value by every term.
    fn weights(self, strength: f64, terms: &[Terms; ENVIRONMENTS]) -> [Terms; ENVIRONMENTS] {
        let n = ENVIRONMENTS as f64;
        let mean = terms.iter().map(|t| t.risk).sum::<f64>() / n;
        terms.map(|t| match self {
            Objective::Erm => Terms {
                risk: 1.0 / n,
                ..Terms::default()
            },
            Objective::Irm => Terms {
                risk: (1.0 - strength) / n,
                scale: 2.0 * strength * t.scale,
                shift: 2.0 * strength * t.shift,
            },
            Objective::Vrex => Terms {
                risk: (1.0 + 2.0 * strength * (t.risk - mean)) / n,
                ..Terms::default()
            },
        })
    }

    /// The gradient at `theta`.
    pub(super) fn gradient<E: Environment>(
        self,
        strength: f64,
        environments: &mut [E; ENVIRONMENTS],
        theta: &Theta,
    ) -> Theta {
        let mut terms = [Terms::default(); ENVIRONMENTS];
        for (terms, environment) in terms.iter_mut().zip(environments.iter_mut()) {
            *terms = environment.terms(theta);
        }
        let mut gradient = [0.0; P];
        for (weights, environment) in self.weights(strength, &terms).iter().zip(environments) {
            environment.add_gradient(theta, weights, &mut gradient);
        }
        gradient
    }
}

/// One draw of hyper-parameters, and where its training starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draw {
    pub(super) rate: f64,
    pub(super) decay: f64,
    /// λ or β.
    pub(super) strength: f64,
    pub(super) start: Theta,
}

/// Full-batch Adam; the decay (L2) is part of the gradient.
pub(super) fn train<E: Environment>(
    environments: &mut [E; ENVIRONMENTS],
    objective: Objective,
    draw: &Draw,
    steps: usize,
) -> Theta {
    let (mut theta, mut adam) = (draw.start, Adam::new());
    for _ in 0..steps {
        let mut gradient = objective.gradient(draw.strength, environments, &theta);
        for (gradient, theta) in gradient.iter_mut().zip(&theta) {
            *gradient += draw.decay * theta;
        }
        adam.step(&mut theta, &gradient, draw.rate);
    }
    theta
}

/// The output for one row.
pub(super) fn output(theta: &Theta, x: &[f64; DIM]) -> f64 {
    theta[DIM] + x.iter().zip(theta).map(|(x, weight)| x * weight).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use disentangle_data::Seed;

    use super::*;
    use crate::invariance::{
        logistic::Blocks,
        moments::Moments,
        problem::{Kind, Problem, Rows, Shortcut},
    };

    fn data(kind: Kind) -> Vec<Rows> {
        Problem::new(kind, true, Seed::new(3)).split(301, Shortcut::Kept, Seed::new(4))
    }

    fn theta() -> Theta {
        std::array::from_fn(|i| 0.4 * (i as f64 * 1.7).sin())
    }

    /// The same by differences of the value.
    fn agree<E: Environment>(mut environments: [E; ENVIRONMENTS], objective: Objective, strength: f64) {
        let exact = objective.gradient(strength, &mut environments, &theta());
        for i in 0..P {
            let mut at = |step: f64| {
                let mut moved = theta();
                moved[i] += step;
                let terms: Vec<Terms> = environments.iter_mut().map(|e| e.terms(&moved)).collect();
                objective.value(strength, &terms)
            };
            let differences = (at(1e-5) - at(-1e-5)) / 2e-5;
            let scale = 1.0 + exact[i].abs();
            assert!(
                (exact[i] - differences).abs() < 1e-6 * scale,
                "{objective:?} {i}: {} against {differences}",
                exact[i]
            );
        }
    }

    #[test]
    fn gradients_are_those_of_the_values() {
        for (objective, strength) in [(Objective::Erm, 0.0), (Objective::Irm, 0.7), (Objective::Vrex, 3.0)] {
            let one = data(Kind::One);
            agree(std::array::from_fn(|e| Moments::of(&one[e])), objective, strength);
            for kind in [Kind::Two, Kind::Three] {
                let rows = data(kind);
                agree(std::array::from_fn(|e| Blocks::of(&rows[e], true)), objective, strength);
            }
        }
    }

    /// Least squares asked row by row.
    struct ByRow(Rows);

    impl Environment for ByRow {
        fn terms(&mut self, theta: &Theta) -> Terms {
            let n = self.0.y.len() as f64;
            let mut terms = Terms::default();
            for (x, y) in self.0.x.iter().zip(&self.0.y) {
                let z = output(theta, x);
                terms.risk += (z - y).powi(2) / n;
                terms.scale += 2.0 * (z - y) * z / n;
                terms.shift += 2.0 * (z - y) / n;
            }
            terms
        }

        fn add_gradient(&self, theta: &Theta, weights: &Terms, into: &mut Theta) {
            let n = self.0.y.len() as f64;
            for (x, y) in self.0.x.iter().zip(&self.0.y) {
                let z = output(theta, x);
                let by_output = 2.0 * (weights.risk * (z - y) + weights.scale * (2.0 * z - y) + weights.shift) / n;
                for (into, x) in into.iter_mut().zip(x.iter().chain(&[1.0])) {
                    *into += by_output * x;
                }
            }
        }
    }

    #[test]
    fn adam_from_moments_is_adam_from_rows() {
        let rows = data(Kind::One);
        let draw = Draw {
            rate: 0.01,
            decay: 1e-3,
            strength: 0.8,
            start: theta(),
        };
        for objective in [Objective::Erm, Objective::Irm, Objective::Vrex] {
            let mut moments: [_; ENVIRONMENTS] = std::array::from_fn(|e| Moments::of(&rows[e]));
            let mut by_row: [_; ENVIRONMENTS] = std::array::from_fn(|e| ByRow(rows[e].clone()));
            let ours = train(&mut moments, objective, &draw, 200);
            let expected = train(&mut by_row, objective, &draw, 200);
            assert!(
                ours.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-8),
                "{objective:?}"
            );
        }
    }
}
