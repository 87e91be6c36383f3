//! The six problems of Aubin et al. (2021), "Linear unit-tests for invariance discovery", at 3 environments and 5 + 5 dimensions.

use disentangle_data::{Random, Seed};

/// Dimensions that cause (or are caused by) the target in the same way everywhere, and as many of the shortcut.
pub(super) const HALF: usize = 5;
/// Features.
pub(super) const DIM: usize = 2 * HALF;
/// Training environments.
pub(super) const ENVIRONMENTS: usize = 3;

/// Which problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Regression: five causes and five effects of the target, under noise that grows from environment to environment.
    One,
    /// Cows and camels: a faint foreground that decides the label, a strong background that mostly goes with it.
    Two,
    /// A small margin that is the same everywhere, and a large one whose direction is the environment's own.
    Three,
}

/// Whether the shortcut dimensions still belong to their rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shortcut {
    /// As in training.
    Kept,
    /// In another order of rows within the environment, as in the test.
    Permuted,
}

/// Rows of one environment.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    pub(super) x: Vec<[f64; DIM]>,
    pub(super) y: Vec<f64>,
}

/// A problem with what is drawn once a data seed.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    kind: Kind,
    /// Hides the dimensions; the identity unless scrambled.
    rotation: [[f64; DIM]; DIM],
    w_xy: [[f64; HALF]; HALF],
    w_yz: [[f64; HALF]; HALF],
    centres: [[f64; HALF]; ENVIRONMENTS],
}

/// The published names, with what they mean.
pub(super) const PROBLEMS: [(&str, Kind, bool); 6] = [
    ("Example1", Kind::One, false),
    ("Example2", Kind::Two, false),
    ("Example3", Kind::Three, false),
    ("Example1s", Kind::One, true),
    ("Example2s", Kind::Two, true),
    ("Example3s", Kind::Three, true),
];

impl Kind {
    /// Squared error if so, else share of wrong labels.
    pub(super) fn is_regression(self) -> bool {
        self == Kind::One
    }
}

impl Problem {
    pub(super) fn new(kind: Kind, scrambled: bool, seed: Seed) -> Self {
        let mut rng = seed.rng();
        let w_xy = normals(&mut rng, 1.0 / HALF as f64);
        let w_yz = normals(&mut rng, 1.0 / HALF as f64);
        let centres = normals(&mut rng, 1.0);
        let rotation = if scrambled {
            random_rotation(&mut rng)
        } else {
            std::array::from_fn(|i| std::array::from_fn(|j| f64::from(u8::from(i == j))))
        };
        Self {
            kind,
            rotation,
            w_xy,
            w_yz,
            centres,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Fresh rows of all environments.
    pub(super) fn split(&self, rows: usize, shortcut: Shortcut, seed: Seed) -> Vec<Rows> {
        (0..ENVIRONMENTS)
            .map(|environment| self.sample(rows, environment, shortcut, seed.index(environment as u64)))
            .collect()
    }

    fn sample(&self, rows: usize, environment: usize, shortcut: Shortcut, seed: Seed) -> Rows {
        let mut rng = seed.rng();
        let (mut own, mut other) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        let mut y = Vec::with_capacity(rows);
        for row in 0..rows {
            let (x, z, target) = match self.kind {
                Kind::One => self.regression(environment, &mut rng),
                Kind::Two => cows_and_camels(environment, &mut rng),
                Kind::Three => self.margins(environment, 2 * row >= rows, &mut rng),
            };
            own.push(x);
            other.push(z);
            y.push(target);
        }
        if shortcut == Shortcut::Permuted {
            rng.shuffle(&mut other);
        }
        let x = own.iter().zip(&other).map(|(x, z)| self.rotated(x, z)).collect();
        Rows { x, y }
    }

    fn rotated(&self, x: &[f64; HALF], z: &[f64; HALF]) -> [f64; DIM] {
        let mut out = [0.0; DIM];
        for (value, row) in x.iter().chain(z).zip(&self.rotation) {
            for (out, entry) in out.iter_mut().zip(row) {
                *out += value * entry;
            }
        }
        out
    }

    fn regression(&self, environment: usize, rng: &mut Random) -> ([f64; HALF], [f64; HALF], f64) {
        let scale = [0.1, 1.5, 2.0][environment];
        let x: [f64; HALF] = std::array::from_fn(|_| scale * rng.normal());
        let y = times(&x, &self.w_xy).map(|y| y + scale * rng.normal());
        let z = times(&y, &self.w_yz).map(|z| z + rng.normal());
        (x, z, y.iter().sum())
    }

    fn margins(&self, environment: usize, second: bool, rng: &mut Random) -> ([f64; HALF], [f64; HALF], f64) {
        let sign = if second { -1.0 } else { 1.0 };
        let x = std::array::from_fn(|_| 0.1 * sign + 0.1 * rng.normal());
        let z = self.centres[environment].map(|centre| sign * centre + 0.1 * rng.normal());
        (x, z, f64::from(u8::from(second)))
    }
}

fn cows_and_camels(environment: usize, rng: &mut Random) -> ([f64; HALF], [f64; HALF], f64) {
    let (p, s) = [(0.95, 0.3), (0.97, 0.5), (0.99, 0.7)][environment];
    // Cow on grass, cow on sand, camel on sand, camel on grass.
    let drawn = rng.uniform();
    let (animal, place) = match () {
        () if drawn < p * s => (1.0, 1.0),
        () if drawn < s => (1.0, -1.0),
        () if drawn < s + p * (1.0 - s) => (-1.0, -1.0),
        () => (-1.0, 1.0),
    };
    let noise = 0.1_f64.sqrt();
    let x: [f64; HALF] = std::array::from_fn(|_| 0.01 * (noise * rng.normal() + animal));
    let z = std::array::from_fn(|_| noise * rng.normal() + place);
    let label = f64::from(u8::from(x.iter().sum::<f64>() > 0.0));
    (x, z, label)
}

/// v A for a row v.
pub(super) fn times<const N: usize>(v: &[f64; N], a: &[[f64; N]; N]) -> [f64; N] {
    let mut out = [0.0; N];
    for (value, row) in v.iter().zip(a) {
        for (out, entry) in out.iter_mut().zip(row) {
            *out += value * entry;
        }
    }
    out
}

/// Rows of independent normal numbers.
pub(super) fn normals<const R: usize, const C: usize>(rng: &mut Random, scale: f64) -> [[f64; C]; R] {
    std::array::from_fn(|_| std::array::from_fn(|_| scale * rng.normal()))
}

/// Rows of a normal matrix made orthonormal, twice over so that rounding does not add up: uniform over all rotations and reflections.
fn random_rotation(rng: &mut Random) -> [[f64; DIM]; DIM] {
    let mut rows: [[f64; DIM]; DIM] = normals(rng, 1.0);
    for i in 0..DIM {
        for _ in 0..2 {
            for j in 0..i {
                let earlier = rows[j];
                let along: f64 = rows[i].iter().zip(&earlier).map(|(a, b)| a * b).sum();
                rows[i].iter_mut().zip(&earlier).for_each(|(a, b)| *a -= along * b);
            }
        }
        let norm = rows[i].iter().map(|a| a * a).sum::<f64>().sqrt();
        rows[i].iter_mut().for_each(|a| *a /= norm);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: usize = 20_000;

    fn mean(rows: &Rows, of: impl Fn(&[f64; DIM], f64) -> f64) -> f64 {
        rows.x.iter().zip(&rows.y).map(|(x, y)| of(x, *y)).sum::<f64>() / rows.y.len() as f64
    }

    #[test]
    fn regression_has_the_moments_of_its_equations() {
        let problem = Problem::new(Kind::One, false, Seed::new(1));
        let split = problem.split(N, Shortcut::Kept, Seed::new(2));
        let gain: [f64; HALF] = std::array::from_fn(|i| problem.w_xy[i].iter().sum());
        let expected = gain.iter().map(|g| g * g).sum::<f64>() + HALF as f64;
        for (rows, e) in split.iter().zip([0.1, 1.5, 2.0]) {
            // Five standard errors of a variance of normal numbers: 5 √(2 / 20,000) = 5 %.
            assert!((mean(rows, |x, _| x[0] * x[0]) / (e * e) - 1.0).abs() < 0.05);
            assert!((mean(rows, |_, y| y * y) / (e * e * expected) - 1.0).abs() < 0.05);
            // What the causes leave over is the noise alone.
            let rest = |x: &[f64; DIM], y: f64| y - gain.iter().zip(x).map(|(g, x)| g * x).sum::<f64>();
            assert!((mean(rows, |x, y| rest(x, y).powi(2)) / (5.0 * e * e) - 1.0).abs() < 0.05);
        }
    }

    #[test]
    fn cows_go_with_grass_as_often_as_they_should() {
        let problem = Problem::new(Kind::Two, false, Seed::new(1));
        let kept = problem.split(N, Shortcut::Kept, Seed::new(2));
        let permuted = problem.split(N, Shortcut::Permuted, Seed::new(2));
        let agree = |x: &[f64; DIM], y: f64| f64::from(u8::from((x[HALF..].iter().sum::<f64>() > 0.0) == (y > 0.5)));
        for (environment, (p, s)) in [(0.95, 0.3), (0.97, 0.5), (0.99, 0.7)].into_iter().enumerate() {
            assert!((mean(&kept[environment], |_, y| y) - s).abs() < 0.02);
            assert!((mean(&kept[environment], agree) - p).abs() < 0.01);
            let grass = p * s + (1.0 - p) * (1.0 - s);
            let chance = s * grass + (1.0 - s) * (1.0 - grass);
            assert!((mean(&permuted[environment], agree) - chance).abs() < 0.02);
            assert!((mean(&kept[environment], |x, y| x[0] * (2.0 * y - 1.0)) - 0.01).abs() < 1e-4);
        }
    }

    #[test]
    fn margins_are_as_stated_and_half_of_the_rows_are_of_each_class() {
        let problem = Problem::new(Kind::Three, false, Seed::new(1));
        for (environment, rows) in problem.split(N, Shortcut::Kept, Seed::new(2)).iter().enumerate() {
            assert!((mean(rows, |_, y| y) - 0.5).abs() < 1e-12);
            for j in 0..DIM {
                let expected = if j < HALF {
                    0.1
                } else {
                    problem.centres[environment][j - HALF]
                };
                assert!((mean(rows, |x, y| x[j] * (1.0 - 2.0 * y)) - expected).abs() < 0.004);
            }
        }
    }

    #[test]
    fn a_rotation_keeps_lengths_and_the_identity_changes_nothing() {
        let rotated = Problem::new(Kind::Two, true, Seed::new(4));
        for i in 0..DIM {
            for j in 0..DIM {
                let inner: f64 = (0..DIM).map(|k| rotated.rotation[i][k] * rotated.rotation[j][k]).sum();
                assert!((inner - f64::from(u8::from(i == j))).abs() < 1e-14);
            }
        }
        let plain = Problem::new(Kind::Two, false, Seed::new(4));
        assert_eq!(
            plain.rotated(&[1.0, 2.0, 3.0, 4.0, 5.0], &[6.0, 7.0, 8.0, 9.0, 10.0]),
            [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
        );
    }
}
