//! `cargo xtask ci`: what CI runs for a backend. And where LibTorch lies, for builds that link it.

use std::{
    env,
    path::Path,
    process::{Command, Stdio},
};

/// What tests each backend, below the repository.
const SCRIPTS: [(&str, &str); 4] = [
    ("flex", ".ci/run"),
    ("wgpu", "tests/backends/wgpu.sh"),
    ("tch", "tests/backends/tch.sh"),
    ("cuda", "tests/backends/cuda.sh"),
];

/// The command of `ci [--backend NAME]`. Fails for other arguments.
pub(crate) fn command(arguments: &[String]) -> Result<Command, String> {
    let mut command = Command::new("bash");
    command.arg(script(arguments)?);
    // What `cargo run` says: checkouts that share a target folder share this program as well.
    let here = env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").into());
    command.current_dir(Path::new(&here).join(".."));
    Ok(command)
}

fn script(arguments: &[String]) -> Result<&'static str, String> {
    let given = arguments.join(" ");
    let known = || SCRIPTS.map(|(name, _)| name).join(", ");
    let wrong = || format!("`ci {given}`: expected `ci [--backend NAME]` with one of: {}", known());
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let backend = match words[..] {
        [] => "flex",
        ["--backend", backend] => backend,
        [word] => word.strip_prefix("--backend=").ok_or_else(wrong)?,
        _ => return Err(wrong()),
    };
    let found = SCRIPTS.iter().find(|(name, _)| *name == backend);
    found.map(|(_, script)| *script).ok_or_else(wrong)
}

/// Prints where a Python's own program and its LibTorch lie, without loading it. Fails for another LibTorch than tch binds.
const WHERE: &str = "
import importlib.metadata, importlib.util, os, pathlib, sys
assert importlib.metadata.version('torch').startswith('2.9.')
torch = pathlib.Path(importlib.util.find_spec('torch').origin).parent
print(pathlib.Path(sys.executable).parent)
print(os.pathsep.join(map(str, [torch / 'lib', *sorted(torch.parent.glob('nvidia/*/lib'))])))
";

const LIBRARIES: &str = if cfg!(target_os = "macos") {
    "DYLD_LIBRARY_PATH"
} else {
    "LD_LIBRARY_PATH"
};

/// Tells the build, and the program after it, where LibTorch lies: that of `$PYTHON`, `python3` or `python`, whichever has torch 2.9.
/// Changes nothing where somebody has said it already.
pub(crate) fn find_libtorch(command: &mut Command) {
    let said = |name: &&str| env::var_os(name).is_some();
    if ["LIBTORCH", "LIBTORCH_USE_PYTORCH"].iter().any(said) {
        return;
    }
    let named = env::var("PYTHON").into_iter();
    let mut pythons = named.chain(["python3", "python"].map(String::from));
    let Some((programs, libraries)) = pythons.find_map(|python| libtorch_of(&python)) else {
        eprintln!(
            "note: no Python with torch 2.9 was found (pip install torch==2.9.1, or name one in PYTHON); the build looks for LIBTORCH, \
             or fetches LibTorch"
        );
        return;
    };
    command
        .env("LIBTORCH_USE_PYTORCH", "1")
        .env("LIBTORCH_BYPASS_VERSION_CHECK", "1")
        // The build asks `python3`, whatever Python that is.
        .env("PATH", before(&programs, "PATH"))
        .env(LIBRARIES, before(&libraries, LIBRARIES));
    if env::var_os("OMP_NUM_THREADS").is_none() {
        // Workers are threads of our own; LibTorch's below each of them would be too many.
        command.env("OMP_NUM_THREADS", "1");
    }
}

/// The folder of a Python's program, and those of LibTorch's libraries.
fn libtorch_of(python: &str) -> Option<(String, String)> {
    let output = Command::new(python)
        .args(["-c", WHERE])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    if !output.status.success() {
        return None;
    }
    let text = String::from_utf8(output.stdout).ok()?;
    let mut lines = text.lines();
    Some((lines.next()?.into(), lines.next()?.into()))
}

/// `first`, and after it what the variable holds.
fn before(first: &str, variable: &str) -> String {
    match env::var(variable) {
        Ok(rest) if !rest.is_empty() => format!("{first}{}{rest}", if cfg!(windows) { ';' } else { ':' }),
        _ => first.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_backend_has_a_script_that_exists() {
        for (backend, expected) in SCRIPTS {
            for arguments in [format!("--backend {backend}"), format!("--backend={backend}")] {
                let words: Vec<String> = arguments.split(' ').map(String::from).collect();
                assert_eq!(script(&words), Ok(expected));
            }
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(expected);
            assert!(path.exists(), "{}", path.display());
        }
        assert_eq!(script(&[]), Ok(".ci/run"));
    }

    #[test]
    fn other_arguments_are_named() {
        let check = |arguments: &[&str]| {
            let words: Vec<String> = arguments.iter().map(ToString::to_string).collect();
            let given = arguments.join(" ");
            let expected = format!("`ci {given}`: expected `ci [--backend NAME]` with one of: flex, wgpu, tch, cuda");
            assert_eq!(script(&words), Err(expected));
        };
        check(&["--backend"]);
        check(&["--backend", "metal"]);
        check(&["--fast"]);
        check(&["--backend", "wgpu", "--fast"]);
    }

    #[test]
    fn a_python_that_cannot_be_asked_has_no_libtorch() {
        assert_eq!(libtorch_of("no-such-python"), None);
    }
}
