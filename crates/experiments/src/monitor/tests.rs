use disentangle_data::{Reference, Seed};
use ndarray::Array2;

use super::{
    drawing::Drawing,
    outcome::{Band, at_least},
    p_value,
    statistics::{Detector, Group, Kind, Rows, Side, Statistic},
};

#[test]
fn chances_of_so_many_alarms() {
    for (count, trials, chance, expected) in [
        (0, 5, 0.1, 1.0),
        (1, 1, 0.005, 0.005),
        // 1 - 0.9^3, and 3 · 0.01 · 0.9 + 0.001.
        (1, 3, 0.1, 0.271),
        (2, 3, 0.1, 0.028),
        (4, 3, 0.1, 0.0),
    ] {
        let found = at_least(count, trials, chance);
        assert!((found - expected).abs() < 1e-12, "{count} of {trials}: {found}");
    }
}

#[test]
fn sides_of_the_null() {
    let null: Vec<f64> = (1..100).map(f64::from).collect();
    for (side, value, expected) in [
        (Side::Above, 100.0, 0.01),
        (Side::Above, 50.0, 0.51),
        (Side::Below, 0.0, 0.01),
        (Side::Below, 99.0, 1.0),
        (Side::Both, 100.0, 0.02),
        (Side::Both, 50.0, 1.0),
    ] {
        assert_eq!(p_value(side, value, &null), Some(expected), "{side:?} {value}");
    }
    let band = |side: Side| Band::new(side, &null, 0.1).unwrap();
    assert_eq!((band(Side::Above).low, band(Side::Above).median), (None, 50.0));
    assert!((band(Side::Above).high.unwrap() - 89.2).abs() < 1e-9);
    assert!((band(Side::Both).low.unwrap() - 5.9).abs() < 1e-9);
    assert_eq!(band(Side::Below).high, None);
    assert_eq!(Band::new(Side::Above, &[], 0.1), None);
}

fn rows(features: Array2<f64>) -> Rows {
    let count = features.nrows();
    Rows {
        features,
        logits: vec![0.0; count],
        labels: vec![None; count],
        missing: vec![0.0; count],
        scores: vec![Vec::new()],
    }
}

/// Windows of the reference's own distribution alarm as often as the level says, and a shift by a standard deviation always does.
#[test]
fn levels_hold() {
    let mut rng = Seed::new(5).rng();
    let (count, window, columns) = (400, 40, 3);
    let mut normal = |rows: usize, shift: f64| Array2::from_shape_fn((rows, columns), |_| shift + rng.normal());
    let (mut alarms, mut found, mut asked) = (0, 0, 0);
    for round in 0..12 {
        let features = normal(count, 0.0);
        let orders = (0..columns).map(|column| {
            let mut order: Vec<usize> = (0..count).collect();
            order.sort_by(|&a, &b| features[[a, column]].total_cmp(&features[[b, column]]));
            order
        });
        let names = Reference {
            rows: (0..count as u64).collect(),
            subjects: (0..count).map(|row| row.to_string()).collect(),
            ..Reference::default()
        };
        let detector = Detector {
            orders: orders.collect(),
            groups: vec![Group {
                name: "all".into(),
                columns: 0..columns,
                probe: None,
            }],
            statistics: vec![Statistic {
                kind: Kind::Distance,
                group: Some(0),
            }],
            reference: rows(features),
            drawing: Drawing::new(&names, None),
        };
        let null = detector.null(window, 199, Seed::new(round));
        let mut alarm = |shift: f64| {
            let measured = detector.measure(&rows(normal(window, shift)));
            let p = p_value(Side::Above, measured[0].value.unwrap(), &null[0]);
            usize::from(p.unwrap() <= 0.05)
        };
        for _ in 0..40 {
            alarms += alarm(0.0);
            asked += 1;
        }
        found += alarm(1.0);
    }
    // 24 of 480 are expected. Windows share a reference, so that the spread is above the binomial's 4.8.
    assert!((6..=48).contains(&alarms), "{alarms} of {asked}");
    assert_eq!(found, 12);
}
