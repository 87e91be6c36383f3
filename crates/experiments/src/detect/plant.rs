//! Where rows come from: generators whose shortcuts are known, or rows of one's own.

use std::sync::atomic::Ordering;

use disentangle_data::{
    Seed, Split,
    market::{MarketConfig, simulate},
};

use super::config::{DetectSettings, PLANTED};
use crate::{
    ExperimentError,
    context::CANCEL,
    finance::Loaded,
    rows::{LoadedRows, RowSettings},
};

/// One source of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plant {
    /// Generated rows with a bias group, weaker in one of two environments.
    Biased,
    /// The same with one genuine group that decides the label, so that the shortcut is the weaker of the two.
    StrongCause,
    /// Generated rows without a shortcut.
    Multifeature,
    /// The simulated market, whose calendar shortcut ends while detectors look.
    Market,
    /// The same market with a shortcut that holds in every year that detectors see.
    MarketThroughout,
    /// The simulated ward, whose administrative shortcut differs between hospitals.
    Ward,
    /// Rows of one's own: drawn once.
    Own,
}

/// The generators of `dataset = planted`.
const ALL: [Plant; 6] = [
    Plant::Biased,
    Plant::StrongCause,
    Plant::Multifeature,
    Plant::Market,
    Plant::MarketThroughout,
    Plant::Ward,
];

/// The sources that a configuration asks for.
pub(super) fn plants(config: &DetectSettings) -> Vec<Plant> {
    match config.data.dataset.as_str() {
        PLANTED => ALL.to_vec(),
        "biased" => vec![Plant::Biased, Plant::StrongCause],
        "multifeature" => vec![Plant::Multifeature],
        "market" => vec![Plant::Market, Plant::MarketThroughout],
        "ward" => vec![Plant::Ward],
        _ => vec![Plant::Own],
    }
}

impl Plant {
    /// As in reports.
    pub(super) fn name(self, config: &DetectSettings) -> String {
        match self {
            Plant::Biased => "biased".into(),
            Plant::StrongCause => "biased, one strong cause".into(),
            Plant::Multifeature => "multifeature".into(),
            Plant::Market => "market, shortcut ends".into(),
            Plant::MarketThroughout => "market, shortcut stays".into(),
            Plant::Ward => "ward".into(),
            Plant::Own => config.data.dataset.clone(),
        }
    }

    /// What is planted.
    pub(super) fn about(self, config: &DetectSettings) -> String {
        match self {
            Plant::Biased => {
                "the bias group agrees with the label at one rate in the first environment and at a lower one in the second; genuine groups cause it".into()
            }
            Plant::StrongCause => {
                "the same shortcut beside one genuine group that decides the label, so that the cause tells the label better".into()
            }
            Plant::Multifeature => "no shortcut: every group causes the label, so that any accusation is false".into(),
            Plant::Market => format!(
                "the calendar moves returns until {}, before the test days; momentum and volume do not change",
                config.market_shortcut_end
            ),
            Plant::MarketThroughout => {
                "the calendar moves returns in all years that detectors see, and fails afterwards only: no rows tell it from a cause".into()
            }
            Plant::Ward => {
                "administrative columns follow a bit that agrees with the outcome at another rate in each hospital; physiology causes it".into()
            }
            Plant::Own => "rows of your own; roles are those that you named".into(),
        }
    }

    /// Whether each repeat has rows of its own.
    pub(super) fn generated(self) -> bool {
        self != Plant::Own
    }

    /// Whether what detectors see of the shortcut differs between environments.
    pub(super) fn identifiable(self) -> bool {
        self != Plant::MarketThroughout
    }

    /// Rows of one repeat.
    pub(super) fn draw(self, config: &DetectSettings, seed: Seed) -> Result<LoadedRows, ExperimentError> {
        if CANCEL.load(Ordering::Relaxed) {
            return Err(ExperimentError::Interrupted);
        }
        let named = |name: &str| RowSettings {
            dataset: name.into(),
            ..config.data.clone()
        };
        match self {
            Plant::Biased => named("biased").load_all(&[], seed),
            Plant::StrongCause => {
                let mut rows = named("biased");
                rows.synthetic.features = 1;
                rows.load_all(&[], seed)
            }
            Plant::Multifeature => named("multifeature").load_all(&[], seed),
            Plant::Ward => named("ward").load_all(&[], seed),
            Plant::Market => market(&named("market"), config, true, seed),
            Plant::MarketThroughout => market(&named("market"), config, false, seed),
            Plant::Own => config.data.load_all(&[], seed),
        }
    }
}

fn market(rows: &RowSettings, config: &DetectSettings, ends: bool, seed: Seed) -> Result<LoadedRows, ExperimentError> {
    let mut asked = MarketConfig {
        seed: seed.child("market").key(),
        shortcut_end: ends.then_some(config.market_shortcut_end),
        ..MarketConfig::default()
    };
    asked.start = rows.prices.start.unwrap_or(asked.start);
    asked.end = rows.prices.end.unwrap_or(asked.end);
    rows.of_prices(
        Loaded {
            name: "simulated market".into(),
            simulated: true,
            symbols: vec![simulate(&asked)],
            notices: Vec::new(),
            hash: String::new(),
        },
        seed,
    )
}

/// Rows that a detector may see, in the order of time: training and validation, a random one of each subject where subjects are not series.
pub(super) fn visible(rows: &LoadedRows, seed: Seed) -> Vec<usize> {
    let dataset = &rows.dataset;
    let mut seen: Vec<usize> = [Split::Train, Split::Validation]
        .into_iter()
        .filter(|split| *split == Split::Train || !dataset.shared_validation)
        .flat_map(|split| dataset.part(split))
        .collect();
    if rows.block == 1 && dataset.subjects.len() > 1 {
        let mut taken = std::collections::BTreeSet::new();
        let order = seed.child("one a subject").rng().permutation(seen.len());
        let kept = order.into_iter().map(|place| seen[place]);
        seen = kept.filter(|&row| taken.insert(dataset.windows[row].subject)).collect();
    }
    seen.sort_unstable();
    seen
}
