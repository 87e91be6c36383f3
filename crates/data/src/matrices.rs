//! Activation matrices of any framework: safetensors, npy and Parquet; and labels for them.

use std::{fs::File, io::Read as _, path::Path};

use half::{bf16, f16};
use ndarray::{Array2, ArrayD, IxDyn, ShapeBuilder as _};
use polars::prelude::{DataFrame, DataType, ParquetReader, SerReader as _};
use safetensors::{Dtype, SafeTensors};

use crate::DataError;

/// One matrix: rows are samples, columns are neurons.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// The tensor's name, or the file's where it holds one only.
    pub name: String,
    /// As it was stored: `f16`, `bf16`, `f32` or `f64`; `mixed` for a table of several.
    pub dtype: String,
    /// `[n, d]`; of higher ranks all axes but the last count as samples.
    pub values: Array2<f64>,
}

/// Reads the matrices of a file, in the order of their names: every tensor of a safetensors file, the array of an npy file, or the
/// numeric columns of a Parquet file.
///
/// Fails for another kind of file, values that are no floating-point numbers, fewer than two axes, and axes of length 0. Values
/// that are not finite are left to whoever uses them, who can name the site.
pub fn read_matrices(path: &Path) -> Result<Vec<Matrix>, DataError> {
    match extension(path).as_str() {
        "safetensors" => from_safetensors(path),
        "npy" => {
            let array = read_npy(path)?;
            let dtype = array.dtype.clone();
            if !["f16", "f32", "f64"].contains(&dtype.as_str()) {
                return Err(read_error(
                    path,
                    format!("holds {dtype} values, expected f16, f32 or f64"),
                ));
            }
            Ok(vec![matrix(path, &stem(path), dtype, array.values)?])
        }
        "parquet" | "pq" => Ok(vec![from_parquet(path)?]),
        _ => Err(read_error(
            path,
            "expected a .safetensors, .npy or .parquet file".to_string(),
        )),
    }
}

/// Reads labels, 0 or 1: a one-dimensional npy array, or the one column of a CSV or Parquet file.
pub fn read_labels(path: &Path) -> Result<Vec<f32>, DataError> {
    let values: Vec<f64> = match extension(path).as_str() {
        "npy" => {
            let array = read_npy(path)?;
            let shape = array.values.shape().to_vec();
            if shape.iter().filter(|&&length| length != 1).count() > 1 {
                return Err(read_error(
                    path,
                    format!("has shape {shape:?}, expected one axis of labels"),
                ));
            }
            array.values.into_iter().collect()
        }
        "parquet" | "pq" => {
            let matrix = table(path, &read_frame(path)?, true)?;
            if matrix.1.ncols() != 1 {
                let found = matrix.1.ncols();
                return Err(read_error(path, format!("has {found} columns, expected one of labels")));
            }
            matrix.1.into_iter().collect()
        }
        _ => labels_of_csv(path)?,
    };
    let wrong = values.iter().position(|&label| label != 0.0 && label != 1.0);
    match wrong {
        None => Ok(values.into_iter().map(|label| label as f32).collect()),
        Some(row) => Err(DataError::Cell {
            path: path.into(),
            row: row + 1,
            column: "label".into(),
            value: values[row].to_string(),
            expected: "0 or 1".into(),
        }),
    }
}

fn labels_of_csv(path: &Path) -> Result<Vec<f64>, DataError> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_path(path)
        .map_err(|error| read_error(path, error.to_string()))?;
    let mut values = Vec::new();
    for (index, record) in reader.records().enumerate() {
        let record = record.map_err(|error| read_error(path, error.to_string()))?;
        if record.len() != 1 {
            let found = record.len();
            return Err(read_error(
                path,
                format!("row {} has {found} columns, expected one of labels", index + 1),
            ));
        }
        let text = record.get(0).unwrap_or_default().trim();
        match text.parse() {
            Ok(value) => values.push(value),
            // The first line may name the column.
            Err(_) if index == 0 => {}
            Err(_) => {
                return Err(DataError::Cell {
                    path: path.into(),
                    row: index + 1,
                    column: "label".into(),
                    value: text.into(),
                    expected: "0 or 1".into(),
                });
            }
        }
    }
    Ok(values)
}

fn extension(path: &Path) -> String {
    let extension = path.extension().unwrap_or_default();
    extension.to_string_lossy().to_lowercase()
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn read_error(path: &Path, reason: impl Into<String>) -> DataError {
    DataError::Read {
        path: path.into(),
        reason: reason.into(),
    }
}

/// All axes but the last become one.
fn matrix(path: &Path, name: &str, dtype: String, values: ArrayD<f64>) -> Result<Matrix, DataError> {
    let shape = values.shape().to_vec();
    let wrong = |expected: &str| read_error(path, format!("`{name}` has shape {shape:?}, expected {expected}"));
    if shape.len() < 2 {
        return Err(wrong("at least two axes, samples and neurons"));
    }
    let width = shape[shape.len() - 1];
    if values.is_empty() {
        return Err(wrong("no axis of length 0"));
    }
    let rows = values.len() / width;
    let values: Vec<f64> = values.into_iter().collect();
    Ok(Matrix {
        name: name.into(),
        dtype,
        values: Array2::from_shape_vec((rows, width), values).unwrap_or_default(),
    })
}

fn from_safetensors(path: &Path) -> Result<Vec<Matrix>, DataError> {
    let content = std::fs::read(path).map_err(|error| read_error(path, error.to_string()))?;
    let file = SafeTensors::deserialize(&content)
        .map_err(|error| read_error(path, format!("not a safetensors file: {error}")))?;
    let mut tensors = file.tensors();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    if tensors.is_empty() {
        return Err(read_error(path, "holds no tensors"));
    }
    let matrices = tensors.iter().map(|(name, view)| {
        let (dtype, values) = floats(view.dtype(), view.data()).ok_or_else(|| {
            let found = view.dtype();
            read_error(
                path,
                format!("`{name}` holds {found:?} values, expected F16, BF16, F32 or F64"),
            )
        })?;
        let array = ArrayD::from_shape_vec(IxDyn(view.shape()), values)
            .map_err(|error| read_error(path, format!("`{name}`: {error}")))?;
        matrix(path, name, dtype.into(), array)
    });
    matrices.collect()
}

/// Little-endian floating-point values in f64, and what they are called; `None` for other types.
fn floats(dtype: Dtype, bytes: &[u8]) -> Option<(&'static str, Vec<f64>)> {
    match dtype {
        Dtype::F16 => Some(("f16", wide(bytes, |part: [u8; 2]| f16::from_le_bytes(part).to_f64()))),
        Dtype::BF16 => Some(("bf16", wide(bytes, |part: [u8; 2]| bf16::from_le_bytes(part).to_f64()))),
        Dtype::F32 => Some(("f32", wide(bytes, |part: [u8; 4]| f64::from(f32::from_le_bytes(part))))),
        Dtype::F64 => Some(("f64", wide(bytes, f64::from_le_bytes))),
        _ => None,
    }
}

fn wide<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    bytes.as_chunks::<N>().0.iter().map(|part| value(*part)).collect()
}

struct Npy {
    dtype: String,
    values: ArrayD<f64>,
}

fn read_npy(path: &Path) -> Result<Npy, DataError> {
    let mut content = Vec::new();
    File::open(path)
        .and_then(|mut file| file.read_to_end(&mut content))
        .map_err(|error| read_error(path, error.to_string()))?;
    let broken = |error: std::io::Error| read_error(path, format!("not an npy file: {error}"));
    let file = npyz::NpyFile::new(&content[..]).map_err(broken)?;
    let shape: Vec<usize> = file.shape().iter().map(|&length| length as usize).collect();
    // A header may promise more than memory holds.
    let promised = shape
        .iter()
        .try_fold(1usize, |total, &length| total.checked_mul(length));
    if promised.is_none_or(|values| values > content.len()) {
        let found = content.len();
        return Err(read_error(
            path,
            format!("promises an array of shape {shape:?} but holds {found} bytes"),
        ));
    }
    let fortran = file.order() == npyz::Order::Fortran;
    let descriptor = file.dtype().descr();
    let kind: String = descriptor.chars().filter(char::is_ascii_alphanumeric).collect();
    let (dtype, values): (&str, Vec<f64>) = match kind.as_str() {
        "f2" => ("f16", each(file.into_vec::<f16>().map_err(broken)?, f16::to_f64)),
        "f4" => ("f32", each(file.into_vec::<f32>().map_err(broken)?, f64::from)),
        "f8" => ("f64", file.into_vec().map_err(broken)?),
        "b1" => (
            "bool",
            each(file.into_vec::<bool>().map_err(broken)?, |value| {
                f64::from(u8::from(value))
            }),
        ),
        "i1" => ("i8", each(file.into_vec::<i8>().map_err(broken)?, f64::from)),
        "u1" => ("u8", each(file.into_vec::<u8>().map_err(broken)?, f64::from)),
        "i4" => ("i32", each(file.into_vec::<i32>().map_err(broken)?, f64::from)),
        "i8" => (
            "i64",
            each(file.into_vec::<i64>().map_err(broken)?, |value| value as f64),
        ),
        _ => {
            let reason = format!("holds values of type {descriptor}, expected floating-point numbers");
            return Err(read_error(path, reason));
        }
    };
    let shape = IxDyn(&shape).set_f(fortran);
    let values = ArrayD::from_shape_vec(shape, values).map_err(|error| read_error(path, error.to_string()))?;
    Ok(Npy {
        dtype: dtype.into(),
        values,
    })
}

fn each<T>(values: Vec<T>, wide: impl Fn(T) -> f64) -> Vec<f64> {
    values.into_iter().map(wide).collect()
}

fn read_frame(path: &Path) -> Result<DataFrame, DataError> {
    let file = File::open(path).map_err(|error| read_error(path, error.to_string()))?;
    let frame = ParquetReader::new(file).finish();
    // Polars adds hints on further lines.
    frame.map_err(|error| read_error(path, error.to_string().lines().next().unwrap_or_default()))
}

fn from_parquet(path: &Path) -> Result<Matrix, DataError> {
    let (dtype, values) = table(path, &read_frame(path)?, false)?;
    matrix(path, &stem(path), dtype, values.into_dyn())
}

/// The numeric columns side by side, nulls as NaN; true and false too, if `flags`.
fn table(path: &Path, frame: &DataFrame, flags: bool) -> Result<(String, Array2<f64>), DataError> {
    let wanted = |dtype: &DataType| dtype.is_primitive_numeric() || dtype.is_decimal() || (flags && dtype.is_bool());
    let columns: Vec<_> = frame.columns().iter().filter(|column| wanted(column.dtype())).collect();
    if columns.is_empty() {
        return Err(read_error(path, "has no column of numbers"));
    }
    let mut values = Array2::from_elem((frame.height(), columns.len()), f64::NAN);
    for (place, column) in columns.iter().enumerate() {
        let cast = column
            .cast(&DataType::Float64)
            .map_err(|error| read_error(path, error.to_string()))?;
        let numbers = cast.f64().map_err(|error| read_error(path, error.to_string()))?;
        for (row, value) in numbers.iter().enumerate() {
            values[[row, place]] = value.unwrap_or(f64::NAN);
        }
    }
    let name = |dtype: &DataType| match dtype {
        DataType::Float32 => "f32",
        DataType::Float64 => "f64",
        _ => "mixed",
    };
    let first = name(columns[0].dtype());
    let same = columns.iter().all(|column| name(column.dtype()) == first);
    Ok((if same { first } else { "mixed" }.into(), values))
}
