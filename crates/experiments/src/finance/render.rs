//! The outcome as rows, as a report and as text.

use disentangle_analysis::{Estimate, importance::Importance};
use disentangle_data::Role;
use disentangle_models::train::{Epoch, Stop};
use disentangle_report::{Block, Cell, Figure, Mark, MetricRow, Report, Section, Series, Table, Tone, Values};

use super::{
    outcome::{Outcome, SeriesTests},
    verdicts::verdicts,
};
use crate::experiment::{Render, metric_row};

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
                self.training_section(),
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
        for verdict in verdicts(self) {
            let mark = match verdict.tone {
                Tone::Good => "+",
                Tone::Bad => "!",
                Tone::Neutral => "-",
            };
            text += &format!("{mark} {}\n", verdict.text);
        }
        text
    }
}

fn importance_metrics(importance: &Importance) -> [(&'static str, &Estimate); 5] {
    [
        ("roc_auc_drop", &importance.auc_drop),
        ("accuracy_drop", &importance.accuracy_drop),
        ("roc_auc_only", &importance.auc_only),
        ("accuracy_only", &importance.accuracy_only),
        ("probability_shift", &importance.probability_shift),
    ]
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

fn cell(estimate: &Estimate, digits: usize) -> Cell {
    Cell::Number {
        value: estimate.value,
        shown: estimate.show(digits),
    }
}

fn number(value: Option<f64>, digits: usize) -> Cell {
    Cell::Number {
        value,
        shown: value.map_or_else(|| "–".into(), |value| format!("{value:.digits$}")),
    }
}

fn table(caption: &str, columns: &[&str], rows: Vec<Vec<Cell>>) -> Block {
    Block::Table(Table {
        caption: caption.into(),
        columns: columns.iter().map(ToString::to_string).collect(),
        rows,
    })
}

fn with_interval(name: &str, mark: Mark, x: Values, estimates: &[&Estimate]) -> Series {
    Series {
        name: name.into(),
        mark,
        x,
        y: estimates.iter().map(|e| e.value).collect(),
        z: None,
        low: Some(estimates.iter().map(|e| e.low).collect()),
        high: Some(estimates.iter().map(|e| e.high).collect()),
    }
}

fn figure(id: &str, title: &str, reading: &str, axes: [&str; 3], series: Vec<Series>, lines: Vec<f64>) -> Block {
    Block::Figure(Figure {
        id: id.into(),
        title: title.into(),
        reading: reading.into(),
        axes: axes.map(Into::into),
        series,
        lines,
    })
}

impl Outcome {
    fn parts(&self) -> Vec<String> {
        let mut parts: Vec<String> = self.performance.iter().map(|p| p.part.clone()).collect();
        parts.dedup();
        parts
    }

    fn performance_section(&self) -> Section {
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

    fn importance_section(&self) -> Section {
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

    fn through_time_section(&self) -> Section {
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

    fn training_section(&self) -> Section {
        let history = &self.training.history;
        let curve = |name: &str, of: fn(&Epoch) -> f64| {
            let epochs = history.iter().map(|e| e.epoch as f64).collect();
            Series::new(
                name,
                Mark::Line,
                Values::Numbers(epochs),
                history.iter().map(of).collect(),
            )
        };
        let dynamics = &self.training.dynamics;
        let rows = [
            (
                "convergence rate",
                &dynamics.convergence_rate,
                "factor by which the distance to the best training loss shrinks in an epoch",
            ),
            (
                "generalisation gap",
                &dynamics.generalisation_gap,
                "mean of validation loss minus training loss",
            ),
            (
                "stability",
                &dynamics.stability,
                "standard deviation of the last 10 validation losses",
            ),
        ];
        let why = match self.training.stop {
            Stop::Epochs => "all epochs were done",
            Stop::Patience => "the watched loss stopped improving",
            Stop::Cancelled => "it was cancelled",
        };
        Section {
            title: "Training".into(),
            text: vec![format!(
                "{} parameters, {} epochs; training ended because {why}; the weights are those of epoch {}.",
                self.model.parameters,
                history.len(),
                self.training.best_epoch
            )],
            blocks: vec![
                figure(
                    "training",
                    "Loss by epoch",
                    "Cross-entropy, lower is better; ln 2 (dotted) is what a coin achieves, and a validation curve that rises while the other falls is overfitting.",
                    ["epoch", "cross-entropy", ""],
                    vec![
                        curve("training (with dropout)", |e| e.train_loss),
                        curve("validation", |e| e.validation_loss),
                    ],
                    vec![std::f64::consts::LN_2],
                ),
                table(
                    "Learning dynamics",
                    &["measure", "value", "meaning"],
                    rows.map(|(name, estimate, meaning)| vec![name.into(), cell(estimate, 4), meaning.into()])
                        .into(),
                ),
            ],
        }
    }

    fn representation_section(&self) -> Section {
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

    fn data_section(&self) -> Section {
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

fn series_section(title: &str, which: &str, tests: &Result<SeriesTests, String>) -> Section {
    let tests = match tests {
        Ok(tests) => tests,
        Err(reason) => {
            return Section {
                title: title.into(),
                text: vec![format!("Left out: {reason}.")],
                ..Section::default()
            };
        }
    };
    let singles = tests.series.iter().map(|s| {
        let (period, p, reason) = match &s.season {
            Ok(season) => (Some(season.period), Some(season.p), String::new()),
            Err(reason) => (None, None, reason.clone()),
        };
        let trend = Cell::Number {
            value: s.trend.value,
            shown: s
                .trend
                .value
                .map_or_else(|| s.trend.show(0), |value| format!("{value:.3e}")),
        };
        let volatility = Cell::Number {
            value: s.volatility.value,
            shown: s
                .volatility
                .value
                .map_or_else(|| s.volatility.show(0), |value| format!("{value:.4}")),
        };
        vec![
            s.name.clone().into(),
            trend,
            number(s.trend.q, 3),
            volatility,
            number(period, 1),
            number(p, 3),
            number(s.season_q, 3),
            reason.into(),
        ]
    });
    let pairs = tests.pairs.iter().map(|pair| {
        let mut cells: Vec<Cell> = vec![
            pair.names[0].clone().into(),
            pair.names[1].clone().into(),
            cell(&pair.correlation, 3),
            number(pair.correlation.q, 3),
        ];
        match &pair.granger {
            Ok(g) => cells.extend([
                number(Some(g.lag as f64), 0),
                number(Some(g.f), 2),
                number(Some(g.p), 3),
                number(pair.granger_q, 3),
                "".into(),
            ]),
            Err(reason) => cells.extend([
                number(None, 0),
                number(None, 0),
                number(None, 0),
                number(None, 0),
                reason.clone().into(),
            ]),
        }
        cells
    });
    let mut blocks = vec![
        table(
            "Trend, volatility and season of each series",
            &[
                "series",
                "slope a step",
                "q",
                "volatility",
                "period",
                "p of period",
                "q",
                "note",
            ],
            singles.collect(),
        ),
        table(
            "Pairs: correlation, and whether the past of the first helps to predict the second",
            &["first", "second", "correlation", "q", "lag", "F", "p", "q", "note"],
            pairs.collect(),
        ),
    ];
    let p_values: Vec<_> = tests
        .pairs
        .iter()
        .filter_map(|pair| Some((pair.names.join(" → "), -pair.granger.as_ref().ok()?.p.log10())))
        .collect();
    if !p_values.is_empty() {
        let (names, heights): (Vec<String>, Vec<f64>) = p_values.into_iter().unzip();
        blocks.push(figure(
            &format!("granger-{which}"),
            "Granger tests",
            "A bar above the dotted line (p = 0.05) says that the first series' past helps to predict the second, before correction for the number of tests.",
            ["pair", "-log10 p", ""],
            vec![Series::new("pairs", Mark::Bar, Values::Names(names), heights)],
            vec![-(0.05f64.log10())],
        ));
    }
    let spectra: Vec<Series> = tests
        .series
        .iter()
        .filter(|s| !s.periodogram.is_empty())
        .map(|s| {
            let total: f64 = s.periodogram.iter().sum();
            let n = tests.length as f64;
            let frequencies = (1..=s.periodogram.len()).map(|j| j as f64 / n).collect();
            Series::new(
                &s.name,
                Mark::Line,
                Values::Numbers(frequencies),
                s.periodogram
                    .iter()
                    .map(|i| if total > 0.0 { i / total } else { 0.0 })
                    .collect(),
            )
        })
        .collect();
    if !spectra.is_empty() {
        blocks.push(figure(
            &format!("seasonality-{which}"),
            "Periodogram after detrending",
            "A peak at frequency f is a pattern that repeats every 1 / f steps; high values at the left edge are mere persistence, which the test in the table allows for.",
            ["frequency (cycles a step)", "share of power", ""],
            spectra,
            vec![],
        ));
    }
    Section {
        title: title.into(),
        text: vec![
            format!("Series: {}; {} values each, detrended.", tests.about, tests.length),
            "q corrects for all tests of this section (Benjamini and Hochberg). Granger's p simulates the restricted model and chooses the lag anew each time; \
             the period's p is Fisher's, after division by the spectrum of a first-order autoregression; those of trend and correlation assume independent values."
                .into(),
        ],
        blocks,
    }
}
