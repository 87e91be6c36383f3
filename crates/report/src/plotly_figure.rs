//! Figures as Plotly traces. Colours of text and grid follow the page, so they are set there.

use serde_json::{Value, json};

use crate::figure::{Figure, Mark, Series, Values, colour};

/// `{"data": [...], "layout": {...}}`. Plotly reads a little HTML in names, so that `<` is escaped in every text.
pub(crate) fn to_plotly(figure: &Figure) -> Value {
    escaped(plain(figure))
}

fn escaped(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('<', "&lt;")),
        Value::Array(items) => items.into_iter().map(escaped).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, escaped(value))).collect(),
        other => other,
    }
}

fn plain(figure: &Figure) -> Value {
    let mut data = Vec::new();
    for (index, series) in figure.series.iter().enumerate() {
        let (r, g, b) = colour(index);
        let solid = format!("rgb({r},{g},{b})");
        if series.mark == Mark::Line {
            data.extend(band(series, &format!("rgba({r},{g},{b},0.2)")));
        }
        data.push(trace(series, &solid));
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
    if figure.is_3d() {
        layout["scene"] =
            json!({"xaxis": {"title": {"text": x}}, "yaxis": {"title": {"text": y}}, "zaxis": {"title": {"text": z}}});
        layout["margin"] = json!({"l": 0, "r": 0, "t": 0, "b": 0});
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
            "type": "data", "symmetric": false, "array": arms(high, 1.0), "arrayminus": arms(low, -1.0), "thickness": 1.5, "width": 5,
        });
    }
    trace
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
