//! What the standings say. What stands before the first colon is counted over seeds, so that it holds no numbers.

use disentangle_report::{Tone, Verdict};

use super::{
    list::PLACES,
    outcome::{ClaimOutcome, Outcome, Standing},
};

/// One for all claims, then one for each list.
pub(super) fn verdicts(outcome: &Outcome) -> Vec<Verdict> {
    let all: Vec<&ClaimOutcome> = outcome.claims.iter().collect();
    let mut verdicts = vec![Verdict {
        text: format!("of all claims that can be tested, {}: {}", most(&all), counts(&all)),
        tone: tone(&all),
    }];
    for place in PLACES {
        let own: Vec<&ClaimOutcome> = outcome.claims.iter().filter(|claim| claim.part == place.part).collect();
        let named = Standing::ALL.iter().filter_map(|standing| {
            let ids: Vec<&str> = of(&own, *standing).map(|claim| claim.id.as_str()).collect();
            (!ids.is_empty()).then(|| format!("{} {}", ids.join(", "), standing.word()))
        });
        verdicts.push(Verdict {
            text: format!(
                "{}, {}: {}",
                place.about,
                most(&own),
                named.collect::<Vec<_>>().join("; ")
            ),
            tone: tone(&own),
        });
    }
    verdicts
}

fn of<'a>(claims: &[&'a ClaimOutcome], standing: Standing) -> impl Iterator<Item = &'a ClaimOutcome> {
    claims.iter().copied().filter(move |claim| claim.standing == standing)
}

/// How many claims have a standing.
pub(super) fn count(claims: &[&ClaimOutcome], standing: Standing) -> usize {
    of(claims, standing).count()
}

/// Numbers of claims by standing.
pub(super) fn counts(claims: &[&ClaimOutcome]) -> String {
    let each = Standing::ALL
        .iter()
        .map(|standing| format!("{} {}", count(claims, *standing), standing.word()));
    each.collect::<Vec<_>>().join(", ")
}

/// Which standing more than half of those that can be tested have.
fn most(claims: &[&ClaimOutcome]) -> &'static str {
    let tested = claims.len() - count(claims, Standing::NotTestable);
    let more_than_half = |standing: Standing| 2 * count(claims, standing) > tested;
    if more_than_half(Standing::Supported) {
        "most are supported"
    } else if more_than_half(Standing::Contradicted) {
        "most are contradicted"
    } else if more_than_half(Standing::Undecided) {
        "most are undecided"
    } else {
        "no verdict holds for most"
    }
}

fn tone(claims: &[&ClaimOutcome]) -> Tone {
    let (supported, contradicted) = (
        count(claims, Standing::Supported),
        count(claims, Standing::Contradicted),
    );
    match supported.cmp(&contradicted) {
        std::cmp::Ordering::Greater => Tone::Good,
        std::cmp::Ordering::Less => Tone::Bad,
        std::cmp::Ordering::Equal => Tone::Neutral,
    }
}
