//! Attention maps: how spread out they are, how alike heads are, how alike two attentions are.

use disentangle_analysis::{attention::attention, descriptive::mean, probing};
use disentangle_models::{Classifier, Site};
use ndarray::{Array2, Array4, ArrayView2, Axis, s};

use super::asked::Asked;
use crate::ExperimentError;

/// Rows whose maps are looked at, at most.
const ROWS: usize = 100;

/// One attention.
pub(super) struct Maps {
    pub(super) site: String,
    /// `[row, head, query, key]`.
    maps: Array4<f64>,
}

/// Every attention of the model, in forward order.
pub(super) fn maps(asked: &Asked) -> Result<Vec<Maps>, ExperimentError> {
    let sites = asked.model.sites().into_iter();
    let patterns: Vec<Site> = sites.filter(|site| site.name.ends_with("attn.pattern")).collect();
    let rows = asked.x.dim().0.min(ROWS);
    let x = asked.x.slice(s![..rows, .., ..]);
    let mut all = Vec::with_capacity(patterns.len());
    for site in patterns {
        let flat = probing::activations(asked.model, x, &site.name, asked.device)?;
        let [heads, queries, keys] = site.axes;
        let shape = (flat.nrows(), heads, queries, keys);
        let maps = Array4::from_shape_vec(shape, flat.into_raw_vec_and_offset().0)
            .map_err(|error| ExperimentError::Failed(format!("site `{}`: {error}", site.name)))?;
        all.push(Maps { site: site.name, maps });
    }
    Ok(all)
}

impl Maps {
    /// Mean entropy over ln(keys); `None` with one key.
    pub(super) fn entropy(&self) -> Option<f64> {
        mean(&attention(self.maps.view()).entropy)
    }

    /// 1 - mean cosine of two heads' maps of a row; `None` with one head.
    pub(super) fn head_diversity(&self) -> Option<f64> {
        let mut cosines = Vec::new();
        for row in self.maps.axis_iter(Axis(0)) {
            let heads: Vec<ArrayView2<f64>> = row.axis_iter(Axis(0)).collect();
            for (place, first) in heads.iter().enumerate() {
                cosines.extend(heads[place + 1..].iter().filter_map(|second| cosine(*first, *second)));
            }
        }
        mean(&cosines).map(|alike| 1.0 - alike)
    }

    /// 1 - mean cosine of two attentions' maps of a row, mean over heads first.
    pub(super) fn apart(&self, other: &Maps) -> Option<f64> {
        let over_heads = |row: ndarray::ArrayView3<f64>| -> Option<Array2<f64>> { row.mean_axis(Axis(0)) };
        let rows = self.maps.axis_iter(Axis(0)).zip(other.maps.axis_iter(Axis(0)));
        let cosines = rows.filter_map(|(own, theirs)| {
            let (own, theirs) = (over_heads(own)?, over_heads(theirs)?);
            cosine(own.view(), theirs.view())
        });
        mean(&cosines.collect::<Vec<f64>>()).map(|alike| 1.0 - alike)
    }
}

/// Mean over attentions of what is defined of each.
pub(super) fn over(maps: &[Maps], of: fn(&Maps) -> Option<f64>) -> Option<f64> {
    mean(&maps.iter().filter_map(of).collect::<Vec<f64>>())
}

/// Of two maps of one shape; `None` where one is 0 or shapes differ.
fn cosine(a: ArrayView2<f64>, b: ArrayView2<f64>) -> Option<f64> {
    let product = |a: ArrayView2<f64>, b: ArrayView2<f64>| a.iter().zip(b.iter()).map(|(a, b)| a * b).sum::<f64>();
    let norm = (product(a, a) * product(b, b)).sqrt();
    (norm > 0.0 && a.dim() == b.dim()).then(|| product(a, b) / norm)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(maps: Vec<f64>, shape: (usize, usize, usize, usize)) -> Maps {
        Maps {
            site: "attn.pattern".into(),
            maps: Array4::from_shape_vec(shape, maps).unwrap(),
        }
    }

    #[test]
    fn diversity_grows_with_it() {
        // Two heads, one query, two keys: the same map, and maps that share nothing.
        let same = of(vec![0.5, 0.5, 0.5, 0.5], (1, 2, 1, 2));
        let different = of(vec![1.0, 0.0, 0.0, 1.0], (1, 2, 1, 2));
        assert!(same.head_diversity().unwrap().abs() < 1e-12);
        assert!((different.head_diversity().unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(of(vec![1.0, 0.0], (1, 1, 1, 2)).head_diversity(), None);
        assert!((same.entropy().unwrap() - 1.0).abs() < 1e-12);
        assert!(different.entropy().unwrap().abs() < 1e-12);
        // Over its heads the second attends like the first.
        assert!(same.apart(&different).unwrap().abs() < 1e-12);
    }
}
