//! A number with its interval, or the reason why there is none.

use serde::{Deserialize, Serialize};

/// One measured value. What is undefined is `None` with a `note`, never NaN.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value on all rows.
    pub value: Option<f64>,
    /// Lower end of the interval.
    pub low: Option<f64>,
    /// Upper end of the interval.
    pub high: Option<f64>,
    /// Coverage aimed at, for example 0.95.
    pub level: Option<f64>,
    /// How the interval was made.
    pub method: Option<String>,
    /// p value of the test named with the metric.
    pub p: Option<f64>,
    /// p value after Benjamini and Hochberg over the family named with the metric.
    pub q: Option<f64>,
    /// Rows behind the value.
    pub n: usize,
    /// Why the value is undefined, or what limits it.
    pub note: Option<String>,
}

impl Estimate {
    /// A value without an interval.
    pub fn point(value: f64, n: usize) -> Self {
        if !value.is_finite() {
            return Self::undefined("not a finite number", n);
        }
        Self {
            value: Some(value),
            n,
            ..Self::default()
        }
    }

    /// No value, because of `reason`.
    pub fn undefined(reason: impl Into<String>, n: usize) -> Self {
        Self {
            n,
            note: Some(reason.into()),
            ..Self::default()
        }
    }

    /// The interval cut to where the quantity can lie, for example [0, 1] for a share.
    #[must_use]
    pub fn within(mut self, least: f64, most: f64) -> Self {
        self.low = self.low.map(|low| low.clamp(least, most));
        self.high = self.high.map(|high| high.clamp(least, most));
        self
    }

    /// The interval reflected at the value (the "basic" bootstrap): for statistics that resampling pushes upwards. Where it pushes
    /// all resamples to one side, the interval ends at the value.
    #[must_use]
    pub fn reflected(mut self) -> Self {
        if let (Some(value), Some(low), Some(high)) = (self.value, self.low, self.high) {
            (self.low, self.high) = (
                Some((2.0 * value - high).min(value)),
                Some((2.0 * value - low).max(value)),
            );
            self.method = self.method.map(|method| method + ", reflected");
        }
        self
    }

    /// Whether the interval exists and lies above `threshold`.
    pub fn above(&self, threshold: f64) -> bool {
        self.low.is_some_and(|low| low > threshold)
    }

    /// Whether the interval exists and lies below `threshold`.
    pub fn below(&self, threshold: f64) -> bool {
        self.high.is_some_and(|high| high < threshold)
    }

    /// `0.512 [0.480, 0.541]`, or the reason why there is no value.
    pub fn show(&self, digits: usize) -> String {
        let fixed = |value: f64| {
            let text = format!("{value:.digits$}");
            // A small negative number rounds to a zero without a sign.
            if text.bytes().all(|b| b"-0.".contains(&b)) {
                text.trim_start_matches('-').to_string()
            } else {
                text
            }
        };
        match (self.value, self.low, self.high) {
            (Some(value), Some(low), Some(high)) => {
                format!("{} [{}, {}]", fixed(value), fixed(low), fixed(high))
            }
            (Some(value), ..) => fixed(value),
            _ => format!("undefined ({})", self.note.as_deref().unwrap_or("no reason given")),
        }
    }
}
