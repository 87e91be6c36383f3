//! The machine that Slurm's commands are run on: commands, time, Ctrl-C and stderr. Tests put a simulated cluster here.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader, Read as _},
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use crate::{CANCEL, ExperimentError};

/// What is needed of Slurm.
const COMMANDS: [&str; 3] = ["sbatch", "squeue", "scontrol"];

/// What a command came to.
pub(super) struct Reply {
    pub(super) success: bool,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Reply {
    /// What it said, in one line.
    pub(super) fn message(&self) -> String {
        let lines: Vec<&str> = self
            .stderr
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        if lines.is_empty() {
            "it failed without a word".into()
        } else {
            lines.join("; ")
        }
    }
}

/// Everything outside that a launcher touches beside files.
pub(super) trait Host {
    /// Runs one of Slurm's commands to its end; fails if it cannot be started.
    fn run(&self, program: &str, arguments: &[String]) -> Result<Reply, ExperimentError>;
    /// Lets time pass, until Ctrl-C.
    fn wait(&self, time: Duration);
    /// Whether Ctrl-C was pressed.
    fn stopped(&self) -> bool;
    /// Shows a line to the user.
    fn say(&self, line: &str);
}

/// The machine that this process runs on.
pub(super) struct ThisHost;

impl ThisHost {
    /// Fails if Slurm's commands are not installed here.
    pub(super) fn open() -> Result<Self, ExperimentError> {
        check_installed(std::env::var_os("PATH").as_deref())?;
        Ok(Self)
    }
}

impl Host for ThisHost {
    fn run(&self, program: &str, arguments: &[String]) -> Result<Reply, ExperimentError> {
        let failed = |error: std::io::Error| ExperimentError::Failed(format!("`{program}` cannot be run: {error}"));
        let mut command = Command::new(program);
        command.args(arguments);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // A user's filters of `squeue` would hide tasks, which would then count as ended.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SQUEUE_") {
                command.env_remove(name);
            }
        }
        let mut child = command.spawn().map_err(failed)?;
        let stdout = child.stdout.take();
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = stdout {
                // What was read before an error is judged as it is.
                let _ = pipe.read_to_end(&mut bytes);
            }
            bytes
        });
        let mut stderr = String::new();
        if let Some(pipe) = child.stderr.take() {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                stderr += &format!("{line}\n");
                // Where the queue is full `sbatch` sleeps for two minutes, in which nobody would follow the jobs.
                if line.contains("sleeping and retrying") {
                    child.kill().map_err(failed)?;
                }
            }
        }
        let status = child.wait().map_err(failed)?;
        let stdout = reader.join().unwrap_or_default();
        Ok(Reply {
            success: status.success(),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr,
        })
    }

    fn wait(&self, time: Duration) {
        let end = Instant::now() + time;
        while !self.stopped() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(Duration::from_millis(100)));
        }
    }

    fn stopped(&self) -> bool {
        CANCEL.load(Ordering::Relaxed)
    }

    fn say(&self, line: &str) {
        eprintln!("{line}");
    }
}

fn check_installed(path: Option<&OsStr>) -> Result<(), ExperimentError> {
    let folders: Vec<PathBuf> = path
        .map(|path| std::env::split_paths(path).collect())
        .unwrap_or_default();
    let absent = |name: &&str| !folders.iter().any(|folder| folder.join(name).is_file());
    let absent: Vec<String> = COMMANDS
        .iter()
        .copied()
        .filter(absent)
        .map(|name| format!("`{name}`"))
        .collect();
    if absent.is_empty() {
        return Ok(());
    }
    Err(ExperimentError::Input(format!(
        "`--launcher slurm` does not find {} on PATH; expected Slurm's commands, as on a login node of a cluster",
        absent.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_commands_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let check = || check_installed(Some(folder.path().as_os_str())).map_err(|error| error.to_string());
        std::fs::write(folder.path().join("squeue"), "").unwrap();
        assert!(
            check()
                .unwrap_err()
                .contains("does not find `sbatch`, `scontrol` on PATH; expected Slurm's commands")
        );
        for name in COMMANDS {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(check(), Ok(()));
        assert!(check_installed(None).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn commands_are_run_to_their_end() {
        let run = |script: &str| ThisHost.run("sh", &["-c".into(), script.into()]).unwrap();
        // More than a pipe holds, on both sides.
        let reply = run("yes out | head -n 100000; yes err | head -n 100000 >&2");
        assert!(reply.success);
        assert_eq!((reply.stdout.len(), reply.stderr.len()), (400_000, 400_000));
        let reply = run("echo 'sbatch: error: first' >&2; echo second >&2; exit 3");
        assert!(!reply.success);
        assert_eq!(reply.message(), "sbatch: error: first; second");
        assert_eq!(run("exit 1").message(), "it failed without a word");
        assert!(ThisHost.run("no-such-command", &[]).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_command_that_would_sleep_is_not_waited_for() {
        let script =
            "echo 'sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying' >&2; exec sleep 600";
        let reply = ThisHost.run("sh", &["-c".into(), script.into()]).unwrap();
        assert!(!reply.success && reply.message().contains("temporarily unable"));
    }
}
