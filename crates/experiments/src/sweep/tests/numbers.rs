//! Numbers over seeds, which of them are shown, and how they are drawn.

use disentangle_analysis::Estimate;
use disentangle_report::{Block, Figure, MetricRow, Values};
use serde_json::{Map, Value, json};

use super::*;
use crate::sweep::{
    aggregate::{Numbers, chosen},
    figures::Drawn,
    grid::GridKey,
    outcome::{NumberName, Point, PointMetric, SweepOutcome},
};

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn row(metric: &str, value: f64) -> MetricRow {
    MetricRow {
        metric: metric.into(),
        model: Some("small".into()),
        value: Some(value),
        ..MetricRow::default()
    }
}

fn canonical(key: &str) -> &str {
    if key == "hidden" { "grid_hidden" } else { key }
}

#[test]
fn numbers_are_means_over_seeds_named_without_the_grid() {
    let mut numbers = Numbers::new(&[], 100);
    let mut gathered = numbers.point(map(json!({ "grid_hidden": 32, "model": "small" })), canonical);
    let neuron = |value: f64| MetricRow {
        params: Some(r#"{"hidden":32,"neuron":1}"#.into()),
        ..row("roc_auc_drop", value)
    };
    let baseline = |value: f64| MetricRow {
        model: Some("logistic".into()),
        params: Some(r#"{"hidden":32}"#.into()),
        ..row("accuracy", value)
    };
    gathered.add(&[
        row("accuracy", 1.0),
        neuron(0.5),
        baseline(0.25),
        row("accuracy", 100.0),
    ]);
    gathered.add(&[row("accuracy", 3.0), baseline(0.25)]);
    let metrics = gathered.finish();
    let found: Vec<(Option<&str>, &str, Option<&str>)> = metrics
        .iter()
        .map(|one| {
            (
                one.name.model.as_deref(),
                one.name.metric.as_str(),
                one.name.params.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (None, "accuracy", None),
            (None, "roc_auc_drop", Some(r#"{"neuron":1}"#)),
            (Some("logistic"), "accuracy", None),
        ]
    );
    // 2 -+ 12.706 * sqrt(2) / sqrt(2): Student's t with one degree of freedom.
    let accuracy = &metrics[0].estimate;
    assert_eq!((accuracy.value, accuracy.n), (Some(2.0), 2));
    assert!((accuracy.high.unwrap() - 14.706_205).abs() < 1e-4, "{accuracy:?}");
    let once = &metrics[1].estimate;
    assert_eq!((once.value, once.low, once.n), (Some(0.5), None, 1));
    assert_eq!(once.note.as_deref(), Some("undefined for 1 of 2 seeds"));

    // The same numbers at another point.
    let mut gathered = numbers.point(map(json!({ "grid_hidden": 64, "model": "sequence" })), canonical);
    let other = MetricRow {
        model: Some("sequence".into()),
        params: Some(r#"{"hidden":64.0}"#.into()),
        ..row("accuracy", 5.0)
    };
    gathered.add(&[other, baseline(0.25)]);
    let metrics = gathered.finish();
    assert_eq!((metrics[0].id, metrics[0].estimate.value), (0, Some(5.0)));
    assert_eq!(
        metrics[1].name.params.as_deref(),
        Some(r#"{"hidden":32}"#),
        "a value that is not the point's stays"
    );
}

/// A sweep over `strategies`: each point's own strategy is the point, the plain training beside it is not.
#[test]
fn a_list_of_one_strategy_is_that_strategy() {
    let of = |strategy: &str| MetricRow {
        strategy: Some(strategy.into()),
        params: Some(json!({ "strategy": strategy }).to_string()),
        ..row("accuracy", 1.0)
    };
    let mut numbers = Numbers::new(&[], 10);
    for strategy in ["jtt", "vrex"] {
        let mut gathered = numbers.point(map(json!({ "strategies": strategy })), canonical);
        gathered.add(&[of(strategy), of("erm")]);
        let names: Vec<_> = gathered.finish().into_iter().map(|one| (one.id, one.name)).collect();
        assert_eq!((names[0].0, names[1].0), (0, 1), "the same numbers at every point");
        assert_eq!((&names[0].1.strategy, &names[0].1.params), (&None, &None));
        assert_eq!(names[1].1.strategy.as_deref(), Some("erm"));
        assert_eq!(names[1].1.params.as_deref(), Some(r#"{"strategy":"erm"}"#));
    }
}

#[test]
fn what_is_kept_is_bounded_and_chosen() {
    let mut numbers = Numbers::new(&[], 1);
    let mut gathered = numbers.point(Map::new(), canonical);
    gathered.add(&[row("accuracy", 1.0), row("roc_auc", 1.0)]);
    assert_eq!(gathered.finish().len(), 1);
    assert!(numbers.left_out);
    let mut numbers = Numbers::new(&["roc_auc".into()], 1);
    let mut gathered = numbers.point(Map::new(), canonical);
    gathered.add(&[row("accuracy", 1.0), row("roc_auc", 1.0)]);
    let metrics = gathered.finish();
    assert_eq!((metrics.len(), metrics[0].name.metric.as_str()), (1, "roc_auc"));
    assert!(!numbers.left_out && numbers.metrics.contains("accuracy"));
}

/// An outcome with these keys whose number `id` is `of` each point's place, if it has one.
fn outcome(grid: &[(&str, &[Value])], count: usize, of: fn(usize, usize) -> Option<f64>) -> SweepOutcome {
    let grid: Vec<GridKey> = (grid.iter())
        .map(|(key, values)| GridKey {
            key: (*key).into(),
            values: values.to_vec(),
        })
        .collect();
    let lengths: Vec<usize> = grid.iter().map(|key| key.values.len()).collect();
    let places = grid::combinations(&lengths).into_iter().enumerate();
    let points = places.map(|(point, places)| {
        let params = grid.iter().zip(&places);
        let metrics = (0..count).filter_map(|id| {
            Some(PointMetric {
                id,
                name: NumberName::default(),
                estimate: Estimate::point(of(id, point)?, 1),
            })
        });
        Point {
            params: params
                .map(|(key, &place)| (key.key.clone(), key.values[place].clone()))
                .collect(),
            metrics: metrics.collect(),
        }
    });
    SweepOutcome {
        schema_version: 1,
        kind: "sweep",
        experiment: "capacity".into(),
        seeds: vec![0],
        points: points.collect(),
        runs: Vec::new(),
        grid,
    }
}

#[test]
fn numbers_that_every_point_has_and_that_change_are_shown() {
    // 0: changes; 1: is the same everywhere; 2: one point lacks it; the rest: change.
    let of = |id: usize, point: usize| match id {
        1 => Some(0.5),
        2 if point == 1 => None,
        _ => Some(point as f64),
    };
    let three = outcome(&[("hidden", &[json!(1), json!(2), json!(3)])], 20, of);
    let shown: Vec<usize> = std::iter::once(0).chain(3..14).collect();
    assert_eq!(chosen(20, &three.points, false), shown);
    assert_eq!(chosen(20, &three.points, true), (0..20).collect::<Vec<_>>());
    let mut failed = three.clone();
    failed.points[1].metrics.clear();
    assert!(
        chosen(20, &failed.points, false).contains(&2),
        "a point without runs does not count"
    );
    let one = outcome(&[("hidden", &[json!(1)])], 3, of);
    assert_eq!(
        chosen(3, &one.points, false),
        [0, 1, 2],
        "of one point nothing can change"
    );
}

fn figures(outcome: &SweepOutcome) -> (Vec<Figure>, Option<String>) {
    let drawn = Drawn {
        outcome,
        id: 0,
        file: "number-01".into(),
        name: "accuracy",
        digits: 1,
    };
    let (blocks, left_out) = drawn.figures();
    let figures = blocks.into_iter().filter_map(|block| match block {
        Block::Figure(figure) => Some(figure),
        Block::Table(_) => None,
    });
    (figures.collect(), left_out)
}

/// Every number is its point's place.
const PLACE: fn(usize, usize) -> Option<f64> = |_, point| Some(point as f64);

#[test]
fn one_key_is_a_curve_or_dots() {
    let (drawn, _) = figures(&outcome(&[("rate", &[json!(1.0), json!(0.01)])], 1, PLACE));
    assert_eq!(drawn[0].series[0].x, Values::Numbers(vec![0.01, 1.0]), "numbers rise");
    assert_eq!(drawn[0].series[0].y, [Some(1.0), Some(0.0)]);
    assert_eq!(drawn[0].log, [true, false]);
    let names = [json!("b"), json!("a")];
    let (drawn, _) = figures(&outcome(&[("fixed", &[json!(7)]), ("rule", &names)], 1, PLACE));
    assert_eq!(drawn[0].series[0].x, Values::Names(vec!["b".into(), "a".into()]));
    assert_eq!(drawn[0].series[0].y, [Some(0.0), Some(1.0)]);
    assert!(figures(&outcome(&[("rule", &[json!("b")])], 1, PLACE)).0.is_empty());
}

#[test]
fn two_keys_are_a_heatmap_and_more_are_several() {
    let (few, letters) = ([json!(2), json!(1)], [json!("x"), json!("y"), json!("z")]);
    let (drawn, left_out) = figures(&outcome(&[("few", &few), ("letters", &letters)], 1, PLACE));
    let map = drawn[0].heatmap.as_ref().unwrap();
    assert_eq!((map.x.join(" "), map.y.join(" ")), ("1 2".into(), "x y z".into()));
    // The points are 2x 2y 2z 1x 1y 1z.
    let expected = [[3.0, 0.0], [4.0, 1.0], [5.0, 2.0]].map(|row| row.map(Some).to_vec());
    assert_eq!(map.values, expected);
    assert_eq!(map.text.as_ref().unwrap()[2], ["5.0", "2.0"]);
    assert_eq!(left_out, None);

    let (drawn, left_out) = figures(&outcome(
        &[("few", &few), ("letters", &letters), ("more", &letters)],
        1,
        PLACE,
    ));
    assert_eq!((drawn.len(), left_out), (2, None));
    assert_eq!(drawn[1].id, "number-01-2");
    assert_eq!(drawn[1].title, "accuracy at few = 1");
    let values = &drawn[1].heatmap.as_ref().unwrap().values;
    assert_eq!(values[2][0], Some(11.0), "few = 1, letters = x, more = z");

    let seven: Vec<Value> = (0..7).map(Value::from).collect();
    let eight: Vec<Value> = (0..8).map(Value::from).collect();
    let keys: [(&str, &[Value]); 3] = [("a", &eight), ("b", &seven), ("c", &eight)];
    let (drawn, left_out) = figures(&outcome(&keys, 1, PLACE));
    assert_eq!(drawn.len(), 6);
    assert_eq!(
        left_out.unwrap(),
        "Figures show 6 of 7 combinations of `b`; the table holds all."
    );
}
