//! Ratios by workload, and times by size.

use disentangle_report::{Block, Figure, Mark, Series, Values};

use super::label;
use crate::{
    bench::{
        document::{Against, BenchCell, Document},
        growth::{Along, Growth},
        workloads::MEMORY_TARGET,
    },
    present::plain_figure,
};

/// Speed and memory against each of the others; nothing where nobody was compared.
pub(super) fn speed(document: &Document) -> Vec<Block> {
    let mut others: Vec<&str> = Vec::new();
    for other in document.cells.iter().flat_map(|cell| &cell.against) {
        if !others.contains(&other.framework.as_str()) {
            others.push(&other.framework);
        }
    }
    let mut blocks = Vec::new();
    for (index, other) in others.iter().enumerate() {
        let speed = plain_figure(
            &format!("speed-{index}"),
            &format!("How many times as fast as {other}"),
            "Above the line at 1 ours is faster. Whiskers go from the other's first quartile by our third to the other's third by our first.",
            ["workload", "seconds of the other by ours", ""],
            series(document, other, |against| {
                (Some(against.times_as_fast), Some(against.range))
            }),
            vec![1.0],
        );
        let memory = plain_figure(
            &format!("memory-{index}"),
            &format!("Peak memory as a share of that of {other}"),
            "Below the line at 1 ours needs less; the lower line is the target for trainings.",
            ["workload", "our peak memory by the other's", ""],
            series(document, other, |against| (against.memory_share, None)),
            vec![MEMORY_TARGET, 1.0],
        );
        for figure in [speed, memory] {
            let shows = figure.series.iter().any(|series| series.y.iter().any(Option::is_some));
            if shows {
                blocks.push(Block::Figure(Figure {
                    log: [false, true],
                    ..figure
                }));
            }
        }
    }
    blocks
}

/// For each of ours a value a workload, and its ends.
fn series(
    document: &Document,
    other: &str,
    value: impl Fn(&Against) -> (Option<f64>, Option<[f64; 2]>),
) -> Vec<Series> {
    let compared = |cell: &&BenchCell| cell.versus(other).is_some();
    let mut workloads: Vec<String> = Vec::new();
    let mut labels: Vec<String> = Vec::new();
    for cell in document.cells.iter().filter(compared) {
        let label = label(document, cell);
        if !workloads.contains(&cell.workload) {
            workloads.push(cell.workload.clone());
        }
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    let one = |name: &String| {
        let found: Vec<(Option<f64>, Option<[f64; 2]>)> = workloads
            .iter()
            .map(|workload| {
                let own = document
                    .cells
                    .iter()
                    .find(|cell| cell.workload == *workload && label(document, cell) == *name);
                own.and_then(|cell| cell.versus(other)).map_or((None, None), &value)
            })
            .collect();
        let end = |index: usize| -> Option<Vec<Option<f64>>> {
            let any = found.iter().any(|(_, ends)| ends.is_some());
            any.then(|| found.iter().map(|(_, ends)| ends.map(|ends| ends[index])).collect())
        };
        Series {
            name: name.clone(),
            mark: Mark::Points,
            x: Values::Names(workloads.clone()),
            y: found.iter().map(|(value, _)| *value).collect(),
            z: None,
            low: end(0),
            high: end(1),
            labels: None,
        }
    };
    labels.iter().map(one).collect()
}

/// Seconds by size along each axis, both logarithmic, with the slopes in the legend.
pub(super) fn growth(growth: &Growth) -> Vec<Block> {
    let figures = Along::ALL.into_iter().filter_map(|along| {
        let trends = growth.trends.iter().filter(|trend| trend.along == along);
        let series = trends.map(|trend| {
            let own = growth
                .points
                .iter()
                .filter(|point| point.along == along && point.cell.framework == trend.framework);
            let (sizes, measured): (Vec<f64>, Vec<_>) = own
                .map(|point| (point.size as f64, point.cell.measured.as_ref()))
                .unzip();
            let end = |index: usize| -> Vec<Option<f64>> {
                measured.iter().map(|one| one.map(|one| one.quartiles[index])).collect()
            };
            Series {
                name: format!("{}: slope {}", trend.framework, trend.slope.show(2)),
                mark: Mark::Line,
                x: Values::Numbers(sizes),
                y: measured.iter().map(|one| one.map(|one| one.median_seconds)).collect(),
                z: None,
                low: Some(end(0)),
                high: Some(end(1)),
                labels: None,
            }
        });
        let (name, series) = (along.name(), series.collect::<Vec<Series>>());
        if series.is_empty() {
            return None;
        }
        let figure = plain_figure(
            &format!("growth-{name}"),
            &format!("Seconds by {name}"),
            "Medians with quartiles on logarithmic axes: a straight line is a power of the size, and its slope the exponent.",
            [name, "seconds", ""],
            series,
            Vec::new(),
        );
        Some(Block::Figure(Figure {
            log: [true, true],
            ..figure
        }))
    });
    figures.collect()
}
