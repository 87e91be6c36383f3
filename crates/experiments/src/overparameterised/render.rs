//! The outcome as rows, as a report and as text.

use disentangle_analysis::Estimate;
use disentangle_report::{MetricRow, Report, Tone, Verdict};

use super::{
    CellOutcome, Method, Outcome,
    reference::{Check, SETTING},
};
use crate::{
    experiment::{Render, metric_row},
    present::marked,
};

impl Render for Outcome {
    fn rows(&self) -> Vec<MetricRow> {
        // The number of dimensions stands in `group`, so that the summary over seeds shows and separates it.
        let row = |one: &CellOutcome, metric: &str, estimate: &Estimate| MetricRow {
            experiment: self.experiment.clone(),
            dataset: "simulated".into(),
            model: Some(one.method.name().into()),
            stage: Some("trained".into()),
            seed: Some(self.seed),
            split: Some("test".into()),
            group: Some(format!("N = {}", one.noise)),
            ..metric_row(metric, estimate)
        };
        let of_cell = |one: &CellOutcome| {
            [
                row(one, "worst_group_error", &one.worst_group),
                row(one, "majority_error", &one.majority),
                row(one, "minority_error", &one.minority),
                row(one, "shortcut_over_core", &one.shortcut_over_core),
                row(one, "weight_norm", &one.norm),
            ]
        };
        self.cells.iter().flat_map(of_cell).collect()
    }

    fn report(&self) -> Report {
        Report {
            title: "Overparameterisation and shortcuts".into(),
            subtitle: format!(
                "The simulation of Sagawa et al. (2020): {} rows, majority share {}, {} data seeds; seed {}",
                self.n, self.majority, self.data_seeds, self.seed
            ),
            simulated: true,
            verdicts: self.verdicts(),
            sections: vec![
                self.checks_section(),
                self.errors_section(),
                self.shortcut_section(),
                self.fits_section(),
            ],
            ..Report::default()
        }
    }

    fn summary(&self) -> String {
        let mut text = String::new();
        for check in self.checks.iter().chain([&self.goal]) {
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

fn tone(passed: Option<bool>) -> Tone {
    match passed {
        Some(true) => Tone::Good,
        Some(false) => Tone::Bad,
        None => Tone::Neutral,
    }
}

impl Outcome {
    pub(super) fn of(&self, method: Method) -> Vec<&CellOutcome> {
        let mut own: Vec<&CellOutcome> = self.cells.iter().filter(|cell| cell.method == method).collect();
        own.sort_by_key(|cell| cell.noise);
        own
    }

    fn verdicts(&self) -> Vec<Verdict> {
        let goal = match self.goal.passed {
            Some(true) => format!(
                "Undersampling stays near 0.20 with many noise dimensions: {}",
                self.goal.ours
            ),
            Some(false) => format!(
                "Undersampling does not stay near 0.20 with many noise dimensions: {}",
                self.goal.ours
            ),
            None => "Undersampling with many noise dimensions is not judged: this run's settings leave it out".into(),
        };
        vec![
            self.met(),
            Verdict {
                text: goal,
                tone: tone(self.goal.passed),
            },
            self.comparison(),
        ]
    }

    fn met(&self) -> Verdict {
        let made: Vec<&Check> = self.checks.iter().filter(|check| check.passed.is_some()).collect();
        let failed: Vec<&Check> = made
            .iter()
            .copied()
            .filter(|check| check.passed == Some(false))
            .collect();
        if made.is_empty() {
            let (n, majority) = SETTING;
            let text = format!(
                "No published figure is compared: they hold for n = {n} and majority = {majority} with their N"
            );
            return Verdict {
                text,
                tone: Tone::Neutral,
            };
        }
        let mut text = format!(
            "{} of {} published figures are met",
            made.len() - failed.len(),
            made.len()
        );
        if !failed.is_empty() {
            let names = failed
                .iter()
                .map(|check| format!("{} (published {}, ours {})", check.what, check.published, check.ours));
            text += &format!("; not met: {}", names.collect::<Vec<_>>().join("; "));
        }
        Verdict {
            text,
            tone: tone(Some(failed.is_empty())),
        }
    }

    /// From the fewest to the most noise dimensions.
    fn comparison(&self) -> Verdict {
        let shown = Method::ALL.map(|method| {
            let own = self.of(method);
            let ends = own.first().zip(own.last());
            ends.map_or_else(String::new, |(first, last)| {
                format!(
                    "{} {} and {}",
                    method.name(),
                    first.worst_group.show(3),
                    last.worst_group.show(3)
                )
            })
        });
        let noise = self.of(Method::Erm);
        let ends = noise.first().zip(noise.last());
        let ends = ends.map_or_else(String::new, |(first, last)| {
            format!("{} and {}", first.noise, last.noise)
        });
        Verdict {
            text: format!("Worst-group error with {ends} noise dimensions: {}", shown.join("; ")),
            tone: Tone::Neutral,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn outcome(passed: Option<bool>) -> Outcome {
        let check = |what: &str| Check {
            what: what.into(),
            published: "0.18".into(),
            ours: "0.17 [0.16, 0.18]".into(),
            tolerance: 0.03,
            passed,
        };
        let cells = [1, 100].into_iter().flat_map(|noise| {
            Method::ALL.map(|method| CellOutcome {
                noise,
                method,
                worst_group: Estimate::point(0.2, 2),
                deviation: Some(0.01),
                majority: Estimate::point(0.1, 2),
                minority: Estimate::point(0.2, 2),
                shortcut_over_core: Estimate::point(0.5, 2),
                norm: Estimate::point(3.0, 2),
                each: vec![0.2, 0.2],
                steps: 5,
                gradient: 1e-11,
            })
        });
        Outcome {
            schema_version: 1,
            kind: "run".into(),
            experiment: "overparameterised".into(),
            seed: 0,
            n: 300,
            majority: 0.9,
            data_seeds: 2,
            floor: 0.159,
            cells: cells.collect(),
            checks: vec![check("ERM, N = 1"), check("reweighted, N = 1")],
            goal: check("goal"),
        }
    }

    #[test]
    fn verdicts_follow_the_checks() {
        let verdicts = |passed| outcome(passed).verdicts();
        let good = verdicts(Some(true));
        assert_eq!(good[0].text, "2 of 2 published figures are met");
        assert_eq!((good[0].tone, good[1].tone), (Tone::Good, Tone::Good));
        let bad = verdicts(Some(false));
        assert!(
            bad[0]
                .text
                .starts_with("0 of 2 published figures are met; not met: ERM, N = 1 (published")
        );
        assert_eq!((bad[0].tone, bad[1].tone), (Tone::Bad, Tone::Bad));
        let none = verdicts(None);
        assert_eq!((none[0].tone, none[1].tone), (Tone::Neutral, Tone::Neutral));
        assert!(
            none[2]
                .text
                .starts_with("Worst-group error with 1 and 100 noise dimensions: ERM 0.200")
        );
        assert!(
            outcome(None)
                .summary()
                .starts_with("left out ERM, N = 1: published 0.18")
        );
    }

    #[test]
    fn no_two_rows_share_a_key() {
        let rows = outcome(None).rows();
        let keys: BTreeSet<String> = rows
            .iter()
            .map(|row| format!("{:?} {:?} {}", row.model, row.group, row.metric))
            .collect();
        assert_eq!((rows.len(), keys.len()), (30, 30));
    }
}
