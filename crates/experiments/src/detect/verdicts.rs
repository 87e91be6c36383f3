//! What the numbers say. What stands before the first colon is counted over seeds, so that it holds no numbers.

use disentangle_analysis::{Estimate, detection::Standing};
use disentangle_report::{Tone, Verdict};

use super::outcome::{Outcome, PlantOutcome, RepeatOutcome};

pub(super) fn verdicts(outcome: &Outcome) -> Vec<Verdict> {
    let mut all = Vec::new();
    for plant in &outcome.plants {
        if plant.generated {
            all.extend(found(plant));
            all.extend(accused(outcome, plant));
        } else if let Some(repeat) = plant.repeats.first() {
            all.extend(standing_verdicts(repeat));
        }
    }
    all
}

/// The standing of each group on rows of one's own.
pub(crate) fn standing_verdicts(repeat: &RepeatOutcome) -> Vec<Verdict> {
    let groups = repeat.groups.iter().map(|group| {
        let detected = &group.detected;
        let (tone, words) = match detected.standing {
            Standing::Shortcut => (Tone::Bad, "is a shortcut"),
            Standing::Genuine => (Tone::Good, "passes as genuine"),
            Standing::Undecided => (Tone::Neutral, "is undecided"),
        };
        Verdict {
            text: format!("`{}` {words}: it {}", detected.group, detected.reason),
            tone,
        }
    });
    groups.collect()
}

fn counted(estimate: &Estimate) -> String {
    let hits = estimate.value.map_or(0.0, |share| share * estimate.n as f64).round();
    format!("{hits} of {} ({})", estimate.n, estimate.show(2))
}

/// Whether planted shortcuts are found.
fn found(plant: &PlantOutcome) -> Option<Verdict> {
    let accuracy = &plant.accuracy;
    let share = accuracy.found.value?;
    let ranking = plant.scores.first().map_or_else(String::new, |one| one.auroc.show(2));
    let counts = format!(
        "{}, AUROC of the score {ranking}; {} pass as genuine",
        counted(&accuracy.found),
        counted(&accuracy.missed)
    );
    let (tone, words) = match (plant.identifiable, share > 0.5) {
        (true, true) => (Tone::Good, "the planted shortcut is found in most draws"),
        (true, false) => (Tone::Bad, "the planted shortcut is not found in most draws"),
        // Nobody can, and a detector that claimed to would be guessing.
        (false, false) => (
            Tone::Neutral,
            "a shortcut that holds in every environment seen cannot be told from a cause, and is not",
        ),
        (false, true) => (
            Tone::Bad,
            "a shortcut that nothing tells from a cause is called one in most draws",
        ),
    };
    Some(Verdict {
        text: format!("{}, {words}: {counts}", plant.name),
        tone,
    })
}

/// Whether causes are accused more often than the rate allows.
fn accused(outcome: &Outcome, plant: &PlantOutcome) -> Option<Verdict> {
    let accused = &plant.accuracy.accused;
    accused.value?;
    let (tone, words) = if accused.above(outcome.rate) {
        (Tone::Bad, "causes are accused more often than the rate allows")
    } else {
        (Tone::Good, "causes are accused no more often than the rate allows")
    };
    Some(Verdict {
        text: format!(
            "{}, {words}: {} at {}; {} pass as genuine",
            plant.name,
            counted(accused),
            outcome.rate,
            counted(&plant.accuracy.passed)
        ),
        tone,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{detect::outcome::Accuracy, testing::says};

    fn share(value: f64, low: f64) -> Estimate {
        Estimate {
            low: Some(low),
            high: Some(1.0),
            ..Estimate::point(value, 4)
        }
    }

    fn plant(identifiable: bool, found: f64, accused: Estimate) -> PlantOutcome {
        PlantOutcome {
            name: "biased".into(),
            about: String::new(),
            identifiable,
            generated: true,
            environments: Vec::new(),
            accuracy: Accuracy {
                found: share(found, 0.0),
                accused,
                passed: share(0.75, 0.0),
                missed: share(0.25, 0.0),
            },
            scores: Vec::new(),
            repeats: Vec::new(),
        }
    }

    #[test]
    fn finding_what_nobody_can_find_is_bad() {
        let of = |identifiable: bool, share: f64| found(&plant(identifiable, share, Estimate::default())).unwrap();
        let most = of(true, 0.75);
        says(
            &most,
            Tone::Good,
            "biased, the planted shortcut is found in most draws: 3 of 4 (",
        );
        assert!(
            most.text.ends_with("1 of 4 (0.25 [0.00, 1.00]) pass as genuine"),
            "{most:?}"
        );
        says(
            &of(true, 0.5),
            Tone::Bad,
            "biased, the planted shortcut is not found in most draws",
        );
        says(
            &of(false, 0.5),
            Tone::Neutral,
            "biased, a shortcut that holds in every environment seen cannot be told",
        );
        says(
            &of(false, 0.75),
            Tone::Bad,
            "biased, a shortcut that nothing tells from a cause is called one",
        );
    }

    #[test]
    fn accusations_are_held_against_the_rate() {
        let of = |low: f64| {
            let plant = plant(true, 1.0, share(0.5, low));
            let outcome = Outcome {
                schema_version: 1,
                kind: "run".into(),
                experiment: "detect".into(),
                seed: 0,
                simulated: true,
                notices: Vec::new(),
                rate: 0.1,
                tolerance: 0.1,
                plants: Vec::new(),
            };
            accused(&outcome, &plant).unwrap()
        };
        says(
            &of(0.11),
            Tone::Bad,
            "biased, causes are accused more often than the rate allows: 2 of 4 (",
        );
        says(
            &of(0.09),
            Tone::Good,
            "biased, causes are accused no more often than the rate allows: 2 of 4 (",
        );
        assert!(
            of(0.09)
                .text
                .ends_with("at 0.1; 3 of 4 (0.75 [0.00, 1.00]) pass as genuine")
        );
    }
}
