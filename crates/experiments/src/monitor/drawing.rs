//! Windows drawn from the reference: what a window of rows of which nothing changed looks like.

use std::collections::BTreeMap;

use disentangle_data::{Reference, Seed};

/// How rows of the reference depend on each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Drawing {
    /// Rows follow each other in time: moving blocks of so many consecutive ones.
    Blocks {
        /// Of the reference.
        rows: usize,
        /// Of a block.
        length: usize,
    },
    /// Rows of one subject stand together: subjects, each with all its rows.
    Subjects(Vec<Vec<usize>>),
}

impl Drawing {
    /// By blocks where a length is given.
    pub(super) fn new(reference: &Reference, block: Option<usize>) -> Self {
        if let Some(length) = block {
            let rows = reference.len();
            return Drawing::Blocks {
                rows,
                length: length.clamp(1, rows.max(1)),
            };
        }
        let mut subjects: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (row, subject) in reference.subjects.iter().enumerate() {
            subjects.entry(subject).or_default().push(row);
        }
        Drawing::Subjects(subjects.into_values().collect())
    }

    /// `count` rows; a block may come twice, a subject never. The last block or subject is cut.
    pub(super) fn draw(&self, count: usize, seed: Seed) -> Vec<usize> {
        let mut rng = seed.rng();
        let mut drawn = Vec::with_capacity(count);
        match self {
            Drawing::Blocks { rows, length } => {
                // A window within one block is one block.
                let length = (*length).min(count).max(1);
                while drawn.len() < count && *rows > 0 {
                    let start = rng.below(rows + 1 - length.min(*rows));
                    drawn.extend(start..(start + length).min(*rows));
                }
            }
            Drawing::Subjects(subjects) => {
                for subject in rng.permutation(subjects.len()) {
                    if drawn.len() >= count {
                        break;
                    }
                    drawn.extend_from_slice(&subjects[subject]);
                }
            }
        }
        drawn.truncate(count);
        drawn
    }

    /// Which of `folds` each row belongs to: consecutive rows, or whole subjects at random.
    pub(super) fn folds(&self, folds: usize, seed: Seed) -> Vec<usize> {
        match self {
            Drawing::Blocks { rows, .. } => (0..*rows).map(|row| row * folds / rows).collect(),
            Drawing::Subjects(subjects) => {
                let mut fold_of = vec![0; subjects.iter().map(Vec::len).sum()];
                let order = seed.rng().permutation(subjects.len());
                for (place, subject) in order.into_iter().enumerate() {
                    for &row in &subjects[subject] {
                        fold_of[row] = place % folds;
                    }
                }
                fold_of
            }
        }
    }

    /// What a report says of it.
    pub(super) fn about(&self) -> String {
        match self {
            Drawing::Blocks { length, .. } => format!("moving blocks of {length} consecutive rows"),
            Drawing::Subjects(subjects) if subjects.iter().any(|rows| rows.len() > 1) => {
                "random subjects, each with all its rows".into()
            }
            Drawing::Subjects(_) => "random rows".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(subjects: &[&str]) -> Reference {
        Reference {
            rows: (0..subjects.len() as u64).collect(),
            subjects: subjects.iter().map(ToString::to_string).collect(),
            ..Reference::default()
        }
    }

    #[test]
    fn blocks_are_consecutive_and_subjects_whole() {
        let blocks = Drawing::new(&reference(&["SPY"; 40]), Some(7));
        let subjects = Drawing::new(&reference(&["b", "a", "b", "c", "a", "b"]), None);
        for draw in 0..50 {
            let seed = Seed::new(1).index(draw);
            let drawn = blocks.draw(20, seed);
            assert_eq!(drawn.len(), 20);
            for block in drawn.chunks(7) {
                assert!(block.windows(2).all(|pair| pair[1] == pair[0] + 1) && block.iter().all(|row| *row < 40));
            }
            let drawn = subjects.draw(3, seed);
            assert!(drawn.windows(2).all(|pair| pair[0] != pair[1]) && drawn.len() == 3);
            // Whoever has one row drawn has all, but for the last one.
            if drawn[0] == 3 {
                assert!(drawn[1..] == [1, 4] || drawn[1..] == [0, 2], "{drawn:?}");
            }
        }
        let fold_of = subjects.folds(2, Seed::new(0));
        assert!(fold_of[0] == fold_of[2] && fold_of[2] == fold_of[5] && fold_of[1] == fold_of[4]);
        assert_eq!(blocks.folds(4, Seed::new(0))[9..11], [0, 1]);
    }
}
