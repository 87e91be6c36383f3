//! The outcome as rows, as a report and as text.

use disentangle_analysis::Estimate;
use disentangle_report::{MetricRow, Report};
use serde_json::{Value, json};

use super::{
    outcome::{AttentionPart, Outcome, Stage, WeightPart},
    sections,
    verdicts::{strongest, verdicts},
};
use crate::{
    experiment::{Render, metric_row},
    present::{marked, short},
};

/// Components in the summary.
const COMPONENTS: usize = 8;

impl Render for Outcome {
    fn rows(&self) -> Vec<MetricRow> {
        let mut rows = Vec::new();
        for (name, stage) in self.stages() {
            let of = Of { outcome: self, name };
            let own = [("accuracy", &stage.accuracy), ("roc_auc", &stage.auc)];
            rows.extend(own.map(|(metric, estimate)| of.row(Value::Null, metric, estimate)));
            rows.extend(stage.attention.iter().flat_map(|part| of.attention_rows(part)));
            rows.extend(stage.weights.iter().flat_map(|part| of.weight_rows(part)));
            rows.extend(of.site_rows(stage));
            rows.extend(of.component_rows(stage));
        }
        let of = Of {
            outcome: self,
            name: "trained",
        };
        for change in &self.changes {
            let metrics = [
                ("attention_entropy_over_initial", &change.entropy),
                ("head_diversity_over_initial", &change.diversity),
            ];
            rows.extend(metrics.map(|(metric, estimate)| MetricRow {
                site: Some(change.place.clone()),
                ..of.row(Value::Null, metric, estimate)
            }));
        }
        rows
    }

    fn report(&self) -> Report {
        Report {
            title: format!("Components: {} with {}", self.data.name, self.model.family),
            subtitle: format!(
                "{} rows of `{}`, {} training rows, before and after training, seed {}",
                self.data.rows, self.data.environment, self.data.train_rows, self.seed
            ),
            simulated: self.data.simulated,
            notices: self.data.notices.clone(),
            verdicts: verdicts(self),
            sections: sections::all(self),
        }
    }

    fn summary(&self) -> String {
        let mut text = format!("{:<10} {:<24} {:<24}\n", "stage", "accuracy [95 %]", "ROC AUC [95 %]");
        for (name, stage) in self.stages() {
            let (accuracy, auc) = (short(&stage.accuracy, 3), short(&stage.auc, 3));
            text += &format!("{name:<10} {accuracy:<24} {auc:<24}\n");
        }
        text += &format!(
            "\n{:<28} {:<24} {:<24} {:<24}\n",
            "attention, trained", "entropy [95 %]", "head diversity [95 %]", "disagreement [95 %]"
        );
        for part in &self.trained.attention {
            let shown = [&part.entropy, &part.diversity, &part.disagreement].map(|estimate| short(estimate, 3));
            text += &format!(
                "{:<28} {:<24} {:<24} {:<24}\n",
                part.place, shown[0], shown[1], shown[2]
            );
        }
        text += &format!(
            "\n{:<40} {:<16} {:<24} {:<24}\n",
            "component, trained", "kind", "E|change of the logit|", "accuracy lost [95 %]"
        );
        for one in strongest(&self.trained).into_iter().take(COMPONENTS) {
            let (size, lost) = (short(&one.size, 3), short(&one.accuracy_lost, 3));
            text += &format!("{:<40} {:<16} {size:<24} {lost:<24}\n", one.component, one.kind);
        }
        text + "\n" + &marked(&verdicts(self))
    }
}

/// A value without an interval; `None` with the reason.
fn point(value: Option<f64>, reason: &str, n: usize) -> Estimate {
    value.map_or_else(|| Estimate::undefined(reason, n), |value| Estimate::point(value, n))
}

/// A stage by its name.
struct Of<'a> {
    outcome: &'a Outcome,
    name: &'static str,
}

impl Of<'_> {
    /// `params` are grid keys; the stage before training is one of them, so that nobody takes its numbers for those of the trained model.
    fn row(&self, mut params: Value, metric: &str, estimate: &Estimate) -> MetricRow {
        let data = &self.outcome.data;
        if self.name == "initial" {
            params["stage"] = "initial".into();
        }
        // Prices name their environments after the parts of the data, generators after what holds there in the test part.
        let split = match data.environment.as_str() {
            "validation" => "validation",
            _ => "test",
        };
        MetricRow {
            experiment: self.outcome.experiment.clone(),
            dataset: data.name.clone(),
            model: Some(self.outcome.model.family.clone()),
            stage: Some(self.name.into()),
            seed: Some(self.outcome.seed),
            environment: Some(data.environment.clone()),
            split: Some(split.into()),
            params: (!params.is_null()).then(|| params.to_string()),
            ..metric_row(metric, estimate)
        }
    }

    fn attention_rows(&self, part: &AttentionPart) -> Vec<MetricRow> {
        let whole = [
            ("attention_entropy", &part.entropy),
            ("head_diversity", &part.diversity),
            ("head_disagreement", &part.disagreement),
        ];
        let whole = whole.map(|(metric, estimate)| MetricRow {
            site: Some(part.place.clone()),
            ..self.row(Value::Null, metric, estimate)
        });
        let mut rows: Vec<MetricRow> = whole.into();
        for head in &part.heads {
            let metrics = [
                ("head_entropy", &head.entropy),
                ("head_largest_weight", &head.largest),
                ("head_specialisation", &head.specialisation),
            ];
            rows.extend(metrics.map(|(metric, estimate)| MetricRow {
                site: Some(part.place.clone()),
                head: Some(head.head as u32),
                ..self.row(json!({ "head": head.head }), metric, estimate)
            }));
        }
        rows
    }

    fn weight_rows(&self, part: &WeightPart) -> Vec<MetricRow> {
        let n = part.shape.iter().product();
        let none = "it is no matrix, or is 0";
        let metrics = [
            ("weight_mean", Some(part.mean)),
            ("weight_std", Some(part.std)),
            ("weight_norm", Some(part.norm)),
            ("weight_sparsity", Some(part.sparsity)),
            ("spectral_norm", part.spectral_norm),
            ("stable_rank", part.stable_rank),
            ("weight_moved", part.moved),
        ];
        metrics
            .map(|(metric, value)| {
                let params = json!({ "parameter": part.name });
                self.row(params, metric, &point(value, none, n))
            })
            .into()
    }

    fn site_rows(&self, stage: &Stage) -> Vec<MetricRow> {
        let rows = stage.activations.iter().flat_map(|part| {
            let dead = Estimate::point(part.dead as f64, part.neurons);
            let metrics = [
                ("activation_mean", &part.mean),
                ("activation_std", &part.std),
                ("sparsity", &part.sparsity),
                ("dead_neurons", &dead),
            ];
            metrics.map(|(metric, estimate)| MetricRow {
                site: Some(part.site.clone()),
                ..self.row(Value::Null, metric, estimate)
            })
        });
        rows.collect()
    }

    fn component_rows(&self, stage: &Stage) -> Vec<MetricRow> {
        let mut rows = Vec::new();
        for pair in &stage.interactions {
            rows.push(MetricRow {
                site: Some(pair.to.clone()),
                ..self.row(json!({ "from": pair.from }), "linear_cka", &pair.cka)
            });
        }
        for one in &stage.importance {
            let metrics = [
                ("component_mean_change", &one.mean_change),
                ("component_importance", &one.size),
                ("component_accuracy_lost", &one.accuracy_lost),
            ];
            let params = || json!({ "component": one.component });
            rows.extend(metrics.map(|(metric, estimate)| self.row(params(), metric, estimate)));
        }
        rows
    }
}
