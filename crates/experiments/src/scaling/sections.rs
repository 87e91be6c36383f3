//! The sections of the report: trends first, then what belongs together, each measure over width and over depth.

use disentangle_analysis::Estimate;
use disentangle_report::{Block, Cell, Heatmap, Section};

use super::{
    curves::over_sizes,
    layer_sections,
    measures::{MEASURES, Measure, Topic},
    outcome::{Outcome, When},
    render::{shown, shown_cell},
};
use crate::present::{heatmap, number, table};

/// Measures whose grid of widths and depths is drawn.
const GRIDS: [&str; 5] = [
    "effective_rank",
    "interference",
    "head_diversity",
    "gradient_norm",
    "roc_auc",
];

pub(super) fn all(outcome: &Outcome) -> Vec<Section> {
    let mut all = vec![sizes(outcome), trends(outcome)];
    all.extend(TOPICS.iter().map(|topic| by_topic(outcome, topic)));
    all.extend(layer_sections::all(outcome));
    all
}

/// A topic's title, and how its measures are defined.
type Described = (Topic, &'static str, &'static str);

const TOPICS: [Described; 6] = [
    (
        Topic::Superposition,
        "Superposition",
        "Means over the measured sites. The effective rank is exp of the entropy of the shares of the singular values of the centred activations; the \
         compression ratio is the largest variance over the mean variance; interference is the mean |correlation| of two live neurons, its part above \
         chance lacks what so many rows give independent neurons; alignment is the participation ratio over neurons.",
    ),
    (
        Topic::Capacity,
        "Capacity",
        "Means over the measured sites. Sparsity is the share of activations within a hundredth of the site's root mean square (rms) of 0; the range \
         goes from the least to the greatest activation, in rms; the entropy of a neuron is that of its histogram, over ln 20, live neurons only.",
    ),
    (
        Topic::Attention,
        "Attention",
        "Means over layers. Entropy is over ln(keys): 1 attends evenly, 0 to one key. Sparsity is the share of weights of at most 0.01. Head diversity \
         is 1 minus the cosine of two heads' maps of a row, mean over rows and pairs of heads.",
    ),
    (
        Topic::Gradients,
        "Gradient flow",
        "The gradient of the mean cross-entropy of the measured rows, without dropout, at every weight; norm and variance over entries are means over \
         weights. The balance is log10 of the norm at the first layer over that at the last: below 0 the gradient vanishes on its way back.",
    ),
    (
        Topic::Specialisation,
        "Specialisation of layers",
        "Of what layers leave on the residual stream. Selectivity is the standard deviation over neurons of the mean activation; pattern diversity is 1 \
         minus interference; the effective rank of the last layer over that of the embedding is below 1 where the network compresses.",
    ),
    (
        Topic::Function,
        "What is computed",
        "Interaction is the root mean square over rows and random pairs of columns of f - f without one - f without the other + f without both, on the \
         logit, over the standard deviation of the logit. ROC AUC and worst-group accuracy are on all rows of the main environment.",
    ),
];

fn sizes(outcome: &Outcome) -> Section {
    let rows = outcome.models.iter().map(|one| {
        let value = |measure: &str| shown_cell(one.value(When::Trained, measure));
        vec![
            number(Some(one.width as f64), 0),
            number(Some(one.depth as f64), 0),
            number(Some(one.parameters as f64), 0),
            shown_cell(Some(&one.epochs)),
            value("roc_auc"),
            value("worst_group_accuracy"),
        ]
    });
    Section {
        title: "Sizes".into(),
        text: vec![format!(
            "Every size was trained {} times, with {} heads, on the same rows as the others; means over trainings with Student's t intervals. A row has {} \
             positions. Everything is measured on rows of `{}` that training did not see, without dropout, before training (initial) and with the best \
             epoch's weights (trained).",
            outcome.repeats, outcome.sizes.heads, outcome.positions, outcome.environment
        )],
        blocks: vec![table(
            "Sizes that were trained, with 95 % intervals",
            &[
                "width",
                "depth",
                "parameters",
                "epochs",
                "ROC AUC",
                "worst-group accuracy",
            ],
            rows.collect(),
        )],
    }
}

fn trends(outcome: &Outcome) -> Section {
    let rows = outcome.trends.iter().filter_map(|one| {
        let title = MEASURES.iter().find(|measure| measure.name == one.measure)?.title;
        let trend = &one.trend;
        Some(vec![
            one.axis.name().into(),
            title.into(),
            one.when.name().into(),
            trend.form.name().into(),
            shown_cell(Some(&trend.slope)),
            shown_cell(Some(&trend.change)),
            number(trend.r_squared, 2),
            number(trend.aic_lead, 1),
            number(trend.slope.q, 3),
        ])
    });
    let sizes = &outcome.sizes;
    Section {
        title: "Trends".into(),
        text: vec![format!(
            "Over width {:?} at depth {}, and over depth {:?} at width {}. Each training has a fit of its own, a line or a power law; the form is the one with \
             the lower AIC over all of them, whose lead is printed (below 2 the forms cannot be told apart). The slope is a change of the measure a unit of \
             size, or an exponent; the change is that of the fit from the smallest to the largest size. q is of a slope of 0, by the t test over trainings, \
             corrected over all measures of an axis and a stage. Figures below draw the fit through the points of all trainings, from the smallest to the largest \
             size that has a value. A size also decides how well a model learns in so few epochs.",
            sizes.widths, sizes.at_depth, sizes.depths, sizes.at_width
        )],
        blocks: vec![table(
            "Trend of every measure, with 95 % intervals over trainings",
            &[
                "over",
                "measure",
                "stage",
                "form",
                "slope or exponent",
                "change",
                "R²",
                "AIC lead",
                "q",
            ],
            rows.collect(),
        )],
    }
}

fn by_topic(outcome: &Outcome, (topic, title, text): &Described) -> Section {
    let own: Vec<(usize, &Measure)> = MEASURES
        .iter()
        .enumerate()
        .filter(|(_, measure)| measure.topic == *topic)
        .collect();
    let mut blocks: Vec<Block> = own
        .iter()
        .filter_map(|(place, _)| over_sizes(outcome, *place))
        .collect();
    blocks.extend(own.iter().filter_map(|(place, _)| grid(outcome, *place)));
    let columns: Vec<&str> = ["width", "depth", "stage"]
        .into_iter()
        .chain(own.iter().map(|(_, measure)| measure.title))
        .collect();
    let rows = outcome.models.iter().flat_map(|one| When::ALL.map(|when| (one, when)));
    let rows = rows.map(|(one, when)| {
        let mut cells: Vec<Cell> = vec![
            number(Some(one.width as f64), 0),
            number(Some(one.depth as f64), 0),
            when.name().into(),
        ];
        let values = &one.stage(when).values;
        cells.extend(own.iter().map(|(place, _)| shown_cell(values.get(*place))));
        cells
    });
    blocks.push(table(
        "All sizes, with 95 % intervals over trainings",
        &columns,
        rows.collect(),
    ));
    Section {
        title: (*title).into(),
        text: vec![(*text).into()],
        blocks,
    }
}

/// Trained models of the grid.
fn grid(outcome: &Outcome, place: usize) -> Option<Block> {
    let measure = &MEASURES[place];
    if !GRIDS.contains(&measure.name) {
        return None;
    }
    let sizes = &outcome.sizes;
    let at = |depth: usize, width: usize| outcome.model(width, depth)?.value(When::Trained, measure.name);
    let rows = |depth: &usize| -> Vec<Option<&Estimate>> {
        let row = sizes.grid_widths.iter().map(|&width| at(*depth, width));
        row.collect()
    };
    let estimates: Vec<Vec<Option<&Estimate>>> = sizes.grid_depths.iter().map(rows).collect();
    let values: Vec<Vec<Option<f64>>> = estimates
        .iter()
        .map(|row| row.iter().map(|one| one.and_then(|one| one.value)).collect())
        .collect();
    if values.iter().flatten().all(Option::is_none) {
        return None;
    }
    let text = estimates.iter().map(|row| {
        row.iter()
            .map(|one| one.map_or_else(|| "undefined".into(), shown))
            .collect()
    });
    Some(heatmap(
        &format!("grid-{}", measure.name.replace('_', "-")),
        &format!("{} of trained models by width and depth", capitalised(measure.title)),
        "Each cell is a mean over trainings with its interval; along a row only the width changes, along a column only the depth.",
        ["width", "depth"],
        Heatmap {
            x: sizes.grid_widths.iter().map(ToString::to_string).collect(),
            y: sizes.grid_depths.iter().map(ToString::to_string).collect(),
            values,
            text: Some(text.collect()),
            unit: measure.title.into(),
            ..Heatmap::default()
        },
    ))
}

pub(super) fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        None => String::new(),
        Some(first) => first.to_uppercase().chain(characters).collect(),
    }
}
