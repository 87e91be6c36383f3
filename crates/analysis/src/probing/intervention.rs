//! Interventions: a group at the input, a part of a site or a slice of a weight, set to something else (notebook part 21).

use burn::tensor::{Device, Tensor, TensorData};
use disentangle_models::{Classifier, Model, ModelError, Selection, Tap, parallel, rows_at_once};
use ndarray::{Array3, s};

use super::{ProbingError, Substitute, capture_whole, effects::check_shapes, to_input};
use crate::causal::CausalError;

/// What is set.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// Columns of the input.
    Columns(Vec<usize>),
    /// A site, or heads, positions or neurons of it.
    Site(Selection),
    /// A parameter by PyTorch's name, or rows and columns of it.
    Weights(WeightSlice),
}

/// A part of a parameter, in PyTorch's layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightSlice {
    /// For example `input_proj.weight`.
    pub name: String,
    /// Along its axes; all where not given.
    pub axes: Vec<Option<std::ops::Range<usize>>>,
}

/// What a place is set to.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// 0, or the mean: of a column or neuron over rows and positions, of a weight over the slice.
    Fixed(Substitute),
    /// What the place holds when these rows pass, `[row, position, feature]`: from a clean run into a corrupted one, or back.
    From(&'a Array3<f32>),
}

/// Logits of `x` under the intervention, without changing the model. Does not depend on `threads`.
///
/// Fails where the place selects nothing, for rows of another shape, and for weights from other rows.
pub fn intervene(
    model: &Model,
    x: &Array3<f32>,
    place: &Place,
    value: Value,
    device: &Device,
    threads: usize,
) -> Result<Vec<f64>, ProbingError> {
    let donors = match value {
        Value::From(donors) => donors,
        Value::Fixed(_) => x,
    };
    check_shapes(model, x, std::slice::from_ref(donors))?;
    match place {
        Place::Columns(columns) => {
            let changed = set_columns(x, columns, value)?;
            Ok(super::logits(model, &changed, device, threads)?)
        }
        Place::Site(selection) => at_site(model, x, selection, value, device, threads),
        Place::Weights(slice) => {
            let Value::Fixed(substitute) = value else {
                let reason = "a weight does not depend on rows; expected zero or mean".into();
                return Err(ModelError::Tap {
                    site: slice.name.clone(),
                    reason,
                }
                .into());
            };
            let changed = model.with_parameter(&slice.name, &slice.axes, device, |values| {
                let mean = values.iter().map(|&w| f64::from(w)).sum::<f64>() / values.len().max(1) as f64;
                let fill = if substitute == Substitute::Mean {
                    mean as f32
                } else {
                    0.0
                };
                values.fill(fill);
            })?;
            Ok(super::logits(&changed, x, device, threads)?)
        }
    }
}

fn set_columns(x: &Array3<f32>, columns: &[usize], value: Value) -> Result<Array3<f32>, CausalError> {
    let features = x.dim().2;
    let group = || "the intervention".to_string();
    if columns.is_empty() {
        return Err(CausalError::NoColumns { group: group() });
    }
    let mut changed = x.clone();
    for &column in columns {
        if column >= features {
            return Err(CausalError::NoSuchColumn {
                group: group(),
                column,
                features,
            });
        }
        let mut own = changed.slice_mut(s![.., .., column]);
        match value {
            Value::Fixed(Substitute::Zero) => own.fill(0.0),
            Value::Fixed(Substitute::Mean) => {
                let mean = own.iter().map(|&x| f64::from(x)).sum::<f64>() / own.len().max(1) as f64;
                own.fill(mean as f32);
            }
            Value::From(donors) => own.assign(&donors.slice(s![.., .., column])),
        }
    }
    Ok(changed)
}

fn at_site(
    model: &Model,
    x: &Array3<f32>,
    selection: &Selection,
    value: Value,
    device: &Device,
    threads: usize,
) -> Result<Vec<f64>, ProbingError> {
    let name = selection.to_string();
    model.step_of(&selection.site, device)?;
    let sites = model.sites();
    let axes = sites
        .iter()
        .find(|site| site.name == selection.site)
        .map(|site| site.axes);
    selection
        .check(axes.unwrap_or_default())
        .map_err(|reason| ModelError::Tap {
            site: name.clone(),
            reason,
        })?;
    let means = match value {
        Value::Fixed(Substitute::Mean) => Some(means_at(model, x, selection, device)?),
        _ => None,
    };
    let rows = x.dim().0;
    let at_once = rows_at_once(device);
    let starts: Vec<usize> = (0..rows).step_by(at_once).collect();
    let passed = parallel::map(threads, &starts, |&start| {
        let range = start..(start + at_once).min(rows);
        let part = |x: &Array3<f32>| to_input(x.slice(s![range.clone(), .., ..]), device);
        let mut tap = match value {
            Value::From(donors) => {
                let mut donor = Tap::new().record(&name)?;
                model.forward(&part(donors), &mut donor);
                Tap::new().patch(&name, donor.finish()?.get(&name)?)?
            }
            Value::Fixed(_) => Tap::new().edit(&name, |activation| match &means {
                None => activation.zeros_like(),
                Some(means) => expand(means, &activation),
            })?,
        };
        let logits = model.forward(&part(x), &mut tap);
        tap.finish()?;
        Ok::<Vec<f64>, ModelError>(logits.into_data().iter::<f64>().collect())
    });
    let parts: Result<Vec<Vec<f64>>, ModelError> = passed.into_iter().collect();
    Ok(parts?.concat())
}

/// Mean over rows and positions of every selected (head, neuron), heads first.
fn means_at(model: &Model, x: &Array3<f32>, selection: &Selection, device: &Device) -> Result<Vec<f32>, ProbingError> {
    // Means are those of the whole site's rows, whatever positions are set.
    let heads_and_neurons = Selection {
        axes: [selection.axes[0].clone(), None, selection.axes[2].clone()],
        ..selection.clone()
    };
    let whole = capture_whole(model, x.view(), std::slice::from_ref(&selection.site), device)?;
    let sites = model.sites();
    let axes = sites
        .iter()
        .find(|site| site.name == selection.site)
        .map(|site| site.axes);
    let [heads, _, neurons] = axes.unwrap_or_default();
    let [_, head, _, neuron] = heads_and_neurons.ranges(0..1, [heads, 1, neurons]);
    let mut means = Vec::new();
    for head in head {
        for neuron in neuron.clone() {
            let column = whole[0].column(head * neurons + neuron);
            means.push((column.iter().map(|&a| f64::from(a)).sum::<f64>() / column.len().max(1) as f64) as f32);
        }
    }
    Ok(means)
}

fn expand(means: &[f32], activation: &Tensor<4>) -> Tensor<4> {
    let [_, heads, _, neurons] = activation.dims();
    let data = TensorData::new(means.to_vec(), [1, heads, 1, neurons]);
    Tensor::<4>::from_data(data, &activation.device()).expand(activation.dims())
}
