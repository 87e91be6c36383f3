//! The outcome as rows, as a report and as text.

use disentangle_analysis::{Estimate, descriptive::mean};
use disentangle_report::{MetricRow, Report};
use serde_json::json;

use super::{
    measure::VALUES,
    outcome::{Compared, Outcome, StrategyOutcome},
    sections,
    trade_off::trade_off,
    verdicts::verdicts,
};
use crate::{
    experiment::{Render, metric_row},
    present::{marked, short},
};

/// Metrics of an environment.
const METRICS: [&str; 3] = ["accuracy", "roc_auc", "worst_group_accuracy"];

impl Render for Outcome {
    fn rows(&self) -> Vec<MetricRow> {
        let mut rows = Vec::new();
        for one in &self.strategies {
            for (name, compared) in VALUES.iter().zip(&one.values) {
                rows.extend(self.compared(one, name, compared));
            }
            for (environment, compared) in self.environments.iter().zip(&one.environments) {
                let numbers = METRICS.iter().zip(compared);
                let own = numbers.flat_map(|(name, compared)| self.compared(one, name, compared));
                rows.extend(own.map(|row| MetricRow {
                    environment: Some(environment.clone()),
                    ..row
                }));
            }
            let impact = &one.impact;
            for (group, compared) in self.groups.iter().zip(&impact.importance) {
                let own = self.compared(one, "roc_auc_drop", compared);
                rows.extend(own.into_iter().map(|row| MetricRow {
                    group: Some(group.clone()),
                    ..row
                }));
            }
            rows.push(self.row(one, "boundary_shift", &impact.boundary_shift));
            rows.push(self.row(one, "representation_distance", &impact.representation_distance));
        }
        rows
    }

    fn report(&self) -> Report {
        let mut sections = vec![
            trade_off(self),
            sections::by_environment(self),
            sections::shortcut_use(self),
        ];
        sections.extend(sections::changes(self));
        sections.push(sections::explained(self));
        Report {
            title: format!("Mitigation: {} with {}", self.dataset, self.model.family),
            subtitle: format!(
                "{} strategies against `{}`, {} trainings of each from the same initial weights, seed {}",
                self.strategies.len(),
                self.group,
                self.repeats,
                self.seed
            ),
            simulated: self.simulated,
            notices: self.notices.clone(),
            verdicts: verdicts(self),
            sections,
        }
    }

    fn summary(&self) -> String {
        let mut text = format!("{:<22}", "strategy");
        for environment in &self.environments {
            text += &format!(" {:<24}", format!("accuracy, {environment}"));
        }
        text += &format!(" {:<24} {:<24}", "worst group, validation", "effect of the shortcut");
        text += if self.seconds.is_empty() {
            " epochs\n"
        } else {
            " epochs, seconds\n"
        };
        for (place, one) in self.strategies.iter().enumerate() {
            text += &format!("{:<22}", one.name);
            for environment in &one.environments {
                text += &format!(" {:<24}", short(&environment[0].value, 3));
            }
            for name in ["validation_worst_group", "shortcut_effect"] {
                let shown = one.value(name).map_or_else(String::new, |value| short(&value.value, 2));
                text += &format!(" {shown:<24}");
            }
            let epochs = one.value("epochs").and_then(|epochs| epochs.value.value);
            text += &format!(" {:.0}", epochs.unwrap_or(0.0));
            if let Some(seconds) = self.seconds.get(place).and_then(|seconds| mean(seconds)) {
                text += &format!(", {seconds:.1}");
            }
            text += "\n";
        }
        text + "\n" + &marked(&verdicts(self))
    }
}

impl Outcome {
    /// A number, its difference from plain training, and this with an interval over rows where there is one.
    fn compared(&self, one: &StrategyOutcome, name: &str, compared: &Compared) -> Vec<MetricRow> {
        let mut rows = vec![
            self.row(one, name, &compared.value),
            self.row(one, &format!("{name}_over_erm"), &compared.over_erm),
        ];
        let of_rows = compared.over_erm_rows.as_ref();
        rows.extend(of_rows.map(|estimate| self.row(one, &format!("{name}_over_erm_rows"), estimate)));
        rows
    }

    fn row(&self, one: &StrategyOutcome, metric: &str, estimate: &Estimate) -> MetricRow {
        let split = match metric {
            epochs if epochs.starts_with("epochs") => "train",
            validation if validation.starts_with("validation") => "validation",
            _ => "test",
        };
        MetricRow {
            experiment: self.experiment.clone(),
            dataset: self.dataset.clone(),
            model: Some(self.model.family.clone()),
            strategy: Some(one.name.clone()),
            stage: Some("after".into()),
            seed: Some(self.seed),
            split: Some(split.into()),
            params: Some(json!({ "strategy": one.name }).to_string()),
            ..metric_row(metric, estimate)
        }
    }
}
