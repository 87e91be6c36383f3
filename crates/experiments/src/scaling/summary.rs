//! From what every training came to, to means with intervals and trends over sizes. The unit is the training.

use disentangle_analysis::{Estimate, multiple::benjamini_hochberg_of, over_seeds, trend::size_trend};
use disentangle_data::Split;

use super::{
    Repeat, Scaling,
    cell::{Cell, Done},
    config::{ScalingSettings, Sizes},
    measure::Stage,
    measures::MEASURES,
    outcome::{
        Axis, GradientOutcome, LayerOutcome, Outcome, SiteOutcome, SizeOutcome, StageOutcome, TrendOutcome, When,
    },
};
use crate::Experiment as _;

/// `done` holds one a cell.
pub(super) fn outcome(config: &ScalingSettings, first: &Repeat, cells: &[Cell], done: &[Done], seed: u64) -> Outcome {
    let sizes = config.sizes();
    let models = sizes.all().into_iter().map(|size| {
        let own = own(cells, done, size);
        let stage = |when: usize| stage_outcome(&own.iter().map(|one| &one.stages[when]).collect::<Vec<_>>());
        SizeOutcome {
            width: size.0,
            depth: size.1,
            parameters: own.first().map_or(0, |one| one.parameters),
            epochs: over_trainings(own.iter().map(|one| Some(one.epochs as f64))).within(1.0, f64::INFINITY),
            initial: stage(0),
            trained: stage(1),
        }
    });
    let dataset = &first.rows.dataset;
    let environment = first.rows.environments.first();
    let mut notices = dataset.notices.clone();
    notices.push(config.notice());
    Outcome {
        schema_version: 1,
        kind: "run".into(),
        experiment: Scaling::NAME.into(),
        seed,
        dataset: dataset.name.clone(),
        simulated: dataset.simulated,
        notices,
        train_rows: dataset.part(Split::Train).len(),
        environment: environment.map_or_else(String::new, |one| one.name.clone()),
        measured_rows: environment.map_or(0, |one| one.rows.len().min(config.rows)),
        positions: first.shaped.lookback,
        repeats: config.repeats,
        models: models.collect(),
        trends: trends(&sizes, cells, done),
        sizes,
    }
}

/// The trainings of one size, by repeat.
fn own<'a>(cells: &[Cell], done: &'a [Done], size: (usize, usize)) -> Vec<&'a Done> {
    let mut own: Vec<(usize, &Done)> = cells
        .iter()
        .zip(done)
        .filter(|(cell, _)| cell.size == size)
        .map(|(cell, done)| (cell.repeat, done))
        .collect();
    own.sort_by_key(|(repeat, _)| *repeat);
    own.into_iter().map(|(_, done)| done).collect()
}

/// Mean over trainings with Student's t interval. `None` entries are left out and counted.
fn over_trainings(values: impl Iterator<Item = Option<f64>>) -> Estimate {
    in_words(over_seeds(&values.collect::<Vec<_>>()))
}

/// A seed is a training here.
fn in_words(mut estimate: Estimate) -> Estimate {
    for words in [&mut estimate.method, &mut estimate.note].into_iter().flatten() {
        *words = words.replace("seed", "training");
    }
    estimate
}

/// Trainings of one size differ in their numbers only, not in their sites.
fn stage_outcome(own: &[&Stage]) -> StageOutcome {
    let over = |of: &dyn Fn(&Stage) -> Option<f64>| over_trainings(own.iter().copied().map(of));
    let values = |of: &dyn Fn(&Stage, usize) -> Option<f64>, count: usize| -> Vec<Estimate> {
        let measures = MEASURES.iter().take(count).enumerate();
        measures
            .map(|(place, measure)| over(&|one| of(one, place)).within(measure.range[0], measure.range[1]))
            .collect()
    };
    let first = own.first();
    let sites = first.map_or(&[][..], |one| &one.sites);
    let layers = first.map_or(&[][..], |one| &one.layers);
    let gradients = first.map_or(&[][..], |one| &one.gradients);
    let share = |of: &dyn Fn(&Stage) -> Option<f64>| over(of).within(0.0, 1.0);
    let size = |of: &dyn Fn(&Stage) -> Option<f64>| over(of).within(0.0, f64::INFINITY);
    StageOutcome {
        values: values(&|one, place| one.values[place], MEASURES.len()),
        sites: sites
            .iter()
            .enumerate()
            .map(|(site, known)| SiteOutcome {
                site: known.site.clone(),
                neurons: known.neurons,
                streamed: known.streamed,
                values: values(&|one, place| one.sites[site].values[place], known.values.len()),
            })
            .collect(),
        layers: layers
            .iter()
            .enumerate()
            .map(|(layer, known)| LayerOutcome {
                attention_entropy: share(&|one| one.layers[layer].attention_entropy),
                attention_sparsity: share(&|one| one.layers[layer].attention_sparsity),
                head_diversity: share(&|one| one.layers[layer].head_diversity),
                pairs: (0..known.pairs.len())
                    .map(|pair| share(&|one| Some(one.layers[layer].pairs[pair])))
                    .collect(),
                gradient_norm: size(&|one| Some(one.layers[layer].gradient_norm)),
            })
            .collect(),
        gradients: gradients
            .iter()
            .enumerate()
            .map(|(parameter, known)| GradientOutcome {
                parameter: known.name.clone(),
                entries: known.entries,
                norm: size(&|one| Some(one.gradients[parameter].norm)),
                variance: size(&|one| Some(one.gradients[parameter].variance)),
            })
            .collect(),
    }
}

/// Every measure over both arms of the cross, before and after training.
fn trends(sizes: &Sizes, cells: &[Cell], done: &[Done]) -> Vec<TrendOutcome> {
    let mut all = Vec::new();
    for axis in Axis::ALL {
        let arm: Vec<(usize, usize)> = match axis {
            Axis::Width => sizes.widths.iter().map(|&width| (width, sizes.at_depth)).collect(),
            Axis::Depth => sizes.depths.iter().map(|&depth| (sizes.at_width, depth)).collect(),
        };
        let along: Vec<f64> = arm
            .iter()
            .map(|&(width, depth)| match axis {
                Axis::Width => width as f64,
                Axis::Depth => depth as f64,
            })
            .collect();
        let models: Vec<Vec<&Done>> = arm.iter().map(|&size| own(cells, done, size)).collect();
        let repeats = models.iter().map(Vec::len).min().unwrap_or(0);
        for (stage, when) in When::ALL.into_iter().enumerate() {
            let start = all.len();
            for (place, measure) in MEASURES.iter().enumerate() {
                let values: Vec<Vec<Option<f64>>> = (0..repeats)
                    .map(|repeat| {
                        let over = models.iter().map(|own| own[repeat].stages[stage].values[place]);
                        over.collect()
                    })
                    .collect();
                let mut trend = size_trend(&along, &values);
                trend.slope = in_words(trend.slope);
                trend.change = in_words(trend.change);
                all.push(TrendOutcome {
                    measure: measure.name.into(),
                    axis,
                    when,
                    trend,
                });
            }
            correct(&mut all[start..]);
        }
    }
    all
}

/// q values over these trends.
fn correct(trends: &mut [TrendOutcome]) {
    let p: Vec<Option<f64>> = trends.iter().map(|one| one.trend.slope.p).collect();
    for (one, q) in trends.iter_mut().zip(benjamini_hochberg_of(&p)) {
        one.trend.slope.q = q;
    }
}

#[cfg(test)]
mod tests {
    use disentangle_analysis::trend::{Form, SizeTrend};

    use super::*;

    /// A measure that is √width + repeat / 100 before training, and depth after it.
    fn done(cell: &Cell) -> Done {
        let (width, depth) = cell.size;
        let shift = cell.repeat as f64 / 100.0;
        let stage = |value: f64| Stage {
            values: vec![Some(value); MEASURES.len()],
            sites: Vec::new(),
            layers: Vec::new(),
            gradients: Vec::new(),
        };
        Done {
            parameters: width * depth,
            epochs: 3 + cell.repeat,
            stages: [
                stage((width as f64).sqrt() * (1.0 + shift)),
                stage(depth as f64 * (2.0 + shift)),
            ],
        }
    }

    #[test]
    fn trends_follow_the_arms_of_the_cross() {
        let sizes = Sizes::default();
        // The order of cells is another one than that of sizes.
        let cells: Vec<Cell> = sizes
            .all()
            .into_iter()
            .rev()
            .flat_map(|size| [2, 0, 1].map(|repeat| Cell { size, repeat }))
            .collect();
        let done: Vec<Done> = cells.iter().map(done).collect();
        let trends = trends(&sizes, &cells, &done);
        assert_eq!(trends.len(), 4 * MEASURES.len());
        let of = |axis: Axis, when: When| {
            let found = trends.iter().find(|one| one.axis == axis && one.when == when).unwrap();
            (found.trend.form, found.trend.slope.value.unwrap(), found.direction())
        };
        let (form, slope, _) = of(Axis::Width, When::Initial);
        assert!(form == Form::PowerLaw && (slope - 0.5).abs() < 1e-9);
        let (form, slope, direction) = of(Axis::Width, When::Trained);
        assert!(
            form == Form::Linear && slope == 0.0 && direction == 0,
            "depth is 2 everywhere"
        );
        let (_, slope, direction) = of(Axis::Depth, When::Initial);
        assert!(slope == 0.0 && direction == 0, "width is 64 everywhere");
        // A line through 0 is a power law with exponent 1 just as well: slopes 2, 2.01 and 2.02, or 1.
        let (form, slope, direction) = of(Axis::Depth, When::Trained);
        match form {
            Form::Linear => assert!((slope - 2.01).abs() < 1e-9 && direction == 1),
            Form::PowerLaw => assert!((slope - 1.0).abs() < 1e-9),
        }
    }

    #[test]
    fn trainings_of_a_size_are_found_by_repeat_and_averaged() {
        let cells = [2, 0, 1].map(|repeat| Cell { size: (32, 2), repeat });
        let done: Vec<Done> = cells.iter().map(done).collect();
        let found = own(&cells, &done, (32, 2));
        assert_eq!(found.iter().map(|one| one.epochs).collect::<Vec<_>>(), [3, 4, 5]);
        assert!(own(&cells, &done, (32, 1)).is_empty());
        let stages: Vec<&Stage> = found.iter().map(|one| &one.stages[1]).collect();
        let value = &stage_outcome(&stages).values[7];
        assert!((value.value.unwrap() - 4.02).abs() < 1e-12);
        assert!(value.method.as_ref().unwrap().contains("3 trainings"));
    }

    #[test]
    fn q_values_are_over_one_family() {
        let mut trends: Vec<TrendOutcome> = [Some(0.01), None, Some(0.04)]
            .map(|p| TrendOutcome {
                measure: "interference".into(),
                axis: Axis::Width,
                when: When::Trained,
                trend: SizeTrend {
                    slope: Estimate {
                        p,
                        ..Estimate::point(-1.0, 3)
                    },
                    ..SizeTrend::default()
                },
            })
            .into();
        correct(&mut trends);
        let q: Vec<Option<f64>> = trends.iter().map(|one| one.trend.slope.q).collect();
        assert_eq!(q, [Some(0.02), None, Some(0.04)]);
        assert_eq!(
            trends.iter().map(TrendOutcome::direction).collect::<Vec<_>>(),
            [-1, 0, -1]
        );
    }
}
