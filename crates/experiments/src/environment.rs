//! Where a run was made: `environment.json`.

use std::process::Command;

use serde::{Deserialize, Serialize};

/// Versions, revision and machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Environment {
    /// Of this program.
    pub version: String,
    /// The libraries that make the numbers.
    pub burn: String,
    /// The commit of the working folder, if it is a git checkout.
    pub git_revision: Option<String>,
    /// Whether that checkout had changes.
    pub git_dirty: Option<bool>,
    /// Worker threads.
    pub threads: usize,
    /// Cores that the system offers.
    pub cores: usize,
    /// Operating system and processor family.
    pub platform: String,
    /// The machine's name.
    pub host: Option<String>,
}

impl Environment {
    /// Asks the system.
    pub(crate) fn read(threads: usize) -> Self {
        let git = |arguments: &[&str]| {
            let output = Command::new("git")
                .args(arguments)
                .output()
                .ok()
                .filter(|output| output.status.success())?;
            Some(String::from_utf8_lossy(&output.stdout).trim().to_string())
        };
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            burn: "0.22.1".into(),
            git_revision: git(&["rev-parse", "HEAD"]),
            git_dirty: git(&["status", "--porcelain"]).map(|changes| !changes.is_empty()),
            threads,
            cores: std::thread::available_parallelism().map_or(1, Into::into),
            platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            host: std::fs::read_to_string("/proc/sys/kernel/hostname")
                .ok()
                .map(|name| name.trim().to_string()),
        }
    }
}
