use crate::*;

mod figures;

fn every_kind() -> Report {
    let interval = |values: &[f64], by: f64| Some(values.iter().map(|v| Some(v + by)).collect());
    let series = |name: &str, mark, x: Values, y: Vec<f64>| Series {
        low: interval(&y, -0.1),
        high: interval(&y, 0.1),
        ..Series::new(name, mark, x, y)
    };
    let names = || Values::Names(["<b>", "two", "three"].map(Into::into).into());
    let mut gap = series("gap", Mark::Line, names(), vec![1.0, 2.0, 3.0]);
    gap.y[1] = None;
    let mut cloud = Series::new("cloud", Mark::Points, Values::Numbers(vec![1.0, 2.0]), vec![0.0, 1.0]);
    cloud.z = Some(vec![2.0, 3.0]);
    let figure = |id: &str, series: Vec<Series>| {
        Block::Figure(Figure {
            id: id.into(),
            title: format!("Figure {id}"),
            reading: "Higher </script> is more.".into(),
            axes: ["across".into(), "up".into(), "deep".into()],
            series,
            lines: vec![0.5],
            ..Figure::default()
        })
    };
    let bars = |name: &str| series(name, Mark::Bar, names(), vec![0.2, -0.4, 0.1]);
    let empty = Series::new("nothing", Mark::Line, Values::Numbers(vec![]), vec![]);
    let number = |value: f64| Cell::Number {
        value: Some(value),
        shown: format!("{value:.1}"),
    };
    Report {
        title: "T & <T>".into(),
        subtitle: "rows \"quoted\"".into(),
        simulated: true,
        notices: vec!["a <script>alert(1)</script> notice".into()],
        verdicts: vec![Verdict {
            text: "it & leans".into(),
            tone: Tone::Bad,
        }],
        sections: vec![Section {
            title: "All <img src=x>".into(),
            text: vec!["text <img src=x>".into()],
            blocks: vec![
                figure(
                    "lines",
                    vec![
                        series(
                            "curve",
                            Mark::Line,
                            Values::Numbers(vec![1.0, 2.0, 3.0]),
                            vec![0.1, 0.2, 0.3],
                        ),
                        gap,
                    ],
                ),
                figure("bars", vec![bars("a"), bars("b")]),
                figure(
                    "points",
                    vec![series(
                        "p",
                        Mark::Points,
                        Values::Numbers(vec![1.0, 2.0]),
                        vec![0.3, 0.4],
                    )],
                ),
                figure("cloud", vec![cloud]),
                figure("empty", vec![empty]),
                Block::Table(Table {
                    caption: "numbers <img src=x>".into(),
                    columns: vec!["name <img src=x>".into(), "value".into()],
                    rows: vec![
                        vec!["x <img src=x>".into(), number(10.0)],
                        vec!["y".into(), number(9.0)],
                    ],
                }),
            ],
        }],
    }
}

/// The page without its libraries.
fn own_part(page: &str) -> String {
    let start = page.find("<script type=\"text/javascript\">").unwrap();
    page[page.find("<body>").unwrap()..start].replace("><", ">\n<")
}

#[test]
fn the_page_is_the_one_that_was_looked_at() {
    insta::assert_snapshot!(own_part(&page(&every_kind())));
}

#[test]
fn the_page_escapes_everything_and_loads_nothing() {
    let page = page(&every_kind());
    let own = own_part(&page);
    assert!(!own.contains("<script>alert") && !own.contains("<b>") && own.contains("T &amp; &lt;T&gt;"));
    assert!(
        own.contains("&lt;b>"),
        "figure data cannot end its script, nor be read as HTML by Plotly"
    );
    assert!(!own.contains("<img"), "{own}");
    assert!(page.contains("default-src 'none'"));
    assert!(!own.contains("http"), "{own}");
}

#[test]
fn every_kind_of_figure_is_drawn_as_svg_and_png() {
    let folder = tempfile::tempdir().unwrap();
    save_figures(&every_kind(), &folder.path().join("figures")).unwrap();
    for id in ["lines", "bars", "points", "cloud", "empty"] {
        let path = |extension: &str| folder.path().join("figures").join(format!("{id}.{extension}"));
        let svg = std::fs::read_to_string(path("svg")).unwrap();
        assert!(svg.contains("</svg>") && svg.contains(&format!("Figure {id}")), "{id}");
        let marks = |tag: &str| svg.matches(tag).count();
        // One ground, its frame or two series of three bars, legend included or not: never fewer marks than values.
        match id {
            "lines" => assert!(marks("<polyline") >= 2 && marks("<polygon") == 2, "{svg}"),
            "bars" => assert!(marks("<rect") > 6, "{svg}"),
            "points" | "cloud" => assert!(marks("<circle") >= 2, "{svg}"),
            _ => {}
        }
        let png = std::fs::read(path("png")).unwrap();
        assert_eq!(&png[1..4], b"PNG", "{id}");
        assert_eq!(u32::from_be_bytes(png[16..20].try_into().unwrap()), 900, "{id}");
    }
}

#[test]
fn rows_are_parquet_with_every_column() {
    use polars::prelude::*;
    let folder = tempfile::tempdir().unwrap();
    let row = MetricRow {
        metric: "roc_auc".into(),
        value: Some(0.5),
        seed: Some(3),
        ..MetricRow::default()
    };
    write_metrics(folder.path(), &[row.clone(), MetricRow::default()]).unwrap();
    let read = |name: &str| {
        ParquetReader::new(std::fs::File::open(folder.path().join(name)).unwrap())
            .finish()
            .unwrap()
    };
    let frame = read("metrics.parquet");
    let keys: Vec<String> = match serde_json::to_value(&row).unwrap() {
        serde_json::Value::Object(map) => map.keys().cloned().collect(),
        _ => vec![],
    };
    let mut names: Vec<String> = frame.get_column_names().iter().map(ToString::to_string).collect();
    names.sort();
    assert_eq!(
        names, keys,
        "a field of MetricRow without a column, or the other way round"
    );
    assert_eq!(frame.height(), 2);
    assert_eq!(frame.column("value").unwrap().f64().unwrap().get(1), None);

    let predictions = [-2.0, 0.0, 2.0].map(|logit| Prediction {
        logit,
        ..Prediction::default()
    });
    write_predictions(&folder.path().join("predictions.parquet"), &predictions).unwrap();
    let probabilities = read("predictions.parquet")
        .column("probability")
        .unwrap()
        .f64()
        .unwrap()
        .to_vec();
    let expected = [0.119_202_922_022_117_6, 0.5, 0.880_797_077_977_882_3];
    assert!(
        probabilities
            .iter()
            .zip(expected)
            .all(|(p, e)| (p.unwrap() - e).abs() < 1e-12),
        "{probabilities:?}"
    );
}
