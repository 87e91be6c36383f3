//! A made-up document, in every form in which documents are shown.

use disentangle_report::{Block, Cell, Report, Tone};
use serde_json::json;

use super::{
    arguments::Sizes,
    document::{BenchCell, Document, Measured, SCHEMA_VERSION, compare},
    growth::{Along, Growth, Point, trends},
    machine::Machine,
    measure::Answer,
    report::report,
    results::markdown,
    table::table,
};

fn measured(seconds: &[f64], peak: f64, check: &[f64]) -> Option<Measured> {
    Measured::new(&Answer {
        rows: 100,
        seconds: seconds.to_vec(),
        peak_memory_mb: Some(peak),
        number: Some(0.5),
        check: check.to_vec(),
        ..Answer::default()
    })
}

fn cell(workload: &str, framework: &str, threads: usize, measured: Option<Measured>) -> BenchCell {
    BenchCell {
        workload: workload.into(),
        framework: framework.into(),
        peer: framework.starts_with("pytorch"),
        threads,
        error: measured.is_none().then(|| "out | of memory".into()),
        measured,
        against: Vec::new(),
    }
}

/// `finance` meets its target on one thread and misses it on two, where tch fails; `taps` has no peer.
fn made_up() -> Document {
    let mut cells = Vec::new();
    for (threads, seconds) in [(1, 2.0), (2, 3.0)] {
        let mut compared = vec![
            cell(
                "finance",
                "flex",
                threads,
                measured(&[seconds, 1.0, 9.0], 100.0, &[1.0, -2.0]),
            ),
            cell(
                "finance",
                "tch",
                threads,
                (threads == 1).then(|| measured(&[4.0], 150.0, &[1.0, -2.25])).flatten(),
            ),
            cell(
                "finance",
                "pytorch",
                threads,
                measured(&[4.0, 4.0], 400.0, &[1.0 + 1.0 / 2048.0, -2.0]),
            ),
        ];
        compare(&mut compared);
        cells.extend(compared);
    }
    let mut taps = cell("taps", "flex", 1, measured(&[0.5], 50.0, &[]));
    if let Some(measured) = &mut taps.measured {
        let percent = json!({"value": 0.4, "low": 0.2, "high": 0.7});
        measured.extra.insert("tap_percent".into(), percent);
    }
    cells.push(taps);
    let points: Vec<Point> = [
        (Along::Rows, 400, 1.0),
        (Along::Rows, 800, 2.0),
        (Along::Depth, 1, 0.5),
        (Along::Depth, 2, 0.5),
    ]
    .into_iter()
    .flat_map(|(along, size, seconds)| {
        ["flex", "pytorch"].map(|framework| Point {
            along,
            size,
            cell: cell("finance", framework, 1, measured(&[seconds], 1.0, &[])),
        })
    })
    .collect();
    Document {
        schema_version: SCHEMA_VERSION,
        date: "2026-01-02".into(),
        machine: Machine {
            processor: Some("A | processor".into()),
            cores: 2,
            ..Machine::default()
        },
        cells,
        growth: Some(Growth {
            base: Sizes::default(),
            threads: 2,
            trends: trends(&points),
            points,
        }),
    }
}

#[test]
fn ours_is_held_against_the_peer_and_against_flex() {
    let document = made_up();
    let find = |framework: &str, threads: usize| {
        document
            .cells
            .iter()
            .find(|cell| cell.framework == framework && cell.threads == threads)
            .unwrap()
    };
    let flex = find("flex", 1);
    assert_eq!(flex.against.len(), 1, "flex is not held against itself");
    let against = flex.versus("pytorch").unwrap();
    // Quartiles of 1, 2, 9 are 1.5 and 5.5.
    assert_eq!((against.times_as_fast, against.range), (2.0, [4.0 / 5.5, 4.0 / 1.5]));
    assert_eq!(
        (against.memory_share, against.difference),
        (Some(0.25), Some(1.0 / 2048.0))
    );
    let tch = find("tch", 1).versus("flex").unwrap();
    assert_eq!((tch.times_as_fast, tch.difference), (0.5, Some(0.25)));
    assert!(find("tch", 2).against.is_empty() && find("pytorch", 1).against.is_empty());
}

#[test]
fn the_document_survives_its_file() {
    let document = made_up();
    let text = serde_json::to_string(&document).unwrap();
    let mut read: Document = serde_json::from_str(&text).unwrap();
    // What was compared stays out of the file.
    for (read, own) in read.cells.iter_mut().zip(&document.cells) {
        if let (Some(read), Some(own)) = (&mut read.measured, &own.measured) {
            assert!(read.check.is_empty());
            read.check.clone_from(&own.check);
        }
    }
    assert_eq!(read.cells, document.cells);
    assert!(text.starts_with("{\"schema_version\":2,") && !text.contains("check"));
}

#[test]
fn tables_hold_every_cell_and_every_comparison() {
    let document = made_up();
    let text = table(&document);
    let rows = text
        .lines()
        .filter(|line| line.starts_with("finance ") || line.starts_with("taps "));
    assert_eq!(rows.count(), document.cells.len() + 4, "{text}");
    for expected in [
        "finance             2 tch              failed: out | of memory\n",
        "finance             1 flex                 2.000       1.500 - 5.500           50       100        0.5000\n",
        "finance on 1 thread: flex is 2.00 times as fast as pytorch, with 0.25 of its memory; logits differ by 4.9e-4 at most\n",
        "finance on 2 threads: flex is 1.33 times as fast as pytorch",
        "rows      flex             1.00\n",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    let text = markdown(&document);
    for expected in [
        "Measured on 2026-01-02",
        "| processor | A / processor |\n",
        "| finance | 2 | tch | failed: out / of memory | | | | |\n",
        "| finance | 1 | flex | pytorch | 2.00 | 0.25 | 4.9e-4 |\n",
        "| rows | pytorch | 1.00 |\n",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    // A header, its rule, and rows of one width each.
    let widths = |columns: usize| {
        text.lines()
            .filter(|line| line.matches('|').count() == columns + 1)
            .count()
    };
    assert_eq!((widths(8), widths(7)), (2 + document.cells.len(), 2 + 4), "{text}");
}

fn figures(report: &Report) -> Vec<&disentangle_report::Figure> {
    let blocks = report.sections.iter().flat_map(|section| &section.blocks);
    blocks
        .filter_map(|block| match block {
            Block::Figure(figure) => Some(figure),
            Block::Table(_) => None,
        })
        .collect()
}

#[test]
fn the_page_shows_every_cell_the_ratios_and_the_slopes() {
    let document = made_up();
    let report = report(&document);
    let figures = figures(&report);
    let ids: Vec<&str> = figures.iter().map(|figure| figure.id.as_str()).collect();
    for expected in [
        "speed-0",
        "memory-0",
        "speed-1",
        "memory-1",
        "growth-rows",
        "growth-depth",
    ] {
        assert!(ids.contains(&expected), "{ids:?}");
    }
    let speed = figures.iter().find(|figure| figure.id == "speed-0").unwrap();
    assert_eq!(speed.lines, [1.0]);
    let names: Vec<&str> = speed.series.iter().map(|series| series.name.as_str()).collect();
    assert_eq!(names, ["flex on 1", "tch on 1", "flex on 2"]);
    assert_eq!(speed.series[2].y, [Some(4.0 / 3.0)]);
    let rows = figures.iter().find(|figure| figure.id == "growth-rows").unwrap();
    assert_eq!(rows.log, [true, true]);
    assert_eq!(rows.series[0].name, "flex: slope 1.00");

    let tables = report.sections.iter().flat_map(|section| &section.blocks);
    let cells = tables.filter_map(|block| match block {
        Block::Table(table) if table.columns.contains(&"quartiles".to_string()) => Some(table),
        _ => None,
    });
    let [cells] = cells.collect::<Vec<_>>()[..] else {
        panic!("one table of cells");
    };
    assert_eq!(cells.rows.len(), document.cells.len());
    assert!(cells.rows.iter().all(|row| row.len() == cells.columns.len()));
    assert!(cells.rows[4].contains(&Cell::Text("failed: out | of memory".into())));

    let check = |start: &str, tone: Tone| {
        let verdict = report.verdicts.iter().find(|verdict| verdict.text.starts_with(start));
        assert_eq!(
            verdict.map(|verdict| verdict.tone),
            Some(tone),
            "{start}: {:?}",
            report.verdicts
        );
    };
    check("`finance` on 1 thread is 2.00 times as fast as pytorch", Tone::Good);
    check("`finance` on 2 threads is 1.33 times as fast as pytorch", Tone::Bad);
    check("`finance` on 2 threads failed with tch: out | of memory", Tone::Bad);
    check("A tap at one site makes a forward pass 0.40 % longer", Tone::Good);
    assert!(disentangle_report::page(&report).contains("growth-rows"));
}

#[test]
fn a_document_without_peers_is_shown_too() {
    let document = Document {
        cells: vec![cell("pca", "flex", 2, measured(&[1e-4], 1.0, &[700.0]))],
        growth: None,
        ..made_up()
    };
    let report = report(&document);
    assert!(figures(&report).is_empty());
    assert_eq!((report.verdicts.len(), report.verdicts[0].tone), (1, Tone::Neutral));
    assert!(table(&document).contains("1.00e-4"));
    assert!(!markdown(&document).contains("times as fast"));
}

#[test]
fn targets_ask_for_speed_memory_and_the_same_numbers() {
    let check = |seconds: f64, peak: f64, check: &[f64], met: bool| {
        let mut cells = vec![
            cell("finance", "flex", 1, measured(&[seconds], peak, check)),
            cell("finance", "pytorch", 1, measured(&[2.0], 400.0, &[1.0])),
        ];
        compare(&mut cells);
        let document = Document {
            cells,
            growth: None,
            ..made_up()
        };
        let verdicts = report(&document).verdicts;
        let (tone, end) = if met {
            (Tone::Good, ": met")
        } else {
            (Tone::Bad, ": missed")
        };
        assert_eq!(verdicts.len(), 1);
        assert!(
            verdicts[0].tone == tone && verdicts[0].text.ends_with(end),
            "{verdicts:?}"
        );
    };
    check(1.0, 200.0, &[1.0009], true);
    check(1.17, 200.0, &[1.0], true);
    check(1.18, 200.0, &[1.0], false);
    check(1.0, 202.0, &[1.0], false);
    check(1.0, 200.0, &[1.0011], false);
    // What was not compared does not agree.
    check(1.0, 200.0, &[], false);
    check(1.0, 200.0, &[1.0, 1.0], false);
}

#[test]
fn a_tap_is_cheap_where_its_upper_end_is() {
    for (value, high, tone) in [(0.4, 0.9, Tone::Good), (0.4, 1.2, Tone::Neutral), (1.1, 1.5, Tone::Bad)] {
        let mut taps = cell("taps", "flex", 1, measured(&[0.5], 50.0, &[]));
        if let Some(measured) = &mut taps.measured {
            let percent = json!({"value": value, "low": 0.2, "high": high});
            measured.extra.insert("tap_percent".into(), percent);
        }
        let document = Document {
            cells: vec![taps],
            growth: None,
            ..made_up()
        };
        assert_eq!(report(&document).verdicts[0].tone, tone, "{value} {high}");
    }
}
