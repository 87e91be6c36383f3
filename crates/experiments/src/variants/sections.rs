//! The sections of the report, each a figure or a table with a line on how to read it.

use disentangle_analysis::Estimate;
use disentangle_report::{Block, Cell, Heatmap, Mark, Section, Series, Values};

use super::{
    measure::VALUES,
    outcome::{Compared, FamilyOutcome, Outcome},
    part_sections::parts,
};
use crate::present::{cell, figure, heatmap, number, plain_figure, short, table, with_interval};

pub(super) fn all(outcome: &Outcome) -> Vec<Section> {
    vec![
        ranking(outcome),
        by_environment(outcome),
        representation(outcome),
        attribution(outcome),
        robustness(outcome),
        parts(outcome),
        families(outcome),
    ]
}

fn names(outcome: &Outcome) -> Values {
    Values::Names(outcome.ranked().iter().map(|one| one.name.clone()).collect())
}

/// Bars of one number by family, from best to worst.
pub(super) fn bars(outcome: &Outcome, name: &str, of: &dyn Fn(&FamilyOutcome) -> Option<&Compared>) -> Series {
    let absent = Estimate::default();
    let ranked = outcome.ranked();
    let values: Vec<&Estimate> = ranked
        .iter()
        .map(|one| of(one).map_or(&absent, |compared| &compared.value))
        .collect();
    with_interval(name, Mark::Bar, names(outcome), &values)
}

/// A number and its difference from the first family.
fn pair(compared: Option<&Compared>, digits: usize) -> [Cell; 2] {
    match compared {
        None => [number(None, digits), number(None, digits)],
        Some(compared) => [dash_or(&compared.value, digits), dash_or(&compared.over_first, digits)],
    }
}

/// A reason would make a column of a wide table wider than its numbers do.
fn dash_or(estimate: &Estimate, digits: usize) -> Cell {
    match estimate.value {
        Some(_) => cell(estimate, digits),
        None => number(None, digits),
    }
}

fn ranking(outcome: &Outcome) -> Section {
    let first = format!("over {}", outcome.first());
    let by = outcome.ranking.by.clone();
    let rows = outcome.ranked().into_iter().enumerate().map(|(rank, one)| {
        let mut cells: Vec<Cell> = vec![number(Some(rank as f64 + 1.0), 0), one.name.clone().into()];
        cells.extend(pair(outcome.ranking.of(one), 3));
        let main = one.environments.first();
        cells.extend(pair(main.map(|scores| &scores[0]), 3));
        cells.extend(pair(main.map(|scores| &scores[1]), 3));
        cells.push(number(Some(one.parameters as f64), 0));
        cells
    });
    let columns = [
        "rank",
        "family",
        &by,
        &first,
        "accuracy",
        &first,
        "ROC AUC",
        &first,
        "parameters",
    ];
    Section {
        title: "Ranking".into(),
        text: vec![format!(
            "Ranked by {by}. Means over {} trainings with Student's t intervals; differences are paired, as every family sees the same rows in each \
             training, and are not corrected for the number of families. Seconds stand in times.json.",
            outcome.repeats
        )],
        blocks: vec![
            size_figure(outcome),
            table("Families from best to worst", &columns, rows.collect()),
        ],
    }
}

/// What a family is ranked by over its size.
fn size_figure(outcome: &Outcome) -> Block {
    let absent = Estimate::default();
    let series = outcome.ranked().into_iter().map(|one| {
        let value = outcome.ranking.of(one).map_or(&absent, |compared| &compared.value);
        let size = Values::Numbers(vec![one.parameters as f64]);
        with_interval(&one.name, Mark::Points, size, &[value])
    });
    let mut figure = plain_figure(
        "size",
        "What a family achieves over its number of parameters",
        "A point further up does better; one further left does it with fewer parameters.",
        ["parameters", &outcome.ranking.by, ""],
        series.collect(),
        vec![],
    );
    figure.log = [true, false];
    Block::Figure(figure)
}

fn by_environment(outcome: &Outcome) -> Section {
    let series = outcome.environments.iter().enumerate().map(|(place, environment)| {
        bars(outcome, environment, &move |one: &FamilyOutcome| {
            one.environments.get(place).map(|scores| &scores[0])
        })
    });
    let first = format!("over {}", outcome.first());
    let columns = [
        "family",
        "environment",
        "accuracy",
        &first,
        "ROC AUC",
        &first,
        "worst group",
        &first,
    ];
    let rows = outcome.ranked().into_iter().flat_map(|one| {
        outcome
            .environments
            .iter()
            .zip(&one.environments)
            .map(move |(environment, scores)| {
                let mut cells: Vec<Cell> = vec![one.name.clone().into(), environment.clone().into()];
                cells.extend(scores.iter().flat_map(|score| pair(Some(score), 3)));
                cells
            })
    });
    Section {
        title: "Every environment".into(),
        text: vec!["The worst group is the (label, shortcut) group with the least accuracy, where the shortcut's value is known.".into()],
        blocks: vec![
            figure(
                "accuracy",
                "Accuracy by family and environment",
                "Bars of a family at one height do not depend on whether the shortcut holds; at the dotted line a coin is as good.",
                ["family", "accuracy", ""],
                series.collect(),
                vec![0.5],
            ),
            table("Means over trainings with 95 % intervals", &columns, rows.collect()),
        ],
    }
}

fn representation(outcome: &Outcome) -> Section {
    let rows = outcome.ranked().into_iter().flat_map(|one| {
        one.sites.iter().map(move |site| {
            vec![
                one.name.clone().into(),
                site.site.clone().into(),
                number(Some(site.neurons as f64), 0),
                cell(&site.effective_rank, 1),
                cell(&site.condition_log10, 2),
                number(site.dropped.value, 1),
                cell(&site.sparsity, 4),
            ]
        })
    });
    let columns = [
        "family",
        "site",
        "neurons",
        "effective rank",
        "log10 of the condition number",
        "dropped directions",
        "sparsity",
    ];
    Section {
        title: "Representation".into(),
        text: vec![
            "The embedding, what every layer leaves, and the pool, all positions of the main rows, centred. The effective rank is exp of the entropy \
             of the shares of the singular values; the bars are its mean over these sites, divided by their neurons. The condition number is the \
             largest over the smallest singular value; directions that the rounding of single precision explains are dropped and counted. Sparsity \
             is the share of activations within a hundredth of the site's root mean square of 0."
                .into(),
        ],
        blocks: vec![
            figure(
                "representation",
                "How many of their directions families use",
                "A lower bar is a family that compresses its rows into fewer directions.",
                ["family", "effective rank over neurons", ""],
                vec![bars(outcome, "directions used", &|one| one.value("directions_used"))],
                vec![],
            ),
            values_table(
                outcome,
                "Means over main sites",
                &["directions_used", "condition_number_log10", "sparsity"],
                3,
            ),
            table("Every main site, means over trainings with 95 % intervals", &columns, rows.collect()),
        ],
    }
}

/// Values and their differences from the first family.
pub(super) fn values_table(outcome: &Outcome, caption: &str, values: &[&str], digits: usize) -> Block {
    let first = format!("over {}", outcome.first());
    let title = |name: &str| {
        VALUES
            .iter()
            .find(|value| value.name == name)
            .map_or("", |value| value.title)
    };
    let mut columns = vec!["family"];
    for name in values {
        columns.extend([title(name), first.as_str()]);
    }
    let rows = outcome.ranked().into_iter().map(|one| {
        let mut cells: Vec<Cell> = vec![one.name.clone().into()];
        cells.extend(values.iter().flat_map(|name| pair(one.value(name), digits)));
        cells
    });
    table(caption, &columns, rows.collect())
}

fn attribution(outcome: &Outcome) -> Section {
    let ranked = outcome.ranked();
    let shares = |one: &&FamilyOutcome| one.attribution.iter().map(|share| share.value.value).collect();
    let said = |one: &&FamilyOutcome| one.attribution.iter().map(|share| short(&share.value, 2)).collect();
    let map = Heatmap {
        x: outcome.groups.clone(),
        y: ranked.iter().map(|one| one.name.clone()).collect(),
        values: ranked.iter().map(shares).collect(),
        text: Some(ranked.iter().map(said).collect()),
        unit: "share of the attributions".into(),
        ..Heatmap::default()
    };
    let gaps = ranked.iter().map(|one| {
        let variation = one.value("attribution_variation");
        let mut cells: Vec<Cell> = vec![one.name.clone().into(), cell(&one.completeness_gap, 4)];
        cells.extend(pair(variation, 3));
        cells
    });
    let first = format!("over {}", outcome.first());
    let columns = ["family", "completeness gap", "variation over columns", &first];
    Section {
        title: "Attribution".into(),
        text: vec![format!(
            "Integrated gradients of the logit from the training mean, {} nodes. Contributions of a group's columns are added up before their size is \
             taken; a group's share is its mean size over that of all groups. The completeness gap is what attributions miss of the change of the \
             logit. The variation is the standard deviation over columns of the mean size, over its mean: 0 where all columns count alike.",
            outcome.steps
        )],
        blocks: vec![
            heatmap(
                "attribution",
                "What families attribute their output to",
                "Read along a row: a darker cell is a group that moves this family's output more.",
                ["feature group", "family"],
                map,
            ),
            table(
                "Completeness and variation, means over trainings",
                &columns,
                gaps.collect(),
            ),
        ],
    }
}

fn robustness(outcome: &Outcome) -> Section {
    let levels: Vec<String> = outcome.noise_levels.iter().map(ToString::to_string).collect();
    let mut series = vec![
        bars(outcome, "noise", &|one| one.value("noise_sensitivity")),
        bars(outcome, "a column removed", &|one| one.value("feature_sensitivity")),
    ];
    let mut values = vec!["noise_sensitivity", "feature_sensitivity"];
    if outcome.shortcut.is_some() {
        series.push(bars(outcome, "AUC lost without the shortcut", &|one| {
            one.value("shortcut_auc_drop")
        }));
        values.extend(["shortcut_auc_drop", "shortcut_attribution"]);
    }
    let mut text = vec![format!(
        "Noise sensitivity is the mean |change of the probability| under normal noise of standard deviation {} on all standardised columns; feature \
         sensitivity is that of setting one column to its training mean, a mean over columns.",
        levels.join(", ")
    )];
    text.extend(outcome.shortcut.as_ref().map(|group| {
        format!("The AUC lost without the shortcut is that of permuting the columns of `{group}` on the main rows.")
    }));
    Section {
        title: "Robustness".into(),
        text,
        blocks: vec![
            figure(
                "robustness",
                "Sensitivity to noise, to the loss of a column and to the shortcut",
                "Lower bars are more robust; compare one colour across families, as different colours are different things.",
                ["family", "mean |change of the probability|, AUC", ""],
                series,
                vec![],
            ),
            values_table(outcome, "Means over trainings with 95 % intervals", &values, 4),
        ],
    }
}

fn families(outcome: &Outcome) -> Section {
    let rows = outcome.families.iter().map(|one| {
        let epochs = one
            .value("epochs")
            .map_or_else(|| number(None, 1), |epochs| cell(&epochs.value, 1));
        vec![
            one.name.clone().into(),
            one.shown.clone().into(),
            one.sizes.clone().into(),
            number(Some(one.parameters as f64), 0),
            epochs,
        ]
    });
    Section {
        title: "The families".into(),
        text: vec![
            "All are trained alike: the same rows, seeds, step size and early stopping on validation rows. Families of one position see a window's \
             positions side by side; families of many see a single row as one position a feature group."
                .into(),
        ],
        blocks: vec![table(
            "Sizes, and how rows are shown",
            &["family", "rows are shown", "sizes", "parameters", "epochs"],
            rows.collect(),
        )],
    }
}
