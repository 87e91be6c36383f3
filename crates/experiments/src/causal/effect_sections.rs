//! The sections about single effects: where a group's effect travels, and to which columns the output is attributed.

use disentangle_analysis::{Estimate, causal::attribution::Rule, probing::Passage};
use disentangle_report::{Block, Cell, Heatmap, Mark, Section, Series, Values};

use super::{
    outcome::{Attribution, ColumnAttribution, METHODS, Mediated, Outcome, Traced},
    verdicts::{LARGE_GAP, explained, strongest},
};
use crate::present::{cell, figure, heatmap, number, table, with_interval};

/// Bars of places, at most.
const PLACES: usize = 10;
/// Bars of columns, at most.
const COLUMNS: usize = 15;
/// What of a block stands in columns of its own, from left to right after the heads; residual streams are called `stream`.
const ENDS: [&str; 4] = ["attn.out", "ff.out", "gate.value", "stream"];

/// A place's row and column in a heatmap.
type Placed<'a> = (String, String, &'a Mediated);

pub(super) fn travel(outcome: &Outcome) -> Vec<Section> {
    outcome.traced.iter().enumerate().map(section).collect()
}

fn section((index, traced): (usize, &Traced)) -> Section {
    // Names may hold what a file name may not, and differ in that alone.
    let id = |what: &str| format!("{what}-{index}-{}", file_name(&traced.group));
    let mut blocks = Vec::new();
    if !traced.mediators.is_empty() {
        blocks.push(place_map(traced, &id("places")));
    }
    if !traced.positions.is_empty() {
        blocks.push(position_map(traced, &id("positions")));
    }
    blocks.extend(bars(traced, &id("effects")));
    if !traced.mediators.is_empty() {
        let places: Vec<&Mediated> = traced.mediators.iter().chain(&traced.positions).collect();
        blocks.push(place_table(&places));
    }
    if !traced.paths.is_empty() {
        blocks.push(path_table(traced));
    }
    Section {
        title: format!("Where the effect of {} travels", traced.group),
        text: explained(traced),
        blocks,
    }
}

fn file_name(name: &str) -> String {
    let safe = |c: char| match c.is_ascii_alphanumeric() {
        true => c.to_ascii_lowercase(),
        false => '-',
    };
    name.chars().take(40).map(safe).collect()
}

/// Whether colours can show shares.
fn shows_shares(traced: &Traced) -> bool {
    let mut places = traced.mediators.iter().chain(&traced.positions);
    places.any(|one| one.mediation.share.value.is_some())
}

fn place_map(traced: &Traced, id: &str) -> Block {
    // Residual streams are cuts almost everywhere, and the table says so.
    let blocks = traced
        .mediators
        .iter()
        .map(placed)
        .filter(|(_, part, _)| !part.starts_with("stream"));
    let cells: Vec<Placed> = blocks.collect();
    let mut columns = in_order(cells.iter().map(|(_, column, _)| column.clone()));
    columns.sort_by_key(|column| rank(column));
    heatmap(
        id,
        &format!("What carries the effect of {}", traced.group),
        "The farther a cell is from white, the more of the effect passes through that head or block output; an interval that includes 0 is no evidence that any does.",
        ["part", "block"],
        map(&cells, columns, shows_shares(traced)),
    )
}

fn position_map(traced: &Traced, id: &str) -> Block {
    let places = traced.positions.iter();
    let cells: Vec<Placed> = places
        .map(|one| {
            let position = one.position.map_or_else(String::new, |position| position.to_string());
            (one.site.clone(), position, one)
        })
        .collect();
    let columns = in_order(cells.iter().map(|(_, column, _)| column.clone()));
    heatmap(
        id,
        &format!("At which positions the effect of {} travels", traced.group),
        "Each row is the residual stream after one layer; where the colour moves from column to column, attention has moved the effect to another position.",
        ["position, from 0", "site"],
        map(&cells, columns, shows_shares(traced)),
    )
}

fn in_order(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut all = Vec::new();
    for name in names {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

/// Block and part of a place: `layers.0` and `head 1` of `layers.0.attn.z[head=1]`.
fn placed(one: &Mediated) -> Placed<'_> {
    let within = one.place.strip_prefix(one.site.as_str()).unwrap_or_default();
    let names: Vec<&str> = one.site.split('.').collect();
    let of_a_part = names
        .iter()
        .nth_back(1)
        .is_some_and(|part| ["attn", "ff", "gate"].contains(part));
    let (block, end) = names.split_at(names.len() - if of_a_part { 2 } else { 1 });
    // `gate` of `gate.value`, and `pool` of `pool`.
    let block = if block.is_empty() { &names[..1] } else { block };
    let part = match (end.join(".").as_str(), one.head) {
        ("attn.z", Some(head)) if within == format!("[head={head}]") => format!("head {head}"),
        ("embed" | "resid" | "pool", _) => format!("stream{within}"),
        (end, _) => format!("{end}{within}"),
    };
    (block.join("."), part, one)
}

/// Heads come first, then the ends of blocks, then whatever else was asked for.
fn rank(column: &str) -> (usize, usize) {
    let head = column.strip_prefix("head ").and_then(|head| head.parse().ok());
    let end = ENDS.iter().position(|end| *end == column).unwrap_or(ENDS.len());
    head.map_or((1, end), |head| (0, head))
}

fn map(cells: &[Placed], columns: Vec<String>, shares: bool) -> Heatmap {
    let rows = in_order(cells.iter().map(|(row, ..)| row.clone()));
    let at = |row: &str, column: &str| {
        let mut cells = cells.iter();
        let found = cells.find(|(r, c, _)| r == row && c == column);
        found.map(|(.., one)| *one)
    };
    let value = |row: &str, column: &str| {
        let one = at(row, column).filter(|one| one.passage == Passage::Partial)?;
        shown(one, shares).value
    };
    let says = |row: &str, column: &str| match at(row, column) {
        None => "undefined (there is no such place)".to_string(),
        Some(one) => match one.passage {
            Passage::Partial => shown(one, shares).show(if shares { 2 } else { 3 }),
            passage => format!("undefined ({})", note(passage)),
        },
    };
    let line = |row: &String| -> Vec<Option<f64>> { columns.iter().map(|column| value(row, column)).collect() };
    let words = |row: &String| -> Vec<String> { columns.iter().map(|column| says(row, column)).collect() };
    Heatmap {
        values: rows.iter().map(line).collect(),
        text: Some(rows.iter().map(words).collect()),
        diverging: true,
        unit: if shares { "mediated share" } else { "NIE on the logit" }.into(),
        x: columns,
        y: rows,
        ..Heatmap::default()
    }
}

fn shown(one: &Mediated, shares: bool) -> &Estimate {
    match shares {
        true => &one.mediation.share,
        false => &one.mediation.indirect,
    }
}

fn note(passage: Passage) -> &'static str {
    match passage {
        Passage::Partial => "",
        Passage::Cut => "cut: NDE = 0 by construction",
        Passage::Apart => "no path leads through it",
    }
}

fn bars(traced: &Traced, id: &str) -> Option<Block> {
    let places = strongest(traced, PLACES);
    if places.is_empty() {
        return None;
    }
    let names = Values::Names(places.iter().map(|one| one.place.clone()).collect());
    let series = |name: &str, of: fn(&Mediated) -> &Estimate| {
        let estimates: Vec<&Estimate> = places.iter().map(|one| of(one)).collect();
        with_interval(name, Mark::Bar, names.clone(), &estimates)
    };
    Some(figure(
        id,
        &format!("Effects of {} past and through the strongest places", traced.group),
        "At every place the three bars add up to the total effect; a tall indirect bar beside a short direct one is a place that carries the effect.",
        ["place", "change of the logit", ""],
        vec![
            series("direct (NDE)", |one| &one.mediation.direct),
            series("indirect (NIE)", |one| &one.mediation.indirect),
            series("interaction", |one| &one.mediation.interaction),
        ],
        vec![0.0],
    ))
}

fn place_table(places: &[&Mediated]) -> Block {
    let rows = places.iter().map(|one| {
        vec![
            one.place.clone().into(),
            cell(&one.mediation.direct, 3),
            cell(&one.mediation.indirect, 3),
            cell(&one.mediation.interaction, 3),
            cell(&one.mediation.share, 2),
            note(one.passage).into(),
        ]
    });
    table(
        "Every place with 95 % intervals, in forward order",
        &["place", "NDE", "NIE", "interaction", "share", "note"],
        rows.collect(),
    )
}

fn path_table(traced: &Traced) -> Block {
    let rows = traced.paths.iter().map(|path| {
        vec![
            path.sender.clone().into(),
            path.receiver.clone().into(),
            cell(&path.effect, 3),
            cell(&path.share, 2),
        ]
    });
    table(
        "Single paths: what travels straight from one place to another, everything between them held",
        &["from", "to", "effect on the logit", "share"],
        rows.collect(),
    )
}

pub(super) fn attribution(outcome: &Outcome) -> Section {
    let found = &outcome.attribution;
    let rule = match found.rule {
        Rule::GaussLegendre => "Gauss-Legendre nodes",
        Rule::Midpoint => "midpoints",
    };
    let completeness = match found.completeness_gap {
        None => "the output never differs from that of the baseline, so that there is none".to_string(),
        Some(gap) if gap > LARGE_GAP => format!("{:.2} %, above 1 %: raise `steps`", 100.0 * gap),
        Some(gap) => format!("{:.2} %", 100.0 * gap),
    };
    Section {
        title: "To what is the output attributed?".into(),
        text: vec![
            format!(
                "On {} rows of `{}`; integrated gradients run from the baseline 0 over {} {rule}. Saliency is the gradient's size, permutation \
                 and occlusion are the size of the change of the logit when a column is permuted or set to 0.",
                found.rows, found.environment, found.steps
            ),
            format!(
                "Integrated gradients should add up to the change of the logit from the baseline; the completeness gap is what is missing, over that change: {completeness}."
            ),
        ],
        blocks: vec![
            column_figure(found),
            group_figure(found),
            agreement_map(found),
            column_table(found),
        ],
    }
}

fn by(column: &ColumnAttribution, method: usize) -> Option<f64> {
    column.by_method.get(method).copied().filter(|value| value.is_finite())
}

/// Columns by integrated gradients, the largest first.
fn ordered(found: &Attribution) -> Vec<&ColumnAttribution> {
    let size = |column: &ColumnAttribution| by(column, 0).unwrap_or(f64::NEG_INFINITY);
    let mut columns: Vec<&ColumnAttribution> = found.columns.iter().collect();
    columns.sort_by(|a, b| size(b).total_cmp(&size(a)));
    columns
}

fn column_figure(found: &Attribution) -> Block {
    let mut columns = ordered(found);
    columns.truncate(COLUMNS);
    let names = Values::Names(columns.iter().map(|column| column.column.clone()).collect());
    let series = METHODS.iter().enumerate().map(|(method, name)| {
        let all = found.columns.iter().filter_map(|column| by(column, method));
        let most = all.fold(0.0, f64::max);
        let height = |size: f64| (most > 0.0).then(|| size / most);
        Series {
            y: columns
                .iter()
                .map(|column| by(column, method).and_then(height))
                .collect(),
            ..Series::new(*name, Mark::Bar, names.clone(), Vec::new())
        }
    });
    figure(
        "attribution-columns",
        "The columns with the largest integrated gradients, by every method",
        "Each method's largest column stands at 1; where the bars of a column differ, methods disagree on it.",
        ["column", "contribution over the method's largest", ""],
        series.collect(),
        vec![],
    )
}

fn group_figure(found: &Attribution) -> Block {
    let names = Values::Names(found.groups.iter().map(|group| group.group.clone()).collect());
    let sizes: Vec<&Estimate> = found.groups.iter().map(|group| &group.size).collect();
    figure(
        "attribution-groups",
        "Integrated gradients of groups",
        "How much of the logit each group contributes in a row, its columns added up; a tall bar is a group on which the output rests.",
        ["group", "mean size of the contribution to the logit", ""],
        vec![with_interval("integrated gradients", Mark::Bar, names, &sizes)],
        vec![],
    )
}

fn agreement_map(found: &Attribution) -> Block {
    let holds = |methods: &[String; 2], name: &str| methods.iter().any(|method| method == name);
    let at = |a: &str, b: &str| -> (Option<f64>, String) {
        if a == b {
            return (Some(1.0), "1".into());
        }
        let mut pairs = found.agreement.iter();
        match pairs.find(|pair| holds(&pair.methods, a) && holds(&pair.methods, b)) {
            Some(pair) => (pair.correlation.value, pair.correlation.show(2)),
            None => (None, "undefined (not compared)".into()),
        }
    };
    let cells = METHODS.map(|a| METHODS.map(|b| at(a, b)));
    let names: Vec<String> = METHODS.map(Into::into).into();
    let words =
        |row: &[(Option<f64>, String); 4]| -> Vec<String> { row.iter().map(|(_, says)| says.clone()).collect() };
    heatmap(
        "attribution-agreement",
        "Do methods of attribution agree?",
        "Rank correlation over columns: 1 is the same order of columns, 0 no agreement, and below 0 the order is turned around.",
        ["method", "method"],
        Heatmap {
            x: names.clone(),
            y: names,
            values: cells
                .iter()
                .map(|row| row.iter().map(|(value, _)| *value).collect())
                .collect(),
            text: Some(cells.iter().map(words).collect()),
            range: Some([-1.0, 1.0]),
            diverging: true,
            unit: "rank correlation".into(),
        },
    )
}

fn column_table(found: &Attribution) -> Block {
    let headings: Vec<&str> = ["column", "group"].into_iter().chain(METHODS).collect();
    let rows = ordered(found).into_iter().map(|column| {
        let mut cells: Vec<Cell> = vec![column.column.clone().into(), column.group.clone().into()];
        cells.extend((0..METHODS.len()).map(|method| number(by(column, method), 4)));
        cells
    });
    table("Mean size of every column's contribution", &headings, rows.collect())
}
