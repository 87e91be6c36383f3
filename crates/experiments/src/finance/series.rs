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
pub(super) fn of_importance(
    walk: &Result<WalkForward, String>,
    draws: usize,
    seed: Seed,
    threads: usize,
) -> Result<SeriesTests, String> {
    let walk = walk
        .as_ref()
        .map_err(|reason| format!("no importance through time ({reason})"))?;
    let groups = walk.windows.first().map_or(0, |window| window.importance.len());
    let mut series = Vec::new();
    for group in 0..groups {
        let values: Option<Vec<f64>> = walk
            .windows
            .iter()
            .map(|window| window.importance[group].auc_drop.value)
            .collect();
        let values = values.ok_or("the importance of a window is undefined, because it holds one class only")?;
        series.push((walk.windows[0].importance[group].group.clone(), values));
    }
    if walk.windows.len() < 3 {
        return Err(format!("too short: {} windows", walk.windows.len()));
    }
    let all: Vec<(usize, usize)> = (0..groups)
        .flat_map(|a| (0..groups).map(move |b| (a, b)))
        .filter(|(a, b)| a != b)
        .collect();
    Ok(tests(
        "importance of each group (loss of ROC AUC without it) in the windows of the walk-forward",
        series,
        &all,
        draws,
        seed,
        threads,
    ))
}

/// Tests on the features themselves, of the first symbol; pairs are those of different groups.
///
/// A value is taken every `step` rows only: indicators of neighbouring rows share their prices, and such overlap passes for
/// trends, seasons and causes in every test.
pub(super) fn of_features(
    dataset: &Dataset,
    step: usize,
    draws: usize,
    seed: Seed,
    threads: usize,
) -> Result<SeriesTests, String> {
    let rows: Vec<usize> = dataset
        .windows
        .iter()
        .filter(|w| w.subject == 0)
        .map(|w| w.target - 1)
        .collect();
    let mut rows: Vec<usize> = rows.into_iter().rev().step_by(step).take(LONGEST).collect();
    rows.reverse();
    if rows.len() < 4 {
        return Err(format!("too short: {} rows", rows.len()));
    }
    let mut series = Vec::new();
    for (column, name) in dataset.features.iter().enumerate() {
        let values: Vec<f64> = rows.iter().map(|&row| f64::from(dataset.rows[[row, column]])).collect();
        // A price level wanders, and between wandering series every regression finds something: its changes are tested.
        let (name, values) = match name.starts_with("sma_") {
            true => (
                format!("change of {name}"),
                values.windows(2).map(|pair| pair[1] - pair[0]).collect(),
            ),
            false => (name.clone(), values[1..].to_vec()),
        };
        series.push((name, values));
    }
    let group = |column: usize| dataset.groups.iter().position(|group| group.columns.contains(&column));
    let width = series.len();
    let pairs: Vec<(usize, usize)> = (0..width)
        .flat_map(|a| (0..width).map(move |b| (a, b)))
        .filter(|&(a, b)| group(a) != group(b))
        .collect();
    let about = format!(
        "feature series of {}, every {step} rows, so that no two values share a price",
        dataset.subjects[0]
    );
    Ok(tests(&about, series, &pairs, draws, seed, threads))
}

fn tests(
    about: &str,
    series: Vec<(String, Vec<f64>)>,
    pairs: &[(usize, usize)],
    draws: usize,
    seed: Seed,
    threads: usize,
) -> SeriesTests {
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

    // One family: everything that this page of the report tests; a correlation, which is the same both ways, once.
    let once = |pair: &Pair| pair.names[0] < pair.names[1];
    let p: Vec<Option<f64>> = single
        .iter()
        .flat_map(|series| [series.trend.p, series.season.as_ref().ok().map(|season| season.p)])
        .chain(found.iter().flat_map(|pair| {
            [
                pair.correlation.p.filter(|_| once(pair)),
                pair.granger.as_ref().ok().map(|granger| granger.p),
            ]
        }))
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
    let known: Vec<([String; 2], Option<f64>)> = found
        .iter()
        .filter(|p| once(p))
        .map(|p| (p.names.clone(), p.correlation.q))
        .collect();
    for pair in found.iter_mut().filter(|pair| !once(pair)) {
        let twin = [pair.names[1].clone(), pair.names[0].clone()];
        pair.correlation.q = known.iter().find(|(names, _)| *names == twin).and_then(|(_, q)| *q);
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
                low: Some(trend.interval[0]),
                high: Some(trend.interval[1]),
                level: Some(0.95),
                method: Some("Student's t, for independent errors".into()),
                ..Estimate::point(trend.slope, n)
            },
            None => Estimate::undefined("too short", n),
        },
        volatility: descriptive::std_dev(&values)
            .map_or_else(|| Estimate::undefined("too short", n), |v| Estimate::point(v, n)),
        season: spectrum::season(&values),
        season_q: None,
        periodogram: trend
            .filter(|_| n > 2 * MAX_LAG)
            .map(|trend| spectrum::periodogram(&trend.detrended))
            .unwrap_or_default(),
        values,
    }
}
