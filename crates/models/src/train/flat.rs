//! Sums over flat vectors with a place for every parameter, shared by threads where they are long. Threads change no bit: an element is
//! always computed alike, and sums are taken in blocks of one size.

use crate::parameters::Piece;

/// Shorter parts are not worth a thread.
const WORTH: usize = 1 << 18;
/// Values whose squares are summed in one go.
const BLOCK: usize = 1 << 16;
const LANES: usize = 16;

/// How many of `length` values each of `threads` takes.
pub(super) fn share(length: usize, threads: usize) -> usize {
    length.div_ceil(threads.max(1)).max(WORTH)
}

/// Does the work on every part, each on a thread of its own if there are several.
pub(super) fn each<P: Send>(parts: impl Iterator<Item = P>, work: impl Fn(P) + Sync) {
    let mut parts: Vec<P> = parts.collect();
    let last = parts.pop();
    std::thread::scope(|scope| {
        for part in parts {
            scope.spawn(|| work(part));
        }
        if let Some(part) = last {
            work(part);
        }
    });
}

/// A sum of gradients that takes memory of an earlier one.
pub(super) struct Sum {
    values: Vec<f32>,
    started: bool,
    threads: usize,
}

impl Sum {
    /// Of gradients with a place for each of `length` parameters; what `memory` holds counts for nothing.
    pub(super) fn new(mut memory: Vec<f32>, length: usize, threads: usize) -> Self {
        memory.resize(length, 0.0);
        Self {
            values: memory,
            started: false,
            threads,
        }
    }

    pub(super) fn add(&mut self, pieces: &[Piece]) {
        gather(&mut self.values, pieces, !self.started, self.threads);
        self.started = true;
    }

    /// Zeros if nothing was added.
    pub(super) fn finish(mut self) -> Vec<f32> {
        if !self.started {
            self.values.fill(0.0);
        }
        self.values
    }
}

/// Adds gradients to `sum`, parameter by parameter; the `first` ones take its place.
pub(super) fn gather(sum: &mut [f32], pieces: &[Piece], first: bool, threads: usize) {
    let mut rest = sum;
    let mut jobs = Vec::new();
    for piece in pieces {
        let (own, after) = rest.split_at_mut(piece.len().min(rest.len()));
        rest = after;
        match piece.values() {
            Some(values) => {
                let parts = own.chunks_mut(WORTH).zip(values.chunks(WORTH));
                jobs.extend(parts.map(|(own, values)| (own, Some(values))));
            }
            None if first => jobs.push((own, None)),
            None => {}
        }
    }
    if first && !rest.is_empty() {
        jobs.push((rest, None));
    }
    let count: usize = jobs.iter().map(|(own, _)| own.len()).sum();
    let several = if count > WORTH { threads.max(1) } else { 1 };
    let size = jobs.len().div_ceil(several).max(1);
    each(jobs.chunks_mut(size), |jobs| {
        for (own, values) in jobs {
            match values {
                None => own.fill(0.0),
                Some(values) if first => own.copy_from_slice(values),
                Some(values) => own.iter_mut().zip(*values).for_each(|(sum, value)| *sum += value),
            }
        }
    });
}

/// The sum of squares, in f64.
pub(super) fn square_sum(values: &[f32], threads: usize) -> f64 {
    let mut sums = vec![0.0; values.len().div_ceil(BLOCK)];
    let blocks = share(values.len(), threads).div_ceil(BLOCK);
    each(
        values.chunks(blocks * BLOCK).zip(sums.chunks_mut(blocks)),
        |(values, sums)| {
            for (sum, block) in sums.iter_mut().zip(values.chunks(BLOCK)) {
                *sum = block_square_sum(block);
            }
        },
    );
    sums.iter().sum()
}

// One accumulator would wait for itself at every value.
fn block_square_sum(values: &[f32]) -> f64 {
    let mut lanes = [0.0f64; LANES];
    let whole = values.chunks_exact(LANES);
    let rest: f64 = whole.remainder().iter().map(|&value| f64::from(value).powi(2)).sum();
    for group in whole {
        for (lane, &value) in lanes.iter_mut().zip(group) {
            *lane += f64::from(value) * f64::from(value);
        }
    }
    lanes.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    #[test]
    fn sums_start_anew_whatever_their_memory_held() {
        let piece = |value: f32| [Piece::Values(TensorData::new(vec![value; 3], [3])), Piece::Absent(1)];
        let mut sum = Sum::new(vec![7.0; 9], 4, 2);
        sum.add(&piece(1.0));
        sum.add(&piece(2.0));
        assert_eq!(sum.finish(), [3.0, 3.0, 3.0, 0.0]);
        assert_eq!(Sum::new(vec![7.0; 2], 4, 2).finish(), [0.0; 4]);
    }

    #[test]
    fn gradients_are_added_in_their_places() {
        for (length, absent) in [(5, 3), (WORTH + 7, WORTH)] {
            let values: Vec<f32> = (0..length).map(|i| i as f32).collect();
            let shape = [length];
            let pieces = [
                Piece::Values(TensorData::new(values.clone(), shape)),
                Piece::Absent(absent),
                Piece::Values(TensorData::new(values.clone(), shape)),
            ];
            for threads in [1, 2, 3] {
                // What an earlier step left there counts for nothing.
                let mut sum = vec![f32::NAN; 2 * length + absent];
                gather(&mut sum, &pieces, true, threads);
                gather(&mut sum, &pieces, false, threads);
                let doubled: Vec<f32> = values.iter().map(|value| 2.0 * value).collect();
                assert_eq!(sum[..length], doubled);
                assert!(sum[length..length + absent].iter().all(|value| *value == 0.0));
                assert_eq!(sum[length + absent..], doubled);
            }
        }
    }

    #[test]
    fn sums_are_right_and_threads_change_no_bit() {
        for length in [0, 1, 17, BLOCK + 3, 3 * WORTH + 5] {
            let values: Vec<f32> = (0..length).map(|i| (i as f32 * 0.37).sin()).collect();
            let expected: f64 = values.iter().map(|&value| f64::from(value).powi(2)).sum();
            let one = square_sum(&values, 1);
            assert!(
                (one - expected).abs() <= 1e-9 * expected,
                "{length}: {one} instead of {expected}"
            );
            for threads in [2, 3, 7] {
                assert_eq!(square_sum(&values, threads).to_bits(), one.to_bits(), "{length}");
            }
        }
    }
}
