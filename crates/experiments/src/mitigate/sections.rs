//! Sections on environments, on the shortcut, on what else a strategy changes, and on the strategies themselves.

use disentangle_analysis::Estimate;
use disentangle_report::{Block, Cell, Heatmap, Mark, Section, Values};

use super::{
    ERM,
    outcome::{Compared, Outcome, StrategyOutcome},
};
use crate::present::{cell, figure, heatmap, number, table, with_interval};

fn names(outcome: &Outcome) -> Vec<String> {
    outcome.strategies.iter().map(|one| one.name.clone()).collect()
}

pub(super) fn by_environment(outcome: &Outcome) -> Section {
    let series = outcome.environments.iter().enumerate().map(|(place, environment)| {
        let strategies = outcome.strategies.iter();
        let values: Vec<&Estimate> = strategies.map(|one| &one.environments[place][0].value).collect();
        with_interval(environment, Mark::Bar, Values::Names(names(outcome)), &values)
    });
    Section {
        title: "Every environment".into(),
        text: vec!["The worst group is the (label, shortcut) group with the least accuracy, where the shortcut's value is known.".into()],
        blocks: vec![
            figure(
                "environments",
                "Accuracy by strategy and environment",
                "Bars of a strategy at one height do not depend on whether the shortcut holds; at the dotted line a coin is as good.",
                ["strategy", "accuracy", ""],
                series.collect(),
                vec![0.5],
            ),
            environment_table(outcome),
        ],
    }
}

/// Where trainings share their test rows, differences have a column more, for the interval over rows.
fn environment_table(outcome: &Outcome) -> Block {
    let fixed = outcome.same_test_rows;
    let mut columns = vec!["strategy", "environment"];
    for metric in ["accuracy", "ROC AUC", "worst group"] {
        columns.extend([metric, if fixed { "over erm, trainings" } else { "over erm" }]);
        columns.extend(fixed.then_some("over erm, rows"));
    }
    let mut rows = Vec::new();
    for one in &outcome.strategies {
        for (environment, metrics) in outcome.environments.iter().zip(&one.environments) {
            let mut cells: Vec<Cell> = vec![one.name.clone().into(), environment.clone().into()];
            for Compared {
                value,
                over_erm,
                over_erm_rows,
            } in metrics
            {
                cells.extend([cell(value, 3), cell(over_erm, 3)]);
                let of_rows = || {
                    over_erm_rows
                        .as_ref()
                        .map_or_else(|| number(None, 3), |rows| cell(rows, 3))
                };
                cells.extend(fixed.then(of_rows));
            }
            rows.push(cells);
        }
    }
    let caption = match fixed {
        true => {
            "Means over trainings, and paired differences from plain training with 95 % intervals over trainings and over test rows"
        }
        false => "Means over trainings with 95 % intervals, and paired differences from plain training",
    };
    table(caption, &columns, rows)
}

pub(super) fn shortcut_use(outcome: &Outcome) -> Section {
    let absent = Estimate::default();
    let of = |name: &str| -> Vec<&Estimate> {
        let values = outcome.strategies.iter().map(|one| one.value(name));
        values
            .map(|value| value.map_or(&absent, |value| &value.value))
            .collect()
    };
    let series = [
        ("effect on the output", of("shortcut_effect")),
        ("AUC lost without it", of("shortcut_auc_drop")),
    ];
    let series = series
        .map(|(name, values)| with_interval(name, Mark::Bar, Values::Names(names(outcome)), &values))
        .into();
    Section {
        title: "How much of the shortcut is left".into(),
        text: vec![format!(
            "The effect is the mean change of the logit when `{}` is taken from a row of the other side, in standard deviations of the logit, on the main rows; the AUC lost without it is that of permuting its columns. Interference (mean |correlation| of two neurons minus its noise level) and effective rank are of the pooled activations: superposition. Before is the row of erm, after are the others.",
            outcome.group
        )],
        blocks: vec![
            figure(
                "shortcut",
                "Use of the shortcut by strategy",
                "Nearer to 0 is less use of the shortcut than plain training (erm) makes.",
                ["strategy", "effect, loss of AUC", ""],
                series,
                vec![0.0],
            ),
            compared_table(
                outcome,
                "Means over trainings with 95 % intervals, and paired differences from plain training",
                &[
                    ("shortcut_effect", "effect of the shortcut"),
                    ("shortcut_auc_drop", "AUC lost without it"),
                    ("pool_interference", "interference"),
                    ("pool_effective_rank", "effective rank"),
                ],
            ),
        ],
    }
}

/// Values and their differences from plain training, a row a strategy.
fn compared_table(outcome: &Outcome, caption: &str, values: &[(&str, &str)]) -> Block {
    let mut columns = vec!["strategy"];
    columns.extend(values.iter().flat_map(|(_, title)| [*title, "over erm"]));
    let rows = outcome.strategies.iter().map(|one| {
        let mut cells: Vec<Cell> = vec![one.name.clone().into()];
        cells.extend(values.iter().flat_map(|(name, _)| before_and_after(one.value(name))));
        cells
    });
    table(caption, &columns, rows.collect())
}

fn before_and_after(value: Option<&Compared>) -> [Cell; 2] {
    match value {
        Some(value) => [cell(&value.value, 3), cell(&value.over_erm, 3)],
        None => [number(None, 3), number(None, 3)],
    }
}

/// Impact analysis (notebook part 44).
pub(super) fn changes(outcome: &Outcome) -> Option<Section> {
    let strategies: Vec<&StrategyOutcome> = outcome.strategies.iter().filter(|one| one.name != ERM).collect();
    if strategies.is_empty() {
        return None;
    }
    let shifts = |one: &&StrategyOutcome| one.impact.importance.iter().map(|one| one.over_erm.value).collect();
    let said = |one: &&StrategyOutcome| one.impact.importance.iter().map(|one| one.over_erm.show(3)).collect();
    let map = Heatmap {
        x: outcome.groups.clone(),
        y: strategies.iter().map(|one| one.name.clone()).collect(),
        values: strategies.iter().map(shifts).collect(),
        text: Some(strategies.iter().map(said).collect()),
        diverging: true,
        unit: "importance after minus before (AUC)".into(),
        ..Heatmap::default()
    };
    let rows = strategies.iter().map(|one| {
        let impact = &one.impact;
        let mut cells: Vec<Cell> = vec![one.name.clone().into()];
        cells.extend([
            cell(&impact.boundary_shift, 3),
            cell(&impact.representation_distance, 3),
        ]);
        cells.extend(before_and_after(one.value("gradient_norm")));
        cells.extend(before_and_after(one.value("pool_disentanglement")));
        cells
    });
    let columns = [
        "strategy",
        "boundary shift",
        "representation distance",
        "gradient norm",
        "over erm",
        "disentanglement",
        "over erm",
    ];
    Some(Section {
        title: "What else a strategy changes in the model".into(),
        text: vec![
            "Every training gives one pair of models: before is plain training (erm), after is the strategy, from the same initial weights and on the same rows. Importance is the AUC that the main rows lose when a group's columns come from random rows; both models see the same permutations.".into(),
            "Boundary shift is the mean |p after - p before| of the main rows. The gradient norm is that of the logit by the standardised input, a mean over these rows: less is a smoother boundary. Representation distance is 1 - linear CKA of the pooled activations, 0 where they differ by a rotation and a scale only. Disentanglement is 1 - the mean |correlation| of two pooled neurons.".into(),
        ],
        blocks: vec![
            heatmap(
                "importance-shift",
                "Shift of importance by strategy and feature group",
                "White cells did not change. A strategy that takes the model off the shortcut lowers the shortcut's importance and raises that of other groups.",
                ["feature group", "strategy"],
                map,
            ),
            table("Means over trainings with 95 % intervals", &columns, rows.collect()),
            importance_table(outcome),
        ],
    })
}

fn importance_table(outcome: &Outcome) -> Block {
    let rows = outcome.strategies.iter().flat_map(|one| {
        let groups = outcome.groups.iter().zip(&one.impact.importance);
        groups.map(move |(group, importance)| {
            let mut cells: Vec<Cell> = vec![one.name.clone().into(), group.clone().into()];
            cells.extend(before_and_after(Some(importance)));
            cells
        })
    });
    table(
        "AUC lost without each feature group, and its shift",
        &["strategy", "group", "AUC lost without it", "over erm"],
        rows.collect(),
    )
}

pub(super) fn explained(outcome: &Outcome) -> Section {
    let rows = outcome.strategies.iter().map(|one| {
        vec![
            one.name.clone().into(),
            one.about.clone().into(),
            one.source.clone().into(),
        ]
    });
    let mut blocks = vec![table(
        "Strategies",
        &["strategy", "what it does", "source"],
        rows.collect(),
    )];
    if !outcome.skipped.is_empty() {
        let left = outcome.skipped.iter();
        let left = left.map(|one| vec![one.strategy.clone().into(), one.why.clone().into()]);
        blocks.push(table("Left out", &["strategy", "why"], left.collect()));
    }
    Section {
        title: "The strategies".into(),
        text: vec![format!(
            "The model is {} with {} parameters.",
            outcome.model.family, outcome.model.parameters
        )],
        blocks,
    }
}
