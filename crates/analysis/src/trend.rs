//! How a measure depends on the size of a model: a straight line or a power law, with the seed as the unit (notebook
//! parts 45 and 46, which fitted lines to places in a list and had no intervals).

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::{
    Estimate,
    descriptive::{mean, std_dev},
    over_seeds,
    regression::least_squares,
};

/// How values follow sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// value = a + b · size, errors of the value normal with one variance.
    #[default]
    Linear,
    /// value = a · size^b, errors of ln value normal with one variance.
    PowerLaw,
}

impl Form {
    /// As reports write it.
    pub fn name(self) -> &'static str {
        match self {
            Form::Linear => "linear",
            Form::PowerLaw => "power law",
        }
    }

    /// The value at a size.
    fn at(self, [a, b]: [f64; 2], size: f64) -> f64 {
        match self {
            Form::Linear => a + b * size,
            Form::PowerLaw => a * size.powf(b),
        }
    }
}

/// The trend of a measure over sizes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SizeTrend {
    /// The form whose AIC over the fits of all seeds is the lower one.
    pub form: Form,
    /// AIC of the other form minus that of this one. `None` where there was no choice: a power law needs three sizes
    /// and values above 0, and equal values have no form.
    pub aic_lead: Option<f64>,
    /// b: the change of the value a unit of size, or the exponent. Each seed has a fit of its own; the mean over seeds
    /// with Student's t interval, p that of b = 0 by the t test over seeds. No p where all seeds agree, or there is
    /// one.
    pub slope: Estimate,
    /// The fitted value at the largest size minus that at the smallest, over seeds like `slope`; no p.
    pub change: Estimate,
    /// a and b of the fit through the points of all seeds.
    pub curve: Option<[f64; 2]>,
    /// Share of the variance of all points (of the logarithms of the values for a power law) that this fit explains.
    /// `None` where nothing varies.
    pub r_squared: Option<f64>,
}

impl SizeTrend {
    /// The value that the fit through all points has at a size. `None` where there is no fit.
    pub fn at(&self, size: f64) -> Option<f64> {
        Some(self.form.at(self.curve?, size))
    }
}

/// Fits both forms to `values[seed][size]`, absent where undefined, and keeps the one with the lower AIC.
///
/// RSS is added up over the fits of the seeds, so that it is about the form and not about how far seeds lie apart: AIC
/// = n ln(RSS / n) + 2 (2 · seeds + 1). That of a power law has 2 Σ ln value added, because its errors are of
/// logarithms: the density of the values themselves is what can be compared. All is undefined, with the reason, below
/// two sizes with a value.
pub fn size_trend(sizes: &[f64], values: &[Vec<Option<f64>>]) -> SizeTrend {
    let seeds: Vec<Points> = values.iter().map(|own| Points::new(sizes, own)).collect();
    let all = Points {
        sizes: seeds.iter().flat_map(|own| own.sizes.iter().copied()).collect(),
        values: seeds.iter().flat_map(|own| own.values.iter().copied()).collect(),
    };
    let Some(line) = all.line() else {
        let undefined = || Estimate::undefined("fewer than two sizes have a value", seeds.len());
        return SizeTrend {
            slope: undefined(),
            change: undefined(),
            ..SizeTrend::default()
        };
    };
    let difference = difference_of_aic(&seeds, &all);
    let logs = difference.filter(|difference| *difference < 0.0).map(|_| all.logs());
    let (form, curve, r_squared) = match logs.as_ref().and_then(|logs| Some((logs, logs.line()?))) {
        Some((logs, fit)) => (
            Form::PowerLaw,
            [fit.coefficients[0].exp(), fit.coefficients[1]],
            logs.explained(&fit),
        ),
        None => (Form::Linear, line.coefficients, all.explained(&line)),
    };
    let fits: Vec<Option<[f64; 2]>> = seeds.iter().map(|own| own.fit(form)).collect();
    let slopes: Vec<Option<f64>> = fits.iter().map(|fit| fit.map(|[_, b]| b)).collect();
    let (least, most) = all.ends();
    let changes = fits
        .iter()
        .map(|fit| fit.map(|fit| form.at(fit, most) - form.at(fit, least)));
    let mut slope = over_seeds(&slopes);
    slope.p = p_of_zero(&slopes);
    SizeTrend {
        form,
        aic_lead: difference.map(f64::abs),
        slope,
        change: over_seeds(&changes.collect::<Vec<_>>()),
        curve: Some(curve),
        r_squared,
    }
}

/// AIC of power laws minus that of lines; both have as many coefficients. `None` where there is no choice.
fn difference_of_aic(seeds: &[Points], all: &Points) -> Option<f64> {
    let choice = seeds.iter().any(|own| own.different_sizes() > 2 && own.varies());
    if !choice || !all.is_positive() {
        return None;
    }
    let n = all.values.len() as f64;
    let logs: Vec<Points> = seeds.iter().map(Points::logs).collect();
    let jacobian = 2.0 * all.values.iter().map(|value| value.ln()).sum::<f64>();
    Some(misfit(&logs, n) + jacobian - misfit(seeds, n))
}

/// n ln(RSS / n) of a line for each seed.
fn misfit(seeds: &[Points], n: f64) -> f64 {
    // A seed with one size lies on any line.
    let rss: f64 = seeds.iter().filter_map(Points::line).map(|line| line.rss).sum();
    let values = seeds.iter().flat_map(|own| &own.values);
    let largest = values.fold(0.0f64, |most, value| most.max(value.abs()));
    // Points that lie on their lines have residuals of rounding only, or none.
    let rounding = n * (f64::EPSILON * largest).powi(2);
    n * (rss.max(rounding).max(f64::MIN_POSITIVE) / n).ln()
}

/// A straight line.
struct Line {
    coefficients: [f64; 2],
    rss: f64,
}

/// Values at sizes.
struct Points {
    sizes: Vec<f64>,
    values: Vec<f64>,
}

impl Points {
    fn new(sizes: &[f64], values: &[Option<f64>]) -> Self {
        let defined = sizes.iter().zip(values);
        let (sizes, values) = defined.filter_map(|(&size, value)| Some((size, (*value)?))).unzip();
        Self { sizes, values }
    }

    fn logs(&self) -> Self {
        let logs = |numbers: &[f64]| numbers.iter().map(|number| number.ln()).collect();
        Self {
            sizes: logs(&self.sizes),
            values: logs(&self.values),
        }
    }

    /// `None` below two different sizes.
    fn line(&self) -> Option<Line> {
        let design: Vec<f64> = self.sizes.iter().flat_map(|&size| [1.0, size]).collect();
        let fit = least_squares(&design, 2, &self.values)?;
        if !self.varies() {
            // Rounding would give equal values a slope.
            return Some(Line {
                coefficients: [*self.values.first()?, 0.0],
                rss: 0.0,
            });
        }
        match fit.coefficients[..] {
            [a, b] => Some(Line {
                coefficients: [a, b],
                rss: fit.rss,
            }),
            _ => None,
        }
    }

    /// a and b of a form.
    fn fit(&self, form: Form) -> Option<[f64; 2]> {
        match form {
            Form::Linear => self.line().map(|line| line.coefficients),
            Form::PowerLaw => {
                let [a, b] = self.logs().line()?.coefficients;
                Some([a.exp(), b])
            }
        }
    }

    fn different_sizes(&self) -> usize {
        let mut sizes = self.sizes.clone();
        sizes.sort_by(f64::total_cmp);
        sizes.dedup();
        sizes.len()
    }

    fn varies(&self) -> bool {
        self.values.iter().any(|value| *value != self.values[0])
    }

    fn is_positive(&self) -> bool {
        self.sizes.iter().chain(&self.values).all(|number| *number > 0.0)
    }

    /// Share of the variance that a line explains.
    fn explained(&self, line: &Line) -> Option<f64> {
        let middle = mean(&self.values)?;
        let spread: f64 = self.values.iter().map(|value| (value - middle).powi(2)).sum();
        self.varies().then(|| (1.0 - line.rss / spread).clamp(0.0, 1.0))
    }

    fn ends(&self) -> (f64, f64) {
        let ends = (f64::INFINITY, f64::NEG_INFINITY);
        self.sizes
            .iter()
            .fold(ends, |(least, most), &size| (least.min(size), most.max(size)))
    }
}

/// Two-sided p value of a mean of 0, by the t test over seeds.
fn p_of_zero(values: &[Option<f64>]) -> Option<f64> {
    let present: Vec<f64> = values.iter().flatten().copied().collect();
    let (middle, n) = (mean(&present)?, present.len() as f64);
    // Seeds that agree but for rounding tell nothing of how others would differ.
    let spread = std_dev(&present).filter(|spread| *spread > 1e-12 * middle.abs())?;
    let t = middle / (spread / n.sqrt());
    Some(2.0 * StudentsT::new(0.0, 1.0, n - 1.0).ok()?.sf(t.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [f64; 4] = [1.0, 2.0, 4.0, 8.0];

    /// `of(seed, size)` for three seeds.
    fn found(of: impl Fn(f64, f64) -> f64) -> SizeTrend {
        let values: Vec<Vec<Option<f64>>> = [1.0, 2.0, 3.0]
            .iter()
            .map(|&seed| SIZES.iter().map(|&size| Some(of(seed, size))).collect())
            .collect();
        size_trend(&SIZES, &values)
    }

    #[track_caller]
    fn close(found: Option<f64>, expected: f64) {
        let found = found.unwrap();
        assert!(
            (found - expected).abs() < 1e-9 * expected.abs().max(1.0),
            "{found}, not {expected}"
        );
    }

    #[test]
    fn exact_lines_and_power_laws_are_told_apart() {
        let law = found(|_, size| 3.0 * size.powf(-0.5));
        assert_eq!(law.form, Form::PowerLaw);
        assert!(law.aic_lead.unwrap() > 10.0);
        close(law.slope.value, -0.5);
        close(law.change.value, 3.0 / 8.0f64.sqrt() - 3.0);
        close(law.at(16.0), 0.75);
        close(law.r_squared, 1.0);

        let line = found(|_, size| 2.0 + 0.5 * size);
        assert_eq!(line.form, Form::Linear);
        assert!(line.aic_lead.unwrap() > 10.0);
        close(line.slope.value, 0.5);
        close(line.change.value, 3.5);
        close(line.at(10.0), 7.0);
    }

    /// Slopes 1, 2, 3: mean 2, standard error 1 / √3; of Student's t with 2 degrees of freedom the 97.5 % quantile is
    /// 4.302653, and P(|t| > 2√3) = 1 - √(6/7).
    #[test]
    fn the_seed_is_the_unit() {
        let lines = found(|seed, size| 10.0 + seed * size);
        assert_eq!(lines.form, Form::Linear);
        close(lines.slope.value, 2.0);
        let half = 4.302_652_729_7 / 3.0f64.sqrt();
        close(lines.slope.low, 2.0 - half);
        close(lines.slope.high, 2.0 + half);
        close(lines.slope.p, 1.0 - (6.0f64 / 7.0).sqrt());
        close(lines.change.value, 14.0);
        assert_eq!((lines.change.p, lines.slope.n), (None, 3));

        // Exponents 1, 2, 3: 8^b - 1 is 7, 63, 511.
        let laws = found(|seed, size| size.powf(seed));
        assert_eq!(laws.form, Form::PowerLaw);
        close(laws.slope.value, 2.0);
        close(laws.slope.low, 2.0 - half);
        close(laws.change.value, (7.0 + 63.0 + 511.0) / 3.0);
        // Of the logarithms: var(seed · ln size) is explained by mean slope 2.
        let logs: Vec<f64> = SIZES.iter().map(|size| size.ln()).collect();
        let pairs = || {
            [1.0, 2.0, 3.0]
                .into_iter()
                .flat_map(|b| logs.iter().map(move |x| (b, x)))
        };
        let residual: f64 = pairs().map(|(b, x)| ((b - 2.0) * x).powi(2)).sum();
        let middle = 2.0 * logs.iter().sum::<f64>() / 4.0;
        let spread: f64 = pairs().map(|(b, x)| (b * x - middle).powi(2)).sum();
        close(laws.r_squared, 1.0 - residual / spread);
    }

    /// Sizes 1, 2, 4 with values 1, 3, 4. Line: RSS = 9/14. Logarithms: slope 1, RSS = (2/3) (ln 3 - ln 2)². A second
    /// seed with ten times the values has 100 times the RSS of the line, and the same of logarithms.
    #[test]
    fn aic_is_that_of_the_values_for_both_forms() {
        let own = |scale: f64| vec![Some(scale), Some(3.0 * scale), Some(4.0 * scale)];
        let trend = size_trend(&[1.0, 2.0, 4.0], &[own(1.0)]);
        assert_eq!(trend.form, Form::PowerLaw);
        let line: f64 = 9.0 / 14.0;
        let law: f64 = 2.0 / 3.0 * 1.5f64.ln().powi(2);
        close(
            trend.aic_lead,
            3.0 * (line / 3.0).ln() - (3.0 * (law / 3.0).ln() + 2.0 * 12.0f64.ln()),
        );
        close(trend.slope.value, 1.0);
        // One seed: a value, but neither interval nor p.
        assert_eq!((trend.slope.low, trend.slope.p), (None, None));

        let two = size_trend(&[1.0, 2.0, 4.0], &[own(1.0), own(10.0)]);
        let lines = 6.0 * (101.0 * line / 6.0).ln();
        let laws = 6.0 * (2.0 * law / 6.0).ln() + 2.0 * (12.0f64.ln() + 12_000.0f64.ln());
        assert_eq!(two.form, Form::PowerLaw);
        close(two.aic_lead, lines - laws);
        close(two.curve.map(|[_, b]| b), 1.0);
    }

    #[test]
    fn what_has_no_logarithm_or_no_form_is_a_line() {
        for line in [
            found(|_, size| size - 1.0),
            found(|_, size| 3.0 - size),
            found(|_, _| 0.7),
            found(|_, _| 0.0),
        ] {
            assert_eq!((line.form, line.aic_lead), (Form::Linear, None));
            assert!(line.slope.value.is_some() && line.slope.value.unwrap().is_finite());
        }
        assert_eq!(found(|_, _| 0.7).r_squared, None);
        // Two sizes tell no forms apart.
        let two = size_trend(&[1.0, 2.0], &[vec![Some(1.0), Some(4.0)], vec![Some(1.0), Some(6.0)]]);
        assert_eq!((two.form, two.aic_lead), (Form::Linear, None));
        close(two.slope.value, 4.0);
    }

    #[test]
    fn absent_values_are_left_out_and_too_few_have_a_reason() {
        let values = vec![
            vec![Some(1.0), None, Some(7.0), Some(15.0)],
            vec![None, Some(5.0), None, None],
            vec![Some(2.0), Some(4.0), Some(8.0), Some(16.0)],
        ];
        let trend = size_trend(&SIZES, &values);
        assert_eq!(trend.slope.n, 2, "a seed with one size has no slope");
        assert_eq!(trend.slope.note.as_deref(), Some("undefined for 1 of 3 seeds"));
        let none = size_trend(&SIZES, &[vec![None, Some(1.0), None, None], vec![None; 4]]);
        assert!(none.slope.value.is_none() && none.slope.note.is_some() && none.change.note.is_some());
        assert!(none.curve.is_none() && none.at(2.0).is_none());
        assert!(size_trend(&[], &[]).slope.value.is_none());
    }
}
