//! How standings and scores do against true roles.

use disentangle_analysis::{Bootstrap, Estimate, classification::roc_auc, detection::Standing, proportion::proportion};
use disentangle_data::{Role, Seed};

use super::outcome::{Accuracy, GroupOutcome, Ranking, RepeatOutcome, SCORES};

/// Shares over all groups of all repeats.
pub(super) fn accuracy(repeats: &[RepeatOutcome]) -> Accuracy {
    let share = |role: Role, standing: Standing| {
        let own = repeats.iter().flat_map(|repeat| &repeat.groups);
        let own: Vec<&GroupOutcome> = own.filter(|group| group.role == role).collect();
        let hits = own.iter().filter(|group| group.detected.standing == standing).count();
        proportion(hits, own.len())
    };
    Accuracy {
        found: share(Role::Spurious, Standing::Shortcut),
        accused: share(Role::Genuine, Standing::Shortcut),
        passed: share(Role::Genuine, Standing::Genuine),
        missed: share(Role::Spurious, Standing::Genuine),
    }
}

/// AUROC of each score, shortcuts against causes of all repeats; intervals draw repeats.
pub(super) fn rankings(repeats: &[RepeatOutcome], seed: Seed) -> Vec<Ranking> {
    let rank = |(place, name): (usize, &&str)| {
        let (mut scores, mut labels, mut of) = (Vec::new(), Vec::new(), Vec::new());
        for (repeat, outcome) in repeats.iter().enumerate() {
            for group in &outcome.groups {
                let label = match group.role {
                    Role::Spurious => 1.0,
                    Role::Genuine => 0.0,
                    Role::Protected | Role::Unknown => continue,
                };
                if let Some(score) = group.scores()[place] {
                    scores.push(score);
                    labels.push(label);
                    of.push(repeat as u32);
                }
            }
        }
        Ranking {
            score: (*name).into(),
            auroc: auroc(&scores, &labels, &of, seed.child(name)),
        }
    };
    SCORES.iter().enumerate().map(rank).collect()
}

fn auroc(scores: &[f64], labels: &[f32], of: &[u32], seed: Seed) -> Estimate {
    let n = scores.len();
    if roc_auc(scores, labels).is_none() {
        return Estimate::undefined("there are not both shortcuts and causes with this score", n);
    }
    let bootstrap = Bootstrap::new(1, 1000, seed).clustered(of);
    bootstrap
        .estimate(n, |rows| {
            let pick = |row: &usize| (scores[*row], labels[*row]);
            let (scores, labels): (Vec<f64>, Vec<f32>) = rows.iter().map(pick).unzip();
            roc_auc(&scores, &labels)
        })
        .within(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use disentangle_analysis::{
        detection::{Detected, Instability, Power},
        transport::Shift,
    };

    use super::*;

    fn group(role: Role, standing: Standing, score: f64) -> GroupOutcome {
        GroupOutcome {
            role,
            detected: Detected {
                group: "g".into(),
                standing,
                reason: String::new(),
                power: Power {
                    auc: Estimate::default(),
                    power: None,
                },
                instability: Instability::default(),
                score: Some(score),
                independence: None,
                notebook_score: None,
                scores: Vec::new(),
            },
            shift: Shift::default(),
            temporal_consistency: None,
            impact: None,
            causal: None,
        }
    }

    #[test]
    fn shares_and_ranks_are_of_the_true_roles() {
        use Role::{Genuine, Protected, Spurious};
        use Standing::{Shortcut, Undecided};
        let repeat = |groups: Vec<GroupOutcome>| RepeatOutcome {
            rows: 1,
            groups,
            superposition: Vec::new(),
        };
        let repeats = [
            repeat(vec![
                group(Spurious, Shortcut, 0.9),
                group(Genuine, Standing::Genuine, 0.1),
                group(Protected, Shortcut, 1.0),
            ]),
            repeat(vec![
                group(Spurious, Undecided, 0.2),
                group(Genuine, Shortcut, 0.3),
                group(Genuine, Undecided, 0.1),
            ]),
        ];
        let found = accuracy(&repeats);
        let value = |estimate: &Estimate| (estimate.value.map(|value| (value * 6.0).round() as u32), estimate.n);
        assert_eq!(value(&found.found), (Some(3), 2));
        assert_eq!(value(&found.accused), (Some(2), 3));
        assert_eq!(value(&found.passed), (Some(2), 3));
        assert_eq!(value(&found.missed), (Some(0), 2));
        let rankings = rankings(&repeats, Seed::new(1));
        // Of six pairs of a shortcut and a cause, five are in order.
        assert!((rankings[0].auroc.value.unwrap() - 5.0 / 6.0).abs() < 1e-12);
        assert!(rankings[5].auroc.value.is_none());
    }

    #[test]
    fn scores_stand_by_their_names_and_grow_with_suspicion() {
        let mut one = group(Role::Spurious, Standing::Shortcut, 0.1);
        one.detected.instability.value = Some(0.2);
        one.detected.instability.p = Some(0.75);
        one.detected.notebook_score = Some(0.3);
        one.detected.power.power = Some(0.4);
        one.shift.shift = Some(9.0);
        one.shift.excess = Some(0.5);
        one.temporal_consistency = Some(0.375);
        one.impact = Some(0.7);
        let found: Vec<(&str, Option<f64>)> = SCORES.into_iter().zip(one.scores()).collect();
        let expected = [
            ("power × instability", Some(0.1)),
            ("instability", Some(0.2)),
            ("instability, 1 - p", Some(0.25)),
            ("notebook's product", Some(0.3)),
            ("power alone", Some(0.4)),
            ("distribution shift", Some(0.5)),
            ("1 - temporal consistency", Some(0.625)),
            ("counterfactual impact", Some(0.7)),
            ("causal strength", None),
        ];
        assert_eq!(found, expected);
    }
}
