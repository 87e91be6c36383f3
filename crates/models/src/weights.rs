//! Weights in and out, under PyTorch's names and shapes. Only safetensors: a pickle can run code.

use std::{collections::BTreeMap, path::Path};

use burn::tensor::Device;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::{Model, ModelError, parameters};

/// Writes `model.safetensors` by rename; `load_state_dict(strict=True)` of the same class in PyTorch takes it.
pub fn save(model: &Model, path: &Path) -> Result<(), ModelError> {
    let file_error = |reason: String| ModelError::File {
        path: path.display().to_string(),
        reason,
    };
    let flat = parameters::flatten(model);
    let mut rest = &flat[..];
    let mut tensors = Vec::new();
    for named in parameters::names(model) {
        let (own, after) = rest.split_at(named.len());
        rest = after;
        let values = if named.transposed {
            parameters::transpose(own, named.shape[1], named.shape[0])
        } else {
            own.to_vec()
        };
        tensors.push((named.name, named.shape, bytes(&values)));
    }
    let views: Result<Vec<_>, _> = tensors
        .iter()
        .map(|(name, shape, bytes)| TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name.clone(), view)))
        .collect();
    let content = views
        .and_then(|views| safetensors::serialize(views, None))
        .map_err(|e| file_error(e.to_string()))?;
    write_by_rename(path, &content).map_err(|error| file_error(error.to_string()))
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
pub(crate) fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

pub(crate) fn from_bytes(bytes: &[u8]) -> Vec<f32> {
    bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|part| f32::from_le_bytes(*part))
        .collect()
}

/// A reader sees the old file or the new one, never half of either.
pub(crate) fn write_by_rename(path: &Path, content: &[u8]) -> std::io::Result<()> {
    by_rename(path, |temporary| std::fs::write(temporary, content))
}

/// The same for whoever writes a file by itself.
pub(crate) fn by_rename<E: From<std::io::Error>>(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    write(&temporary)
        .and_then(|()| {
            // Otherwise the new name may stand before its content when the power fails.
            std::fs::OpenOptions::new().write(true).open(&temporary)?.sync_all()?;
            Ok(std::fs::rename(&temporary, path)?)
        })
        .inspect_err(|_| {
            // Its own failure adds nothing to the error that is returned.
            let _ = std::fs::remove_file(&temporary);
        })
}
