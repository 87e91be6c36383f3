//! Axes of the static figures. A logarithmic one holds logarithms, so that it is an even one with other labels.

use std::ops::Range;

use plotters::coord::{
    ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter},
    types::RangedCoordf64,
};

use crate::figure::{Figure, Values, number};

pub(crate) struct Axis {
    even: RangedCoordf64,
    log: bool,
}

impl Axis {
    pub(crate) fn new(range: Range<f64>, log: bool) -> Self {
        Self {
            even: range.into(),
            log,
        }
    }

    /// What stands beside a tick.
    pub(crate) fn label(value: f64, log: bool) -> String {
        if log {
            power(value)
        } else {
            RangedCoordf64::format(&value)
        }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.even.map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if self.log {
            let fine = hint.weight().allow_light_points();
            let ticks = ticks(&self.even.range(), hint.bold_points(), fine);
            // On less than a step between two of 1, 2, 5, 10 a logarithm is nearly even.
            if ticks.len() > 1 {
                return ticks;
            }
        }
        self.even.key_points(hint)
    }

    fn range(&self) -> Range<f64> {
        self.even.range()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        Self::label(*value, self.log)
    }
}

/// Logarithms of whole powers of ten, every so many that at most `most` are left; of 1, 2, 5 times these if few lie in
/// the range; of all digits times these for fine lines.
fn ticks(range: &Range<f64>, most: usize, fine: bool) -> Vec<f64> {
    let (first, last) = (range.start.floor() as i64, range.end.ceil() as i64);
    let inside = |value: &f64| *value >= range.start - 1e-9 && *value <= range.end + 1e-9;
    let times = |digits: &'static [f64]| {
        let powers = (first..=last).flat_map(move |power| digits.iter().map(move |d| power as f64 + d.log10()));
        powers.filter(inside).collect::<Vec<_>>()
    };
    let powers = times(&[1.0]);
    if fine && powers.len() <= 6 {
        return times(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
    }
    if powers.len() < 3 {
        return times(&[1.0, 2.0, 5.0]);
    }
    let step = powers.len().div_ceil(most.max(1)) as i64;
    let whole = |value: &f64| (value.round() as i64).rem_euclid(step) == 0;
    powers.into_iter().filter(|value| fine || whole(value)).collect()
}

/// Ten to the `exponent`, as people write it.
pub(crate) fn power(exponent: f64) -> String {
    let whole = exponent.round();
    if (exponent - whole).abs() > 1e-6 || (-3.0..=4.0).contains(&whole) {
        return number(10f64.powf(exponent));
    }
    let plain = format!("{whole:.0}");
    let raised = plain.chars().map(|c| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        digit => char::from_u32(0x2070 + digit.to_digit(10).unwrap_or(0)).unwrap_or(digit),
    });
    format!("10{}", raised.collect::<String>())
}

/// The figure with logarithms along its logarithmic axes.
pub(crate) fn logarithms(mut figure: Figure, [x, y]: [bool; 2]) -> Figure {
    for series in &mut figure.series {
        if x && let Values::Numbers(numbers) = &mut series.x {
            for value in numbers {
                *value = value.log10();
            }
        }
        if y {
            let ends = series.low.iter_mut().chain(&mut series.high).flatten();
            for value in series.y.iter_mut().chain(ends).flatten() {
                *value = value.log10();
            }
        }
    }
    if y {
        for value in &mut figure.lines {
            *value = value.log10();
        }
    }
    figure
}
