//! Names and sizes that MLflow takes.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use crate::exported::free;

/// Characters of a name; a number may come behind it.
const LONGEST_NAME: usize = 240;
/// Bytes of a request; MLflow takes a million.
const MOST_BYTES: usize = 900_000;

/// A name of MLflow's for each of ours. MLflow takes letters, digits, `_`, `-`, `.`, blanks and `/`, and 250 of them;
/// whatever else a name holds becomes `_`, and two names that become one are told apart by a number.
pub(super) fn names<'a>(ours: impl IntoIterator<Item = &'a str>) -> BTreeMap<&'a str, String> {
    let mut taken = HashSet::new();
    let mut found = BTreeMap::new();
    for name in ours {
        found
            .entry(name)
            .or_insert_with(|| free(permitted(name), '_', &mut taken));
    }
    found
}

fn permitted(name: &str) -> String {
    let plain = |letter: char| match letter.is_ascii_alphanumeric() || "_-. /".contains(letter) {
        true => letter,
        false => '_',
    };
    let name: String = name.chars().map(plain).take(LONGEST_NAME).collect();
    // A name must be a path that stays as it is.
    let parts = name.split('/').filter(|part| !part.is_empty());
    let parts: Vec<&str> = parts
        .map(|part| if [".", ".."].contains(&part) { "_" } else { part })
        .collect();
    match parts.is_empty() {
        true => "_".into(),
        false => parts.join("/"),
    }
}

/// The entries of several requests: at most `most` in one, and no more bytes than a request may have.
pub(super) fn batches(entries: Vec<Value>, most: usize) -> Vec<Vec<Value>> {
    let mut batches: Vec<Vec<Value>> = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        let size = entry.to_string().len() + 1;
        match batches.last_mut() {
            Some(batch) if batch.len() < most && bytes + size <= MOST_BYTES => {
                bytes += size;
                batch.push(entry);
            }
            _ => {
                bytes = size;
                batches.push(vec![entry]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_permitted_and_stay_apart() {
        let check = |ours: &[&str], expected: &[&str]| {
            let found = names(ours.iter().copied());
            let found: Vec<&str> = ours.iter().map(|name| found[name].as_str()).collect();
            assert_eq!(found, expected);
        };
        check(&["test/roc_auc/layers.0.attn.z"], &["test/roc_auc/layers.0.attn.z"]);
        check(&["a/window=7", "a/all=[1,2]"], &["a/window_7", "a/all__1_2_"]);
        check(&["a:b", "a;b", "a:b", "a_b"], &["a_b", "a_b_2", "a_b", "a_b_3"]);
        check(
            &["größe", "/a//b/", ".", "a/../b", ""],
            &["gr__e", "a/b", "_", "a/_/b", "__2"],
        );
        let long = "x".repeat(300);
        check(&[&long], &[&long[..LONGEST_NAME]]);
    }

    #[test]
    fn requests_stay_within_their_limits() {
        let check = |count: usize, bytes: usize, most: usize, expected: &[usize]| {
            let entry = Value::from("x".repeat(bytes.saturating_sub(3)));
            let found: Vec<usize> = batches(vec![entry; count], most).iter().map(Vec::len).collect();
            assert_eq!(found, expected);
        };
        check(0, 10, 100, &[]);
        check(100, 10, 100, &[100]);
        check(101, 10, 100, &[100, 1]);
        check(250, 10, 100, &[100, 100, 50]);
        // Nine of these fill a request.
        check(20, 100_000, 1000, &[9, 9, 2]);
        // One that is too large goes alone, and MLflow says so.
        check(2, 1_000_000, 1000, &[1, 1]);
    }
}
