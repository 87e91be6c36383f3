//! Through time: the main rows cut into periods of equally many.

use std::collections::BTreeMap;

use disentangle_analysis::{
    Bootstrap, Estimate,
    classification::{RankedScores, sigmoid},
    descriptive::std_dev,
    importance::{permute_columns, weighted_mean},
    multiple::permutation_p,
    probing,
};
use disentangle_data::{Dataset, Seed, format_time};
use disentangle_models::Model;

use super::{
    measure::Scored,
    outcome::{Period, Stability},
};
use crate::{Context, ExperimentError};

/// Rows that a period needs.
const LEAST: usize = 30;
/// Permutations of each group.
const DRAWS: usize = 5;

/// Rows in the order of their times.
struct Rows<'a> {
    main: &'a Scored<'a>,
    /// Places of rows in `main`, by time.
    order: Vec<usize>,
    probabilities: Vec<f64>,
    /// For each group its name and the logits without it, one vector a draw.
    without: Vec<(String, Vec<Vec<f64>>)>,
}

/// Prediction and importance by period. `Err` holds the reason why there is none.
pub(super) fn stability(
    dataset: &Dataset,
    model: &Model,
    main: &Scored,
    periods: usize,
    draws: usize,
    context: &Context,
) -> Result<Result<Stability, String>, ExperimentError> {
    let windows = &main.environment.rows;
    let time = |place: usize| dataset.windows[windows[place]].time;
    let mut order: Vec<usize> = (0..windows.len()).collect();
    order.sort_by_key(|&place| (time(place), place));
    let timed = order
        .first()
        .zip(order.last())
        .is_some_and(|(&first, &last)| time(first) < time(last));
    if !timed {
        return Ok(Err(
            "the rows have no times that differ: what happens through time is left out".into(),
        ));
    }
    let periods = periods.min(windows.len() / LEAST);
    if periods < 2 {
        let reason = format!(
            "{} rows are fewer than two periods of {LEAST}: what happens through time is left out",
            windows.len()
        );
        return Ok(Err(reason));
    }
    let inputs = dataset.inputs(windows);
    let seed = context.root().child("stability");
    let mut without = Vec::new();
    for group in &dataset.groups {
        context.go_on()?;
        let drawn = (0..DRAWS).map(|draw| {
            let order = seed
                .child(&group.name)
                .index(draw as u64)
                .rng()
                .permutation(windows.len());
            let permuted = permute_columns(&inputs, &group.columns, &order);
            probing::logits(model, &permuted, context.device, context.threads)
        });
        without.push((group.name.clone(), drawn.collect::<Result<Vec<_>, _>>()?));
    }
    let rows = Rows {
        main,
        order,
        probabilities: main.logits.iter().map(|&z| sigmoid(z)).collect(),
        without,
    };
    let span = |places: &[usize]| {
        let end = |place: Option<&usize>| place.map_or_else(String::new, |&place| format_time(time(place)));
        [end(places.first()), end(places.last())]
    };
    let found = cut(&rows.order, periods)
        .map(|places| rows.period(places, span(places)))
        .collect();
    Ok(Ok(rows.spreads(found, periods, draws, seed.child("time"))))
}

/// Consecutive parts of equal size, the first ones one longer.
fn cut(order: &[usize], periods: usize) -> impl Iterator<Item = &[usize]> {
    let (size, longer) = (order.len() / periods, order.len() % periods);
    (0..periods).map(move |period| {
        let start = period * size + period.min(longer);
        &order[start..start + size + usize::from(period < longer)]
    })
}

impl Rows<'_> {
    fn gap(&self, places: &[usize]) -> f64 {
        let sum: f64 = places
            .iter()
            .map(|&place| self.probabilities[place] - f64::from(self.main.labels[place]))
            .sum();
        sum / places.len() as f64
    }

    /// AUC lost without a group on some rows, mean over draws.
    fn lost(&self, group: usize, places: &[usize]) -> Option<f64> {
        let labels: Vec<f32> = places.iter().map(|&place| self.main.labels[place]).collect();
        let auc = |logits: &[f64]| {
            let own: Vec<f64> = places.iter().map(|&place| logits[place]).collect();
            RankedScores::new(&own, &labels).auc(&vec![1.0; own.len()])
        };
        let draws = &self.without[group].1;
        let without: Option<f64> = draws.iter().map(|logits| auc(logits)).sum();
        Some(auc(&self.main.logits)? - without? / draws.len() as f64)
    }

    fn period(&self, places: &[usize], span: [String; 2]) -> Period {
        let cases: Vec<u32> = places.iter().map(|&place| self.main.cases[place]).collect();
        let bootstrap: Bootstrap = self.main.bootstrap.clustered(&cases);
        let labels: Vec<f32> = places.iter().map(|&place| self.main.labels[place]).collect();
        let of = |values: &dyn Fn(usize) -> f64| -> Vec<f64> { places.iter().map(|&place| values(place)).collect() };
        let ranked = |logits: &[f64]| RankedScores::new(&of(&|place| logits[place]), &labels);
        let whole = ranked(&self.main.logits);
        let importance = self.without.iter().map(|(name, draws)| {
            let without: Vec<RankedScores> = draws.iter().map(|logits| ranked(logits)).collect();
            let lost = bootstrap.estimate_weighted(places.len(), |weights| {
                let sum: Option<f64> = without.iter().map(|one| one.auc(weights)).sum();
                Some(whole.auc(weights)? - sum? / without.len() as f64)
            });
            (name.clone(), lost)
        });
        Period {
            span,
            rows: places.len(),
            cases: cases.iter().collect::<std::collections::BTreeSet<_>>().len(),
            base_rate: weighted_mean(&bootstrap, &of(&|place| f64::from(self.main.labels[place]))).within(0.0, 1.0),
            mean_probability: weighted_mean(&bootstrap, &of(&|place| self.probabilities[place])).within(0.0, 1.0),
            auc: bootstrap
                .estimate_weighted(places.len(), |weights| whole.auc(weights))
                .within(0.0, 1.0),
            importance: importance.collect(),
        }
    }

    /// Standard deviations over periods; under the null the order of cases in time says nothing.
    fn spreads(&self, periods: Vec<Period>, count: usize, draws: usize, seed: Seed) -> Stability {
        let spread = |order: &[usize], of: &dyn Fn(&[usize]) -> Option<f64>| {
            let values: Option<Vec<f64>> = cut(order, count).map(of).collect();
            std_dev(&values?)
        };
        let mut of_case: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for &place in &self.order {
            of_case.entry(self.main.cases[place]).or_default().push(place);
        }
        let of_case: Vec<Vec<usize>> = of_case.into_values().collect();
        let shuffled: Vec<Vec<usize>> = (0..draws)
            .map(|draw| {
                let order = seed.index(draw as u64).rng().permutation(of_case.len());
                order
                    .into_iter()
                    .flat_map(|case| of_case[case].iter().copied())
                    .collect()
            })
            .collect();
        let estimate = |of: &dyn Fn(&[usize]) -> Option<f64>| match spread(&self.order, of) {
            None => Estimate::undefined("a period holds one label only", self.order.len()),
            Some(value) => {
                let null: Vec<f64> = shuffled.iter().filter_map(|order| spread(order, of)).collect();
                Estimate {
                    p: permutation_p(value, &null),
                    ..Estimate::point(value, self.order.len())
                }
            }
        };
        let importance = self.without.iter().enumerate();
        Stability {
            calibration_spread: estimate(&|places| Some(self.gap(places))),
            importance_spread: importance
                .map(|(group, (name, _))| (name.clone(), estimate(&|places| self.lost(group, places))))
                .collect(),
            periods,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Environment;

    #[test]
    fn periods_hold_equally_many_rows() {
        let order: Vec<usize> = (0..11).collect();
        let sizes: Vec<usize> = cut(&order, 4).map(<[usize]>::len).collect();
        assert_eq!(sizes, [3, 3, 3, 2]);
        assert_eq!(cut(&order, 4).flatten().copied().collect::<Vec<_>>(), order);
    }

    /// 240 rows of 120 cases in order; from the middle on the prediction is `drift` too high.
    fn spread(drift: f64) -> (f64, f64) {
        let mut rng = Seed::new(4).rng();
        let labels: Vec<f32> = (0..240).map(|_| f32::from(u8::from(rng.uniform() < 0.5))).collect();
        let logits: Vec<f64> = (0..240)
            .map(|row| rng.normal() + if row < 120 { 0.0 } else { drift })
            .collect();
        let environment = Environment {
            name: "test".into(),
            about: String::new(),
            rows: (0..240).collect(),
            unseen: false,
        };
        let cases: Vec<u32> = (0..240).map(|row| row / 2).collect();
        let main = Scored {
            environment: &environment,
            bootstrap: Bootstrap::new(1, 20, Seed::new(0)).clustered(&cases),
            labels,
            cases,
            logits: logits.clone(),
        };
        let rows = Rows {
            main: &main,
            order: (0..240).collect(),
            probabilities: logits.iter().map(|&z| sigmoid(z)).collect(),
            without: Vec::new(),
        };
        let found = rows.spreads(Vec::new(), 4, 199, Seed::new(1)).calibration_spread;
        (found.value.unwrap_or_default(), found.p.unwrap_or_default())
    }

    #[test]
    fn drift_is_found_and_its_absence_is_not() {
        let ((_, calm), (large, moved)) = (spread(0.0), spread(3.0));
        assert!(calm > 0.05, "{calm}");
        assert!(moved < 0.01 && large > 0.1, "{moved} {large}");
    }
}
