//! The outcome as rows, as a report and as text.

use disentangle_analysis::Estimate;
use disentangle_report::{Block, Mark, MetricRow, Report, Section, Values};
use serde_json::json;

use super::{
    measure::VALUES,
    outcome::{Compared, Outcome, StrategyOutcome},
    verdicts::verdicts,
};
use crate::{
    experiment::{Render, metric_row},
    present::{cell, figure, marked, table, with_interval},
};

/// Metrics of an environment.
const METRICS: [&str; 3] = ["accuracy", "roc_auc", "worst_group_accuracy"];

impl Render for Outcome {
    fn rows(&self) -> Vec<MetricRow> {
        let mut rows = Vec::new();
        for one in &self.strategies {
            for (name, compared) in VALUES.iter().zip(&one.values) {
                rows.extend(self.pair(one, name, compared, None));
            }
            for (environment, compared) in self.environments.iter().zip(&one.environments) {
                for (name, compared) in METRICS.iter().zip(compared) {
                    rows.extend(self.pair(one, name, compared, Some(environment)));
                }
            }
        }
        rows
    }

    fn report(&self) -> Report {
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
            sections: vec![
                self.trade_off(),
                self.by_environment(),
                self.shortcut_use(),
                self.explained(),
            ],
        }
    }

    fn summary(&self) -> String {
        let mut text = format!("{:<16}", "strategy");
        for environment in &self.environments {
            text += &format!(" {:<24}", format!("accuracy, {environment}"));
        }
        text += &format!(" {:<24} {:<24}\n", "worst group, validation", "effect of the shortcut");
        for one in &self.strategies {
            text += &format!("{:<16}", one.name);
            for environment in &one.environments {
                text += &format!(" {:<24}", environment[0].value.show(3));
            }
            for name in ["validation_worst_group", "shortcut_effect"] {
                let shown = one.value(name).map_or_else(String::new, |value| value.value.show(2));
                text += &format!(" {shown:<24}");
            }
            text += "\n";
        }
        text + "\n" + &marked(&verdicts(self))
    }
}

impl Outcome {
    /// A number and its difference from plain training.
    fn pair(
        &self,
        one: &StrategyOutcome,
        name: &str,
        compared: &Compared,
        environment: Option<&String>,
    ) -> [MetricRow; 2] {
        let row = |metric: &str, estimate: &Estimate| MetricRow {
            experiment: self.experiment.clone(),
            dataset: self.dataset.clone(),
            model: Some(self.model.family.clone()),
            strategy: Some(one.name.clone()),
            stage: Some("after".into()),
            seed: Some(self.seed),
            environment: environment.cloned(),
            split: Some(
                if name.starts_with("validation") {
                    "validation"
                } else {
                    "test"
                }
                .into(),
            ),
            params: Some(json!({ "strategy": one.name }).to_string()),
            ..metric_row(metric, estimate)
        };
        [
            row(name, &compared.value),
            row(&format!("{name}_over_erm"), &compared.over_erm),
        ]
    }

    fn names(&self) -> Vec<String> {
        self.strategies.iter().map(|one| one.name.clone()).collect()
    }

    /// One point a strategy: accuracy where training saw the environment against that where the shortcut fails.
    fn trade_off(&self) -> Section {
        let (place, hardest) = self.hardest();
        let first = self.environments.first().map_or("", String::as_str);
        let series = self.strategies.iter().filter_map(|one| {
            let inside = one.environments.first()?[0].value.value?;
            let outside = &one.environments.get(place)?[0].value;
            Some(with_interval(
                &one.name,
                Mark::Points,
                Values::Numbers(vec![inside]),
                &[outside],
            ))
        });
        Section {
            title: "What is gained and what it costs".into(),
            text: vec![format!(
                "Every strategy starts from the same initial weights on the same rows, {} times with other rows and weights; intervals are Student's t over these trainings, and differences are paired.",
                self.repeats
            )],
            blocks: vec![
                figure(
                    "trade-off",
                    &format!("Accuracy inside and in {hardest}"),
                    "Up is better where the shortcut fails, right is better where it holds; a strategy with another one above and to the right of it is beaten in both.",
                    [&format!("accuracy, {first}"), &format!("accuracy, {hardest}"), ""],
                    series.collect(),
                    vec![],
                ),
                self.choices(),
            ],
        }
    }

    fn choices(&self) -> Block {
        let chosen = &self.chosen;
        let worst = chosen
            .worst_group
            .clone()
            .unwrap_or_else(|| "groups are unknown".into());
        let rows = [
            ("mean validation accuracy", chosen.mean_accuracy.clone()),
            ("worst-group validation accuracy", worst),
            (
                "oracle: accuracy in the last environment, which a rule must not see",
                chosen.oracle.clone(),
            ),
        ];
        let rows = rows.into_iter().map(|(rule, name)| vec![rule.into(), name.into()]);
        table("What each rule takes", &["rule", "strategy"], rows.collect())
    }

    fn by_environment(&self) -> Section {
        let series = self.environments.iter().enumerate().map(|(place, environment)| {
            let values: Vec<&Estimate> = self
                .strategies
                .iter()
                .map(|one| &one.environments[place][0].value)
                .collect();
            with_interval(environment, Mark::Bar, Values::Names(self.names()), &values)
        });
        let mut rows = Vec::new();
        for one in &self.strategies {
            for (environment, [accuracy, auc, worst]) in self.environments.iter().zip(&one.environments) {
                rows.push(vec![
                    one.name.clone().into(),
                    environment.clone().into(),
                    cell(&accuracy.value, 3),
                    cell(&accuracy.over_erm, 3),
                    cell(&auc.value, 3),
                    cell(&auc.over_erm, 3),
                    cell(&worst.value, 3),
                    cell(&worst.over_erm, 3),
                ]);
            }
        }
        let columns = [
            "strategy",
            "environment",
            "accuracy",
            "over erm",
            "ROC AUC",
            "over erm",
            "worst group",
            "over erm",
        ];
        Section {
            title: "Every environment".into(),
            text: vec!["The worst group is the (label, shortcut) group with the least accuracy, where the shortcut's value is known.".into()],
            blocks: vec![
                figure(
                    "environments",
                    "Accuracy by strategy and environment",
                    "Bars of a strategy at one height do not depend on whether the shortcut holds; at the dotted line a coin is as good.",
                    ["strategy", "accuracy", ""],
                    series.collect(),
                    vec![0.5],
                ),
                table("Means over trainings with 95 % intervals, and paired differences from plain training", &columns, rows),
            ],
        }
    }

    fn shortcut_use(&self) -> Section {
        let of = |name: &str| -> Vec<Estimate> {
            let values = self.strategies.iter().map(|one| one.value(name));
            values
                .map(|value| value.map_or_else(Estimate::default, |value| value.value.clone()))
                .collect()
        };
        let (effect, drop) = (of("shortcut_effect"), of("shortcut_auc_drop"));
        let series = [("effect on the output", &effect), ("AUC lost without it", &drop)];
        let series = series.map(|(name, values)| {
            with_interval(
                name,
                Mark::Bar,
                Values::Names(self.names()),
                &values.iter().collect::<Vec<_>>(),
            )
        });
        let rows = self.strategies.iter().map(|one| {
            let mut cells = vec![one.name.clone().into()];
            cells.extend(one.values.iter().map(|value| cell(&value.value, 3)));
            cells
        });
        let columns: Vec<&str> = std::iter::once("strategy").chain(VALUES).collect();
        Section {
            title: "How much of the shortcut is left".into(),
            text: vec![format!(
                "The effect is the mean change of the logit when `{}` is taken from a row of the other side, in standard deviations of the logit, on the main rows. Interference (mean |correlation| of two neurons minus its noise level) and effective rank are of the pooled activations: superposition before (erm) and after.",
                self.group
            )],
            blocks: vec![
                figure(
                    "shortcut",
                    "Use of the shortcut by strategy",
                    "Nearer to 0 is less use of the shortcut than plain training (erm) makes.",
                    ["strategy", "effect, loss of AUC", ""],
                    series.into(),
                    vec![0.0],
                ),
                table("Means over trainings with 95 % intervals", &columns, rows.collect()),
            ],
        }
    }

    fn explained(&self) -> Section {
        let rows = self.strategies.iter().map(|one| {
            vec![
                one.name.clone().into(),
                one.about.clone().into(),
                one.source.clone().into(),
            ]
        });
        let left = self
            .skipped
            .iter()
            .map(|one| vec![one.strategy.clone().into(), one.why.clone().into()]);
        let mut blocks = vec![table(
            "Strategies",
            &["strategy", "what it does", "source"],
            rows.collect(),
        )];
        if !self.skipped.is_empty() {
            blocks.push(table("Left out", &["strategy", "why"], left.collect()));
        }
        Section {
            title: "The strategies".into(),
            text: vec![format!(
                "The model is {} with {} parameters.",
                self.model.family, self.model.parameters
            )],
            blocks,
        }
    }
}
