//! The outcome as rows, as a report and as text.

use disentangle_analysis::Estimate;
use disentangle_report::{MetricRow, Report};
use serde_json::json;

use super::{
    outcome::{Outcome, PlantOutcome},
    sections,
    verdicts::verdicts,
};
use crate::{
    experiment::{Render, metric_row},
    present::{marked, short},
};

impl Render for Outcome {
    fn rows(&self) -> Vec<MetricRow> {
        self.plants.iter().flat_map(|plant| self.rows_of(plant)).collect()
    }

    fn report(&self) -> Report {
        let mut sections = sections::all(self);
        sections.push(sections::explained(self));
        Report {
            title: "Which groups are shortcuts".into(),
            subtitle: format!(
                "{}, seed {}",
                self.plants
                    .iter()
                    .map(|plant| format!("{} ({} draws)", plant.name, plant.repeats.len()))
                    .collect::<Vec<_>>()
                    .join(", "),
                self.seed
            ),
            simulated: self.simulated,
            notices: self.notices.clone(),
            verdicts: verdicts(self),
            sections,
        }
    }

    fn summary(&self) -> String {
        let mut text = String::new();
        for plant in self.plants.iter().filter(|plant| plant.generated) {
            if text.is_empty() {
                text = format!(
                    "{:<24} {:<20} {:<20} {:<20} {}\n",
                    "planted", "shortcuts found", "causes accused", "causes passed", "AUROC of the score"
                );
            }
            let accuracy = &plant.accuracy;
            text += &format!(
                "{:<24} {:<20} {:<20} {:<20} {}\n",
                plant.name,
                short(&accuracy.found, 2),
                short(&accuracy.accused, 2),
                short(&accuracy.passed, 2),
                plant
                    .scores
                    .first()
                    .map_or_else(String::new, |one| short(&one.auroc, 2))
            );
        }
        for plant in self.plants.iter().filter(|plant| !plant.generated) {
            text += &format!(
                "{:<20} {:<10} {:<20} {:<26} {:<10} {}\n",
                "group", "standing", "AUC", "instability (null 95 %)", "q", "score"
            );
            for group in plant.repeats.iter().flat_map(|repeat| &repeat.groups) {
                let detected = &group.detected;
                let show = |value: Option<f64>| value.map_or_else(|| "–".into(), |value| format!("{value:.3}"));
                text += &format!(
                    "{:<20} {:<10} {:<20} {:<26} {:<10} {}\n",
                    detected.group,
                    sections::word(detected.standing),
                    detected.power.auc.show(2),
                    format!(
                        "{} ({})",
                        show(detected.instability.value),
                        show(detected.instability.null_quantile)
                    ),
                    show(detected.instability.q),
                    show(detected.score)
                );
            }
        }
        text + "\n" + &marked(&verdicts(self))
    }
}

impl Outcome {
    fn rows_of(&self, plant: &PlantOutcome) -> Vec<MetricRow> {
        let row = |metric: &str, estimate: &Estimate, group: Option<&str>, params: serde_json::Value| MetricRow {
            experiment: self.experiment.clone(),
            dataset: plant.name.clone(),
            seed: Some(self.seed),
            group: group.map(Into::into),
            params: Some(params.to_string()),
            ..metric_row(metric, estimate)
        };
        let of_plant =
            |metric: &str, estimate: &Estimate| row(metric, estimate, None, json!({ "dataset": plant.name }));
        let accuracy = &plant.accuracy;
        let mut rows = vec![
            of_plant("shortcuts_found", &accuracy.found),
            of_plant("causes_accused", &accuracy.accused),
            of_plant("causes_passed", &accuracy.passed),
            of_plant("shortcuts_passed", &accuracy.missed),
        ];
        for score in &plant.scores {
            let params = json!({ "dataset": plant.name, "score": score.score });
            rows.push(row("detection_auroc", &score.auroc, None, params));
        }
        for (repeat, outcome) in plant.repeats.iter().enumerate() {
            for group in &outcome.groups {
                let detected = &group.detected;
                let point = |value: Option<f64>| match value {
                    Some(value) => Estimate::point(value, outcome.rows),
                    None => Estimate::undefined("not measured here", outcome.rows),
                };
                let mut instability = point(detected.instability.value);
                (instability.p, instability.q) = (detected.instability.p, detected.instability.q);
                for (metric, estimate) in [
                    ("group_auc", detected.power.auc.clone()),
                    ("instability", instability),
                    ("spurious_score", point(detected.score)),
                    ("distribution_shift", point(group.shift.excess)),
                    ("temporal_consistency", point(group.temporal_consistency)),
                    ("counterfactual_impact", point(group.impact)),
                    (
                        "causal_strength",
                        point(group.causal.as_ref().and_then(|causal| causal.value)),
                    ),
                ] {
                    let params = json!({ "dataset": plant.name, "repeat": repeat });
                    rows.push(row(metric, &estimate, Some(&detected.group), params));
                }
            }
        }
        rows
    }
}
