//! Weights in and out, under PyTorch's names and shapes. Only safetensors: a pickle can run code.

use std::{borrow::Cow, collections::BTreeMap, path::Path};

use burn::tensor::Device;
use safetensors::{Dtype, SafeTensorError, SafeTensors, View, tensor::TensorView};

use crate::{Model, ModelError, parameters};

/// Writes `model.safetensors` by rename; `load_state_dict(strict=True)` of the same class in PyTorch takes it.
pub fn save(model: &Model, path: &Path) -> Result<(), ModelError> {
    let file_error = |reason: String| ModelError::File {
        path: path.display().to_string(),
        reason,
    };
    let flat = parameters::flatten(model);
    let mut rest = &flat[..];
    let tensors = parameters::names(model).into_iter().map(|named| {
        let (values, after) = rest.split_at(named.len());
        rest = after;
        let tensor = Stored {
            values,
            shape: named.shape,
            transposed: named.transposed,
        };
        (named.name, tensor)
    });
    by_rename(path, |temporary| {
        safetensors::serialize_to_file(tensors, None, temporary)
    })
    .map_err(|error: SafeTensorError| file_error(error.to_string()))
}

/// A tensor on its way to a file. Bytes are made of one at a time: those of all would be as much memory again.
pub(crate) struct Stored<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) shape: Vec<usize>,
    /// Whether the file holds the transpose of `values`.
    pub(crate) transposed: bool,
}

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match self.shape[..] {
            [rows, columns] if self.transposed => {
                Cow::Owned(bytes(&parameters::transpose(self.values, columns, rows)).into_owned())
            }
            _ => bytes(self.values),
        }
    }

    fn data_len(&self) -> usize {
        size_of_val(self.values)
    }
}

/// The model with the weights of the file. Fails, naming every missing, unexpected and misshaped tensor, if it is another model's.
pub fn load(model: Model, path: &Path, device: &Device) -> Result<Model, ModelError> {
    let file_error = |reason: String| ModelError::File {
        path: path.display().to_string(),
        reason,
    };
    let content = std::fs::read(path).map_err(|error| file_error(format!("cannot be read: {error}")))?;
    let file =
        SafeTensors::deserialize(&content).map_err(|error| file_error(format!("not a safetensors file: {error}")))?;
    let names = parameters::names(&model);
    let mut views: BTreeMap<String, TensorView> = file.tensors().into_iter().collect();
    let (mut problems, mut flat) = (Vec::new(), Vec::new());
    for named in &names {
        let Some(view) = views.remove(&named.name) else {
            problems.push(format!("`{}` is missing", named.name));
            continue;
        };
        if view.shape() != named.shape {
            problems.push(format!(
                "`{}` is {:?}, expected {:?}",
                named.name,
                view.shape(),
                named.shape
            ));
            continue;
        }
        let Some(values) = floats(&view) else {
            problems.push(format!(
                "`{}` holds {:?}, expected F32 or F64",
                named.name,
                view.dtype()
            ));
            continue;
        };
        let broken = values.iter().filter(|x| !x.is_finite()).count();
        if broken > 0 {
            problems.push(format!("`{}` holds {broken} values that are not finite", named.name));
        }
        flat.extend(if named.transposed {
            parameters::transpose(&values, named.shape[0], named.shape[1])
        } else {
            values
        });
    }
    problems.extend(views.keys().map(|name| format!("`{name}` is unexpected")));
    if !problems.is_empty() {
        return Err(ModelError::Weights {
            path: path.display().to_string(),
            reason: problems.join("; "),
        });
    }
    Ok(parameters::place(model, &flat, device))
}

fn floats(view: &TensorView) -> Option<Vec<f32>> {
    match view.dtype() {
        Dtype::F32 => Some(from_bytes(view.data())),
        Dtype::F64 => {
            let parts = view.data().as_chunks::<8>().0;
            Some(parts.iter().map(|part| f64::from_le_bytes(*part) as f32).collect())
        }
        _ => None,
    }
}

/// Little-endian, as safetensors wants it.
fn bytes(values: &[f32]) -> Cow<'_, [u8]> {
    match cfg!(target_endian = "little") {
        true => Cow::Borrowed(bytemuck::cast_slice(values)),
        false => Cow::Owned(values.iter().flat_map(|value| value.to_le_bytes()).collect()),
    }
}

pub(crate) fn from_bytes(bytes: &[u8]) -> Vec<f32> {
    bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|part| f32::from_le_bytes(*part))
        .collect()
}

/// A reader sees the old file or the new one, never half of either. `write` is given the file that is renamed.
pub(crate) fn by_rename<E: From<std::io::Error>>(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    // safetensors puts a file that only its owner can read in the place of the one that it is told.
    let permissions = || Ok::<_, std::io::Error>(std::fs::File::create(&temporary)?.metadata()?.permissions());
    permissions()
        .map_err(E::from)
        .and_then(|permissions| {
            write(&temporary)?;
            // Otherwise the new name may stand before its content when the power fails.
            std::fs::OpenOptions::new().write(true).open(&temporary)?.sync_all()?;
            std::fs::set_permissions(&temporary, permissions)?;
            Ok(std::fs::rename(&temporary, path)?)
        })
        .inspect_err(|_| {
            // Its own failure adds nothing to the error that is returned.
            let _ = std::fs::remove_file(&temporary);
        })
}
