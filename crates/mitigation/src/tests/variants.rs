//! Rows that pass beside those of a batch: attacked ones, and those with another row's shortcut.

use disentangle_data::Seed;
use disentangle_models::{
    ModelError,
    train::{Ask, Batch, Strategy},
};
use ndarray::{Array3, array};

use super::{LABELS, batch};
use crate::{adversarial::Attacked, consistency::Consistent};

/// A model whose inputs and gradient are given.
struct Fixed {
    x: Array3<f32>,
    gradient: Array3<f32>,
}

impl Ask for Fixed {
    fn inputs(&self, windows: &[usize]) -> Array3<f32> {
        assert_eq!(windows, [10, 11, 12, 13]);
        self.x.clone()
    }

    fn input_gradient(&self, x: &Array3<f32>) -> Result<Array3<f32>, ModelError> {
        assert_eq!(*x, self.x);
        Ok(self.gradient.clone())
    }
}

#[test]
fn an_attack_raises_the_loss_on_the_shortcut_alone() {
    let ask = Fixed {
        x: array![[[1.0, 10.0]], [[2.0, 20.0]], [[3.0, 30.0]], [[4.0, 40.0]]],
        gradient: array![[[9.0, 2.0]], [[9.0, 2.0]], [[9.0, -3.0]], [[9.0, 0.0]]],
    };
    let mut strategy = Attacked {
        level: 0.5,
        share: 0.3,
        columns: vec![1],
    };
    let found = strategy.variants(&batch(&[10, 11, 12, 13], &LABELS), &ask).unwrap();
    // Labels 1, 0, 1, 0: the logit is pushed down, up, down; where it does not move nothing does.
    assert_eq!(
        found,
        [array![[[1.0, 9.5]], [[2.0, 20.5]], [[3.0, 30.5]], [[4.0, 40.0]]]]
    );
}

#[test]
fn a_counterfactual_row_has_the_shortcut_of_one_other_row() {
    // Two positions; the shortcut tells row and position.
    let x = Array3::from_shape_fn((4, 2, 2), |(row, position, column)| match column {
        0 => -(row as f32),
        _ => (10 * row + position) as f32,
    });
    let ask = Fixed {
        gradient: Array3::zeros(x.dim()),
        x: x.clone(),
    };
    let mut strategy = Consistent {
        weight: 1.0,
        columns: vec![1],
        seed: Seed::new(0),
    };
    let mut seen = Vec::new();
    for step in 0..20 {
        let of_step = Batch {
            step,
            ..batch(&[10, 11, 12, 13], &LABELS)
        };
        let found = strategy.variants(&of_step, &ask).unwrap().remove(0);
        let donors: Vec<usize> = (0..4).map(|row| found[[row, 0, 1]] as usize / 10).collect();
        for (row, &donor) in donors.iter().enumerate() {
            for position in 0..2 {
                assert_eq!(found[[row, position, 0]], x[[row, position, 0]]);
                assert_eq!(found[[row, position, 1]], x[[donor, position, 1]]);
            }
        }
        let mut sorted = donors.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2, 3], "every row gives once");
        seen.push(donors);
    }
    seen.sort_unstable();
    seen.dedup();
    assert!(seen.len() > 5, "each step draws anew: {seen:?}");
}
