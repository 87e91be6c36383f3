//! Heatmaps as SVG and PNG: cells, names along two sides, a colour bar.

use plotters::{
    backend::DrawingBackend,
    coord::{
        Shift,
        ranged1d::{Ranged, ValueFormatter},
        types::RangedCoordf64,
    },
    drawing::DrawingArea,
    element::{PathElement, Rectangle},
    style::{
        BLACK, Color, FontTransform, IntoFont, RGBColor, TextStyle, WHITE,
        text_anchor::{HPos, Pos, VPos},
    },
};

use crate::{
    figure::{Figure, Heatmap, short},
    palette::{is_dark, shade},
    static_figure::{FONT, text},
};

const BAR: i32 = 16;
const UNDEFINED: &str = "undefined";

/// How something is written; the side is that on which its place lies.
struct Pen {
    size: i32,
    ink: RGBColor,
    turn: FontTransform,
    side: HPos,
}

const NAME: Pen = Pen {
    size: 13,
    ink: BLACK,
    turn: FontTransform::None,
    side: HPos::Center,
};
const TITLE: Pen = Pen { size: 15, ..NAME };

/// A rectangle in pixels.
#[derive(Clone, Copy)]
struct Place {
    left: i32,
    top: i32,
    width: i32,
    height: i32,
}

impl Place {
    /// The cell at `at` of a grid of `of` columns and rows; whole pixels, so that cells meet.
    fn cell(self, at: [usize; 2], of: [usize; 2]) -> Self {
        let edge = |length: i32, at: usize, of: usize| length * at as i32 / of.max(1) as i32;
        let (left, right) = (edge(self.width, at[0], of[0]), edge(self.width, at[0] + 1, of[0]));
        let (top, bottom) = (edge(self.height, at[1], of[1]), edge(self.height, at[1] + 1, of[1]));
        Self {
            left: self.left + left,
            top: self.top + top,
            width: right - left,
            height: bottom - top,
        }
    }

    fn middle(self) -> (i32, i32) {
        (self.left + self.width / 2, self.top + self.height / 2)
    }
}

/// An area with the few things that a heatmap needs.
struct Canvas<'a, B: DrawingBackend>(&'a DrawingArea<B, Shift>);

impl<B: DrawingBackend> Canvas<'_, B> {
    fn width(&self, words: &str, size: i32) -> Result<i32, String> {
        let style = TextStyle::from((FONT, size).into_font());
        let (width, _) = self.0.estimate_text_size(words, &style).map_err(text)?;
        Ok(width as i32)
    }

    fn widest(&self, words: &[String], size: i32) -> Result<i32, String> {
        words
            .iter()
            .try_fold(0, |widest, words| Ok(self.width(words, size)?.max(widest)))
    }

    fn write(&self, words: &str, pen: Pen, at: (i32, i32)) -> Result<(), String> {
        let style = TextStyle::from((FONT, pen.size).into_font())
            .color(&pen.ink)
            .transform(pen.turn)
            .pos(Pos::new(pen.side, VPos::Center));
        self.0.draw_text(words, &style, at).map_err(text)
    }

    fn fill(&self, place: Place, colour: RGBColor) -> Result<(), String> {
        let corners = [
            (place.left, place.top),
            (place.left + place.width, place.top + place.height),
        ];
        self.0.draw(&Rectangle::new(corners, colour.filled())).map_err(text)
    }

    /// Grey with rising lines.
    fn hatch(&self, place: Place) -> Result<(), String> {
        self.fill(place, RGBColor(228, 228, 228))?;
        let Place {
            left,
            top,
            width,
            height,
        } = place;
        for along in (6..width + height).step_by(6) {
            let ends = [
                (left + (along - height).max(0), top + along.min(height)),
                (left + along.min(width), top + (along - width).max(0)),
            ];
            let line = PathElement::new(ends, RGBColor(165, 165, 165).stroke_width(1));
            self.0.draw(&line).map_err(text)?;
        }
        Ok(())
    }
}

pub(crate) fn draw<B: DrawingBackend>(
    figure: &Figure,
    map: &Heatmap,
    area: &DrawingArea<B, Shift>,
) -> Result<(), String> {
    let canvas = Canvas(area);
    let (width, height) = area.dim_in_pixel();
    let (width, height) = (width as i32, height as i32);
    if map.x.is_empty() || map.y.is_empty() {
        let middle = (width / 2, height / 2);
        return canvas.write("no values", TITLE, middle);
    }
    let (columns, rows) = (short(&map.x), short(&map.y));
    let [low, high] = map.limits();
    let even = RangedCoordf64::from(low..high);
    let ticks: Vec<(f64, String)> = (even.key_points(7).into_iter())
        .map(|tick| (tick, RangedCoordf64::format(&tick)))
        .collect();
    let undefined = map.any_undefined();

    let mut beside_bar: Vec<String> = ticks.iter().map(|(_, label)| label.clone()).collect();
    beside_bar.extend(undefined.then(|| UNDEFINED.to_string()));
    // A viewer of the SVG may have a wider font.
    let left = 44 + canvas.widest(&rows, NAME.size)? * 9 / 8;
    let right = 18 + BAR + 8 + canvas.widest(&beside_bar, NAME.size)? + if map.unit.is_empty() { 12 } else { 34 };
    let longest = canvas.widest(&columns, NAME.size)?;
    let upright = longest + 8 > (width - left - right) / columns.len() as i32;
    let below = 44 + if upright { longest } else { 20 };
    let cells = Place {
        left,
        top: 10,
        width: width - left - right,
        height: height - 10 - below,
    };

    draw_cells(&canvas, map, cells)?;
    draw_names(&canvas, figure, (&columns, &rows), cells, upright, height)?;

    let scale = Place {
        left: cells.left + cells.width + 18,
        width: BAR,
        height: cells.height - if undefined { 34 } else { 0 },
        ..cells
    };
    let steps = 128;
    for step in 0..steps {
        let share = 1.0 - step as f64 / (steps - 1) as f64;
        let mut place = scale.cell([0, step], [1, steps]);
        place.height += i32::from(step + 1 < steps);
        canvas.fill(place, rgb(shade(map.diverging, share)))?;
    }
    let beside = scale.left + BAR + 8;
    for (tick, label) in &ticks {
        let up = ((tick - low) / (high - low) * f64::from(scale.height)).round() as i32;
        let at = (beside, scale.top + scale.height - up);
        canvas.write(
            label,
            Pen {
                side: HPos::Left,
                ..NAME
            },
            at,
        )?;
    }
    if undefined {
        let swatch = Place {
            top: cells.top + cells.height - BAR,
            height: BAR,
            ..scale
        };
        canvas.hatch(swatch)?;
        let at = (beside, swatch.middle().1);
        canvas.write(
            UNDEFINED,
            Pen {
                side: HPos::Left,
                ..NAME
            },
            at,
        )?;
    }
    let at = (width - 16, scale.middle().1);
    canvas.write(
        &map.unit,
        Pen {
            turn: FontTransform::Rotate90,
            ..TITLE
        },
        at,
    )
}

fn rgb((r, g, b): (u8, u8, u8)) -> RGBColor {
    RGBColor(r, g, b)
}

fn draw_cells<B: DrawingBackend>(canvas: &Canvas<B>, map: &Heatmap, cells: Place) -> Result<(), String> {
    let of = [map.x.len(), map.y.len()];
    let colours = map.colours();
    // Where cells meet they overlap a little, or the ground would shine through when the SVG is scaled.
    let gap = if of[0].max(of[1]) <= Heatmap::COLUMNS_WITH_TEXT {
        2
    } else {
        -1
    };
    let lines = map.grid(|row, column| map.lines(row, column));
    let smallest = Place {
        width: cells.width / of[0] as i32,
        height: cells.height / of[1] as i32,
        ..cells
    };
    let font = match of[0] <= Heatmap::COLUMNS_WITH_TEXT {
        true => fitting(canvas, &lines, smallest)?,
        false => None,
    };
    for (row, lines) in lines.iter().enumerate() {
        for (column, lines) in lines.iter().enumerate() {
            let cell = cells.cell([column, row], of);
            let place = Place {
                width: cell.width - gap,
                height: cell.height - gap,
                ..cell
            };
            let Some(value) = map.value(row, column) else {
                canvas.hatch(place)?;
                continue;
            };
            let colour = colours(value);
            canvas.fill(place, rgb(colour))?;
            let Some((size, most)) = font else { continue };
            let ink = if is_dark(colour) { WHITE } else { BLACK };
            let (x, y) = place.middle();
            let shown = &lines[..lines.len().min(most)];
            for (index, line) in shown.iter().enumerate() {
                let down = (2 * index as i32 + 1 - shown.len() as i32) * size * 5 / 8;
                canvas.write(line, Pen { size, ink, ..NAME }, (x, y + down))?;
            }
        }
    }
    Ok(())
}

/// The largest size at which the text of every cell fits, and how many of its lines do: all, else the first, else none.
fn fitting<B: DrawingBackend>(
    canvas: &Canvas<B>,
    lines: &[Vec<Vec<String>>],
    cell: Place,
) -> Result<Option<(i32, usize)>, String> {
    let all = lines.iter().flatten().map(Vec::len).max().unwrap_or(0);
    for most in [all, 1] {
        let shown: Vec<String> = lines
            .iter()
            .flatten()
            .flat_map(|l| l.iter().take(most).cloned())
            .collect();
        for size in (10..=16).rev() {
            let wide = canvas.widest(&shown, size)? * 5 / 4 + 4;
            if wide <= cell.width && most as i32 * size * 5 / 4 + 4 <= cell.height {
                return Ok(Some((size, most)));
            }
        }
    }
    Ok(None)
}

fn draw_names<B: DrawingBackend>(
    canvas: &Canvas<B>,
    figure: &Figure,
    (columns, rows): (&[String], &[String]),
    cells: Place,
    upright: bool,
    height: i32,
) -> Result<(), String> {
    let of = [columns.len(), rows.len()];
    // Every so many that they never touch.
    let every = |length: i32, count: usize| (15 * count).div_ceil(length.max(1) as usize).max(1);
    let step = if upright { every(cells.width, of[0]) } else { 1 };
    for (column, name) in columns.iter().enumerate().step_by(step) {
        let (x, _) = cells.cell([column, 0], of).middle();
        let bottom = cells.top + cells.height;
        match upright {
            true => canvas.write(
                name,
                Pen {
                    turn: FontTransform::Rotate270,
                    side: HPos::Right,
                    ..NAME
                },
                (x, bottom + 8),
            )?,
            false => canvas.write(name, NAME, (x, bottom + 14))?,
        }
    }
    for (row, name) in rows.iter().enumerate().step_by(every(cells.height, of[1])) {
        let (_, y) = cells.cell([0, row], of).middle();
        canvas.write(
            name,
            Pen {
                side: HPos::Right,
                ..NAME
            },
            (cells.left - 8, y),
        )?;
    }
    let (x, y) = cells.middle();
    let [across, down, _] = &figure.axes;
    canvas.write(across, TITLE, (x, height - 16))?;
    canvas.write(
        down,
        Pen {
            turn: FontTransform::Rotate270,
            ..TITLE
        },
        (18, y),
    )
}
