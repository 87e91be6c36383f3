//! Which neurons matter: each is ablated in turn, and the output is watched (notebook part 15).

use burn::tensor::{Device, Tensor};
use disentangle_models::{Classifier, Model, ModelError, Selection, Tap, parallel};
use ndarray::{ArrayView3, s};
use serde::{Deserialize, Serialize};

use super::{
    ProbingError, capture_whole,
    effects::check_shapes,
    resume::{Variation, resume_all, rows_at_once},
    to_input,
};

/// What an ablated neuron is set to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Substitute {
    /// Its mean over the rows and positions given.
    #[default]
    Mean,
    /// 0, as in the notebook.
    Zero,
}

/// What ablating one neuron at all positions does to the logit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NeuronImportance {
    /// E[logit without - logit with]: positive where the neuron lowers the logit.
    pub mean_change: f64,
    /// E[(logit without - logit with)²].
    pub mean_square: f64,
}

/// Importance of every neuron (head times neuron) of `site` over `[row, position, feature]`: the pass up to the site is shared, and
/// the rows are passed on once a neuron, many neurons at a time. Does not depend on `threads`.
///
/// Fails for an unknown site and for no rows.
pub fn neuron_importance(
    model: &Model,
    x: ArrayView3<f32>,
    site: &str,
    substitute: Substitute,
    device: &Device,
    threads: usize,
) -> Result<Vec<NeuronImportance>, ProbingError> {
    check_shapes(model, &x.to_owned(), &[x.to_owned()])?;
    let step = model.step_of(site, device)?;
    let whole = capture_whole(model, x, &[site.to_string()], device)?;
    let activations = &whole[0];
    let positions = activations.nrows() / x.dim().0;
    let means: Vec<f32> = match substitute {
        Substitute::Zero => vec![0.0; activations.ncols()],
        Substitute::Mean => activations
            .columns()
            .into_iter()
            .map(|column| (column.iter().map(|&a| f64::from(a)).sum::<f64>() / column.len() as f64) as f32)
            .collect(),
    };
    let sites = model.sites();
    let neurons = sites
        .iter()
        .find(|known| known.name == site)
        .map_or(1, |site| site.axes[2]);
    let selections: Vec<Selection> = (0..means.len())
        .map(|index| {
            let (head, neuron) = (index / neurons, index % neurons);
            Selection {
                site: site.into(),
                axes: [Some(head..head + 1), None, Some(neuron..neuron + 1)],
            }
        })
        .collect();
    let at_once = rows_at_once(positions);
    let starts: Vec<usize> = (0..x.dim().0).step_by(at_once).collect();
    let passed = parallel::map(threads, &starts, |&start| {
        let part = x.slice(s![start..(start + at_once).min(x.dim().0), .., ..]);
        let rows = part.dim().0;
        let trace = model.trace(&to_input(part, device), &mut Tap::off());
        let plain: Vec<f64> = trace.logits.into_data().iter::<f64>().collect();
        let variations: Vec<Variation> = selections
            .iter()
            .zip(&means)
            .map(|(selection, &mean)| Variation {
                state: &trace.before[step],
                selection,
                value: Tensor::full([rows, 1, positions, 1], mean, device),
            })
            .collect();
        let logits = resume_all(model, step, &variations)?;
        Ok::<_, ModelError>(logits.iter().map(|logits| sums(&plain, logits)).collect::<Vec<_>>())
    });
    let mut importance = vec![NeuronImportance::default(); means.len()];
    for part in passed {
        for (sum, [change, square]) in importance.iter_mut().zip(part?) {
            sum.mean_change += change / x.dim().0 as f64;
            sum.mean_square += square / x.dim().0 as f64;
        }
    }
    Ok(importance)
}

/// Sum of the changes, and of their squares.
fn sums(plain: &[f64], without: &[f64]) -> [f64; 2] {
    let changes = || plain.iter().zip(without).map(|(z, w)| w - z);
    [changes().sum(), changes().map(|change| change * change).sum()]
}
