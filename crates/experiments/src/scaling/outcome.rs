//! Everything that `experiment scaling` measures: `metrics.json`.

use disentangle_analysis::{Estimate, trend::SizeTrend};
use serde::{Deserialize, Serialize};

use super::{config::Sizes, measures::place};

/// The outcome of one seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Of this layout.
    pub schema_version: u32,
    /// `run`.
    pub kind: String,
    /// `scaling`.
    pub experiment: String,
    /// The seed.
    pub seed: u64,
    /// For example `biased`.
    pub dataset: String,
    /// Whether a generator made it.
    pub simulated: bool,
    /// For the reader.
    pub notices: Vec<String>,
    /// Rows that each training saw.
    pub train_rows: usize,
    /// The rows on which models are measured: for example `in-distribution`.
    pub environment: String,
    /// How many of them sites, attention and gradients were measured on.
    pub measured_rows: usize,
    /// Positions of a row.
    pub positions: usize,
    /// Trainings of each size.
    pub repeats: usize,
    /// Which sizes belong to which comparison.
    pub sizes: Sizes,
    /// Every size, in ascending order of width and then of depth.
    pub models: Vec<SizeOutcome>,
    /// Every measure over width and over depth, before and after training.
    pub trends: Vec<TrendOutcome>,
}

/// One size.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SizeOutcome {
    /// Of the residual stream.
    pub width: usize,
    /// Layers.
    pub depth: usize,
    /// Numbers that are learned.
    pub parameters: usize,
    /// Epochs until training stopped, over repeats.
    pub epochs: Estimate,
    /// Before training.
    pub initial: StageOutcome,
    /// With the best epoch's weights.
    pub trained: StageOutcome,
}

/// A model before or after training; every estimate is a mean over repeats with Student's t interval.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StageOutcome {
    /// One a measure.
    pub values: Vec<Estimate>,
    /// In forward order.
    pub sites: Vec<SiteOutcome>,
    /// In forward order.
    pub layers: Vec<LayerOutcome>,
    /// In the order of the model's parameters.
    pub gradients: Vec<GradientOutcome>,
}

/// One site.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SiteOutcome {
    /// For example `layers.0.resid`.
    pub site: String,
    /// Neurons.
    pub neurons: usize,
    /// Whether only moments and a sample of the rows were kept.
    pub streamed: bool,
    /// The measures of a site, the first of all.
    pub values: Vec<Estimate>,
}

/// One layer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LayerOutcome {
    /// Entropy of attention over ln(keys).
    pub attention_entropy: Estimate,
    /// Share of weights of at most a hundredth.
    pub attention_sparsity: Estimate,
    /// 1 - cosine of two heads' maps, mean over pairs.
    pub head_diversity: Estimate,
    /// The same of each pair of heads: (1, 2), (1, 3), .., (2, 3), ..
    pub pairs: Vec<Estimate>,
    /// Norm of the gradient at the layer's weights.
    pub gradient_norm: Estimate,
}

/// The gradient of the loss at one parameter.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GradientOutcome {
    /// PyTorch's name of the parameter.
    pub parameter: String,
    /// Numbers in it.
    pub entries: usize,
    /// Euclidean norm.
    pub norm: Estimate,
    /// Variance over entries.
    pub variance: Estimate,
}

/// What changes from size to size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    /// Width, at one depth.
    Width,
    /// Depth, at one width.
    Depth,
}

impl Axis {
    /// Both.
    pub(super) const ALL: [Axis; 2] = [Axis::Width, Axis::Depth];

    pub(super) fn name(self) -> &'static str {
        match self {
            Axis::Width => "width",
            Axis::Depth => "depth",
        }
    }
}

/// Before or after training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// Random weights.
    Initial,
    /// Learned ones.
    Trained,
}

impl When {
    /// Both.
    pub(super) const ALL: [When; 2] = [When::Initial, When::Trained];

    pub(super) fn name(self) -> &'static str {
        match self {
            When::Initial => "initial",
            When::Trained => "trained",
        }
    }
}

/// The trend of one measure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrendOutcome {
    /// The measure's name.
    pub measure: String,
    /// Over what.
    pub axis: Axis,
    /// Of which models.
    pub when: When,
    /// Its form and its slope; q is over all measures of the axis and the stage.
    pub trend: SizeTrend,
}

impl TrendOutcome {
    /// Whether the measure clearly rises (1), clearly falls (-1) or does neither (0).
    pub(super) fn direction(&self) -> i8 {
        let slope = &self.trend.slope;
        match slope.value.filter(|_| slope.q.is_some_and(|q| q <= 0.05)) {
            None => 0,
            Some(slope) if slope > 0.0 => 1,
            Some(_) => -1,
        }
    }
}

impl SizeOutcome {
    pub(super) fn stage(&self, when: When) -> &StageOutcome {
        match when {
            When::Initial => &self.initial,
            When::Trained => &self.trained,
        }
    }

    /// A measure by its name.
    pub(super) fn value(&self, when: When, measure: &str) -> Option<&Estimate> {
        self.stage(when).values.get(place(measure)?)
    }
}

impl Outcome {
    pub(super) fn model(&self, width: usize, depth: usize) -> Option<&SizeOutcome> {
        self.models.iter().find(|one| one.width == width && one.depth == depth)
    }

    /// The size that is on both arms of the cross or, failing that, the first of the arm over width.
    pub(super) fn base(&self) -> Option<&SizeOutcome> {
        let crossing = self.model(self.sizes.at_width, self.sizes.at_depth);
        crossing.or_else(|| self.along(Axis::Width).into_iter().next())
    }

    /// The models of one arm of the cross, in ascending order.
    pub(super) fn along(&self, axis: Axis) -> Vec<&SizeOutcome> {
        let sizes = &self.sizes;
        match axis {
            Axis::Width => {
                let models = sizes.widths.iter().map(|&width| self.model(width, sizes.at_depth));
                models.flatten().collect()
            }
            Axis::Depth => {
                let models = sizes.depths.iter().map(|&depth| self.model(sizes.at_width, depth));
                models.flatten().collect()
            }
        }
    }

    pub(super) fn trend(&self, measure: &str, axis: Axis, when: When) -> Option<&TrendOutcome> {
        self.trends
            .iter()
            .find(|one| one.measure == measure && one.axis == axis && one.when == when)
    }
}

impl Axis {
    /// What changes along this axis.
    pub(super) fn size(self, model: &SizeOutcome) -> usize {
        match self {
            Axis::Width => model.width,
            Axis::Depth => model.depth,
        }
    }
}
