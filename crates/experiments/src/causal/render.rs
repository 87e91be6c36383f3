//! The outcome as rows, as a report and as text.

use disentangle_analysis::Estimate;
use disentangle_data::Role;
use disentangle_report::{MetricRow, Report, Section};
use serde_json::json;

use super::{
    outcome::{METHODS, Mediated, Outcome, Traced},
    sections,
    verdicts::{percent, strongest, verdicts},
};
use crate::{
    experiment::{Render, metric_row},
    present::{cell, importance_metrics, keyed, marked, number, short, table},
};

/// Places in the summary, for each group.
const PLACES: usize = 8;

impl Render for Outcome {
    fn rows(&self) -> Vec<MetricRow> {
        let mut rows = self.environment_rows();
        rows.extend(self.group_rows());
        rows.extend(self.traced.iter().flat_map(|traced| self.traced_rows(traced)));
        rows.extend(self.robustness_rows());
        rows.extend(self.interaction_rows());
        rows.extend(self.attribution_rows());
        rows
    }

    fn report(&self) -> Report {
        let sections = super::sections_of(self);
        Report {
            title: format!("Causal: {} with {}", self.data.name, self.model.family),
            subtitle: format!(
                "{} columns in {} groups, {} training rows, {} environment(s), seed {}",
                self.data.features.len(),
                self.data.groups.len(),
                self.data.train_rows,
                self.data.environments.len(),
                self.seed
            ),
            simulated: self.data.simulated,
            notices: self.data.notices.clone(),
            verdicts: verdicts(self),
            sections,
        }
    }

    fn summary(&self) -> String {
        let mut text = self.environment_text();
        text += &self.group_text();
        for traced in &self.traced {
            text += &place_text(traced);
        }
        text += &self.slope_text();
        text += "\n";
        text += &marked(&verdicts(self));
        text
    }
}

fn of_group(group: &str, row: MetricRow) -> MetricRow {
    MetricRow {
        group: (!group.is_empty()).then(|| group.into()),
        ..row
    }
}

impl Outcome {
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

    /// The environment whose rows are the main ones.
    fn main(&self) -> &str {
        self.data.environments.first().map_or("", |one| one.name.as_str())
    }

    fn environment_rows(&self) -> Vec<MetricRow> {
        let rows = self.data.environments.iter().flat_map(|one| {
            [("roc_auc", &one.auc), ("accuracy", &one.accuracy)]
                .map(|(metric, estimate)| self.row(&one.name, metric, estimate))
        });
        rows.collect()
    }

    fn group_rows(&self) -> Vec<MetricRow> {
        let mut rows = Vec::new();
        for one in &self.importance {
            let replaced = [
                ("accuracy_drop_mean", &one.accuracy_drop_mean),
                ("accuracy_drop_zero", &one.accuracy_drop_zero),
            ];
            let metrics = importance_metrics(&one.importance).into_iter().chain(replaced);
            rows.extend(metrics.map(|(metric, estimate)| {
                of_group(&one.importance.group, self.row(&one.environment, metric, estimate))
            }));
        }
        for one in &self.interventions {
            let metrics = [
                ("intervention_change", &one.change),
                ("intervention_root_mean_square", &one.root_mean_square),
                ("intervention_accuracy_drop", &one.accuracy_drop),
            ];
            rows.extend(metrics.map(|(metric, estimate)| {
                let params = json!({ "intervention": one.intervention });
                keyed(params, self.row(&one.environment, metric, estimate))
            }));
        }
        for one in &self.total_effects {
            let metrics = [
                ("total_effect", &one.oriented),
                ("total_effect_as_moved", &one.plain),
                ("total_effect_size", &one.size),
            ];
            rows.extend(
                metrics.map(|(metric, estimate)| of_group(&one.group, self.row(self.main(), metric, estimate))),
            );
        }
        rows
    }

    fn traced_rows(&self, traced: &Traced) -> Vec<MetricRow> {
        let row = |metric: &str, estimate: &Estimate| {
            of_group(&traced.group, self.row(&traced.environment, metric, estimate))
        };
        let mut rows = vec![row("traced_total_effect", &traced.total)];
        let places = traced.mediators.iter().map(|one| (one, json!({ "place": one.place })));
        let positions = traced
            .positions
            .iter()
            .map(|one| (one, json!({ "position": one.position })));
        for (one, params) in places.chain(positions) {
            rows.extend(mediation_metrics(one).map(|(metric, estimate)| MetricRow {
                site: Some(one.site.clone()),
                head: one.head.map(|head| head as u32),
                ..keyed(params.clone(), row(metric, estimate))
            }));
        }
        for path in &traced.paths {
            let params = json!({ "sender": path.sender, "receiver": path.receiver });
            let metrics = [("path_effect", &path.effect), ("path_share", &path.share)];
            rows.extend(metrics.map(|(metric, estimate)| MetricRow {
                site: path.sender.split('[').next().map(Into::into),
                ..keyed(params.clone(), row(metric, estimate))
            }));
        }
        rows
    }

    fn robustness_rows(&self) -> Vec<MetricRow> {
        let found = &self.robustness;
        let row = |metric: &str, estimate: &Estimate| MetricRow {
            group: found.group.clone(),
            ..self.row(&found.environment, metric, estimate)
        };
        let mut rows = vec![row("roc_auc_undisturbed", &found.undisturbed)];
        for one in &found.degradations {
            let name = one.disturbance.name().to_lowercase().replace(' ', "_");
            for (level, auc) in one.levels.iter().zip(&one.auc) {
                let metric = format!("roc_auc_under_{name}");
                rows.push(keyed(json!({ "level": level }), row(&metric, auc)));
            }
            let params = json!({ "disturbance": name });
            rows.push(keyed(params, row("degradation_slope", &one.slope)));
        }
        rows
    }

    fn interaction_rows(&self) -> Vec<MetricRow> {
        let found = &self.interactions;
        let rows = found.pairs.iter().flat_map(|pair| {
            let metrics = [
                ("interaction_mean", &pair.mean),
                ("interaction_root_mean_square", &pair.root_mean_square),
                ("friedman_h_squared", &pair.h_squared),
            ];
            metrics.map(|(metric, estimate)| {
                let params = json!({ "pair": pair.groups.join("|") });
                keyed(params, self.row(&found.environment, metric, estimate))
            })
        });
        rows.collect()
    }

    fn attribution_rows(&self) -> Vec<MetricRow> {
        let found = &self.attribution;
        let row = |metric: &str, estimate: &Estimate| self.row(&found.environment, metric, estimate);
        let gap = match found.completeness_gap {
            Some(gap) => Estimate::point(gap, found.rows),
            None => Estimate::undefined("the output never differs from that of the baseline", found.rows),
        };
        let mut rows = vec![row("completeness_gap", &gap)];
        for column in &found.columns {
            for (method, value) in METHODS.iter().zip(&column.by_method) {
                let params = json!({ "column": column.column, "method": method });
                let estimate = Estimate::point(*value, found.rows);
                rows.push(keyed(params, of_group(&column.group, row("attribution", &estimate))));
            }
        }
        let groups = found.groups.iter();
        rows.extend(groups.map(|one| of_group(&one.group, row("group_attribution", &one.size))));
        rows.extend(found.agreement.iter().map(|one| {
            let params = json!({ "pair": one.methods.join("|") });
            keyed(params, row("method_agreement", &one.correlation))
        }));
        rows
    }

    fn environment_text(&self) -> String {
        let mut text = format!(
            "{:<18} {:<26} {:<26}\n",
            "environment", "ROC AUC [95 %]", "accuracy [95 %]"
        );
        for one in &self.data.environments {
            text += &format!(
                "{:<18} {:<26} {:<26}\n",
                one.name,
                short(&one.auc, 3),
                short(&one.accuracy, 3)
            );
        }
        text
    }

    /// Every group on the main rows, and shortcuts everywhere.
    fn group_text(&self) -> String {
        let spurious = |name: &str| {
            let mut groups = self.data.groups.iter();
            groups.any(|group| group.name == name && group.role == Role::Spurious)
        };
        let mut text = format!(
            "\n{:<18} {:<18} {:<26}\n",
            "group", "environment", "accuracy lost without [95 %]"
        );
        for one in &self.importance {
            let group = &one.importance.group;
            if one.environment == self.main() || spurious(group) {
                let lost = short(&one.importance.accuracy_drop, 3);
                text += &format!("{group:<18} {:<18} {lost:<26}\n", one.environment);
            }
        }
        text
    }

    fn slope_text(&self) -> String {
        let mut text = format!("\n{:<36} {:<26}\n", "disturbance", "AUC lost a unit [95 %]");
        for one in &self.robustness.degradations {
            text += &format!("{:<36} {:<26}\n", one.disturbance.name(), short(&one.slope, 3));
        }
        text
    }
}

fn mediation_metrics(one: &Mediated) -> [(&'static str, &Estimate); 4] {
    [
        ("natural_direct_effect", &one.mediation.direct),
        ("natural_indirect_effect", &one.mediation.indirect),
        ("mediation_interaction", &one.mediation.interaction),
        ("mediated_share", &one.mediation.share),
    ]
}

/// The strongest places of one group.
fn place_text(traced: &Traced) -> String {
    let places = strongest(traced, PLACES);
    let total = short(&traced.total, 3);
    if places.is_empty() {
        return format!("\n{}: total effect {total}\n", traced.group);
    }
    let mut text = format!(
        "\n{:<36} {:<26} {:<26} {:<20}\n",
        format!("{}: total effect {total}", traced.group),
        "direct (NDE) [95 %]",
        "indirect (NIE) [95 %]",
        "share [95 %]"
    );
    for one in places {
        let (direct, indirect) = (short(&one.mediation.direct, 3), short(&one.mediation.indirect, 3));
        let share = &one.mediation.share;
        let share = share.value.map_or_else(|| "–".into(), |_| percent(share));
        text += &format!("{:<36} {direct:<26} {indirect:<26} {share:<20}\n", one.place);
    }
    text
}

/// What went in.
pub(super) fn data(outcome: &Outcome) -> Section {
    let data = &outcome.data;
    let environments = data.environments.iter().map(|one| {
        vec![
            one.name.clone().into(),
            one.about.clone().into(),
            number(Some(one.rows as f64), 0),
            number(Some(one.positive), 3),
            number(one.agreement, 3),
            cell(&one.auc, 3),
            cell(&one.accuracy, 3),
        ]
    });
    let groups = data.groups.iter().map(|group| {
        let columns = group.columns.iter().filter_map(|&column| data.features.get(column));
        vec![
            group.name.clone().into(),
            sections::role(outcome, &group.name).into(),
            number(Some(group.columns.len() as f64), 0),
            columns.map(String::as_str).collect::<Vec<&str>>().join(", ").into(),
        ]
    });
    let columns = [
        "environment",
        "rows of",
        "rows",
        "share of label 1",
        "shortcut agrees with label",
        "ROC AUC",
        "accuracy",
    ];
    Section {
        title: "Data".into(),
        text: vec![format!(
            "`{}`: {} columns, {} training rows. Training saw none of the rows below; the first environment holds the main rows.",
            data.name,
            data.features.len(),
            data.train_rows
        )],
        blocks: vec![
            table("Environments", &columns, environments.collect()),
            table(
                "Feature groups",
                &["group", "role", "columns", "which"],
                groups.collect(),
            ),
        ],
    }
}
