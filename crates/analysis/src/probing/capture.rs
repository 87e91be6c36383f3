//! Activations of many sites in one pass over the rows, within a memory cap.

use burn::tensor::Device;
use disentangle_models::{Classifier, Model, ModelError, Tap, is_accelerator, rows_at_once};
use ndarray::{Array2, ArrayView3, Axis, concatenate, s};
use rayon::prelude::*;

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
    Whole {
        rows: Array2<f32>,
        seen: usize,
    },
    Streamed {
        moments: Box<Moments>,
        sample: Vec<Array2<f32>>,
        stride: usize,
        seen: usize,
    },
}

impl Keeper {
    fn new((n, d): (usize, usize), stream: bool) -> Self {
        match stream {
            false => Keeper::Whole {
                rows: Array2::zeros((n, d)),
                seen: 0,
            },
            true => Keeper::Streamed {
                moments: Box::new(Moments::new(d)),
                sample: Vec::new(),
                stride: n.div_ceil(SAMPLE).max(1),
                seen: 0,
            },
        }
    }

    fn take(&mut self, name: &str, part: &Array2<f32>) -> Result<(), ProbingError> {
        match self {
            Keeper::Whole { rows, seen } => {
                rows.slice_mut(s![*seen..*seen + part.nrows(), ..]).assign(part);
                *seen += part.nrows();
            }
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
        match self {
            Keeper::Whole { rows, .. } => Captured::Whole(rows),
            Keeper::Streamed { moments, sample, .. } => {
                let views: Vec<_> = sample.iter().map(Array2::view).collect();
                Captured::Streamed {
                    moments,
                    // Parts of one site have one width.
                    sample: concatenate(Axis(0), &views).unwrap_or_default(),
                }
            }
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
    let stream = streamed(&shapes, cap)?;
    let kinds = shapes.iter().zip(&stream);
    let mut keepers: Vec<Keeper> = kinds.map(|(&shape, &stream)| Keeper::new(shape, stream)).collect();
    let at_once = rows_at_once(device);
    let starts: Vec<usize> = (0..rows).step_by(at_once).collect();
    let several = parts_at_once(&shapes, starts.len(), device);
    for starts in starts.chunks(several) {
        let part = |&start: &usize| {
            let part = x.slice(s![start..(start + at_once).min(rows), .., ..]);
            activations_of(model, part, sites, device)
        };
        let parts: Vec<Result<_, ModelError>> = starts.par_iter().map(part).collect();
        let parts: Vec<Vec<Array2<f32>>> = parts.into_iter().collect::<Result<_, _>>()?;
        let keep = |(site, keeper): (usize, &mut Keeper)| {
            let mut of_site = parts.iter().map(|part| &part[site]);
            of_site.try_for_each(|part| keeper.take(&sites[site], part))
        };
        let kept: Vec<Result<(), ProbingError>> = keepers.par_iter_mut().enumerate().map(keep).collect();
        kept.into_iter().collect::<Result<(), _>>()?;
    }
    let captured = keepers.into_iter().map(Keeper::finish);
    Ok(sites.iter().cloned().zip(captured).collect())
}

/// Which sites are streamed; none of them if all together fit in `cap` bytes as they are. Fails for what does not fit even so.
fn streamed(shapes: &[(usize, usize)], cap: usize) -> Result<Vec<bool>, ProbingError> {
    let moments = |&(n, d): &(usize, usize)| Moments::bytes(d) + n.min(SAMPLE) * d * size_of::<f32>();
    let fits = shapes.iter().map(bytes).fold(0, usize::saturating_add) <= cap;
    let smaller = |shape: &(usize, usize)| !fits && moments(shape) < bytes(shape);
    let stream: Vec<bool> = shapes.iter().map(smaller).collect();
    let needed = shapes.iter().zip(&stream).map(|(shape, stream)| match stream {
        true => moments(shape),
        false => bytes(shape),
    });
    let needed = needed.fold(0, usize::saturating_add);
    match needed > cap {
        true => Err(ProbingError::Memory {
            sites: shapes.len(),
            needed: needed.div_ceil(1_000_000),
            cap: cap / 1_000_000,
        }),
        false => Ok(stream),
    }
}

/// What a site takes if all of it is kept.
fn bytes(&(n, d): &(usize, usize)) -> usize {
    n.saturating_mul(d).saturating_mul(size_of::<f32>())
}

/// Bytes of parts that wait to be kept, where there are several.
const WAITING: usize = 256_000_000;

/// Of `parts` that the rows are cut into, how many pass side by side: one a thread, as far as memory allows. They are kept in the order of the
/// rows, so that it changes no bit. An accelerator takes one after the other.
fn parts_at_once(shapes: &[(usize, usize)], parts: usize, device: &Device) -> usize {
    let part = shapes.iter().map(bytes).fold(0, usize::saturating_add) / parts.max(1);
    match is_accelerator(device) {
        true => 1,
        false => rayon::current_num_threads().min(WAITING / part.max(1)).max(1),
    }
}

/// The matrix of each site, of few rows.
fn activations_of(
    model: &Model,
    x: ArrayView3<f32>,
    sites: &[String],
    device: &Device,
) -> Result<Vec<Array2<f32>>, ModelError> {
    let mut tap = Tap::new();
    for site in sites {
        tap = tap.record(site)?;
    }
    model.forward(&to_input(x, device), &mut tap);
    let run = tap.finish()?;
    sites.iter().map(|site| run.get(site).map(to_matrix)).collect()
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
