//! Conclusions over all windows: a statistic drifts where it alarmed in more windows than chance explains.

use disentangle_report::{Tone, Verdict};

use super::{
    outcome::{OverWindows, WindowLine},
    statistics::Kind,
};

/// What the windows show, drifts first.
pub(super) fn verdicts(
    statistics: &[OverWindows],
    lines: &[WindowLine],
    alarmed: &[usize],
    alarm: f64,
) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = statistics
        .iter()
        .filter(|one| one.drift)
        .map(|one| Verdict {
            text: sentence(one, statistics, lines),
            tone: Tone::Bad,
        })
        .collect();
    let (count, of) = (alarmed.len(), lines.len());
    let by_chance = alarm * of as f64;
    verdicts.push(match (verdicts.is_empty(), count) {
        (true, 0) => Verdict {
            text: format!("no drift: none of {of} windows alarmed"),
            tone: Tone::Good,
        },
        (true, _) => Verdict {
            text: format!(
                "no drift: {count} of {of} windows alarmed, which chance explains (about {by_chance:.1} do if nothing changes)"
            ),
            tone: Tone::Good,
        },
        (false, _) => Verdict {
            text: format!("{count} of {of} windows alarmed; about {by_chance:.1} do if nothing changes"),
            tone: Tone::Neutral,
        },
    });
    verdicts
}

fn sentence(one: &OverWindows, statistics: &[OverWindows], lines: &[WindowLine]) -> String {
    let place = place(one, lines);
    let group = one.group.as_deref().unwrap_or_default();
    let mean = match (one.mean_from, one.reference) {
        (Some(mean), Some(band)) => format!("{mean:.3} on average, {:.3} in the reference", band.median),
        _ => "now and then".into(),
    };
    match one.kind {
        Kind::Distance => format!("covariate drift in group `{group}` {place}: its largest distance is {mean}"),
        Kind::Prediction => format!("the model's mean prediction moved {place}: {mean}"),
        Kind::Missing => format!("the share of missing values moved {place}: {mean}"),
        Kind::Auc => format!("the model's AUC fell {place}: {mean}"),
        Kind::Accuracy => format!("the model's accuracy fell {place}: {mean}"),
        Kind::Probe => {
            let holding = statistics
                .iter()
                .filter(|other| other.kind == Kind::Probe && !other.drift)
                .filter_map(|other| Some(format!("`{}`", other.group.as_deref()?)));
            let holding: Vec<String> = holding.collect();
            let others = match holding.is_empty() {
                true => String::new(),
                false => format!(", while {} still does", holding.join(", ")),
            };
            format!(
                "group `{group}` no longer predicts the label as it did {place}{others}: the AUC of its probe is {mean}; that is what a shortcut that ends looks like"
            )
        }
    }
}

/// Where a statistic drifts.
fn place(one: &OverWindows, lines: &[WindowLine]) -> String {
    let first = one.from.unwrap_or(1);
    let line = &lines[first - 1];
    let time = match line.times[0].as_str() {
        "" => String::new(),
        time => format!(", {time}"),
    };
    format!("from window {first} on (row {}{time})", line.rows[0])
}
