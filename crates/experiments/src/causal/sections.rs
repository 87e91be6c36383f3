//! The sections of the report, each a figure or a table with a line on how to read it.

use disentangle_analysis::{
    Estimate,
    causal::{interaction::Interaction, robustness::Degradation},
    importance::Importance,
};
use disentangle_report::{Block, Heatmap, Mark, Section, Series, Values};

use super::{
    effect_sections,
    outcome::{EnvironmentImportance, Outcome, TotalEffect},
};
use crate::present::{cell, figure, heatmap, number, table, with_interval};

/// Bars of pairs, at most.
const PAIRS: usize = 12;

pub(super) fn all(outcome: &Outcome) -> Vec<Section> {
    let mut all = effect_sections::travel(outcome);
    all.push(groups(outcome));
    all.push(robustness(outcome));
    all.push(interactions(outcome));
    all.push(effect_sections::attribution(outcome));
    if !outcome.interventions.is_empty() {
        all.push(interventions(outcome));
    }
    all.push(outcome.training.section(&outcome.model));
    all
}

/// What is known of a group.
pub(super) fn role(outcome: &Outcome, name: &str) -> String {
    let group = outcome.data.groups.iter().find(|group| group.name == name);
    group.map_or_else(String::new, |group| format!("{:?}", group.role).to_lowercase())
}

fn groups(outcome: &Outcome) -> Section {
    Section {
        title: "Groups".into(),
        text: vec![
            "A group is removed by giving each row the group's columns of another row of the same environment, at random (permuted), by their mean, \
             or by 0. Of a shortcut, the accuracy lost is its spurious impact: above 0 where the shortcut holds, below 0 where it misleads. \
             q is of a permutation test of the AUC lost, corrected over all groups and environments (Benjamini and Hochberg)."
                .into(),
            "Total effects say what moving a group to its counterfactual values does to the logit on the main rows: oriented from side 0 to side 1, \
             as every row is moved, and by size alone."
                .into(),
        ],
        blocks: vec![
            importance_figure(outcome),
            importance_table(outcome),
            total_figure(outcome),
            total_table(outcome),
        ],
    }
}

fn importance_figure(outcome: &Outcome) -> Block {
    let series = outcome.data.environments.iter().map(|environment| {
        let own: Vec<&Importance> = outcome
            .importance
            .iter()
            .filter(|one| one.environment == environment.name)
            .map(|one| &one.importance)
            .collect();
        let groups = Values::Names(own.iter().map(|one| one.group.clone()).collect());
        let drops: Vec<&Estimate> = own.iter().map(|one| &one.accuracy_drop).collect();
        with_interval(&environment.name, Mark::Bar, groups, &drops)
    });
    figure(
        "importance",
        "Accuracy lost without a group, by environment",
        "Above 0 the model predicts worse without the group; a group above 0 in one environment and below 0 in another is a shortcut.",
        ["group", "accuracy lost", ""],
        series.collect(),
        vec![0.0],
    )
}

fn importance_table(outcome: &Outcome) -> Block {
    let row = |one: &EnvironmentImportance| {
        let importance = &one.importance;
        vec![
            one.environment.clone().into(),
            importance.group.clone().into(),
            cell(&importance.auc_drop, 3),
            number(importance.auc_drop.q, 3),
            cell(&importance.accuracy_drop, 3),
            cell(&one.accuracy_drop_mean, 3),
            cell(&one.accuracy_drop_zero, 3),
            cell(&importance.auc_only, 3),
        ]
    };
    let columns = [
        "environment",
        "group",
        "AUC lost permuted",
        "q",
        "accuracy lost permuted",
        "accuracy lost at the mean",
        "accuracy lost at 0",
        "AUC with only",
    ];
    table(
        "Importance by group with 95 % intervals",
        &columns,
        outcome.importance.iter().map(row).collect(),
    )
}

fn total_figure(outcome: &Outcome) -> Block {
    let effects = &outcome.total_effects;
    let names = Values::Names(effects.iter().map(|one| one.group.clone()).collect());
    let series = |name: &str, of: fn(&TotalEffect) -> &Estimate| {
        let estimates: Vec<&Estimate> = effects.iter().map(of).collect();
        with_interval(name, Mark::Bar, names.clone(), &estimates)
    };
    figure(
        "total-effects",
        "Total effect of every group on the logit",
        "A bar by size that is much taller than the oriented one is a group that moves the output in both directions.",
        ["group", "change of the logit", ""],
        vec![
            series("from side 0 to side 1", |one| &one.oriented),
            series("as every row is moved", |one| &one.plain),
            series("size", |one| &one.size),
        ],
        vec![0.0],
    )
}

fn total_table(outcome: &Outcome) -> Block {
    let row = |one: &TotalEffect| {
        vec![
            one.group.clone().into(),
            role(outcome, &one.group).into(),
            one.side.clone().into(),
            cell(&one.oriented, 3),
            cell(&one.plain, 3),
            cell(&one.size, 3),
        ]
    };
    table(
        "Total effects on the logit with 95 % intervals",
        &["group", "role", "sides of", "from side 0 to side 1", "as moved", "size"],
        outcome.total_effects.iter().map(row).collect(),
    )
}

fn robustness(outcome: &Outcome) -> Section {
    let found = &outcome.robustness;
    let what = match &found.group {
        Some(group) => format!("the columns of `{group}`"),
        None => "all columns".into(),
    };
    let spared: Vec<String> = found.not_attacked.iter().map(|column| format!("`{column}`")).collect();
    let attacks = match spared.is_empty() {
        true => "Attacks moved every disturbed column.".into(),
        false => format!(
            "Attacks did not move {}: these are integer-coded, and a small step from a code means nothing.",
            spared.join(", ")
        ),
    };
    let slopes: Vec<&Estimate> = found.degradations.iter().map(|one| &one.slope).collect();
    let names = found.degradations.iter().map(|one| one.disturbance.name().to_string());
    Section {
        title: "Robustness".into(),
        text: vec![
            format!(
                "On rows of `{}`, {what} are disturbed. The level is the standard deviation of Gaussian noise, the share of dropped features, and the \
                 largest step of an attack, in standard deviations of a feature: levels of different disturbances are different things.",
                found.environment
            ),
            attacks,
        ],
        blocks: vec![
            figure(
                "robustness",
                "ROC AUC under disturbance",
                "The steeper a line falls, the less the model withstands; at the dotted line it knows no more than a coin.",
                ["level", "ROC AUC", ""],
                found.degradations.iter().map(|one| curve(outcome, one)).collect(),
                vec![0.5],
            ),
            figure(
                "degradation-slopes",
                "AUC lost a unit of the level",
                "Each bar is the slope of a straight line through 1 - AUC over the levels; higher is less robust.",
                ["disturbance", "slope", ""],
                vec![with_interval(
                    "slope",
                    Mark::Bar,
                    Values::Names(names.collect()),
                    &slopes,
                )],
                vec![0.0],
            ),
            level_table(outcome),
        ],
    }
}

/// AUC by level, the undisturbed rows at level 0.
fn levels<'a>(outcome: &'a Outcome, one: &'a Degradation) -> Vec<(f64, &'a Estimate)> {
    let disturbed = one.levels.iter().copied().zip(&one.auc);
    let mut all: Vec<(f64, &Estimate)> = std::iter::once((0.0, &outcome.robustness.undisturbed))
        .chain(disturbed)
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all
}

fn curve(outcome: &Outcome, one: &Degradation) -> Series {
    let (levels, aucs): (Vec<f64>, Vec<&Estimate>) = levels(outcome, one).into_iter().unzip();
    with_interval(one.disturbance.name(), Mark::Line, Values::Numbers(levels), &aucs)
}

fn level_table(outcome: &Outcome) -> Block {
    let rows = outcome.robustness.degradations.iter().flat_map(|one| {
        levels(outcome, one).into_iter().map(move |(level, auc)| {
            vec![
                one.disturbance.name().into(),
                number(Some(level), 3),
                cell(auc, 3),
                cell(&one.slope, 3),
            ]
        })
    });
    table(
        "AUC at every level with 95 % intervals; the slope is of the whole curve",
        &["disturbance", "level", "ROC AUC", "AUC lost a unit"],
        rows.collect(),
    )
}

fn interactions(outcome: &Outcome) -> Section {
    let found = &outcome.interactions;
    let size = |pair: &Interaction| pair.root_mean_square.value.unwrap_or(f64::NEG_INFINITY);
    let mut pairs: Vec<&Interaction> = found.pairs.iter().collect();
    pairs.sort_by(|a, b| size(b).total_cmp(&size(a)));
    let blocks = match pairs.is_empty() {
        true => Vec::new(),
        false => vec![pair_map(outcome), pair_figure(&pairs), pair_table(&pairs)],
    };
    Section {
        title: "Interactions".into(),
        text: vec![
            format!(
                "{} pairs of groups on {} rows of `{}`, {} draws of every replacement. D is the logit, minus that without the one group, minus that \
                 without the other, plus that without both; of an additive model it is 0.",
                pairs.len(),
                found.rows,
                found.environment,
                found.draws
            ),
            "The mean of D says whether the model uses that two groups go together in the data, the root mean square (RMS) whether it combines them at \
             all, in whatever direction."
                .into(),
            format!(
                "p is of a sign-flip test of the mean, q corrected over all pairs; Friedman's H² is the share of the two groups' joint partial dependence that \
                 is not the sum of the single ones, over a background of {} rows.",
                found.background
            ),
        ],
        blocks,
    }
}

fn pair_map(outcome: &Outcome) -> Block {
    let names: Vec<String> = outcome.data.groups.iter().map(|group| group.name.clone()).collect();
    let at = |row: &String, column: &String| {
        let mut pairs = outcome.interactions.pairs.iter();
        let pair = pairs.find(|pair| row != column && pair.groups.contains(row) && pair.groups.contains(column));
        pair.map(|pair| &pair.root_mean_square)
    };
    let value = |row: &String, column: &String| at(row, column)?.value;
    let says = |row: &String, column: &String| {
        at(row, column).map_or_else(|| "undefined (no pair)".to_string(), |size| size.show(3))
    };
    let values = |row: &String| -> Vec<Option<f64>> { names.iter().map(|column| value(row, column)).collect() };
    let text = |row: &String| -> Vec<String> { names.iter().map(|column| says(row, column)).collect() };
    let map = Heatmap {
        values: names.iter().map(values).collect(),
        text: Some(names.iter().map(text).collect()),
        x: names.clone(),
        y: names.clone(),
        unit: "RMS of D".into(),
        ..Heatmap::default()
    };
    heatmap(
        "interactions",
        "Size of every pair's interaction",
        "Each cell says how far the logit is from a sum over its two groups; both halves hold the same numbers.",
        ["group", "group"],
        map,
    )
}

fn pair_figure(pairs: &[&Interaction]) -> Block {
    let top = &pairs[..pairs.len().min(PAIRS)];
    let names = Values::Names(top.iter().map(|pair| pair.groups.join(" × ")).collect());
    let means: Vec<&Estimate> = top.iter().map(|pair| &pair.mean).collect();
    let sizes: Vec<&Estimate> = top.iter().map(|pair| &pair.root_mean_square).collect();
    figure(
        "top-interactions",
        "The pairs of groups with the largest interactions",
        "A mean whose whisker crosses 0 beside a tall RMS is a pair that the model combines, but in both directions.",
        ["pair", "D on the logit", ""],
        vec![
            with_interval("mean", Mark::Bar, names.clone(), &means),
            with_interval("RMS", Mark::Bar, names, &sizes),
        ],
        vec![0.0],
    )
}

fn pair_table(pairs: &[&Interaction]) -> Block {
    let rows = pairs.iter().map(|pair| {
        let [first, second] = &pair.groups;
        vec![
            first.clone().into(),
            second.clone().into(),
            cell(&pair.mean, 3),
            number(pair.mean.p, 3),
            number(pair.mean.q, 3),
            cell(&pair.root_mean_square, 3),
            cell(&pair.h_squared, 3),
        ]
    });
    table(
        "Every pair with 95 % intervals, the largest RMS first",
        &["group", "and", "mean", "p", "q", "RMS", "H²"],
        rows.collect(),
    )
}

fn interventions(outcome: &Outcome) -> Section {
    let rows = outcome.interventions.iter().map(|one| {
        vec![
            one.intervention.clone().into(),
            one.environment.clone().into(),
            cell(&one.change, 3),
            cell(&one.root_mean_square, 3),
            cell(&one.accuracy_drop, 3),
        ]
    });
    Section {
        title: "Interventions".into(),
        text: vec![
            "What the settings asked for: each place is set to 0 or to its mean, everything else runs on. The mean change says in which direction the \
             logit moves, the root mean square how far, whatever the direction."
                .into(),
        ],
        blocks: vec![table(
            "Every intervention in every environment with 95 % intervals",
            &["intervention", "environment", "mean change of the logit", "root mean square change", "accuracy lost"],
            rows.collect(),
        )],
    }
}
