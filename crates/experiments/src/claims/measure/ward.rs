//! The healthcare model on the simulated ward (parts 32 and 33).

use std::collections::BTreeMap;

use disentangle_analysis::{
    association::correlation_ratio,
    classification::sigmoid,
    descriptive::{mean, std_dev},
    probing,
};
use disentangle_data::{Dataset, Role, Seed, Split};
use disentangle_models::{Family, Model};
use serde_json::json;

use super::{
    Given, Numbers,
    asked::Asked,
    fit::fit,
    groups::{overlap, together},
    heads::{self, Maps},
    sites,
};
use crate::{
    ExperimentError,
    claims::question::{Quality, Subject::Healthcare},
};

/// Periods by the time of prediction.
const PERIODS: usize = 4;
/// Permutations of insurances between patients.
const NULL: usize = 50;

pub(super) fn measure(given: &Given) -> Result<Numbers, ExperimentError> {
    let rows = given.ward()?;
    let dataset = &rows.dataset;
    let hidden = given.settings.hidden;
    let sizes = [
        ("hidden", json!(hidden)),
        ("layers", json!(2)),
        ("feed_forward", json!(4 * hidden)),
    ];
    let start = given.start(Family::Healthcare, dataset, &sizes, "ward")?;
    let model = fit(given, dataset, &start, "ward")?.model;
    let on = |model, rows: &[usize]| on_rows(given, dataset, model, rows);
    let known = rows.environments.first().map_or(&[][..], |one| &one.rows);
    let (asked, before) = (on(&model, known)?, on(&start, known)?);
    let (genuine, spurious) = (asked.columns(Role::Genuine), asked.columns(Role::Spurious));
    let mut numbers = Numbers::default();
    let mut put = |quality: Quality, value: Option<f64>| numbers.put(Healthcare, quality, value);

    let clinical = asked.auc_only(&genuine)?;
    let administrative = asked.auc_only(&spurious)?;
    put(Quality::OnlyLead, difference(clinical, administrative));
    let shared = overlap(&asked, &sites::last_stream(&asked)?)?;
    put(
        Quality::OverlapAboveChance,
        shared.map(|[overlap, chance]| overlap - chance),
    );
    put(Quality::Interaction, together(&asked, &genuine, &spurious)?.relative);

    let (maps, maps_before) = (heads::maps(&asked)?, heads::maps(&before)?);
    put(
        Quality::PatternSeparation,
        difference(apart(&maps), apart(&maps_before)),
    );
    let entropy = |part: &str| branch(&maps, part).and_then(Maps::entropy);
    put(Quality::EntropyLead, difference(entropy("clinical"), entropy("admin")));

    if let Some(unseen) = rows.environments.iter().find(|one| one.unseen) {
        let elsewhere = on(&model, &unseen.rows)?;
        let there = elsewhere.auc_only(&spurious)?;
        put(Quality::ShortcutDecay, difference(administrative, there));
        for (quality, attribute) in [
            (Quality::AdmissionDayExcess, "admission_day"),
            (Quality::InsuranceExcess, "insurance"),
        ] {
            let member = members(dataset, &unseen.rows, attribute);
            put(quality, excess(&elsewhere, &member));
        }
    }

    let test = dataset.part(Split::Test);
    put(
        Quality::StabilityByInsurance,
        by_insurance(given, dataset, &model, &test)?,
    );
    let all = on(&model, &test)?;
    let times: Vec<_> = test.iter().map(|&row| dataset.windows[row].time).collect();
    let mut order: Vec<usize> = (0..test.len()).collect();
    order.sort_by_key(|&place| (times[place], place));
    let unsteady = |columns: &[usize]| -> Result<Option<f64>, ExperimentError> {
        Ok(relative_spread(&all.influence(columns)?, &order))
    };
    put(
        Quality::ImportanceSteadiness,
        difference(unsteady(&genuine)?, unsteady(&spurious)?),
    );
    Ok(numbers)
}

fn on_rows<'a>(
    given: &'a Given,
    dataset: &'a Dataset,
    model: &'a Model,
    rows: &[usize],
) -> Result<Asked<'a>, ExperimentError> {
    let seed = given.seed.child("asked");
    Asked::new(model, dataset, rows, given.settings.permutations, seed, given.device)
}

fn difference(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    Some(a? - b?)
}

/// The attention of a branch.
fn branch<'m>(maps: &'m [Maps], part: &str) -> Option<&'m Maps> {
    maps.iter().find(|maps| maps.site.starts_with(part))
}

/// How far the attentions of both branches are apart.
fn apart(maps: &[Maps]) -> Option<f64> {
    branch(maps, "clinical")?.apart(branch(maps, "admin")?)
}

/// The category of an attribute in the last row of each window, of columns called `attribute=CATEGORY`.
fn members(dataset: &Dataset, rows: &[usize], attribute: &str) -> Vec<Option<u32>> {
    let named = |name: &String| name.strip_prefix(attribute).is_some_and(|rest| rest.starts_with('='));
    let columns: Vec<usize> = (0..dataset.features.len())
        .filter(|&column| named(&dataset.features[column]))
        .collect();
    let of = |&row: &usize| {
        let last = dataset.windows[row].start + dataset.lookback - 1;
        let place = columns.iter().position(|&column| dataset.rows[[last, column]] > 0.5);
        place.map(|place| place as u32)
    };
    rows.iter().map(of).collect()
}

/// The correlation ratio of probabilities with an attribute minus that of labels.
fn excess(asked: &Asked, member: &[Option<u32>]) -> Option<f64> {
    let ones = vec![1.0; member.len()];
    let probabilities: Vec<f64> = asked.logits.iter().map(|&z| sigmoid(z)).collect();
    let labels: Vec<f64> = asked.labels.iter().map(|&y| f64::from(y)).collect();
    let ratio = |values: &[f64]| correlation_ratio(values, member, &ones);
    difference(ratio(&probabilities), ratio(&labels))
}

/// The range over insurances of a patient's mean |change of the probability| from one row to the next, minus its mean with insurances permuted
/// between patients.
fn by_insurance(
    given: &Given,
    dataset: &Dataset,
    model: &Model,
    test: &[usize],
) -> Result<Option<f64>, ExperimentError> {
    let logits = probing::logits(model, &dataset.inputs(test), given.device, 1)?;
    let insurance = members(dataset, test, "insurance");
    let mut of: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (place, &row) in test.iter().enumerate() {
        of.entry(dataset.windows[row].subject).or_default().push(place);
    }
    let patients = of.values().filter_map(|places| {
        let mut places = places.clone();
        places.sort_by_key(|&place| dataset.windows[test[place]].time);
        let changes = places
            .windows(2)
            .map(|pair| (sigmoid(logits[pair[1]]) - sigmoid(logits[pair[0]])).abs());
        Some((mean(&changes.collect::<Vec<f64>>())?, insurance[places[0]]?))
    });
    let (changes, kinds): (Vec<f64>, Vec<u32>) = patients.unzip();
    Ok(range_above_chance(&changes, &kinds, given.seed.child("insurances")))
}

/// The range of the categories' means minus its mean with categories permuted; `None` for fewer than two categories.
fn range_above_chance(values: &[f64], kinds: &[u32], seed: Seed) -> Option<f64> {
    let range = |kinds: &[u32]| -> Option<f64> {
        let mut of: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for (value, kind) in values.iter().zip(kinds) {
            of.entry(*kind).or_default().push(*value);
        }
        let means: Vec<f64> = of.values().filter_map(|own| mean(own)).collect();
        let (most, least) = (
            means.iter().copied().reduce(f64::max)?,
            means.iter().copied().reduce(f64::min)?,
        );
        (means.len() > 1).then_some(most - least)
    };
    let null = (0..NULL).filter_map(|draw| {
        let order = seed.index(draw as u64).rng().permutation(kinds.len());
        range(&order.into_iter().map(|place| kinds[place]).collect::<Vec<_>>())
    });
    let null: Vec<f64> = null.collect();
    Some(range(kinds)? - mean(&null)?)
}

/// The standard deviation over periods of the mean of `values`, in the order of time, over their mean.
fn relative_spread(values: &[f64], order: &[usize]) -> Option<f64> {
    let size = order.len().div_ceil(PERIODS).max(1);
    let means = order.chunks(size).filter_map(|places| {
        let own: Vec<f64> = places.iter().map(|&place| values[place]).collect();
        mean(&own)
    });
    let means: Vec<f64> = means.collect();
    let whole = mean(&means).filter(|mean| *mean > 0.0)?;
    Some(std_dev(&means)? / whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_have_closed_forms() {
        // Means of the periods 1, 2, 3, 4: standard deviation 1.29 over 2.5.
        let values = [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0];
        let order: Vec<usize> = (0..8).collect();
        let expected = (5.0f64 / 3.0).sqrt() / 2.5;
        assert!((relative_spread(&values, &order).unwrap() - expected).abs() < 1e-12);
        assert!(relative_spread(&[2.0; 8], &order).unwrap().abs() < 1e-12);
        assert_eq!(relative_spread(&[0.0; 8], &order), None);
    }

    #[test]
    fn a_range_that_chance_makes_is_none() {
        let mut rng = Seed::new(5).rng();
        let kinds: Vec<u32> = (0..400).map(|row| row % 4).collect();
        let noise: Vec<f64> = kinds.iter().map(|_| rng.normal()).collect();
        let found = range_above_chance(&noise, &kinds, Seed::new(1)).unwrap();
        assert!(found.abs() < 0.2, "{found}");
        let moved: Vec<f64> = noise
            .iter()
            .zip(&kinds)
            .map(|(noise, kind)| noise + f64::from(*kind))
            .collect();
        let found = range_above_chance(&moved, &kinds, Seed::new(1)).unwrap();
        assert!((2.3..3.2).contains(&found), "{found}");
        assert_eq!(range_above_chance(&[1.0, 2.0], &[0, 0], Seed::new(1)), None);
    }
}
