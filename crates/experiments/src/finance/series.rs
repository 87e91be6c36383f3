//! Tests on series: trend, season, volatility, correlation, Granger causality (notebook part 27).

use disentangle_analysis::{
    Estimate, descriptive,
    granger::{MAX_LAG, granger},
    multiple::benjamini_hochberg_of,
    regression, spectrum,
};
use disentangle_data::{Dataset, Seed};
use disentangle_models::parallel;

use super::outcome::{OneSeries, Pair, SeriesTests, WalkForward};

/// The latest values of a long series that are tested: more would only make p values of tiny effects smaller.
const LONGEST: usize = 1000;

/// Tests on the importance of each group through time.
pub(super) fn of_importance(walk: &Result<WalkForward, String>, draws: usize, seed: Seed, threads: usize) -> Result<SeriesTests, String> {
    let walk = walk.as_ref().map_err(|reason| format!("no importance through time ({reason})"))?;
    let groups = walk.windows.first().map_or(0, |window| window.importance.len());
    let mut series = Vec::new();
    for group in 0..groups {
        let values: Option<Vec<f64>> = walk.windows.iter().map(|window| window.importance[group].auc_drop.value).collect();
        let values = values.ok_or("the importance of a window is undefined, because it holds one class only")?;
        series.push((walk.windows[0].importance[group].group.clone(), values));
    }
    if walk.windows.len() < 3 {
        return Err(format!("too short: {} windows", walk.windows.len()));
    }
    let all: Vec<(usize, usize)> = (0..groups).flat_map(|a| (0..groups).map(move |b| (a, b))).filter(|(a, b)| a != b).collect();
    Ok(tests("importance of each group (loss of ROC AUC without it) in the windows of the walk-forward", series, &all, draws, seed, threads))
}

/// Tests on the features themselves, of the first symbol; pairs are those of different groups.
pub(super) fn of_features(dataset: &Dataset, draws: usize, seed: Seed, threads: usize) -> Result<SeriesTests, String> {
    let rows: Vec<usize> = dataset.windows.iter().filter(|w| w.subject == 0).map(|w| w.target - 1).collect();
    let rows = &rows[rows.len().saturating_sub(LONGEST)..];
    if rows.len() < 3 {
        return Err(format!("too short: {} rows", rows.len()));
    }
    let mut series = Vec::new();
    for (column, name) in dataset.features.iter().enumerate() {
        let values: Vec<f64> = rows.iter().map(|&row| f64::from(dataset.rows[[row, column]])).collect();
        // Near a unit root every regression finds something, so that such a series is differenced.
        let persistence = regression::trend(&values).and_then(|trend| regression::autoregression(&trend.detrended));
        let (name, values) = match persistence {
            Some(fit) if fit.phi > 0.95 => {
                (format!("change of {name}"), std::iter::once(0.0).chain(values.windows(2).map(|pair| pair[1] - pair[0])).collect())
            }
            _ => (name.clone(), values),
        };
        series.push((name, values));
    }
    let group = |column: usize| dataset.groups.iter().position(|group| group.columns.contains(&column));
    let width = series.len();
    let pairs: Vec<(usize, usize)> =
        (0..width).flat_map(|a| (0..width).map(move |b| (a, b))).filter(|&(a, b)| group(a) != group(b)).collect();
    let about = format!("feature series of {}, the last {} rows; a series with persistence above 0.95 is differenced", dataset.subjects[0], rows.len());
    Ok(tests(&about, series, &pairs, draws, seed, threads))
}

fn tests(about: &str, series: Vec<(String, Vec<f64>)>, pairs: &[(usize, usize)], draws: usize, seed: Seed, threads: usize) -> SeriesTests {
    let length = series.first().map_or(0, |(_, values)| values.len());
    let jobs: Vec<(usize, usize)> = pairs.to_vec();
    let mut found: Vec<Pair> = parallel::map(threads, &jobs, |&(cause, effect)| {
        let (x, y) = (&series[cause].1, &series[effect].1);
        Pair {
            names: [series[cause].0.clone(), series[effect].0.clone()],
            correlation: match descriptive::pearson(x, y) {
                Some(correlation) => Estimate {
                    p: Some(correlation.p),
                    ..Estimate::point(correlation.r, length)
                },
                None => Estimate::undefined("a series is constant or too short", length),
            },
            granger: granger(x, y, draws, seed.child(&series[cause].0).child(&series[effect].0)),
            granger_q: None,
        }
    });
    let mut single: Vec<OneSeries> = series.into_iter().map(|(name, values)| one(name, values)).collect();

    // One family: everything that this page of the report tests.
    let p: Vec<Option<f64>> = single
        .iter()
        .flat_map(|series| [series.trend.p, series.season.as_ref().ok().map(|season| season.p)])
        .chain(found.iter().flat_map(|pair| [pair.correlation.p, pair.granger.as_ref().ok().map(|granger| granger.p)]))
        .collect();
    let mut q = benjamini_hochberg_of(&p).into_iter();
    for series in &mut single {
        series.trend.q = q.next().flatten();
        series.season_q = q.next().flatten();
    }
    for pair in &mut found {
        pair.correlation.q = q.next().flatten();
        pair.granger_q = q.next().flatten();
    }
    SeriesTests {
        about: about.into(),
        length,
        series: single,
        pairs: found,
    }
}

fn one(name: String, values: Vec<f64>) -> OneSeries {
    let n = values.len();
    let trend = regression::trend(&values);
    OneSeries {
        name,
        trend: match &trend {
            Some(trend) => Estimate {
                p: Some(trend.p),
                low: Some(trend.slope - 1.96 * trend.standard_error),
                high: Some(trend.slope + 1.96 * trend.standard_error),
                level: Some(0.95),
                method: Some("normal, for independent errors".into()),
                ..Estimate::point(trend.slope, n)
            },
            None => Estimate::undefined("too short", n),
        },
        volatility: descriptive::std_dev(&values).map_or_else(|| Estimate::undefined("too short", n), |v| Estimate::point(v, n)),
        season: spectrum::season(&values),
        season_q: None,
        periodogram: trend.filter(|_| n > 2 * MAX_LAG).map(|trend| spectrum::periodogram(&trend.detrended)).unwrap_or_default(),
        values,
    }
}
