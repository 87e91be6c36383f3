//! Adam on a fixed number of parameters in f64.

/// State of Adam (Kingma and Ba 2015): β₁ = .9, β₂ = .999, ε = 1e-8.
#[derive(Clone, Debug)]
pub(super) struct Adam<const N: usize> {
    first: [f64; N],
    second: [f64; N],
    /// β₁ᵗ and β₂ᵗ.
    powers: [f64; 2],
}

impl<const N: usize> Adam<N> {
    pub(super) fn new() -> Self {
        Self {
            first: [0.0; N],
            second: [0.0; N],
            powers: [1.0; 2],
        }
    }

    /// One step. Decay of weights belongs into the gradient, as in the published runs.
    pub(super) fn step(&mut self, parameter: &mut [f64; N], gradient: &[f64; N], rate: f64) {
        self.powers = [0.9 * self.powers[0], 0.999 * self.powers[1]];
        let rate = rate / (1.0 - self.powers[0]);
        let correction = 1.0 / (1.0 - self.powers[1]);
        for i in 0..N {
            self.first[i] = 0.9 * self.first[i] + 0.1 * gradient[i];
            self.second[i] = 0.999 * self.second[i] + 0.001 * gradient[i] * gradient[i];
            parameter[i] -= rate * self.first[i] / ((correction * self.second[i]).sqrt() + 1e-8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_steps_are_those_of_the_formula() {
        let (mut adam, mut x) = (Adam::<1>::new(), [1.0]);
        adam.step(&mut x, &[0.3], 0.1);
        assert!((x[0] - 0.9).abs() < 1e-7, "the first step is as long as the rate");
        adam.step(&mut x, &[-0.1], 0.1);
        let first: f64 = (0.9 * 0.03 - 0.01) / 0.19;
        let second: f64 = (0.999 * 0.001 * 0.09 + 0.001 * 0.01) / (1.0 - 0.999 * 0.999);
        assert!((x[0] - (0.9 - 0.1 * first / second.sqrt())).abs() < 1e-6);
    }
}
