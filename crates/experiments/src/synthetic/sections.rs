//! The sections of the report, each a figure or a table with a line on how to read it.

use disentangle_analysis::{Estimate, importance::Importance};
use disentangle_report::{Cell, Mark, Section, Series, Values};

use super::{outcome::Outcome, site_sections};
use crate::present::{cell, figure, number, table, with_interval};

pub(super) fn all(outcome: &Outcome) -> Vec<Section> {
    vec![
        performance(outcome),
        importance(outcome),
        site_sections::sites(outcome),
        site_sections::overlap(outcome),
        site_sections::neurons(outcome),
        site_sections::autoencoder(outcome),
        representation(outcome),
        outcome.training.section(&outcome.model),
        data(outcome),
    ]
}

fn performance(outcome: &Outcome) -> Section {
    let rows = outcome.performance.iter().map(|one| {
        let mut cells: Vec<Cell> = vec![
            one.part.clone().into(),
            one.environment.clone().unwrap_or_else(|| "all".into()).into(),
            cell(&one.auc, 3),
            cell(&one.accuracy, 3),
            cell(&one.log_loss, 3),
        ];
        cells.push(one.worst_group.as_ref().map_or("–".into(), |worst| cell(worst, 3)));
        cells.push(number(Some(one.accuracy.n as f64), 0));
        cells
    });
    let columns = [
        "part",
        "environment",
        "ROC AUC",
        "accuracy",
        "log loss",
        "worst-group accuracy",
        "rows",
    ];
    let test: Vec<_> = outcome
        .performance
        .iter()
        .filter(|p| p.part == "test" && p.environment.is_some())
        .collect();
    let test = if test.is_empty() {
        outcome.performance.iter().filter(|p| p.part == "test").collect()
    } else {
        test
    };
    let names = || {
        Values::Names(
            test.iter()
                .map(|p| p.environment.clone().unwrap_or_else(|| "all".into()))
                .collect(),
        )
    };
    let mut series = vec![
        with_interval(
            "ROC AUC",
            Mark::Bar,
            names(),
            &test.iter().map(|p| &p.auc).collect::<Vec<_>>(),
        ),
        with_interval(
            "accuracy",
            Mark::Bar,
            names(),
            &test.iter().map(|p| &p.accuracy).collect::<Vec<_>>(),
        ),
    ];
    let worst: Vec<&Estimate> = test.iter().filter_map(|p| p.worst_group.as_ref()).collect();
    if worst.len() == test.len() {
        series.push(with_interval("worst-group accuracy", Mark::Bar, names(), &worst));
    }
    Section {
        title: "Does it predict, and where?".into(),
        text: vec![
            "Rows that training did not see. In the environments named by a rate the shortcut agrees with the label at that rate, as in training; in `independent` it \
             says nothing, in `reversed` it misleads. Groups are (label, shortcut); intervals resample rows."
                .into(),
        ],
        blocks: vec![
            figure(
                "performance",
                "Test rows by environment",
                "Bars of equal height mean that the model does not care about the shortcut; a fall from left to right is what the shortcut was worth.",
                ["environment", "value", ""],
                series,
                vec![0.5],
            ),
            table("Values with 95 % intervals", &columns, rows.collect()),
        ],
    }
}

fn importance(outcome: &Outcome) -> Section {
    let role = |name: &str| {
        let group = outcome.data.groups.iter().find(|group| group.name == name);
        group.map_or_else(String::new, |group| format!("{:?}", group.role).to_lowercase())
    };
    let rows = outcome.importance.iter().map(|one| {
        let i = &one.importance;
        vec![
            one.environment.clone().into(),
            i.group.clone().into(),
            role(&i.group).into(),
            cell(&i.auc_drop, 3),
            number(i.auc_drop.p, 3),
            cell(&i.accuracy_drop, 3),
            cell(&i.auc_only, 3),
            cell(&i.probability_shift, 4),
        ]
    });
    let columns = [
        "environment",
        "group",
        "role",
        "AUC lost without",
        "p",
        "accuracy lost without",
        "AUC with only",
        "squared shift of p",
    ];
    let mut environments: Vec<&str> = outcome.importance.iter().map(|one| one.environment.as_str()).collect();
    environments.dedup();
    let series = |of: fn(&Importance) -> &Estimate| -> Vec<Series> {
        let each = environments.iter().map(|environment| {
            let own: Vec<_> = outcome
                .importance
                .iter()
                .filter(|one| one.environment == *environment)
                .collect();
            let groups = Values::Names(own.iter().map(|one| one.importance.group.clone()).collect());
            let estimates: Vec<_> = own.iter().map(|one| of(&one.importance)).collect();
            with_interval(environment, Mark::Bar, groups, &estimates)
        });
        each.collect()
    };
    Section {
        title: "What does it lean on?".into(),
        text: vec![
            "A group is removed by giving each row the group's columns of another row of the same environment, at random. The squared shift says how far that moves \
             the probability, whether it helps or not (the notebook's importance). p is the share of permutations that reach the AUC without permutation, without \
             correction for the number of groups and environments."
                .into(),
        ],
        blocks: vec![
            figure(
                "importance",
                "ROC AUC lost without a group",
                "Above 0 the model predicts worse without the group; below 0 it would do better without it, as with a shortcut that is reversed.",
                ["group", "loss of ROC AUC", ""],
                series(|i| &i.auc_drop),
                vec![0.0],
            ),
            table("Importance by group with 95 % intervals", &columns, rows.collect()),
        ],
    }
}

fn representation(outcome: &Outcome) -> Section {
    let pooled = &outcome.representation;
    let of = |name: &str, keep: &dyn Fn(usize) -> bool| {
        let points: Vec<&[f64; 3]> = pooled
            .points
            .iter()
            .enumerate()
            .filter(|(row, _)| keep(*row))
            .map(|(_, p)| p)
            .collect();
        let axis = |a: usize| points.iter().map(|p| p[a]).collect::<Vec<f64>>();
        Series {
            z: Some(axis(2)),
            ..Series::new(name, Mark::Points, Values::Numbers(axis(0)), axis(1))
        }
    };
    let share = |k: usize| 100.0 * pooled.share.get(k).copied().unwrap_or(0.0);
    let axes = [0, 1, 2].map(|k| format!("PC {} ({:.0} %)", k + 1, share(k)));
    let axes = [axes[0].as_str(), axes[1].as_str(), axes[2].as_str()];
    let mut blocks = vec![figure(
        "representation",
        &format!("Representation at {}, by label", pooled.site),
        "Drag to turn; if the colours separate, this site tells the classes apart, and if they mix, its first three components do not.",
        axes,
        vec![
            of("label 0", &|row| pooled.labels[row] == 0),
            of("label 1", &|row| pooled.labels[row] == 1),
        ],
        vec![],
    )];
    if let Some(shortcuts) = &pooled.shortcuts {
        blocks.push(figure(
            "representation-shortcut",
            &format!("Representation at {}, by shortcut", pooled.site),
            "The same points; if these colours separate better than those above, the representation is about the shortcut rather than the label.",
            axes,
            vec![
                of("shortcut 0", &|row| shortcuts[row] == 0),
                of("shortcut 1", &|row| shortcuts[row] == 1),
            ],
            vec![],
        ));
    }
    Section {
        title: "Representation".into(),
        text: vec![format!(
            "Principal components of site `{}` on {}; shares are of the variance over all components.",
            pooled.site, outcome.data.studied
        )],
        blocks,
    }
}

fn data(outcome: &Outcome) -> Section {
    let parts = outcome.data.parts.iter().map(|part| {
        vec![
            part.part.clone().into(),
            part.environment.clone().into(),
            number(Some(part.rows as f64), 0),
            number(Some(part.positive), 3),
            number(part.agreement, 3),
        ]
    });
    let groups = outcome.data.groups.iter().map(|group| {
        vec![
            group.name.clone().into(),
            format!("{:?}", group.role).to_lowercase().into(),
            number(Some(group.columns.len() as f64), 0),
        ]
    });
    Section {
        title: "Data".into(),
        text: vec![
            "Every column is standard normal. The label says whether the sum of squares of all genuine columns lies above the median of its distribution; \
             the shortcut says the same of the bias group alone."
                .into(),
        ],
        blocks: vec![
            table(
                "Parts",
                &["part", "environment", "rows", "share of label 1", "shortcut agrees with label"],
                parts.collect(),
            ),
            table("Feature groups", &["group", "role (known)", "columns"], groups.collect()),
        ],
    }
}
