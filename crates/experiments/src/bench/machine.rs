//! What the numbers were measured on.

use std::process::Command;

use serde::{Deserialize, Serialize};

use super::{arguments::cores, process::Versions};
use crate::environment::Environment;

/// Processor, memory, system and versions; `None` where the system does not tell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Machine {
    /// Its model.
    pub(super) processor: Option<String>,
    /// That the system offers.
    pub(super) cores: usize,
    /// The widest vectors that the processor has: `avx512f` or `avx2`.
    pub(super) vectors: Option<String>,
    pub(super) memory_gb: Option<f64>,
    /// Load average of the last minute before anything was timed: near 0 on a quiet machine.
    #[serde(default)]
    pub(super) load: Option<f64>,
    pub(super) gpu: Option<String>,
    /// The distribution, or the kind of system.
    pub(super) system: String,
    /// Of the compiler on the path.
    pub(super) rustc: Option<String>,
    /// Of this program.
    pub(super) version: String,
    pub(super) burn: String,
    /// The commit of the working folder, if it is a git checkout.
    pub(super) git_revision: Option<String>,
    /// Whether that checkout had changes.
    pub(super) git_dirty: Option<bool>,
    /// Of the peer.
    pub(super) peer: Option<Versions>,
}

impl Machine {
    /// Asks the system.
    pub(super) fn read(peer: Option<Versions>) -> Self {
        let cores = cores();
        let environment = Environment::read(cores);
        let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let (cpu, memory, release) = (file("/proc/cpuinfo"), file("/proc/meminfo"), file("/etc/os-release"));
        let seen = peer.as_ref().and_then(|versions| versions.gpu.clone());
        Self {
            processor: entry(&cpu, "model name", ':'),
            cores,
            vectors: entry(&cpu, "flags", ':').and_then(|flags| widest(&flags)),
            memory_gb: entry(&memory, "MemTotal", ':').and_then(|text| gigabytes(&text)),
            load: file("/proc/loadavg")
                .split_whitespace()
                .next()
                .and_then(|text| text.parse().ok()),
            gpu: seen.or_else(|| first_line("nvidia-smi", &["--query-gpu=name", "--format=csv,noheader"])),
            system: entry(&release, "PRETTY_NAME", '=').unwrap_or_else(|| environment.platform.clone()),
            rustc: first_line("rustc", &["--version"]),
            version: environment.version,
            burn: environment.burn,
            git_revision: environment.git_revision,
            git_dirty: environment.git_dirty,
            peer,
        }
    }

    /// One line for people.
    pub(super) fn line(&self) -> String {
        let mut parts = vec![
            self.processor.clone().unwrap_or_else(|| "unknown processor".into()),
            format!("{} cores", self.cores),
        ];
        parts.extend(self.memory_gb.map(|memory| format!("{memory:.0} GB")));
        parts.extend(self.gpu.clone());
        parts.push(self.system.clone());
        parts.join(", ")
    }

    /// Names and values, as a table shows them.
    pub(super) fn rows(&self) -> Vec<(&'static str, String)> {
        let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".into());
        let commit = self.git_revision.as_ref().map(|revision| match self.git_dirty {
            Some(true) => format!("{revision}, with changes"),
            _ => revision.clone(),
        });
        let mut rows = vec![
            ("processor", or(&self.processor)),
            ("cores", self.cores.to_string()),
            ("vectors", or(&self.vectors)),
            (
                "memory",
                self.memory_gb.map_or_else(|| "–".into(), |gb| format!("{gb:.1} GB")),
            ),
            (
                "load before",
                self.load.map_or_else(|| "–".into(), |load| format!("{load:.1}")),
            ),
            ("GPU", or(&self.gpu)),
            ("system", self.system.clone()),
            ("compiler", or(&self.rustc)),
            ("disentangle", self.version.clone()),
            ("burn", self.burn.clone()),
            ("commit", or(&commit)),
        ];
        if let Some(peer) = &self.peer {
            rows.push(("Python", peer.python.clone()));
            rows.push(("PyTorch", peer.torch.clone()));
            rows.push(("numpy", peer.numpy.clone()));
        }
        rows
    }
}

/// The value behind the first line that begins with `key`.
fn entry(text: &str, key: &str, separator: char) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    let (_, value) = line.split_once(separator)?;
    Some(value.trim().trim_matches('"').to_string())
}

fn widest(flags: &str) -> Option<String> {
    let has = |name: &&str| flags.split_whitespace().any(|flag| flag == *name);
    ["avx512f", "avx2"]
        .iter()
        .find(|name| has(name))
        .map(ToString::to_string)
}

/// From `24689012 kB`.
fn gigabytes(text: &str) -> Option<f64> {
    let kilobytes: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024.0 / 1e9)
}

/// The first line that a program prints; `None` where it is absent or fails.
fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next()?.trim().to_string();
    (output.status.success() && !line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_system_are_read() {
        let cpu = "processor\t: 0\nmodel name\t: A Processor @ 2.0GHz\nflags\t\t: fpu avx avx2 avx512f\n";
        assert_eq!(entry(cpu, "model name", ':').unwrap(), "A Processor @ 2.0GHz");
        assert_eq!(
            entry(cpu, "flags", ':').and_then(|flags| widest(&flags)).unwrap(),
            "avx512f"
        );
        assert_eq!(widest("fpu avx2").unwrap(), "avx2");
        assert_eq!(widest("fpu avx"), None);
        assert_eq!(
            entry("PRETTY_NAME=\"An OS 12\"\n", "PRETTY_NAME", '=').unwrap(),
            "An OS 12"
        );
        assert_eq!(entry(cpu, "vendor_id", ':'), None);
        let memory = entry("MemTotal:       1000000 kB\n", "MemTotal", ':');
        assert!((gigabytes(&memory.unwrap()).unwrap() - 1.024).abs() < 1e-9);
        assert_eq!(first_line("no-such-program-anywhere", &[]), None);
        let machine = Machine::read(None);
        assert!(machine.cores > 0 && !machine.system.is_empty() && machine.line().contains("cores"));
    }
}
