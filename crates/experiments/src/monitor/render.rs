//! What was found as a page and as text.

use disentangle_report::{Block, Cell, Mark, Report, Section, Series, Values};

use super::{
    outcome::{OverWindows, Watched},
    statistics::Kind,
};
use crate::present::{figure, marked, number, table as block};

/// Statistics over windows with their bands.
pub(crate) fn report(watched: &Watched) -> Report {
    Report {
        title: format!("Monitor: {}", watched.data),
        subtitle: format!(
            "{} windows of {} rows against {} held-out rows of {}",
            watched.windows, watched.window, watched.reference_rows, watched.run
        ),
        simulated: false,
        notices: watched.notices.clone(),
        verdicts: watched.verdicts.clone(),
        sections: vec![over_windows(watched), log(watched)],
    }
}

fn over_windows(watched: &Watched) -> Section {
    let text = format!(
        "Each statistic is compared with itself in {} windows drawn from the run's held-out rows ({}), each compared with the rest of them. It alarms where its p value is at most {:.5}: the chance of {} that a window alarms although nothing changed, shared by {} statistics (Bonferroni). It drifts where it alarms in more windows than chance explains.",
        watched.draws,
        watched.drawn,
        watched.level,
        watched.alarm,
        watched.statistics.len()
    );
    let rows = watched.statistics.iter().map(|one| {
        let band = one.reference;
        vec![
            one.name.clone().into(),
            number(band.and_then(|band| band.low), 3),
            number(band.map(|band| band.median), 3),
            number(band.and_then(|band| band.high), 3),
            number(one.mean_from, 3),
            format!("{} of {}", one.alarms.len(), one.windows).into(),
            number(Some(one.p), 4),
            Cell::from(if one.drift { "yes" } else { "no" }),
        ]
    });
    let columns = [
        "statistic",
        "alarm below",
        "in the reference",
        "alarm above",
        "since the drift",
        "alarms",
        "p of so many",
        "drift",
    ];
    let mut blocks = vec![block("Statistics over all windows", &columns, rows.collect())];
    blocks.extend((0..watched.statistics.len()).map(|place| plot(watched, place)));
    Section {
        title: "Statistics over windows".into(),
        text: vec![text],
        blocks,
    }
}

/// A statistic over windows, and where it would alarm.
fn plot(watched: &Watched, place: usize) -> Block {
    let one: &OverWindows = &watched.statistics[place];
    let windows: Vec<f64> = watched.lines.iter().map(|line| line.window as f64).collect();
    let values: Vec<Option<f64>> = watched.lines.iter().map(|line| line.statistics[place].value).collect();
    let series = |name: &str, mark: Mark, y: Vec<Option<f64>>| Series {
        y,
        ..Series::new(name, mark, Values::Numbers(windows.clone()), Vec::new())
    };
    let mut all = vec![series("new rows", Mark::Line, values.clone())];
    let marked: Vec<Option<f64>> = values
        .iter()
        .enumerate()
        .map(|(index, value)| value.filter(|_| one.alarms.contains(&(index + 1))))
        .collect();
    if !one.alarms.is_empty() {
        all.push(series("alarm", Mark::Points, marked));
    }
    if let Some(band) = one.reference {
        let level = |value: f64| vec![Some(value); windows.len()];
        all.push(Series {
            low: Some(level(band.low.unwrap_or(band.median))),
            high: Some(level(band.high.unwrap_or(band.median))),
            ..series("the reference, up to the alarm", Mark::Line, level(band.median))
        });
    }
    let unit = match one.kind {
        Kind::Distance => "standard deviations",
        Kind::Prediction => "mean probability",
        Kind::Missing => "share",
        Kind::Auc | Kind::Probe => "AUC",
        Kind::Accuracy => "accuracy",
    };
    let id = format!("statistic_{}", place + 1);
    let title = one.name.replace('`', "");
    let reading = "The band is where windows of the reference lie, from their median to where an alarm begins.";
    figure(&id, &title, reading, ["window", unit, ""], all, Vec::new())
}

fn log(watched: &Watched) -> Section {
    let rows = watched.lines.iter().map(|line| {
        let time = match line.times[0].is_empty() {
            true => String::new(),
            false => format!("{} to {}", line.times[0], line.times[1]),
        };
        vec![
            number(Some(line.window as f64), 0),
            format!("{} to {}", line.rows[0], line.rows[1]).into(),
            time.into(),
            number(Some(line.labelled as f64), 0),
            line.says.clone().into(),
        ]
    });
    let columns = ["window", "rows", "time", "labels", "what moved"];
    Section {
        title: "Drift log".into(),
        text: vec!["The same stands in drift.jsonl, with every value, its bounds and its p value.".into()],
        blocks: vec![block("Windows in their order", &columns, rows.collect())],
    }
}

/// For the terminal: statistics, windows that alarmed, verdicts.
pub(crate) fn table(watched: &Watched) -> String {
    let mut text = format!(
        "{} windows of {} rows of {} against {} held-out rows of {}\n",
        watched.windows, watched.window, watched.data, watched.reference_rows, watched.run
    );
    text += &format!(
        "null: {} draws ({}); a window alarms with chance {} if nothing changed, a statistic with p at most {:.5}\n\n",
        watched.draws, watched.drawn, watched.alarm, watched.level
    );
    let shown = |value: Option<f64>| value.map_or_else(|| "–".into(), |value| format!("{value:.3}"));
    text += &format!(
        "{:<36} {:>10} {:>10} {:>10} {:>10}\n",
        "statistic", "below", "reference", "above", "alarms"
    );
    for one in &watched.statistics {
        let band = one.reference;
        text += &format!(
            "{:<36} {:>10} {:>10} {:>10} {:>10}\n",
            one.name,
            shown(band.and_then(|band| band.low)),
            shown(band.map(|band| band.median)),
            shown(band.and_then(|band| band.high)),
            format!("{}/{}", one.alarms.len(), one.windows)
        );
    }
    text += "\n";
    for line in watched.lines.iter().filter(|line| line.alarm) {
        text += &format!("window {}, rows {} to {}", line.window, line.rows[0], line.rows[1]);
        if !line.times[0].is_empty() {
            text += &format!(", {} to {}", line.times[0], line.times[1]);
        }
        text += &format!(": {}\n", line.says);
    }
    text + &marked(&watched.verdicts)
}
