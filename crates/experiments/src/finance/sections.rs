//! The sections of the report, each a figure or a table with a line on how to read it.

use disentangle_analysis::{Estimate, importance::Importance};
use disentangle_data::Role;
use disentangle_report::{Cell, Mark, Section, Series, Values};

use super::outcome::Outcome;
use crate::present::{cell, figure, number, table, with_interval};

impl Outcome {
    fn parts(&self) -> Vec<String> {
        let mut parts: Vec<String> = self.performance.iter().map(|p| p.part.clone()).collect();
        parts.dedup();
        parts
    }

    pub(super) fn performance_section(&self) -> Section {
        let all: Vec<_> = self
            .performance
            .iter()
            .chain(self.walk_forward.iter().map(|w| &w.pooled))
            .collect();
        let rows = all.iter().map(|p| {
            vec![
                p.part.clone().into(),
                p.model.clone().into(),
                cell(&p.auc, 3),
                number(p.auc.p, 3),
                cell(&p.accuracy, 3),
                cell(&p.log_loss, 3),
                cell(&p.calibration_error, 3),
                number(Some(p.auc.n as f64), 0),
            ]
        });
        let columns = [
            "part",
            "model",
            "ROC AUC",
            "p",
            "accuracy",
            "log loss",
            "calibration error",
            "rows",
        ];
        let series = ["sequence", "logistic", "majority"].map(|model| {
            let of: Vec<_> = self.performance.iter().filter(|p| p.model == model).collect();
            let parts = Values::Names(of.iter().map(|p| p.part.clone()).collect());
            with_interval(model, Mark::Bar, parts, &of.iter().map(|p| &p.auc).collect::<Vec<_>>())
        });
        let mut notes: Vec<&str> = all.iter().filter_map(|p| p.auc.note.as_deref()).collect();
        notes.sort_unstable();
        notes.dedup();
        let first = "Test rows lie after all others in time. Intervals resample blocks of rows, because neighbouring windows share most of their rows; \
            p permutes labels, which are exchangeable if days are independent of each other.";
        Section {
            title: "Does it predict?".into(),
            text: std::iter::once(first.to_string())
                .chain(notes.into_iter().map(|note| format!("Note: {note}.")))
                .collect(),
            blocks: vec![
                table(
                    "Values with 95 % intervals; the calibration error has 10 bins of equal mass.",
                    &columns,
                    rows.collect(),
                ),
                figure(
                    "performance",
                    "ROC AUC by part and model",
                    "A bar whose whisker crosses the dotted line at 0.5 shows no more than chance; training rows show what was memorised.",
                    ["part", "ROC AUC", ""],
                    series.into(),
                    vec![0.5],
                ),
            ],
        }
    }

    pub(super) fn importance_section(&self) -> Section {
        let pooled = self
            .walk_forward
            .iter()
            .flat_map(|w| w.importance.iter().map(|i| ("walk-forward".to_string(), i)));
        let all: Vec<(String, &Importance)> = self
            .importance
            .iter()
            .map(|p| (p.part.clone(), &p.importance))
            .chain(pooled)
            .collect();
        let role = |group: &str| {
            let role = self
                .data
                .groups
                .iter()
                .find(|g| g.name == group)
                .map_or(Role::Unknown, |g| g.role);
            format!("{role:?}").to_lowercase()
        };
        let rows = all.iter().map(|(part, i)| {
            let mut cells: Vec<Cell> = vec![
                part.clone().into(),
                i.group.clone().into(),
                role(&i.group).into(),
                cell(&i.auc_drop, 3),
                number(i.auc_drop.p, 3),
                number(i.auc_drop.q, 3),
            ];
            cells.extend([
                cell(&i.accuracy_drop, 3),
                cell(&i.auc_only, 3),
                cell(&i.accuracy_only, 3),
                cell(&i.probability_shift, 4),
            ]);
            cells
        });
        let columns = [
            "part",
            "group",
            "role",
            "AUC lost without",
            "p",
            "q",
            "accuracy lost without",
            "AUC with only",
            "accuracy with only",
            "squared shift of p(up)",
        ];
        let series = |of: fn(&Importance) -> &Estimate| -> Vec<Series> {
            let groups = self.data.groups.iter().map(|group| {
                let own: Vec<_> = all.iter().filter(|(_, i)| i.group == group.name).collect();
                let parts = Values::Names(own.iter().map(|(part, _)| part.clone()).collect());
                with_interval(
                    &group.name,
                    Mark::Bar,
                    parts,
                    &own.iter().map(|(_, i)| of(i)).collect::<Vec<_>>(),
                )
            });
            groups.collect()
        };
        Section {
            title: "What does it lean on?".into(),
            text: vec![
                "A group is removed by giving each row the group's window of another row, at random; what is lost is what the model got from it. \
                 p is the share of permutations that reach the AUC without permutation."
                    .into(),
            ],
            blocks: vec![
                figure(
                    "importance",
                    "ROC AUC lost without a group",
                    "Above 0 the model predicts worse without the group; a shortcut is high in validation and near or below 0 in test.",
                    ["rows", "loss of ROC AUC", ""],
                    series(|i| &i.auc_drop),
                    vec![0.0],
                ),
                figure(
                    "only",
                    "ROC AUC with only a group",
                    "What the group alone is good for, with everything else at random; 0.5 is chance.",
                    ["rows", "ROC AUC", ""],
                    series(|i| &i.auc_only),
                    vec![0.5],
                ),
                table("Importance by group with 95 % intervals; the shift says how far the group moves a prediction, helpful or not.", &columns, rows.collect()),
            ],
        }
    }

    pub(super) fn through_time_section(&self) -> Section {
        let title = "Importance through time".to_string();
        let walk = match &self.walk_forward {
            Ok(walk) => walk,
            Err(reason) => {
                return Section {
                    title,
                    text: vec![format!("Left out: {reason}.")],
                    ..Section::default()
                };
            }
        };
        let ends = || {
            Values::Names(
                walk.windows
                    .iter()
                    .map(|w| disentangle_data::format_time(w.span[1]))
                    .collect(),
            )
        };
        let groups: Vec<Series> = (0..self.data.groups.len())
            .map(|g| {
                let estimates: Vec<_> = walk.windows.iter().map(|w| &w.importance[g].auc_drop).collect();
                with_interval(&self.data.groups[g].name, Mark::Line, ends(), &estimates)
            })
            .collect();
        let auc: Vec<_> = walk.windows.iter().map(|w| &w.auc).collect();
        let mut blocks = vec![
            figure(
                "importance-through-time",
                "ROC AUC lost without a group, window by window",
                "Each point is a window of new rows, scored by a model that was trained on rows before it only; a line that falls towards 0 is a pattern that ends.",
                ["last day of the window", "loss of ROC AUC", ""],
                groups.clone(),
                vec![0.0],
            ),
            figure(
                "auc-through-time",
                "ROC AUC, window by window",
                "Points above the dotted line are better than chance; bands resample blocks of rows and are rough for short windows.",
                ["last day of the window", "ROC AUC", ""],
                vec![with_interval("sequence", Mark::Line, ends(), &auc)],
                vec![0.5],
            ),
        ];
        if let [first, second, ..] = &groups[..] {
            let x = first.y.iter().map(|y| y.unwrap_or(f64::NAN)).collect::<Vec<_>>();
            let (x, y): (Vec<f64>, Vec<f64>) = x
                .into_iter()
                .zip(second.y.iter().map(|y| y.unwrap_or(f64::NAN)))
                .filter(|(a, b)| a.is_finite() && b.is_finite())
                .unzip();
            blocks.push(figure(
                "importance-pairs",
                &format!("Importance of {} against {}", second.name, first.name),
                "One point a window; points along a falling line mean that the model trades one group for the other.",
                [
                    &format!("{}: loss of ROC AUC", first.name),
                    &format!("{}: loss of ROC AUC", second.name),
                    "",
                ],
                vec![Series::new("windows", Mark::Points, Values::Numbers(x), y)],
                vec![0.0],
            ));
        }
        Section {
            title,
            text: vec![format!(
                "{} refits; each trains on the latest rows, an embargo of {} rows before its window.",
                walk.windows.len(),
                self.data.embargo
            )],
            blocks,
        }
    }

    pub(super) fn representation_section(&self) -> Section {
        let of = |label: u8| {
            let points: Vec<_> = self
                .representation
                .points
                .iter()
                .zip(&self.representation.labels)
                .filter(|(_, l)| **l == label)
                .map(|(p, _)| p)
                .collect();
            let axis = |a: usize| points.iter().map(|p| p[a]).collect::<Vec<_>>();
            Series {
                z: Some(axis(2)),
                ..Series::new(
                    if label == 1 {
                        "close rises"
                    } else {
                        "close does not rise"
                    },
                    Mark::Points,
                    Values::Numbers(axis(0)),
                    axis(1),
                )
            }
        };
        let share = |k: usize| 100.0 * self.representation.share.get(k).copied().unwrap_or(0.0);
        Section {
            title: "Representation".into(),
            text: vec![format!(
                "Principal components of the pooled representation (site `{}`) of test rows; shares are of the variance over all components.",
                self.representation.site
            )],
            blocks: vec![figure(
                "representation",
                "Pooled representation of test rows",
                "Drag to turn; if the colours separate, the last layer tells the classes apart, and if they mix, it does not.",
                [
                    &format!("PC 1 ({:.0} %)", share(0)),
                    &format!("PC 2 ({:.0} %)", share(1)),
                    &format!("PC 3 ({:.0} %)", share(2)),
                ],
                vec![of(0), of(1)],
                vec![],
            )],
        }
    }

    pub(super) fn data_section(&self) -> Section {
        let data = &self.data;
        let parts = data.parts.iter().map(|p| {
            vec![
                p.part.clone().into(),
                number(Some(p.windows as f64), 0),
                number(Some(p.positive), 3),
                p.span[0].date().to_string().into(),
                p.span[1].date().to_string().into(),
            ]
        });
        let groups = data.groups.iter().map(|g| {
            let names: Vec<&str> = g.columns.iter().map(|&c| data.features[c].as_str()).collect();
            vec![
                g.name.clone().into(),
                format!("{:?}", g.role).to_lowercase().into(),
                names.join(", ").into(),
            ]
        });
        let audit = self
            .audit
            .iter()
            .map(|check| vec![check.name.clone().into(), check.detail.clone().into()]);
        Section {
            title: "Data and leakage audit".into(),
            text: vec![format!(
                "Each window holds {} rows and predicts whether the next close is higher. Parts are cut by time, {} rows apart. Parts: {}.",
                data.lookback,
                data.embargo,
                self.parts().join(", ")
            )],
            blocks: vec![
                table(
                    "Parts",
                    &["part", "windows", "share of rises", "first target", "last target"],
                    parts.collect(),
                ),
                table("Feature groups", &["group", "role", "columns"], groups.collect()),
                table(
                    "Leakage audit: every check passed, or the run would have stopped",
                    &["check", "result"],
                    audit.collect(),
                ),
            ],
        }
    }
}
