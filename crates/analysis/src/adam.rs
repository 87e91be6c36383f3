//! The optimiser of the two small models that are trained here, on plain arrays.

use ndarray::{Array, Dimension, Zip};

/// State of Adam (Kingma and Ba 2015) for one array: β₁ = .9, β₂ = .999, ε = 1e-8, no decay.
#[derive(Clone, Debug)]
pub(crate) struct Adam<D: Dimension> {
    first: Array<f32, D>,
    second: Array<f32, D>,
}

impl<D: Dimension> Adam<D> {
    /// For `parameter`, before its first step.
    pub(crate) fn new(parameter: &Array<f32, D>) -> Self {
        Self {
            first: Array::zeros(parameter.raw_dim()),
            second: Array::zeros(parameter.raw_dim()),
        }
    }

    /// One step; `step` counts from 1.
    pub(crate) fn update(
        &mut self,
        parameter: &mut Array<f32, D>,
        gradient: &Array<f32, D>,
        learning_rate: f64,
        step: usize,
    ) {
        let exponent = i32::try_from(step).unwrap_or(i32::MAX);
        let rate = (learning_rate / (1.0 - 0.9f64.powi(exponent))) as f32;
        let correction = (1.0 / (1.0 - 0.999f64.powi(exponent))) as f32;
        Zip::from(parameter)
            .and(&mut self.first)
            .and(&mut self.second)
            .and(gradient)
            .for_each(|parameter, first, second, &gradient| {
                *first = 0.9 * *first + 0.1 * gradient;
                *second = 0.999 * *second + 0.001 * gradient * gradient;
                *parameter -= rate * *first / ((correction * *second).sqrt() + 1e-8);
            });
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    /// By hand in double precision. First step: moments 0.1 and 0.001, which the corrections make 1 and 1. Second: moments -0.21 and 0.009999,
    /// corrected -0.21 / 0.19 and 0.009999 / 0.001999.
    #[test]
    fn two_steps_by_hand() {
        let mut parameter = array![0.0f32];
        let mut adam = Adam::new(&parameter);
        for (step, gradient, expected) in [(1, 1.0, -0.1), (2, -3.0, -0.050_581_016)] {
            adam.update(&mut parameter, &array![gradient], 0.1, step);
            assert!((parameter[0] - expected).abs() < 1e-7, "step {step}: {parameter}");
        }
    }
}
