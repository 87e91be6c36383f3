//! What happens from layer to layer, and the single parameters, sites and pairs of heads of the size where both arms of
//! the cross meet.

use disentangle_analysis::Estimate;
use disentangle_report::{Block, Cell, Heatmap, Mark, Section, Series, Values};

use super::{
    measures::{MEASURES, OF_SITES, place},
    outcome::{Axis, Outcome, SizeOutcome, StageOutcome, When},
    render::{shown, shown_cell},
};
use crate::present::{heatmap, number, plain_figure, table, with_interval};

pub(super) fn all(outcome: &Outcome) -> Vec<Section> {
    let mut all: Vec<Section> = layers(outcome).into_iter().collect();
    all.extend(outcome.base().map(base));
    all
}

fn layers(outcome: &Outcome) -> Option<Section> {
    let blocks: Vec<Block> = [ranks(outcome), gradients(outcome)].into_iter().flatten().collect();
    let section = Section {
        title: "From layer to layer".into(),
        text: vec![format!(
            "Models of width {}, one curve a depth; means over trainings with 95 % intervals.",
            outcome.sizes.at_width
        )],
        blocks,
    };
    (!section.blocks.is_empty()).then_some(section)
}

/// Effective rank of the embedding and of what every layer leaves.
fn ranks(outcome: &Outcome) -> Option<Block> {
    let rank = place("effective_rank")?;
    let curve = |one: &SizeOutcome, when: When| {
        let on_stream = |name: &str| matches!(name.rsplit('.').next(), Some("embed" | "resid"));
        let sites = one.stage(when).sites.iter().filter(|site| on_stream(&site.site));
        let values: Vec<&Estimate> = sites.filter_map(|site| site.values.get(rank)).collect();
        line(&format!("{} layers, {}", one.depth, when.name()), &values, 0)
    };
    let series = curves(outcome, When::Trained, &curve);
    (!series.is_empty()).then(|| {
        Block::Figure(plain_figure(
            "rank-by-layer",
            "Effective rank along the residual stream",
            "0 is the embedding; a curve that falls from left to right is a network that compresses from layer to layer.",
            ["layers passed", "effective rank", ""],
            series,
            vec![],
        ))
    })
}

/// Norm of the gradient at the weights of every layer.
fn gradients(outcome: &Outcome) -> Option<Block> {
    let curve = |one: &SizeOutcome, when: When| {
        let values: Vec<&Estimate> = one
            .stage(when)
            .layers
            .iter()
            .map(|layer| &layer.gradient_norm)
            .collect();
        line(&format!("{} layers, {}", one.depth, when.name()), &values, 1)
    };
    let series = curves(outcome, When::Initial, &curve);
    (!series.is_empty()).then(|| {
        let mut figure = plain_figure(
            "gradient-by-layer",
            "Norm of the loss gradient at the weights of every layer",
            "A level curve passes the gradient back unchanged; one that is lower on the left loses it before it reaches the first layers.",
            ["layer", "gradient norm", ""],
            series,
            vec![],
        );
        figure.log = [false, true];
        Block::Figure(figure)
    })
}

/// One curve a depth at one stage, and the deepest model's at the other.
fn curves(outcome: &Outcome, when: When, curve: &dyn Fn(&SizeOutcome, When) -> Option<Series>) -> Vec<Series> {
    let models = outcome.along(Axis::Depth);
    let other = match when {
        When::Initial => When::Trained,
        When::Trained => When::Initial,
    };
    let mut series: Vec<Series> = models.iter().filter_map(|one| curve(one, when)).collect();
    series.extend(models.last().and_then(|one| curve(one, other)));
    series
}

/// `None` where no value is above 0: neither measure can be.
fn line(name: &str, values: &[&Estimate], first: usize) -> Option<Series> {
    if !values.iter().any(|one| one.value.is_some_and(|value| value > 0.0)) {
        return None;
    }
    let x = (first..first + values.len()).map(|layer| layer as f64).collect();
    Some(with_interval(name, Mark::Line, Values::Numbers(x), values))
}

/// Everything of one size.
fn base(one: &SizeOutcome) -> Section {
    let mut blocks: Vec<Block> = pairs(&one.trained).into_iter().collect();
    blocks.push(sites(one));
    blocks.push(parameters(one));
    Section {
        title: format!("Width {} and depth {} in detail", one.width, one.depth),
        text: vec![
            "Every site, pair of heads and parameter of this size; those of all others stand in metrics.json and metrics.parquet. Of sites whose activations \
             were streamed, sparsity, selectivity and entropy are of an even sample of the rows."
                .into(),
        ],
        blocks,
    }
}

/// How far each pair of heads differs; `None` with one head or one key.
fn pairs(stage: &StageOutcome) -> Option<Block> {
    let first = stage.layers.first()?;
    if first.pairs.is_empty() {
        return None;
    }
    let layers = &stage.layers;
    let values = layers
        .iter()
        .map(|layer| layer.pairs.iter().map(|pair| pair.value).collect());
    let text = layers.iter().map(|layer| layer.pairs.iter().map(shown).collect());
    Some(heatmap(
        "head-pairs",
        "How far heads of a layer differ, trained",
        "1 minus the cosine of two heads' attention maps; 0 are heads that attend alike.",
        ["pair of heads", "layer"],
        Heatmap {
            x: pair_names(first.pairs.len()),
            y: (1..=layers.len()).map(|layer| layer.to_string()).collect(),
            values: values.collect(),
            text: Some(text.collect()),
            unit: "head diversity".into(),
            ..Heatmap::default()
        },
    ))
}

/// (1, 2), (1, 3), .., (2, 3), .. of as many heads as have so many pairs.
fn pair_names(pairs: usize) -> Vec<String> {
    let heads = (2..=pairs + 2)
        .find(|heads| heads * (heads - 1) / 2 >= pairs)
        .unwrap_or(2);
    let all = (1..=heads).flat_map(|first| (first + 1..=heads).map(move |second| format!("{first} and {second}")));
    all.take(pairs).collect()
}

fn sites(one: &SizeOutcome) -> Block {
    let columns: Vec<&str> = ["site", "stage", "neurons"]
        .into_iter()
        .chain(MEASURES.iter().take(OF_SITES).map(|measure| measure.title))
        .collect();
    let rows = When::ALL.into_iter().flat_map(|when| {
        one.stage(when).sites.iter().map(move |site| {
            let mut cells: Vec<Cell> = vec![
                site.site.clone().into(),
                when.name().into(),
                number(Some(site.neurons as f64), 0),
            ];
            cells.extend(site.values.iter().map(|value| shown_cell(Some(value))));
            cells
        })
    });
    table("Sites, with 95 % intervals over trainings", &columns, rows.collect())
}

fn parameters(one: &SizeOutcome) -> Block {
    let both = one.initial.gradients.iter().zip(&one.trained.gradients);
    let rows = both.map(|(before, after)| {
        vec![
            before.parameter.clone().into(),
            number(Some(before.entries as f64), 0),
            shown_cell(Some(&before.norm)),
            shown_cell(Some(&after.norm)),
            shown_cell(Some(&before.variance)),
            shown_cell(Some(&after.variance)),
        ]
    });
    let columns = [
        "parameter",
        "entries",
        "gradient norm, initial",
        "gradient norm, trained",
        "gradient variance, initial",
        "gradient variance, trained",
    ];
    table(
        "Gradient of the loss at every parameter, with 95 % intervals over trainings",
        &columns,
        rows.collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_heads_have_names() {
        assert_eq!(pair_names(1), ["1 and 2"]);
        assert_eq!(pair_names(3), ["1 and 2", "1 and 3", "2 and 3"]);
        assert_eq!(pair_names(6).last().unwrap(), "3 and 4");
        assert_eq!(pair_names(120).len(), 120);
    }
}
