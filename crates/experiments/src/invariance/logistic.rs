//! Logistic rows in blocks, so that a step of a training is a few loops of fixed length that the compiler turns into vector code.
//!
//! There are no sufficient statistics: every step reads every row, and most of a plain loop's time would go into `exp`.

use super::{
    objective::{Environment, Terms, Theta},
    problem::{DIM, Rows},
};

/// Rows in a block: 10 columns of them fit the first-level cache.
const LENGTH: usize = 128;
type Column = [f64; LENGTH];

#[derive(Clone, Debug)]
struct Block {
    x: [Column; DIM],
    y: Column,
    /// 1 / rows, and 0 for the rows that fill up the last block.
    weight: Column,
}

/// The rows of one environment.
#[derive(Clone, Debug)]
pub(super) struct Blocks {
    rows: Vec<Block>,
    /// Outputs and probabilities at the last parameters.
    outputs: Vec<[Column; 2]>,
    with_risk: bool,
}

impl Blocks {
    /// Without the risk itself (it costs a logarithm a row) where only derivatives are asked for; it is 0 then.
    pub(super) fn of(rows: &Rows, with_risk: bool) -> Self {
        let count = rows.y.len().div_ceil(LENGTH);
        let empty = Block {
            x: [[0.0; LENGTH]; DIM],
            y: [0.0; LENGTH],
            weight: [0.0; LENGTH],
        };
        let mut blocks = vec![empty; count];
        for (row, (x, y)) in rows.x.iter().zip(&rows.y).enumerate() {
            let (block, place) = (&mut blocks[row / LENGTH], row % LENGTH);
            for (column, value) in block.x.iter_mut().zip(x) {
                column[place] = *value;
            }
            block.y[place] = *y;
            block.weight[place] = 1.0 / rows.y.len() as f64;
        }
        Self {
            rows: blocks,
            outputs: vec![[[0.0; LENGTH]; 2]; count],
            with_risk,
        }
    }
}

impl Environment for Blocks {
    fn terms(&mut self, theta: &Theta) -> Terms {
        let mut terms = Terms::default();
        for (block, [z, p]) in self.rows.iter().zip(&mut self.outputs) {
            // Each loop does one thing on arrays of its own: only then does it become vector code.
            let mut outputs = [theta[DIM]; LENGTH];
            for (columns, weights) in block.x.chunks_exact(2).zip(theta.chunks_exact(2)) {
                for i in 0..LENGTH {
                    outputs[i] += weights[0] * columns[0][i] + weights[1] * columns[1][i];
                }
            }
            let mut small = [0.0; LENGTH];
            for i in 0..LENGTH {
                small[i] = exp_of_minus(outputs[i].abs());
            }
            let (mut shares, mut rest) = ([0.0; LENGTH], [0.0; LENGTH]);
            for i in 0..LENGTH {
                shares[i] = share(outputs[i], small[i]);
                rest[i] = block.weight[i] * (shares[i] - block.y[i]);
            }
            (*z, *p) = (outputs, shares);
            terms.scale += inner(&rest, z);
            terms.shift += inner(&rest, &[1.0; LENGTH]);
            if self.with_risk {
                let mut loss = [0.0; LENGTH];
                for i in 0..LENGTH {
                    loss[i] = log_sum(outputs[i], small[i]) - block.y[i] * outputs[i];
                }
                terms.risk += inner(&block.weight, &loss);
            }
        }
        terms
    }

    fn add_gradient(&self, _: &Theta, weights: &Terms, into: &mut Theta) {
        let first = weights.risk + weights.scale;
        for (block, [z, p]) in self.rows.iter().zip(&self.outputs) {
            // The derivative by each row's output.
            let mut by_output = [0.0; LENGTH];
            for i in 0..LENGTH {
                let curvature = p[i] * (1.0 - p[i]);
                by_output[i] = block.weight[i]
                    * (first * (p[i] - block.y[i]) + (weights.scale * z[i] + weights.shift) * curvature);
            }
            for (into, column) in into.iter_mut().zip(&block.x) {
                *into += inner(&by_output, column);
            }
            into[DIM] += inner(&by_output, &[1.0; LENGTH]);
        }
    }
}

/// Σ a b in eight sums side by side.
fn inner(a: &Column, b: &Column) -> f64 {
    let mut sums = [0.0; 8];
    for chunk in 0..LENGTH / 8 {
        for lane in 0..8 {
            sums[lane] += a[8 * chunk + lane] * b[8 * chunk + lane];
        }
    }
    sums.iter().sum()
}

/// 1 / k!
const FACTORIALS: [f64; 12] = [
    1.0,
    1.0,
    1.0 / 2.0,
    1.0 / 6.0,
    1.0 / 24.0,
    1.0 / 120.0,
    1.0 / 720.0,
    1.0 / 5040.0,
    1.0 / 40_320.0,
    1.0 / 362_880.0,
    1.0 / 3_628_800.0,
    1.0 / 39_916_800.0,
];

/// 1 / (2k + 1)
const ODD: [f64; 12] = [
    1.0,
    1.0 / 3.0,
    1.0 / 5.0,
    1.0 / 7.0,
    1.0 / 9.0,
    1.0 / 11.0,
    1.0 / 13.0,
    1.0 / 15.0,
    1.0 / 17.0,
    1.0 / 19.0,
    1.0 / 21.0,
    1.0 / 23.0,
];

/// Σ c_k xᵏ in Estrin's order, where few operations wait for each other.
#[inline(always)]
#[allow(clippy::inline_always)] // Only inlined does it become vector code.
fn polynomial(x: f64, c: &[f64; 12]) -> f64 {
    let (x2, x4) = (x * x, (x * x) * (x * x));
    let part = |k: usize| (c[k] + c[k + 1] * x) + (c[k + 2] + c[k + 3] * x) * x2;
    part(0) + x4 * (part(4) + x4 * part(8))
}

/// 1 / (1 + e⁻ᶻ).
pub(super) fn sigmoid(z: f64) -> f64 {
    share(z, exp_of_minus(z.abs()))
}

/// ln(1 + eᶻ).
pub(super) fn softplus(z: f64) -> f64 {
    log_sum(z, exp_of_minus(z.abs()))
}

/// The logistic function, without branches; `small` is e^-|z|.
#[inline(always)]
#[allow(clippy::inline_always)] // As above.
fn share(z: f64, small: f64) -> f64 {
    let above = if z >= 0.0 { 1.0 } else { small };
    above / (1.0 + small)
}

/// ln(1 + eᶻ), without branches: ln(1 + t) = 2 artanh(t / (2 + t)) with t = `small` = e^-|z| at most 1.
#[inline(always)]
#[allow(clippy::inline_always)] // As above.
fn log_sum(z: f64, small: f64) -> f64 {
    let ratio = small / (2.0 + small);
    // Every further term of the series is less than a ninth of the one before: 12 leave 2e-13.
    let sum = polynomial(ratio * ratio, &ODD);
    let above = if z >= 0.0 { z } else { 0.0 };
    above + 2.0 * ratio * sum
}

/// e⁻ᵃ for a >= 0 to 1e-14 of its value; below e⁻⁷⁰⁰ it stays there.
#[inline(always)]
#[allow(clippy::inline_always)] // As above.
fn exp_of_minus(a: f64) -> f64 {
    // Adding 1.5 · 2⁵² rounds to a whole number, which then stands in the lowest bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    // ln 2 in two parts, of which the first has few digits, so that its multiples are exact.
    const LN_2: [f64; 2] = [0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10];
    let x = -a.min(700.0);
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let rest = (x - whole * LN_2[0]) - whole * LN_2[1];
    // |rest| is at most ln 2 / 2, where twelve terms of the series are enough.
    let sum = polynomial(rest, &FACTORIALS);
    sum * f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_and_logarithms_are_those_of_the_library() {
        for i in -40_000..40_000 {
            let z = f64::from(i) * 1e-3;
            let (p, loss) = (1.0 / (1.0 + (-z).exp()), z.max(0.0) + (-z.abs()).exp().ln_1p());
            assert!((sigmoid(z) / p - 1.0).abs() < 3e-14, "{z}");
            assert!((softplus(z) / loss - 1.0).abs() < 3e-13, "{z}");
        }
        assert_eq!((sigmoid(0.0), sigmoid(1e9)), (0.5, 1.0));
        assert!(sigmoid(-1e9) < 1e-300 && sigmoid(-1e9) > 0.0);
        assert_eq!(softplus(1e9), 1e9);
    }

    #[test]
    fn the_last_block_is_filled_with_rows_that_do_not_count() {
        let (x, y) = ([0.5; DIM], 1.0);
        let rows = |n: usize| Rows {
            x: vec![x; n],
            y: vec![y; n],
        };
        let theta: Theta = std::array::from_fn(|i| i as f64 / 10.0);
        let (one, many) = (
            Blocks::of(&rows(1), true).terms(&theta),
            Blocks::of(&rows(LENGTH + 3), true).terms(&theta),
        );
        let z = 0.5 * 4.5 + 1.0;
        assert!((one.risk - ((1.0_f64 + f64::exp(z)).ln() - z)).abs() < 1e-12);
        assert!((one.risk - many.risk).abs() < 1e-14 && (one.scale - many.scale).abs() < 1e-14);
    }
}
