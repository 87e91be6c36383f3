//! Heatmaps, logarithmic axes and labels.

use super::own_part;
use crate::{
    figure::number,
    palette::{is_dark, shade, stops},
    plotly_figure::to_plotly,
    scale::power,
    *,
};

/// The figure as SVG, and width and height of its PNG.
fn drawn(figure: &Figure) -> (String, [u32; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let section = Section {
        blocks: vec![Block::Figure(figure.clone())],
        ..Section::default()
    };
    let report = Report {
        sections: vec![section],
        ..Report::default()
    };
    save_figures(&report, folder.path()).unwrap();
    let png = std::fs::read(folder.path().join(format!("{}.png", figure.id))).unwrap();
    let svg = std::fs::read_to_string(folder.path().join(format!("{}.svg", figure.id))).unwrap();
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    (svg, [number(16), number(20)])
}

fn map_figure(map: Heatmap) -> Figure {
    Figure {
        id: "map".into(),
        title: "Map".into(),
        axes: ["task".into(), "model <1>".into(), String::new()],
        heatmap: Some(Box::new(map)),
        ..Figure::default()
    }
}

fn map_of(rows: usize, columns: usize) -> Heatmap {
    let names = |what: &str, count: usize| (0..count).map(|i| format!("{what}{i}")).collect();
    let grid = Heatmap {
        x: names("c", columns),
        y: names("r", rows),
        unit: "ROC AUC".into(),
        ..Heatmap::default()
    };
    Heatmap {
        values: grid.grid(|row, column| Some((row * columns + column) as f64)),
        text: Some(grid.grid(|row, column| format!("v{row}.{column} [low, high]"))),
        ..grid
    }
}

/// Whether a text of the SVG is just this.
fn writes(svg: &str, words: &str) -> bool {
    svg.contains(&format!(">\n{words}\n</text>"))
}

#[test]
fn heatmaps_of_every_size_are_drawn_twice() {
    let check = |rows: usize, columns: usize, first_line: bool, second_line: bool, height: u32| {
        let size = format!("{rows} x {columns}");
        let figure = map_figure(map_of(rows, columns));
        let (svg, pixels) = drawn(&figure);
        assert_eq!(pixels, [900, height], "{size}");
        assert!(svg.contains("Map") && svg.contains("</svg>"), "{size}");
        let empty = rows * columns == 0;
        assert_eq!(writes(&svg, "no values"), empty, "{size}");
        if !empty {
            assert!(svg.matches("<rect").count() >= rows * columns, "{size}");
            for words in ["c0", "r0", "task", "model &lt;1&gt;", "ROC AUC"] {
                assert!(writes(&svg, words), "{size}: {words}");
            }
        }
        let count = |words: &str| svg.matches(words).count();
        assert_eq!(writes(&svg, "v0.0"), first_line, "{size}");
        let second_lines = if second_line { rows * columns } else { 0 };
        assert_eq!(count("[low, high]"), second_lines, "{size}");

        let page = to_plotly(&figure);
        let traces = page["data"].as_array().unwrap();
        let texts = traces.iter().filter(|trace| trace["mode"] == "text").count();
        assert_eq!(texts, usize::from(columns <= 12 && !empty), "{size}");
        assert_eq!(traces.is_empty(), empty, "{size}");
        if let Some(trace) = traces.first() {
            assert_eq!(trace["z"].as_array().unwrap().len(), rows, "{size}");
            let last = trace["hovertext"][rows - 1][columns - 1].as_str().unwrap();
            let (row, column) = (rows - 1, columns - 1);
            let expected = format!("model &lt;1>: r{row}<br>task: c{column}<br>ROC AUC: v{row}.{column} [low, high]");
            assert_eq!(last, expected, "{size}");
        }
    };
    check(0, 0, false, false, 540);
    check(0, 3, false, false, 540);
    check(3, 0, false, false, 540);
    check(1, 1, true, true, 540);
    check(3, 3, true, true, 540);
    check(8, 12, true, true, 540);
    check(30, 12, true, false, 624);
    check(60, 2, false, false, 804);
    check(60, 60, false, false, 804);
    check(500, 3, false, false, 900);
}

#[test]
fn what_is_undefined_is_grey_and_says_so() {
    let mut map = map_of(3, 3);
    map.values[0][1] = None;
    map.values[1][2] = Some(f64::NAN);
    map.values.pop();
    let reason = "undefined (one class)";
    map.text.as_mut().unwrap()[0][1] = reason.into();
    let figure = map_figure(map);
    let page = to_plotly(&figure);
    let [grey, values, text] = &page["data"].as_array().unwrap()[..] else {
        panic!("{page}")
    };
    let one = serde_json::json!([[null, 1, null], [null, null, 1], [1, 1, 1]]);
    assert_eq!(grey["z"], one);
    assert_eq!(
        values["z"],
        serde_json::json!([[0.0, null, 2.0], [3.0, 4.0, null], [null, null, null]])
    );
    for (row, column, says) in [(0, 1, reason), (1, 2, "undefined"), (2, 0, "undefined")] {
        let hover = grey["hovertext"][row][column].as_str().unwrap();
        assert!(hover.ends_with(&format!("ROC AUC: {says}")), "{hover}");
    }
    assert_eq!(text["y"], serde_json::json!(["r0", "r0", "r1", "r1"]));
    // Only the least is dark.
    assert_eq!(
        text["textfont"]["color"],
        serde_json::json!(["#fff", "#000", "#000", "#000"])
    );
    let (svg, _) = drawn(&figure);
    assert!(
        svg.matches("<polyline").count() > 5 && writes(&svg, "undefined"),
        "{svg}"
    );
    let whole = map_figure(map_of(3, 3));
    assert!(!drawn(&whole).0.contains("undefined") && to_plotly(&whole)["data"].as_array().unwrap().len() == 2);
    let section = Section {
        blocks: vec![Block::Figure(figure), Block::Figure(whole)],
        ..Section::default()
    };
    let report = Report {
        sections: vec![section],
        ..Report::default()
    };
    assert_eq!(
        own_part(&crate::page(&report))
            .matches("Grey cells are undefined.")
            .count(),
        1
    );
}

#[test]
fn names_that_are_long_or_alike_keep_their_places() {
    let mut map = map_of(2, 3);
    map.x = vec!["1".into(), "1".into(), "a very long name of a column indeed".into()];
    let page = to_plotly(&map_figure(map));
    let trace = &page["data"][0];
    assert_eq!(
        trace["x"],
        serde_json::json!(["1", "1\u{200b}", "a very long name of a c…"])
    );
    assert_eq!(page["layout"]["xaxis"]["type"], "category");
    let hover = trace["hovertext"][0][2].as_str().unwrap();
    assert!(hover.contains("a very long name of a column indeed"), "{hover}");
}

#[test]
fn the_colour_scale_spans_what_it_should() {
    let check = |values: &[f64], range: Option<[f64; 2]>, diverging: bool, limits: [f64; 2]| {
        let map = Heatmap {
            x: vec!["c".into(); values.len()],
            y: vec!["r".into()],
            values: vec![values.iter().copied().map(Some).collect()],
            range,
            diverging,
            ..Heatmap::default()
        };
        assert_eq!(map.limits(), limits, "{map:?}");
        let page = to_plotly(&map_figure(map));
        let traces = page["data"].as_array().unwrap().iter();
        let spans: Vec<_> = traces
            .filter_map(|t| Some([t["zmin"].as_f64()?, t["zmax"].as_f64()?]))
            .collect();
        assert_eq!(spans, vec![limits; usize::from(!values.is_empty())]);
    };
    check(&[0.2, 0.9], None, false, [0.2, 0.9]);
    check(&[0.2, -0.9], None, true, [-0.9, 0.9]);
    check(&[0.2, 0.9], Some([0.0, 1.0]), true, [0.0, 1.0]);
    check(&[0.2, 0.9], Some([1.0, 0.0]), false, [0.2, 0.9]);
    check(&[0.2, 0.9], Some([f64::NAN, 1.0]), false, [0.2, 0.9]);
    check(&[2.0, 2.0], None, false, [1.5, 2.5]);
    check(&[0.0], None, true, [-0.5, 0.5]);
    check(&[], None, false, [0.0, 1.0]);
    check(&[f64::INFINITY, 1.0, 2.0], None, false, [1.0, 2.0]);
}

#[test]
fn colours_run_from_end_to_end_and_text_on_them_is_legible() {
    let check = |diverging: bool, share: f64, nearest_stop: usize, dark: bool| {
        let colour = shade(diverging, share);
        assert_eq!(colour, stops(diverging)[nearest_stop], "{diverging} {share}");
        assert_eq!(is_dark(colour), dark, "{diverging} {share}");
    };
    check(false, -1.0, 0, true);
    check(false, 0.0, 0, true);
    check(false, 0.25, 2, true);
    check(false, 1.0, 8, false);
    check(false, 2.0, 8, false);
    check(true, 0.0, 0, true);
    check(true, 0.5, 4, false);
    check(true, 1.0, 8, true);
    assert_eq!(shade(true, 0.4375), (214, 227, 241));
}

/// Centres of the circles of one size, from the first to the last; points have 4 pixels, in three dimensions 3.
fn centres(figure: &Figure, radius: f64) -> Vec<[f64; 2]> {
    let (svg, _) = drawn(figure);
    let attribute = |tag: &str, name: &str| -> f64 {
        let rest = tag.split_once(&format!("{name}=\"")).unwrap().1;
        rest.split_once('"').unwrap().0.parse().unwrap()
    };
    let mut centres = Vec::new();
    for tag in svg.split("<circle").skip(1).filter(|tag| attribute(tag, "r") == radius) {
        let centre = [attribute(tag, "cx"), attribute(tag, "cy")];
        // A whisker has a circle of its own.
        if !centres.contains(&centre) {
            centres.push(centre);
        }
    }
    centres
}

#[test]
fn logarithmic_axes_space_powers_evenly_and_leave_out_the_rest() {
    let figure = |log: [bool; 2], mark: Mark| Figure {
        id: "log".into(),
        title: "Log".into(),
        series: vec![Series {
            low: Some(vec![Some(0.0), Some(-1.0), Some(1.0), Some(9.0)]),
            high: Some(vec![Some(0.0), Some(2.0), Some(30.0), Some(200.0)]),
            ..Series::new(
                "s",
                mark,
                Values::Numbers(vec![-1.0, 1e-7, 1e-5, 1e-3]),
                vec![0.0, 1.0, 10.0, 100.0],
            )
        }],
        lines: vec![0.0, 5.0],
        log,
        ..Figure::default()
    };
    let points = centres(&figure([true, true], Mark::Points), 4.0);
    let [a, b, c] = points[..] else { panic!("{points:?}") };
    for axis in [0, 1] {
        let (first, second) = (b[axis] - a[axis], c[axis] - b[axis]);
        assert!((first - second).abs() <= 1.0 && first.abs() > 50.0, "{points:?}");
    }
    let (svg, _) = drawn(&figure([true, true], Mark::Points));
    for label in ["10⁻⁷", "10⁻⁵", "1", "10", "100"] {
        assert!(writes(&svg, label), "{label}: {svg}");
    }
    assert_eq!(centres(&figure([false, false], Mark::Points), 4.0).len(), 4);
    for mark in [Mark::Line, Mark::Bar] {
        drawn(&figure([true, true], mark));
    }

    let page = to_plotly(&figure([true, true], Mark::Points));
    let trace = &page["data"][0];
    assert_eq!(trace["x"], serde_json::json!([null, 1e-7, 1e-5, 1e-3]));
    assert_eq!(trace["y"], serde_json::json!([null, 1.0, 10.0, 100.0]));
    // The interval from below 0 starts at half of the least number shown.
    assert_eq!(trace["error_y"]["arrayminus"][1], 0.5);
    assert_eq!(page["layout"]["shapes"].as_array().unwrap().len(), 1);
    for axis in ["xaxis", "yaxis"] {
        assert_eq!(page["layout"][axis]["type"], "log");
    }

    let mut names = figure([true, false], Mark::Points);
    names.series[0].x = Values::Names(["a", "b", "c", "d"].map(Into::into).into());
    assert_eq!(to_plotly(&names)["layout"]["xaxis"].get("type"), None);
    assert_eq!(centres(&names, 4.0).len(), 4);

    let mut deep = figure([true, true], Mark::Points);
    deep.series[0].z = Some(vec![0.0, 1.0, 2.0, 3.0]);
    assert_eq!(to_plotly(&deep)["layout"]["scene"]["yaxis"]["type"], "log");
    assert_eq!(centres(&deep, 3.0).len(), 3);

    let mut empty = figure([true, true], Mark::Bar);
    empty.series[0].y = vec![Some(-1.0); 4];
    empty.lines.clear();
    drawn(&empty);
    empty.series.clear();
    drawn(&empty);
}

#[test]
fn numbers_and_powers_are_short() {
    let check = |value: f64, shown: &str| assert_eq!(number(value), shown, "{value}");
    check(0.0, "0");
    check(0.12345, "0.123");
    check(-2.5, "-2.5");
    check(1234.5, "1234");
    check(100.0, "100");
    check(0.00012, "0.00012");
    check(1.5e-9, "1.50e-9");
    check(2e7, "2.00e7");
    let check = |exponent: f64, shown: &str| assert_eq!(power(exponent), shown, "{exponent}");
    check(-12.0, "10⁻¹²");
    check(-3.0, "0.001");
    check(0.0, "1");
    check(2f64.log10(), "2");
    check(4.0, "10000");
    check(36.0, "10³⁶");
}

#[test]
fn labels_are_told_when_pointed_at() {
    let mut series = Series::new("s", Mark::Points, Values::Numbers(vec![1.0, 2.0]), vec![3.0, 4.0]);
    series.labels = Some(vec!["a <b>".into(), "c".into()]);
    for z in [None, Some(vec![5.0, 6.0])] {
        series.z = z;
        let figure = Figure {
            series: vec![series.clone()],
            ..Figure::default()
        };
        let page = to_plotly(&figure);
        assert_eq!(page["data"][0]["hovertext"], serde_json::json!(["a &lt;b>", "c"]));
    }
}

#[test]
fn figures_of_before_are_still_read() {
    let old = r#"{"id":"i","title":"t","reading":"r","axes":["x","y",""],"lines":[0.5],
        "series":[{"name":"n","mark":"line","x":[1.0],"y":[2.0],"z":null,"low":null,"high":null}]}"#;
    let figure: Figure = serde_json::from_str(old).unwrap();
    assert_eq!(
        (figure.log, &figure.heatmap, figure.lines.len()),
        ([false; 2], &None, 1)
    );
    let new = map_figure(map_of(2, 2));
    let read: Figure = serde_json::from_str(&serde_json::to_string(&new).unwrap()).unwrap();
    assert_eq!(read, new);
}
