//! The sequence model on a simulated market whose calendar shortcut ends at the first test day (part 27).

use chrono::Datelike;
use disentangle_analysis::{
    association::correlation_ratio,
    descriptive::{mean, pearson, std_dev},
    granger::granger,
    importance::permute_columns,
    learning::convergence_rate,
    spectrum::season,
};
use disentangle_data::{
    Dataset, Prices, Role, Seed, Split,
    market::{MarketConfig, simulate},
};
use disentangle_models::{Family, Model};
use ndarray::s;
use serde_json::json;

use super::{
    Given, Numbers,
    asked::Asked,
    fit::fit,
    groups::{overlap, together},
    sites,
};
use crate::{
    ExperimentError,
    claims::question::{Quality, Subject::Sequence},
    finance::Loaded,
    rows::{LoadedRows, RowSettings},
};

/// Permutations behind the mean of a share that goes with the weekday.
const NULL: usize = 50;

/// Rows and prices of a market of its own; features are free of the price's level, which drifts away from training.
pub(super) fn rows(seed: Seed) -> Result<(LoadedRows, Prices), ExperimentError> {
    let mut config = MarketConfig {
        seed: seed.child("market").key(),
        ..MarketConfig::default()
    };
    let mut settings = RowSettings {
        dataset: "market".into(),
        ..RowSettings::default()
    };
    settings.prices.stationary = true;
    let load = |config: &MarketConfig| {
        let prices = simulate(config);
        let loaded = Loaded {
            name: "simulated market".into(),
            simulated: true,
            symbols: vec![prices.clone()],
            notices: Vec::new(),
            hash: String::new(),
        };
        Ok::<_, ExperimentError>((settings.of_prices(loaded, seed)?, prices))
    };
    // Days and parts do not depend on the shortcut.
    let (whole, _) = load(&config)?;
    let first = whole.dataset.part(Split::Test).first().copied();
    config.shortcut_end = first.map(|row| whole.dataset.windows[row].time.date());
    load(&config)
}

pub(super) fn measure(given: &Given) -> Result<Numbers, ExperimentError> {
    let (loaded, prices) = rows(given.seed)?;
    let dataset = &loaded.dataset;
    let sizes = [
        ("hidden", json!(given.settings.hidden)),
        ("feed_forward", json!(4 * given.settings.hidden)),
    ];
    let start = given.start(Family::Sequence, dataset, &sizes, "market")?;
    let trained = fit(given, dataset, &start, "market")?;
    let mut numbers = Numbers::default();
    let mut put = |quality: Quality, value: Option<f64>| numbers.put(Sequence, quality, value);

    let losses: Vec<f64> = trained.history.iter().map(|epoch| epoch.train_loss).collect();
    put(Quality::ConvergenceRate, convergence_rate(&losses));
    let on = |rows: &[usize], name: &str| on_days(given, dataset, &trained.model, rows, name);
    let (validation, test) = (dataset.part(Split::Validation), dataset.part(Split::Test));
    let (holds, ended) = (on(&validation, "validation")?, on(&test, "test")?);
    let (genuine, spurious) = (holds.columns(Role::Genuine), holds.columns(Role::Spurious));

    let lead = holds
        .probability_shift(&genuine)?
        .zip(holds.probability_shift(&spurious)?);
    put(
        Quality::ImportanceLead,
        lead.map(|(genuine, spurious)| genuine - spurious),
    );
    let shared = overlap(&holds, &sites::last_stream(&holds)?)?;
    put(
        Quality::OverlapAboveChance,
        shared.map(|[overlap, chance]| overlap - chance),
    );
    let drop = holds.auc().zip(ended.auc());
    put(Quality::GeneralisationDrop, drop.map(|(holds, ended)| holds - ended));
    put(Quality::GenuineOnly, ended.auc_only(&genuine)?);
    let both = together(&holds, &genuine, &spurious)?;
    put(Quality::Interaction, both.relative);
    let weekdays = validation.iter().map(|&row| {
        let day = dataset.windows[row].time.date().weekday();
        Some(day.num_days_from_monday())
    });
    let weekdays: Vec<Option<u32>> = weekdays.collect();
    let periodic = above_chance(&both.by_row, &weekdays, given.seed.child("weekdays"));
    put(Quality::PeriodicInterference, periodic);
    put(Quality::RelevanceByPosition, by_position(&holds, &genuine, &spurious)?);
    in_time(given, dataset, &trained.model, &prices, &mut numbers)?;
    Ok(numbers)
}

fn on_days<'a>(
    given: &'a Given,
    dataset: &'a Dataset,
    model: &'a Model,
    rows: &[usize],
    name: &str,
) -> Result<Asked<'a>, ExperimentError> {
    let seed = given.seed.child("asked").child(name);
    Asked::new(model, dataset, rows, given.settings.permutations, seed, given.device)
}

/// η² of values over categories minus its mean with the categories permuted; `None` where values do not vary.
fn above_chance(values: &[f64], member: &[Option<u32>], seed: Seed) -> Option<f64> {
    let ones = vec![1.0; values.len()];
    let share = |member: &[Option<u32>]| correlation_ratio(values, member, &ones).map(|ratio| ratio * ratio);
    let null = (0..NULL).filter_map(|draw| {
        let order = seed.index(draw as u64).rng().permutation(member.len());
        share(&order.into_iter().map(|row| member[row]).collect::<Vec<_>>())
    });
    let null: Vec<f64> = null.collect();
    Some(share(member)? - mean(&null)?)
}

/// The genuine group's share of importance at the last third of positions minus that at the first third.
fn by_position(asked: &Asked, genuine: &[usize], spurious: &[usize]) -> Result<Option<f64>, ExperimentError> {
    let (rows, positions, _) = asked.x.dim();
    let third = positions.div_ceil(3);
    let seed = asked.seed.child("positions");
    let size = |columns: &[usize], from: usize| -> Result<f64, ExperimentError> {
        let mut sum = 0.0;
        for draw in 0..asked.draws {
            let order = seed.index(draw as u64).rng().permutation(rows);
            let all = permute_columns(&asked.x, columns, &order);
            let mut changed = asked.x.clone();
            let span = s![.., from..from + third, ..];
            changed.slice_mut(span).assign(&all.slice(span));
            let logits = asked.say(&changed)?;
            sum += logits
                .iter()
                .zip(&asked.logits)
                .map(|(z, plain)| (z - plain).abs())
                .sum::<f64>();
        }
        Ok(sum)
    };
    let share = |from: usize| -> Result<Option<f64>, ExperimentError> {
        let (own, other) = (size(genuine, from)?, size(spurious, from)?);
        Ok((own + other > 0.0).then(|| own / (own + other)))
    };
    let (first, last) = (share(0)?, share(positions - third)?);
    Ok(last.zip(first).map(|(last, first)| last - first))
}

/// What is read off importance series over windows of all days.
fn in_time(
    given: &Given,
    dataset: &Dataset,
    model: &Model,
    prices: &Prices,
    numbers: &mut Numbers,
) -> Result<(), ExperimentError> {
    let days: Vec<usize> = (0..dataset.windows.len()).collect();
    let asked = on_days(given, dataset, model, &days, "all days")?;
    let window = given.settings.window;
    let genuine = asked.influence(&asked.columns(Role::Genuine))?;
    let spurious = asked.influence(&asked.columns(Role::Spurious))?;
    let over = |values: &[f64], of: fn(&[f64]) -> Option<f64>| -> Vec<f64> {
        values.chunks_exact(window).filter_map(of).collect()
    };
    let (own, other) = (over(&genuine, mean), over(&spurious, mean));
    let draws = given.settings.granger_draws;
    let p = |cause: &[f64], effect: &[f64], name: &str| {
        let seed = given.seed.child("granger").child(name);
        granger(cause, effect, draws, seed).ok().map(|found| found.p)
    };
    let both = p(&own, &other, "genuine first").zip(p(&other, &own, "spurious first"));
    // Two tests: the smaller p counts twice.
    let lead_lag = both.map(|(first, second)| (2.0 * first.min(second)).min(1.0));
    numbers.put(Sequence, Quality::LeadLag, lead_lag);
    numbers.put(Sequence, Quality::Season, season(&own).ok().map(|found| found.p));
    let returns: Vec<f64> = days
        .iter()
        .map(|&day| log_return(prices, dataset.windows[day].target))
        .collect();
    let link = pearson(&over(&returns, std_dev), &over(&genuine, std_dev)).map(|found| found.r);
    numbers.put(Sequence, Quality::VolatilityLink, link);
    Ok(())
}

/// Of the day `target` over the day before.
fn log_return(prices: &Prices, target: usize) -> f64 {
    let close = |day: usize| prices.close.get(day).copied().unwrap_or(1.0);
    (close(target) / close(target.saturating_sub(1))).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_with_a_category_is_above_chance_and_noise_is_not() {
        let mut rng = Seed::new(3).rng();
        let member: Vec<Option<u32>> = (0..400).map(|row| Some(row % 5)).collect();
        let noise: Vec<f64> = member.iter().map(|_| rng.normal()).collect();
        let found = above_chance(&noise, &member, Seed::new(1)).unwrap();
        assert!(found.abs() < 0.03, "{found}");
        // Its variance is 2 (of 0, 1, .., 4) beside that of the noise, 1.
        let with = noise
            .iter()
            .zip(&member)
            .map(|(noise, day)| noise + f64::from(day.unwrap_or(0)));
        let found = above_chance(&with.collect::<Vec<_>>(), &member, Seed::new(1)).unwrap();
        assert!((found - 2.0 / 3.0).abs() < 0.06, "{found}");
        assert_eq!(above_chance(&[1.0; 400], &member, Seed::new(1)), None);
    }

    #[test]
    fn the_shortcut_ends_where_testing_starts() {
        let (loaded, prices) = rows(Seed::new(0)).unwrap();
        let test = loaded.dataset.part(Split::Test);
        assert!(!test.is_empty() && prices.close.len() > loaded.dataset.windows.len());
        let target = loaded.dataset.windows[test[0]].target;
        // The label is what the return says.
        for &row in &test {
            let window = &loaded.dataset.windows[row];
            assert_eq!(window.label > 0.5, log_return(&prices, window.target) > 0.0);
        }
        assert_eq!(prices.times[target], loaded.dataset.windows[test[0]].time);
    }
}
