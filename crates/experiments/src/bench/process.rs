//! A process for each cell: our own binary, or a peer's script.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    arguments::Sizes,
    measure::Answer,
    workloads::{Peer, Workload},
};
use crate::{Backend, ExperimentError};

/// The peers, and what they share.
pub(super) const SCRIPTS: [(&str, &str); 7] = [
    ("common.py", include_str!("../../../../benches/peer/common.py")),
    ("training.py", include_str!("../../../../benches/peer/training.py")),
    ("capacity.py", include_str!("../../../../benches/peer/capacity.py")),
    ("mitigation.py", include_str!("../../../../benches/peer/mitigation.py")),
    ("causal.py", include_str!("../../../../benches/peer/causal.py")),
    ("capture.py", include_str!("../../../../benches/peer/capture.py")),
    ("matrices.py", include_str!("../../../../benches/peer/matrices.py")),
];

/// Prints what is known of a peer before anything is timed.
const VERSIONS: &str = "import json, platform, numpy, safetensors, torch
gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
print(json.dumps({'python': platform.python_version(), 'torch': torch.__version__, 'numpy': numpy.__version__, 'gpu': gpu}))";

/// What a peer's Python holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Versions {
    pub(super) python: String,
    pub(super) torch: String,
    pub(super) numpy: String,
    /// The GPU that its torch sees.
    pub(super) gpu: Option<String>,
}

/// Why a process gave no answer.
#[derive(Debug)]
pub(super) struct Ended {
    /// Its exit code, if it was not killed.
    pub(super) code: Option<i32>,
    pub(super) message: String,
}

/// Which binary and which Python, and a folder for scripts and exchanged files, removed in the end.
pub(super) struct Place {
    program: PathBuf,
    python: Option<PathBuf>,
    folder: PathBuf,
}

impl Place {
    /// Writes the peers' scripts.
    pub(super) fn new(python: Option<&Path>) -> Result<Self, ExperimentError> {
        let failed =
            |what: &Path, error: std::io::Error| ExperimentError::Failed(format!("{}: {error}", what.display()));
        let program = std::env::current_exe().map_err(|error| failed(Path::new("this program"), error))?;
        let folder = std::env::temp_dir().join(format!("disentangle-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|error| failed(&folder, error))?;
        let place = Self {
            program,
            python: python.map(Into::into),
            folder,
        };
        for (name, text) in SCRIPTS {
            let path = place.path(name);
            std::fs::write(&path, text).map_err(|error| failed(&path, error))?;
        }
        Ok(place)
    }

    /// A file of the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn has_peers(&self) -> bool {
        self.python.is_some()
    }

    /// Opens a backend in a process of its own. Fails where it is not compiled in; whatever else happens shows in the
    /// cells.
    pub(super) fn probe(&self, backend: Backend) -> Result<(), ExperimentError> {
        let mut command = Command::new(&self.program);
        command.args(["bench-cell", "--workload", "small", "--backend", backend.name()]);
        command.args(["--threads", "1", "--repeats", "0"]);
        match run::<Answer>(&mut command) {
            Err(Ended { code: Some(2), message }) => Err(ExperimentError::Input(message)),
            _ => Ok(()),
        }
    }

    /// What the peer's Python holds; `None` without a peer. Fails where it is no Python, or one without torch.
    pub(super) fn versions(&self) -> Result<Option<Versions>, ExperimentError> {
        let Some(python) = &self.python else {
            return Ok(None);
        };
        let found = run(Command::new(python).args(["-c", VERSIONS]));
        found.map(Some).map_err(|ended| {
            ExperimentError::Input(format!(
                "--peer {}: {}; expected a Python with torch, numpy and safetensors",
                python.display(),
                ended.message
            ))
        })
    }

    /// One cell of ours.
    pub(super) fn ours(
        &self,
        workload: &Workload,
        backend: Backend,
        threads: usize,
        repeats: usize,
        sizes: &Sizes,
        exchange: Option<&Path>,
    ) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["bench-cell", "--workload", workload.name, "--backend", backend.name()]);
        command.args(["--threads", &threads.to_string(), "--repeats", &repeats.to_string()]);
        command.args(sizes.ours());
        if let Some(path) = exchange {
            command.arg("--exchange").arg(path);
        }
        // LibTorch takes all cores otherwise, whatever the workers do.
        let inner = workload.inner_threads(threads).to_string();
        command.env("OMP_NUM_THREADS", &inner).env("MKL_NUM_THREADS", &inner);
        command
    }

    /// One cell of a peer; `None` where no Python was given.
    pub(super) fn peer(
        &self,
        peer: &Peer,
        threads: usize,
        repeats: usize,
        sizes: &Sizes,
        exchange: Option<&Path>,
    ) -> Option<Command> {
        let mut command = Command::new(self.python.as_ref()?);
        command
            .arg(self.path(peer.script))
            .args(peer.arguments.split_whitespace());
        command.args(["--threads", &threads.to_string(), "--repeats", &repeats.to_string()]);
        if peer.sized {
            command.args(sizes.peers());
        }
        if let Some(path) = exchange {
            command.arg("--exchange").arg(path);
        }
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        // Its scripts say how many threads there are; what was said to our LibTorch is not for them.
        command.env_remove("OMP_NUM_THREADS").env_remove("MKL_NUM_THREADS");
        Some(command)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            eprintln!("note: {}: {error}", self.folder.display());
        }
    }
}

/// Runs a process to its end and reads the last line that it prints.
pub(super) fn run<T: DeserializeOwned>(command: &mut Command) -> Result<T, Ended> {
    let ended = |code: Option<i32>, message: String| Ended { code, message };
    let output = command
        .output()
        .map_err(|error| ended(None, format!("cannot be started: {error}")))?;
    let code = output.status.code();
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(ended(code, said(code, &output.status.to_string(), &reason)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    serde_json::from_str(last.trim()).map_err(|error| ended(code, format!("its answer cannot be read: {error}")))
}

/// The last thing that a process said, and how it ended where it did not end by itself.
fn said(code: Option<i32>, status: &str, reason: &str) -> String {
    // A panic ends with a hint about backtraces.
    let last = reason
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty() && !line.starts_with("note:"));
    match (last, code) {
        (Some(last), Some(_)) => last.strip_prefix("error: ").unwrap_or(last).to_string(),
        (Some(last), None) => format!("{status}: {last}"),
        (None, _) => format!("{status}, without a word"),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Result<Answer, Ended> {
        run(Command::new("sh").args(["-c", script]))
    }

    #[test]
    fn the_last_line_is_the_answer() {
        let line = r#"{"framework": "x", "version": "1", "threads": 2, "rows": 3, "seconds": [0.5, 0.25],
            "peak_memory_mb": null, "number": 0.5, "check": [1, 2.5], "extra": {"way": "turn"}}"#
            .replace('\n', "");
        let answer = shell(&format!("echo loading; echo warning >&2; echo '{line}'; echo")).unwrap();
        assert_eq!((answer.seconds, answer.check), (vec![0.5, 0.25], vec![1.0, 2.5]));
        assert_eq!((answer.peak_memory_mb, answer.number), (None, Some(0.5)));
        assert_eq!(answer.extra["way"], "turn");
    }

    #[test]
    fn whatever_goes_wrong_is_one_message() {
        let check = |script: &str, code: Option<i32>, expected: &str| {
            let ended = shell(script).unwrap_err();
            assert_eq!(ended.code, code, "{script}");
            assert!(ended.message.starts_with(expected), "{script}: {}", ended.message);
        };
        check(
            "echo first >&2; echo 'error: no such thing' >&2; exit 2",
            Some(2),
            "no such thing",
        );
        check(
            "echo 'thread main panicked' >&2; echo 'out of luck' >&2; echo 'note: run with a backtrace' >&2; exit 101",
            Some(101),
            "out of luck",
        );
        check("exit 3", Some(3), "exit status: 3, without a word");
        check("kill -9 $$", None, "signal: 9");
        check("echo soon >&2; kill -9 $$", None, "signal: 9 (SIGKILL): soon");
        check("echo hello", Some(0), "its answer cannot be read: ");
        check("true", Some(0), "its answer cannot be read: ");
        let absent: Result<Answer, Ended> = run(&mut Command::new("no-such-program-anywhere"));
        let ended = absent.unwrap_err();
        assert!(ended.message.starts_with("cannot be started: ") && ended.code.is_none());
    }
}
