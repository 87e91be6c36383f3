//! `cargo xtask ...`: builds the `disentangle` binary with the features that the backend needs, and becomes it.

use std::{
    env,
    process::{Command, ExitCode},
};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
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
        command.args(["--features", &backend]);
    }
    command.arg("--").args(&arguments);
    become_it(command)
}

/// On Unix the process is replaced, so that Ctrl-C reaches the program and nothing between.
#[cfg(unix)]
fn become_it(mut command: Command) -> ExitCode {
    use std::os::unix::process::CommandExt as _;
    let error = command.exec();
    eprintln!("error: cargo cannot be started: {error}");
    ExitCode::FAILURE
}

#[cfg(not(unix))]
fn become_it(mut command: Command) -> ExitCode {
    match command.status() {
        Ok(status) => ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
        Err(error) => {
            eprintln!("error: cargo cannot be started: {error}");
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
        return value.filter(|name| ["tch", "wgpu", "cuda"].contains(&name.as_str()));
    }
    None
}
