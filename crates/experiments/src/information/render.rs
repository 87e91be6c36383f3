//! The outcome as rows, as a report and as text.

use disentangle_analysis::Estimate;
use disentangle_report::{MetricRow, Report};
use serde_json::json;

use super::{
    outcome::{EnvironmentDecisions, Flow, Outcome, SiteInformation},
    sections,
    verdicts::verdicts,
};
use crate::{
    experiment::{Render, metric_row},
    present::{keyed, marked, short},
};

/// Columns in the summary, at most.
const COLUMNS: usize = 5;

impl Render for Outcome {
    fn rows(&self) -> Vec<MetricRow> {
        let mut rows: Vec<MetricRow> = self.decisions.iter().flat_map(|one| self.decision_rows(one)).collect();
        rows.extend(self.sites.iter().flat_map(|site| self.site_rows(site)));
        if let Some(along) = &self.along {
            let row = self.row(self.main(), "entropy_change_along_stream", &along.entropy_change);
            rows.push(row);
        }
        rows.extend(self.flows.iter().flat_map(|flow| self.flow_rows(flow)));
        rows.extend(self.importance_rows());
        rows
    }

    fn report(&self) -> Report {
        Report {
            title: format!("Information: {} with {}", self.data.name, self.model.family),
            subtitle: format!(
                "{} sites, {} rows of `{}`, {} training rows, seed {}",
                self.sites.len(),
                self.flow_settings.rows,
                self.main(),
                self.data.train_rows,
                self.seed
            ),
            simulated: self.data.simulated,
            notices: self.data.notices.clone(),
            verdicts: verdicts(self),
            sections: sections::all(self),
        }
    }

    fn summary(&self) -> String {
        let mut text = self.environment_text();
        text += &self.site_text();
        text += &self.importance_text();
        text += "\n";
        text += &marked(&verdicts(self));
        text
    }
}

/// A value without an interval; `None` with the reason.
fn point(value: Option<f64>, reason: &str, n: usize) -> Estimate {
    value.map_or_else(|| Estimate::undefined(reason, n), |value| Estimate::point(value, n))
}

impl Outcome {
    /// The environment whose rows are the main ones.
    fn main(&self) -> &str {
        self.decisions.first().map_or("", |one| one.name.as_str())
    }

    /// A number that was measured on the rows of an environment.
    fn row(&self, environment: &str, metric: &str, estimate: &Estimate) -> MetricRow {
        // Prices name their environments after the parts of the data, generators after what holds there in the test part.
        let split = match environment {
            "validation" => "validation",
            _ => "test",
        };
        MetricRow {
            experiment: self.experiment.clone(),
            dataset: self.data.name.clone(),
            model: Some(self.model.family.clone()),
            stage: Some("trained".into()),
            seed: Some(self.seed),
            environment: Some(environment.into()),
            split: Some(split.into()),
            ..metric_row(metric, estimate)
        }
    }

    fn decision_rows(&self, one: &EnvironmentDecisions) -> Vec<MetricRow> {
        let metrics = [
            ("roc_auc", &one.auc),
            ("accuracy", &one.accuracy),
            ("boundary_width", &one.metrics.boundary_width),
            ("local_linearity", &one.metrics.local_linearity),
            ("sensitivity", &one.metrics.sensitivity),
            ("confidence", &one.metrics.confidence),
            ("calibration_error", &one.calibration_error),
        ];
        metrics
            .map(|(metric, estimate)| self.row(&one.name, metric, estimate))
            .into()
    }

    fn site_rows(&self, site: &SiteInformation) -> Vec<MetricRow> {
        let n = site.samples;
        let constant = |value: Option<f64>| point(value, "nothing varies", n);
        let count = |value: usize| Estimate::point(value as f64, n);
        let metrics = [
            ("neuron_entropy", site.entropy.clone()),
            ("dead_neurons", count(site.dead)),
            (
                "gaussian_entropy",
                constant(site.gaussian_entropy.map(|entropy| entropy.nats)),
            ),
            ("effective_rank", site.effective_rank.clone()),
            (
                "components_above_one_percent",
                constant(site.components_above_one_percent.map(|count| count as f64)),
            ),
            ("compression_ratio", constant(site.compression_ratio)),
            ("spectral_slope", constant(site.spectral_slope)),
            ("dropped_directions", count(site.dropped)),
        ];
        let rows = metrics.iter().map(|(metric, estimate)| MetricRow {
            site: Some(site.site.clone()),
            ..self.row(self.main(), metric, estimate)
        });
        rows.collect()
    }

    fn flow_rows(&self, flow: &Flow) -> Vec<MetricRow> {
        let n = self.flow_settings.rows;
        let of = |value: Option<f64>| {
            point(
                value,
                "undefined, as the mutual information or its Gaussian value is",
                n,
            )
        };
        let metrics = [
            ("linear_cka", flow.alignment.cka.clone()),
            ("linear_cka_by_chance", of(flow.alignment.chance)),
            ("mutual_information", flow.shared.ksg.clone()),
            ("mutual_information_half_of_rows", of(flow.shared.half)),
            ("mutual_information_if_gaussian", of(flow.shared.gaussian)),
        ];
        let rows = metrics.iter().map(|(metric, estimate)| {
            let row = MetricRow {
                site: Some(flow.to.clone()),
                ..self.row(self.main(), metric, estimate)
            };
            keyed(json!({ "from": flow.from }), row)
        });
        rows.collect()
    }

    fn importance_rows(&self) -> Vec<MetricRow> {
        let found = &self.importance;
        let rows = found.columns.iter().flat_map(|column| {
            let spread = point(column.spread, "no interval", found.rows);
            [
                ("column_importance", &column.size),
                ("column_importance_spread", &spread),
            ]
            .map(|(metric, estimate)| {
                let row = MetricRow {
                    group: (!column.group.is_empty()).then(|| column.group.clone()),
                    ..self.row(&found.environment, metric, estimate)
                };
                keyed(json!({ "column": column.column }), row)
            })
        });
        let mut rows: Vec<MetricRow> = rows.collect();
        if let Some(lead) = &found.lead {
            rows.push(self.row(&found.environment, "column_importance_lead", &lead.difference));
        }
        rows
    }

    fn environment_text(&self) -> String {
        let mut text = format!(
            "{:<18} {:<24} {:<24} {:<24} {:<24}\n",
            "environment",
            "accuracy [95 %]",
            "boundary width [95 %]",
            "local linearity [95 %]",
            "calibration error [95 %]"
        );
        for one in &self.decisions {
            text += &format!(
                "{:<18} {:<24} {:<24} {:<24} {:<24}\n",
                one.name,
                short(&one.accuracy, 3),
                short(&one.metrics.boundary_width, 3),
                short(&one.metrics.local_linearity, 3),
                short(&one.calibration_error, 3)
            );
        }
        text
    }

    /// The residual stream.
    fn site_text(&self) -> String {
        let mut text = format!(
            "\n{:<24} {:<22} {:<20} {:<22} {:<20}\n",
            "site", "neuron entropy [95 %]", "effective rank", "CKA from the last", "shared nats"
        );
        for site in self.sites.iter().filter(|site| site.stream) {
            let flow = self.flows.iter().find(|flow| flow.stream && flow.to == site.site);
            let dash = || "–".to_string();
            text += &format!(
                "{:<24} {:<22} {:<20} {:<22} {:<20}\n",
                site.site,
                short(&site.entropy, 3),
                short(&site.effective_rank, 1),
                flow.map_or_else(dash, |flow| short(&flow.alignment.cka, 2)),
                flow.map_or_else(dash, |flow| short(&flow.shared.ksg, 2))
            );
        }
        text
    }

    fn importance_text(&self) -> String {
        let mut text = format!(
            "\n{:<24} {:<18} {:<28} {:<16}\n",
            "column", "group", "change of the logit [95 %]", "spread of it"
        );
        for column in sections::ordered(&self.importance).into_iter().take(COLUMNS) {
            let spread = column
                .spread
                .map_or_else(|| "–".into(), |spread| format!("{spread:.4}"));
            text += &format!(
                "{:<24} {:<18} {:<28} {spread:<16}\n",
                column.column,
                column.group,
                short(&column.size, 3)
            );
        }
        text
    }
}
