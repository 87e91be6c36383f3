//! The sections of the report, each a figure or a table with a line on how to read it.

use disentangle_analysis::Estimate;
use disentangle_report::{Block, Cell, Heatmap, Mark, Section, Series, Values};

use super::{
    outcome::{AttentionPart, Head, Importance, Interaction, Outcome, Stage},
    verdicts::strongest,
    weight_sections::{activations, weights},
};
use crate::present::{cell, figure, heatmap, number, short, table, with_interval};

/// Bars of components, at most.
const COMPONENTS: usize = 16;

pub(super) fn all(outcome: &Outcome) -> Vec<Section> {
    vec![
        importance(outcome),
        attention(outcome),
        interaction(outcome),
        weights(outcome),
        activations(outcome),
        data(outcome),
        outcome.training.section(&outcome.model),
    ]
}

/// A value with its interval, or a dash: a reason would make a column of a wide table wider than its numbers do.
pub(super) fn dash_or(estimate: &Estimate, digits: usize) -> Cell {
    match estimate.value {
        Some(_) => cell(estimate, digits),
        None => number(None, digits),
    }
}

fn importance(outcome: &Outcome) -> Section {
    let strongest = strongest(&outcome.trained);
    let shown: Vec<&Importance> = strongest.iter().take(COMPONENTS).copied().collect();
    let names = Values::Names(shown.iter().map(|one| one.component.clone()).collect());
    let at_start = |one: &Importance| {
        let mut all = outcome.initial.importance.iter();
        all.find(|other| other.component == one.component)
    };
    let absent = Estimate::default();
    let after: Vec<&Estimate> = shown.iter().map(|one| &one.size).collect();
    let before: Vec<&Estimate> = shown
        .iter()
        .map(|one| at_start(one).map_or(&absent, |other| &other.size))
        .collect();
    let rows = strongest.iter().map(|one| {
        vec![
            one.component.clone().into(),
            one.kind.clone().into(),
            cell(&one.mean_change, 3),
            cell(&one.size, 3),
            cell(&one.accuracy_lost, 3),
            at_start(one).map_or_else(|| number(None, 3), |other| cell(&other.size, 3)),
        ]
    });
    let columns = [
        "component",
        "kind",
        "mean change of the logit",
        "mean size of the change",
        "accuracy lost",
        "mean size before training",
    ];
    Section {
        title: "What is lost without each component".into(),
        text: vec![
            "The output of a head, an attention, a feed-forward part or a gate is replaced by its mean over rows and positions; of a normalisation, \
             the gains are replaced by their mean, which changes nothing before training, because all are 1 then. What a stream adds on top stays."
                .into(),
        ],
        blocks: vec![
            figure(
                "importance",
                "How much the logit moves without each component",
                "A longer bar is a component that the output depends on more; a bar that is as long before training says little about what was learned.",
                ["component", "mean |change of the logit|", ""],
                vec![
                    with_interval("trained", Mark::Bar, names.clone(), &after),
                    with_interval("initial", Mark::Bar, names, &before),
                ],
                vec![],
            ),
            table(
                "Every component of the trained model, the most important first, with 95 % intervals",
                &columns,
                rows.collect(),
            ),
        ],
    }
}

/// Every head of a stage with the attention that it is a part of.
fn heads(stage: &Stage) -> Vec<(&AttentionPart, &Head)> {
    let parts = stage.attention.iter();
    parts
        .flat_map(|part| part.heads.iter().map(move |head| (part, head)))
        .collect()
}

fn by_head(outcome: &Outcome, of: fn(&Head) -> &Estimate) -> Vec<Series> {
    let stages = outcome.stages().into_iter().map(|(name, stage)| {
        let heads = heads(stage);
        let names = heads.iter().map(|(part, head)| format!("{} {}", part.place, head.head));
        let values: Vec<&Estimate> = heads.iter().map(|(_, head)| of(head)).collect();
        with_interval(name, Mark::Bar, Values::Names(names.collect()), &values)
    });
    stages.collect()
}

fn attention(outcome: &Outcome) -> Section {
    let known = |of: fn(&Head) -> &Estimate| heads(&outcome.trained).iter().any(|(_, head)| of(head).value.is_some());
    let mut blocks = Vec::new();
    if known(|head| &head.entropy) {
        blocks.push(figure(
            "entropy",
            "How focused every head is",
            "1 is attention spread evenly over all keys, 0 is one key; a bar that falls by training is a head that learned what to look at.",
            ["attention and head", "entropy over ln(keys)", ""],
            by_head(outcome, |head| &head.entropy),
            vec![],
        ));
    }
    if known(|head| &head.specialisation) {
        blocks.push(figure(
            "specialisation",
            "How different every head's map is from those of the others",
            "0 is a head that looks at the same as the other heads of its attention.",
            ["attention and head", "1 - mean cosine", ""],
            by_head(outcome, |head| &head.specialisation),
            vec![],
        ));
    }
    blocks.push(attention_table(outcome));
    blocks.push(head_table(outcome));
    Section {
        title: "Attention".into(),
        text: vec![
            "Entropy is of the attention itself, divided by the logarithm of the keys that are no padding, a mean over queries and rows. Diversity is 1 - \
             the mean cosine of two heads' maps of a row; disagreement is minus the mean cosine of what the heads read, each with itself included: -1 \
             where all heads read the same. Changes are trained minus initial, row by row."
                .into(),
        ],
        blocks,
    }
}

fn attention_table(outcome: &Outcome) -> Block {
    let places = outcome.trained.attention.iter().zip(&outcome.changes);
    let rows = places.map(|(part, change)| {
        vec![
            part.place.clone().into(),
            dash_or(&part.entropy, 3),
            dash_or(&change.entropy, 3),
            dash_or(&part.diversity, 3),
            dash_or(&change.diversity, 3),
            dash_or(&part.disagreement, 3),
        ]
    });
    let columns = [
        "attention",
        "entropy",
        "change by training",
        "head diversity",
        "change by training",
        "disagreement",
    ];
    table(
        "Every attention of the trained model, with 95 % intervals over rows",
        &columns,
        rows.collect(),
    )
}

fn head_table(outcome: &Outcome) -> Block {
    let mut rows = Vec::new();
    for (name, stage) in outcome.stages() {
        for (part, head) in heads(stage) {
            rows.push(vec![
                name.into(),
                part.place.clone().into(),
                number(Some(head.head as f64), 0),
                dash_or(&head.entropy, 3),
                dash_or(&head.largest, 3),
                dash_or(&head.specialisation, 3),
            ]);
        }
    }
    table(
        "Every head, with 95 % intervals over rows",
        &[
            "stage",
            "attention",
            "head",
            "entropy",
            "largest weight",
            "specialisation",
        ],
        rows,
    )
}

/// Linear CKA of all components with each other.
fn map(id: &str, title: &str, reading: &str, stage: &Stage) -> Block {
    let pair = |a: &str, b: &str| {
        let mut pairs = stage.interactions.iter();
        pairs.find(|pair| (pair.from == a && pair.to == b) || (pair.from == b && pair.to == a))
    };
    let value = |a: &String, b: &String| match a == b {
        true => Some(1.0),
        false => pair(a, b)?.cka.value,
    };
    let said = |a: &String, b: &String| match a == b {
        true => "1".into(),
        false => pair(a, b).map_or_else(String::new, |pair| short(&pair.cka, 2)),
    };
    let names = &stage.compared;
    let grid = Heatmap {
        x: names.clone(),
        y: names.clone(),
        values: names
            .iter()
            .map(|a| names.iter().map(|b| value(a, b)).collect())
            .collect(),
        text: Some(
            names
                .iter()
                .map(|a| names.iter().map(|b| said(a, b)).collect())
                .collect(),
        ),
        range: Some([0.0, 1.0]),
        unit: "linear CKA".into(),
        ..Heatmap::default()
    };
    heatmap(id, title, reading, ["component", "component"], grid)
}

fn interaction(outcome: &Outcome) -> Section {
    let before = |pair: &Interaction| {
        let mut all = outcome.initial.interactions.iter();
        all.find(|one| one.from == pair.from && one.to == pair.to)
    };
    let rows = outcome.trained.interactions.iter().map(|pair| {
        vec![
            pair.from.clone().into(),
            pair.to.clone().into(),
            dash_or(&pair.cka, 3),
            number(pair.chance, 3),
            before(pair).map_or_else(|| number(None, 3), |one| dash_or(&one.cka, 3)),
        ]
    });
    Section {
        title: "Interaction of components".into(),
        text: vec![
            "Linear CKA of what components leave for the same rows, all positions of a row side by side: 1 is a copy that is rotated or scaled. Outputs \
             of blocks are taken before they are added to the stream. What sites of these spectra have by chance stands beside it."
                .into(),
        ],
        blocks: vec![
            map(
                "cka",
                "How alike components represent the rows, after training",
                "Dark blocks away from the diagonal are components that hold the same; streams are alike because they keep what came before.",
                &outcome.trained,
            ),
            map(
                "cka-initial",
                "How alike components represent the rows, before training",
                "What is as dark here as after training comes from the architecture and the rows.",
                &outcome.initial,
            ),
            table(
                "Every pair, with 95 % intervals over rows",
                &["from", "to", "linear CKA", "by chance", "before training"],
                rows.collect(),
            ),
        ],
    }
}

fn data(outcome: &Outcome) -> Section {
    let data = &outcome.data;
    let rows = outcome
        .stages()
        .map(|(name, stage)| vec![name.into(), cell(&stage.accuracy, 3), cell(&stage.auc, 3)]);
    Section {
        title: "Rows and accuracy".into(),
        text: vec![format!(
            "{} rows of `{}` ({}), which training did not see, shown {}.",
            data.rows, data.environment, data.about, data.shown
        )],
        blocks: vec![table(
            "Before and after training, with 95 % intervals over rows",
            &["stage", "accuracy", "ROC AUC"],
            rows.into(),
        )],
    }
}
