//! Many tests at once, and tests by permutation.

/// q values of Benjamini and Hochberg (1995), in the order given: the smallest false discovery rate at which each is rejected.
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let n = p.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| p[b].total_cmp(&p[a]));
    let mut q = vec![1.0; n];
    let mut smallest: f64 = 1.0;
    for (from_top, &index) in order.iter().enumerate() {
        smallest = smallest.min(p[index] * (n as f64 / (n - from_top) as f64));
        q[index] = smallest;
    }
    q
}

/// [`benjamini_hochberg`] over those that are defined.
pub fn benjamini_hochberg_of(p: &[Option<f64>]) -> Vec<Option<f64>> {
    let defined: Vec<f64> = p.iter().flatten().copied().collect();
    let mut q = benjamini_hochberg(&defined).into_iter();
    p.iter().map(|p| p.and_then(|_| q.next())).collect()
}

/// Fewer draws could never reach p = 0.05.
pub const LEAST_DRAWS: usize = 19;

/// One-sided p value of a permutation test: (1 + draws at least as large) / (1 + draws) (Phipson and Smyth 2010).
/// `None` below [`LEAST_DRAWS`].
pub fn permutation_p(observed: f64, draws: &[f64]) -> Option<f64> {
    let larger = draws.iter().filter(|&&draw| draw >= observed).count();
    (draws.len() >= LEAST_DRAWS).then(|| (1 + larger) as f64 / (1 + draws.len()) as f64)
}
