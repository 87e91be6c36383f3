//! Health records at the size of a hospital network: 100,000 patients in one shard, windowed by a task.

use disentangle_data::{Seed, ward::WardConfig};

use crate::{
    ExperimentError,
    bench::measure::{Answer, Job},
};

/// 50 million events read, checked and cut into windows; rows are events, the number is the windows' count. The peak
/// memory is of the whole process, which wrote the files first.
pub(crate) fn records(job: &Job) -> Result<Answer, ExperimentError> {
    let folder = std::env::temp_dir().join(format!("disentangle-records-{}", std::process::id()));
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
    let warm_up = || -> Result<(), ExperimentError> {
        ward(200).dataset(false, Seed::new(0))?;
        Ok(())
    };
    let measured = job.time(events as usize, warm_up, read);
    let size = std::fs::metadata(folder.join("data/0.parquet")).map_or(0, |about| about.len());
    if let Err(error) = std::fs::remove_dir_all(&folder) {
        eprintln!("note: {}: {error}", folder.display());
    }
    let (mut answer, windows) = measured?;
    answer.number = Some(windows);
    answer.extra.insert("file_mb".into(), (size as f64 / 1e6).into());
    Ok(answer)
}
