//! Many edits of the same rows: what comes before an edit is computed once, and edits of one step pass together.

use burn::tensor::Tensor;
use disentangle_models::{Model, ModelError, Selection, State, Tap};

/// Rows times positions that pass at once: enough for the matrix kernels, few enough for the cache.
const TOKENS: usize = 512;

/// Rows of `positions` positions that are traced together.
pub(super) fn rows_at_once(positions: usize) -> usize {
    (TOKENS / positions.max(1)).clamp(8, super::ROWS)
}

/// A part of a site that is replaced in a resumed pass.
pub(super) struct Variation<'a> {
    /// Before the step in which the site fires.
    pub(super) state: &'a State,
    /// The part.
    pub(super) selection: &'a Selection,
    /// What it becomes, `[row, head, position, neuron]` of the part.
    pub(super) value: Tensor<4>,
}

/// Logits of each variation, all of them of step `step` and of the same number of rows.
pub(super) fn resume_all(model: &Model, step: usize, variations: &[Variation]) -> Result<Vec<Vec<f64>>, ModelError> {
    let Some(first) = variations.first() else {
        return Ok(Vec::new());
    };
    let rows = first.state.rows();
    let at_once = (TOKENS / (rows * first.state.positions()).max(1)).max(1);
    let mut logits = Vec::with_capacity(variations.len());
    for part in variations.chunks(at_once) {
        let passed = resume_together(model, step, part)?;
        logits.extend(passed.chunks(rows).map(<[f64]>::to_vec));
    }
    Ok(logits)
}

fn resume_together(model: &Model, step: usize, variations: &[Variation]) -> Result<Vec<f64>, ModelError> {
    let states: Vec<&State> = variations.iter().map(|variation| variation.state).collect();
    let Some(state) = State::join(&states) else {
        return Ok(Vec::new());
    };
    let rows = variations[0].state.rows();
    let mut tap = Tap::new();
    let mut sites: Vec<&str> = Vec::new();
    for variation in variations {
        let site = variation.selection.site.as_str();
        if sites.contains(&site) {
            continue;
        }
        sites.push(site);
        tap = tap.edit(site, move |activation| {
            let tiles = variations.iter().enumerate().map(|(tile, variation)| {
                let own = activation.clone().narrow(0, tile * rows, rows);
                if variation.selection.site != site {
                    return own;
                }
                let [_, axes @ ..] = own.dims();
                own.slice_assign(variation.selection.ranges(0..rows, axes), variation.value.clone())
            });
            Tensor::cat(tiles.collect(), 0)
        })?;
    }
    let logits = model.resume(step, state, &mut tap);
    tap.finish()?;
    Ok(logits.into_data().iter::<f64>().collect())
}
