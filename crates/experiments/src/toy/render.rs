//! The outcome as rows, as a report and as text.

use disentangle_analysis::Estimate;
use disentangle_report::{Block, Heatmap, Mark, MetricRow, Report, Section, Series, Tone, Values, Verdict};

use super::{Five, Outcome, Phase};
use crate::{
    experiment::{Render, metric_row},
    present::{heatmap, number, plain_figure, table, with_interval},
};

impl Render for Outcome {
    fn rows(&self) -> Vec<MetricRow> {
        let row = |metric: &str, estimate: &Estimate, params: serde_json::Value| MetricRow {
            experiment: self.experiment.clone(),
            dataset: "sparse features".into(),
            model: Some("toy".into()),
            stage: Some("trained".into()),
            seed: Some(self.seed),
            params: Some(params.to_string()),
            ..metric_row(metric, estimate)
        };
        let mut rows = Vec::new();
        for one in &self.five {
            for (feature, d) in one.dimensionality.iter().enumerate() {
                let params =
                    serde_json::json!({"features": 5, "hidden": 2, "density": one.density, "feature": feature});
                rows.push(row(
                    "feature_dimensionality",
                    &Estimate::point(*d, self.restarts),
                    params,
                ));
            }
            let params = serde_json::json!({"features": 5, "hidden": 2, "density": one.density});
            rows.extend(
                one.losses
                    .first()
                    .map(|loss| row("toy_loss", &Estimate::point(*loss, self.restarts), params)),
            );
        }
        for one in &self.plateau {
            let params = serde_json::json!({"features": 200, "hidden": 20, "inverse_density": one.inverse_density});
            rows.push(row("dimensions_per_feature", &one.dimensions_per_feature, params));
        }
        for one in &self.phase {
            let params = serde_json::json!({"features": 2, "hidden": 1, "ratio": one.ratio, "density": one.density});
            rows.push(row("sharing", &Estimate::point(one.sharing, 1), params));
        }
        rows
    }

    fn report(&self) -> Report {
        Report {
            title: "Toy models of superposition".into(),
            subtitle: format!(
                "x̂ = ReLU(WᵀWx + b) on sparse features (Elhage et al. 2022), seed {}",
                self.seed
            ),
            simulated: true,
            verdicts: self.verdicts(),
            sections: vec![
                self.checks_section(),
                self.five_section(),
                self.plateau_section(),
                self.phase_section(),
            ],
            ..Report::default()
        }
    }

    fn summary(&self) -> String {
        let mut text = String::new();
        for check in &self.checks {
            text += &format!(
                "{:<8} {}\n         published {}\n         ours      {}\n",
                mark(check.passed),
                check.what,
                check.published,
                check.ours
            );
        }
        text += "\n";
        for verdict in self.verdicts() {
            text += &format!("- {}\n", verdict.text);
        }
        text
    }
}

fn mark(passed: Option<bool>) -> &'static str {
    match passed {
        Some(true) => "pass",
        Some(false) => "FAIL",
        None => "left out",
    }
}

impl Outcome {
    fn verdicts(&self) -> Vec<Verdict> {
        let made: Vec<_> = self
            .checks
            .iter()
            .filter_map(|check| Some((check, check.passed?)))
            .collect();
        let failed: Vec<&str> = made
            .iter()
            .filter(|(_, passed)| !passed)
            .map(|(check, _)| check.what.as_str())
            .collect();
        let text = if failed.is_empty() {
            format!("{} of {} published figures are met", made.len(), self.checks.len())
        } else {
            let names = failed.join("; ");
            format!(
                "{} of {} published figures are met; not met: {names}",
                made.len() - failed.len(),
                self.checks.len()
            )
        };
        let tone = if failed.is_empty() { Tone::Good } else { Tone::Bad };
        vec![Verdict { text, tone }]
    }

    fn checks_section(&self) -> Section {
        let rows = self.checks.iter().map(|check| {
            vec![
                check.what.clone().into(),
                check.published.clone().into(),
                check.ours.clone().into(),
                number(Some(check.tolerance), 3),
                mark(check.passed).into(),
            ]
        });
        Section {
            title: "Published figures beside ours".into(),
            text: vec![
                "D is the share of a dimension that a feature has to itself: 1 alone, 1/2 beside its opposite, 2/5 in a pentagon. Tolerances are absolute.".into(),
            ],
            blocks: vec![table("", &["figure", "published", "ours", "tolerance", "result"], rows.collect())],
        }
    }

    fn five_section(&self) -> Section {
        let densities = || Values::Numbers(self.five.iter().map(|one| one.density).collect());
        let series = (0..5).map(|feature| {
            let values = self.five.iter().map(|one| one.dimensionality[feature]).collect();
            Series::new(format!("feature {}", feature + 1), Mark::Line, densities(), values)
        });
        let mut against = plain_figure(
            "dimensionality",
            "Dimensionality of each feature",
            "From right to left features become sparser: first the two most important own a dimension each, then pairs share one, then all five share two.",
            ["density (probability that a feature is present)", "D", ""],
            series.collect(),
            vec![1.0, 0.5, 0.4],
        );
        against.log = [true, false];
        let mut blocks = vec![Block::Figure(against)];
        blocks.extend(self.five.iter().map(directions));
        let rows = self.five.iter().map(|one| {
            let losses: Vec<String> = one.losses.iter().map(|loss| format!("{loss:.5}")).collect();
            vec![number(Some(one.density), 2), losses.join(", ").into()]
        });
        blocks.push(table(
            "Loss on fresh rows of every training, the best first",
            &["density", "losses"],
            rows.collect(),
        ));
        Section {
            title: "Five features in two dimensions".into(),
            text: vec![format!(
                "Importance falls by a factor of 0.9 from feature to feature. Of {} trainings the one with the least loss is shown, as in the paper.",
                self.restarts
            )],
            blocks,
        }
    }

    fn plateau_section(&self) -> Section {
        let xs = || Values::Numbers(self.plateau.iter().map(|one| one.inverse_density).collect());
        let estimates: Vec<&Estimate> = self.plateau.iter().map(|one| &one.dimensions_per_feature).collect();
        let mut aggregate = plain_figure(
            "plateau",
            "Dimensions a feature, m / ‖W‖²",
            "The flat stretch near 1/2 is where features are kept in antipodal pairs; dotted lines are 1 and 1/2.",
            ["1 / density", "m / ‖W‖²", ""],
            vec![with_interval("mean over trainings", Mark::Line, xs(), &estimates)],
            vec![1.0, 0.5],
        );
        aggregate.log = [true, false];
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for one in &self.plateau {
            for d in &one.dimensionality {
                x.push(one.inverse_density);
                y.push(*d);
            }
        }
        let mut each = plain_figure(
            "plateau-features",
            "Dimensionality of every feature",
            "One point a feature of one training; points gather at 0 (not kept), 1/2 (pairs) and, when sparse, at lower fractions (larger polytopes).",
            ["1 / density", "D", ""],
            vec![Series::new("features", Mark::Points, Values::Numbers(x), y)],
            vec![1.0, 0.5],
        );
        each.log = [true, false];
        Section {
            title: "200 features in 20 dimensions".into(),
            text: vec![format!(
                "All features are equally important; means and intervals are over {} trainings.",
                self.repeats
            )],
            blocks: vec![Block::Figure(aggregate), Block::Figure(each)],
        }
    }

    fn phase_section(&self) -> Section {
        let distinct = |of: fn(&Phase) -> f64| {
            let mut values: Vec<f64> = self.phase.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values.dedup();
            values
        };
        let (ratios, mut densities) = (distinct(|cell| cell.ratio), distinct(|cell| cell.density));
        densities.reverse();
        let at = |ratio: f64, density: f64| {
            self.phase
                .iter()
                .find(|cell| cell.ratio == ratio && cell.density == density)
        };
        let values = densities.iter().map(|&density| {
            ratios
                .iter()
                .map(|&ratio| at(ratio, density).map(|cell| cell.sharing))
                .collect()
        });
        let ends = |ratio: f64| {
            let shared = self.phase.iter().filter(|cell| cell.ratio == ratio && cell.superposed);
            shared
                .map(|cell| cell.density)
                .fold(None, |most: Option<f64>, d| Some(most.map_or(d, |m| m.max(d))))
        };
        let rows = ratios.iter().map(|&ratio| {
            let crossing = self
                .phase
                .iter()
                .find(|cell| cell.ratio == ratio)
                .map(|cell| cell.closed_form_crossing);
            vec![number(Some(ratio), 2), number(crossing, 3), number(ends(ratio), 2)]
        });
        Section {
            title: "Two features in one dimension: the phase diagram".into(),
            text: vec![
                "Each cell is the best of several trainings. Where both features share the dimension as opposites the ratio of their weights is near 1, where one has it \
                 to itself near 0."
                    .into(),
            ],
            blocks: vec![
                heatmap(
                    "phase",
                    "Do the two features share the dimension?",
                    "Bright cells share (superposition), dark ones do not: sparse features of similar importance share.",
                    ["importance of the second feature over the first", "density"],
                    Heatmap {
                        x: ratios.iter().map(ToString::to_string).collect(),
                        y: densities.iter().map(ToString::to_string).collect(),
                        values: values.collect(),
                        range: Some([0.0, 1.0]),
                        unit: "|w₂| / |w₁|".into(),
                        ..Heatmap::default()
                    },
                ),
                table(
                    "Where sharing ends: by the closed form for fixed codes, and the largest density at which training shares",
                    &["importance ratio", "4r / (2 + 5r)", "largest density that shares"],
                    rows.collect(),
                ),
            ],
        }
    }
}

/// The five directions of one density, as spokes from the origin.
fn directions(one: &Five) -> Block {
    let spokes = one.directions.iter().enumerate().map(|(feature, direction)| {
        Series::new(
            format!("feature {}", feature + 1),
            Mark::Line,
            Values::Numbers(vec![0.0, direction[0]]),
            vec![0.0, direction[1]],
        )
    });
    let mut drawn = plain_figure(
        &format!("directions-{}", one.density.to_string().replace('.', "-")),
        &format!("Directions at density {}", one.density),
        "Each spoke is how a feature is written into the two hidden dimensions; a feature without a spoke is not kept.",
        ["hidden 1", "hidden 2", ""],
        spokes.collect(),
        vec![],
    );
    drawn.square = true;
    Block::Figure(drawn)
}
