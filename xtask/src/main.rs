//! `cargo xtask ...`: builds the `disentangle` binary with the features that the backend needs, and becomes it.
//!
//! `cargo xtask ci [--backend NAME]` runs what CI runs.

mod ci;

use std::{
    env,
    process::{Command, ExitCode},
};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.first().is_some_and(|command| command == "ci") {
        return match ci::command(&arguments[1..]) {
            Ok(command) => become_it(command),
            Err(reason) => {
                eprintln!("error: {reason}");
                ExitCode::from(2)
            }
        };
    }
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut command = Command::new(cargo);
    command.arg("run");
    // A first build takes minutes, and somebody who waits wants to see that it goes on.
    if arguments
        .iter()
        .any(|argument| argument == "--quiet" || argument == "--json")
    {
        command.arg("--quiet");
    }
    command.args(["--package", "disentangle-experiments", "--bin", "disentangle"]);
    if let Some(backend) = backend(&arguments) {
        let features = features(&backend);
        if features.split(',').any(|feature| feature == "tch") {
            ci::find_libtorch(&mut command);
        }
        command.args(["--features", &features]);
    }
    command.arg("--").args(&arguments);
    become_it(command)
}

/// On Unix the process is replaced, so that Ctrl-C reaches the program and nothing between.
#[cfg(unix)]
fn become_it(mut command: Command) -> ExitCode {
    use std::os::unix::process::CommandExt as _;
    let error = command.exec();
    eprintln!("error: {} cannot be started: {error}", command.get_program().display());
    ExitCode::FAILURE
}

#[cfg(not(unix))]
fn become_it(mut command: Command) -> ExitCode {
    match command.status() {
        Ok(status) => ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
        Err(error) => {
            eprintln!("error: {} cannot be started: {error}", command.get_program().display());
            ExitCode::FAILURE
        }
    }
}

/// The backend that must be compiled in beside the default one.
fn backend(arguments: &[String]) -> Option<String> {
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let value = match argument.strip_prefix("--backend") {
            Some("") => arguments.next().cloned(),
            Some(rest) => rest.strip_prefix('=').map(Into::into),
            None => continue,
        };
        return value.filter(|name| ["tch", "tch-cuda", "wgpu", "cuda"].contains(&name.as_str()));
    }
    None
}

/// The features that compile backends in, both separated by commas: a backend on CUDA may be one with its CPU's.
fn features(backends: &str) -> String {
    let feature = |backend: &str| match backend {
        "tch-cuda" => "tch".to_string(),
        other => other.to_string(),
    };
    backends.split(',').map(feature).collect::<Vec<_>>().join(",")
}
