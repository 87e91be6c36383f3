//! The outcome as rows, as a report and as text.

use disentangle_analysis::{Estimate, descriptive::mean};
use disentangle_report::{MetricRow, Report};

use super::{
    measure::VALUES,
    outcome::{Compared, FamilyOutcome, Outcome},
    sections,
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
        let mut rows: Vec<MetricRow> = self.families.iter().flat_map(|one| self.family_rows(one)).collect();
        let best = self.ranked().first().map(|family| family.name.clone());
        rows.push(MetricRow {
            experiment: self.experiment.clone(),
            dataset: self.dataset.clone(),
            model: best,
            stage: Some("trained".into()),
            seed: Some(self.seed),
            environment: self.environments.first().cloned(),
            split: Some(split(self.environments.first()).into()),
            ..metric_row("lead_over_the_next", &self.ranking.lead)
        });
        rows
    }

    fn report(&self) -> Report {
        Report {
            title: format!("Variants of the architecture on {}", self.dataset),
            subtitle: format!(
                "{} families, {} trainings of each on the same rows, {} training rows, seed {}",
                self.families.len(),
                self.repeats,
                self.train_rows,
                self.seed
            ),
            simulated: self.simulated,
            notices: self.notices.clone(),
            verdicts: verdicts(self),
            sections: sections::all(self),
        }
    }

    fn summary(&self) -> String {
        let mut text = format!("{:<5} {:<14}", "rank", "family");
        for environment in &self.environments {
            text += &format!(" {:<24}", format!("accuracy, {environment}"));
        }
        text += &format!(
            " {:<24} {:<24} {:<24} {:<12}",
            "worst group", "noise sensitivity", "feature sensitivity", "parameters"
        );
        text += if self.seconds.is_empty() { "\n" } else { " seconds\n" };
        for (rank, &place) in self.ranking.order.iter().enumerate() {
            let Some(one) = self.families.get(place) else { continue };
            text += &format!("{:<5} {:<14}", rank + 1, one.name);
            for environment in &one.environments {
                text += &format!(" {:<24}", short(&environment[0].value, 3));
            }
            let worst = one.environments.first().map(|scores| &scores[2]);
            let sensitivities = ["noise_sensitivity", "feature_sensitivity"].map(|name| one.value(name));
            for compared in std::iter::once(worst).chain(sensitivities) {
                let shown = compared.map_or_else(String::new, |compared| short(&compared.value, 4));
                text += &format!(" {shown:<24}");
            }
            text += &format!(" {:<12}", one.parameters);
            if let Some(seconds) = self.seconds.get(place).and_then(|seconds| mean(seconds)) {
                text += &format!(" {seconds:.1}");
            }
            text += "\n";
        }
        text + "\n" + &marked(&verdicts(self))
    }
}

/// Prices name their environments after the parts of the data, generators after what holds there in the test part.
fn split(environment: Option<&String>) -> &'static str {
    match environment.map(String::as_str) {
        Some("validation") => "validation",
        _ => "test",
    }
}

impl Outcome {
    /// A number of a family on the rows of an environment, the main ones if none is named.
    fn row(&self, one: &FamilyOutcome, environment: Option<&String>, metric: &str, estimate: &Estimate) -> MetricRow {
        let environment = environment.or(self.environments.first());
        MetricRow {
            experiment: self.experiment.clone(),
            dataset: self.dataset.clone(),
            model: Some(one.name.clone()),
            stage: Some("trained".into()),
            seed: Some(self.seed),
            environment: environment.cloned(),
            split: Some(split(environment).into()),
            ..metric_row(metric, estimate)
        }
    }

    /// A number, and its difference from the first family's.
    fn compared(
        &self,
        one: &FamilyOutcome,
        environment: Option<&String>,
        metric: &str,
        compared: &Compared,
    ) -> [MetricRow; 2] {
        [
            self.row(one, environment, metric, &compared.value),
            self.row(one, environment, &format!("{metric}_over_first"), &compared.over_first),
        ]
    }

    fn family_rows(&self, one: &FamilyOutcome) -> Vec<MetricRow> {
        let mut rows = vec![
            self.row(
                one,
                None,
                "parameters",
                &Estimate::point(one.parameters as f64, self.repeats),
            ),
            self.row(one, None, "completeness_gap", &one.completeness_gap),
        ];
        for (environment, scores) in self.environments.iter().zip(&one.environments) {
            for (metric, score) in METRICS.iter().zip(scores) {
                rows.extend(self.compared(one, Some(environment), metric, score));
            }
        }
        for (value, compared) in VALUES.iter().zip(&one.values) {
            rows.extend(self.compared(one, None, value.name, compared));
        }
        for (group, compared) in self.groups.iter().zip(&one.attribution) {
            let own = self.compared(one, None, "attribution_share", compared);
            rows.extend(own.map(|row| MetricRow {
                group: Some(group.clone()),
                ..row
            }));
        }
        for site in &one.sites {
            let metrics = [
                ("effective_rank", &site.effective_rank),
                ("condition_number_log10", &site.condition_log10),
                ("dropped_directions", &site.dropped),
                ("sparsity", &site.sparsity),
            ];
            rows.extend(metrics.map(|(metric, estimate)| MetricRow {
                site: Some(site.site.clone()),
                ..self.row(one, None, metric, estimate)
            }));
        }
        rows
    }
}
