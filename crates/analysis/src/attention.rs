//! Where attention goes: how spread out it is, and how unequally keys receive it (notebook part 33).

use ndarray::{ArrayView4, Axis};

/// Attention of some rows, a value each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attention {
    /// Entropy of the weights over keys, natural logarithm divided by ln(keys), mean over heads and queries: 1 is even, 0 is one key.
    /// Empty with one key, where entropy says nothing.
    pub entropy: Vec<f64>,
    /// How unequally keys are attended to: the population standard deviation over keys of the weight that each receives, averaged over heads
    /// and queries, divided by its largest value √(keys - 1) / keys: 0 is even, 1 is one key for all queries. Empty with one key.
    pub bias: Vec<f64>,
    /// The weight that each key receives, mean over rows, heads and queries.
    pub received: Vec<f64>,
}

/// Measures `[row, head, query, key]`, whose last axis adds up to 1 (the attention itself; the notebook soft-maxes it again). A weight of 0
/// adds no entropy.
pub fn attention(pattern: ArrayView4<f64>) -> Attention {
    let (rows, heads, queries, keys) = pattern.dim();
    let each = (heads * queries) as f64;
    let mut found = Attention {
        received: vec![0.0; keys],
        ..Attention::default()
    };
    for row in pattern.axis_iter(Axis(0)) {
        let mut received = vec![0.0; keys];
        let mut entropy = 0.0;
        for (place, &weight) in row.iter().enumerate() {
            received[place % keys] += weight / each;
            if weight > 0.0 {
                entropy -= weight * weight.ln();
            }
        }
        if keys > 1 {
            let mean = received.iter().sum::<f64>() / keys as f64;
            let variance = received.iter().map(|w| (w - mean).powi(2)).sum::<f64>() / keys as f64;
            found.entropy.push(entropy / each / (keys as f64).ln());
            found
                .bias
                .push(variance.sqrt() * keys as f64 / (keys as f64 - 1.0).sqrt());
        }
        for (sum, weight) in found.received.iter_mut().zip(received) {
            *sum += weight / rows as f64;
        }
    }
    found
}
