//! From values to standings: the interval against the threshold that was fixed beforehand.

use disentangle_analysis::{Estimate, over_seeds};

use super::{
    list::{Claim, place},
    measure::Numbers,
    outcome::{ClaimOutcome, Expectation, QuotedOutcome, Standing, TestOutcome},
    question::Reading,
};

impl Expectation {
    /// What an interval says; nothing where there is none.
    pub(super) fn judge(self, estimate: &Estimate) -> Standing {
        let above = |threshold: f64| estimate.above(threshold);
        let below = |threshold: f64| estimate.below(threshold);
        let (holds, fails) = match self {
            Expectation::Above { threshold } => (above(threshold), below(threshold)),
            Expectation::Below { threshold } => (below(threshold), above(threshold)),
            Expectation::Between { low, high } => (above(low) && below(high), below(low) || above(high)),
            Expectation::Outside { low, high } => (below(low) || above(high), above(low) && below(high)),
        };
        match (holds, fails) {
            (true, _) => Standing::Supported,
            (false, true) => Standing::Contradicted,
            (false, false) => Standing::Undecided,
        }
    }

    /// How far a value lies on the claim's side of the nearest threshold; negative on the other side.
    pub(super) fn margin(self, value: f64) -> f64 {
        match self {
            Expectation::Above { threshold } => value - threshold,
            Expectation::Below { threshold } => threshold - value,
            Expectation::Between { low, high } => (value - low).min(high - value),
            Expectation::Outside { low, high } => (low - value).max(value - high),
        }
    }

    /// In words.
    pub(super) fn show(self) -> String {
        match self {
            Expectation::Above { threshold } => format!("above {threshold}"),
            Expectation::Below { threshold } => format!("below {threshold}"),
            Expectation::Between { low, high } => format!("from {low} to {high}"),
            Expectation::Outside { low, high } => format!("below {low} or above {high}"),
        }
    }
}

/// A claim against what the repeats came to.
pub(super) fn judge(claim: &Claim, repeats: &[Numbers]) -> ClaimOutcome {
    let place = place(claim.part);
    let test = claim.test.as_ref().map(|test| {
        let readings = test.measurement.readings(repeats);
        let several = readings.len() > 1;
        let (reading, mut estimate) = hardest(readings, test.expectation);
        if test.measurement.quality.is_p() {
            estimate = estimate.within(0.0, 1.0);
        }
        TestOutcome {
            subject: test.measurement.subject.name().into(),
            dataset: test.measurement.subject.dataset().into(),
            metric: test.measurement.quality.name().into(),
            measurement: test.measurement.about(),
            expectation: test.expectation,
            against: reading.rival.filter(|_| several).map(|rival| rival.name().to_string()),
            values: reading.values,
            estimate,
        }
    });
    let quoted = claim.quoted.as_ref().map(|quoted| {
        let values = repeats
            .iter()
            .map(|numbers| numbers.get(quoted.subject, quoted.quality));
        QuotedOutcome {
            what: format!("{}: {}", quoted.subject.name(), quoted.quality.about()),
            range: quoted.range,
            ours: over_seeds(&values.collect::<Vec<_>>()),
            note: quoted.note.into(),
        }
    });
    ClaimOutcome {
        id: claim.id.into(),
        part: claim.part,
        line: place.line,
        place: place.about.into(),
        claim: claim.text.into(),
        reading: claim.reading.into(),
        standing: standing(claim, test.as_ref()),
        test,
        quoted,
    }
}

/// A test that does not reject has not seen the opposite: a p value can support a claim, and not contradict it.
fn standing(claim: &Claim, test: Option<&TestOutcome>) -> Standing {
    let Some(test) = test else {
        return Standing::NotTestable;
    };
    let of_p = claim.test.as_ref().is_some_and(|test| test.measurement.quality.is_p());
    match test.expectation.judge(&test.estimate) {
        Standing::Contradicted if of_p => Standing::Undecided,
        standing => standing,
    }
}

/// The reading that speaks least for the claim: who has most must have more than each rival. Readings without a value come first, because
/// without them nothing is decided.
fn hardest(readings: Vec<Reading>, expectation: Expectation) -> (Reading, Estimate) {
    let margin = |estimate: &Estimate| {
        estimate
            .value
            .map_or(f64::NEG_INFINITY, |value| expectation.margin(value))
    };
    let measured = readings.into_iter().map(|reading| {
        let estimate = over_seeds(&reading.values);
        (reading, estimate)
    });
    let least = measured.min_by(|a, b| margin(&a.1).total_cmp(&margin(&b.1)));
    least.unwrap_or_else(|| {
        let nothing = Reading {
            rival: None,
            values: Vec::new(),
        };
        (nothing, Estimate::undefined("nothing was measured", 0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{claims::question::Subject, testing::interval};

    #[test]
    fn whole_intervals_decide() {
        use Standing::{Contradicted, Supported, Undecided};
        let above = Expectation::Above { threshold: 0.0 };
        let below = Expectation::Below { threshold: 0.0 };
        let between = Expectation::Between { low: 0.3, high: 0.4 };
        let outside = Expectation::Outside { low: -0.1, high: 0.1 };
        for (expectation, low, high, standing) in [
            (above, 0.1, 0.2, Supported),
            (above, -0.1, 0.2, Undecided),
            (above, -0.2, -0.1, Contradicted),
            (below, -0.2, -0.1, Supported),
            (below, 0.1, 0.2, Contradicted),
            (between, 0.31, 0.39, Supported),
            (between, 0.1, 0.2, Contradicted),
            (between, 0.5, 0.6, Contradicted),
            (between, 0.2, 0.35, Undecided),
            (between, 0.2, 0.6, Undecided),
            (outside, 0.2, 0.3, Supported),
            (outside, -0.3, -0.2, Supported),
            (outside, -0.05, 0.05, Contradicted),
            (outside, -0.3, 0.3, Undecided),
        ] {
            assert_eq!(
                expectation.judge(&interval(low, high)),
                standing,
                "{expectation:?} [{low}, {high}]"
            );
        }
        assert_eq!(above.judge(&Estimate::point(1.0, 1)), Undecided, "no interval");
        assert_eq!(above.judge(&Estimate::undefined("", 0)), Undecided);
    }

    #[test]
    fn the_rival_that_comes_nearest_decides() {
        let reading = |rival: Subject, values: [f64; 3]| Reading {
            rival: Some(rival),
            values: values.map(Some).into(),
        };
        let above = Expectation::Above { threshold: 0.0 };
        let readings = vec![
            reading(Subject::Parallel, [0.5, 0.6, 0.7]),
            reading(Subject::Gated, [-0.3, -0.2, -0.1]),
        ];
        let (found, estimate) = hardest(readings, above);
        assert_eq!(found.rival, Some(Subject::Gated));
        assert!((estimate.value.unwrap() + 0.2).abs() < 1e-12);
        let none = Reading {
            rival: Some(Subject::Erm),
            values: vec![None],
        };
        let (found, _) = hardest(vec![reading(Subject::Gated, [-1.0; 3]), none], above);
        assert_eq!(found.rival, Some(Subject::Erm), "what is missing decides nothing");
    }

    #[test]
    fn margins_are_on_the_side_of_the_claim() {
        for (expectation, value, margin) in [
            (Expectation::Above { threshold: 1.0 }, 3.0, 2.0),
            (Expectation::Below { threshold: 1.0 }, 3.0, -2.0),
            (Expectation::Between { low: 0.0, high: 1.0 }, 0.25, 0.25),
            (Expectation::Between { low: 0.0, high: 1.0 }, 1.5, -0.5),
            (Expectation::Outside { low: -1.0, high: 1.0 }, -3.0, 2.0),
            (Expectation::Outside { low: -1.0, high: 1.0 }, 0.5, -0.5),
        ] {
            assert!((expectation.margin(value) - margin).abs() < 1e-12, "{expectation:?}");
        }
    }
}
