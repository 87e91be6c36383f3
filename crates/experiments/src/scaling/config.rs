//! Keys of `experiment scaling`.

use disentangle_data::Dataset;
use disentangle_models::{Family, LargeConfig, ModelConfig, train::TrainConfig};
use serde::{Deserialize, Serialize};

use crate::{ExperimentError, rows::RowSettings};

/// The configuration; every key can be set by `--set key=value`. Unknown keys are refused where settings are resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScalingSettings {
    /// The rows: `dataset`, `samples`, ...
    #[serde(flatten)]
    pub data: RowSettings,
    /// Training: `epochs`, `batch`, ...
    #[serde(flatten)]
    pub training: TrainConfig,
    /// The notebook's sizes instead of the next seven keys.
    #[serde(flatten)]
    pub sizes: Sizes,
    /// Take the notebook's sizes: width up to 1024, depth up to 16.
    pub full: bool,
    /// Trainings of each size, each with rows and initial weights of its own.
    pub repeats: usize,
    /// Sites that are measured: `embed`, `pool`, and parts of every layer such as `attn.out`, `ff.hidden` and `resid`.
    pub sites: Vec<String>,
    /// Test rows on which sites, attention and gradients are measured, at most.
    pub rows: usize,
    /// Test rows on which pairs of columns are replaced, at most.
    pub few_rows: usize,
    /// Pairs of columns, drawn at random.
    pub pairs: usize,
    /// MB that the activations of one layer may take; beyond it moments are streamed.
    pub memory: usize,
}

/// Which sizes are trained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sizes {
    /// Widths of the residual stream, at one depth.
    pub widths: Vec<usize>,
    /// That depth.
    pub at_depth: usize,
    /// Numbers of layers, at one width.
    pub depths: Vec<usize>,
    /// That width.
    pub at_width: usize,
    /// Widths of the grid (part 45).
    pub grid_widths: Vec<usize>,
    /// Depths of the grid.
    pub grid_depths: Vec<usize>,
    /// Attention heads; divides every width.
    pub heads: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            widths: vec![32, 64, 128, 256],
            at_depth: 2,
            depths: vec![1, 2, 4, 8],
            at_width: 64,
            grid_widths: vec![32, 64, 128],
            grid_depths: vec![1, 2, 4],
            heads: 4,
        }
    }
}

impl Default for ScalingSettings {
    fn default() -> Self {
        Self {
            data: RowSettings::default(),
            training: TrainConfig {
                epochs: 6,
                patience: 3,
                ..TrainConfig::default()
            },
            sizes: Sizes::default(),
            full: false,
            repeats: 4,
            sites: ["embed", "attn.out", "ff.hidden", "resid", "pool"]
                .map(Into::into)
                .into(),
            rows: 300,
            few_rows: 64,
            pairs: 8,
            memory: 1000,
        }
    }
}

/// Sites that have a matrix of neurons, by their names in a layer.
const PARTS: [&str; 10] = [
    "embed",
    "attn.q",
    "attn.k",
    "attn.v",
    "attn.z",
    "attn.out",
    "ff.hidden",
    "ff.out",
    "resid",
    "pool",
];
/// As many as a model may have.
const MOST_PARAMETERS: u128 = 2_000_000_000;

impl Sizes {
    /// The notebook's (parts 45 and 46); where it varies one of width and depth, the other is that of its
    /// `LargeTransformer`.
    pub(super) fn notebook() -> Self {
        let large = LargeConfig::new(1, 1);
        Self {
            widths: vec![256, 512, 768, 1024],
            at_depth: large.layers,
            depths: vec![2, 4, 8, 12, 16],
            at_width: large.hidden,
            grid_widths: vec![256, 512, 1024],
            grid_depths: vec![4, 8, 12],
            heads: large.heads,
        }
    }

    /// Every (width, depth) once, in ascending order.
    pub(super) fn all(&self) -> Vec<(usize, usize)> {
        let over_width = self.widths.iter().map(|&width| (width, self.at_depth));
        let over_depth = self.depths.iter().map(|&depth| (self.at_width, depth));
        let grid = self
            .grid_widths
            .iter()
            .flat_map(|&width| self.grid_depths.iter().map(move |&depth| (width, depth)));
        let mut all: Vec<(usize, usize)> = over_width.chain(over_depth).chain(grid).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    fn check(&self) -> Result<(), ExperimentError> {
        for (key, list) in [
            ("widths", &self.widths),
            ("depths", &self.depths),
            ("grid_widths", &self.grid_widths),
            ("grid_depths", &self.grid_depths),
        ] {
            let rises = list.windows(2).all(|two| two[0] < two[1]);
            if list.len() < 2 || !rises {
                let reason =
                    format!("`{key} = {list:?}` cannot be used: expected two or more numbers in ascending order");
                return Err(ExperimentError::Input(reason));
            }
        }
        for (key, value) in [
            ("heads", self.heads),
            ("at_depth", self.at_depth),
            ("at_width", self.at_width),
        ] {
            if value == 0 {
                let reason = format!("`{key} = 0` cannot be used: expected at least 1");
                return Err(ExperimentError::Input(reason));
            }
        }
        for (width, depth) in self.all() {
            if width == 0 || depth == 0 || !width.is_multiple_of(self.heads) {
                let reason = format!(
                    "`heads = {}` cannot be used with width {width} and depth {depth}: expected sizes of at least 1 and heads that divide every width",
                    self.heads
                );
                return Err(ExperimentError::Input(reason));
            }
            // Four matrices of attention, and two that are four times as wide.
            let parameters = 12 * (width as u128).saturating_pow(2).saturating_mul(depth as u128);
            if parameters > MOST_PARAMETERS {
                let reason = format!(
                    "width {width} and depth {depth} cannot be used: they have {parameters} parameters, expected at most {MOST_PARAMETERS}"
                );
                return Err(ExperimentError::Input(reason));
            }
        }
        Ok(())
    }
}

impl ScalingSettings {
    pub(super) fn check(&self) -> Result<(), ExperimentError> {
        for (key, value, least, most) in [
            ("repeats", self.repeats, 2, 1000),
            ("rows", self.rows, 2, 100_000),
            ("few_rows", self.few_rows, 2, 100_000),
            ("pairs", self.pairs, 1, 10_000),
            ("memory", self.memory, 1, 1_000_000),
        ] {
            if !(least..=most).contains(&value) {
                let reason = format!("`{key} = {value}` cannot be used: expected {least} to {most}");
                return Err(ExperimentError::Input(reason));
            }
        }
        let unknown = self.sites.iter().find(|site| !PARTS.contains(&site.as_str()));
        if let Some(site) = unknown {
            let reason = format!("`sites`: unknown site `{site}`; expected some of: {}", PARTS.join(", "));
            return Err(ExperimentError::Input(reason));
        }
        if self.sites.is_empty() {
            let reason = format!("`sites` is empty: expected some of: {}", PARTS.join(", "));
            return Err(ExperimentError::Input(reason));
        }
        self.sizes().check()?;
        Ok(self.training.check()?)
    }

    /// The sizes that are asked for.
    pub(super) fn sizes(&self) -> Sizes {
        match self.full {
            true => Sizes::notebook(),
            false => self.sizes.clone(),
        }
    }

    /// The model of one size for rows in its shape.
    pub(super) fn model(
        &self,
        (width, depth): (usize, usize),
        dataset: &Dataset,
    ) -> Result<ModelConfig, ExperimentError> {
        let start = Family::Large.config(dataset.features.len(), dataset.lookback, &dataset.groups);
        Ok(start.with_settings(&[
            ("hidden", width.into()),
            ("layers", depth.into()),
            ("heads", self.sizes().heads.into()),
        ])?)
    }

    /// For the reader.
    pub(super) fn notice(&self) -> String {
        if self.full {
            return "full = true: the notebook's sizes".into();
        }
        let Sizes {
            widths,
            at_depth,
            depths,
            at_width,
            grid_widths,
            grid_depths,
            heads,
        } = Sizes::notebook();
        format!(
            "sizes are scaled down; left out are the notebook's: width {widths:?} at depth {at_depth}, depth {depths:?} at width {at_width}, the grid of \
             width {grid_widths:?} by depth {grid_depths:?}, all with {heads} heads, which --set full=true takes (hours)"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let check = |change: fn(&mut ScalingSettings), expected: &str| {
            let mut config = ScalingSettings::default();
            config.check().unwrap();
            change(&mut config);
            let found = config.check().unwrap_err().to_string();
            assert!(found.starts_with(expected), "{found}");
        };
        check(|config| config.repeats = 1, "`repeats = 1` cannot be used: expected 2");
        check(
            |config| config.sizes.widths = vec![64, 64],
            "`widths = [64, 64]` cannot be used: expected two or more",
        );
        check(|config| config.sizes.grid_depths.clear(), "`grid_depths = []`");
        check(
            |config| config.sizes.heads = 3,
            "`heads = 3` cannot be used with width 32 and depth 1",
        );
        check(
            |config| config.sizes.depths = vec![0, 1],
            "`heads = 4` cannot be used with width 64 and depth 0: expected sizes of at least 1",
        );
        check(|config| config.sizes.at_width = 0, "`at_width = 0`");
        check(
            |config| config.sizes.widths = vec![4, 1_000_000],
            "width 1000000 and depth 2 cannot be used",
        );
        check(
            |config| config.sites = vec!["attn.pattern".into()],
            "`sites`: unknown site `attn.pattern`; expected some of: embed, ",
        );
        check(|config| config.sites.clear(), "`sites` is empty");
    }

    #[test]
    fn sizes_are_the_cross_and_the_grid() {
        let all = Sizes::default().all();
        // 4 + 4 - 1 of the cross; of 9 in the grid 5 are on the cross.
        assert_eq!(all.len(), 11);
        assert!(all.contains(&(256, 2)) && all.contains(&(64, 8)) && all.contains(&(128, 4)));
        assert!(!all.contains(&(256, 1)));
        let config = ScalingSettings {
            full: true,
            ..ScalingSettings::default()
        };
        config.check().unwrap();
        let all = config.sizes().all();
        // 4 + 5 - 1; of the grid the three widths at depth 12 are on the cross.
        assert_eq!(all.len(), 14);
        assert!(all.contains(&(1024, 12)) && all.contains(&(768, 16)) && !all.contains(&(1024, 16)));
    }
}
