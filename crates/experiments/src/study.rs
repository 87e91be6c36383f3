//! What is measured of a model's sites on rows that training did not see: spectra, overlap of groups, dimensionality of features.

use burn::tensor::Device;
use disentangle_analysis::{
    Bootstrap, Estimate,
    dimensionality::site_directions,
    matrix::MatrixError,
    overlap::{self, GroupOverlap, group_overlap},
    probing::{Captured, OneGroupVaries, capture, one_group_varies},
    site::SiteMeasures,
};
use disentangle_data::{Dataset, FeatureGroup, Seed, Split};
use disentangle_models::{Classifier, Model};
use ndarray::{Array2, ArrayView3, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::ExperimentError;

/// How sites are studied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StudySettings {
    /// Sites; all of the model's if empty.
    pub sites: Vec<String>,
    /// Rows that stand still while one group varies.
    pub bases: usize,
    /// Values that the group takes around each of them.
    pub donors: usize,
    /// MB that captured activations may take; beyond it moments are streamed.
    pub memory: usize,
}

impl Default for StudySettings {
    fn default() -> Self {
        Self {
            sites: Vec::new(),
            bases: 8,
            donors: 64,
            memory: 1000,
        }
    }
}

impl StudySettings {
    pub(crate) fn check(&self) -> Result<(), ExperimentError> {
        for (key, value, least) in [
            ("bases", self.bases, 1),
            ("donors", self.donors, 2),
            ("memory", self.memory, 1),
        ] {
            if value < least {
                return Err(ExperimentError::Input(format!(
                    "`{key} = {value}` cannot be used: expected at least {least}"
                )));
            }
        }
        Ok(())
    }

    /// The sites to study; fails for one that the model does not have.
    pub(crate) fn sites(&self, model: &Model) -> Result<Vec<String>, ExperimentError> {
        let known: Vec<String> = model.sites().into_iter().map(|site| site.name).collect();
        if self.sites.is_empty() {
            return Ok(known);
        }
        match self.sites.iter().find(|site| !known.contains(site)) {
            None => Ok(self.sites.clone()),
            Some(site) => Err(ExperimentError::Input(format!(
                "`sites`: `{site}` is no site of this model; near names: {}",
                disentangle_models::near_names(site, &known)
            ))),
        }
    }
}

/// How much of a dimension each of some features has at a site.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Dimensionality {
    /// Mean over the features with a direction.
    pub mean: Estimate,
    /// Share of the site's variance on held-out rows that the features' directions explain.
    pub held_out_r2: Option<f64>,
    /// One a feature.
    pub features: Vec<Option<f64>>,
}

/// One site at one stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SiteStudy {
    /// `initial` or `trained`.
    pub stage: String,
    /// The site.
    pub site: String,
    /// Activations, spectrum, interference.
    pub measures: SiteMeasures,
    /// Overlap of the feature groups' subspaces.
    pub overlap: GroupOverlap,
    /// Of the feature columns.
    pub columns: Dimensionality,
    /// Of the groups' strengths (root mean squares of their columns).
    pub groups: Dimensionality,
}

/// Rows to study sites on: of the environment in which no shortcut holds if there is one, else all test rows.
pub(crate) fn study_rows(dataset: &Dataset) -> Vec<usize> {
    let test = dataset.part(Split::Test);
    let independent = dataset.environments.iter().position(|name| name == "independent");
    match independent {
        None => test,
        Some(environment) => {
            let own = test
                .iter()
                .filter(|&&row| dataset.windows[row].environment as usize == environment);
            own.copied().collect()
        }
    }
}

/// What is studied, on which rows.
pub(crate) struct Study<'a> {
    pub(crate) settings: &'a StudySettings,
    pub(crate) groups: &'a [FeatureGroup],
    /// `[row, position, feature]`.
    pub(crate) inputs: ArrayView3<'a, f32>,
    pub(crate) seed: Seed,
    pub(crate) device: &'a Device,
}

impl Study<'_> {
    /// Every site of the model. Intervals are made if a bootstrap over rows is given.
    pub(crate) fn run(
        &self,
        model: &Model,
        stage: &str,
        bootstrap: Option<&Bootstrap>,
    ) -> Result<Vec<SiteStudy>, ExperimentError> {
        let sites = self.settings.sites(model)?;
        let cap = self.settings.memory.saturating_mul(1_000_000);
        let captured = capture(model, self.inputs, &sites, cap, self.device)?;
        let overlaps = self.overlaps(model, &sites)?;
        let (columns, groups) = (self.column_scores(), self.group_scores());
        let studied = captured.par_iter().zip(overlaps).map(|((site, captured), overlap)| {
            let rows = captured.rows().mapv(f64::from);
            let measures = match captured {
                Captured::Streamed { moments, .. } => SiteMeasures::from_moments(site, moments, rows.view())?,
                Captured::Whole(_) => {
                    let measures = SiteMeasures::new(site, rows.view())?;
                    match bootstrap {
                        None => measures,
                        Some(bootstrap) => measures.with_intervals(rows.view(), self.inputs.dim().0, bootstrap),
                    }
                }
            };
            let whole = matches!(captured, Captured::Whole(_));
            let dimensionality = |scores: &Array2<f64>| -> Result<Dimensionality, ExperimentError> {
                if whole {
                    dimensionality_of(site, &rows, scores)
                } else {
                    Ok(streamed())
                }
            };
            Ok(SiteStudy {
                stage: stage.into(),
                site: site.clone(),
                measures,
                overlap,
                columns: dimensionality(&columns)?,
                groups: dimensionality(&groups)?,
            })
        });
        studied.collect()
    }

    /// For each site, the overlap of the groups' subspaces.
    fn overlaps(&self, model: &Model, sites: &[String]) -> Result<Vec<GroupOverlap>, ExperimentError> {
        let settings = OneGroupVaries {
            bases: self.settings.bases,
            donors: self.settings.donors,
            seed: self.seed.child("one group varies"),
        };
        let varied = self
            .groups
            .iter()
            .map(|group| one_group_varies(model, self.inputs, &group.columns, sites, &settings, self.device));
        let varied: Vec<Vec<Array2<f64>>> = varied.collect::<Result<_, _>>()?;
        let overlaps = (0..sites.len()).into_par_iter().map(|site| {
            let named: Vec<_> = self
                .groups
                .iter()
                .zip(&varied)
                .map(|(group, of_group)| (group.name.clone(), of_group[site].view()))
                .collect();
            group_overlap(&named, overlap::VARIANCE)
        });
        Ok(overlaps.collect::<Result<Vec<_>, _>>()?)
    }

    /// Each column's mean over positions, `[row, feature]`.
    fn column_scores(&self) -> Array2<f64> {
        let (rows, positions, features) = self.inputs.dim();
        Array2::from_shape_fn((rows, features), |(row, feature)| {
            let values = self.inputs.slice(s![row, .., feature]);
            values.iter().map(|&x| f64::from(x)).sum::<f64>() / positions.max(1) as f64
        })
    }

    /// Each group's strength, the root mean square of its columns, `[row, group]`.
    pub(crate) fn group_scores(&self) -> Array2<f64> {
        let rows = self.inputs.dim().0;
        Array2::from_shape_fn((rows, self.groups.len()), |(row, group)| {
            let own = self.inputs.slice(s![row, .., ..]);
            let columns = &self.groups[group].columns;
            let squares = columns.iter().flat_map(|&column| own.column(column).to_vec());
            let (sum, count) = squares.fold((0.0, 0.0), |(sum, count), x| (sum + f64::from(x).powi(2), count + 1.0));
            (sum / f64::max(count, 1.0)).sqrt()
        })
    }
}

/// Directions are fitted on the first half of the rows and judged on the second. Positions are averaged first: a score is of a
/// whole row, and the directions are the same as those over all positions.
fn dimensionality_of(
    site: &str,
    activations: &Array2<f64>,
    scores: &Array2<f64>,
) -> Result<Dimensionality, ExperimentError> {
    let rows = scores.nrows();
    let half = rows / 2;
    let activations = mean_over_tokens(activations, rows);
    let undefined = |reason: String| Dimensionality {
        mean: Estimate::undefined(reason, rows),
        held_out_r2: None,
        features: vec![None; scores.ncols()],
    };
    if half < scores.ncols() + 2 {
        return Ok(undefined(format!(
            "{half} rows are too few to fit {} directions",
            scores.ncols()
        )));
    }
    let part = |matrix: &Array2<f64>, range: std::ops::Range<usize>| matrix.slice(s![range, ..]).to_owned();
    let n = scores.ncols();
    let found = site_directions(
        site,
        (part(&activations, 0..half).view(), part(scores, 0..half).view()),
        (part(&activations, half..rows).view(), part(scores, half..rows).view()),
    );
    let found = match found {
        // A table may hold the same thing twice; that is no reason to stop.
        Err(MatrixError::Dependent { .. }) => {
            return Ok(undefined(
                "columns depend on each other, so that they have no directions of their own".into(),
            ));
        }
        found => found?,
    };
    let defined: Vec<f64> = found.dimensionality.iter().flatten().copied().collect();
    let mut mean = match disentangle_analysis::descriptive::mean(&defined) {
        Some(mean) => Estimate::point(mean, n),
        None => Estimate::undefined("undefined", n),
    };
    mean.note = found.note;
    Ok(Dimensionality {
        mean,
        held_out_r2: found.held_out_r2,
        features: found.dimensionality,
    })
}

/// `[row * position, d]` to `[row, d]`.
pub(crate) fn mean_over_tokens(activations: &Array2<f64>, rows: usize) -> Array2<f64> {
    let tokens = (activations.nrows() / rows.max(1)).max(1);
    let mut mean = Array2::zeros((rows, activations.ncols()));
    for (row, activation) in activations.rows().into_iter().enumerate() {
        let mut own = mean.row_mut(row / tokens);
        own.scaled_add(1.0 / tokens as f64, &activation);
    }
    mean
}

fn streamed() -> Dimensionality {
    Dimensionality {
        mean: Estimate::undefined("the site was streamed, so that no directions could be fitted", 0),
        held_out_r2: None,
        features: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use disentangle_analysis::dimensionality::feature_dimensionality;
    use disentangle_data::synthetic::SyntheticConfig;
    use disentangle_models::{ModelConfig, SmallConfig};

    use super::*;

    fn studied(layout: disentangle_models::Layout) -> (SiteStudy, SiteStudy) {
        let data = SyntheticConfig {
            test: 600,
            ..SyntheticConfig::biased()
        };
        let dataset = data.dataset(Seed::new(2)).unwrap();
        let device = Device::flex();
        let config = SmallConfig {
            layout,
            ..SmallConfig::new(60)
        };
        let model = ModelConfig::Small(config).init(Seed::new(1), &device).unwrap();
        let rows = study_rows(&dataset);
        assert_eq!(rows.len(), 600, "the environment in which the shortcut says nothing");
        let inputs = dataset.inputs(&rows);
        let settings = StudySettings {
            sites: vec!["input".into(), "embed".into()],
            ..StudySettings::default()
        };
        let study = Study {
            settings: &settings,
            groups: &dataset.groups,
            inputs: inputs.view(),
            seed: Seed::new(3),
            device: &device,
        };
        let mut sites = study.run(&model, "initial", None).unwrap();
        let embed = sites.remove(1);
        (sites.remove(0), embed)
    }

    /// At the input every column is its own direction; where sites are linear in the columns, directions are found exactly.
    #[test]
    fn linear_sites_have_the_directions_of_their_weights() {
        let (input, embed) = studied(disentangle_models::Layout::Flat);
        assert!(
            (input.columns.mean.value.unwrap() - 1.0).abs() < 1e-3,
            "{:?}",
            input.columns.mean
        );
        assert!(
            input.overlap.mean.unwrap() < 1e-9
                && input.overlap.components.iter().all(|k| *k == Some(10) || *k == Some(9))
        );
        assert!((embed.columns.held_out_r2.unwrap() - 1.0).abs() < 1e-6);
        // 60 random directions in 64 dimensions: E[D] is near 1 / (1 + 59 / 64).
        let mean = embed.columns.mean.value.unwrap();
        assert!((mean - 1.0 / (1.0 + 59.0 / 64.0)).abs() < 0.03, "{mean}");
        assert!(embed.groups.held_out_r2.unwrap() < 0.05 && embed.groups.mean.value.is_none());
        let chance = embed.overlap.mean_chance.unwrap();
        assert!(
            (embed.overlap.mean.unwrap() - chance).abs() < 0.05,
            "random projections overlap by chance"
        );
    }

    #[test]
    fn positions_are_averaged_before_directions_are_fitted() {
        let groups = (0..6).map(|group| (group * 10..group * 10 + 10).collect()).collect();
        let (_, embed) = studied(disentangle_models::Layout::PerGroup { groups });
        assert!((embed.columns.held_out_r2.unwrap() - 1.0).abs() < 1e-6);
        assert_eq!(embed.measures.rows, 6 * 600);
        let matrix = ndarray::array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 9.0]];
        assert_eq!(mean_over_tokens(&matrix, 2), ndarray::array![[2.0, 3.0], [6.0, 7.5]]);
        let pair = feature_dimensionality("pair", ndarray::array![[1.0, 0.0], [-1.0, 0.0]].view()).unwrap();
        assert_eq!(pair, [0.5, 0.5]);
    }
}
