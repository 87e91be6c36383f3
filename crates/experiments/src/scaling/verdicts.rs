//! What the numbers say, the notebook's "key findings" of part 45 first. What stands before the first colon is counted
//! over seeds, so that it holds no numbers.

use disentangle_analysis::{Estimate, trend::Form};
use disentangle_report::{Tone, Verdict};

use super::{
    outcome::{Axis, Outcome, SizeOutcome, TrendOutcome, When},
    render::shown,
};

pub(super) fn verdicts(outcome: &Outcome) -> Vec<Verdict> {
    let trends = [
        (
            "interference",
            Axis::Depth,
            When::Trained,
            "superposition (interference)",
        ),
        (
            "interference",
            Axis::Width,
            When::Trained,
            "superposition (interference)",
        ),
        ("head_diversity", Axis::Depth, When::Trained, "head diversity"),
        ("head_diversity", Axis::Width, When::Trained, "head diversity"),
        ("attention_entropy", Axis::Depth, When::Trained, "attention entropy"),
        ("attention_entropy", Axis::Width, When::Trained, "attention entropy"),
    ];
    let mut all: Vec<Verdict> = trends
        .into_iter()
        .filter_map(|(measure, axis, when, words)| trend(outcome, measure, axis, when, words))
        .collect();
    all.extend(compression(outcome));
    all.extend(trend(
        outcome,
        "gradient_norm",
        Axis::Depth,
        When::Initial,
        "the gradient before training",
    ));
    all.extend(training_matters(outcome));
    all.extend(unlearned(outcome));
    all
}

fn neutral(text: String) -> Verdict {
    Verdict {
        text,
        tone: Tone::Neutral,
    }
}

/// Which way a measure goes, and how.
fn trend(outcome: &Outcome, measure: &str, axis: Axis, when: When, words: &str) -> Option<Verdict> {
    let one = outcome.trend(measure, axis, when)?;
    one.trend.slope.value?;
    let along = outcome.along(axis);
    let (first, last) = (axis.size(along.first()?), axis.size(along.last()?));
    let fitted = |size: usize| Some(shown(&Estimate::point(one.trend.at(size as f64)?, 0)));
    let text = format!(
        "{words} {}: {}; the fit goes from {} at {name} {first} to {} at {last}, change {}, {}{}",
        way(one),
        formula(one),
        fitted(first)?,
        fitted(last)?,
        shown(&one.trend.change),
        fixed(outcome, axis),
        q(one),
        name = axis.name(),
    );
    Some(neutral(text))
}

/// A power law with an exponent between 0 and 1 flattens, one below 0 too; a line does not.
fn way(one: &TrendOutcome) -> String {
    let name = one.axis.name();
    let exponent = one.trend.slope.value.filter(|_| one.trend.form == Form::PowerLaw);
    match (one.direction(), exponent) {
        (0, _) => format!("does not clearly change with {name}"),
        (1, Some(exponent)) if exponent < 1.0 => format!("rises with {name} and flattens"),
        (1, _) => format!("rises with {name}"),
        (_, Some(_)) => format!("falls with {name} and flattens"),
        (_, None) => format!("falls with {name}"),
    }
}

fn formula(one: &TrendOutcome) -> String {
    let slope = shown(&one.trend.slope);
    match one.trend.form {
        Form::Linear => format!("a line with slope {slope} a unit"),
        Form::PowerLaw => format!("a power law with exponent {slope}"),
    }
}

/// What stays the same along an axis.
fn fixed(outcome: &Outcome, axis: Axis) -> String {
    match axis {
        Axis::Width => format!("at depth {}", outcome.sizes.at_depth),
        Axis::Depth => format!("at width {}", outcome.sizes.at_width),
    }
}

fn q(one: &TrendOutcome) -> String {
    one.trend.slope.q.map_or_else(String::new, |q| format!(" (q = {q:.3})"))
}

/// Whether what the last layer leaves has fewer directions than the embedding.
fn compression(outcome: &Outcome) -> Option<Verdict> {
    let deepest = outcome.along(Axis::Depth).pop()?;
    let ratio = deepest.value(When::Trained, "rank_along_depth")?;
    ratio.value?;
    let words = if ratio.below(1.0) {
        "deep trained models compress from layer to layer"
    } else if ratio.above(1.0) {
        "deep trained models spread out from layer to layer"
    } else {
        "deep trained models do not clearly compress from layer to layer"
    };
    let before = deepest.value(When::Initial, "rank_along_depth");
    Some(neutral(format!(
        "{words}: with {} layers the effective rank after the last one is {} times that of the embedding, {} before training",
        deepest.depth,
        shown(ratio),
        before.map_or_else(|| "–".into(), shown)
    )))
}

/// Whether untrained models, which the notebook measured, would have told the trends of trained ones.
fn training_matters(outcome: &Outcome) -> Option<Verdict> {
    let pairs: Vec<(i8, i8)> = outcome
        .trends
        .iter()
        .filter(|one| one.when == When::Initial)
        .filter_map(|one| {
            let trained = outcome.trend(&one.measure, one.axis, When::Trained)?;
            Some((one.direction(), trained.direction()))
        })
        .collect();
    let clear = pairs
        .iter()
        .filter(|(before, after)| *before != 0 || *after != 0)
        .count();
    let same = pairs
        .iter()
        .filter(|(before, after)| *before != 0 && before == after)
        .count();
    let opposite = pairs.iter().filter(|(before, after)| before * after < 0).count();
    if clear == 0 {
        return None;
    }
    let (words, tone) = match same == clear {
        true => ("untrained models have the trends of trained ones", Tone::Good),
        false => ("untrained models do not have the trends of trained ones", Tone::Bad),
    };
    let text = format!(
        "{words}: of {} trends {clear} are clear before or after training, {same} in the same direction, {opposite} in opposite ones",
        pairs.len()
    );
    Some(Verdict { text, tone })
}

/// Sizes that do not clearly do better than a coin: what trained means is little there.
fn unlearned(outcome: &Outcome) -> Option<Verdict> {
    let auc = |one: &SizeOutcome| one.value(When::Trained, "roc_auc").cloned().unwrap_or_default();
    let failed: Vec<String> = outcome
        .models
        .iter()
        .filter(|one| !auc(one).above(0.5))
        .map(|one| format!("width {} depth {}, AUC {}", one.width, one.depth, shown(&auc(one))))
        .collect();
    let text = format!(
        "some sizes have not clearly learned the label, so that training changed little there: {}",
        failed.join("; ")
    );
    (!failed.is_empty()).then_some(Verdict { text, tone: Tone::Bad })
}

#[cfg(test)]
mod tests {
    use disentangle_analysis::trend::SizeTrend;

    use super::*;
    use crate::scaling::{
        config::Sizes,
        measures::{MEASURES, place},
        outcome::StageOutcome,
    };

    #[test]
    fn words_follow_the_slope_and_its_q() {
        let check = |form: Form, slope: f64, q: Option<f64>, expected: &str| {
            let one = TrendOutcome {
                measure: "interference".into(),
                axis: Axis::Depth,
                when: When::Trained,
                trend: SizeTrend {
                    form,
                    slope: Estimate {
                        q,
                        ..Estimate::point(slope, 4)
                    },
                    ..SizeTrend::default()
                },
            };
            assert_eq!(way(&one), expected);
        };
        check(Form::Linear, 0.3, Some(0.04), "rises with depth");
        check(Form::Linear, -0.3, Some(0.04), "falls with depth");
        check(Form::PowerLaw, 0.3, Some(0.04), "rises with depth and flattens");
        check(Form::PowerLaw, 1.3, Some(0.04), "rises with depth");
        check(Form::PowerLaw, -1.3, Some(0.04), "falls with depth and flattens");
        check(Form::PowerLaw, 0.3, Some(0.06), "does not clearly change with depth");
        check(Form::Linear, 0.3, None, "does not clearly change with depth");
    }

    fn outcome(models: Vec<SizeOutcome>, trends: Vec<TrendOutcome>) -> Outcome {
        Outcome {
            schema_version: 1,
            kind: "run".into(),
            experiment: "scaling".into(),
            seed: 0,
            dataset: "biased".into(),
            simulated: true,
            notices: Vec::new(),
            train_rows: 10,
            environment: "test".into(),
            measured_rows: 10,
            positions: 1,
            repeats: 2,
            sizes: Sizes::default(),
            models,
            trends,
        }
    }

    #[test]
    fn trends_of_untrained_models_are_held_against_those_of_trained_ones() {
        let one = |measure: &str, when: When, slope: f64| TrendOutcome {
            measure: measure.into(),
            axis: Axis::Depth,
            when,
            trend: SizeTrend {
                slope: Estimate {
                    // A slope of 0 is not clear.
                    q: Some(if slope == 0.0 { 0.9 } else { 0.01 }),
                    ..Estimate::point(slope, 4)
                },
                ..SizeTrend::default()
            },
        };
        let found = |slopes: &[[f64; 2]]| {
            let trends = slopes.iter().enumerate().flat_map(|(place, [before, after])| {
                let name = MEASURES[place].name;
                [one(name, When::Initial, *before), one(name, When::Trained, *after)]
            });
            training_matters(&outcome(Vec::new(), trends.collect()))
        };
        let same = found(&[[1.0, 2.0], [-1.0, -1.0], [0.0, 0.0]]).unwrap();
        let text = "untrained models have the trends of trained ones: of 3 trends 2 are clear before or after training, 2 in the same direction, 0 in opposite ones";
        assert_eq!((same.tone, same.text.as_str()), (Tone::Good, text));
        let other = found(&[[1.0, 1.0], [1.0, -1.0], [0.0, 1.0]]).unwrap();
        let text = "untrained models do not have the trends of trained ones: of 3 trends 3 are clear before or after training, 1 in the same direction, 1 in opposite ones";
        assert_eq!((other.tone, other.text.as_str()), (Tone::Bad, text));
        assert!(found(&[[0.0, 0.0]]).is_none());
    }

    #[test]
    fn a_rank_that_falls_along_the_layers_is_compression() {
        let check = |low: f64, high: f64, expected: &str| {
            let stage = || StageOutcome {
                values: vec![Estimate::default(); MEASURES.len()],
                sites: Vec::new(),
                layers: Vec::new(),
                gradients: Vec::new(),
            };
            let sizes = Sizes::default();
            let mut trained = stage();
            trained.values[place("rank_along_depth").unwrap()] = Estimate {
                low: Some(low),
                high: Some(high),
                ..Estimate::point(f64::midpoint(low, high), 4)
            };
            let deepest = SizeOutcome {
                width: sizes.at_width,
                depth: *sizes.depths.last().unwrap(),
                parameters: 1,
                epochs: Estimate::default(),
                initial: stage(),
                trained,
            };
            let found = compression(&outcome(vec![deepest], Vec::new())).unwrap();
            assert!(found.text.starts_with(expected), "{found:?}");
        };
        check(0.5, 0.9, "deep trained models compress from layer to layer");
        check(1.1, 1.5, "deep trained models spread out from layer to layer");
        check(
            0.9,
            1.1,
            "deep trained models do not clearly compress from layer to layer",
        );
    }
}
