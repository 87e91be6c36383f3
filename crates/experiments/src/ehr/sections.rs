//! The sections of the report, each a figure or a table with a line on how to read it.

use disentangle_analysis::Estimate;
use disentangle_report::{Block, Cell, Heatmap, Mark, Section, Series, Values};

use super::{
    accuse::LEAST_USE,
    outcome::{Accusation, Outcome, Performance, SiteAttention, Standing},
    subgroup_sections,
    verdicts::SUSPICIOUS,
};
use crate::{
    causal,
    detect::{evidence_table, reasons},
    mitigate,
    present::{cell, figure, heatmap, number, table, with_interval},
};

/// Single columns that are shown, at most.
const COLUMNS: usize = 10;

pub(super) fn all(outcome: &Outcome) -> Vec<Section> {
    let mut all = vec![
        leakage(outcome),
        performance(outcome),
        groups(outcome),
        subgroup_sections::subgroups(outcome),
        subgroup_sections::associations(outcome),
        attention(outcome),
    ];
    all.extend(gradients(outcome));
    all.push(subgroup_sections::stability(outcome));
    all.push(detection(outcome));
    all.extend(outcome.mitigation.iter().flat_map(mitigate::sections_of));
    all.extend(causal::sections_of(&outcome.causal));
    all
}

fn detection(outcome: &Outcome) -> Section {
    let mut text = vec![format!(
        "{} training and validation rows, one of each subject, no test environment. Instability is the greatest difference of a group's AUC between environments, each by a probe that was fitted on all the others; its null permutes \
         environments among rows of the same label. A group that tells the label alike everywhere passes as genuine, which a shortcut that never failed would too.",
        outcome.detection.rows
    )];
    text.extend(
        outcome
            .no_mitigation
            .iter()
            .map(|why| format!("Strategies were not compared: {why}.")),
    );
    Section {
        title: "Detectors, before any model".into(),
        text,
        blocks: vec![evidence_table(&outcome.detection, false), reasons(&outcome.detection)],
    }
}

/// Names without repetition, in the order in which they come first.
pub(super) fn in_order<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut all = Vec::new();
    for name in names {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

pub(super) fn named(names: &[&str]) -> Values {
    Values::Names(names.iter().map(ToString::to_string).collect())
}

/// A series with a gap where there is no estimate.
pub(super) fn with_gaps(name: &str, mark: Mark, x: &Values, estimates: &[Option<&Estimate>]) -> Series {
    let absent = Estimate::default();
    let estimates: Vec<&Estimate> = estimates.iter().map(|one| one.unwrap_or(&absent)).collect();
    with_interval(name, mark, x.clone(), &estimates)
}

/// A figure of series, unless none of its values is defined.
pub(super) fn unless_empty(block: Block) -> Option<Block> {
    let empty = match &block {
        Block::Figure(figure) => figure.series.iter().all(|series| series.y.iter().all(Option::is_none)),
        Block::Table(table) => table.rows.is_empty(),
    };
    (!empty).then_some(block)
}

/// A number with its interval, or a dash where it does not apply.
pub(super) fn optional(estimate: Option<&Estimate>, digits: usize) -> Cell {
    estimate.map_or_else(|| number(None, digits), |estimate| cell(estimate, digits))
}

fn leakage(outcome: &Outcome) -> Section {
    let checks = outcome.audit.iter();
    let checks = checks.map(|check| -> Vec<Cell> { vec![check.name.clone().into(), check.detail.clone().into()] });
    let best = outcome.single_columns.iter().take(COLUMNS).map(|one| {
        vec![
            one.column.clone().into(),
            one.group.clone().into(),
            number(Some(one.auc), 3),
        ]
    });
    let passed = match outcome.audit.len() {
        0 => "No check of the leakage audit applies to these rows.".to_string(),
        count => {
            format!("{count} check(s) were made before training, and passed: a failure would have stopped the run.")
        }
    };
    let tables = [
        table("What was checked", &["check", "found"], checks.collect()),
        table(
            "The best single columns on training rows",
            &["column", "group", "ROC AUC alone"],
            best.collect(),
        ),
    ];
    Section {
        title: "Leakage audit".into(),
        text: vec![
            passed,
            format!(
                "An AUC near 1 of one column is suspicious, and from {SUSPICIOUS} a verdict says so: such a column is often written down after the outcome, \
                 or because of it. The AUC is of the column's value at the end of the window, in whichever direction it predicts, so that 0.5 is the least."
            ),
        ],
        blocks: tables.into_iter().filter_map(unless_empty).collect(),
    }
}

fn performance(outcome: &Outcome) -> Section {
    let family = &outcome.causal.model.family;
    let mut blocks: Vec<Block> = unless_empty(performance_figure(outcome)).into_iter().collect();
    blocks.push(performance_table(&outcome.performance));
    Section {
        title: "Performance".into(),
        text: vec![
            "Every row of every subject is scored, of which training saw none; rows of one subject depend on each other, so that intervals resample \
             subjects."
                .into(),
            format!(
                "The baselines see the same rows as `{family}`. A difference is the AUC of `{family}` minus that of the baseline on the same resampled \
                 subjects: if its interval holds 0, the network is not clearly better than the simpler model."
            ),
        ],
        blocks,
    }
}

fn performance_figure(outcome: &Outcome) -> Block {
    let all = &outcome.performance;
    let environments = in_order(all.iter().map(|one| one.environment.as_str()));
    let models = in_order(all.iter().map(|one| one.model.as_str()));
    let names = named(&environments);
    let at = |model: &str, environment: &str| {
        let mut all = all.iter();
        let found = all.find(|one| one.model == model && one.environment == environment);
        found.map(|one| &one.auc)
    };
    let series = models.iter().map(|&model| {
        let aucs: Vec<Option<&Estimate>> = environments.iter().map(|&one| at(model, one)).collect();
        with_gaps(model, Mark::Bar, &names, &aucs)
    });
    figure(
        "ehr-performance",
        "ROC AUC by environment",
        "Bars of one colour that differ between environments are a model that does not carry over; at the dotted line it knows no more than a coin.",
        ["environment", "ROC AUC", ""],
        series.collect(),
        vec![0.5],
    )
}

fn performance_table(all: &[Performance]) -> Block {
    let rows = all.iter().map(|one| {
        vec![
            one.environment.clone().into(),
            one.model.clone().into(),
            number(Some(one.rows as f64), 0),
            number(Some(one.cases as f64), 0),
            cell(&one.auc, 3),
            cell(&one.accuracy, 3),
            cell(&one.log_loss, 3),
            cell(&one.calibration_error, 3),
            optional(one.trained_over_this.as_ref(), 3),
        ]
    });
    let columns = [
        "environment",
        "model",
        "rows",
        "subjects",
        "ROC AUC",
        "accuracy",
        "log loss",
        "calibration error",
        "AUC of the trained model over this",
    ];
    table("Every model with 95 % intervals", &columns, rows.collect())
}

fn groups(outcome: &Outcome) -> Section {
    let all = &outcome.accusations;
    let outside = all.iter().find_map(|one| one.outside.as_ref());
    let compared = match outside {
        Some((environment, _)) => {
            format!("Outside is `{environment}`, the first environment that training did not see.")
        }
        None => {
            "There is no further environment that training did not see, so that there is no outside and no group can be accused.".into()
        }
    };
    let blocks = [groups_figure(all), groups_table(outcome)];
    Section {
        title: "Groups inside and outside".into(),
        text: vec![
            format!(
                "A group is used if more than {LEAST_USE} of AUC is lost when each row gets the group's columns of another row. Inside is `{}`; a group that \
                 is clearly used there, and clearly less, at most half as much, outside, stands for something that holds only where the model was \
                 trained: a shortcut.",
                outcome.main()
            ),
            "One random row of each subject; q is of the permutation test of the AUC lost, corrected over all groups and environments.".into(),
            compared,
        ],
        blocks: blocks.into_iter().filter_map(unless_empty).collect(),
    }
}

fn groups_figure(all: &[Accusation]) -> Block {
    let names = Values::Names(all.iter().map(|one| one.group.clone()).collect());
    let inside: Vec<&Estimate> = all.iter().map(|one| &one.inside).collect();
    let outside: Vec<Option<&Estimate>> = all
        .iter()
        .map(|one| one.outside.as_ref().map(|(_, lost)| lost))
        .collect();
    let mut series = vec![with_interval("inside", Mark::Bar, names.clone(), &inside)];
    if outside.iter().any(Option::is_some) {
        series.push(with_gaps("outside", Mark::Bar, &names, &outside));
    }
    figure(
        "ehr-groups",
        "AUC lost without a group, inside and outside",
        "A tall bar inside beside a short one outside is a shortcut; below 0 the model would do better without the group.",
        ["group", "loss of ROC AUC", ""],
        series,
        vec![0.0],
    )
}

fn groups_table(outcome: &Outcome) -> Block {
    let rows = outcome.accusations.iter().map(|one| {
        let outside = one.outside.as_ref();
        let lost = outside.map(|(_, lost)| lost);
        let environment = outside.map_or("–", |(environment, _)| environment.as_str());
        vec![
            one.group.clone().into(),
            role(outcome, &one.group).into(),
            cell(&one.inside, 3),
            number(one.inside.q, 3),
            environment.into(),
            optional(lost, 3),
            number(lost.and_then(|lost| lost.q), 3),
            words(one.standing).into(),
        ]
    });
    let columns = [
        "group",
        "role",
        "AUC lost inside",
        "q",
        "outside",
        "AUC lost outside",
        "q",
        "standing",
    ];
    table(
        "Use of every group with 95 % intervals over subjects",
        &columns,
        rows.collect(),
    )
}

/// What is known of a group.
fn role(outcome: &Outcome, name: &str) -> String {
    let group = outcome.causal.data.groups.iter().find(|group| group.name == name);
    group.map_or_else(String::new, |group| format!("{:?}", group.role).to_lowercase())
}

fn words(standing: Standing) -> &'static str {
    match standing {
        Standing::Shortcut => "shortcut: used inside, clearly less outside",
        Standing::Holds => "holds: used inside and outside",
        Standing::Unused => "not clearly used",
        Standing::Undecided => "undecided: used, but whether that holds outside is not known",
    }
}

fn attention(outcome: &Outcome) -> Section {
    let title = "Attention".to_string();
    let sites = &outcome.attention;
    if sites.is_empty() {
        return Section {
            title,
            text: vec!["This model has no attention.".into()],
            ..Section::default()
        };
    }
    let mut blocks: Vec<Block> = unless_empty(attention_figure(sites)).into_iter().collect();
    blocks.extend(received_map(sites));
    blocks.push(attention_table(sites));
    Section {
        title,
        text: vec![format!(
            "Measured on rows of `{}`. Entropy is normalised: 1 is even attention, 0 is attention to one key. Bias says how unevenly the attention of \
             all positions of a row falls on the keys: 0 is even, 1 is one key for all of them. Low entropy with low bias is attention in which each \
             position looks elsewhere.",
            outcome.main()
        )],
        blocks,
    }
}

fn attention_figure(sites: &[SiteAttention]) -> Block {
    let names = Values::Names(sites.iter().map(|one| one.site.clone()).collect());
    let entropies: Vec<&Estimate> = sites.iter().map(|one| &one.entropy).collect();
    let biases: Vec<&Estimate> = sites.iter().map(|one| &one.bias).collect();
    figure(
        "ehr-attention",
        "Entropy and bias of attention by site",
        "A tall bar of entropy is attention that hardly chooses; a tall bar of bias is attention in which all positions look at the same few.",
        ["site", "value", ""],
        vec![
            with_interval("entropy", Mark::Bar, names.clone(), &entropies),
            with_interval("bias", Mark::Bar, names, &biases),
        ],
        vec![],
    )
}

/// Where attention goes, if there is a choice.
fn received_map(sites: &[SiteAttention]) -> Option<Block> {
    let positions = sites.iter().map(|one| one.received.len()).max()?;
    if positions < 2 {
        return None;
    }
    let weights = |one: &SiteAttention| -> Vec<Option<f64>> {
        let each = (0..positions).map(|position| one.received.get(position).copied());
        each.collect()
    };
    Some(heatmap(
        "ehr-attention-positions",
        "Attention that each position receives",
        "Each row adds up to 1; a column that is dark in every row is a position to which every attention looks.",
        ["position, from 0", "site"],
        Heatmap {
            x: (0..positions).map(|position| position.to_string()).collect(),
            y: sites.iter().map(|one| one.site.clone()).collect(),
            values: sites.iter().map(weights).collect(),
            unit: "share of attention".into(),
            ..Heatmap::default()
        },
    ))
}

fn attention_table(sites: &[SiteAttention]) -> Block {
    let rows = sites.iter().map(|one| {
        vec![
            one.site.clone().into(),
            number(Some(one.rows as f64), 0),
            cell(&one.entropy, 3),
            cell(&one.bias, 3),
        ]
    });
    table(
        "Attention of every site with 95 % intervals",
        &["site", "rows", "entropy", "bias"],
        rows.collect(),
    )
}

fn gradients(outcome: &Outcome) -> Option<Section> {
    let history = &outcome.causal.training.history;
    if outcome.gradient_parts.is_empty() || history.is_empty() {
        return None;
    }
    let epochs = Values::Numbers(history.iter().map(|epoch| epoch.epoch as f64).collect());
    let norms = |index: usize| -> Vec<Option<f64>> {
        let each = history.iter().map(|epoch| epoch.part_norms.get(index).copied());
        each.map(|norm| norm.filter(|norm| norm.is_finite())).collect()
    };
    let series = outcome.gradient_parts.iter().enumerate().map(|(index, part)| Series {
        y: norms(index),
        ..Series::new(part, Mark::Line, epochs.clone(), Vec::new())
    });
    let block = figure(
        "ehr-gradients",
        "Norm of the gradient of each part by epoch",
        "The line that lies higher is the part that training changes more; one that stays near 0 learns nothing.",
        ["epoch", "Euclidean norm", ""],
        series.collect(),
        vec![],
    );
    Some(Section {
        title: "Gradients of the two attentions".into(),
        text: vec![
            "The Euclidean norm of the gradient of each part's weights, mean over the steps of an epoch. Parts of different sizes have different norms \
             from the start, so that the courses can be compared rather than the heights."
                .into(),
        ],
        blocks: unless_empty(block).into_iter().collect(),
    })
}
