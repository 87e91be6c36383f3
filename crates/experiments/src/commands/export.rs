//! `export --run DIR`: a finished run, or every finished run of a sweep, for TensorBoard and MLflow.

mod folder;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use disentangle_report::{Exported, Mlflow, check_mlflow_uri, export_tensorboard};

use crate::ExperimentError;
use folder::{Found, read, runs_of_sweep};

/// Where finished runs go beside their own folder.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ExportTargets {
    /// Writes TensorBoard event files below DIR, by the run's name; without DIR into `tensorboard/` of its own folder.
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "")]
    tensorboard: Option<OsString>,
    /// Puts the run into the MLflow tracking server at this http address.
    #[arg(long, value_name = "URI")]
    mlflow: Option<String>,
    /// MLflow's experiment; `disentangle/<experiment>` if absent.
    #[arg(long, value_name = "NAME", requires = "mlflow")]
    experiment_name: Option<String>,
}

impl ExportTargets {
    /// Fails for an address that cannot be one of a tracking server, so that nobody learns it after hours of training.
    pub fn check(&self) -> Result<(), ExperimentError> {
        let uri = self.mlflow.as_deref().map_or(Ok(()), check_mlflow_uri);
        uri.map_err(|error| ExperimentError::Input(format!("`--mlflow`: {error}")))
    }

    fn is_empty(&self) -> bool {
        self.tensorboard.is_none() && self.mlflow.is_none()
    }

    /// The command that does the same for a run that is done.
    fn command(&self, run: &Path) -> String {
        let mut command = format!("disentangle export --run {}", run.display());
        if let Some(folder) = &self.tensorboard {
            command += format!(" --tensorboard {}", folder.display()).trim_end();
        }
        if let Some(uri) = &self.mlflow {
            // What stands before an @ may be a password, and this is printed.
            command += &format!(" --mlflow {}", if uri.contains('@') { "URI" } else { uri.as_str() });
        }
        if let Some(name) = &self.experiment_name {
            command += &format!(" --experiment-name {name:?}");
        }
        command
    }
}

/// Exports a run that is done, or all runs of a sweep that are; returns what is printed.
///
/// Exporting again replaces: the same event file with the same bytes, and the same run of the tracking server.
/// Fails for a run that is not done, a sweep without one that is, and a target that cannot be written.
pub fn export(path: &Path, targets: &ExportTargets) -> Result<String, ExperimentError> {
    if targets.is_empty() {
        return Err(ExperimentError::Input(
            "nothing to do: expected `--tensorboard [DIR]`, `--mlflow URI` or both".into(),
        ));
    }
    targets.check()?;
    let is_sweep = path.join("manifest.jsonl").is_file();
    let (runs, mut notes) = match is_sweep {
        true => runs_of_sweep(path)?,
        false => (vec![Found::alone(path)], Vec::new()),
    };
    let (mut files, mut links) = (Vec::new(), Vec::new());
    let mut server = None;
    for found in &runs {
        let run = read(&found.folder, &found.tags)?;
        if let Some(target) = &targets.tensorboard {
            files.extend(export_tensorboard(&events_folder(target.as_ref(), &run), &run)?);
        }
        if let Some(uri) = &targets.mlflow
            && server.is_none()
        {
            // All runs of a sweep are of one experiment.
            let usual = format!("disentangle/{}", run.experiment);
            server = Some(Mlflow::open(uri, targets.experiment_name.as_ref().unwrap_or(&usual))?);
        }
        if let Some(server) = &server {
            let recorded = server.export(&run)?;
            links.push(recorded.link);
            for note in recorded.notes {
                if !notes.contains(&note) {
                    notes.push(note);
                }
            }
        }
    }
    let shown = match &targets.tensorboard {
        Some(target) if !target.is_empty() => PathBuf::from(target),
        _ if is_sweep => path.join("runs"),
        _ => path.join("tensorboard"),
    };
    Ok(said(&files, &shown, &links, &notes))
}

fn events_folder(target: &Path, run: &Exported) -> PathBuf {
    match target.as_os_str().is_empty() {
        true => run.folder.join("tensorboard"),
        false => target.join(&run.name),
    }
}

fn said(files: &[PathBuf], folder: &Path, links: &[String], notes: &[String]) -> String {
    let mut text = String::new();
    if !files.is_empty() {
        let folder = folder.display();
        text += &format!(
            "tensorboard: {} event file(s); tensorboard --logdir {folder}\n",
            files.len()
        );
    }
    if let Some(last) = links.last() {
        text += &format!("mlflow: {} run(s); {last}\n", links.len());
    }
    text.extend(notes.iter().map(|note| format!("note: {note}\n")));
    text
}

/// Exports a run that was just done, and says so on stderr. A failure is a note with the command to try again: the run
/// is whole without it.
pub fn export_after(path: &Path, targets: &ExportTargets, quiet: bool) {
    if targets.is_empty() {
        return;
    }
    match export(path, targets) {
        Ok(_) if quiet => {}
        Ok(said) => eprint!("{said}"),
        Err(error) => eprintln!(
            "note: the run is done, but was not exported: {error}; try again with: {}",
            targets.command(path)
        ),
    }
}

#[cfg(test)]
mod tests;
