//! Points that symbols tell apart, and their names beside the figure.

use plotters::{
    backend::DrawingBackend,
    coord::Shift,
    drawing::DrawingArea,
    element::{Circle, Cross, PathElement, Polygon, Rectangle, TriangleMarker},
    style::{
        Color, IntoFont, RGBColor, TextStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};

use super::{FONT, Point, rgb, text};
use crate::{
    figure::{Figure, Mark, short},
    palette::{Symbol, symbol},
};

/// A symbol at a pixel; all cover about the same area.
fn draw_symbol<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    symbol: Symbol,
    (x, y): (i32, i32),
    colour: RGBColor,
) -> Result<(), String> {
    let filled = colour.filled();
    match symbol {
        Symbol::Circle => area.draw(&Circle::new((x, y), 5, filled)),
        Symbol::Square => area.draw(&Rectangle::new([(x - 4, y - 4), (x + 4, y + 4)], filled)),
        Symbol::Triangle => area.draw(&TriangleMarker::new((x, y), 7, filled)),
        Symbol::Diamond => area.draw(&Polygon::new([(x - 6, y), (x, y - 6), (x + 6, y), (x, y + 6)], filled)),
        Symbol::Cross => area.draw(&Cross::new((x, y), 4, colour.stroke_width(3))),
    }
    .map_err(text)
}

/// The points of one series on `pixels`, whiskers below symbols; `place` says where a value lies there.
pub(super) fn draw<B: DrawingBackend>(
    figure: &Figure,
    index: usize,
    points: &[Point],
    pixels: &DrawingArea<B, Shift>,
    place: impl Fn(f64, f64) -> (i32, i32),
) -> Result<(), String> {
    let colour = rgb(index);
    let whisker = |ends: [(i32, i32); 2]| {
        let line = PathElement::new(ends, colour.mix(0.55).stroke_width(2));
        pixels.draw(&line).map_err(text)
    };
    for p in points {
        if let Some((low, high)) = p.interval {
            whisker([place(p.x, low), place(p.x, high)])?;
        }
        if let Some([low, high]) = figure.across(index, p.row) {
            whisker([place(low, p.y), place(high, p.y)])?;
        }
    }
    for p in points {
        draw_symbol(pixels, symbol(index), place(p.x, p.y), colour)?;
    }
    Ok(())
}

/// Writes the names of all series at the right of `area`, and returns what is left of it for the figure: where many points lie there is no
/// free corner for names.
pub(super) fn beside<B: DrawingBackend>(
    figure: &Figure,
    area: &DrawingArea<B, Shift>,
) -> Result<DrawingArea<B, Shift>, String> {
    let names: Vec<String> = figure.series.iter().map(|series| series.name.clone()).collect();
    let names = short(&names);
    let style = TextStyle::from((FONT, 14).into_font()).pos(Pos::new(HPos::Left, VPos::Center));
    let mut widest = 0;
    for name in &names {
        let (width, _) = area.estimate_text_size(name, &style).map_err(text)?;
        widest = widest.max(width as i32);
    }
    let (width, height) = area.dim_in_pixel();
    // A viewer of the SVG may have a wider font.
    let (plot, side) = area.split_horizontally(width as i32 - widest * 9 / 8 - 40);
    let step = (height as i32 / (names.len() as i32 + 2)).min(22);
    for (index, (series, name)) in figure.series.iter().zip(&names).enumerate() {
        let y = 12 + step * (index as i32 + 1);
        match series.mark {
            Mark::Points => draw_symbol(&side, symbol(index), (12, y), rgb(index))?,
            Mark::Line | Mark::Bar => {
                let line = PathElement::new([(2, y), (22, y)], rgb(index).stroke_width(3));
                side.draw(&line).map_err(text)?;
            }
        }
        side.draw_text(name, &style, (30, y)).map_err(text)?;
    }
    Ok(plot)
}

#[cfg(test)]
mod tests {
    use crate::{Block, Figure, Mark, Report, Section, Series, Values, plotly_figure::to_plotly, save_figures};

    /// `count` series of one point each, with intervals along both axes if asked for.
    fn figure(count: usize, both: bool) -> Figure {
        let series = (0..count).map(|index| {
            let at = index as f64;
            Series {
                low: Some(vec![Some(at - 0.5)]),
                high: Some(vec![Some(at + 0.25)]),
                ..Series::new(
                    format!("s{index}"),
                    Mark::Points,
                    Values::Numbers(vec![2.0 * at]),
                    vec![at],
                )
            }
        });
        let ends = |index: usize| vec![Some([2.0 * index as f64 - 1.0, 2.0 * index as f64 + 3.0])];
        Figure {
            id: "points".into(),
            title: "Points".into(),
            series: series.collect(),
            across: if both { (0..count).map(ends).collect() } else { vec![] },
            ..Figure::default()
        }
    }

    fn svg(figure: &Figure) -> String {
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
        std::fs::read_to_string(folder.path().join("points.svg")).unwrap()
    }

    #[test]
    fn seven_series_have_symbols_and_names_beside() {
        let svg = svg(&figure(7, true));
        let count = |tag: &str| svg.matches(tag).count();
        // Symbols begin again after five: of seven, two are circles, and a triangle and a diamond are polygons. Each stands in the figure and
        // beside its name, and whiskers add no circle.
        assert_eq!((count("<circle"), count("<polygon")), (4, 4), "{svg}");
        for index in 0..7 {
            assert!(svg.contains(&format!(">\ns{index}\n</text>")), "{index}: {svg}");
        }
    }

    #[test]
    fn intervals_along_both_axes_reach_plotly() {
        let page = to_plotly(&figure(3, true));
        let second = &page["data"][1];
        assert_eq!(second["marker"]["symbol"], "square");
        assert_eq!(second["error_x"]["array"], serde_json::json!([3.0]));
        assert_eq!(second["error_x"]["arrayminus"], serde_json::json!([1.0]));
        assert_eq!(second["error_y"]["array"], serde_json::json!([0.25]));
        assert_eq!(second["error_y"]["arrayminus"], serde_json::json!([0.5]));
    }

    #[test]
    fn few_series_look_as_before() {
        let figure = figure(6, false);
        let page = to_plotly(&figure);
        for trace in page["data"].as_array().unwrap() {
            assert!(
                trace["marker"].get("symbol").is_none() && trace.get("error_x").is_none(),
                "{trace}"
            );
        }
        assert_eq!(page["layout"]["legend"]["orientation"], "h");
        assert!(!serde_json::to_string(&figure).unwrap().contains("across"));
    }

    #[test]
    fn a_logarithmic_axis_shows_no_interval_along_it() {
        let mut figure = figure(3, true);
        figure.log = [true, false];
        let page = to_plotly(&figure);
        assert!(page["data"][1].get("error_x").is_none(), "{page}");
        svg(&figure);
    }
}
