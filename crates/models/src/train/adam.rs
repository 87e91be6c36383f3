//! Adam (Kingma and Ba 2015, algorithm 1) over one flat vector, in one pass over memory.

use super::flat::{each, share};

/// First and second moments, and the number of steps taken. beta 0.9 and 0.999, epsilon 1e-8, as PyTorch's defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Adam {
    pub(super) first: Vec<f32>,
    pub(super) second: Vec<f32>,
    pub(super) steps: u64,
}

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

impl Adam {
    pub(super) fn new(parameters: usize) -> Self {
        Self {
            first: vec![0.0; parameters],
            second: vec![0.0; parameters],
            steps: 0,
        }
    }

    /// One step over all parameters, which `threads` share. Each parameter is moved alone, so that threads change no bit.
    pub(super) fn step(&mut self, parameters: &mut [f32], gradient: &[f32], learning_rate: f64, threads: usize) {
        self.steps += 1;
        let power = self.steps.min(i32::MAX as u64) as i32;
        let rate = (learning_rate / (1.0 - f64::from(BETA1).powi(power))) as f32;
        let correction = (1.0 - f64::from(BETA2).powi(power)).sqrt() as f32;
        let size = share(parameters.len(), threads);
        let moments = self.first.chunks_mut(size).zip(self.second.chunks_mut(size));
        let parts = parameters.chunks_mut(size).zip(gradient.chunks(size)).zip(moments);
        each(parts, |((parameters, gradient), (first, second))| {
            let moments = first.iter_mut().zip(second);
            for ((p, &g), (m, v)) in parameters.iter_mut().zip(gradient).zip(moments) {
                *m = BETA1 * *m + (1.0 - BETA1) * g;
                *v = BETA2 * *v + (1.0 - BETA2) * g * g;
                *p -= rate * *m / (v.sqrt() / correction + EPSILON);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Algorithm 1 written out in f64 for one parameter, with gradients that change sign and size.
    #[test]
    fn fifty_steps_agree_with_the_paper() {
        let (mut adam, mut parameters) = (Adam::new(2), vec![1.0f32, -2.0]);
        let (mut m, mut v, mut expected) = ([0.0f64; 2], [0.0f64; 2], [1.0f64, -2.0]);
        for t in 1..=50 {
            let gradient = [f64::from(t).sin(), 0.01 * f64::from(t)];
            adam.step(&mut parameters, &gradient.map(|g| g as f32), 0.01, 1);
            for i in 0..2 {
                m[i] = 0.9 * m[i] + 0.1 * gradient[i];
                v[i] = 0.999 * v[i] + 0.001 * gradient[i] * gradient[i];
                let (first, second) = (m[i] / (1.0 - 0.9f64.powi(t)), v[i] / (1.0 - 0.999f64.powi(t)));
                expected[i] -= 0.01 * first / (second.sqrt() + 1e-8);
            }
        }
        for (found, expected) in parameters.iter().zip(expected) {
            assert!(
                (f64::from(*found) - expected).abs() < 1e-5,
                "{found} instead of {expected}"
            );
        }
    }

    #[test]
    fn threads_change_no_bit() {
        let length = 600_000;
        let gradient: Vec<f32> = (0..length).map(|i| (i as f32).sin()).collect();
        let run = |threads| {
            let (mut adam, mut parameters) = (Adam::new(length), vec![0.5f32; length]);
            for _ in 0..3 {
                adam.step(&mut parameters, &gradient, 0.01, threads);
            }
            (adam, parameters)
        };
        assert!(run(1) == run(2) && run(1) == run(5));
    }
}
