//! The outcome as rows, as a report and as text.

use disentangle_analysis::Estimate;
use disentangle_report::{MetricRow, Report};
use serde_json::json;

use super::{
    outcome::{ClaimOutcome, Outcome, Standing},
    sections,
    verdicts::verdicts,
};
use crate::{
    experiment::{Render, metric_row},
    present::marked,
};

impl Render for Outcome {
    fn rows(&self) -> Vec<MetricRow> {
        self.claims.iter().flat_map(|claim| self.rows_of(claim)).collect()
    }

    fn report(&self) -> Report {
        Report {
            title: "The notebook's claims".into(),
            subtitle: format!(
                "{} claims, {} trainings of each model, seed {}",
                self.claims.len(),
                self.repeats,
                self.seed
            ),
            simulated: true,
            notices: self.notices.clone(),
            verdicts: verdicts(self),
            sections: sections::all(self),
        }
    }

    fn summary(&self) -> String {
        let mut text = format!(
            "{:<7} {:<96} {:<28} {:<24} {}\n",
            "claim", "what is claimed", "ours", "expected", "verdict"
        );
        for claim in &self.claims {
            let test = claim.test.as_ref();
            let ours = test.and_then(|test| test.estimate.value.map(|_| test.estimate.show(3)));
            text += &format!(
                "{:<7} {:<96} {:<28} {:<24} {}\n",
                claim.id,
                claim.claim,
                ours.unwrap_or_else(|| "–".into()),
                test.map_or_else(|| "–".into(), |test| test.expectation.show()),
                claim.standing.word()
            );
        }
        text + "\n" + &marked(&verdicts(self))
    }
}

impl Outcome {
    /// The value that tests the claim, whether it is supported, and ours beside a number of the notebook's.
    fn rows_of(&self, claim: &ClaimOutcome) -> Vec<MetricRow> {
        let mut rows = Vec::new();
        let row = |metric: &str, estimate: &Estimate, params: serde_json::Value| MetricRow {
            experiment: self.experiment.clone(),
            dataset: "simulated".into(),
            seed: Some(self.seed),
            params: Some(params.to_string()),
            ..metric_row(metric, estimate)
        };
        if let Some(test) = &claim.test {
            let params = json!({ "claim": claim.id, "expected": test.expectation });
            rows.push(MetricRow {
                dataset: test.dataset.clone(),
                model: Some(test.subject.clone()),
                ..row(&test.metric, &test.estimate, params)
            });
            // Means over seeds are then shares of seeds.
            for standing in [Standing::Supported, Standing::Contradicted] {
                let is = f64::from(u8::from(claim.standing == standing));
                let params = json!({ "claim": claim.id });
                rows.push(row(standing.word(), &Estimate::point(is, self.repeats), params));
            }
        }
        if let Some(quoted) = &claim.quoted {
            let params = json!({ "claim": claim.id, "what": quoted.what, "notebook": quoted.range });
            rows.push(row("quoted_number", &quoted.ours, params));
        }
        rows
    }
}
