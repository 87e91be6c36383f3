//! What a strategy changes in a model beside its accuracy (notebook part 44): from pairs of models, one a training. Before is plain training
//! from the same initial weights on the same rows, after is the strategy.

use disentangle_analysis::{Estimate, classification::sigmoid, descriptive::mean, similarity::linear_cka};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::{
    measure::Measured,
    outcome::Compared,
    summary::{compared, over_trainings},
};

/// Changes of one strategy over trainings. Those of the gradient norm (smoothness of the boundary) and of disentanglement stand among the
/// strategy's values.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Impact {
    /// AUC lost on the main rows without each group, in the order of the outcome's groups; its difference is the importance shift.
    pub importance: Vec<Compared>,
    /// Mean |p after - p before| on the main rows, in [0, 1].
    pub boundary_shift: Estimate,
    /// 1 - linear CKA of the pooled activations before and after, in [0, 1].
    pub representation_distance: Estimate,
}

pub(super) fn impact(groups: &[String], own: &[Measured], plain: &[Measured]) -> Impact {
    let of = |group: &str, one: &Measured| {
        let found = one.importance.iter().find(|(name, _)| name == group);
        found.and_then(|(_, drop)| *drop)
    };
    let importance = groups.iter().map(|group| {
        compared(
            own.iter().map(|one| of(group, one)),
            plain.iter().map(|one| of(group, one)),
        )
    });
    let over_pairs = |change: &dyn Fn(&Measured, &Measured) -> Option<f64>| {
        let changes: Vec<Option<f64>> = own.iter().zip(plain).map(|(own, plain)| change(plain, own)).collect();
        over_trainings(&changes).within(0.0, 1.0)
    };
    Impact {
        importance: importance.collect(),
        boundary_shift: over_pairs(&|before, after| boundary_shift(before.logits.first()?, after.logits.first()?)),
        representation_distance: over_pairs(&|before, after| {
            representation_distance(before.pool.as_ref()?, after.pool.as_ref()?)
        }),
    }
}

/// Mean |p after - p before| from the logits of the same rows; `None` for no rows.
fn boundary_shift(before: &[f64], after: &[f64]) -> Option<f64> {
    let moved = before.iter().zip(after).map(|(b, a)| (sigmoid(*a) - sigmoid(*b)).abs());
    mean(&moved.collect::<Vec<f64>>())
}

/// 1 - linear CKA of activations of the same rows, `[row, neuron]`; `None` where a side is constant.
fn representation_distance(before: &Array2<f32>, after: &Array2<f32>) -> Option<f64> {
    let (before, after) = (before.mapv(f64::from), after.mapv(f64::from));
    let alike = linear_cka(("pool before", before.view()), ("pool after", after.view()));
    // Activations that are not finite are undefined here as they are for every other measure of the pool.
    Some(1.0 - alike.ok()??)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, array};

    use super::*;

    fn model(logits: &[f64], drop: f64, pool: Option<Array2<f32>>) -> Measured {
        Measured {
            values: vec![],
            environments: vec![],
            logits: vec![logits.to_vec()],
            importance: vec![("a".into(), Some(drop)), ("b".into(), None)],
            pool,
        }
    }

    #[test]
    fn changes_have_closed_forms() {
        let three = 3f64.ln();
        // p is .5 and .75 before, .75 and .25 after.
        let shift = boundary_shift(&[0.0, three], &[three, -three]).unwrap();
        assert!((shift - 0.375).abs() < 1e-12, "{shift}");
        assert_eq!(boundary_shift(&[], &[]), None);

        let before = array![[1.0f32, 0.0], [-1.0, 1.0], [0.5, 2.0], [0.0, -1.0]];
        let turned = before.dot(&array![[0.0f32, 3.0], [-3.0, 0.0]]) + Array1::from_elem(2, 5.0f32);
        assert!(representation_distance(&before, &turned).unwrap() < 1e-9);
        let (x, y) = (
            array![[1.0f32], [-1.0], [0.0], [0.0]],
            array![[0.0f32], [0.0], [1.0], [-1.0]],
        );
        assert_eq!(representation_distance(&x, &y), Some(1.0));
        assert_eq!(representation_distance(&x, &Array2::zeros((4, 1))), None);
    }

    #[test]
    fn pairs_are_of_one_training() {
        let three = 3f64.ln();
        let x = array![[1.0f32], [-1.0], [0.0], [0.0]];
        let plain = [
            model(&[0.0], 0.3, Some(x.clone())),
            model(&[three], 0.1, Some(x.clone())),
        ];
        let own = [model(&[three], 0.2, Some(x)), model(&[0.0], 0.2, None)];
        let found = impact(&["a".into(), "b".into()], &own, &plain);
        // Both shifts are .25, whatever their direction; of importances the signed differences count: -.1 and +.1.
        let shift = found.boundary_shift.value.unwrap();
        assert!((shift - 0.25).abs() < 1e-12, "{shift}");
        let [a, b] = &found.importance[..] else {
            panic!("{found:?}")
        };
        assert!(
            a.over_erm.value.unwrap().abs() < 1e-12 && a.over_erm.low < Some(-0.5),
            "{a:?}"
        );
        assert!((a.value.value.unwrap() - 0.2).abs() < 1e-12, "{a:?}");
        assert_eq!((b.value.value, b.over_erm.value), (None, None));
        let distance = &found.representation_distance;
        assert!(distance.value.unwrap() < 1e-9 && distance.n == 1, "{distance:?}");
        assert!(
            distance.note.as_ref().unwrap().contains("1 of 2 trainings"),
            "{distance:?}"
        );
    }
}
