//! One comparison: a workload by everybody who does it, in turns.

use std::fmt;

use super::{
    arguments::Sizes,
    document::{self, BenchCell, Measured},
    go_on,
    measure::Answer,
    process::{self, Place},
    table::on,
    workloads::{Peer, Workload},
};
use crate::{Backend, ExperimentError};

/// What is compared.
pub(super) struct Comparison {
    pub(super) workload: &'static Workload,
    pub(super) backends: Vec<Backend>,
    pub(super) threads: usize,
    /// At least 1.
    pub(super) repeats: usize,
    /// Of the finance training.
    pub(super) sizes: Sizes,
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.workload.name, on(self.threads))
    }
}

/// Somebody who does the work.
#[derive(Clone, Copy)]
enum Who {
    Ours(Backend),
    Peer(&'static Peer),
}

impl Who {
    fn name(self) -> &'static str {
        match self {
            Who::Ours(backend) => backend.name(),
            Who::Peer(peer) => peer.name,
        }
    }
}

/// Runs everybody, each in a process of its own, and returns their cells. Somebody who fails takes no further turns.
/// Fails on Ctrl-C.
pub(super) fn compare(place: &Place, asked: &Comparison) -> Result<Vec<BenchCell>, ExperimentError> {
    let ours = asked.backends.iter().copied().map(Who::Ours);
    let peers = asked.workload.peers.iter().filter(|_| place.has_peers()).map(Who::Peer);
    let everybody: Vec<Who> = ours.chain(peers).collect();
    let turns = turns(asked.repeats, everybody.len());
    let exchange = place.path("exchange.safetensors");
    let found = take_turns(&everybody, &turns, |who, repeats| {
        go_on()?;
        let (threads, sizes) = (asked.threads, &asked.sizes);
        let mut command = match who {
            Who::Ours(backend) => {
                // The first of ours writes for everybody.
                let missing = (place.has_peers() && !exchange.exists()).then_some(exchange.as_path());
                place.ours(asked.workload, backend, threads, repeats, sizes, missing)
            }
            Who::Peer(peer) => {
                let written = exchange.exists().then_some(exchange.as_path());
                match place.peer(peer, threads, repeats, sizes, written) {
                    Some(command) => command,
                    None => return Ok(Err("no Python was given".into())),
                }
            }
        };
        let answer = process::run::<Answer>(&mut command).map_err(|ended| ended.message);
        // A process that Ctrl-C stopped failed for no reason of its own.
        go_on()?;
        Ok(answer)
    });
    if exchange.exists()
        && let Err(error) = std::fs::remove_file(&exchange)
    {
        eprintln!("note: {}: {error}", exchange.display());
    }
    let mut cells: Vec<BenchCell> = everybody
        .iter()
        .zip(found?)
        .map(|(who, answer)| cell(asked, *who, answer))
        .collect();
    document::compare(&mut cells);
    Ok(cells)
}

fn cell(asked: &Comparison, who: Who, answer: Result<Answer, String>) -> BenchCell {
    let measured = answer.and_then(|answer| Measured::new(&answer).ok_or_else(|| "it timed nothing".to_string()));
    let (measured, error) = match measured {
        Ok(measured) => (Some(measured), None),
        Err(message) => (None, Some(message)),
    };
    BenchCell {
        workload: asked.workload.name.into(),
        framework: who.name().into(),
        peer: matches!(who, Who::Peer(_)),
        threads: asked.threads,
        measured,
        error,
        against: Vec::new(),
    }
}

/// How many repeats each turn has: two turns where there is somebody to compare with.
fn turns(repeats: usize, everybody: usize) -> Vec<usize> {
    match repeats > 1 && everybody > 1 {
        true => vec![repeats.div_ceil(2), repeats / 2],
        false => vec![repeats],
    }
}

/// Everybody's answer over all turns, A B A B; the first message of those who fail. Stops at an error.
fn take_turns<W: Copy>(
    everybody: &[W],
    turns: &[usize],
    mut run: impl FnMut(W, usize) -> Result<Result<Answer, String>, ExperimentError>,
) -> Result<Vec<Result<Answer, String>>, ExperimentError> {
    let mut found: Vec<Option<Result<Answer, String>>> = vec![None; everybody.len()];
    for &repeats in turns {
        for (&who, found) in everybody.iter().zip(&mut found) {
            let so_far = match found.take() {
                Some(Err(message)) => {
                    *found = Some(Err(message));
                    continue;
                }
                Some(Ok(answer)) => Some(answer),
                None => None,
            };
            let next = run(who, repeats)?;
            *found = Some(next.map(|next| joined(so_far, next)));
        }
    }
    let answers = found
        .into_iter()
        .map(|one| one.unwrap_or_else(|| Err("it had no turn".into())));
    Ok(answers.collect())
}

/// Two turns of one: all seconds, the larger peak, and what the last one found.
fn joined(first: Option<Answer>, mut next: Answer) -> Answer {
    let Some(first) = first else { return next };
    next.seconds.splice(0..0, first.seconds);
    next.peak_memory_mb = match (first.peak_memory_mb, next.peak_memory_mb) {
        (Some(first), Some(next)) => Some(first.max(next)),
        (first, next) => first.or(next),
    };
    if next.check.is_empty() {
        next.check = first.check;
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(seconds: &[f64], peak: f64) -> Answer {
        Answer {
            rows: 10,
            seconds: seconds.to_vec(),
            peak_memory_mb: Some(peak),
            check: vec![peak],
            ..Answer::default()
        }
    }

    #[test]
    fn those_who_are_compared_take_turns() {
        assert_eq!(turns(5, 2), [3, 2]);
        assert_eq!(turns(1, 2), [1]);
        assert_eq!(turns(4, 1), [4]);
        let mut order = Vec::new();
        let found = take_turns(&['a', 'b', 'c'], &[2, 1], |who, repeats| {
            order.push((who, repeats));
            Ok(match (who, repeats) {
                ('b', 1) => Err("out of memory".into()),
                ('c', _) => Err("no such backend".into()),
                (_, repeats) => Ok(answer(&vec![repeats as f64; repeats], 3.0 - repeats as f64)),
            })
        })
        .unwrap();
        assert_eq!(order, [('a', 2), ('b', 2), ('c', 2), ('a', 1), ('b', 1)]);
        let first = found[0].as_ref().unwrap();
        assert_eq!(
            (&first.seconds[..], first.peak_memory_mb),
            (&[2.0, 2.0, 1.0][..], Some(2.0))
        );
        assert_eq!(found[1].as_ref().unwrap_err(), "out of memory");
        assert_eq!(found[2].as_ref().unwrap_err(), "no such backend");
        let stopped = take_turns(&['a'], &[1], |_, _| Err(ExperimentError::Interrupted));
        assert_eq!(stopped.unwrap_err().exit_code(), 130);
    }
}
