//! Work over plain threads, each with a one-thread rayon pool, so that no kernel's reduction depends on the machine.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

/// Runs `work` on every job over `threads` threads and returns the results in job order.
///
/// `start` makes what a thread keeps for itself (a fork of a model). The result does not depend on `threads`.
pub fn map_with<J: Sync, K, R: Send>(
    threads: usize,
    jobs: &[J],
    start: impl Fn() -> K + Sync,
    work: impl Fn(&mut K, &J) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::with_capacity(jobs.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, jobs.len().max(1)) {
            scope.spawn(|| {
                let _pool = own_pool();
                let mut kept = None;
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(index) else { break };
                    let result = work(kept.get_or_insert_with(&start), job);
                    if let Ok(mut done) = done.lock() {
                        done.push((index, result));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// [`map_with`] without anything kept.
pub fn map<J: Sync, R: Send>(threads: usize, jobs: &[J], work: impl Fn(&J) -> R + Sync) -> Vec<R> {
    map_with(threads, jobs, || (), |(), job| work(job))
}

/// Makes rayon calls on this thread run on this thread. Only for threads that live in no pool yet.
pub(crate) fn own_pool() -> Option<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .use_current_thread()
        .build()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_in_job_order_for_any_number_of_threads() {
        let jobs: Vec<u64> = (0..100).collect();
        let expected: Vec<u64> = jobs.iter().map(|x| x * x).collect();
        for threads in [0, 1, 3, 200] {
            assert_eq!(map(threads, &jobs, |x| x * x), expected);
        }
        assert!(map(2, &[] as &[u64], |x| *x).is_empty());
    }
}
