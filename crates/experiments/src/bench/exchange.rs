//! Rows and weights for a peer: one safetensors file with the weights under PyTorch's names, and the rows.

use std::path::Path;

use disentangle_models::{Model, weights};
use disentangle_report::write_file;
use ndarray::ArrayViewD;
use serde_json::{Map, Value, json};

use crate::ExperimentError;

/// What the rows are called; no parameter is called so.
const ROWS: &str = "bench.x";

/// Writes `x`, and the model's weights where there is one; the file is there when it is whole.
pub(super) fn write(path: &Path, model: Option<&Model>, x: ArrayViewD<f32>) -> Result<(), ExperimentError> {
    let failed = |reason: String| ExperimentError::Failed(format!("{}: {reason}", path.display()));
    let mut content = Vec::new();
    if let Some(model) = model {
        let alone = path.with_extension("weights");
        weights::save(model, &alone)?;
        content = std::fs::read(&alone).map_err(|error| failed(error.to_string()))?;
        std::fs::remove_file(&alone).map_err(|error| failed(error.to_string()))?;
    }
    let whole = with_tensor(&content, ROWS, x).ok_or_else(|| failed("its header cannot be extended".into()))?;
    Ok(write_file(path, &whole)?)
}

/// A safetensors file with one more tensor: eight bytes that hold the header's length, the header as JSON, and all
/// values one after the other. No content is a file without tensors.
fn with_tensor(content: &[u8], name: &str, x: ArrayViewD<f32>) -> Option<Vec<u8>> {
    let (mut header, values): (Map<String, Value>, &[u8]) = match content.split_at_checked(8) {
        None => (Map::new(), &[]),
        Some((length, rest)) => {
            let length = u64::from_le_bytes(length.try_into().ok()?) as usize;
            let (header, values) = rest.split_at_checked(length)?;
            (serde_json::from_slice(header).ok()?, values)
        }
    };
    let end = values.len() + x.len() * size_of::<f32>();
    let tensor = json!({"dtype": "F32", "shape": x.shape(), "data_offsets": [values.len(), end]});
    header.insert(name.into(), tensor);
    let mut header = serde_json::to_vec(&header).ok()?;
    // Values start at a multiple of eight.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut whole = Vec::with_capacity(8 + header.len() + end);
    whole.extend((header.len() as u64).to_le_bytes());
    whole.extend(header);
    whole.extend(values);
    for value in x {
        whole.extend(value.to_le_bytes());
    }
    Some(whole)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use disentangle_data::Seed;
    use disentangle_models::{ModelConfig, SmallConfig};
    use ndarray::{Array3, ArrayD};

    use super::*;

    /// The loader names every tensor that is missing, misshaped or too much: only the rows may be.
    #[test]
    fn the_file_holds_the_weights_and_the_rows_and_nothing_else() {
        let (device, folder) = (Device::flex(), tempfile::tempdir().unwrap());
        let path = folder.path().join("x.safetensors");
        let init = |seed: u64| {
            let config = SmallConfig {
                hidden: 8,
                ..SmallConfig::new(3)
            };
            ModelConfig::Small(config).init(Seed::new(seed), &device).unwrap()
        };
        let x = Array3::from_shape_fn((2, 1, 3), |(row, _, column)| (10 * row + column) as f32);
        write(&path, Some(&init(1)), x.view().into_dyn()).unwrap();
        let error = weights::load(init(2), &path, &device).unwrap_err().to_string();
        assert!(
            error.ends_with("not the weights of this model: `bench.x` is unexpected"),
            "{error}"
        );
        let content = std::fs::read(&path).unwrap();
        let values: Vec<f32> = content[content.len() - 24..]
            .as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect();
        assert_eq!(values, [0.0, 1.0, 2.0, 10.0, 11.0, 12.0]);
    }

    #[test]
    fn rows_alone_are_a_file_and_no_header_is_none() {
        let x = ArrayD::<f32>::zeros(vec![3, 2]);
        let content = with_tensor(&[], "bench.x", x.view()).unwrap();
        let length = u64::from_le_bytes(content[..8].try_into().unwrap()) as usize;
        assert_eq!((length % 8, content.len()), (0, 8 + length + 24));
        let header: Value = serde_json::from_slice(&content[8..8 + length]).unwrap();
        assert_eq!(
            header,
            json!({"bench.x": {"dtype": "F32", "shape": [3, 2], "data_offsets": [0, 24]}})
        );
        assert!(with_tensor(b"no safetensors file", "bench.x", x.view()).is_none());
    }
}
