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

/// A mean of a window of the reference lies as far from that of the whole in the null as it lies from that of the rest.
#[test]
fn levels_of_the_null_lie_from_the_whole_as_windows_from_the_rest() {
    let (count, window) = (40, 10);
    let mut reference = rows(Array2::zeros((count, 1)));
    reference.missing = (0..count).map(|row| (row * row) as f64).collect();
    let names = Reference {
        rows: (0..count as u64).collect(),
        subjects: (0..count).map(|row| row.to_string()).collect(),
        ..Reference::default()
    };
    let detector = Detector {
        groups: Vec::new(),
        statistics: vec![Statistic {
            kind: Kind::Missing,
            group: None,
        }],
        orders: Vec::new(),
        reference,
        drawing: Drawing::new(&names, None),
    };
    let null = detector.null(window, 5, Seed::new(3));
    assert_eq!((null.len(), null[0].len()), (1, 5));
    let missing = &detector.reference.missing;
    let whole = missing.iter().sum::<f64>();
    for (draw, found) in null[0].iter().enumerate() {
        let chosen = detector.drawing.draw(window, Seed::new(3).index(draw as u64));
        let inside = chosen.iter().map(|&row| missing[row]).sum::<f64>();
        let (own, rest) = (inside / window as f64, (whole - inside) / (count - window) as f64);
        let expected = whole / count as f64 + own - rest;
        assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
    }
}

#[test]
fn statistics_have_closed_forms_and_their_side() {
    let kinds = [Kind::Prediction, Kind::Missing, Kind::Auc, Kind::Accuracy, Kind::Probe];
    assert_eq!(Kind::Distance.side(), Side::Above);
    assert_eq!(
        kinds.map(Kind::side),
        [Side::Both, Side::Both, Side::Below, Side::Below, Side::Below]
    );
    let statistic = |kind: Kind| Statistic {
        kind,
        group: (kind == Kind::Probe).then_some(0),
    };
    let detector = Detector {
        groups: Vec::new(),
        statistics: kinds.map(statistic).into(),
        orders: Vec::new(),
        reference: rows(Array2::zeros((2, 1))),
        drawing: Drawing::new(&Reference::default(), None),
    };
    // Odd rows are positive. Two of these score low, and one negative scores above all.
    let three = 3f64.ln();
    let mut window = rows(Array2::zeros((20, 1)));
    window.logits = (0..20)
        .map(|row| if row % 2 == 1 && row > 3 { three } else { -three })
        .collect();
    window.logits[0] = 10.0;
    window.labels = (0..20).map(|row| (row < 18).then_some((row % 2) as f32)).collect();
    window.missing = (0..20).map(f64::from).collect();
    window.scores = vec![(0..20).map(|row| f64::from(row % 2)).collect()];
    let values = |window: &Rows| -> Vec<Option<f64>> { detector.measure(window).iter().map(|one| one.value).collect() };
    let found = values(&window);
    // .75 for 8 rows, .25 for 11. Of 81 labelled pairs 56 are in order and 16 equal; 15 of 18 rows are right.
    let prediction = (8.0 * 0.75 + 11.0 * 0.25 + 1.0 / (1.0 + (-10f64).exp())) / 20.0;
    for (found, expected) in found.iter().zip([prediction, 9.5, 64.0 / 81.0, 15.0 / 18.0, 1.0]) {
        assert!((found.unwrap() - expected).abs() < 1e-9, "{found:?}, not {expected}");
    }
    // 17 of 20 labels are fewer than nine tenths.
    window.labels[17] = None;
    assert_eq!(values(&window)[2..], [None; 3]);
}
