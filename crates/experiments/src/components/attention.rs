//! What every head looks at, row by row: how focused it is, and how different from the other heads.

use disentangle_analysis::{Bootstrap, Estimate, descriptive::mean, importance::weighted_mean};
use ndarray::{Array2, ArrayView2, s};

use super::outcome::{AttentionChange, AttentionPart, Head};

/// One attention, a value each row. What says nothing about a single key, or a single head, is absent.
#[derive(Clone, Debug)]
pub(super) struct AttentionRows {
    place: String,
    heads: Vec<HeadRows>,
    entropy: Option<Vec<f64>>,
    diversity: Option<Vec<f64>>,
    disagreement: Vec<f64>,
}

#[derive(Clone, Debug)]
struct HeadRows {
    entropy: Option<Vec<f64>>,
    largest: Vec<f64>,
    specialisation: Option<Vec<f64>>,
}

const ONE_KEY: &str = "there is one key only";
const ONE_HEAD: &str = "there is one head or one key only";

impl AttentionRows {
    /// From the pattern, `[row * query, head * key]`, and what the heads read, `[row * query, head * neuron]`. Keys that nothing attends to for
    /// a query in any row and head are padding.
    pub(super) fn new(
        place: &str,
        pattern: &Array2<f32>,
        read: &Array2<f32>,
        [heads, queries, keys]: [usize; 3],
    ) -> Self {
        let rows = pattern.nrows() / queries.max(1);
        let weight = |row: usize, head: usize, query: usize, key: usize| {
            f64::from(pattern[[row * queries + query, head * keys + key]])
        };
        let attended: Vec<usize> = (0..queries)
            .map(|query| {
                let by_anything =
                    |key: &usize| (0..rows).any(|row| (0..heads).any(|head| weight(row, head, query, *key) > 0.0));
                (0..keys).filter(by_anything).count()
            })
            .collect();
        let asking: Vec<usize> = (0..queries).filter(|&query| attended[query] > 1).collect();
        let entropy = |row: usize, head: usize| {
            let of_query = |&query: &usize| {
                let weights = (0..keys).map(|key| weight(row, head, query, key));
                let nats: f64 = weights.filter(|w| *w > 0.0).map(|w| -w * w.ln()).sum();
                nats / (attended[query] as f64).ln()
            };
            asking.iter().map(of_query).sum::<f64>() / asking.len() as f64
        };
        let largest = |row: usize, head: usize| {
            let of_query = |query: usize| (0..keys).map(|key| weight(row, head, query, key)).fold(0.0, f64::max);
            (0..queries).map(of_query).sum::<f64>() / queries as f64
        };
        let one_key = asking.is_empty();
        let alike: Option<Vec<Array2<f64>>> = (heads > 1 && !one_key).then(|| {
            let maps = |row: usize| {
                Array2::from_shape_fn((heads, queries * keys), |(head, place)| {
                    weight(row, head, place / keys, place % keys)
                })
            };
            (0..rows).map(|row| cosines(maps(row).view())).collect()
        });
        let of_heads: Vec<HeadRows> = (0..heads)
            .map(|head| HeadRows {
                entropy: (!one_key).then(|| (0..rows).map(|row| entropy(row, head)).collect()),
                largest: (0..rows).map(|row| largest(row, head)).collect(),
                specialisation: alike
                    .as_ref()
                    .map(|alike| alike.iter().map(|cosines| apart(cosines, head)).collect()),
            })
            .collect();
        let mean_entropy = |row: usize| {
            let of_head = |head: &HeadRows| head.entropy.as_ref().map_or(0.0, |entropy| entropy[row]);
            of_heads.iter().map(of_head).sum::<f64>() / heads as f64
        };
        Self {
            place: place.into(),
            entropy: (!one_key).then(|| (0..rows).map(mean_entropy).collect()),
            diversity: alike.as_ref().map(|alike| alike.iter().map(diversity).collect()),
            disagreement: (0..rows).map(|row| disagreement(read, heads, queries, row)).collect(),
            heads: of_heads,
        }
    }

    /// Mean entropy and diversity over rows, without intervals; `None` where one key or one head says nothing.
    pub(super) fn means(&self) -> [Option<f64>; 2] {
        [&self.entropy, &self.diversity].map(|rows| mean(rows.as_ref()?))
    }

    /// Means over rows.
    pub(super) fn part(&self, bootstrap: &Bootstrap) -> AttentionPart {
        let share = |values: Option<&Vec<f64>>, reason: &str| over_rows(values, reason, bootstrap).within(0.0, 1.0);
        let heads = self.heads.iter().enumerate().map(|(head, rows)| Head {
            head,
            entropy: share(rows.entropy.as_ref(), ONE_KEY),
            largest: share(Some(&rows.largest), ONE_KEY),
            specialisation: share(rows.specialisation.as_ref(), ONE_HEAD),
        });
        AttentionPart {
            place: self.place.clone(),
            heads: heads.collect(),
            entropy: share(self.entropy.as_ref(), ONE_KEY),
            diversity: share(self.diversity.as_ref(), ONE_HEAD),
            disagreement: over_rows(Some(&self.disagreement), ONE_HEAD, bootstrap).within(-1.0, 0.0),
        }
    }

    /// `self` minus `before`, which looked at the same rows.
    pub(super) fn change(&self, before: &Self, bootstrap: &Bootstrap) -> AttentionChange {
        let change = |of: fn(&Self) -> Option<&Vec<f64>>, reason: &str| {
            let pairs = of(self).zip(of(before));
            let differences: Option<Vec<f64>> =
                pairs.map(|(after, before)| after.iter().zip(before).map(|(a, b)| a - b).collect());
            over_rows(differences.as_ref(), reason, bootstrap)
        };
        AttentionChange {
            place: self.place.clone(),
            entropy: change(|rows| rows.entropy.as_ref(), ONE_KEY),
            diversity: change(|rows| rows.diversity.as_ref(), ONE_HEAD),
        }
    }
}

fn over_rows(values: Option<&Vec<f64>>, reason: &str, bootstrap: &Bootstrap) -> Estimate {
    match values {
        Some(values) => weighted_mean(bootstrap, values),
        None => Estimate::undefined(reason, 0),
    }
}

/// Cosines of the rows of a matrix; 0 with a row that is 0.
fn cosines(matrix: ArrayView2<f64>) -> Array2<f64> {
    let count = matrix.nrows();
    let norms: Vec<f64> = matrix.rows().into_iter().map(|row| row.dot(&row).sqrt()).collect();
    Array2::from_shape_fn((count, count), |(a, b)| {
        let length = norms[a] * norms[b];
        let cosine = matrix.row(a).dot(&matrix.row(b)) / length;
        if length > 0.0 { cosine } else { 0.0 }
    })
}

/// 1 - mean cosine with the others.
fn apart(cosines: &Array2<f64>, head: usize) -> f64 {
    let others = cosines.nrows() - 1;
    let sum: f64 = cosines.row(head).sum() - cosines[[head, head]];
    1.0 - sum / others as f64
}

/// 1 - mean cosine of two different ones.
fn diversity(cosines: &Array2<f64>) -> f64 {
    let heads = cosines.nrows();
    (0..heads).map(|head| apart(cosines, head)).sum::<f64>() / heads as f64
}

/// Minus the mean over all pairs of heads, and over positions, of the cosine of what they read in a row.
fn disagreement(read: &Array2<f32>, heads: usize, positions: usize, row: usize) -> f64 {
    let width = read.ncols() / heads.max(1);
    let at_position = |position: usize| {
        let all = read.slice(s![row * positions + position, ..]);
        let by_head = Array2::from_shape_fn((heads, width), |(head, neuron)| f64::from(all[head * width + neuron]));
        cosines(by_head.view()).sum() / (heads * heads) as f64
    };
    -(0..positions).map(at_position).sum::<f64>() / positions as f64
}

#[cfg(test)]
mod tests {
    use disentangle_data::Seed;
    use ndarray::array;

    use super::*;

    fn near(found: Option<f64>, expected: f64) {
        let found = found.unwrap();
        assert!((found - expected).abs() < 1e-6, "{found}, expected {expected}");
    }

    fn bootstrap() -> Bootstrap {
        Bootstrap::new(1, 20, Seed::new(0))
    }

    /// One row, two heads, two queries, two keys: the first head is even, the second looks at the first key.
    #[test]
    fn an_even_head_and_a_focused_one_have_closed_forms() {
        let pattern = array![[0.5f32, 0.5, 1.0, 0.0], [0.5, 0.5, 1.0, 0.0]];
        // Outputs at right angles, and the same ones.
        let read = array![[1.0f32, 0.0, 0.0, 2.0], [3.0, 0.0, 1.0, 0.0]];
        let rows = AttentionRows::new("attn", &pattern, &read, [2, 2, 2]);
        let part = rows.part(&bootstrap());
        near(part.heads[0].entropy.value, 1.0);
        near(part.heads[1].entropy.value, 0.0);
        near(part.entropy.value, 0.5);
        near(part.heads[0].largest.value, 0.5);
        near(part.heads[1].largest.value, 1.0);
        // (.5, .5, .5, .5) and (1, 0, 1, 0).
        let apart = 1.0 - 1.0 / 2.0f64.sqrt();
        near(part.diversity.value, apart);
        near(part.heads[1].specialisation.value, apart);
        // (1 + 1 + 0 + 0) / 4 at the first position, 1 at the second.
        near(part.disagreement.value, -0.75);
        assert_eq!(rows.means(), [part.entropy.value, part.diversity.value]);

        let even = array![[0.5f32, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5]];
        let before = AttentionRows::new("attn", &even, &read, [2, 2, 2]);
        let change = rows.change(&before, &bootstrap());
        near(change.entropy.value, -0.5);
        near(change.diversity.value, apart);
    }

    #[test]
    fn padding_is_no_key_and_one_key_says_nothing() {
        // Three keys of which the last is padding.
        let padded = array![[0.5f32, 0.5, 0.0], [0.9, 0.1, 0.0]];
        let read = array![[1.0f32], [1.0]];
        let part = AttentionRows::new("attn", &padded, &read, [1, 1, 3]).part(&bootstrap());
        let second = -(0.9f64 * 0.9f64.ln() + 0.1 * 0.1f64.ln()) / 2.0f64.ln();
        near(part.entropy.value, f64::midpoint(1.0, second));
        assert!(part.diversity.value.is_none() && part.diversity.note.is_some());

        let alone = array![[1.0f32, 1.0]];
        let read = array![[1.0f32, 0.0]];
        let part = AttentionRows::new("attn", &alone, &read, [2, 1, 1]).part(&bootstrap());
        assert!(part.entropy.value.is_none() && part.diversity.value.is_none());
        near(part.heads[0].largest.value, 1.0);
        // The second head reads nothing.
        near(part.disagreement.value, -0.25);
    }
}
