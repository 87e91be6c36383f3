//! Test rows by environment, for data that says in which one a row was.

use std::collections::BTreeSet;

use disentangle_data::{Dataset, Seed, Split};

use super::Environment;

/// Environments that are questioned one by one, at most.
const MOST_ENVIRONMENTS: usize = 6;
/// Test rows that an environment needs for that.
const LEAST_ROWS: usize = 50;

/// All test rows first, or, where training saw only some of the environments, the test rows of those; then each of the environments that
/// training did not see, and the largest others while there is room. `kind` is what environments are called; without it there is one.
/// What is left out is said in the dataset's notices.
pub(super) fn of_test_rows(dataset: &mut Dataset, kind: Option<&str>, about: &str) -> Vec<Environment> {
    let test = dataset.part(Split::Test);
    let of = |row: &usize| dataset.windows[*row].environment;
    let trained: BTreeSet<u32> = dataset.part(Split::Train).iter().map(of).collect();
    let known: Vec<usize> = test.iter().copied().filter(|row| trained.contains(&of(row))).collect();
    let all_known = known.len() == test.len() || known.is_empty() || kind.is_none();
    let mut environments = vec![match all_known {
        true => Environment {
            name: "test".into(),
            about: about.into(),
            rows: test.clone(),
            unseen: false,
        },
        false => Environment {
            name: "in-distribution".into(),
            about: format!(
                "{about}, where {} is one that training saw",
                kind.unwrap_or("the environment")
            ),
            rows: known,
            unseen: false,
        },
    }];
    let Some(kind) = kind.filter(|_| dataset.environments.len() > 1) else {
        return environments;
    };
    let mut by_size: Vec<(bool, usize, Vec<usize>)> = (0..dataset.environments.len())
        .map(|index| {
            let own = test.iter().copied().filter(|row| of(row) as usize == index);
            (trained.contains(&(index as u32)), index, own.collect())
        })
        .collect();
    by_size.sort_by_key(|(seen, index, rows)| (*seen, std::cmp::Reverse(rows.len()), *index));
    let mut left_out = Vec::new();
    for (place, (seen, index, rows)) in by_size.into_iter().enumerate() {
        let positive = dataset.labels(&rows).iter().filter(|&&y| y > 0.5).count();
        let name = format!("{kind}={}", dataset.environments[index]);
        if place < MOST_ENVIRONMENTS && rows.len() >= LEAST_ROWS && (1..rows.len()).contains(&positive) {
            let said = if seen { "" } else { ", of which training saw nothing" };
            environments.push(Environment {
                about: format!("test rows of {name}{said}"),
                name,
                rows,
                unseen: !seen,
            });
        } else if !rows.is_empty() {
            left_out.push(name);
        }
    }
    if !left_out.is_empty() {
        dataset.notices.push(format!(
            "{} environments have fewer than {LEAST_ROWS} test rows or one label only there, or are not among the {MOST_ENVIRONMENTS} largest, and are left out: {}",
            left_out.len(),
            left_out.iter().take(10).cloned().collect::<Vec<_>>().join(", ")
        ));
    }
    environments
}

/// Leaves a random row of each subject in every environment, the same one wherever it occurs.
pub(super) fn one_a_subject(dataset: &Dataset, environments: &mut [Environment], seed: Seed) {
    let rows = dataset.part(Split::Test);
    let mut seen = BTreeSet::new();
    let order = seed.rng().permutation(rows.len());
    let drawn = order.into_iter().map(|place| rows[place]);
    let kept: BTreeSet<usize> = drawn.filter(|&row| seen.insert(dataset.windows[row].subject)).collect();
    for environment in environments {
        let own = environment.rows.iter().copied().filter(|row| kept.contains(row));
        let own: Vec<usize> = own.collect();
        if own.is_empty() || own.len() == environment.rows.len() {
            continue;
        }
        environment.rows = own;
        environment.about = format!("{}, one random row of each subject", environment.about);
    }
}
