//! Sums over flat vectors with a place for every parameter, shared by threads where they are long. Threads change no bit: an element is
//! always computed alike, and sums are taken in blocks of one size.

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

/// Adds `part` to `sum`, value by value.
pub(super) fn add(sum: &mut [f32], part: &[f32], threads: usize) {
    let size = share(sum.len(), threads);
    each(sum.chunks_mut(size).zip(part.chunks(size)), |(sum, part)| {
        sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
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
    use super::*;

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
            let mut sum = values.clone();
            add(&mut sum, &values, 1);
            assert!(sum.iter().zip(&values).all(|(sum, value)| *sum == 2.0 * value));
            for threads in [2, 3, 7] {
                assert_eq!(square_sum(&values, threads).to_bits(), one.to_bits(), "{length}");
                let mut shared = values.clone();
                add(&mut shared, &values, threads);
                assert_eq!(shared, sum);
            }
        }
    }
}
