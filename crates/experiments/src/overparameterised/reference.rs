//! Published figures beside ours, by rules that were set before ours were measured.
//!
//! Those of a cell are ranges; a single figure is a range of no width. Ours passes where its interval reaches the range, or where it lies
//! within the tolerance of it. They hold for one setting only, and runs with another leave them out.

use serde::{Deserialize, Serialize};

use super::{CellOutcome, Method, OverparameterisedSettings};

/// How far ours may lie from the published range.
pub(super) const TOLERANCE: f64 = 0.03;
/// The setting of the published figures: training rows and majority share.
pub(super) const SETTING: (usize, f64) = (3000, 0.9);

/// What undersampling is asked to reach, and from how many noise dimensions on.
const GOAL: f64 = 0.20;
const GOAL_NOISE: usize = 1000;
const GOAL_SEEDS: usize = 10;

/// Worst-group errors.
const PUBLISHED: [(Method, usize, [f64; 2]); 12] = [
    (Method::Erm, 1, [0.54, 0.58]),
    (Method::Erm, 100, [0.54, 0.58]),
    (Method::Erm, 1000, [0.54, 0.58]),
    (Method::Erm, 6000, [0.54, 0.58]),
    (Method::Reweighted, 1, [0.18, 0.18]),
    (Method::Reweighted, 100, [0.22, 0.22]),
    (Method::Reweighted, 1000, [0.51, 0.59]),
    (Method::Reweighted, 6000, [0.59, 0.59]),
    (Method::Undersampled, 1, [0.18, 0.18]),
    (Method::Undersampled, 100, [0.23, 0.23]),
    (Method::Undersampled, 1000, [0.20, 0.20]),
    (Method::Undersampled, 6000, [0.18, 0.18]),
];

/// One published figure and ours.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Check {
    /// What is compared.
    pub what: String,
    /// The published figure.
    pub published: String,
    /// Ours.
    pub ours: String,
    /// How far ours may lie from it, if its interval does not reach it.
    pub tolerance: f64,
    /// Whether it does; `None` where this run's settings leave it out.
    pub passed: Option<bool>,
}

/// Every published figure.
pub(super) fn checks(config: &OverparameterisedSettings, cells: &[CellOutcome]) -> Vec<Check> {
    let same = config.n == SETTING.0 && (config.majority - SETTING.1).abs() < 1e-9;
    let check = |(method, noise, range): (Method, usize, [f64; 2])| {
        let own = cells.iter().find(|cell| cell.method == method && cell.noise == noise);
        let [low, high] = range;
        Check {
            what: format!("{}, N = {noise}", method.name()),
            published: match low == high {
                true => format!("{low:.2}"),
                false => format!("{low:.2} to {high:.2}"),
            },
            ours: own.map_or_else(|| "–".into(), |cell| cell.worst_group.show(3)),
            tolerance: TOLERANCE,
            passed: own.filter(|_| same).and_then(|cell| meets(cell, range)),
        }
    };
    PUBLISHED.into_iter().map(check).collect()
}

/// Whether the interval reaches the range, or the value lies within the tolerance of it.
fn meets(cell: &CellOutcome, [least, most]: [f64; 2]) -> Option<bool> {
    let own = &cell.worst_group;
    let value = own.value?;
    let reaches = own
        .low
        .zip(own.high)
        .is_some_and(|(low, high)| low <= most && high >= least);
    // A hair more, for figures that are exactly that far apart.
    let near = (least - value).max(value - most) <= TOLERANCE + 1e-9;
    Some(reaches || near)
}

/// Undersampling is not hurt by many noise dimensions.
pub(super) fn goal(config: &OverparameterisedSettings, cells: &[CellOutcome]) -> Check {
    let own: Vec<&CellOutcome> = cells
        .iter()
        .filter(|cell| cell.method == Method::Undersampled && cell.noise >= GOAL_NOISE)
        .collect();
    let same = config.n == SETTING.0 && (config.majority - SETTING.1).abs() < 1e-9;
    let asked = same && config.data_seeds >= GOAL_SEEDS && !own.is_empty();
    let shown: Vec<String> = own
        .iter()
        .map(|cell| format!("{} at N = {}", cell.worst_group.show(3), cell.noise))
        .collect();
    Check {
        what: format!(
            "undersampled, N from {GOAL_NOISE}: the interval over {GOAL_SEEDS} data seeds or more includes or lies below"
        ),
        published: format!("{GOAL:.2}"),
        ours: match shown.is_empty() {
            true => "–".into(),
            false => shown.join("; "),
        },
        tolerance: 0.0,
        passed: asked.then(|| {
            own.iter()
                .all(|cell| cell.worst_group.low.is_some_and(|low| low <= GOAL))
        }),
    }
}

#[cfg(test)]
mod tests {
    use disentangle_analysis::Estimate;

    use super::*;

    fn cell(method: Method, noise: usize, [low, value, high]: [f64; 3]) -> CellOutcome {
        let worst_group = Estimate {
            low: Some(low),
            high: Some(high),
            ..Estimate::point(value, 10)
        };
        CellOutcome {
            noise,
            method,
            worst_group,
            deviation: None,
            majority: Estimate::default(),
            minority: Estimate::default(),
            shortcut_over_core: Estimate::default(),
            norm: Estimate::default(),
            each: Vec::new(),
            steps: 0,
            gradient: 0.0,
        }
    }

    fn passed(method: Method, noise: usize, interval: [f64; 3]) -> Option<bool> {
        let config = OverparameterisedSettings::default();
        let name = format!("{}, N = {noise}", method.name());
        let found = checks(&config, &[cell(method, noise, interval)]);
        assert_eq!(found.iter().filter(|check| check.passed.is_some()).count(), 1);
        found.into_iter().find(|check| check.what == name).unwrap().passed
    }

    #[test]
    fn figures_pass_by_their_interval_or_by_the_tolerance() {
        // The interval includes the figure, far as the value is from it.
        assert_eq!(passed(Method::Reweighted, 100, [0.1, 0.3, 0.5]), Some(true));
        // It overlaps the range.
        assert_eq!(passed(Method::Erm, 1, [0.48, 0.50, 0.541]), Some(true));
        // It does not, but the value is near; at the very tolerance still.
        assert_eq!(passed(Method::Reweighted, 1, [0.160, 0.163, 0.165]), Some(true));
        assert_eq!(passed(Method::Reweighted, 1, [0.149, 0.150, 0.151]), Some(true));
        // Neither.
        assert_eq!(passed(Method::Reweighted, 6000, [0.50, 0.51, 0.52]), Some(false));
        assert_eq!(passed(Method::Erm, 6000, [0.615, 0.62, 0.625]), Some(false));
    }

    #[test]
    fn other_settings_leave_figures_out() {
        let cells = [cell(Method::Undersampled, 1000, [0.19, 0.2, 0.21])];
        for change in [
            |config: &mut OverparameterisedSettings| config.n = 300,
            |config: &mut OverparameterisedSettings| config.majority = 0.8,
        ] {
            let mut config = OverparameterisedSettings::default();
            change(&mut config);
            assert!(checks(&config, &cells).iter().all(|check| check.passed.is_none()));
            assert_eq!(goal(&config, &cells).passed, None);
        }
    }

    #[test]
    fn the_goal_asks_every_large_number_of_dimensions_and_ten_seeds() {
        let good = cell(Method::Undersampled, 1000, [0.196, 0.202, 0.207]);
        let bad = cell(Method::Undersampled, 6000, [0.201, 0.21, 0.22]);
        let narrow = cell(Method::Undersampled, 100, [0.21, 0.22, 0.23]);
        let config = OverparameterisedSettings::default();
        assert_eq!(goal(&config, &[good.clone(), narrow.clone()]).passed, Some(true));
        assert_eq!(goal(&config, &[good.clone(), bad]).passed, Some(false));
        assert_eq!(goal(&config, &[narrow]).passed, None);
        let few = OverparameterisedSettings {
            data_seeds: 3,
            ..config
        };
        assert_eq!(goal(&few, &[good]).passed, None);
    }
}
