//! The sections about who is predicted how: subgroups, associations with attributes, periods of time.

use disentangle_analysis::{
    Estimate,
    subgroups::{FEW_CASES, Subgroup},
};
use disentangle_report::{Block, Cell, Mark, Section, Values};

use super::{
    outcome::{Association, AttributeGroups, Outcome, Period, Stability},
    sections::{in_order, named, optional, unless_empty, with_gaps},
};
use crate::present::{cell, figure, number, table, with_interval};

/// Attributes with a figure of their own, at most.
const ATTRIBUTES: usize = 6;
/// Environments in the figure of associations, at most.
const ENVIRONMENTS: usize = 3;

pub(super) fn subgroups(outcome: &Outcome) -> Section {
    let title = "Subgroups".to_string();
    let all = &outcome.attributes;
    let Some(first) = all.first() else {
        return Section {
            title,
            text: vec!["No attribute has subgroups that could be compared.".into()],
            ..Section::default()
        };
    };
    let main = all.iter().filter(|one| one.environment == outcome.main());
    let figures = main.take(ATTRIBUTES).enumerate();
    let mut blocks: Vec<Block> = figures.filter_map(|(index, one)| subgroup_figure(index, one)).collect();
    blocks.push(subgroup_table(all));
    blocks.push(gap_table(all));
    Section {
        title,
        text: vec![
            format!(
                "A row is predicted positive above the probability {:.3}, which was chosen on validation rows (Youden's J) and is the same for all. The true \
                 positive rate is the share of rows with label 1 that are, the false positive rate the share of rows with label 0.",
                first.threshold
            ),
            "A gap is the largest minus the smallest rate over subgroups that are large enough; the equalised odds difference is the larger of both gaps. \
             Its p permutes subgroups among cases of the same label, so that base rates that differ do not count as unequal treatment."
                .into(),
            format!("No conclusion should rest on a subgroup of fewer than {FEW_CASES} cases."),
        ],
        blocks,
    }
}

fn subgroup_figure(index: usize, one: &AttributeGroups) -> Option<Block> {
    let groups = &one.subgroups.groups;
    let names = Values::Names(
        groups
            .iter()
            .map(|group| on_axis(&one.attribute, &group.name))
            .collect(),
    );
    let series = |name: &str, of: fn(&Subgroup) -> &Estimate| {
        let estimates: Vec<&Estimate> = groups.iter().map(of).collect();
        with_interval(name, Mark::Bar, names.clone(), &estimates)
    };
    unless_empty(figure(
        &format!("ehr-subgroups-{index}-{}", file_name(&one.attribute)),
        &format!("Subgroups of {} in {}", one.attribute, one.environment),
        "Bars of one colour at one height are equal treatment by that measure; a mean probability apart from the base rate is a subgroup that is over- or underestimated.",
        ["subgroup", "value", ""],
        vec![
            series("ROC AUC", |group| &group.auc),
            series("true positive rate", |group| &group.true_positive_rate),
            series("false positive rate", |group| &group.false_positive_rate),
            series("base rate", |group| &group.base_rate),
            series("mean probability", |group| &group.mean_probability),
        ],
        vec![0.5],
    ))
}

/// A number alone would make an axis of numbers, on which other names have no place.
fn on_axis(attribute: &str, name: &str) -> String {
    match name.parse::<f64>() {
        Ok(_) => format!("{attribute}={name}"),
        Err(_) => name.into(),
    }
}

fn file_name(name: &str) -> String {
    let safe = |c: char| match c.is_ascii_alphanumeric() {
        true => c.to_ascii_lowercase(),
        false => '-',
    };
    name.chars().take(40).map(safe).collect()
}

fn subgroup_table(all: &[AttributeGroups]) -> Block {
    let rows = all.iter().flat_map(|one| {
        one.subgroups.groups.iter().map(move |group| {
            let note = match group.few {
                true => format!("fewer than {FEW_CASES} cases"),
                false => String::new(),
            };
            vec![
                one.environment.clone().into(),
                one.attribute.clone().into(),
                group.name.clone().into(),
                number(Some(group.rows as f64), 0),
                number(Some(group.cases as f64), 0),
                number(Some(group.positives as f64), 0),
                cell(&group.base_rate, 3),
                cell(&group.mean_probability, 3),
                cell(&group.auc, 3),
                cell(&group.true_positive_rate, 3),
                cell(&group.false_positive_rate, 3),
                cell(&group.calibration_error, 3),
                note.into(),
            ]
        })
    });
    let columns = [
        "environment",
        "attribute",
        "subgroup",
        "rows",
        "cases",
        "positives",
        "base rate",
        "mean probability",
        "ROC AUC",
        "true positive rate",
        "false positive rate",
        "calibration error",
        "note",
    ];
    table(
        "Every subgroup in every environment with 95 % intervals over cases",
        &columns,
        rows.collect(),
    )
}

fn gap_table(all: &[AttributeGroups]) -> Block {
    let rows = all.iter().map(|one| {
        let found = &one.subgroups;
        vec![
            one.environment.clone().into(),
            one.attribute.clone().into(),
            one.group.clone().into(),
            cell(&found.true_positive_gap, 3),
            cell(&found.false_positive_gap, 3),
            cell(&found.equalised_odds_difference, 3),
            number(found.equalised_odds_difference.p, 3),
        ]
    });
    let columns = [
        "environment",
        "attribute",
        "group",
        "gap of true positive rates",
        "gap of false positive rates",
        "equalised odds difference",
        "p",
    ];
    table(
        "Gaps between subgroups with 95 % intervals over cases",
        &columns,
        rows.collect(),
    )
}

pub(super) fn associations(outcome: &Outcome) -> Section {
    let title = "Associations".to_string();
    let all = &outcome.associations;
    if all.is_empty() {
        return Section {
            title,
            text: vec!["No attribute could be associated with the label.".into()],
            ..Section::default()
        };
    }
    let mut blocks: Vec<Block> = unless_empty(association_figure(all)).into_iter().collect();
    blocks.push(association_table(all));
    Section {
        title,
        text: vec![
            "The correlation ratio says how much of a number's variation goes with an attribute: 0 if every category has the same mean, 1 if the category \
             tells the number. p is of the label's, subjects permuted."
                .into(),
            "Above 0, prediction minus label is an attribute that the predictions follow more than the label does. A prediction varies less than a label, \
             so that its ratio is larger even if the attribute is used no more than it should be: the excess is a hint, and more so where the attribute is \
             not associated with the label."
                .into(),
        ],
        blocks,
    }
}

fn association_figure(all: &[Association]) -> Block {
    let attributes = in_order(all.iter().map(|one| one.attribute.as_str()));
    let mut environments = in_order(all.iter().map(|one| one.environment.as_str()));
    environments.truncate(ENVIRONMENTS);
    let names = named(&attributes);
    let at = |attribute: &str, environment: &str| {
        let mut all = all.iter();
        all.find(|one| one.attribute == attribute && one.environment == environment)
    };
    let mut series = Vec::new();
    for &environment in &environments {
        let found: Vec<Option<&Association>> = attributes.iter().map(|&one| at(one, environment)).collect();
        let labels: Vec<Option<&Estimate>> = found.iter().map(|one| one.map(|one| &one.label)).collect();
        let predictions: Vec<Option<&Estimate>> = found
            .iter()
            .map(|one| one.and_then(|one| one.prediction.as_ref()))
            .collect();
        let name = format!("label, {environment}");
        series.push(with_gaps(&name, Mark::Bar, &names, &labels));
        if predictions.iter().any(Option::is_some) {
            let name = format!("prediction, {environment}");
            series.push(with_gaps(&name, Mark::Bar, &names, &predictions));
        }
    }
    figure(
        "ehr-associations",
        "Attributes with the label and with the prediction",
        "A label's bar that is tall in training and short elsewhere, beside a tall one of the prediction, is an attribute that the model has learned to go by; the table holds all environments.",
        ["attribute", "correlation ratio", ""],
        series,
        vec![],
    )
}

fn association_table(all: &[Association]) -> Block {
    let rows = all.iter().map(|one| {
        vec![
            one.environment.clone().into(),
            one.attribute.clone().into(),
            one.group.clone().into(),
            cell(&one.label, 3),
            number(one.label.p, 3),
            optional(one.prediction.as_ref(), 3),
            optional(one.excess.as_ref(), 3),
        ]
    });
    let columns = [
        "environment",
        "attribute",
        "group",
        "label",
        "p",
        "prediction",
        "prediction minus label",
    ];
    table(
        "Correlation ratios with 95 % intervals over subjects",
        &columns,
        rows.collect(),
    )
}

pub(super) fn stability(outcome: &Outcome) -> Section {
    let title = "Stability through time".to_string();
    let Some(found) = &outcome.stability else {
        return Section {
            title,
            text: outcome.no_stability.iter().map(|reason| sentence(reason)).collect(),
            ..Section::default()
        };
    };
    let figures = [calibration_figure(found), importance_figure(found)];
    let mut blocks: Vec<Block> = figures.into_iter().filter_map(unless_empty).collect();
    blocks.push(period_table(found));
    blocks.push(spread_table(found));
    Section {
        title,
        text: vec![
            format!(
                "Rows of `{}` in the order of their prediction times, cut into {} periods of equally many rows.",
                outcome.main(),
                found.periods.len()
            ),
            "The spread is the standard deviation over periods; its p permutes subjects through time, and a small one means that periods differ by more \
             than chance."
                .into(),
        ],
        blocks,
    }
}

/// A reason with a capital letter and a full stop.
fn sentence(reason: &str) -> String {
    let mut letters = reason.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    let end = if reason.ends_with('.') { "" } else { "." };
    format!("{}{}{end}", first.unwrap_or_default(), letters.as_str())
}

/// Counted, since two periods may begin on one day, and with the day on which each begins.
fn periods(found: &Stability) -> Values {
    let names = found.periods.iter().enumerate().map(|(index, period)| {
        let day: String = period.span[0].chars().take(10).collect();
        format!("{}: {day}", index + 1)
    });
    Values::Names(names.collect())
}

/// Groups of which something is known in some period.
fn measured(found: &Stability) -> Vec<&str> {
    let each = found.periods.iter().flat_map(|period| &period.importance);
    in_order(each.map(|(group, _)| group.as_str()))
}

fn lost_without<'a>(period: &'a Period, group: &str) -> Option<&'a Estimate> {
    let mut groups = period.importance.iter();
    groups.find(|(name, _)| name == group).map(|(_, lost)| lost)
}

fn calibration_figure(found: &Stability) -> Block {
    let names = periods(found);
    let probabilities: Vec<&Estimate> = found.periods.iter().map(|period| &period.mean_probability).collect();
    let rates: Vec<&Estimate> = found.periods.iter().map(|period| &period.base_rate).collect();
    figure(
        "ehr-calibration-periods",
        "Mean probability and base rate by period",
        "Where the lines part, the model expects more or fewer positives than there are; lines that part more and more are a model that ages.",
        ["period", "share", ""],
        vec![
            with_interval("mean probability", Mark::Line, names.clone(), &probabilities),
            with_interval("base rate", Mark::Line, names, &rates),
        ],
        vec![],
    )
}

fn importance_figure(found: &Stability) -> Block {
    let names = periods(found);
    let series = measured(found).into_iter().map(|group| {
        let lost: Vec<Option<&Estimate>> = found.periods.iter().map(|one| lost_without(one, group)).collect();
        with_gaps(group, Mark::Line, &names, &lost)
    });
    figure(
        "ehr-importance-periods",
        "AUC lost without a group by period",
        "A level line is a group that is used alike at all times; one that falls is a group whose meaning has changed since training.",
        ["period", "loss of ROC AUC", ""],
        series.collect(),
        vec![0.0],
    )
}

fn period_table(found: &Stability) -> Block {
    let groups = measured(found);
    let lost: Vec<String> = groups.iter().map(|group| format!("AUC lost without {group}")).collect();
    let mut columns = vec![
        "period",
        "from",
        "to",
        "rows",
        "subjects",
        "base rate",
        "mean probability",
        "ROC AUC",
    ];
    columns.extend(lost.iter().map(String::as_str));
    let rows = found.periods.iter().enumerate().map(|(index, period)| {
        let [from, to] = &period.span;
        let mut cells: Vec<Cell> = vec![
            number(Some(index as f64 + 1.0), 0),
            from.clone().into(),
            to.clone().into(),
            number(Some(period.rows as f64), 0),
            number(Some(period.cases as f64), 0),
            cell(&period.base_rate, 3),
            cell(&period.mean_probability, 3),
            cell(&period.auc, 3),
        ];
        cells.extend(groups.iter().map(|&group| optional(lost_without(period, group), 3)));
        cells
    });
    table(
        "Every period with 95 % intervals over subjects",
        &columns,
        rows.collect(),
    )
}

fn spread_table(found: &Stability) -> Block {
    let calibration = (
        "mean probability minus base rate".to_string(),
        &found.calibration_spread,
    );
    let groups = found.importance_spread.iter();
    let groups = groups.map(|(group, spread)| (format!("AUC lost without {group}"), spread));
    let rows = std::iter::once(calibration)
        .chain(groups)
        .map(|(what, spread)| vec![what.into(), cell(spread, 4), number(spread.p, 3)]);
    table(
        "How much periods differ",
        &["measure", "standard deviation over periods", "p"],
        rows.collect(),
    )
}
