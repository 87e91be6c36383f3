//! Measures over width and over depth: a point a size with its interval, and the fits of the trends as curves.

use disentangle_analysis::{
    Estimate,
    trend::{Form, SizeTrend},
};
use disentangle_report::{Block, Mark, Series, Values};

use super::{
    measures::MEASURES,
    outcome::{Axis, Outcome, SizeOutcome, When},
    render::shown,
    sections::capitalised,
};
use crate::present::{plain_figure, with_interval};

/// Measures that differ by orders of magnitude.
const LOGARITHMIC: [&str; 2] = ["gradient_norm", "gradient_variance"];

/// Steps of a curve, even on the logarithmic axis of sizes: so many that it is drawn without marks.
const STEPS: u32 = 48;

/// A measure over width and over depth; `None` where it is undefined everywhere.
pub(super) fn over_sizes(outcome: &Outcome, place: usize) -> Option<Block> {
    let measure = &MEASURES[place];
    let arms = |when: When| Axis::ALL.map(|axis| (axis, when));
    // Six colours are used in turn. In this order the curves of trained models, which come last, have the colours of their points, and no
    // other two series have one colour.
    let points = [arms(When::Trained), arms(When::Initial)].concat();
    let curves = [arms(When::Initial), arms(When::Trained)].concat();
    let mut series: Vec<Series> = points
        .into_iter()
        .filter_map(|(axis, when)| points_of(outcome, axis, when, place))
        .collect();
    if series.is_empty() {
        return None;
    }
    series.extend(
        curves
            .into_iter()
            .filter_map(|(axis, when)| curve_of(outcome, axis, when, place)),
    );
    let sizes = &outcome.sizes;
    let mut figure = plain_figure(
        &measure.name.replace('_', "-"),
        &format!("{} over width and over depth", capitalised(measure.title)),
        &format!(
            "Sizes are multiples of the smallest: width {} (at depth {}) and depth {} (at width {}). A curve is the fit of the trend, named by its \
             exponent if it is a power law and by its slope a unit of size if it is a line: where an interval holds 0, the curve may as well be level.",
            sizes.widths.first().copied().unwrap_or_default(),
            sizes.at_depth,
            sizes.depths.first().copied().unwrap_or_default(),
            sizes.at_width
        ),
        ["size over the smallest", measure.title, ""],
        series,
        vec![],
    );
    figure.log = [true, LOGARITHMIC.contains(&measure.name)];
    Some(Block::Figure(figure))
}

fn name(axis: Axis, when: When) -> String {
    format!("{}, {}", axis.name(), when.name())
}

fn value(one: &SizeOutcome, when: When, place: usize) -> Option<&Estimate> {
    one.stage(when).values.get(place).filter(|value| value.value.is_some())
}

/// Means over trainings; `None` where the measure is undefined for every size.
fn points_of(outcome: &Outcome, axis: Axis, when: When, place: usize) -> Option<Series> {
    let models = outcome.along(axis);
    let smallest = axis.size(models.first()?) as f64;
    if models.iter().all(|one| value(one, when, place).is_none()) {
        return None;
    }
    let absent = Estimate::default();
    let values: Vec<&Estimate> = models
        .iter()
        .map(|one| value(one, when, place).unwrap_or(&absent))
        .collect();
    let x = models.iter().map(|one| axis.size(one) as f64 / smallest).collect();
    let labels = models
        .iter()
        .map(|one| format!("width {}, depth {}", one.width, one.depth));
    Some(Series {
        labels: Some(labels.collect()),
        ..with_interval(&name(axis, when), Mark::Points, Values::Numbers(x), &values)
    })
}

/// The fit of the trend, from the smallest to the largest size that has a value; `None` where there is no fit.
fn curve_of(outcome: &Outcome, axis: Axis, when: When, place: usize) -> Option<Series> {
    let trend = &outcome.trend(MEASURES[place].name, axis, when)?.trend;
    let models = outcome.along(axis);
    let smallest = axis.size(models.first()?) as f64;
    let defined = models.iter().filter(|one| value(one, when, place).is_some());
    let sizes: Vec<f64> = defined.map(|one| axis.size(one) as f64).collect();
    let (x, y) = curve(trend, [*sizes.first()?, *sizes.last()?])?;
    let coefficient = match trend.form {
        Form::PowerLaw => "exponent",
        Form::Linear => "slope",
    };
    let x = x.into_iter().map(|size| size / smallest).collect();
    let name = format!("{}: {coefficient} {}", name(axis, when), shown(&trend.slope));
    Some(Series::new(name, Mark::Line, Values::Numbers(x), y))
}

/// Sizes and fitted values at them.
fn curve(trend: &SizeTrend, [least, most]: [f64; 2]) -> Option<(Vec<f64>, Vec<f64>)> {
    let sizes = (0..=STEPS).map(|step| least * (most / least).powf(f64::from(step) / f64::from(STEPS)));
    sizes.map(|size| Some((size, trend.at(size)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_go_through_their_fits_from_end_to_end() {
        let check = |form: Form, coefficients: [f64; 2], ends: [f64; 2], expected: [f64; 2]| {
            let trend = SizeTrend {
                form,
                curve: Some(coefficients),
                ..SizeTrend::default()
            };
            let (x, y) = curve(&trend, ends).unwrap();
            assert!(x.len() == y.len() && x.len() > 40);
            assert!(x.windows(2).all(|two| two[0] < two[1]));
            let (first, last) = ((x[0], y[0]), (x[x.len() - 1], y[y.len() - 1]));
            for ((size, value), (end, expected)) in [first, last].into_iter().zip(ends.into_iter().zip(expected)) {
                assert!((size - end).abs() < 1e-9 && (value - expected).abs() < 1e-9, "{form:?}");
            }
        };
        check(Form::PowerLaw, [3.0, -0.5], [4.0, 64.0], [1.5, 0.375]);
        check(Form::Linear, [1.0, 0.25], [2.0, 16.0], [1.5, 5.0]);
        assert!(curve(&SizeTrend::default(), [1.0, 8.0]).is_none(), "there is no fit");
    }
}
