//! Activations of all sites, captured a few at a time, and what they say of single sites and of pairs of components.

use std::ops::Range;

use burn::tensor::Device;
use disentangle_analysis::{
    Bootstrap, Estimate,
    activations::{SILENT, site_statistics},
    information::{Kernel, alignment},
    probing::capture_whole,
};
use disentangle_models::{Classifier, Model, Site, parallel};
use ndarray::{Array2, Array3};

use super::{
    Asked,
    attention::AttentionRows,
    outcome::{ActivationPart, Interaction},
};
use crate::ExperimentError;

/// Bytes of activations that are held at once.
const HELD: usize = 300_000_000;
/// Components that are compared with each other, at most.
const MOST_COMPARED: usize = 24;
/// Pieces into which the rows are cut for intervals of pairs, at most.
const PIECES: usize = 50;

/// What is read off the sites of one model.
pub(super) struct Sites {
    pub(super) activations: Vec<ActivationPart>,
    pub(super) attention: Vec<AttentionRows>,
    pub(super) compared: Vec<String>,
    pub(super) interactions: Vec<Interaction>,
}

/// Outputs of blocks, and the streams between them, in forward order; fewer of them in deep models.
pub(super) fn compared_sites(model: &Model) -> Vec<String> {
    let ends = |name: &str, parts: &[&str]| parts.iter().any(|part| name.ends_with(part));
    let names: Vec<String> = model.sites().into_iter().map(|site| site.name).collect();
    let of = |parts: &[&str]| -> Vec<String> { names.iter().filter(|name| ends(name, parts)).cloned().collect() };
    let blocks = ["attn.out", "ff.out", "gate.value"];
    let all = of(&["embed", "resid", "pool", blocks[0], blocks[1], blocks[2]]);
    if all.len() <= MOST_COMPARED {
        return all;
    }
    let all = of(&blocks);
    let count = all.len().min(MOST_COMPARED);
    (0..count).map(|place| all[place * all.len() / count].clone()).collect()
}

impl Asked<'_> {
    pub(super) fn sites(&self, model: &Model) -> Result<Sites, ExperimentError> {
        let all = model.sites();
        // Scores of padding are -1e9, and attention shows the others.
        let outside = ["input", "logit", "attn.scores"];
        let inner: Vec<&Site> = all
            .iter()
            .filter(|site| !outside.iter().any(|end| site.name.ends_with(end)))
            .collect();
        let compared = compared_sites(model);
        let mut kernels: Vec<Option<Kernel>> = Vec::new();
        let (mut activations, mut attention) = (Vec::new(), Vec::new());
        let sizes: Vec<usize> = inner.iter().map(|site| self.bytes(site)).collect();
        for range in groups(&sizes, HELD) {
            self.context.go_on()?;
            let names: Vec<String> = inner[range].iter().map(|site| site.name.clone()).collect();
            let captured = capture_whole(model, self.x.view(), &names, self.context.device)?;
            for (name, activation) in names.iter().zip(&captured) {
                let matrix = activation.mapv(f64::from);
                activations.push(self.activation(name, &matrix)?);
                if compared.contains(name) {
                    kernels.push(self.kernel(name, matrix)?);
                }
            }
        }
        for pair in attentions(&all) {
            self.context.go_on()?;
            attention.push(attends(model, &self.x, &pair, self.context.device)?);
        }
        let interactions = self.interactions(&compared, &kernels)?;
        Ok(Sites {
            activations,
            attention,
            compared,
            interactions,
        })
    }

    fn bytes(&self, site: &Site) -> usize {
        let own: usize = site.axes.iter().product();
        own.saturating_mul(self.x.dim().0).saturating_mul(size_of::<f32>())
    }

    /// Mean, spread and sparsity with intervals: rows are drawn again with all their positions, the site's root mean square stays.
    fn activation(&self, name: &str, matrix: &Array2<f64>) -> Result<ActivationPart, ExperimentError> {
        let statistics = site_statistics(name, matrix.view())?;
        let rows = self.x.dim().0;
        let each = matrix.len() as f64 / rows as f64;
        let threshold = SILENT * statistics.rms;
        let tokens = (matrix.nrows() / rows).max(1);
        let mut sums = vec![[0.0; 3]; rows];
        for (place, token) in matrix.rows().into_iter().enumerate() {
            let [sum, square, silent] = &mut sums[place / tokens];
            for &a in token {
                *sum += a / each;
                *square += a * a / each;
                *silent += f64::from(u8::from(a.abs() <= threshold)) / each;
            }
        }
        let estimates = self.bootstrap.estimate_many(rows, |weights| {
            let total: f64 = weights.iter().sum();
            let over = |which: usize| sums.iter().zip(weights).map(|(row, w)| w * row[which]).sum::<f64>() / total;
            let (mean, square, silent) = (over(0), over(1), over(2));
            vec![Some(mean), Some((square - mean * mean).max(0.0).sqrt()), Some(silent)]
        });
        let mut estimates = estimates.into_iter();
        // Three statistics, three estimates.
        let mut next = || estimates.next().unwrap_or_default();
        let (mean, std, sparsity) = (next(), next(), next());
        Ok(ActivationPart {
            site: name.into(),
            neurons: matrix.ncols(),
            mean,
            std: std.within(0.0, f64::INFINITY),
            sparsity: sparsity.within(0.0, 1.0),
            dead: statistics.dead,
        })
    }

    /// Rows in a piece.
    fn piece(&self) -> usize {
        let rows = self.x.dim().0;
        rows.div_ceil(PIECES.min(rows).max(1)).max(1)
    }

    /// Of rows whose positions stand side by side, so that sites with other positions can be compared.
    fn kernel(&self, name: &str, matrix: Array2<f64>) -> Result<Option<Kernel>, ExperimentError> {
        let rows = self.x.dim().0;
        let width = matrix.len() / rows.max(1);
        let values: Vec<f64> = matrix.iter().copied().collect();
        let by_row = Array2::from_shape_vec((rows, width), values)
            .map_err(|error| ExperimentError::Failed(format!("site `{name}`: {error}")))?;
        Ok(Kernel::new(name, by_row.view(), self.piece())?)
    }

    fn interactions(&self, names: &[String], kernels: &[Option<Kernel>]) -> Result<Vec<Interaction>, ExperimentError> {
        let pairs: Vec<(usize, usize)> = (0..names.len())
            .flat_map(|from| (from + 1..names.len()).map(move |to| (from, to)))
            .collect();
        let block = self.bootstrap.block.div_ceil(self.piece());
        let bootstrap = Bootstrap::new(block, self.bootstrap.draws, self.seed("interaction"));
        let found = parallel::map(
            self.context.threads,
            &pairs,
            |&(from, to)| -> Result<Interaction, ExperimentError> {
                let (cka, chance) = match (&kernels[from], &kernels[to]) {
                    (Some(a), Some(b)) => {
                        let found = alignment(a, b, &bootstrap)?;
                        (found.cka, found.chance)
                    }
                    _ => (Estimate::undefined("a component is constant", self.x.dim().0), None),
                };
                Ok(Interaction {
                    from: names[from].clone(),
                    to: names[to].clone(),
                    cka,
                    chance,
                })
            },
        );
        found.into_iter().collect()
    }
}

/// An attention, and the lengths of its axes (head, query, key).
struct Attends {
    place: String,
    axes: [usize; 3],
}

/// Entropy and head diversity of every attention of a model on rows in its shape, in forward order; means over rows without intervals.
pub(crate) fn attention_means(
    model: &Model,
    x: &Array3<f32>,
    device: &Device,
) -> Result<Vec<[Option<f64>; 2]>, ExperimentError> {
    let all = attentions(&model.sites());
    all.iter()
        .map(|pair| Ok(attends(model, x, pair, device)?.means()))
        .collect()
}

fn attends(model: &Model, x: &Array3<f32>, pair: &Attends, device: &Device) -> Result<AttentionRows, ExperimentError> {
    let names = [format!("{}.pattern", pair.place), format!("{}.z", pair.place)];
    let captured = capture_whole(model, x.view(), &names, device)?;
    Ok(AttentionRows::new(&pair.place, &captured[0], &captured[1], pair.axes))
}

fn attentions(sites: &[Site]) -> Vec<Attends> {
    let patterns = sites.iter().filter_map(|site| {
        let place = site.name.strip_suffix(".pattern")?;
        Some(Attends {
            place: place.into(),
            axes: site.axes,
        })
    });
    patterns.collect()
}

/// Neighbours that take at most `most` together, at least one each.
fn groups(sizes: &[usize], most: usize) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut held = 0usize;
    for (place, &size) in sizes.iter().enumerate() {
        held = held.saturating_add(size);
        match groups.last_mut() {
            Some(last) if held <= most => last.end = place + 1,
            _ => {
                groups.push(place..place + 1);
                held = size;
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use disentangle_data::Seed;
    use disentangle_models::Family;

    use super::*;

    #[test]
    fn neighbours_are_held_together_as_far_as_they_fit() {
        let check = |sizes: &[usize], expected: &[Range<usize>]| assert_eq!(groups(sizes, 10), expected, "{sizes:?}");
        check(&[], &[]);
        check(&[4, 4, 4], &[0..2, 2..3]);
        check(&[20, 1, 9, 1], &[0..1, 1..3, 3..4]);
    }

    #[test]
    fn components_are_outputs_of_blocks_and_streams_and_few_of_many() {
        let model = |family: Family, layers: usize| {
            let config = family.config(5, 1, &[]);
            let small: [(&'static str, serde_json::Value); 3] =
                [("hidden", 8.into()), ("heads", 2.into()), ("layers", layers.into())];
            let config = config.with_settings(&small).unwrap();
            config.init(Seed::new(0), &Device::flex()).unwrap()
        };
        let names = compared_sites(&model(Family::Small, 1));
        let expected = [
            "embed",
            "layers.0.attn.out",
            "layers.0.ff.out",
            "layers.0.resid",
            "pool",
        ];
        assert_eq!(names, expected);
        let deep = model(Family::Large, 20);
        assert_eq!(compared_sites(&deep).len(), MOST_COMPARED);
        assert_eq!(attentions(&deep.sites()).len(), 20);
        assert_eq!(attentions(&deep.sites())[3].axes, [2, 1, 1]);
    }
}
