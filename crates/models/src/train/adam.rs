//! Adam (Kingma and Ba 2015, algorithm 1) over one flat vector, in one pass over memory.

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

    pub(super) fn step(&mut self, parameters: &mut [f32], gradient: &[f32], learning_rate: f64) {
        self.steps += 1;
        let power = self.steps.min(i32::MAX as u64) as i32;
        let rate = (learning_rate / (1.0 - f64::from(BETA1).powi(power))) as f32;
        let correction = (1.0 - f64::from(BETA2).powi(power)).sqrt() as f32;
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((p, &g), (m, v)) in parameters.iter_mut().zip(gradient).zip(moments) {
            *m = BETA1 * *m + (1.0 - BETA1) * g;
            *v = BETA2 * *v + (1.0 - BETA2) * g * g;
            *p -= rate * *m / (v.sqrt() / correction + EPSILON);
        }
    }
}
