//! Figures as SVG and PNG, by plotters and a font of our own, so that they look the same on every machine.

mod symbols;

use std::{path::Path, sync::Once};

use plotters::{
    backend::{BitMapBackend, DrawingBackend, SVGBackend},
    chart::ChartBuilder,
    coord::Shift,
    drawing::{DrawingArea, IntoDrawingArea},
    element::{Circle, ErrorBar, PathElement, Polygon, Rectangle},
    series::{DashedLineSeries, LineSeries},
    style::{Color, FontStyle, IntoFont, RGBColor, ShapeStyle, WHITE, register_font},
};

use crate::{
    ReportError,
    figure::{Figure, Mark, Series, Values},
    heatmap,
    palette::colour,
    scale::{Axis, logarithms, power},
    write_file,
};

pub(crate) const FONT: &str = "Noto Sans";

/// Many rows need height.
fn size(figure: &Figure) -> (u32, u32) {
    let rows = figure.heatmap.as_ref().map_or(0, |map| map.y.len());
    (900, 540 + 6 * (rows.clamp(16, 76) as u32 - 16))
}

/// Writes `<id>.svg` and `<id>.png` into `folder`.
pub(crate) fn save(figure: &Figure, folder: &Path) -> Result<(), ReportError> {
    static FONTS: Once = Once::new();
    FONTS.call_once(|| {
        // The font is part of the program; a later figure reports it if it could not be used.
        let _ = register_font(FONT, FontStyle::Normal, include_bytes!("../assets/NotoSans-subset.ttf"));
    });
    let error = |reason: String| ReportError::Figure {
        id: figure.id.clone(),
        reason,
    };
    let size = size(figure);
    let mut svg = String::new();
    draw(figure, &SVGBackend::with_string(&mut svg, size).into_drawing_area()).map_err(error)?;
    write_file(&folder.join(format!("{}.svg", figure.id)), svg.as_bytes())?;
    let path = folder.join(format!("{}.png", figure.id));
    let temporary = folder.join(format!("{}.tmp.png", figure.id));
    let drawn = draw(figure, &BitMapBackend::new(&temporary, size).into_drawing_area()).map_err(error);
    drawn
        .and_then(|()| std::fs::rename(&temporary, &path).map_err(|e| ReportError::write(&path, e)))
        .inspect_err(|_| {
            // Its own failure adds nothing to the error that is returned.
            let _ = std::fs::remove_file(&temporary);
        })
}

fn draw<B: DrawingBackend>(figure: &Figure, area: &DrawingArea<B, Shift>) -> Result<(), String> {
    area.fill(&WHITE).map_err(text)?;
    let area = area.titled(&figure.title, (FONT, 20).into_font()).map_err(text)?;
    if let Some(map) = &figure.heatmap {
        heatmap::draw(figure, map, &area)?;
    } else {
        let log = figure.log_axes();
        let figure = logarithms(figure.drawable().into_owned(), log);
        if figure.is_3d() {
            draw_3d(&figure, log, &area)?;
        } else {
            draw_2d(&figure, log, &area)?;
        }
    }
    area.present().map_err(text)
}

pub(crate) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn rgb(index: usize) -> RGBColor {
    let (r, g, b) = colour(index);
    RGBColor(r, g, b)
}

/// Numbers stay; names stand at 0, 1, 2, ..
fn positions(values: &Values) -> Vec<f64> {
    match values {
        Values::Numbers(numbers) => numbers.clone(),
        Values::Names(names) => (0..names.len()).map(|i| i as f64).collect(),
    }
}

fn range(values: impl Iterator<Item = f64>, padding: f64) -> std::ops::Range<f64> {
    let (low, high) = values
        .filter(|v| v.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low > high {
        return 0.0..1.0;
    }
    // A single value stands in the middle.
    let width = if low < high { high - low } else { low.abs().max(1.0) };
    let room = width * padding;
    low - room..high + room
}

/// Both ranges wide enough that their units are equally long on the area that is drawn on, which is about 1.9 times as wide as high.
fn squared(xs: &std::ops::Range<f64>, ys: &std::ops::Range<f64>) -> (std::ops::Range<f64>, std::ops::Range<f64>) {
    const WIDER: f64 = 1.9;
    let half = |range: &std::ops::Range<f64>| (range.end - range.start) / 2.0;
    let unit = half(ys).max(half(xs) / WIDER);
    let around = |range: &std::ops::Range<f64>, half: f64| {
        let middle = f64::midpoint(range.start, range.end);
        middle - half..middle + half
    };
    (around(xs, unit * WIDER), around(ys, unit))
}

fn draw_2d<B: DrawingBackend>(figure: &Figure, log: [bool; 2], area: &DrawingArea<B, Shift>) -> Result<(), String> {
    let bars = figure.series.iter().any(|series| series.mark == Mark::Bar);
    let scatter = figure.is_scatter();
    let xs = figure.series.iter().flat_map(|s| positions(&s.x));
    let xs = range(xs.chain(figure.ends_across()), if bars { 0.0 } else { 0.03 });
    let xs = if bars { xs.start - 0.6..xs.end + 0.6 } else { xs };
    let ends = figure.series.iter().flat_map(|s| {
        let intervals = s.low.iter().chain(&s.high).flatten().flatten();
        s.y.iter().flatten().chain(intervals).copied().collect::<Vec<_>>()
    });
    let ys = range(
        ends.chain(figure.lines.iter().copied())
            .chain((bars && !log[1]).then_some(0.0)),
        0.06,
    );
    let (xs, ys) = if figure.square { squared(&xs, &ys) } else { (xs, ys) };
    let ground = if log[1] { ys.start } else { 0.0 };
    let plot = match scatter {
        true => symbols::beside(figure, area)?,
        false => area.clone(),
    };
    let mut chart = ChartBuilder::on(&plot)
        .margin(12)
        .x_label_area_size(46)
        .y_label_area_size(64)
        .build_cartesian_2d(Axis::new(xs.clone(), log[0]), Axis::new(ys, log[1]))
        .map_err(text)?;
    let names = figure.series.first().and_then(|series| match &series.x {
        Values::Names(names) => Some(names.clone()),
        Values::Numbers(_) => None,
    });
    let label = |x: &f64| match &names {
        None if log[0] => power(*x),
        None => format!("{x:.4}")
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_string(),
        Some(names) if (x - x.round()).abs() < 1e-6 && *x >= 0.0 => {
            names.get(x.round() as usize).cloned().unwrap_or_default()
        }
        Some(_) => String::new(),
    };
    // Labels stand at whole positions when these have names, and never crowd.
    let ticks = names
        .as_ref()
        .map_or(8, |names| if names.len() <= 8 { 2 * names.len() + 1 } else { 7 });
    chart
        .configure_mesh()
        .light_line_style(RGBColor(240, 240, 240))
        .x_desc(&figure.axes[0])
        .y_desc(&figure.axes[1])
        .x_labels(ticks)
        .x_label_formatter(&label)
        .label_style((FONT, 13))
        .axis_desc_style((FONT, 15))
        .draw()
        .map_err(text)?;
    for &y in &figure.lines {
        let line = DashedLineSeries::new(
            [(xs.start, y), (xs.end, y)],
            6,
            4,
            RGBColor(130, 130, 130).stroke_width(1),
        );
        chart.draw_series(line).map_err(text)?;
    }
    let count = figure.series.len();
    for (index, series) in figure.series.iter().enumerate() {
        let points = points(series, index, count);
        if scatter && series.mark == Mark::Points {
            let pixels = chart.plotting_area().strip_coord_spec();
            let (left, top) = pixels.get_base_pixel();
            let place = |x: f64, y: f64| {
                let (across, down) = chart.backend_coord(&(x, y));
                (across - left, down - top)
            };
            symbols::draw(figure, index, &points, &pixels, place)?;
            continue;
        }
        let style = rgb(index);
        let interval = |end: &Option<Vec<Option<f64>>>| -> Vec<(f64, f64)> {
            let ends = end.iter().flatten().zip(positions(&series.x));
            ends.filter_map(|(end, x)| Some((x, (*end)?)))
                .filter(|(x, _)| x.is_finite())
                .collect()
        };
        if series.mark == Mark::Line {
            let (low, mut high) = (interval(&series.low), interval(&series.high));
            high.reverse();
            let outline: Vec<_> = low.into_iter().chain(high).collect();
            chart
                .draw_series(std::iter::once(Polygon::new(outline, style.mix(0.2))))
                .map_err(text)?;
        }
        let drawn = match series.mark {
            Mark::Line => {
                // A missing value is a gap, not a bridge.
                for stretch in points.chunk_by(|a, b| a.row + 1 == b.row).skip(1) {
                    let line = LineSeries::new(stretch.iter().map(|p| (p.x, p.y)), style.stroke_width(2));
                    chart.draw_series(line).map_err(text)?;
                }
                let first = points.chunk_by(|a, b| a.row + 1 == b.row).next().unwrap_or_default();
                chart.draw_series(LineSeries::new(first.iter().map(|p| (p.x, p.y)), style.stroke_width(2)))
            }
            Mark::Points => chart.draw_series(points.iter().map(|p| Circle::new((p.x, p.y), 4, style.filled()))),
            Mark::Bar => chart.draw_series(points.iter().map(|p| {
                let half = 0.38 / count as f64;
                Rectangle::new([(p.x - half, ground), (p.x + half, p.y)], style.mix(0.85).filled())
            })),
        };
        drawn
            .map_err(text)?
            .label(series.name.clone())
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], ShapeStyle::from(style).stroke_width(3)));
        if series.mark != Mark::Line {
            let whiskers = points.iter().filter_map(|p| {
                let (low, high) = p.interval?;
                Some(ErrorBar::new_vertical(
                    p.x,
                    low,
                    p.y,
                    high,
                    RGBColor(60, 60, 60).stroke_width(2),
                    8,
                ))
            });
            chart.draw_series(whiskers).map_err(text)?;
        }
    }
    if count > 1 && !scatter {
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.85))
            .border_style(RGBColor(200, 200, 200))
            .label_font((FONT, 14))
            .draw()
            .map_err(text)?;
    }
    Ok(())
}

struct Point {
    row: usize,
    x: f64,
    y: f64,
    interval: Option<(f64, f64)>,
}

/// What of a series can be drawn; bars of several series stand side by side.
fn points(series: &Series, index: usize, count: usize) -> Vec<Point> {
    let shift = match series.mark {
        Mark::Bar => (index as f64 - (count as f64 - 1.0) / 2.0) * 0.8 / count as f64,
        _ => 0.0,
    };
    let end = |ends: &Option<Vec<Option<f64>>>, row: usize| ends.as_ref().and_then(|ends| *ends.get(row)?);
    let rows = positions(&series.x).into_iter().zip(&series.y).enumerate();
    let rows = rows.filter(|(_, (x, _))| x.is_finite());
    rows.filter_map(|(row, (x, y))| {
        Some(Point {
            row,
            x: x + shift,
            y: (*y)?,
            interval: end(&series.low, row).zip(end(&series.high, row)),
        })
    })
    .collect()
}

fn draw_3d<B: DrawingBackend>(figure: &Figure, log: [bool; 2], area: &DrawingArea<B, Shift>) -> Result<(), String> {
    let xs = range(figure.series.iter().flat_map(|s| positions(&s.x)), 0.05);
    let ys = range(figure.series.iter().flat_map(|s| s.y.iter().flatten().copied()), 0.05);
    let zs = range(figure.series.iter().flat_map(|s| s.z.iter().flatten().copied()), 0.05);
    let mut chart = ChartBuilder::on(area)
        .margin(16)
        .build_cartesian_3d(Axis::new(xs, log[0]), Axis::new(ys, log[1]), Axis::new(zs, false))
        .map_err(text)?;
    chart.with_projection(|mut projection| {
        projection.pitch = 0.35;
        projection.yaw = 0.7;
        projection.scale = 0.85;
        projection.into_matrix()
    });
    chart
        .configure_axes()
        .label_style((FONT, 12))
        .light_grid_style(RGBColor(235, 235, 235))
        .x_formatter(&|x| Axis::label(*x, log[0]))
        .y_formatter(&|y| Axis::label(*y, log[1]))
        .z_formatter(&|z| Axis::label(*z, false))
        .draw()
        .map_err(text)?;
    for (index, series) in figure.series.iter().enumerate() {
        let style = rgb(index);
        let z = series.z.clone().unwrap_or_default();
        let xs = positions(&series.x).into_iter();
        let points = xs.zip(&series.y).zip(z).filter(|((x, _), _)| x.is_finite());
        let circles = points.filter_map(|((x, y), z)| Some(Circle::new((x, (*y)?, z), 3, style.mix(0.8).filled())));
        chart
            .draw_series(circles)
            .map_err(text)?
            .label(series.name.clone())
            .legend(move |(x, y)| Circle::new((x + 9, y), 4, style.filled()));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.85))
        .label_font((FONT, 14))
        .draw()
        .map_err(text)
}
