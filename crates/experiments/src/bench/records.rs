//! Health records at the size of a hospital network: 100,000 patients in one shard, windowed by a task.

use disentangle_data::{Seed, ward::WardConfig};
use serde_json::{Value, json};

use super::timed;
use crate::ExperimentError;

/// 50 million events read, checked and cut into windows; rows are events, the number is the windows' count. The peak memory is of the whole
/// process, which wrote the files first.
pub(super) fn records() -> Result<Value, ExperimentError> {
    let folder = std::env::temp_dir().join(format!("disentangle-bench-{}", std::process::id()));
    let ward = |patients: usize| WardConfig {
        patients,
        vitals_minutes: 105,
        ..WardConfig::default()
    };
    let whole = ward(100_000);
    let events = whole.write(&folder, usize::MAX, Seed::new(0))?;
    let task = whole.task()?;
    let read = || -> Result<f64, ExperimentError> {
        let dataset = task.dataset(&folder, false, Seed::new(0))?.dataset;
        Ok(dataset.windows.len() as f64)
    };
    let small = ward(200).dataset(false, Seed::new(0))?.dataset;
    let measured = timed(events as usize, 3, || Ok(small.windows.len() as f64), read);
    let size = std::fs::metadata(folder.join("data/0.parquet")).map_or(0, |about| about.len());
    let removed = std::fs::remove_dir_all(&folder);
    if let Err(error) = removed {
        eprintln!("note: {}: {error}", folder.display());
    }
    let mut measured = measured?;
    measured["file_mb"] = json!(size as f64 / 1e6);
    Ok(measured)
}
