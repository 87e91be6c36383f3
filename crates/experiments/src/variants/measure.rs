//! What is read off one trained model (notebook part 47).

use burn::tensor::Device;
use disentangle_analysis::{
    activations::site_statistics,
    causal::{
        attribution::{Rule, completeness_gap},
        robustness::gaussian_noise,
    },
    classification::{roc_auc, sigmoid},
    descriptive::{mean, std_dev},
    importance::permute_columns,
    probing::{self, capture_whole, model_integrated_gradients},
    spectra::Spectrum,
};
use disentangle_data::{FeatureGroup, Role, Seed};
use disentangle_models::{Classifier, Model};
use ndarray::{Array2, Array3, s};

use super::{Shape, config::VariantsSettings};
use crate::{
    ExperimentError,
    finance::permute_days,
    rows::LoadedRows,
    scores::{Scores, scores},
};

/// One number of a trained model that does not depend on an environment.
pub(super) struct Value {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// Where it can lie: intervals are cut to it.
    pub(super) range: [f64; 2],
}

const fn value(name: &'static str, title: &'static str, range: [f64; 2]) -> Value {
    Value { name, title, range }
}

/// In the order of [`Measured::values`].
pub(super) const VALUES: [Value; 13] = [
    value("epochs", "epochs", [1.0, f64::INFINITY]),
    value("directions_used", "share of directions used", [0.0, 1.0]),
    value(
        "condition_number_log10",
        "log10 of the condition number",
        [0.0, f64::INFINITY],
    ),
    value("sparsity", "sparsity", [0.0, 1.0]),
    value(
        "attribution_variation",
        "variation of attributions",
        [0.0, f64::INFINITY],
    ),
    value("shortcut_attribution", "attributed to the shortcut", [0.0, 1.0]),
    value("shortcut_auc_drop", "AUC lost without the shortcut", [-1.0, 1.0]),
    value("noise_sensitivity", "noise sensitivity", [0.0, 1.0]),
    value("feature_sensitivity", "feature sensitivity", [0.0, 1.0]),
    value("attention_entropy", "attention entropy", [0.0, 1.0]),
    value("head_diversity", "head diversity", [0.0, 1.0]),
    value("weight_sparsity", "weight sparsity", [0.0, 1.0]),
    value("component_correlation", "correlation of components", [0.0, 1.0]),
];

/// One model.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// In the order of [`VALUES`].
    pub(super) values: Vec<Option<f64>>,
    /// One an environment.
    pub(super) environments: Vec<Scores>,
    /// Each group's share of what integrated gradients attribute, in the order of the dataset's groups; `None` where nothing is attributed.
    pub(super) groups: Vec<Option<f64>>,
    /// Mean |what attributions miss| over mean |change of the logit|.
    pub(super) completeness_gap: Option<f64>,
    /// Main sites in forward order.
    pub(super) sites: Vec<SiteValues>,
}

/// One site of one model, all positions of the main rows.
#[derive(Clone, Debug)]
pub(super) struct SiteValues {
    pub(super) site: String,
    pub(super) neurons: usize,
    /// exp(H(σ / Σσ)) of the centred activations.
    pub(super) effective_rank: Option<f64>,
    /// Of the largest over the smallest singular value that single precision knows.
    pub(super) condition_log10: Option<f64>,
    /// Directions that rounding alone explains.
    pub(super) dropped: usize,
    /// Share of |a| ≤ .01 rms.
    pub(super) sparsity: f64,
}

/// A trained model, and the rows that it is asked about.
pub(super) struct Subject<'a> {
    pub(super) config: &'a VariantsSettings,
    pub(super) rows: &'a LoadedRows,
    pub(super) shape: &'a Shape,
    pub(super) model: &'a Model,
    /// The same for every family of a repeat, so that all see the same noise and permutations.
    pub(super) seed: Seed,
    pub(super) device: &'a Device,
}

/// The embedding, what every layer leaves, and the pool.
pub(super) fn main_sites(model: &Model) -> Vec<String> {
    let names = model.sites().into_iter().map(|site| site.name);
    names
        .filter(|name| ["embed", "resid", "pool"].contains(&name.rsplit('.').next().unwrap_or(name)))
        .collect()
}

impl Subject<'_> {
    pub(super) fn measure(&self, epochs: usize) -> Result<Measured, ExperimentError> {
        let dataset = &self.rows.dataset;
        let mut environments = Vec::new();
        for environment in &self.rows.environments {
            let logits = self.logits(&dataset.inputs(&environment.rows))?;
            environments.push(scores(dataset, &environment.rows, &logits));
        }
        // At least one environment was loaded.
        let main = &self.rows.environments[0].rows;
        let x = dataset.inputs(main);
        let sites = self.sites(&x)?;
        let attribution = self.attribution()?;
        let over_sites =
            |of: &dyn Fn(&SiteValues) -> Option<f64>| mean(&sites.iter().filter_map(of).collect::<Vec<_>>());
        let shortcut = dataset.groups.iter().position(|group| group.role == Role::Spurious);
        let without = match shortcut {
            Some(place) => self.auc_lost_without(&dataset.groups[place], main, &x)?,
            None => None,
        };
        let mut values = vec![
            Some(epochs as f64),
            over_sites(&|site| Some(site.effective_rank? / site.neurons as f64)),
            over_sites(&|site| site.condition_log10),
            over_sites(&|site| Some(site.sparsity)),
            attribution.variation,
            shortcut.and_then(|place| attribution.groups[place]),
            without,
            self.noise_sensitivity(&x)?,
            self.feature_sensitivity()?,
        ];
        values.extend(self.parts()?);
        Ok(Measured {
            values,
            environments,
            groups: attribution.groups,
            completeness_gap: attribution.gap,
            sites,
        })
    }

    /// Of `[row, position, feature]` in the dataset's own shape.
    fn logits(&self, x: &Array3<f32>) -> Result<Vec<f64>, ExperimentError> {
        Ok(probing::logits(self.model, &self.shape.rows(x), self.device, 1)?)
    }

    fn probabilities(&self, x: &Array3<f32>) -> Result<Vec<f64>, ExperimentError> {
        Ok(self.logits(x)?.into_iter().map(sigmoid).collect())
    }

    fn sites(&self, x: &Array3<f32>) -> Result<Vec<SiteValues>, ExperimentError> {
        let names = main_sites(self.model);
        let shaped = self.shape.rows(x);
        let captured = capture_whole(self.model, shaped.view(), &names, self.device)?;
        names.iter().zip(&captured).map(|(name, own)| site(name, own)).collect()
    }

    /// The main rows, as few as analyses that take long ask for.
    fn few(&self) -> Vec<usize> {
        self.at_most(self.config.few_rows)
    }

    /// The main rows, at most so many of them: evenly spaced where rows are independent, else the latest.
    pub(super) fn at_most(&self, most: usize) -> Vec<usize> {
        let rows = &self.rows.environments[0].rows;
        let few = most.min(rows.len());
        match self.rows.block {
            1 => (0..few).map(|place| rows[place * rows.len() / few]).collect(),
            _ => rows[rows.len() - few..].to_vec(),
        }
    }

    /// Integrated gradients of the logit from the training mean (0 after standardising); rows pass in parts.
    fn attribution(&self) -> Result<Attribution, ExperimentError> {
        let dataset = &self.rows.dataset;
        let x = self.shape.rows(&dataset.inputs(&self.few()));
        let baseline = Array3::zeros(x.dim());
        let (rule, steps) = (Rule::GaussLegendre, self.config.steps);
        let integrated = model_integrated_gradients(self.model, &x, &baseline, rule, steps, self.device, 1)?;
        let say = |x: &Array3<f32>| probing::logits(self.model, x, self.device, 1);
        let gap = completeness_gap(&integrated, &say(&x)?, &say(&baseline)?);
        let by_column = self.shape.by_column(&integrated, dataset.features.len());
        Ok(Attribution {
            variation: variation(&by_column),
            groups: group_shares(&by_column, &dataset.groups),
            gap,
        })
    }

    /// Mean over rows, draws and levels of |p(x + noise) - p(x)|: a probability, because families differ in the scale of their logits.
    fn noise_sensitivity(&self, x: &Array3<f32>) -> Result<Option<f64>, ExperimentError> {
        let columns: Vec<usize> = (0..x.dim().2).collect();
        let whole = self.probabilities(x)?;
        let mut changes = Vec::new();
        for &level in &self.config.noise_levels {
            for draw in 0..self.config.noise_draws {
                let seed = self.seed.child("noise").child(&level.to_string()).index(draw as u64);
                let moved = self.probabilities(&gaussian_noise(x, &columns, level, seed))?;
                changes.extend(mean_change(&whole, &moved));
            }
        }
        Ok(mean(&changes))
    }

    /// Mean over rows and columns of |p(x with the column at its training mean) - p(x)|.
    fn feature_sensitivity(&self) -> Result<Option<f64>, ExperimentError> {
        let x = self.rows.dataset.inputs(&self.few());
        let whole = self.probabilities(&x)?;
        let mut changes = Vec::new();
        for column in 0..x.dim().2 {
            let mut without = x.clone();
            without.slice_mut(s![.., .., column]).fill(0.0);
            changes.extend(mean_change(&whole, &self.probabilities(&without)?));
        }
        Ok(mean(&changes))
    }

    /// AUC lost when a group's columns come from random rows, a mean over draws.
    fn auc_lost_without(
        &self,
        group: &FeatureGroup,
        rows: &[usize],
        x: &Array3<f32>,
    ) -> Result<Option<f64>, ExperimentError> {
        let dataset = &self.rows.dataset;
        let labels = dataset.labels(rows);
        let draws = self.config.permutations;
        let mut without = 0.0;
        for draw in 0..draws {
            let seed = self.seed.child("permuted").index(draw as u64);
            let order = match self.rows.block {
                1 => seed.rng().permutation(rows.len()),
                _ => permute_days(dataset, rows, seed),
            };
            let logits = self.logits(&permute_columns(x, &group.columns, &order))?;
            without += roc_auc(&logits, &labels).unwrap_or(0.5) / draws as f64;
        }
        Ok(roc_auc(&self.logits(x)?, &labels).map(|whole| whole - without))
    }
}

/// What is made of integrated gradients.
struct Attribution {
    variation: Option<f64>,
    groups: Vec<Option<f64>>,
    gap: Option<f64>,
}

/// `None` for no rows.
fn mean_change(before: &[f64], after: &[f64]) -> Option<f64> {
    let changes: Vec<f64> = before.iter().zip(after).map(|(a, b)| (a - b).abs()).collect();
    mean(&changes)
}

/// Standard deviation over columns of the mean |attribution|, over its mean: 0 where all columns count alike.
fn variation(by_column: &Array2<f64>) -> Option<f64> {
    let size = |column: ndarray::ArrayView1<f64>| column.iter().map(|a| a.abs()).sum::<f64>();
    let sizes: Vec<f64> = by_column.columns().into_iter().map(size).collect();
    let middle = mean(&sizes).filter(|middle| *middle > 0.0)?;
    Some(std_dev(&sizes)? / middle)
}

/// Mean over rows of |sum over a group's columns|, over the sum of all groups'.
fn group_shares(by_column: &Array2<f64>, groups: &[FeatureGroup]) -> Vec<Option<f64>> {
    let size = |group: &FeatureGroup| -> f64 {
        let of_row = |row: ndarray::ArrayView1<f64>| group.columns.iter().map(|&column| row[column]).sum::<f64>().abs();
        by_column.rows().into_iter().map(of_row).sum()
    };
    let sizes: Vec<f64> = groups.iter().map(size).collect();
    let total: f64 = sizes.iter().sum();
    sizes.iter().map(|size| (total > 0.0).then(|| size / total)).collect()
}

fn site(name: &str, activations: &Array2<f32>) -> Result<SiteValues, ExperimentError> {
    let matrix = activations.mapv(f64::from);
    let statistics = site_statistics(name, matrix.view())?;
    let mut spectrum = Spectrum::new(name, matrix.view())?;
    let (rows, neurons) = matrix.dim();
    let largest = spectrum.singular_values.first().copied().unwrap_or(0.0);
    // Activations are of single precision. Independent rounding leaves singular values of about √max(n, d) · ε of the largest; what a
    // normalisation takes away would otherwise come back as a condition number of 1e7.
    let rounding = (rows.max(neurons) as f64).sqrt() * f64::from(f32::EPSILON) * largest;
    spectrum.floor = spectrum.floor.max(rounding);
    Ok(SiteValues {
        site: name.into(),
        neurons,
        effective_rank: spectrum.effective_rank(),
        condition_log10: spectrum.condition_number().map(f64::log10),
        dropped: spectrum.dropped(),
        sparsity: statistics.sparsity,
    })
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn attributions_add_up_within_a_group_before_their_size_is_taken() {
        let group = |name: &str, columns: &[usize]| FeatureGroup {
            name: name.into(),
            role: Role::Unknown,
            columns: columns.to_vec(),
        };
        let attributions = array![[1.0, -1.0, 3.0], [2.0, 1.0, -1.0]];
        let groups = [group("a", &[0, 1]), group("b", &[2])];
        // Sizes |0| + |3| and |3| + |-1|.
        assert_eq!(group_shares(&attributions, &groups), [Some(3.0 / 7.0), Some(4.0 / 7.0)]);
        assert_eq!(group_shares(&Array2::zeros((2, 3)), &groups), [None, None]);
        // Sizes 3, 2, 4: standard deviation 1, mean 3.
        assert!((variation(&attributions).unwrap() - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(variation(&Array2::zeros((2, 3))), None);
    }

    #[test]
    fn rounding_is_no_direction() {
        let mut rng = Seed::new(1).rng();
        let mut activations = Array2::<f32>::zeros((400, 3));
        for mut row in activations.rows_mut() {
            let (a, b) = (rng.normal() as f32, rng.normal() as f32);
            // The third is the sum of the others but for the last place.
            row.assign(&array![a, b, (a + b) * (1.0 + f32::EPSILON)]);
        }
        let found = site("site", &activations).unwrap();
        assert_eq!((found.neurons, found.dropped), (3, 1));
        // Singular values of (a, b, a + b) are as √3 to 1 for independent a and b.
        assert!((found.condition_log10.unwrap() - 3.0f64.sqrt().log10()).abs() < 0.1);
    }
}
