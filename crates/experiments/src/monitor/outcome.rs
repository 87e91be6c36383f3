//! What was found: a line a window for the drift log, and a summary.

use disentangle_analysis::descriptive::quantile;
use disentangle_report::Verdict;
use serde::Serialize;

use super::{
    Question,
    detector::Fitted,
    statistics::{Kind, Side},
    verdicts,
};

/// Where a statistic lies in windows of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Band {
    /// Below it is an alarm; `None` where that side is of no interest.
    pub(super) low: Option<f64>,
    /// In the middle.
    pub(super) median: f64,
    /// Above it is an alarm.
    pub(super) high: Option<f64>,
}

impl Band {
    /// The quantiles of draws at a level. `None` for none.
    pub(super) fn new(side: Side, draws: &[f64], level: f64) -> Option<Self> {
        let mut sorted = draws.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| quantile(&sorted, share);
        let (below, above) = match side {
            Side::Above => (None, Some(level)),
            Side::Below => (Some(level), None),
            Side::Both => (Some(level / 2.0), Some(level / 2.0)),
        };
        Some(Self {
            low: below.and_then(at),
            median: at(0.5)?,
            high: above.and_then(|level| at(1.0 - level)),
        })
    }
}

/// One statistic of one window.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Tested {
    pub(super) kind: Kind,
    pub(super) group: Option<String>,
    /// The column that lies farthest, of a distance.
    pub(super) column: Option<String>,
    /// `None` without enough labels, or with one label only.
    pub(super) value: Option<f64>,
    /// The alarm lies below it.
    pub(super) low: Option<f64>,
    /// The alarm lies above it.
    pub(super) high: Option<f64>,
    pub(super) p: Option<f64>,
    pub(super) alarm: bool,
}

/// A line of `drift.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct WindowLine {
    /// From 1.
    pub(super) window: usize,
    /// The first and the last, numbered as `predict` does.
    pub(super) rows: [u64; 2],
    /// Of these; empty where rows have none.
    pub(super) times: [String; 2],
    /// Rows with a label.
    pub(super) labelled: usize,
    pub(super) alarm: bool,
    /// What moved, in a sentence.
    pub(super) says: String,
    pub(super) statistics: Vec<Tested>,
}

impl WindowLine {
    pub(super) fn new(
        window: usize,
        rows: [u64; 2],
        times: [String; 2],
        labelled: usize,
        statistics: Vec<Tested>,
    ) -> Self {
        let moved: Vec<String> = statistics.iter().filter(|one| one.alarm).map(Tested::says).collect();
        Self {
            window,
            rows,
            times,
            labelled,
            alarm: !moved.is_empty(),
            says: match moved.is_empty() {
                true => "nothing moved".into(),
                false => moved.join("; "),
            },
            statistics,
        }
    }
}

impl Tested {
    /// What it is called.
    pub(super) fn name(&self) -> String {
        name(self.kind, self.group.as_deref())
    }

    fn says(&self) -> String {
        let value = self.value.unwrap_or_default();
        let bound = match (self.low, self.high) {
            (Some(low), Some(high)) => format!("{low:.3} to {high:.3} expected"),
            (Some(low), None) => format!("at least {low:.3} expected"),
            (None, Some(high)) => format!("at most {high:.3} expected"),
            (None, None) => "nothing expected".into(),
        };
        let group = self.group.as_deref().unwrap_or_default();
        match self.kind {
            Kind::Distance => format!(
                "group `{group}` moved: `{}` lies {value:.3} standard deviations from the reference ({bound})",
                self.column.as_deref().unwrap_or(group)
            ),
            Kind::Probe => format!("group `{group}` predicts the label with AUC {value:.3} ({bound})"),
            _ => format!("{} is {value:.3} ({bound})", self.name()),
        }
    }
}

/// What a statistic is called.
pub(super) fn name(kind: Kind, group: Option<&str>) -> String {
    let group = group.unwrap_or_default();
    match kind {
        Kind::Distance => format!("distance of `{group}`"),
        Kind::Prediction => "the mean prediction".into(),
        Kind::Missing => "the share of missing values".into(),
        Kind::Auc => "the model's AUC".into(),
        Kind::Accuracy => "the model's accuracy".into(),
        Kind::Probe => format!("AUC of `{group}` alone"),
    }
}

/// How much there was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Rows of a window.
    pub(super) window: usize,
    /// Rows after the last whole window.
    pub(super) left_over: usize,
    /// Draws of the null.
    pub(super) draws: usize,
}

/// One statistic over all windows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct OverWindows {
    pub(super) kind: Kind,
    pub(super) group: Option<String>,
    pub(super) name: String,
    /// In windows of the reference.
    pub(super) reference: Option<Band>,
    /// Windows in which it is defined.
    pub(super) windows: usize,
    /// Which of them alarmed, from 1.
    pub(super) alarms: Vec<usize>,
    /// The chance of so many alarms or more if nothing changed and windows are independent.
    pub(super) p: f64,
    /// Whether they are more than chance explains.
    pub(super) drift: bool,
    /// The window with which it begins, where it drifts.
    pub(super) from: Option<usize>,
    /// Its mean over windows from there on.
    pub(super) mean_from: Option<f64>,
}

/// `monitor.json`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Watched {
    pub(super) schema_version: u32,
    pub(super) kind: String,
    pub(super) run: String,
    pub(super) data: String,
    /// Rows of a window.
    pub(super) window: usize,
    pub(super) windows: usize,
    /// Rows after the last whole window, which are in none.
    pub(super) rows_left_over: usize,
    pub(super) reference_rows: usize,
    /// How windows of the reference are drawn.
    pub(super) drawn: String,
    pub(super) draws: usize,
    /// The chance that a window alarms although nothing changed.
    pub(super) alarm: f64,
    /// That of each statistic: a p value at or below it is an alarm.
    pub(super) level: f64,
    /// Windows that alarmed, from 1.
    pub(super) alarmed: Vec<usize>,
    pub(super) statistics: Vec<OverWindows>,
    pub(super) verdicts: Vec<Verdict>,
    pub(super) notices: Vec<String>,
    /// The drift log, a line each.
    #[serde(skip)]
    pub(super) lines: Vec<WindowLine>,
}

impl Watched {
    pub(super) fn new(
        question: &Question,
        detector: &Fitted,
        sizes: Sizes,
        bands: &[Option<Band>],
        lines: Vec<WindowLine>,
        mut notices: Vec<String>,
    ) -> Self {
        if sizes.left_over > 0 {
            notices.push(format!(
                "the last {} rows fill no window and are left out",
                sizes.left_over
            ));
        }
        let level = question.alarm / bands.len().max(1) as f64;
        let statistics: Vec<OverWindows> = detector
            .statistics
            .iter()
            .zip(bands)
            .enumerate()
            .map(|(place, (statistic, band))| {
                let group = statistic.group.map(|group| detector.groups[group].name.clone());
                let of_windows: Vec<&Tested> = lines.iter().map(|line| &line.statistics[place]).collect();
                OverWindows::new(statistic.kind, group, *band, &of_windows, level)
            })
            .collect();
        let alarmed: Vec<usize> = lines.iter().filter(|line| line.alarm).map(|line| line.window).collect();
        Self {
            schema_version: 1,
            kind: "monitor".into(),
            run: question.run.display().to_string(),
            data: question.data.display().to_string(),
            window: sizes.window,
            windows: lines.len(),
            rows_left_over: sizes.left_over,
            reference_rows: detector.reference.logits.len(),
            drawn: detector.drawing.about(),
            draws: sizes.draws,
            alarm: question.alarm,
            level,
            verdicts: verdicts::verdicts(&statistics, &lines, &alarmed, question.alarm),
            alarmed,
            statistics,
            notices,
            lines,
        }
    }

    /// The drift log: one JSON document a line.
    pub(crate) fn log(&self) -> Result<String, serde_json::Error> {
        let mut text = String::new();
        for line in &self.lines {
            text += &serde_json::to_string(line)?;
            text.push('\n');
        }
        Ok(text)
    }
}

impl OverWindows {
    fn new(kind: Kind, group: Option<String>, band: Option<Band>, tested: &[&Tested], level: f64) -> Self {
        let defined = tested.iter().filter(|one| one.p.is_some()).count();
        let alarms: Vec<usize> = (1..=tested.len()).filter(|&window| tested[window - 1].alarm).collect();
        let p = at_least(alarms.len(), defined, level);
        // The chance of one alarm in one window is the level itself, up to rounding.
        let drift = !alarms.is_empty() && p <= level * (1.0 + 1e-9);
        let from = drift.then(|| change(tested, level)).flatten();
        let later: Vec<f64> = tested[from.unwrap_or(1) - 1..]
            .iter()
            .filter_map(|one| one.value)
            .collect();
        Self {
            name: name(kind, group.as_deref()),
            kind,
            group,
            reference: band,
            windows: defined,
            alarms,
            p,
            drift,
            from,
            mean_from: disentangle_analysis::descriptive::mean(&later).filter(|_| from.is_some()),
        }
    }
}

/// The window, from 1, with which alarms become more frequent: that of the greatest likelihood, where windows before it alarm with this
/// chance and those from it on with their own share.
fn change(tested: &[&Tested], chance: f64) -> Option<usize> {
    let count = |part: &[&Tested]| {
        let defined = part.iter().filter(|one| one.p.is_some());
        let alarms = part.iter().filter(|one| one.alarm).count() as f64;
        (alarms, defined.count() as f64 - alarms)
    };
    let log = |times: f64, share: f64| if times > 0.0 { times * share.ln() } else { 0.0 };
    let likelihood = |&first: &usize| {
        let (early, still) = count(&tested[..first - 1]);
        let (late, quiet) = count(&tested[first - 1..]);
        let share = late / (late + quiet);
        log(early, chance) + log(still, 1.0 - chance) + log(late, share) + log(quiet, 1.0 - share)
    };
    let alarms = (1..=tested.len()).filter(|&window| tested[window - 1].alarm);
    alarms.max_by(|a, b| likelihood(a).total_cmp(&likelihood(b)))
}

/// P(at least `count` of `trials` independent events of this chance).
pub(super) fn at_least(count: usize, trials: usize, chance: f64) -> f64 {
    let mut term = (1.0 - chance).powi(trials as i32);
    let mut below = 0.0;
    for events in 0..count.min(trials + 1) {
        below += term;
        term *= (trials - events) as f64 / (events + 1) as f64 * chance / (1.0 - chance);
    }
    (1.0 - below).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of a window is its number.
    fn over(alarms: &[bool], level: f64) -> OverWindows {
        let tested: Vec<Tested> = alarms
            .iter()
            .enumerate()
            .map(|(place, &alarm)| Tested {
                kind: Kind::Accuracy,
                group: None,
                column: None,
                value: Some((place + 1) as f64),
                low: None,
                high: None,
                p: Some(if alarm { 0.0 } else { 1.0 }),
                alarm,
            })
            .collect();
        OverWindows::new(Kind::Accuracy, None, None, &tested.iter().collect::<Vec<_>>(), level)
    }

    #[test]
    fn a_drift_begins_where_alarms_become_frequent() {
        // One false alarm early: ln .01 + 4 ln .99 from window 6 on, ln .99 + 6 ln(2/3) + 3 ln(1/3) from window 2 on.
        let mut alarms = [false; 10];
        alarms[1] = true;
        alarms[5..].fill(true);
        let found = over(&alarms, 0.01);
        assert_eq!(found.alarms, [2, 6, 7, 8, 9, 10]);
        assert!(
            found.drift && found.from == Some(6) && found.mean_from == Some(8.0),
            "{found:?}"
        );
    }

    #[test]
    fn one_alarm_among_many_windows_is_no_drift_and_one_of_one_is() {
        let mut alarms = [false; 10];
        alarms[3] = true;
        // 1 - .99^10 = .096.
        let found = over(&alarms, 0.01);
        assert!(!found.drift && (found.p - 0.095_617_924_991).abs() < 1e-9, "{found:?}");
        assert_eq!((found.from, found.mean_from), (None, None));
        for level in [0.05, 0.025, 0.05 / 3.0, 0.01] {
            assert!(over(&[true], level).drift, "level {level}");
        }
    }
}
