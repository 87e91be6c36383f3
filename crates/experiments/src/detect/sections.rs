//! The sections of the report.

use disentangle_analysis::{Estimate, detection::Standing, over_seeds};
use disentangle_data::Role;
use disentangle_report::{Block, Cell, Mark, Section, Values};

use super::outcome::{GroupOutcome, Outcome, PlantOutcome, RepeatOutcome};
use crate::present::{cell, figure, number, short_cell, table, with_interval};

pub(super) fn all(outcome: &Outcome) -> Vec<Section> {
    let mut sections = Vec::new();
    if outcome.plants.iter().any(|plant| plant.generated) {
        sections.push(against_truth(outcome));
        sections.push(rankings(outcome));
    }
    sections.extend(outcome.plants.iter().enumerate().map(|(place, plant)| of(plant, place)));
    sections
}

pub(super) fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Shortcut => "shortcut",
        Standing::Genuine => "genuine",
        Standing::Undecided => "undecided",
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Genuine => "genuine",
        Role::Spurious => "spurious",
        Role::Protected => "protected",
        Role::Unknown => "unknown",
    }
}

fn against_truth(outcome: &Outcome) -> Section {
    let generated = outcome.plants.iter().filter(|plant| plant.generated);
    let rows = generated.map(|plant| {
        let accuracy = &plant.accuracy;
        vec![
            plant.name.clone().into(),
            number(Some(plant.repeats.len() as f64), 0),
            short_cell(&accuracy.found, 2),
            short_cell(&accuracy.missed, 2),
            short_cell(&accuracy.accused, 3),
            short_cell(&accuracy.passed, 2),
        ]
    });
    let columns = [
        "rows",
        "draws",
        "shortcuts found",
        "shortcuts passed as genuine",
        "causes accused",
        "causes passed as genuine",
    ];
    Section {
        title: "Against the true roles".into(),
        text: vec![format!(
            "Each draw has rows of its own. A group is called a shortcut if it tells the label and does so differently well between environments, both with q at most {} over groups; \
             the rest of what is neither found nor passed is undecided. Detectors see training and validation rows, never test environments.",
            outcome.rate
        )],
        blocks: vec![
            table(
                "Shares of groups with exact 95 % intervals (Clopper and Pearson)",
                &columns,
                rows.collect(),
            ),
            planted(outcome),
        ],
    }
}

fn planted(outcome: &Outcome) -> Block {
    let generated = outcome.plants.iter().filter(|plant| plant.generated);
    let rows = generated.map(|plant| vec![plant.name.clone().into(), plant.about.clone().into()]);
    table("What is planted", &["rows", "truth"], rows.collect())
}

/// How well each score would do with the best threshold.
fn rankings(outcome: &Outcome) -> Section {
    let both = |plant: &&PlantOutcome| plant.generated && plant.scores.iter().any(|score| score.auroc.value.is_some());
    let plants: Vec<&PlantOutcome> = outcome.plants.iter().filter(both).collect();
    let names = |plant: &PlantOutcome| plant.scores.iter().map(|score| score.score.clone()).collect();
    let series = plants.iter().map(|plant| {
        let values: Vec<&Estimate> = plant.scores.iter().map(|score| &score.auroc).collect();
        with_interval(&plant.name, Mark::Bar, Values::Names(names(plant)), &values)
    });
    let mut columns = vec!["score"];
    columns.extend(plants.iter().map(|plant| plant.name.as_str()));
    let count = plants.first().map_or(0, |plant| plant.scores.len());
    let rows = (0..count).map(|place| {
        let mut row: Vec<Cell> = vec![plants[0].scores[place].score.clone().into()];
        row.extend(plants.iter().map(|plant| short_cell(&plant.scores[place].auroc, 2)));
        row
    });
    Section {
        title: "Which score ranks shortcuts first".into(),
        text: vec![
            "The probability that a planted shortcut has a higher score than a cause of the same source, over all draws. Power alone is what a score has that asks only whether a group tells the label; impact and \
             causal strength say what a model uses, which may be a cause."
                .into(),
        ],
        blocks: vec![
            figure(
                "detection-auroc",
                "AUROC of each score",
                "Above the dotted line a score ranks shortcuts before causes; below it, it would accuse the causes.",
                ["score", "AUROC", ""],
                series.collect(),
                vec![0.5],
            ),
            table("AUROC with 95 % intervals over draws", &columns, rows.collect()),
        ],
    }
}

/// One source of rows.
fn of(plant: &PlantOutcome, place: usize) -> Section {
    let Some(first) = plant.repeats.first() else {
        return Section {
            title: plant.name.clone(),
            text: Vec::new(),
            blocks: Vec::new(),
        };
    };
    let names: Vec<String> = first.groups.iter().map(|group| group.detected.group.clone()).collect();
    let over = |value: &dyn Fn(&GroupOutcome) -> Option<f64>| -> Vec<Estimate> {
        (0..names.len())
            .map(|group| {
                let values = plant
                    .repeats
                    .iter()
                    .map(|repeat| repeat.groups.get(group).and_then(value));
                over_seeds(&values.collect::<Vec<_>>())
            })
            .collect()
    };
    let lines = [
        ("instability", over(&|group| group.detected.instability.value)),
        (
            "95 % of its null",
            over(&|group| group.detected.instability.null_quantile),
        ),
        ("power", over(&|group| group.detected.power.power)),
    ];
    let series = lines.iter().map(|(name, values)| {
        let values: Vec<&Estimate> = values.iter().collect();
        with_interval(name, Mark::Bar, Values::Names(names.clone()), &values)
    });
    let mut blocks = vec![
        figure(
            &format!("instability-{place}"),
            &format!("{}: instability beside its null", plant.name),
            "Where the first bar stands above the second, the group tells the label differently well from environment to environment, beyond chance.",
            ["group", "difference of AUC, power", ""],
            series.collect(),
            vec![],
        ),
        evidence_table(first, plant.repeats.len() > 1),
        reasons(first),
    ];
    blocks.extend(enhanced_table(first));
    blocks.extend(superposition_table(first));
    let several = match plant.repeats.len() {
        1 => String::new(),
        count => format!(" The figure shows means over {count} draws, the tables the first of them."),
    };
    Section {
        title: format!("Evidence: {}", plant.name),
        text: vec![format!(
            "{} rows of the environments {}.{several}",
            first.rows,
            plant.environments.join(", ")
        )],
        blocks,
    }
}

/// Tests and standing of each group.
pub(crate) fn evidence_table(repeat: &RepeatOutcome, several: bool) -> Block {
    let rows = repeat.groups.iter().map(|group| {
        let detected = &group.detected;
        let aucs: Vec<String> = detected
            .instability
            .environments
            .iter()
            .map(|one| one.auc.show(2))
            .collect();
        vec![
            detected.group.clone().into(),
            role(group.role).into(),
            word(detected.standing).into(),
            cell(&detected.power.auc, 2),
            number(detected.power.auc.q, 3),
            aucs.join("; ").into(),
            number(detected.instability.value, 3),
            number(detected.instability.null_quantile, 3),
            number(detected.instability.q, 3),
            number(detected.score, 3),
        ]
    });
    let columns = [
        "group",
        "role",
        "standing",
        "AUC",
        "q",
        "AUC by environment",
        "instability",
        "95 % of its null",
        "q",
        "score",
    ];
    let caption = if several {
        "Tests and standings, first draw"
    } else {
        "Tests and standings"
    };
    table(caption, &columns, rows.collect())
}

pub(crate) fn reasons(repeat: &RepeatOutcome) -> Block {
    let rows = repeat.groups.iter().map(|group| {
        let detected = &group.detected;
        vec![
            detected.group.clone().into(),
            word(detected.standing).into(),
            format!("it {}", detected.reason).into(),
        ]
    });
    table("Why", &["group", "standing", "reason"], rows.collect())
}

/// Measures beside the tests; absent where no model was trained.
fn enhanced_table(repeat: &RepeatOutcome) -> Option<Block> {
    repeat.groups.iter().any(|group| group.impact.is_some()).then(|| {
        let rows = repeat.groups.iter().map(|group| {
            let causal = group.causal.as_ref();
            vec![
                group.detected.group.clone().into(),
                number(group.shift.shift, 3),
                number(group.shift.excess, 3),
                number(group.temporal_consistency, 3),
                number(group.impact, 3),
                number(causal.and_then(|causal| causal.value), 3),
                causal.map_or_else(String::new, |causal| causal.of.clone()).into(),
                number(causal.and_then(|causal| causal.stability), 2),
                number(group.detected.independence, 3),
            ]
        });
        let columns = [
            "group",
            "distribution shift",
            "above chance",
            "temporal consistency",
            "counterfactual impact",
            "causal strength",
            "of",
            "least stability",
            "independence",
        ];
        table(
            "Measures beside the tests, and what the trained model uses",
            &columns,
            rows.collect(),
        )
    })
}

fn superposition_table(repeat: &RepeatOutcome) -> Option<Block> {
    (!repeat.superposition.is_empty()).then(|| {
        let rows = repeat.superposition.iter().map(|site| {
            vec![
                site.site.clone().into(),
                number(Some(site.neurons[0] as f64), 0),
                number(Some(site.neurons[1] as f64), 0),
                number(site.alignment, 3),
                number(site.interference, 3),
                number(site.proxy, 4),
                number(site.effective_rank, 1),
                number(site.dimensionality, 3),
            ]
        });
        let columns = [
            "site",
            "neurons",
            "dead",
            "alignment",
            "interference above noise",
            "proxy",
            "effective rank",
            "D of columns",
        ];
        table("Superposition in the trained model", &columns, rows.collect())
    })
}

pub(super) fn explained(outcome: &Outcome) -> Section {
    Section {
        title: "What the words mean".into(),
        text: vec![
            "Power: max(0, 2 AUC - 1) of a cross-fitted probe on the group's columns and their squares; its p by permuted labels.".into(),
            "Instability: greatest minus least AUC over environments, each by one probe that was fitted on all the others. Its null permutes environments among rows of the same label (whole blocks of series) and fits anew; \
             permuted labels would only test association, which causes have too."
                .into(),
            format!(
                "Genuine means: tells the label alike in all environments that were seen, and a change of the AUC by {} would have been seen. A shortcut that holds in all of them passes too.",
                outcome.tolerance
            ),
            "Distribution shift: Wasserstein-1 distance between environments within a class, in within-class standard deviations, mean over columns; above chance: minus its mean under permuted environments. \
             Temporal consistency: 1 - mean change of the AUC between windows that follow one another."
                .into(),
            "Counterfactual impact: mean |change of the probability| when the group comes from another row. Causal strength: the same when an independent component of it does; components that do not reject normality cannot be \
             identified, and the whole group is set instead."
                .into(),
            "The superposition proxy is alignment (participation ratio over neurons) × interference (mean |correlation| above its noise level); effective rank and the dimensionality D of the columns' directions are the field's measures."
                .into(),
        ],
        blocks: Vec::new(),
    }
}
