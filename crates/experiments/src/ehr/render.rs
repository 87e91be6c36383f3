//! The outcome as rows, as a report and as text.

use disentangle_analysis::Estimate;
use disentangle_report::{MetricRow, Report};
use serde_json::{Value, json};

use super::{
    outcome::{Association, AttributeGroups, Outcome, Stability, Standing},
    sections,
    verdicts::verdicts,
};
use crate::{
    experiment::{Render, metric_row},
    present::{keyed, marked, short},
};

/// The environment of numbers that were measured on training rows.
const TRAINING: &str = "training";

impl Render for Outcome {
    fn rows(&self) -> Vec<MetricRow> {
        let mut rows = self.performance_rows();
        rows.extend(self.column_rows());
        rows.extend(self.gradient_rows());
        rows.extend(self.attention_rows());
        rows.extend(self.associations.iter().flat_map(|one| self.association_rows(one)));
        rows.extend(self.attributes.iter().flat_map(|one| self.subgroup_rows(one)));
        rows.extend(self.stability.iter().flat_map(|found| self.stability_rows(found)));
        rows.extend(self.accusation_rows());
        rows.extend(self.detection_rows());
        rows.extend(self.mitigation_rows());
        rows.extend(self.causal.rows().into_iter().map(|row| MetricRow {
            experiment: self.experiment.clone(),
            metric: renamed(&row.metric),
            ..row
        }));
        rows
    }

    fn report(&self) -> Report {
        let data = &self.causal.data;
        let kind = match self.experiment.as_str() {
            "audit" => "Audit",
            _ => "Health records",
        };
        Report {
            title: format!("{kind}: {} with {}", data.name, self.causal.model.family),
            subtitle: format!(
                "{} columns in {} groups, {} training rows, {} environment(s), seed {}",
                data.features.len(),
                data.groups.len(),
                data.train_rows,
                data.environments.len(),
                self.seed
            ),
            simulated: data.simulated,
            notices: data.notices.clone(),
            verdicts: verdicts(self),
            sections: sections::all(self),
        }
    }

    fn summary(&self) -> String {
        let mut text = self.performance_text();
        text += &self.group_text();
        text += "\n";
        text += &marked(&verdicts(self));
        text
    }
}

/// Of causal analyses, which see one row of each subject, what is also measured on all rows.
fn renamed(metric: &str) -> String {
    match metric {
        "roc_auc" | "accuracy" => format!("{metric}_one_row_a_subject"),
        _ => metric.into(),
    }
}

fn of_group(group: &str, row: MetricRow) -> MetricRow {
    MetricRow {
        group: (!group.is_empty()).then(|| group.into()),
        ..row
    }
}

impl Outcome {
    /// The environment whose rows are the main ones.
    pub(super) fn main(&self) -> &str {
        let environments = &self.causal.data.environments;
        environments.first().map_or("", |one| one.name.as_str())
    }

    /// A number that was measured on the rows of an environment.
    fn row(&self, environment: &str, metric: &str, estimate: &Estimate) -> MetricRow {
        // Prices name an environment after the part of the data that it is.
        let split = match environment {
            TRAINING => "train",
            "validation" => "validation",
            _ => "test",
        };
        MetricRow {
            experiment: self.experiment.clone(),
            dataset: self.causal.data.name.clone(),
            model: Some(self.causal.model.family.clone()),
            stage: Some("trained".into()),
            seed: Some(self.seed),
            environment: Some(environment.into()),
            split: Some(split.into()),
            ..metric_row(metric, estimate)
        }
    }

    fn performance_rows(&self) -> Vec<MetricRow> {
        let mut rows = Vec::new();
        for one in &self.performance {
            let cases = Estimate::point(one.cases as f64, one.rows);
            let metrics = [
                ("roc_auc", &one.auc),
                ("accuracy", &one.accuracy),
                ("log_loss", &one.log_loss),
                ("calibration_error", &one.calibration_error),
                ("cases", &cases),
            ];
            rows.extend(metrics.map(|(metric, estimate)| MetricRow {
                model: Some(one.model.clone()),
                ..self.row(&one.environment, metric, estimate)
            }));
            if let Some(over) = &one.trained_over_this {
                let params = json!({ "model": one.model });
                rows.push(keyed(params, self.row(&one.environment, "roc_auc_over_this", over)));
            }
        }
        rows
    }

    /// Single columns know no model.
    fn column_rows(&self) -> Vec<MetricRow> {
        let rows = self.single_columns.iter().map(|one| {
            let auc = Estimate::point(one.auc, self.causal.data.train_rows);
            let row = self.row(TRAINING, "single_column_roc_auc", &auc);
            MetricRow {
                model: None,
                stage: None,
                ..keyed(json!({ "column": one.column }), of_group(&one.group, row))
            }
        });
        rows.collect()
    }

    fn gradient_rows(&self) -> Vec<MetricRow> {
        let mut rows = Vec::new();
        for epoch in &self.causal.training.history {
            for (part, norm) in self.gradient_parts.iter().zip(&epoch.part_norms) {
                let params = json!({ "epoch": epoch.epoch, "part": part });
                let norm = Estimate::point(*norm, self.causal.data.train_rows);
                rows.push(keyed(params, self.row(TRAINING, "gradient_norm_of_part", &norm)));
            }
        }
        rows
    }

    fn attention_rows(&self) -> Vec<MetricRow> {
        let mut rows = Vec::new();
        for one in &self.attention {
            let row = |metric: &str, estimate: &Estimate| MetricRow {
                site: Some(one.site.clone()),
                ..self.row(self.main(), metric, estimate)
            };
            rows.push(row("attention_entropy", &one.entropy));
            rows.push(row("attention_bias", &one.bias));
            rows.extend(one.received.iter().enumerate().map(|(position, weight)| {
                let weight = Estimate::point(*weight, one.rows);
                keyed(json!({ "position": position }), row("attention_received", &weight))
            }));
        }
        rows
    }

    fn association_rows(&self, one: &Association) -> Vec<MetricRow> {
        let metrics = [
            ("label_association", Some(&one.label)),
            ("prediction_association", one.prediction.as_ref()),
            ("association_excess", one.excess.as_ref()),
        ];
        let rows = metrics.into_iter().filter_map(|(metric, estimate)| {
            let row = self.row(&one.environment, metric, estimate?);
            let params = json!({ "attribute": one.attribute });
            Some(keyed(params, of_group(&one.group, row)))
        });
        rows.collect()
    }

    fn subgroup_rows(&self, one: &AttributeGroups) -> Vec<MetricRow> {
        let row = |params: Value, metric: &str, estimate: &Estimate| {
            keyed(
                params,
                of_group(&one.group, self.row(&one.environment, metric, estimate)),
            )
        };
        let found = &one.subgroups;
        let all: usize = found.groups.iter().map(|group| group.rows).sum();
        let threshold = Estimate::point(one.threshold, all);
        let gaps = [
            ("threshold", &threshold),
            ("true_positive_gap", &found.true_positive_gap),
            ("false_positive_gap", &found.false_positive_gap),
            ("equalised_odds_difference", &found.equalised_odds_difference),
        ];
        let gaps = gaps.map(|(metric, estimate)| row(json!({ "attribute": one.attribute }), metric, estimate));
        let mut rows = Vec::from(gaps);
        for group in &found.groups {
            let cases = Estimate::point(group.cases as f64, group.rows);
            let positives = Estimate::point(group.positives as f64, group.rows);
            let metrics = [
                ("cases", &cases),
                ("positives", &positives),
                ("base_rate", &group.base_rate),
                ("mean_probability", &group.mean_probability),
                ("roc_auc", &group.auc),
                ("true_positive_rate", &group.true_positive_rate),
                ("false_positive_rate", &group.false_positive_rate),
                ("calibration_error", &group.calibration_error),
            ];
            rows.extend(metrics.map(|(metric, estimate)| {
                let params = json!({ "attribute": one.attribute, "subgroup": group.name });
                row(params, metric, estimate)
            }));
        }
        rows
    }

    /// Times differ from seed to seed, so that periods are counted, from 1.
    fn stability_rows(&self, found: &Stability) -> Vec<MetricRow> {
        let row = |metric: &str, estimate: &Estimate| self.row(self.main(), metric, estimate);
        let mut rows = vec![row("calibration_spread", &found.calibration_spread)];
        let spreads = found.importance_spread.iter();
        rows.extend(spreads.map(|(group, spread)| of_group(group, row("importance_spread", spread))));
        for (index, period) in found.periods.iter().enumerate() {
            let cases = Estimate::point(period.cases as f64, period.rows);
            let metrics = [
                ("cases", &cases),
                ("base_rate", &period.base_rate),
                ("mean_probability", &period.mean_probability),
                ("roc_auc", &period.auc),
            ];
            let params = json!({ "period": index + 1 });
            rows.extend(metrics.map(|(metric, estimate)| keyed(params.clone(), row(metric, estimate))));
            let lost = period.importance.iter();
            rows.extend(lost.map(|(group, lost)| keyed(params.clone(), of_group(group, row("roc_auc_drop", lost)))));
        }
        rows
    }

    /// Inside is the main environment.
    fn accusation_rows(&self) -> Vec<MetricRow> {
        let mut rows = Vec::new();
        for one in &self.accusations {
            let row = |environment: &str, metric: &str, estimate: &Estimate| {
                of_group(&one.group, self.row(environment, metric, estimate))
            };
            let accused = f64::from(u8::from(one.standing == Standing::Shortcut));
            rows.push(row(self.main(), "accused", &Estimate::point(accused, 1)));
            rows.push(row(self.main(), "roc_auc_drop_inside", &one.inside));
            let outside = one.outside.as_ref();
            rows.extend(outside.map(|(environment, lost)| row(environment, "roc_auc_drop_outside", lost)));
        }
        rows
    }

    /// Of training and validation rows.
    fn detection_rows(&self) -> Vec<MetricRow> {
        let mut rows = Vec::new();
        for group in &self.detection.groups {
            let detected = &group.detected;
            let point = |value: Option<f64>| match value {
                Some(value) => Estimate::point(value, self.detection.rows),
                None => Estimate::undefined("not identifiable here", self.detection.rows),
            };
            let mut instability = point(detected.instability.value);
            (instability.p, instability.q) = (detected.instability.p, detected.instability.q);
            let numbers = [
                ("group_auc", detected.power.auc.clone()),
                ("instability", instability),
                ("spurious_score", point(detected.score)),
            ];
            rows.extend(
                numbers.map(|(metric, estimate)| of_group(&detected.group, self.row(TRAINING, metric, &estimate))),
            );
        }
        rows
    }

    /// Strategies, each over trainings of its own.
    fn mitigation_rows(&self) -> Vec<MetricRow> {
        let rows = self.mitigation.iter().flat_map(Render::rows);
        let rows = rows.map(|row| MetricRow {
            experiment: self.experiment.clone(),
            ..row
        });
        rows.collect()
    }

    fn performance_text(&self) -> String {
        let mut text = format!(
            "{:<22} {:<22} {:<26} {:>8} {:>9}\n",
            "environment", "model", "ROC AUC [95 %]", "rows", "subjects"
        );
        for one in &self.performance {
            text += &format!(
                "{:<22} {:<22} {:<26} {:>8} {:>9}\n",
                one.environment,
                one.model,
                short(&one.auc, 3),
                one.rows,
                one.cases
            );
        }
        text
    }

    fn group_text(&self) -> String {
        let outside = self.accusations.iter().find_map(|one| one.outside.as_ref());
        let outside = outside.map_or_else(
            || "lost outside: none".into(),
            |(environment, _)| format!("lost outside: {environment}"),
        );
        let mut text = format!("\n{:<22} {:<26} {outside:<26}\n", "group", "AUC lost inside [95 %]");
        for one in &self.accusations {
            let lost = one
                .outside
                .as_ref()
                .map_or_else(|| "–".into(), |(_, lost)| short(lost, 3));
            text += &format!("{:<22} {:<26} {lost:<26}\n", one.group, short(&one.inside, 3));
        }
        text
    }
}
