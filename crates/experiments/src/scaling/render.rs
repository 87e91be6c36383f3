//! The outcome as rows, as a report and as text.

use disentangle_analysis::Estimate;
use disentangle_report::{Cell, MetricRow, Report};
use serde_json::json;

use super::{
    measures::{MEASURES, OF_SITES},
    outcome::{Axis, Outcome, SizeOutcome, TrendOutcome, When},
    sections,
    verdicts::verdicts,
};
use crate::{
    experiment::{Render, metric_row},
    present::marked,
};

/// What the terminal shows of every size and every trend.
const SUMMARY: [&str; 5] = [
    "interference",
    "effective_rank",
    "attention_entropy",
    "head_diversity",
    "roc_auc",
];

impl Render for Outcome {
    fn rows(&self) -> Vec<MetricRow> {
        let mut rows: Vec<MetricRow> = self.trends.iter().flat_map(|one| self.trend_rows(one)).collect();
        for model in &self.models {
            for when in When::ALL {
                rows.extend(self.model_rows(model, when));
            }
        }
        rows
    }

    fn report(&self) -> Report {
        Report {
            title: format!("Scaling: width and depth on {}", self.dataset),
            subtitle: format!(
                "{} sizes, {} trainings of each, {} training rows, {} rows of `{}` measured, seed {}",
                self.models.len(),
                self.repeats,
                self.train_rows,
                self.measured_rows,
                self.environment,
                self.seed
            ),
            simulated: self.simulated,
            notices: self.notices.clone(),
            verdicts: verdicts(self),
            sections: sections::all(self),
        }
    }

    fn summary(&self) -> String {
        let mut text = format!("trained models\n{:<7} {:<7} {:<12}", "width", "depth", "parameters");
        for name in SUMMARY {
            text += &format!(" {:<24}", name.replace('_', " "));
        }
        text += "\n";
        for model in &self.models {
            text += &format!("{:<7} {:<7} {:<12}", model.width, model.depth, model.parameters);
            for name in SUMMARY {
                let value = model.value(When::Trained, name);
                text += &format!(" {:<24}", value.map_or_else(String::new, shown));
            }
            text += "\n";
        }
        text += &format!(
            "\ntrends of trained models\n{:<7} {:<24} {:<10} {:<28} {:<8}\n",
            "over", "measure", "form", "slope or exponent [95 %]", "q"
        );
        for axis in Axis::ALL {
            for name in SUMMARY {
                let Some(one) = self.trend(name, axis, When::Trained) else {
                    continue;
                };
                text += &format!(
                    "{:<7} {:<24} {:<10} {:<28} {:<8}\n",
                    axis.name(),
                    name.replace('_', " "),
                    one.trend.form.name(),
                    shown(&one.trend.slope),
                    one.trend.slope.q.map_or_else(|| "–".into(), |q| format!("{q:.3}"))
                );
            }
        }
        text + "\n" + &marked(&verdicts(self))
    }
}

/// Three significant digits with the interval, or a dash: measures differ by orders of magnitude, and a reason would
/// not fit.
pub(super) fn shown(estimate: &Estimate) -> String {
    let Some(value) = estimate.value else {
        return "–".into();
    };
    let size = value.abs().max(
        estimate
            .high
            .zip(estimate.low)
            .map_or(0.0, |(high, low)| (high - low) / 2.0),
    );
    if size > 0.0 && !(1e-3..1e6).contains(&size) {
        return match (estimate.low, estimate.high) {
            (Some(low), Some(high)) => format!("{value:.2e} [{low:.2e}, {high:.2e}]"),
            _ => format!("{value:.2e}"),
        };
    }
    let digits = match size {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        size if size >= 0.1 => 3,
        _ => 4,
    };
    estimate.show(digits)
}

/// The same as a cell that sorts.
pub(super) fn shown_cell(estimate: Option<&Estimate>) -> Cell {
    Cell::Number {
        value: estimate.and_then(|estimate| estimate.value),
        shown: estimate.map_or_else(|| "–".into(), shown),
    }
}

impl Outcome {
    /// A number of models at a stage.
    fn row(&self, when: When, metric: &str, estimate: &Estimate) -> MetricRow {
        // Prices name their environments after the parts of the data, generators after what holds there in the test
        // part.
        let split = match self.environment.as_str() {
            "validation" => "validation",
            _ => "test",
        };
        MetricRow {
            experiment: self.experiment.clone(),
            dataset: self.dataset.clone(),
            model: Some("large".into()),
            stage: Some(when.name().into()),
            seed: Some(self.seed),
            environment: Some(self.environment.clone()),
            split: Some(split.into()),
            ..metric_row(metric, estimate)
        }
    }

    /// The change over sizes stands without keys after training, so that it is summarised over seeds; a slope has the
    /// unit of its form.
    fn trend_rows(&self, one: &TrendOutcome) -> [MetricRow; 2] {
        let axis = one.axis.name();
        let change = self.row(
            one.when,
            &format!("{}_change_over_{axis}", one.measure),
            &one.trend.change,
        );
        let slope = self.row(
            one.when,
            &format!("{}_slope_over_{axis}", one.measure),
            &one.trend.slope,
        );
        let initial = json!({ "stage": one.when.name() }).to_string();
        [
            MetricRow {
                params: (one.when == When::Initial).then_some(initial),
                ..change
            },
            MetricRow {
                params: Some(json!({ "stage": one.when.name(), "form": one.trend.form }).to_string()),
                ..slope
            },
        ]
    }

    fn model_rows(&self, model: &SizeOutcome, when: When) -> Vec<MetricRow> {
        let keys = json!({ "width": model.width, "depth": model.depth, "stage": when.name() });
        let keyed = |row: MetricRow| MetricRow {
            params: Some(keys.to_string()),
            ..row
        };
        let stage = model.stage(when);
        let mut rows: Vec<MetricRow> = MEASURES
            .iter()
            .zip(&stage.values)
            .map(|(measure, value)| keyed(self.row(when, measure.name, value)))
            .collect();
        if when == When::Trained {
            rows.push(keyed(self.row(when, "epochs", &model.epochs)));
            let parameters = Estimate::point(model.parameters as f64, self.repeats);
            rows.push(keyed(self.row(when, "parameters", &parameters)));
        }
        for site in &stage.sites {
            let own = MEASURES.iter().take(OF_SITES).zip(&site.values);
            rows.extend(own.map(|(measure, value)| MetricRow {
                site: Some(site.site.clone()),
                ..keyed(self.row(when, measure.name, value))
            }));
        }
        for (index, layer) in stage.layers.iter().enumerate() {
            let own = [
                ("attention_entropy", &layer.attention_entropy),
                ("attention_sparsity", &layer.attention_sparsity),
                ("head_diversity", &layer.head_diversity),
            ];
            rows.extend(own.map(|(metric, value)| MetricRow {
                site: Some(format!("layers.{index}.attn.pattern")),
                ..keyed(self.row(when, metric, value))
            }));
        }
        for gradient in &stage.gradients {
            let mut keys = keys.clone();
            keys["parameter"] = gradient.parameter.clone().into();
            let own = [
                ("gradient_norm", &gradient.norm),
                ("gradient_variance", &gradient.variance),
            ];
            rows.extend(own.map(|(metric, value)| MetricRow {
                params: Some(keys.to_string()),
                ..self.row(when, metric, value)
            }));
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_size_can_be_read() {
        let check = |value: f64, half: f64, expected: &str| {
            let estimate = Estimate {
                low: Some(value - half),
                high: Some(value + half),
                ..Estimate::point(value, 3)
            };
            assert_eq!(shown(&estimate), expected);
        };
        check(0.12345, 0.01, "0.123 [0.113, 0.133]");
        check(123.45, 1.0, "123 [122, 124]");
        check(2e-7, 1e-7, "2.00e-7 [1.00e-7, 3.00e-7]");
        // The interval of what is near 0 decides.
        check(1e-9, 0.5, "0.000 [-0.500, 0.500]");
        check(0.0, 0.0, "0.0000 [0.0000, 0.0000]");
        assert_eq!(shown(&Estimate::undefined("no value", 0)), "–");
    }
}
