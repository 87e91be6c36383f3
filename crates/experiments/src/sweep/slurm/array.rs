//! The files of one job array: its list and its script.

use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use disentangle_report::{ReportError, write_file};

use super::{
    Runs,
    options::{Directive, SlurmOptions},
    script::{self, Script},
};
use crate::ExperimentError;

/// What a task is told the number of its run by.
const INDEX: &str = "--index";

/// Writes list and script of the runs `chosen` as `<stem>.txt` and `<stem>.sh` in `folder`, which is absolute.
///
/// Returns what `sbatch` is called with.
pub(super) fn write(
    folder: &Path,
    stem: &str,
    job: &str,
    options: &SlurmOptions,
    runs: &dyn Runs,
    chosen: &[usize],
) -> Result<Vec<String>, ExperimentError> {
    let (list, file) = (folder.join(format!("{stem}.txt")), folder.join(format!("{stem}.sh")));
    write_file(&list, script::list(&logs(runs, chosen)?).as_bytes())?;

    let mut directives = own_directives(folder, job, chosen.len())?;
    directives.extend(options.directives.iter().cloned());
    let (program, arguments) = command(runs, chosen);
    let script = Script {
        directives: &directives,
        setup: options.setup.as_deref(),
        list: script::text(&list)?,
        program: script::text(&program)?,
        arguments: &arguments,
    };
    write_file(&file, script.text().as_bytes())?;

    // They stand in the script too, for whoever reads it. Here they outrank the environment's SBATCH_ variables.
    let mut all = vec!["--parsable".to_string()];
    all.extend(directives.iter().map(Directive::argument));
    all.push(script::text(&file)?.into());
    Ok(all)
}

/// Moves what Slurm itself had to say of a task, for example that its time was over, to the log of its run.
pub(super) fn keep_output(folder: &Path, id: &str, task: usize, log: &Path) {
    let path = folder.join(format!("{id}_{task}.out"));
    let Ok(text) = fs::read(&path) else {
        return;
    };
    let open = || OpenOptions::new().create(true).append(true).open(log);
    if text.is_empty() || open().and_then(|mut log| log.write_all(&text)).is_ok() {
        // A file that stays costs nothing but room.
        let _ = fs::remove_file(path);
    }
}

fn own_directives(folder: &Path, job: &str, tasks: usize) -> Result<Vec<Directive>, ExperimentError> {
    let here = std::env::current_dir()
        .map_err(|error| ExperimentError::Failed(format!("the working folder cannot be read: {error}")))?;
    Ok(vec![
        Directive::new("job-name", job),
        Directive::new("array", format!("0-{}", tasks.saturating_sub(1))),
        // Relative paths of settings are those of the folder that the sweep was started in.
        Directive::new("chdir", script::text(&here)?),
        Directive::new(
            "output",
            format!("{}/%A_%a.out", script::literal(script::text(folder)?)),
        ),
    ])
}

/// The program that executes a run, and its arguments, of which the run's number must come last.
fn command(runs: &dyn Runs, chosen: &[usize]) -> (PathBuf, Vec<String>) {
    let (program, mut arguments) = runs.task_command(chosen.first().copied().unwrap_or_default());
    if let Some(place) = arguments.iter().position(|argument| argument == INDEX) {
        arguments.drain(place..(place + 2).min(arguments.len()));
    }
    arguments.push(INDEX.into());
    (program, arguments)
}

/// Each run with its log, whose folder is made.
fn logs(runs: &dyn Runs, chosen: &[usize]) -> Result<Vec<(usize, String)>, ExperimentError> {
    let mut folders = BTreeSet::new();
    let mut all = Vec::with_capacity(chosen.len());
    for &index in chosen {
        let log = absolute(&runs.log_path(index))?;
        folders.extend(log.parent().map(Path::to_path_buf));
        all.push((index, script::text(&log)?.to_string()));
    }
    for folder in folders {
        make(&folder)?;
    }
    Ok(all)
}

/// Makes a folder; one that is there is fine.
pub(super) fn make(folder: &Path) -> Result<(), ExperimentError> {
    let made = fs::create_dir_all(folder).map_err(|error| ReportError::Write {
        path: folder.into(),
        reason: error.to_string(),
    });
    Ok(made?)
}

/// A path that holds wherever a job starts.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, ExperimentError> {
    std::path::absolute(path).map_err(|error| ExperimentError::Failed(format!("{}: {error}", path.display())))
}
