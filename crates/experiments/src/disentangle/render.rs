//! The outcome as rows, as a report and as text.

use disentangle_analysis::Estimate;
use disentangle_report::{Cell, Mark, MetricRow, Report, Section, Tone, Values, Verdict};

use super::{Outcome, Row};
use crate::{
    experiment::{Render, metric_row},
    present::{cell, figure, marked, short, table, with_interval},
};

impl Render for Outcome {
    fn rows(&self) -> Vec<MetricRow> {
        let mut rows = Vec::new();
        for one in &self.rows {
            let row = |metric: String, model: &str, estimate: &Estimate| MetricRow {
                experiment: self.experiment.clone(),
                dataset: self.dataset.clone(),
                model: Some(model.into()),
                stage: Some("trained".into()),
                split: Some("test".into()),
                site: one.site.clone(),
                ..metric_row(&metric, estimate)
            };
            for (arm, estimate) in self.arms.iter().zip(&one.arms) {
                rows.push(row(one.metric.clone(), arm, estimate));
            }
            let metric = &one.metric;
            rows.push(row(
                format!("{metric}_over_standard"),
                "disentangled",
                &one.over_standard,
            ));
            rows.push(row(
                format!("{metric}_over_unpenalised"),
                "disentangled",
                &one.over_unpenalised,
            ));
        }
        rows
    }

    fn report(&self) -> Report {
        let mut sections = vec![self.section("What does it cost?", None)];
        let mut sites: Vec<&String> = self.rows.iter().filter_map(|row| row.site.as_ref()).collect();
        sites.dedup();
        sections.extend(
            sites
                .into_iter()
                .map(|site| self.section(&format!("Site {site}"), Some(site))),
        );
        Report {
            title: "Standard against disentangled".into(),
            subtitle: format!(
                "{}, penalty {} on every projection, {} pairs of trainings with the same data and seeds, seed {}",
                self.dataset, self.orthogonality, self.repeats, self.seed
            ),
            simulated: true,
            verdicts: self.verdicts(),
            sections,
            ..Report::default()
        }
    }

    fn summary(&self) -> String {
        let mut text = format!(
            "{:<44} {:<24} {:<24} {:<26} {:<26}\n",
            "measure", "standard", "disentangled", "paired difference [95 %]", "of the penalty alone"
        );
        let shown = self.rows.iter().filter(|row| !row.metric.starts_with("cumulative"));
        for row in shown {
            let name = match &row.site {
                None => row.title.clone(),
                Some(site) => format!("{site}: {}", row.title),
            };
            text += &format!(
                "{name:<44} {:<24} {:<24} {:<26} {:<26}\n",
                short(&row.arms[0], 3),
                short(&row.arms[1], 3),
                short(&row.over_standard, 3),
                short(&row.over_unpenalised, 3)
            );
        }
        text += "\n";
        text += &marked(&self.verdicts());
        text
    }
}

impl Outcome {
    fn row(&self, metric: &str, site: Option<&str>) -> Option<&Row> {
        self.rows
            .iter()
            .find(|row| row.metric == metric && row.site.as_deref() == site)
    }

    fn verdicts(&self) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        let mut sites: Vec<&String> = self.rows.iter().filter_map(|row| row.site.as_ref()).collect();
        sites.dedup();
        for site in sites {
            let Some(row) = self.row("mean_overlap", Some(site)) else {
                continue;
            };
            let (words, tone) = changed(&row.over_standard, false);
            verdicts.push(Verdict {
                text: format!(
                    "overlap of groups at `{site}` {words} against the standard model: {}; the penalty alone: {}",
                    row.over_standard.show(3),
                    row.over_unpenalised.show(3)
                ),
                tone,
            });
        }
        for (metric, name) in [
            ("accuracy", "accuracy"),
            ("worst_group_accuracy", "worst-group accuracy"),
        ] {
            let Some(row) = self.row(metric, None).filter(|row| row.over_standard.value.is_some()) else {
                continue;
            };
            let (words, tone) = changed(&row.over_standard, true);
            verdicts.push(Verdict {
                text: format!(
                    "{name} {words}: {} (from {:.3} to {:.3})",
                    row.over_standard.show(3),
                    row.arms[0].value.unwrap_or(f64::NAN),
                    row.arms[1].value.unwrap_or(f64::NAN)
                ),
                tone,
            });
        }
        verdicts
    }

    fn section(&self, title: &str, site: Option<&str>) -> Section {
        let rows: Vec<&Row> = self.rows.iter().filter(|row| row.site.as_deref() == site).collect();
        let cells = rows.iter().map(|row| {
            let mut cells: Vec<Cell> = vec![row.title.clone().into()];
            cells.extend(row.arms.iter().map(|estimate| cell(estimate, 3)));
            cells.extend([cell(&row.over_standard, 3), cell(&row.over_unpenalised, 3)]);
            cells
        });
        let columns: Vec<&str> = std::iter::once("measure")
            .chain(self.arms.iter().map(String::as_str))
            .chain(["disentangled - standard", "of the penalty alone"])
            .collect();
        // What is not on the scale of a share would flatten the rest.
        let small = |row: &&&Row| !["effective_rank", "epochs", "penalty"].contains(&row.metric.as_str());
        let drawn: Vec<&&Row> = rows.iter().filter(small).collect();
        let names = || Values::Names(drawn.iter().map(|row| row.title.clone()).collect());
        let series = |name: &str, of: fn(&Row) -> &Estimate| {
            with_interval(
                name,
                Mark::Points,
                names(),
                &drawn.iter().map(|row| of(row)).collect::<Vec<_>>(),
            )
        };
        let id = site.map_or_else(
            || "cost".to_string(),
            |site| format!("paired-{}", site.replace('.', "-")),
        );
        Section {
            title: title.into(),
            text: vec![
                "Differences are taken repeat by repeat, on the same data and seeds; brackets hold Student's t interval over repeats. The last column compares with \
                 the same architecture without the penalty."
                    .into(),
            ],
            blocks: vec![
                figure(
                    &id,
                    "Paired differences",
                    "A whisker that does not cross the dotted line at 0 is a difference that repeats show; below it the disentangled model has less.",
                    ["measure", "disentangled minus the other", ""],
                    vec![
                        series("standard", |row| &row.over_standard),
                        series("without penalty", |row| &row.over_unpenalised),
                    ],
                    vec![0.0],
                ),
                table("Every measure in every arm", &columns, cells.collect()),
            ],
        }
    }
}

/// What an interval of a difference says, and whether that is as hoped.
fn changed(difference: &Estimate, more_is_better: bool) -> (&'static str, Tone) {
    let tone = |better: bool| if better { Tone::Good } else { Tone::Bad };
    if difference.above(0.0) {
        ("rises", tone(more_is_better))
    } else if difference.below(0.0) {
        ("falls", tone(!more_is_better))
    } else {
        ("does not clearly change", Tone::Neutral)
    }
}
