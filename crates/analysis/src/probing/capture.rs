//! Activations of many sites in one pass over the rows, within a memory cap.

use burn::tensor::Device;
use disentangle_models::{Classifier, Model, ModelError, Tap, rows_at_once};
use ndarray::{Array2, ArrayView3, Axis, concatenate, s};

use super::{ProbingError, to_input, to_matrix};
use crate::moments::Moments;

/// What was kept of one site; rows are (row, position), columns are (head, neuron).
#[derive(Clone, Debug)]
pub enum Captured {
    /// Everything, `[n, d]`.
    Whole(Array2<f32>),
    /// Too much to keep: moments of all rows, and evenly spaced rows for what moments cannot tell.
    Streamed {
        /// Mean, covariance and range over all rows.
        moments: Box<Moments>,
        /// At most [`SAMPLE`] of the rows, `[m, d]`.
        sample: Array2<f32>,
    },
}

/// Rows that a streamed site keeps for scatter plots and sparsity, at most.
pub const SAMPLE: usize = 500;

impl Captured {
    /// All rows, or the sample of a streamed site.
    pub fn rows(&self) -> &Array2<f32> {
        match self {
            Captured::Whole(rows) | Captured::Streamed { sample: rows, .. } => rows,
        }
    }
}

/// How one site is kept.
enum Keeper {
    Whole(Vec<Array2<f32>>),
    Streamed {
        moments: Box<Moments>,
        sample: Vec<Array2<f32>>,
        stride: usize,
        seen: usize,
    },
}

impl Keeper {
    fn take(&mut self, name: &str, part: Array2<f32>) -> Result<(), ProbingError> {
        match self {
            Keeper::Whole(parts) => parts.push(part),
            Keeper::Streamed {
                moments,
                sample,
                stride,
                seen,
            } => {
                moments.update(name, part.view())?;
                let first = (*stride - *seen % *stride) % *stride;
                if first < part.nrows() {
                    let spaced = part.slice_axis(Axis(0), ndarray::Slice::new(first as isize, None, *stride as isize));
                    sample.push(spaced.to_owned());
                }
                *seen += part.nrows();
            }
        }
        Ok(())
    }

    fn finish(self) -> Captured {
        let join = |parts: Vec<Array2<f32>>| {
            let views: Vec<_> = parts.iter().map(Array2::view).collect();
            // Parts of one site have one width.
            concatenate(Axis(0), &views).unwrap_or_default()
        };
        match self {
            Keeper::Whole(parts) => Captured::Whole(join(parts)),
            Keeper::Streamed { moments, sample, .. } => Captured::Streamed {
                moments,
                sample: join(sample),
            },
        }
    }
}

/// Rows and columns of a site's matrix for `rows` rows of input.
fn shape_of(model: &Model, site: &str, rows: usize) -> Result<(usize, usize), ModelError> {
    let sites = model.sites();
    match sites.iter().find(|known| known.name == site) {
        Some(known) => {
            let [heads, positions, neurons] = known.axes;
            Ok((rows * positions, heads * neurons))
        }
        None => {
            let names: Vec<String> = sites.into_iter().map(|known| known.name).collect();
            Err(ModelError::Tap {
                site: site.into(),
                reason: format!(
                    "no such site in this model; near names: {}",
                    disentangle_models::near_names(site, &names)
                ),
            })
        }
    }
}

/// Captures `sites` for `[row, position, feature]` in one pass. Where all of them together exceed `cap` bytes, those for which moments
/// are smaller are streamed; both then count towards the cap.
///
/// Fails for an unknown site (naming near ones), for what does not fit the cap even so, and for values that are not finite.
pub fn capture(
    model: &Model,
    x: ArrayView3<f32>,
    sites: &[String],
    cap: usize,
    device: &Device,
) -> Result<Vec<(String, Captured)>, ProbingError> {
    let rows = x.dim().0;
    let shapes: Vec<(usize, usize)> = sites
        .iter()
        .map(|site| shape_of(model, site, rows))
        .collect::<Result<_, _>>()?;
    let whole = |&(n, d): &(usize, usize)| n.saturating_mul(d).saturating_mul(size_of::<f32>());
    let streamed = |&(n, d): &(usize, usize)| Moments::bytes(d) + n.min(SAMPLE) * d * size_of::<f32>();
    let fits = shapes.iter().map(whole).fold(0, usize::saturating_add) <= cap;
    let stream: Vec<bool> = shapes
        .iter()
        .map(|shape| !fits && streamed(shape) < whole(shape))
        .collect();
    let needed = shapes.iter().zip(&stream).map(|(shape, stream)| match stream {
        true => streamed(shape),
        false => whole(shape),
    });
    let needed = needed.fold(0, usize::saturating_add);
    if needed > cap {
        return Err(ProbingError::Memory {
            sites: sites.len(),
            needed: needed.div_ceil(1_000_000),
            cap: cap / 1_000_000,
        });
    }
    let mut keepers: Vec<Keeper> = shapes
        .iter()
        .zip(&stream)
        .map(|(&(n, d), stream)| match stream {
            false => Keeper::Whole(Vec::new()),
            true => Keeper::Streamed {
                moments: Box::new(Moments::new(d)),
                sample: Vec::new(),
                stride: n.div_ceil(SAMPLE).max(1),
                seen: 0,
            },
        })
        .collect();
    let at_once = rows_at_once(device);
    for start in (0..rows).step_by(at_once) {
        let mut tap = Tap::new();
        for site in sites {
            tap = tap.record(site)?;
        }
        let part = x.slice(s![start..(start + at_once).min(rows), .., ..]);
        model.forward(&to_input(part, device), &mut tap);
        let run = tap.finish()?;
        for (site, keeper) in sites.iter().zip(&mut keepers) {
            keeper.take(site, to_matrix(run.get(site)?))?;
        }
    }
    let captured = keepers.into_iter().map(Keeper::finish);
    Ok(sites.iter().cloned().zip(captured).collect())
}

/// [`capture`] without a cap: every site whole, `[n, d]` in f32.
pub fn capture_whole(
    model: &Model,
    x: ArrayView3<f32>,
    sites: &[String],
    device: &Device,
) -> Result<Vec<Array2<f32>>, ProbingError> {
    let captured = capture(model, x, sites, usize::MAX, device)?;
    Ok(captured
        .into_iter()
        .map(|(_, captured)| match captured {
            Captured::Whole(rows) | Captured::Streamed { sample: rows, .. } => rows,
        })
        .collect())
}
