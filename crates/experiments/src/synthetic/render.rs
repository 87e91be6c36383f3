//! The outcome as rows, as a report and as text.

use disentangle_analysis::Estimate;
use disentangle_report::{MetricRow, Report};

use super::{outcome::Outcome, sections, verdicts::verdicts};
use crate::{
    experiment::{Render, metric_row},
    present::{importance_metrics, marked},
    study::SiteStudy,
};

impl Render for Outcome {
    fn rows(&self) -> Vec<MetricRow> {
        let row = |metric: &str, estimate: &Estimate| MetricRow {
            experiment: self.experiment.clone(),
            dataset: self.data.name.clone(),
            model: Some(self.model.family.clone()),
            stage: Some("trained".into()),
            seed: Some(self.seed),
            ..metric_row(metric, estimate)
        };
        let mut rows = Vec::new();
        for one in &self.performance {
            let on = |row: MetricRow| MetricRow {
                split: Some(one.part.clone()),
                environment: one.environment.clone(),
                ..row
            };
            let metrics = [
                ("roc_auc", &one.auc),
                ("accuracy", &one.accuracy),
                ("log_loss", &one.log_loss),
            ];
            rows.extend(metrics.map(|(name, estimate)| on(row(name, estimate))));
            rows.extend(
                one.worst_group
                    .iter()
                    .map(|worst| on(row("worst_group_accuracy", worst))),
            );
            rows.extend(one.subgroups.iter().map(|(group, estimate)| MetricRow {
                group: Some(group.clone()),
                ..on(row("accuracy", estimate))
            }));
        }
        for one in &self.importance {
            let metrics = importance_metrics(&one.importance);
            rows.extend(metrics.map(|(name, estimate)| MetricRow {
                split: Some("test".into()),
                environment: Some(one.environment.clone()),
                group: Some(one.importance.group.clone()),
                ..row(name, estimate)
            }));
        }
        for study in &self.sites {
            rows.extend(site_rows(study).into_iter().map(|(name, estimate)| MetricRow {
                stage: Some(study.stage.clone()),
                site: Some(study.site.clone()),
                ..row(&name, &estimate)
            }));
        }
        for site in &self.neurons {
            for (neuron, importance) in site.neurons.iter().enumerate() {
                let estimate = Estimate::point(importance.mean_square, site.rows);
                rows.push(MetricRow {
                    site: Some(site.site.clone()),
                    params: Some(format!("{{\"neuron\":{neuron}}}")),
                    ..row("neuron_importance", &estimate)
                });
            }
        }
        if let Ok(found) = &self.autoencoder {
            let n = found.metrics.rows;
            let value = |value: Option<f64>| match value {
                Some(value) => Estimate::point(value, n),
                None => Estimate::undefined("undefined", n),
            };
            let metrics = [
                ("autoencoder_l0", Some(found.metrics.l0)),
                ("autoencoder_dead_latents", Some(found.metrics.dead as f64)),
                ("autoencoder_explained_variance", found.metrics.explained_variance),
                ("autoencoder_psi", found.metrics.psi),
                ("autoencoder_recovery", found.recovery.as_ref().map(|r| r.mean_matched)),
            ];
            rows.extend(metrics.map(|(name, of)| MetricRow {
                site: Some(found.site.clone()),
                ..row(name, &value(of))
            }));
        }
        rows
    }

    fn report(&self) -> Report {
        Report {
            title: format!("Synthetic: {} with {}", self.data.name, self.model.family),
            subtitle: format!(
                "{} columns in {} groups, {} training rows, seed {}",
                self.data.features,
                self.data.groups.len(),
                self.data
                    .parts
                    .iter()
                    .filter(|p| p.part == "train")
                    .map(|p| p.rows)
                    .sum::<usize>(),
                self.seed
            ),
            simulated: true,
            notices: self.data.notices.clone(),
            verdicts: verdicts(self),
            sections: sections::all(self),
        }
    }

    fn summary(&self) -> String {
        let mut text = format!(
            "{:<12} {:<14} {:<22} {:<22} {:<22}\n",
            "part", "environment", "ROC AUC [95 %]", "accuracy [95 %]", "worst group [95 %]"
        );
        for one in &self.performance {
            let worst = one
                .worst_group
                .as_ref()
                .map_or_else(|| "–".into(), |worst| worst.show(3));
            text += &format!(
                "{:<12} {:<14} {:<22} {:<22} {worst:<22}\n",
                one.part,
                one.environment.as_deref().unwrap_or("all"),
                one.auc.show(3),
                one.accuracy.show(3)
            );
        }
        text += &format!(
            "\n{:<24} {:<26} {:<10} {:<10} {}\n",
            "site", "effective rank [95 %]", "overlap", "(chance)", "dead"
        );
        for study in self.sites.iter().filter(|study| study.stage == "trained") {
            let number = |value: Option<f64>| value.map_or_else(|| "–".into(), |value| format!("{value:.3}"));
            text += &format!(
                "{:<24} {:<26} {:<10} {:<10} {} of {}\n",
                study.site,
                // A reason would not fit.
                study
                    .measures
                    .effective_rank
                    .value
                    .map_or_else(|| "–".into(), |_| study.measures.effective_rank.show(1)),
                number(study.overlap.mean),
                number(study.overlap.mean_chance),
                study.measures.statistics.dead,
                study.measures.columns
            );
        }
        text += "\n";
        text += &marked(&verdicts(self));
        text
    }
}

/// Names and values of everything that is measured of a site.
pub(crate) fn site_rows(study: &SiteStudy) -> Vec<(String, Estimate)> {
    let measures = &study.measures;
    let n = measures.rows;
    let value = |value: Option<f64>| match value {
        Some(value) => Estimate::point(value, n),
        None => Estimate::undefined("undefined", n),
    };
    let mut rows: Vec<(String, Estimate)> = [
        ("effective_rank", measures.effective_rank.clone()),
        ("participation_ratio", measures.participation_ratio.clone()),
        ("alignment", measures.alignment.clone()),
        ("interference", measures.interference.clone()),
        ("excess_interference", measures.excess_interference.clone()),
        ("compression_ratio", value(measures.spectrum.compression_ratio)),
        ("spectral_slope", value(measures.spectrum.spectral_slope)),
        ("condition_number", value(measures.spectrum.condition_number)),
        ("activation_mean", value(Some(measures.statistics.mean))),
        ("activation_std", value(Some(measures.statistics.std))),
        ("sparsity", value(Some(measures.statistics.sparsity))),
        ("dead_neurons", value(Some(measures.statistics.dead as f64))),
        ("mean_overlap", value(study.overlap.mean)),
        ("largest_overlap", value(study.overlap.most)),
        ("mean_overlap_by_chance", value(study.overlap.mean_chance)),
        ("column_dimensionality", study.columns.mean.clone()),
        ("column_r2", value(study.columns.held_out_r2)),
        ("group_dimensionality", study.groups.mean.clone()),
        ("group_r2", value(study.groups.held_out_r2)),
    ]
    .into_iter()
    .map(|(name, estimate)| (name.to_string(), estimate))
    .collect();
    let mut reached = 0.0;
    for (index, share) in measures.spectrum.explained_variance.iter().take(5).enumerate() {
        reached += share;
        rows.push((
            format!("cumulative_variance_{}", index + 1),
            Estimate::point(reached, n),
        ));
    }
    rows
}
