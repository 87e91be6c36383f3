//! Which rows are fitted on, chosen on and reported on.

use super::TableSchema;
use crate::{Seed, Split};

/// The part of each row. With subjects, all rows of one lie in one part, subjects drawn at random; else, with times, the parts follow one
/// another; else rows are drawn at random. `subjects` and `times` hold one entry a row.
pub(super) fn parts(
    schema: &TableSchema,
    subjects: &[u32],
    times: Option<&[chrono::NaiveDateTime]>,
    seed: Seed,
) -> Vec<Split> {
    let rows = subjects.len();
    let units: Vec<u32> = match (&schema.subject, times) {
        (None, Some(times)) => {
            let mut order: Vec<usize> = (0..rows).collect();
            order.sort_by_key(|&row| times[row]);
            let mut place = vec![0; rows];
            for (rank, row) in order.into_iter().enumerate() {
                place[row] = rank as u32;
            }
            // Rows of one time lie in one part.
            let mut first = std::collections::BTreeMap::new();
            for (row, &rank) in place.iter().enumerate() {
                let known = first.entry(times[row]).or_insert(rank);
                *known = (*known).min(rank);
            }
            return (0..rows)
                .map(|row| schema.parts.of(f64::from(first[&times[row]]) / rows as f64))
                .collect();
        }
        _ => subjects.to_vec(),
    };
    let count = units.iter().max().map_or(0, |most| *most as usize + 1);
    let order = seed.child("parts").rng().permutation(count);
    let mut place = vec![0; count];
    for (rank, unit) in order.into_iter().enumerate() {
        place[unit] = rank;
    }
    units
        .iter()
        .map(|&unit| schema.parts.of(place[unit as usize] as f64 / count as f64))
        .collect()
}
