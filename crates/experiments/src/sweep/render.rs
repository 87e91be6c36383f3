//! A sweep as a report and as text.

use disentangle_report::{Block, Cell, Report, Section, Tone, Verdict};

use super::{collect::Collected, figures::Drawn, grid, outcome::SweepOutcome, plan::point_words};
use crate::present::{cell, marked, table};

/// Numbers that get a verdict, at most.
const VERDICTS: usize = 6;
/// Rows of a table, at most.
const MOST_ROWS: usize = 1000;

/// The report.
pub(super) fn report(collected: &Collected) -> Report {
    let outcome = &collected.outcome;
    let mut sections: Vec<Section> = (collected.chosen.iter().enumerate())
        .map(|(place, &id)| number(collected, place, id))
        .collect();
    sections.extend(not_done(outcome));
    Report {
        title: format!("Sweep of {}", outcome.experiment),
        subtitle: subtitle(outcome),
        simulated: collected.simulated,
        notices: collected.notices.clone(),
        verdicts: verdicts(collected),
        sections,
    }
}

/// The short text for the terminal; `skipped` runs were done before.
pub(super) fn summary(collected: &Collected, skipped: usize) -> String {
    let mut text = format!("{}: {}\n", collected.outcome.experiment, subtitle(&collected.outcome));
    if skipped > 0 {
        text += &format!("- {skipped} runs were done before and were skipped\n");
    }
    text += &marked(&verdicts(collected));
    for notice in &collected.notices {
        text += &format!("! {notice}\n");
    }
    text
}

fn subtitle(outcome: &SweepOutcome) -> String {
    let keys: Vec<&str> = outcome.grid.iter().map(|key| key.key.as_str()).collect();
    let seeds = match outcome.seeds.as_slice() {
        [first, .., last] => format!("seeds {first} to {last}"),
        [only] => format!("seed {only}"),
        [] => "no seed".into(),
    };
    format!(
        "{} runs, {} points of {}, {seeds}",
        outcome.runs.len(),
        outcome.points.len(),
        keys.join(" x ")
    )
}

fn verdicts(collected: &Collected) -> Vec<Verdict> {
    let outcome = &collected.outcome;
    let (done, all) = (outcome.done(), outcome.runs.len());
    let runs = match done == all {
        true => Verdict {
            text: format!("all {all} runs are done"),
            tone: Tone::Good,
        },
        false => {
            let failed = outcome.runs.iter().filter(|run| run.state == "failed").count();
            Verdict {
                text: format!("{done} of {all} runs are done, {failed} failed"),
                tone: Tone::Bad,
            }
        }
    };
    let ends = collected
        .chosen
        .iter()
        .take(VERDICTS)
        .filter_map(|&id| ends(collected, id));
    std::iter::once(runs).chain(ends).collect()
}

/// Where a number is least and where it is greatest.
fn ends(collected: &Collected, id: usize) -> Option<Verdict> {
    let outcome = &collected.outcome;
    let mut present: Vec<_> = (outcome.points.iter())
        .filter_map(|point| {
            let estimate = point.estimate(id)?;
            Some((estimate.value?, estimate, point))
        })
        .collect();
    present.sort_by(|a, b| a.0.total_cmp(&b.0));
    let ((low, least, lowest), (high, most, highest)) = (present.first()?, present.last()?);
    if low >= high {
        return None;
    }
    let apart = match (least.high, most.low) {
        (Some(end), Some(start)) if end < start => "; their intervals do not overlap",
        (Some(_), Some(_)) => "; their intervals overlap",
        _ => "",
    };
    let digits = digits(outcome, id);
    Some(Verdict {
        text: format!(
            "{} is lowest at {}: {}, and highest at {}: {}{apart}",
            collected.names[id].words(),
            point_words(&outcome.grid, &lowest.params),
            least.show(digits),
            point_words(&outcome.grid, &highest.params),
            most.show(digits)
        ),
        tone: Tone::Neutral,
    })
}

/// A number over the grid: figures, then all its values.
fn number(collected: &Collected, place: usize, id: usize) -> Section {
    let (outcome, name) = (&collected.outcome, collected.names[id].words());
    let digits = digits(outcome, id);
    let drawn = Drawn {
        outcome,
        id,
        file: format!("number-{:02}", place + 1),
        name: &name,
        digits,
    };
    let (mut blocks, left_out) = drawn.figures();
    blocks.push(values(outcome, id, digits));
    let mut text = Vec::new();
    if place == 0 {
        text.push("Brackets hold Student's t interval over seeds. The least and the greatest of many noisy values lie apart by chance too: look at the whole grid before its ends.".into());
    }
    text.extend(left_out);
    if outcome.points.len() > MOST_ROWS {
        text.push(format!(
            "The table holds the first {MOST_ROWS} of {} points; metrics.json holds all.",
            outcome.points.len()
        ));
    }
    Section {
        title: name,
        text,
        blocks,
    }
}

fn values(outcome: &SweepOutcome, id: usize, digits: usize) -> Block {
    let columns = outcome.grid.iter().map(|key| key.key.as_str());
    let columns: Vec<&str> = columns.chain(["mean [95 %]", "seeds"]).collect();
    let rows = outcome.points.iter().take(MOST_ROWS).map(|point| {
        let mut cells: Vec<Cell> = Vec::with_capacity(columns.len());
        cells.extend(outcome.grid.iter().map(|key| {
            let value = point.params.get(&key.key).cloned().unwrap_or_default();
            match value.as_f64() {
                Some(number) => Cell::Number {
                    value: Some(number),
                    shown: grid::shown(&value),
                },
                None => grid::shown(&value).into(),
            }
        }));
        match point.estimate(id) {
            Some(estimate) => cells.extend([cell(estimate, digits), estimate.n.to_string().into()]),
            None => cells.extend([Cell::from("–"), Cell::from("0")]),
        }
        cells
    });
    table("Mean over seeds at each point", &columns, rows.collect())
}

/// Runs that are not done, with why.
fn not_done(outcome: &SweepOutcome) -> Option<Section> {
    let open = outcome.runs.iter().filter(|run| run.state != "done").take(MOST_ROWS);
    let rows: Vec<Vec<Cell>> = open
        .map(|run| {
            let point = point_words(&outcome.grid, &run.params);
            let message = run.message.as_deref().and_then(|message| message.lines().next());
            vec![
                run.hash.clone().into(),
                point.into(),
                run.seed.to_string().into(),
                run.state.into(),
                message.unwrap_or_default().into(),
            ]
        })
        .collect();
    (!rows.is_empty()).then(|| Section {
        title: "Runs that are not done".into(),
        text: vec!["Their logs lie in logs/, by hash.".into()],
        blocks: vec![table(
            "Runs that are not done",
            &["run", "point", "seed", "state", "error"],
            rows,
        )],
    })
}

/// Digits after the point that show three of the greatest value.
fn digits(outcome: &SweepOutcome, id: usize) -> usize {
    let values = outcome.points.iter().filter_map(|point| point.estimate(id)?.value);
    let most = values.fold(0.0_f64, |most, value| most.max(value.abs()));
    if most > 0.0 {
        (2.0 - most.log10().floor()).clamp(1.0, 8.0) as usize
    } else {
        3
    }
}
