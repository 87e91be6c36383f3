//! The outcome as rows, as a report and as text.

use disentangle_analysis::Estimate;
use disentangle_report::{MetricRow, Report, Tone, Verdict};

use super::{
    methods::{CONVERGED, OURS},
    outcome::{Outcome, is_regression},
    reference::best_published,
};
use crate::{
    experiment::{Render, metric_row},
    present::marked,
};

impl Render for Outcome {
    fn rows(&self) -> Vec<MetricRow> {
        // The problem stands in `group`, so that the summary over seeds shows and separates it.
        let row = |problem: &str, method: &str, metric: &str, estimate: &Estimate| MetricRow {
            experiment: self.experiment.clone(),
            dataset: "simulated".into(),
            model: Some(method.into()),
            stage: Some("trained".into()),
            seed: Some(self.seed),
            group: Some(problem.into()),
            ..metric_row(metric, estimate)
        };
        let mut rows = Vec::new();
        for one in &self.tests {
            let metric = if is_regression(&one.problem) {
                "mse"
            } else {
                "error_rate"
            };
            let mut push = |split: &str, metric: &str, estimate: &Estimate| {
                rows.push(MetricRow {
                    split: Some(split.into()),
                    ..row(&one.problem, &one.method, metric, estimate)
                });
            };
            push("test", metric, &one.test);
            push("validation", metric, &one.validation);
            if let Some(best) = &one.best_on_test {
                push("test", &format!("{metric}_chosen_on_test"), best);
            }
        }
        for one in &self.structural {
            rows.push(row(&one.variant, &one.method, "causal_weight_mse", &one.causal));
            rows.push(row(&one.variant, &one.method, "other_weight_mse", &one.other));
        }
        rows
    }

    fn report(&self) -> Report {
        let p = &self.protocol;
        Report {
            title: "Invariance unit tests".into(),
            subtitle: format!(
                "Aubin et al. 2021, 3 environments, 5 + 5 dimensions: {} data seeds, best of {} draws by validation, {} steps, {} rows an environment in regressions and {} in \
                 classifications; seed {}",
                p.data_seeds, p.draws, p.steps, p.rows, p.logistic_rows, self.seed
            ),
            simulated: true,
            verdicts: self.verdicts(),
            sections: vec![
                self.checks_section(),
                self.tests_section(),
                self.ours_section(),
                self.structural_section(),
            ],
            ..Report::default()
        }
    }

    fn summary(&self) -> String {
        let mut text = String::new();
        for check in &self.checks {
            text += &format!(
                "{:<8} {}: published {}, ours {}\n",
                mark(check.passed),
                check.what,
                check.published,
                check.ours
            );
        }
        text + "\n" + &marked(&self.verdicts())
    }
}

pub(super) fn mark(passed: Option<bool>) -> &'static str {
    match passed {
        Some(true) => "pass",
        Some(false) => "FAIL",
        None => "left out",
    }
}

impl Outcome {
    fn verdicts(&self) -> Vec<Verdict> {
        let shown = |problem: &str| {
            let ours = self
                .test(problem, OURS)
                .map_or_else(String::new, |one| one.test.show(3));
            let best = best_published(problem).map_or_else(String::new, |(name, value)| format!("{value} ({name})"));
            format!("{problem} {ours} against {best}")
        };
        let (better, tone) = match self.better() {
            true => ("better than", Tone::Good),
            false => ("not better than", Tone::Bad),
        };
        let goal = format!(
            "On Example2 and Example3 `{OURS}` is {better} every published method without oracle selection: {}, {}",
            shown("Example2"),
            shown("Example3")
        );
        vec![
            Verdict { text: goal, tone },
            self.met(),
            self.regimes(),
            self.unidentified(),
        ]
    }

    fn met(&self) -> Verdict {
        let made: Vec<_> = self.checks.iter().filter(|check| check.passed.is_some()).collect();
        let failed: Vec<&str> = made
            .iter()
            .filter(|check| check.passed == Some(false))
            .map(|check| check.what.as_str())
            .collect();
        let mut text = format!(
            "{} of {} published figures are met",
            made.len() - failed.len(),
            made.len()
        );
        if made.len() < self.checks.len() {
            text += &format!(
                "; {} are left out, because this run is too small",
                self.checks.len() - made.len()
            );
        }
        if !failed.is_empty() {
            text += &format!("; not met: {}", failed.join("; "));
        }
        let tone = match (made.is_empty(), failed.is_empty()) {
            (true, _) => Tone::Neutral,
            (_, true) => Tone::Good,
            _ => Tone::Bad,
        };
        Verdict { text, tone }
    }

    fn regimes(&self) -> Verdict {
        let of = |problem: &str, method: &str| {
            let test = self.test(problem, method);
            test.map_or_else(String::new, |one| one.test.show(3))
        };
        Verdict {
            text: format!(
                "ERM's error on Example2 belongs to its optimiser: {} after the steps of this run, {} at the optimum. On Example3 the optimum does not help: {}",
                of("Example2", "ERM"),
                of("Example2", CONVERGED),
                of("Example3", CONVERGED)
            ),
            tone: Tone::Neutral,
        }
    }

    fn unidentified(&self) -> Verdict {
        let parts = self.kept.iter().filter(|kept| kept.identified() < kept.each.len());
        let names: Vec<String> = parts
            .map(|kept| {
                format!(
                    "{} ({} of {} data seeds)",
                    kept.problem,
                    kept.each.len() - kept.identified(),
                    kept.each.len()
                )
            })
            .collect();
        let text = match names.is_empty() {
            true => "In every problem the environments show all directions in which the shortcut moves".into(),
            false => format!(
                "As many directions move as three environments can show, and more may move unseen: {}. There only features that are invariant by themselves can be trusted",
                names.join(", ")
            ),
        };
        Verdict {
            text,
            tone: Tone::Neutral,
        }
    }
}
