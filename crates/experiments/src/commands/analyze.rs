//! `analyze --activations FILE...`: superposition measures of matrices from any framework.

use std::path::{Path, PathBuf};

use disentangle_analysis::{
    Estimate,
    probe::{ProbeConfig, probe_auc},
    similarity::linear_cka,
    site::SiteMeasures,
};
use disentangle_data::{Matrix, Seed, read_labels, read_matrices};
use serde_json::{Value, json};

use crate::ExperimentError;

/// Measures every matrix of the files, and the similarity of every pair with as many rows; one JSON document. With labels (0 or 1, one
/// a row) a linear probe says how well they can be read off each matrix on rows that it was not fitted on.
pub fn analyze(activations: &[PathBuf], labels: Option<&Path>, seed: u64) -> Result<String, ExperimentError> {
    let mut matrices: Vec<Matrix> = Vec::new();
    for path in activations {
        let read = read_matrices(path)?;
        for mut matrix in read {
            if matrices.iter().any(|other| other.name == matrix.name) {
                // Two files may call their tensors alike.
                matrix.name = format!("{}:{}", path.display(), matrix.name);
            }
            matrices.push(matrix);
        }
    }
    let labels = labels
        .map(|path| Ok::<_, ExperimentError>((path, read_labels(path)?)))
        .transpose()?;
    let measured = matrices.iter().map(|matrix| {
        let labels = labels.as_ref().map(|(path, labels)| (*path, labels.as_slice()));
        measure(matrix, labels, Seed::new(seed).child(&matrix.name))
    });
    let measured: Vec<Value> = measured.collect::<Result<_, _>>()?;
    let mut pairs = Vec::new();
    for (index, a) in matrices.iter().enumerate() {
        for b in matrices[index + 1..]
            .iter()
            .filter(|b| b.values.nrows() == a.values.nrows())
        {
            let value = linear_cka((&a.name, a.values.view()), (&b.name, b.values.view()))?;
            pairs.push(json!({"a": a.name, "b": b.name, "value": value}));
        }
    }
    let document = json!({"schema_version": 1, "matrices": measured, "cka": pairs});
    let text = serde_json::to_string_pretty(&document).map_err(|error| ExperimentError::Failed(error.to_string()))?;
    Ok(text + "\n")
}

fn measure(matrix: &Matrix, labels: Option<(&Path, &[f32])>, seed: Seed) -> Result<Value, ExperimentError> {
    let (name, values) = (&matrix.name, matrix.values.view());
    let measures = SiteMeasures::new(name, values)?;
    let probe = match labels {
        None => Estimate::undefined("no labels were given", values.nrows()),
        Some((path, labels)) if labels.len() != values.nrows() => {
            let reason = format!(
                "{}: holds {} labels, expected one for each of the {} rows of `{name}`",
                path.display(),
                labels.len(),
                values.nrows()
            );
            return Err(ExperimentError::Input(reason));
        }
        Some((_, labels)) => probe_auc(name, values, labels, &ProbeConfig::default(), seed)?,
    };
    let spectrum = &measures.spectrum;
    Ok(json!({
        "name": name,
        "n": measures.rows,
        "d": measures.columns,
        "dtype": matrix.dtype,
        "mean": measures.statistics.mean,
        "std": measures.statistics.std,
        "sparsity": measures.statistics.sparsity,
        "dead_neurons": measures.statistics.dead,
        "constant_neurons": measures.statistics.constant,
        "explained_variance": spectrum.explained_variance,
        "effective_rank": measures.effective_rank.value,
        "effective_rank_one_percent": spectrum.effective_rank_one_percent,
        "participation_ratio": measures.participation_ratio.value,
        "interference": measures.interference.value,
        "excess_interference": measures.excess_interference.value,
        "alignment": measures.alignment.value,
        "spectral_slope": spectrum.spectral_slope,
        "compression_ratio": spectrum.compression_ratio,
        "condition_number": spectrum.condition_number,
        "dropped_directions": spectrum.dropped,
        "probe_auc": {"value": probe.value, "low": probe.low, "high": probe.high, "note": probe.note},
    }))
}
