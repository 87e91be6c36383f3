//! Numbers of single trainings as means with intervals, and the ranking.

use disentangle_analysis::{Estimate, over_seeds};

use super::{
    measure::{Measured, SiteValues, VALUES},
    outcome::{Compared, FamilyOutcome, Ranking, SiteOutcome},
};

/// Mean over trainings with Student's t interval. `None` entries are left out and counted.
fn over_trainings(values: &[Option<f64>]) -> Estimate {
    let mut estimate = over_seeds(values);
    for words in [&mut estimate.method, &mut estimate.note].into_iter().flatten() {
        *words = words.replace("seed", "training");
    }
    estimate
}

type Of<'a> = &'a dyn Fn(&Measured) -> Option<f64>;

/// `own` minus `other`, training by training.
fn paired(own: &[Measured], other: &[Measured], of: Of) -> Estimate {
    let pairs = own.iter().zip(other);
    let differences: Vec<Option<f64>> = pairs.map(|(own, other)| Some(of(own)? - of(other)?)).collect();
    over_trainings(&differences)
}

/// `first` is of the family that others are compared with; `None` for that family itself.
fn compared(own: &[Measured], first: Option<&[Measured]>, [least, most]: [f64; 2], of: Of) -> Compared {
    Compared {
        // A t interval of few trainings may leave the range.
        value: over_trainings(&own.iter().map(of).collect::<Vec<_>>()).within(least, most),
        over_first: match first {
            Some(first) => paired(own, first, of),
            None => Estimate::undefined("the others are compared with this one", own.len()),
        },
    }
}

/// What all trainings of a family came to; who made it fills in what it is.
pub(super) fn family(own: &[Measured], first: Option<&[Measured]>) -> FamilyOutcome {
    let (environments, groups) = own
        .first()
        .map_or((0, 0), |one| (one.environments.len(), one.groups.len()));
    let share = [0.0, 1.0];
    let sites = own.first().map_or(0, |one| one.sites.len());
    FamilyOutcome {
        values: (0..VALUES.len())
            .map(|place| compared(own, first, VALUES[place].range, &|one| one.values[place]))
            .collect(),
        environments: (0..environments)
            .map(|place| {
                std::array::from_fn(|metric| {
                    compared(own, first, share, &|one: &Measured| one.environments[place][metric])
                })
            })
            .collect(),
        attribution: (0..groups)
            .map(|place| compared(own, first, share, &|one| one.groups[place]))
            .collect(),
        completeness_gap: over_trainings(&own.iter().map(|one| one.completeness_gap).collect::<Vec<_>>())
            .within(0.0, f64::INFINITY),
        sites: (0..sites).map(|place| site(own, place)).collect(),
        ..FamilyOutcome::default()
    }
}

fn site(own: &[Measured], place: usize) -> SiteOutcome {
    let over = |of: fn(&SiteValues) -> Option<f64>, [least, most]: [f64; 2]| {
        let values: Vec<Option<f64>> = own.iter().map(|one| of(&one.sites[place])).collect();
        over_trainings(&values).within(least, most)
    };
    // Every training has the same sites.
    let first = &own[0].sites[place];
    let neurons = first.neurons as f64;
    SiteOutcome {
        site: first.site.clone(),
        neurons: first.neurons,
        effective_rank: over(|site| site.effective_rank, [1.0, neurons]),
        condition_log10: over(|site| site.condition_log10, [0.0, f64::INFINITY]),
        dropped: over(|site| Some(site.dropped as f64), [0.0, neurons]),
        sparsity: over(|site| Some(site.sparsity), [0.0, 1.0]),
    }
}

/// By worst-group accuracy on the main rows where groups are known, else by accuracy there; families without a value come last.
pub(super) fn ranking(families: &[FamilyOutcome], measured: &[Vec<Measured>], environments: &[String]) -> Ranking {
    let worst = |family: &FamilyOutcome| family.environments.first()?[2].value.value;
    let metric = if families.iter().any(|family| worst(family).is_some()) {
        2
    } else {
        0
    };
    let name = if metric == 2 {
        "worst-group accuracy"
    } else {
        "accuracy"
    };
    let main = environments.first().map_or("", String::as_str);
    let value = |place: usize| -> f64 {
        let scores = families[place].environments.first();
        scores
            .and_then(|scores| scores[metric].value.value)
            .unwrap_or(f64::NEG_INFINITY)
    };
    let mut order: Vec<usize> = (0..families.len()).collect();
    order.sort_by(|&a, &b| value(b).total_cmp(&value(a)));
    let lead = match order[..] {
        [first, second, ..] => paired(&measured[first], &measured[second], &|one| one.environments[0][metric]),
        _ => Estimate::undefined("there is no second one", 0),
    };
    Ranking {
        place: [0, metric],
        by: format!("{name} in `{main}`"),
        order,
        lead,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trainings(accuracies: &[f64], worst: Option<f64>) -> Vec<Measured> {
        let of = |&accuracy: &f64| Measured {
            values: vec![Some(accuracy); VALUES.len()],
            environments: vec![[Some(accuracy), Some(0.5), worst.map(|worst| worst + accuracy / 10.0)]],
            groups: vec![Some(accuracy), None],
            completeness_gap: None,
            sites: vec![SiteValues {
                site: "pool".into(),
                neurons: 4,
                effective_rank: Some(2.0),
                condition_log10: None,
                dropped: 1,
                sparsity: 0.25,
            }],
        };
        accuracies.iter().map(of).collect()
    }

    #[test]
    fn differences_are_paired_and_the_first_has_none() {
        let (first, other) = (trainings(&[0.5, 0.7, 0.6], None), trainings(&[0.6, 0.8, 0.7], None));
        let found = family(&other, Some(&first));
        let accuracy = &found.environments[0][0];
        assert!((accuracy.value.value.unwrap() - 0.7).abs() < 1e-12);
        assert!((accuracy.over_first.value.unwrap() - 0.1).abs() < 1e-12);
        // Every pair differs by the same.
        assert!(accuracy.clear() && accuracy.over_first.method.as_ref().unwrap().contains("3 trainings"));
        assert!(found.environments[0][2].value.value.is_none() && found.attribution[1].value.value.is_none());
        assert_eq!(found.sites[0].dropped.value, Some(1.0));
        let own = family(&first, None);
        assert!(own.environments[0][0].over_first.value.is_none() && !own.environments[0][0].clear());
    }

    #[test]
    fn ranks_by_the_worst_group_where_it_is_known() {
        let check = |worst: [Option<f64>; 2], metric: usize, order: [usize; 2]| {
            let measured = vec![trainings(&[0.5, 0.6], worst[0]), trainings(&[0.8, 0.7], worst[1])];
            let families: Vec<FamilyOutcome> = measured.iter().map(|own| family(own, None)).collect();
            let found = ranking(&families, &measured, &["test".into()]);
            assert_eq!((found.place, &found.order[..]), ([0, metric], &order[..]));
            found
        };
        assert_eq!(check([None, None], 0, [1, 0]).by, "accuracy in `test`");
        let found = check([Some(0.9), Some(0.1)], 2, [0, 1]);
        assert_eq!(found.by, "worst-group accuracy in `test`");
        // (.9 + .05) - (.1 + .08) and (.9 + .06) - (.1 + .07).
        assert!((found.lead.value.unwrap() - f64::midpoint(0.77, 0.79)).abs() < 1e-12);
        check([None, Some(0.1)], 2, [1, 0]);
    }
}
