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
    if let Some(features) = features(&arguments) {
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

/// The features that compile in what `--backend` and `--backends` name beside the default one, separated by commas.
fn features(arguments: &[String]) -> Option<String> {
    let mut found: Vec<&str> = Vec::new();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let named = match word.split_once('=') {
            Some(("--backend" | "--backends", named)) => Some(named),
            None if word == "--backend" || word == "--backends" => words.next().map(String::as_str),
            _ => None,
        };
        for backend in named.into_iter().flat_map(|named| named.split(',')) {
            let feature = match backend {
                "tch" | "tch-cuda" => "tch",
                "wgpu" => "wgpu",
                "cuda" => "cuda",
                // The default one, or one that the program refuses.
                _ => continue,
            };
            if !found.contains(&feature) {
                found.push(feature);
            }
        }
    }
    (!found.is_empty()).then(|| found.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_become_features() {
        let check = |arguments: &str, expected: Option<&str>| {
            let words: Vec<String> = arguments.split(' ').map(String::from).collect();
            assert_eq!(features(&words).as_deref(), expected, "{arguments}");
        };
        check("experiment finance", None);
        check("experiment finance --backend flex", None);
        check("experiment finance --backend wgpu --fast", Some("wgpu"));
        check("experiment finance --backend=cuda", Some("cuda"));
        check("bench --backends flex,tch", Some("tch"));
        check("bench --backends=wgpu,tch-cuda,tch --json", Some("wgpu,tch"));
        check("bench --backend tch --backend cuda,flex", Some("tch,cuda"));
        check("bench --backend", None);
        check("bench --backends abacus", None);
        check("bench --backendsless wgpu", None);
    }
}
