//! `report DIR`: draws a run's report again from its numbers.

use std::path::{Path, PathBuf};

use disentangle_report::{ReportError, RunDir, State, page, read_json, save_figures, write_file};
use serde_json::Value;

use crate::{Aggregate, ExperimentError, Render, registry, sweep};

/// Writes `report.html` and the figures of a finished run again; returns the report's path. Of a sweep the finished runs are
/// collected again.
pub fn rerender(path: &Path) -> Result<PathBuf, ExperimentError> {
    if sweep::is_sweep(path) {
        return sweep::collect_again(path);
    }
    // A seed's folder lies in `seeds/` of its run.
    let of_seed = path
        .parent()
        .filter(|parent| parent.file_name().is_some_and(|name| name == "seeds"))
        .and_then(Path::parent);
    let status = RunDir::read_status(of_seed.unwrap_or(path))?;
    if status.state != State::Done {
        let reason = format!("the run is {:?}, expected one that is done", status.state).to_lowercase();
        return Err(ReportError::NotARun {
            path: path.into(),
            reason,
        }
        .into());
    }
    let report = outcome(path)?.report();
    save_figures(&report, &path.join("figures"))?;
    let target = path.join("report.html");
    write_file(&target, page(&report).as_bytes())?;
    Ok(target)
}

/// A run's numbers, whatever its experiment.
pub(super) fn outcome(path: &Path) -> Result<Box<dyn Render>, ExperimentError> {
    if sweep::is_sweep(path) {
        return Err(ReportError::NotARun {
            path: path.into(),
            reason: "is a sweep; expected one of its runs, which lie in runs/".into(),
        }
        .into());
    }
    let json: Value = read_json(path, "metrics.json")?;
    let text = |key: &str| json[key].as_str().unwrap_or_default().to_string();
    match (text("kind").as_str(), text("experiment").as_str()) {
        ("aggregate", _) => Ok(Box::new(read_json::<Aggregate>(path, "metrics.json")?)),
        ("run", name) if let Ok(experiment) = registry::experiment(name) => (experiment.read)(path),
        (_, other) => Err(ReportError::NotARun {
            path: path.into(),
            reason: format!("metrics.json is of experiment `{other}`, which this program does not know"),
        }
        .into()),
    }
}
