//! The sections of the report, each a figure or a table with a line on how to read it (notebook part 31).

use disentangle_analysis::{Estimate, probing::STEP_LENGTH};
use disentangle_report::{Block, Mark, Section, Series, Values};

use super::{
    flow_sections::{information, site_names},
    outcome::{ColumnImportance, EnvironmentDecisions, Importance, Outcome, SiteInformation},
};
use crate::present::{cell, figure, number, table, with_interval};

/// Bars of columns, at most.
const COLUMNS: usize = 15;
/// Bars of the histogram of spreads.
const BARS: usize = 10;

pub(super) fn all(outcome: &Outcome) -> Vec<Section> {
    vec![
        information(outcome),
        compression(outcome),
        robustness(outcome),
        importance(outcome),
        data(outcome),
        outcome.training.section(&outcome.model),
    ]
}

fn compression(outcome: &Outcome) -> Section {
    let names = site_names(&outcome.sites);
    let ranks: Vec<&Estimate> = outcome.sites.iter().map(|site| &site.effective_rank).collect();
    let bars = |name: &str, mark: Mark, of: fn(&SiteInformation) -> Option<f64>| Series {
        y: outcome.sites.iter().map(of).collect(),
        ..Series::new(name, mark, names.clone(), Vec::new())
    };
    let row = |site: &SiteInformation| {
        vec![
            site.site.clone().into(),
            number(Some(site.neurons as f64), 0),
            cell(&site.effective_rank, 2),
            number(site.components_above_one_percent.map(|count| count as f64), 0),
            number(site.compression_ratio, 2),
            number(site.spectral_slope, 4),
            number(Some(site.dropped as f64), 0),
        ]
    };
    let columns = [
        "site",
        "neurons",
        "effective rank",
        "components above 1 %",
        "compression ratio",
        "spectral slope",
        "dropped directions",
    ];
    Section {
        title: "Compression".into(),
        text: vec![
            "From the singular values of the centred activations, all positions of all rows. The effective rank is exp of the entropy of their \
             shares; the compression ratio is the largest variance over the mean variance, 1 where all directions vary alike, and the number of \
             directions where one does all; the slope is that of the logarithms of the singular values, without those that rounding explains."
                .into(),
        ],
        blocks: vec![
            figure(
                "compression",
                "How many directions every site uses",
                "Low bars beside a high point are a compressed site: few directions hold almost all of the variance.",
                ["site", "directions", ""],
                vec![
                    with_interval("effective rank", Mark::Bar, names.clone(), &ranks),
                    bars("components above 1 % of the variance", Mark::Bar, |site| {
                        site.components_above_one_percent.map(|count| count as f64)
                    }),
                    bars("compression ratio", Mark::Points, |site| site.compression_ratio),
                ],
                vec![],
            ),
            table(
                "Compression of every site, in forward order, with 95 % intervals",
                &columns,
                outcome.sites.iter().map(row).collect(),
            ),
        ],
    }
}

/// A measure's name, and where it stands.
type Measure = (&'static str, fn(&EnvironmentDecisions) -> &Estimate);

fn robustness(outcome: &Outcome) -> Section {
    let panel: [Measure; 4] = [
        ("boundary width", |one| &one.metrics.boundary_width),
        ("local linearity", |one| &one.metrics.local_linearity),
        ("mean confidence", |one| &one.metrics.confidence),
        ("calibration error", |one| &one.calibration_error),
    ];
    let steep: [Measure; 1] = [("sensitivity", |one| &one.metrics.sensitivity)];
    let bars = |measures: &[Measure]| -> Vec<Series> {
        let names = Values::Names(measures.iter().map(|(name, _)| (*name).to_string()).collect());
        let environments = outcome.decisions.iter();
        environments
            .map(|one| {
                let estimates: Vec<&Estimate> = measures.iter().map(|(_, of)| of(one)).collect();
                with_interval(&one.name, Mark::Bar, names.clone(), &estimates)
            })
            .collect()
    };
    Section {
        title: "Robustness of decisions".into(),
        text: vec![
            format!(
                "z is the logit, features are in standard deviations. The boundary width is the median of |z| over the length of z's gradient; \
                 local linearity is the share of the change of z within a step of {STEP_LENGTH} that the gradient foresees, 1 for a straight \
                 output; sensitivity is the mean length of the gradient, and confidence the mean distance of the probability from one half."
            ),
            "The expected calibration error compares probabilities with labels in ten bins of equal mass. q is against labels drawn from the \
             model's own probabilities, corrected over environments; there is none where rows depend on each other. A calibrated model has an \
             error above 0 too, by chance."
                .into(),
        ],
        blocks: vec![
            figure(
                "robustness",
                "Boundary width, local linearity, confidence and calibration",
                "Bars of different measures are different things; compare the environments of one measure.",
                ["measure", "value", ""],
                bars(&panel),
                vec![],
            ),
            figure(
                "sensitivity",
                "How steep the output is",
                "The taller a bar, the more a small change of the features moves the logit.",
                ["measure", "logits a standard deviation", ""],
                bars(&steep),
                vec![],
            ),
            decision_table(outcome),
        ],
    }
}

fn decision_table(outcome: &Outcome) -> Block {
    let rows = outcome.decisions.iter().map(|one| {
        vec![
            one.name.clone().into(),
            cell(&one.metrics.boundary_width, 3),
            cell(&one.metrics.local_linearity, 3),
            cell(&one.metrics.sensitivity, 3),
            cell(&one.metrics.confidence, 3),
            cell(&one.calibration_error, 3),
            number(one.calibration_error.p, 3),
            number(one.calibration_error.q, 3),
        ]
    });
    table(
        "Decisions in every environment, with 95 % intervals",
        &[
            "environment",
            "boundary width",
            "local linearity",
            "sensitivity",
            "confidence",
            "calibration error",
            "p",
            "q",
        ],
        rows.collect(),
    )
}

/// The most important column first.
pub(super) fn ordered(found: &Importance) -> Vec<&ColumnImportance> {
    let size = |column: &ColumnImportance| column.size.value.unwrap_or(f64::NEG_INFINITY);
    let mut columns: Vec<&ColumnImportance> = found.columns.iter().collect();
    columns.sort_by(|a, b| size(b).total_cmp(&size(a)));
    columns
}

fn importance(outcome: &Outcome) -> Section {
    let found = &outcome.importance;
    let columns = ordered(found);
    let first = &columns[..columns.len().min(COLUMNS)];
    let names = Values::Names(first.iter().map(|column| column.column.clone()).collect());
    let sizes: Vec<&Estimate> = first.iter().map(|column| &column.size).collect();
    let rows = columns.iter().map(|column| {
        vec![
            column.column.clone().into(),
            column.group.clone().into(),
            cell(&column.size, 4),
            number(column.spread, 4),
            number(column.relative_spread, 3),
        ]
    });
    let mut blocks = vec![figure(
        "column-importance",
        "The columns that move the output most",
        "Each bar is how far the logit moves when the column is taken from other rows; whiskers that overlap leave the order open.",
        ["column", "mean size of the change of the logit", ""],
        vec![with_interval("importance", Mark::Bar, names, &sizes)],
        vec![],
    )];
    blocks.extend(histogram(found));
    blocks.push(table(
        "Importance of every column with 95 % intervals",
        &["column", "group", "importance", "spread", "spread over importance"],
        rows.collect(),
    ));
    Section {
        title: "Is importance stable?".into(),
        text: vec![format!(
            "On {} rows of `{}`, over {} permutations of each column. The spread is the standard error of the importance over resampled rows: its interval's \
             width over 2 · 1.96.",
            found.rows, found.environment, found.permutations
        )],
        blocks,
    }
}

/// Columns by spread.
fn histogram(found: &Importance) -> Option<Block> {
    let spreads: Vec<f64> = found.columns.iter().filter_map(|column| column.spread).collect();
    let most = spreads.iter().copied().fold(0.0, f64::max);
    if most <= 0.0 {
        return None;
    }
    let mut counts = [0.0; BARS];
    for spread in &spreads {
        let bar = (spread / most * BARS as f64) as usize;
        counts[bar.min(BARS - 1)] += 1.0;
    }
    let width = most / BARS as f64;
    let centres = (0..BARS).map(|bar| width * (bar as f64 + 0.5)).collect();
    Some(figure(
        "importance-spread",
        "How many columns have how uncertain an importance",
        "Bars on the left are columns whose importance hardly depends on the sample of rows.",
        ["spread of the importance", "columns", ""],
        vec![Series::new(
            "columns",
            Mark::Bar,
            Values::Numbers(centres),
            counts.to_vec(),
        )],
        vec![],
    ))
}

/// What went in.
fn data(outcome: &Outcome) -> Section {
    let data = &outcome.data;
    let environments = outcome.decisions.iter().map(|one| {
        vec![
            one.name.clone().into(),
            one.about.clone().into(),
            number(Some(one.rows as f64), 0),
            number(Some(one.positive), 3),
            cell(&one.auc, 3),
            cell(&one.accuracy, 3),
        ]
    });
    let groups = data.groups.iter().map(|group| {
        vec![
            group.name.clone().into(),
            format!("{:?}", group.role).to_lowercase().into(),
            number(Some(group.columns.len() as f64), 0),
        ]
    });
    Section {
        title: "Data".into(),
        text: vec![format!(
            "`{}`: {} columns, {} training rows. Training saw none of the rows below; the first environment holds the main rows, on which sites \
             and importance are measured.",
            data.name, data.features, data.train_rows
        )],
        blocks: vec![
            table(
                "Environments",
                &[
                    "environment",
                    "rows of",
                    "rows",
                    "share of label 1",
                    "ROC AUC",
                    "accuracy",
                ],
                environments.collect(),
            ),
            table("Feature groups", &["group", "role", "columns"], groups.collect()),
        ],
    }
}
