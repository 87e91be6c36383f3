//! What is gained and what it costs, as a figure and as a table.

use disentangle_analysis::Estimate;
use disentangle_report::{Block, Cell, Figure, Mark, Section, Series, Values};

use super::outcome::{Outcome, StrategyOutcome, Vary};
use crate::present::{cell, number, plain_figure, table, with_interval};

/// Which of some points no other beats, by their first coordinate: none of the others is at least as far along both axes and further along one.
pub(super) fn front(points: &[[f64; 2]]) -> Vec<usize> {
    let beats = |a: &[f64; 2], b: &[f64; 2]| a[0] >= b[0] && a[1] >= b[1] && a != b;
    let mut front: Vec<usize> = (0..points.len())
        .filter(|&one| points.iter().all(|other| !beats(other, &points[one])))
        .collect();
    front.sort_by(|&a, &b| points[a][0].total_cmp(&points[b][0]));
    front
}

/// A strategy, its accuracy on the main rows, and what it reaches where the shortcut fails.
struct Placed<'a> {
    one: &'a StrategyOutcome,
    inside: &'a Estimate,
    outside: &'a Estimate,
    point: [f64; 2],
}

fn placed(outcome: &Outcome) -> Vec<Placed<'_>> {
    let strategies = outcome.strategies.iter();
    let places = strategies.filter_map(|one| {
        let inside = &one.environments.first()?[0].value;
        let outside = &outcome.hardest.of(one)?.value;
        Some(Placed {
            one,
            inside,
            outside,
            point: [inside.value?, outside.value?],
        })
    });
    places.collect()
}

/// Names of the strategies that no other beats in both.
pub(super) fn unbeaten(outcome: &Outcome) -> Vec<&str> {
    let placed = placed(outcome);
    let points: Vec<[f64; 2]> = placed.iter().map(|one| one.point).collect();
    front(&points)
        .into_iter()
        .map(|place| placed[place].one.name.as_str())
        .collect()
}

pub(super) fn trade_off(outcome: &Outcome) -> Section {
    let mut blocks = vec![Block::Figure(pareto(outcome)), prices(outcome), choices(outcome)];
    blocks.retain(|block| !matches!(block, Block::Figure(figure) if figure.series.len() < 2));
    Section {
        title: "What is gained and what it costs".into(),
        text: vec![
            format!(
                "Every strategy starts from the same initial weights on the same rows, in each of {} trainings; differences from plain training (erm) are paired by training. {}",
                outcome.repeats,
                covered(outcome)
            ),
            format!(
                "Where the shortcut fails is read from {}. On the front, beaten in both by no other strategy, stand: {}.",
                outcome.hardest.words(),
                unbeaten(outcome).join(", ")
            ),
            "The seconds of every training stand beside its epochs in `times.json`. They differ from run to run, and this report does not.".into(),
        ],
        blocks,
    }
}

/// What the intervals cover.
fn covered(outcome: &Outcome) -> String {
    let student = format!("Intervals are Student's t over the {} trainings", outcome.repeats);
    let subjects = match outcome.one_a_subject {
        true => " Test rows are one random row of each subject, so that they do not depend on each other.",
        false => "",
    };
    match outcome.vary {
        Vary::Drawn => {
            format!("{student}, each with rows of its own: they hold for other samples of this size.{subjects}")
        }
        Vary::Divided => format!(
            "{student}, each of which divides the same rows anew: parts of different trainings share rows, so that the intervals are narrower than those of new samples would be (Nadeau and Bengio 2003).{subjects}"
        ),
        Vary::Fixed => format!(
            "{student}. All trainings have the same rows in the same parts, and differ by initial weights and the order of rows only, so that these intervals say nothing of other rows.{}{subjects}",
            drawn_again(outcome)
        ),
    }
}

/// What the second interval of a difference is, where there is one.
fn drawn_again(outcome: &Outcome) -> String {
    let drawn = match (outcome.same_test_rows, outcome.block) {
        (false, _) => return String::new(),
        (true, 1) => "test rows are drawn again (bootstrap)".to_string(),
        (true, block) => {
            format!(
                "blocks of {block} test rows, which follow each other in time, are drawn again (circular moving-block bootstrap)"
            )
        }
    };
    format!(
        " Each difference of accuracy and ROC AUC has a second interval, over rows: {drawn} and the trained models stay. A difference counts as clear where both intervals leave out 0."
    )
}

/// One point a strategy, with intervals along both axes, above the line through those that no other beats.
fn pareto(outcome: &Outcome) -> Figure {
    let placed = placed(outcome);
    let points: Vec<[f64; 2]> = placed.iter().map(|one| one.point).collect();
    let front = front(&points);
    let along = |axis: usize| front.iter().map(|&place| points[place][axis]).collect::<Vec<f64>>();
    let line = Series::new("front", Mark::Line, Values::Numbers(along(0)), along(1));
    let (mut series, mut across) = (vec![line], vec![Vec::new()]);
    for place in &placed {
        let x = Values::Numbers(vec![place.point[0]]);
        series.push(with_interval(&place.one.name, Mark::Points, x, &[place.outside]));
        let ends = place.inside.low.zip(place.inside.high);
        across.push(vec![ends.map(|(low, high)| [low, high])]);
    }
    let first = outcome.environments.first().map_or("", String::as_str);
    Figure {
        across,
        ..plain_figure(
            "trade-off",
            "Accuracy where the shortcut holds and where it fails",
            "Right is better where the shortcut holds, up is better where it fails. No strategy on the line (front) is beaten in both by another one; where whiskers (95 % intervals over trainings) overlap, the order may be chance.",
            [&format!("accuracy, {first}"), &outcome.hardest.axis(), ""],
            series,
            vec![],
        )
    }
}

/// Gains and costs beside what rules look at.
fn prices(outcome: &Outcome) -> Block {
    let unbeaten = unbeaten(outcome);
    let rows = outcome.strategies.iter().map(|one| {
        let inside = one.environments.first().map(|inside| &inside[0]);
        let both = [inside, outcome.hardest.of(one)];
        let mut cells: Vec<Cell> = vec![one.name.clone().into()];
        let beaten = !unbeaten.contains(&one.name.as_str());
        cells.push(if beaten { "no" } else { "yes" }.into());
        for compared in both {
            match compared {
                Some(compared) => cells.extend([cell(&compared.value, 3), cell(&compared.over_erm, 3)]),
                None => cells.extend([number(None, 3), number(None, 3)]),
            }
        }
        for name in ["validation_accuracy", "validation_worst_group", "epochs"] {
            let digits = if name == "epochs" { 1 } else { 3 };
            let value = one.value(name);
            cells.push(value.map_or_else(|| number(None, digits), |value| cell(&value.value, digits)));
        }
        cells
    });
    let first = outcome.environments.first().map_or("", String::as_str);
    let (inside, outside) = (format!("accuracy, {first}"), outcome.hardest.axis());
    let columns = [
        "strategy",
        "on the front",
        inside.as_str(),
        "over erm",
        outside.as_str(),
        "over erm",
        "validation accuracy",
        "worst group, validation",
        "epochs",
    ];
    table(
        "Gains, costs, and what the rules look at: means over trainings with 95 % intervals",
        &columns,
        rows.collect(),
    )
}

fn choices(outcome: &Outcome) -> Block {
    let chosen = &outcome.chosen;
    let worst = chosen.worst_group.clone();
    let rows = [
        ("mean validation accuracy".to_string(), chosen.mean_accuracy.clone()),
        (
            "worst-group validation accuracy".into(),
            worst.unwrap_or_else(|| "groups are unknown".into()),
        ),
        (
            format!("oracle: {}, which a rule must not see", outcome.hardest.axis()),
            chosen.oracle.clone(),
        ),
    ];
    let rows = rows.into_iter().map(|(rule, name)| vec![rule.into(), name.into()]);
    table("What each rule takes", &["rule", "strategy"], rows.collect())
}

#[cfg(test)]
mod tests {
    use super::front;

    #[test]
    fn only_what_is_beaten_in_both_leaves_the_front() {
        let check = |points: &[[f64; 2]], expected: &[usize]| assert_eq!(front(points), expected, "{points:?}");
        check(&[], &[]);
        check(&[[0.9, 0.2]], &[0]);
        // The third is beaten by the second, which is as good in one and better in the other.
        check(&[[0.9, 0.2], [0.8, 0.7], [0.8, 0.6], [0.7, 0.75]], &[3, 1, 0]);
        // Equals do not beat each other.
        check(&[[0.8, 0.7], [0.8, 0.7]], &[0, 1]);
        check(&[[0.5, 0.5], [0.6, 0.6], [0.7, 0.7]], &[2]);
    }
}
