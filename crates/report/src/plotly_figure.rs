//! Figures as Plotly traces. Colours of text and grid follow the page, so they are set there.

use serde_json::{Value, json};

use crate::{
    figure::{Figure, Heatmap, Mark, Series, Values, short},
    palette::{Rgb, colour, is_dark, stops, symbol},
};

/// `{"data": [...], "layout": {...}}`. Plotly reads a little HTML in names, so that `<` is escaped in every text;
/// a line break becomes one that it reads.
pub(crate) fn to_plotly(figure: &Figure) -> Value {
    escaped(match &figure.heatmap {
        Some(map) => heatmap(figure, map),
        None => plain(&figure.drawable()),
    })
}

fn escaped(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('<', "&lt;").replace('\n', "<br>")),
        Value::Array(items) => items.into_iter().map(escaped).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, escaped(value))).collect(),
        other => other,
    }
}

fn plain(figure: &Figure) -> Value {
    let scatter = figure.is_scatter();
    let mut data = Vec::new();
    for (index, series) in figure.series.iter().enumerate() {
        let (r, g, b) = colour(index);
        if series.mark == Mark::Line {
            data.extend(band(series, &format!("rgba({r},{g},{b},0.2)")));
        }
        let mut trace = trace(series, &rgb((r, g, b)));
        if scatter && series.mark == Mark::Points {
            with_symbols(&mut trace, figure, index);
        }
        data.push(trace);
    }
    let [x, y, z] = &figure.axes;
    let shapes: Vec<Value> = figure
        .lines
        .iter()
        .map(|&y| json!({"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "line": {"dash": "dot", "width": 1.5, "color": "gray"}}))
        .collect();
    let mut layout = json!({
        "margin": {"l": 62, "r": 16, "t": 12, "b": 52},
        "barmode": "group",
        "hovermode": "closest",
        "legend": {"orientation": "h", "y": 1.12, "x": 0},
        "xaxis": {"title": {"text": x}, "automargin": true},
        "yaxis": {"title": {"text": y}, "automargin": true},
        "shapes": shapes,
    });
    if figure.square {
        layout["yaxis"]["scaleanchor"] = json!("x");
    }
    if scatter {
        layout["legend"] = json!({"orientation": "v", "x": 1.02, "y": 1});
    }
    if figure.is_3d() {
        layout["scene"] =
            json!({"xaxis": {"title": {"text": x}}, "yaxis": {"title": {"text": y}}, "zaxis": {"title": {"text": z}}});
        // From far enough away that the axes' titles are inside.
        layout["scene"]["camera"] = json!({"eye": {"x": 1.6, "y": 1.6, "z": 1.0}});
        layout["margin"] = json!({"l": 0, "r": 0, "t": 0, "b": 0});
    }
    for (axis, log) in ["xaxis", "yaxis"].into_iter().zip(figure.log_axes()) {
        if log {
            let (axis, exponents) = if figure.is_3d() {
                // Plotly cannot draw a power as a label in space.
                (&mut layout["scene"][axis], "none")
            } else {
                (&mut layout[axis], "power")
            };
            axis["type"] = json!("log");
            axis["exponentformat"] = json!(exponents);
        }
    }
    json!({"data": data, "layout": layout})
}

fn trace(series: &Series, colour: &str) -> Value {
    let mut trace = json!({
        "name": series.name,
        "x": values(&series.x),
        "y": series.y,
        "type": if series.mark == Mark::Bar { "bar" } else { "scatter" },
        "marker": {"color": colour, "size": 7},
        "line": {"color": colour, "width": 2},
    });
    if let Some(labels) = &series.labels {
        trace["hovertext"] = json!(labels);
    }
    match series.mark {
        Mark::Line => trace["mode"] = json!(if series.y.len() < 40 { "lines+markers" } else { "lines" }),
        Mark::Points => trace["mode"] = json!("markers"),
        Mark::Bar => {}
    }
    if let Some(z) = &series.z {
        trace["type"] = json!("scatter3d");
        trace["mode"] = json!("markers");
        trace["marker"] = json!({"color": colour, "size": 3.5, "opacity": 0.85});
        trace["z"] = json!(z);
    } else if series.mark != Mark::Line
        && let (Some(low), Some(high)) = (&series.low, &series.high)
    {
        let arms = |ends: &[Option<f64>], sign: f64| -> Vec<Option<f64>> {
            ends.iter()
                .zip(&series.y)
                .map(|(end, y)| Some(sign * (end.as_ref()? - y.as_ref()?)))
                .collect()
        };
        trace["error_y"] = json!({
            "type": "data", "symmetric": false, "array": arms(high, 1.0), "arrayminus": arms(low, -1.0), "thickness": 1.5, "width": 5, "color": "gray",
        });
    }
    trace
}

/// Points that a symbol tells apart too, with whiskers of their colour along both axes.
fn with_symbols(trace: &mut Value, figure: &Figure, index: usize) {
    let (r, g, b) = colour(index);
    let faint = format!("rgba({r},{g},{b},0.55)");
    trace["marker"]["symbol"] = json!(symbol(index).plotly());
    trace["marker"]["size"] = json!(11);
    if let Some(whiskers) = trace.get_mut("error_y") {
        whiskers["color"] = json!(faint);
    }
    let Values::Numbers(x) = &figure.series[index].x else {
        return;
    };
    let ends: Vec<Option<[f64; 2]>> = (0..x.len()).map(|row| figure.across(index, row)).collect();
    let arms = |end: usize| -> Vec<Option<f64>> {
        let pairs = ends.iter().zip(x);
        pairs.map(|(ends, x)| Some((ends.as_ref()?[end] - x).abs())).collect()
    };
    if ends.iter().any(Option::is_some) {
        trace["error_x"] = json!({
            "type": "data", "symmetric": false, "array": arms(1), "arrayminus": arms(0), "thickness": 1.5, "width": 5, "color": faint,
        });
    }
}

/// Grey where there is no value, colours where there is one, and text on these.
fn heatmap(figure: &Figure, map: &Heatmap) -> Value {
    let [low, high] = map.limits();
    let (x, y) = (short(&map.x), short(&map.y));
    let stops = stops(map.diverging);
    let scale: Vec<Value> = (stops.iter().enumerate())
        .map(|(i, stop)| json!([i as f64 / (stops.len() - 1) as f64, rgb(*stop)]))
        .collect();
    let gap = u8::from(x.len().max(y.len()) <= 30);
    let said = |name: &str, text: &str| match name {
        "" => text.to_string(),
        name => format!("{name}: {text}"),
    };
    let hover = map.grid(|row, column| {
        let lines = [
            said(&figure.axes[1], &map.y[row]),
            said(&figure.axes[0], &map.x[column]),
            said(&map.unit, &map.says(row, column)),
        ];
        lines.join("\n")
    });
    let cells = json!({
        "type": "heatmap", "x": x, "y": y, "xgap": gap, "ygap": gap, "hoverinfo": "text", "hovertext": hover, "hoverongaps": false,
    });
    let mut data = Vec::new();
    if map.any_undefined() {
        let mut grey = cells.clone();
        grey["z"] = json!(map.grid(|row, column| map.value(row, column).is_none().then_some(1)));
        grey["colorscale"] = json!([[0, "rgb(150,150,150)"], [1, "rgb(150,150,150)"]]);
        grey["showscale"] = json!(false);
        data.push(grey);
    }
    let mut values = cells;
    values["z"] = json!(map.grid(|row, column| map.value(row, column)));
    values["zmin"] = json!(low);
    values["zmax"] = json!(high);
    values["colorscale"] = json!(scale);
    values["colorbar"] = json!({"title": {"text": map.unit, "side": "right"}, "thickness": 14, "outlinewidth": 0});
    data.push(values);
    if x.len() <= Heatmap::COLUMNS_WITH_TEXT {
        data.push(cell_text(map, &x, &y));
    }
    let axis = |name: &str, range: [f64; 2]| json!({"type": "category", "title": {"text": name}, "automargin": true, "showgrid": false, "zeroline": false, "range": range});
    let mut layout = json!({
        "margin": {"l": 62, "r": 16, "t": 12, "b": 52},
        "hovermode": "closest",
        "xaxis": axis(&figure.axes[0], [-0.5, x.len() as f64 - 0.5]),
        "yaxis": axis(&figure.axes[1], [y.len() as f64 - 0.5, -0.5]),
    });
    if x.is_empty() || y.is_empty() {
        data.clear();
        layout["annotations"] =
            json!([{"text": "no values", "showarrow": false, "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5}]);
    }
    json!({"data": data, "layout": layout})
}

/// Each cell has its own ink; how large the text may be is known where the page is shown.
fn cell_text(map: &Heatmap, x: &[String], y: &[String]) -> Value {
    let cells = (0..y.len()).flat_map(|row| (0..x.len()).map(move |column| (row, column)));
    let cells = cells.filter_map(|(row, column)| Some((row, column, map.value(row, column)?)));
    let cells: Vec<(usize, usize, f64)> = cells.collect();
    let colours = map.colours();
    let ink = |(.., value): &(usize, usize, f64)| if is_dark(colours(*value)) { "#fff" } else { "#000" };
    json!({
        "type": "scatter",
        "mode": "text",
        "x": cells.iter().map(|(_, column, _)| &x[*column]).collect::<Vec<_>>(),
        "y": cells.iter().map(|(row, ..)| &y[*row]).collect::<Vec<_>>(),
        "text": cells.iter().map(|(row, column, _)| map.lines(*row, *column).join("\n")).collect::<Vec<_>>(),
        "textfont": {"color": cells.iter().map(ink).collect::<Vec<_>>()},
        "hoverinfo": "skip",
        "showlegend": false,
    })
}

fn rgb((r, g, b): Rgb) -> String {
    format!("rgb({r},{g},{b})")
}

/// Two invisible lines with the area between them filled.
fn band(series: &Series, fill: &str) -> Vec<Value> {
    let (Some(low), Some(high)) = (&series.low, &series.high) else {
        return Vec::new();
    };
    let edge = |y: &[Option<f64>]| json!({"x": values(&series.x), "y": y, "type": "scatter", "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": false});
    let mut upper = edge(high);
    upper["fill"] = json!("tonexty");
    upper["fillcolor"] = json!(fill);
    vec![edge(low), upper]
}

fn values(values: &Values) -> Value {
    match values {
        Values::Numbers(numbers) => json!(numbers),
        Values::Names(names) => json!(names),
    }
}
