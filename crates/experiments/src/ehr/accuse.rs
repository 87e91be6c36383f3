//! Which groups are shortcuts: used where training saw the environment, and not where it did not.

use disentangle_analysis::Estimate;

use super::outcome::{Accusation, Standing};
use crate::causal;

/// An AUC lost below this is no use.
pub(super) const LEAST_USE: f64 = 0.005;

/// Every group of the model; `unseen` names the first environment that training did not see, if there is one. The first environment is
/// one that it saw.
///
/// A group is a shortcut if its interval inside lies above [`LEAST_USE`], the interval outside lies below the one inside, and at most half of the
/// use is left outside; both intervals are of different subjects. A cause keeps its use wherever it is measured. Something of a shortcut may be left
/// by chance: where it says nothing, it still agrees with the label a little in a small sample.
pub(super) fn accusations(causal: &causal::Outcome, unseen: Option<&str>) -> Vec<Accusation> {
    let inside = causal.data.environments.first().map_or("", |one| one.name.as_str());
    let lost = |environment: &str, group: &str| {
        let mut all = causal.importance.iter();
        let found = all.find(|one| one.environment == environment && one.importance.group == group);
        found.map_or_else(Estimate::default, |one| one.importance.auc_drop.clone())
    };
    let outside = unseen.filter(|unseen| *unseen != inside);
    let groups = causal.data.groups.iter().map(|group| {
        let (inside, outside) = (
            lost(inside, &group.name),
            outside.map(|name| (name.to_string(), lost(name, &group.name))),
        );
        Accusation {
            standing: standing(&inside, outside.as_ref().map(|(_, outside)| outside)),
            group: group.name.clone(),
            inside,
            outside,
        }
    });
    groups.collect()
}

fn standing(inside: &Estimate, outside: Option<&Estimate>) -> Standing {
    if !inside.above(LEAST_USE) {
        return Standing::Unused;
    }
    let Some(outside) = outside.filter(|outside| outside.high.is_some()) else {
        return Standing::Undecided;
    };
    let less = outside.high < inside.low;
    let left = outside
        .value
        .zip(inside.value)
        .map_or(1.0, |(outside, inside)| outside / inside);
    match less && left <= 0.5 {
        true => Standing::Shortcut,
        false if outside.above(LEAST_USE) => Standing::Holds,
        false => Standing::Undecided,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standings() {
        let estimate = |low: f64, high: f64| Estimate {
            value: Some(f64::midpoint(low, high)),
            low: Some(low),
            high: Some(high),
            ..Estimate::default()
        };
        let used = estimate(0.1, 0.2);
        for (inside, outside, expected) in [
            (&used, Some(estimate(-0.05, 0.02)), Standing::Shortcut),
            (&used, Some(estimate(-0.2, -0.1)), Standing::Shortcut),
            (&used, Some(estimate(0.08, 0.15)), Standing::Holds),
            // A little is left, or most of it.
            (&used, Some(estimate(0.02, 0.06)), Standing::Shortcut),
            (&used, Some(estimate(0.07, 0.09)), Standing::Holds),
            (&used, Some(estimate(0.01, 0.12)), Standing::Holds),
            (&used, Some(estimate(-0.01, 0.15)), Standing::Undecided),
            (&used, None, Standing::Undecided),
            (&used, Some(Estimate::undefined("one class", 3)), Standing::Undecided),
            (&estimate(0.001, 0.2), Some(estimate(-0.2, -0.1)), Standing::Unused),
            (&Estimate::default(), Some(estimate(-0.2, -0.1)), Standing::Unused),
        ] {
            assert_eq!(standing(inside, outside.as_ref()), expected, "{inside:?} {outside:?}");
        }
    }
}
