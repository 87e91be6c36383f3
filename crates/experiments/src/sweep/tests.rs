//! Sweeps without processes: plans, hashes, rounds of a simulated launcher, numbers over seeds, figures.

mod numbers;
mod plans;
mod rounds;

use clap::Parser as _;

use super::*;

#[derive(clap::Parser)]
struct Cli {
    #[command(flatten)]
    sweep: SweepArguments,
}

fn arguments(words: &[&str]) -> SweepArguments {
    Cli::parse_from(["sweep"].iter().chain(words).copied()).sweep
}

/// The plan of a command line; what it says if there is none.
fn planned(words: &[&str]) -> Result<Plan, String> {
    let arguments = arguments(words);
    let experiment = registry::experiment(&arguments.name).map_err(|error| error.to_string())?;
    plan::plan(&arguments, &experiment.sweep, "local").map_err(|error| error.to_string())
}
