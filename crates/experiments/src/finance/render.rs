//! The outcome as rows, as a report and as text.

use disentangle_analysis::{Estimate, importance::Importance};
use disentangle_report::{MetricRow, Report};

use super::{
    outcome::{Outcome, SeriesTests},
    series_section::series_section,
    verdicts::verdicts,
};
use crate::{
    experiment::{Render, metric_row},
    present::{importance_metrics, marked},
};

impl Render for Outcome {
    fn rows(&self) -> Vec<MetricRow> {
        let row = |metric: &str, estimate: &Estimate| MetricRow {
            experiment: self.experiment.clone(),
            dataset: self.data.name.clone(),
            model: Some("sequence".into()),
            stage: Some("trained".into()),
            seed: Some(self.seed),
            ..metric_row(metric, estimate)
        };
        let on = |part: &str, row: MetricRow| MetricRow {
            split: Some(part.into()),
            ..row
        };
        let mut rows = Vec::new();
        let walk = self.walk_forward.as_ref().ok();
        for performance in self.performance.iter().chain(walk.map(|w| &w.pooled)) {
            let metrics = [
                ("roc_auc", &performance.auc),
                ("accuracy", &performance.accuracy),
                ("log_loss", &performance.log_loss),
                ("calibration_error", &performance.calibration_error),
            ];
            rows.extend(metrics.map(|(name, estimate)| MetricRow {
                model: Some(performance.model.clone()),
                ..on(&performance.part, row(name, estimate))
            }));
        }
        for (part, difference) in &self.over_logistic {
            rows.push(on(part, row("roc_auc_over_logistic", difference)));
        }
        let mut windows = Vec::new();
        let mut importance = |part: &str, importance: &Importance, params: Option<String>| {
            for (name, estimate) in importance_metrics(importance) {
                rows.push(MetricRow {
                    group: Some(importance.group.clone()),
                    params: params.clone(),
                    ..on(part, row(name, estimate))
                });
            }
        };
        for part in &self.importance {
            importance(&part.part, &part.importance, None);
        }
        if let Some(walk) = walk {
            for group in &walk.importance {
                importance("walk-forward", group, None);
            }
            for window in &walk.windows {
                let params = serde_json::json!({"from": window.span[0], "to": window.span[1]}).to_string();
                for (name, estimate) in [("roc_auc", &window.auc), ("accuracy", &window.accuracy)] {
                    windows.push(MetricRow {
                        params: Some(params.clone()),
                        ..on("walk-forward", row(name, estimate))
                    });
                }
                for group in &window.importance {
                    importance("walk-forward", group, Some(params.clone()));
                }
            }
        }
        rows.extend(windows);
        for epoch in &self.training.history {
            let params = Some(format!("{{\"epoch\":{}}}", epoch.epoch));
            for (part, value) in [("train", epoch.train_loss), ("validation", epoch.validation_loss)] {
                rows.push(MetricRow {
                    params: params.clone(),
                    ..on(part, row("epoch_loss", &Estimate::point(value, 0)))
                });
            }
        }
        let dynamics = &self.training.dynamics;
        rows.push(row("convergence_rate", &dynamics.convergence_rate));
        rows.push(row("generalisation_gap", &dynamics.generalisation_gap));
        rows.push(row("validation_loss_stability", &dynamics.stability));
        for (which, tests) in [
            ("importance", &self.importance_series),
            ("feature", &self.feature_series),
        ] {
            rows.extend(tests.iter().flat_map(|tests| series_rows(which, tests, &row)));
        }
        rows
    }

    fn report(&self) -> Report {
        Report {
            title: format!("Finance: {}", self.data.name),
            subtitle: format!(
                "{}, {} rows from {} to {}, seed {}",
                self.data.symbols.join(", "),
                self.data.rows,
                self.data.span[0].date(),
                self.data.span[1].date(),
                self.seed
            ),
            simulated: self.data.simulated,
            notices: self.data.notices.clone(),
            verdicts: verdicts(self),
            sections: vec![
                self.performance_section(),
                self.importance_section(),
                self.through_time_section(),
                self.training.section(&self.model),
                series_section("Tests on the importance series", "importance", &self.importance_series),
                series_section("Tests on the feature series", "feature", &self.feature_series),
                self.representation_section(),
                self.data_section(),
            ],
        }
    }

    fn summary(&self) -> String {
        let mut text = format!(
            "{:<12} {:<11} {:<22} {:<22}\n",
            "part", "model", "ROC AUC [95 %]", "accuracy [95 %]"
        );
        for p in self
            .performance
            .iter()
            .filter(|p| p.part != "train")
            .chain(self.walk_forward.iter().map(|w| &w.pooled))
        {
            text += &format!(
                "{:<12} {:<11} {:<22} {:<22}\n",
                p.part,
                p.model,
                p.auc.show(3),
                p.accuracy.show(3)
            );
        }
        text += &format!(
            "\n{:<12} {:<11} {:<26} {:<22}\n",
            "part", "group", "AUC lost without [95 %]", "AUC with only [95 %]"
        );
        let pooled = self
            .walk_forward
            .iter()
            .flat_map(|w| w.importance.iter().map(|i| ("walk-forward", i)));
        for (part, i) in self
            .importance
            .iter()
            .map(|p| (p.part.as_str(), &p.importance))
            .chain(pooled)
        {
            text += &format!(
                "{:<12} {:<11} {:<26} {:<22}\n",
                part,
                i.group,
                i.auc_drop.show(3),
                i.auc_only.show(3)
            );
        }
        text += "\n";
        text += &marked(&verdicts(self));
        text
    }
}

fn series_rows(which: &str, tests: &SeriesTests, row: &dyn Fn(&str, &Estimate) -> MetricRow) -> Vec<MetricRow> {
    let of = |name: &str, row: MetricRow| MetricRow {
        group: Some(name.into()),
        ..row
    };
    let mut rows = Vec::new();
    for series in &tests.series {
        rows.push(of(&series.name, row(&format!("{which}_trend"), &series.trend)));
        rows.push(of(
            &series.name,
            row(&format!("{which}_volatility"), &series.volatility),
        ));
        if let Ok(season) = &series.season {
            let estimate = Estimate {
                p: Some(season.p),
                q: series.season_q,
                ..Estimate::point(season.period, tests.length)
            };
            rows.push(of(&series.name, row(&format!("{which}_period"), &estimate)));
        }
    }
    for pair in &tests.pairs {
        let name = pair.names.join(" -> ");
        rows.push(of(&name, row(&format!("{which}_correlation"), &pair.correlation)));
        if let Ok(granger) = &pair.granger {
            let estimate = Estimate {
                p: Some(granger.p),
                q: pair.granger_q,
                ..Estimate::point(granger.f, granger.rows)
            };
            rows.push(of(&name, row(&format!("{which}_granger_f"), &estimate)));
            rows.push(of(
                &name,
                row(
                    &format!("{which}_granger_lag"),
                    &Estimate::point(granger.lag as f64, granger.rows),
                ),
            ));
        }
    }
    rows
}
