//! The `disentangle` binary: arguments in, exit codes out.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::Ordering,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use disentangle_experiments::{
    Backend, CANCEL, ExperimentError, Options,
    bench::{self, BenchArguments, CellArguments},
    commands::{self, DatasetCommand, ExportTargets, MonitorArguments},
    registry,
    sweep::{self, SweepArguments, TaskArguments},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Finds what a transformer on tabular sequences learned for the wrong reason, and shows where it lives.
#[derive(Debug, Parser)]
#[command(name = "disentangle", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs an experiment from data to report.
    Experiment(ExperimentArguments),
    /// Names experiments, datasets, models, sites, metrics and strategies.
    List,
    /// Measures superposition in activation matrices of any framework; prints JSON.
    Analyze {
        /// Safetensors, npy or Parquet files: rows are samples, columns are neurons.
        #[arg(long, required = true, num_args = 1..)]
        activations: Vec<PathBuf>,
        /// Labels 0 or 1, one a row: a one-dimensional npy file, or a CSV or Parquet file with one column.
        #[arg(long)]
        labels: Option<PathBuf>,
        /// Of the probe's folds.
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
    /// Scores new rows with a run's model.
    Predict {
        /// The run's folder.
        #[arg(long)]
        run: PathBuf,
        /// A price file, a table or the folder of a MEDS dataset, as the run was made of; labels are not needed.
        #[arg(long)]
        data: PathBuf,
        /// Where the scores go, as .parquet or CSV; stdout if absent.
        #[arg(long)]
        out: Option<PathBuf>,
        #[command(flatten)]
        machine: Machine,
    },
    /// Compares windows of new rows with a run's held-out rows: what drifts, and does anything predict less than it did?
    Monitor {
        #[command(flatten)]
        monitor: MonitorArguments,
        #[command(flatten)]
        machine: Machine,
    },
    /// Audits your own table or MEDS dataset: leakage, training, importance, causal effects, subgroups, report.
    Audit {
        /// A CSV (also gzip) or Parquet table, or the folder of a MEDS dataset.
        #[arg(long, required_unless_present = "resume")]
        data: Option<PathBuf>,
        /// A TOML file that says what the table's columns are; `dataset describe` proposes one.
        #[arg(long)]
        schema: Option<PathBuf>,
        /// A TOML file that says which codes of a MEDS dataset are predicted from; its own task.toml if absent.
        #[arg(long)]
        task: Option<PathBuf>,
        #[command(flatten)]
        run: RunArguments,
    },
    /// Shows two or more runs side by side.
    Compare {
        /// Run folders.
        #[arg(required = true, num_args = 2..)]
        runs: Vec<PathBuf>,
        /// One JSON document instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Renders a run's report again from its numbers; of a sweep, collects its finished runs again.
    Report {
        /// The run's or sweep's folder.
        run: PathBuf,
    },
    /// Hands a finished run, or every finished run of a sweep, to TensorBoard or MLflow.
    Export {
        /// The run's folder, or a sweep's.
        #[arg(long)]
        run: PathBuf,
        #[command(flatten)]
        targets: ExportTargets,
    },
    /// Runs an experiment for every combination of settings and seeds, here or on a cluster, and collects the numbers.
    Sweep(SweepArguments),
    /// Executes one run of a sweep.
    #[command(hide = true)]
    SweepTask(TaskArguments),
    /// Makes, fetches and describes data.
    Dataset {
        #[command(subcommand)]
        command: DatasetCommand,
    },
    /// Times our work on each backend, beside PyTorch if a Python with torch is given.
    Bench(BenchArguments),
    /// One cell of `bench`, in a process of its own; prints one JSON line.
    #[command(hide = true)]
    BenchCell(CellArguments),
}

#[derive(Clone, Debug, Args)]
struct Machine {
    /// Where tensors live.
    #[arg(long, value_enum, default_value = "flex")]
    backend: Backend,
    /// Worker threads; all cores if absent. Changes no number.
    #[arg(long)]
    threads: Option<usize>,
}

impl Machine {
    fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, Into::into);
        self.threads.unwrap_or_else(cores).max(1)
    }
}

#[derive(Debug, Args)]
struct ExperimentArguments {
    /// Its name; see `list`.
    name: String,
    #[command(flatten)]
    run: RunArguments,
}

/// What every run takes.
#[derive(Debug, Args)]
struct RunArguments {
    #[command(flatten)]
    machine: Machine,
    /// The (first) seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many seeds to run, counted on from the first.
    #[arg(long, default_value_t = 1)]
    seeds: usize,
    /// A setting; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// A TOML file with settings.
    #[arg(long)]
    config: Option<PathBuf>,
    /// The run's folder; below `runs` if absent.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Prints metrics.json on stdout instead of a table.
    #[arg(long)]
    json: bool,
    /// No progress on stderr.
    #[arg(long)]
    quiet: bool,
    /// Goes on with an interrupted run.
    #[arg(long, value_name = "DIR")]
    resume: Option<PathBuf>,
    /// A smoke run of seconds.
    #[arg(long)]
    fast: bool,
    /// Seconds between two checkpoints, at least.
    #[arg(long, default_value_t = 2, hide = true)]
    checkpoint_seconds: u64,
    #[command(flatten)]
    export: ExportTargets,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // The first Ctrl-C asks for a stop that leaves a run to resume; the second ends the process.
    let handler = ctrlc::set_handler(|| {
        if CANCEL.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprintln!("stopping after this step; press Ctrl-C again to stop at once");
    });
    if let Err(error) = handler {
        eprintln!("note: Ctrl-C cannot be handled: {error}");
    }
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(ExperimentError::Interrupted) => ExitCode::from(130),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(command: Command) -> Result<(), ExperimentError> {
    match command {
        Command::Experiment(arguments) => experiment(&arguments.name, &arguments.run, &[]),
        Command::Audit {
            data,
            schema,
            task,
            run,
        } => audit(data.as_deref(), schema.as_deref(), task.as_deref(), &run),
        Command::List => show(&commands::list(&Backend::Flex.open()?)?),
        Command::Analyze {
            activations,
            labels,
            seed,
        } => show(&commands::analyze(&activations, labels.as_deref(), seed)?),
        Command::Predict {
            run,
            data,
            out,
            machine,
        } => {
            let device = machine.backend.open()?;
            show(&commands::predict(
                &run,
                &data,
                out.as_deref(),
                &device,
                machine.threads(),
            )?)
        }
        Command::Monitor { monitor, machine } => {
            use_threads(machine.threads());
            let device = machine.backend.open()?;
            show(&commands::monitor(&monitor, &device, machine.threads())?)
        }
        Command::Compare { runs, json } => show(&commands::compare(&runs, json)?),
        Command::Report { run } => show(&format!("{}\n", commands::rerender(&run)?.display())),
        Command::Export { run, targets } => show(&commands::export(&run, &targets)?),
        Command::Sweep(arguments) => {
            let swept = sweep::sweep(&arguments)?;
            show(&swept.text)?;
            swept.verdict
        }
        Command::SweepTask(arguments) => {
            use_threads(arguments.threads());
            sweep::task(&arguments)
        }
        Command::Dataset { command } => show(&commands::dataset(&command)?),
        Command::Bench(arguments) => show(&bench::run(&arguments)?),
        Command::BenchCell(arguments) => show(&bench::cell(&arguments)?),
    }
}

/// `audit` is an experiment whose data stands in options of its own.
fn audit(
    data: Option<&Path>,
    schema: Option<&Path>,
    task: Option<&Path>,
    arguments: &RunArguments,
) -> Result<(), ExperimentError> {
    let named = [("--data", data), ("--schema", schema), ("--task", task)];
    let Some(data) = data.filter(|_| arguments.resume.is_none()) else {
        return match named.iter().find(|(_, path)| path.is_some()) {
            Some((option, _)) => Err(ExperimentError::Input(format!(
                "`--resume` takes its data from the run; expected no {option}"
            ))),
            None => experiment("audit", arguments, &[]),
        };
    };
    if !data.exists() {
        return Err(ExperimentError::Input(format!(
            "{}: there is no such file or folder",
            data.display()
        )));
    }
    if !data.is_dir() && schema.is_none() && arguments.config.is_none() {
        return Err(ExperimentError::Input(format!(
            "{}: needs `--schema FILE`, which says what its columns are; `dataset describe` proposes one",
            data.display()
        )));
    }
    // `ward` in this folder, and not the simulated one of that name.
    let word = data.components().count() == 1 && data.extension().is_none();
    let data = if word { Path::new(".").join(data) } else { data.into() };
    let named = [("dataset", Some(data.as_path())), ("schema", schema), ("task", task)];
    let sets = named
        .into_iter()
        .filter_map(|(key, path)| Some(format!("{key}={}", path?.display())));
    experiment("audit", arguments, &sets.collect::<Vec<_>>())
}

/// Analyses that use rayon stay within the same number of threads as models.
fn use_threads(threads: usize) {
    if let Err(error) = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global() {
        eprintln!("note: {error}");
    }
}

/// Runs the experiment called `name` with `sets` before those of the command line.
fn experiment(name: &str, arguments: &RunArguments, sets: &[String]) -> Result<(), ExperimentError> {
    let chosen = registry::experiment(name)?;
    // A bad address fails before hours of training.
    arguments.export.check()?;
    let threads = arguments.machine.threads();
    use_threads(threads);
    let finished = (chosen.run)(&Options {
        backend: arguments.machine.backend,
        seed: arguments.seed,
        seeds: arguments.seeds,
        sets: sets.iter().chain(&arguments.sets).cloned().collect(),
        config: arguments.config.clone(),
        out: arguments.out.clone(),
        threads,
        quiet: arguments.quiet,
        resume: arguments.resume.clone(),
        fast: arguments.fast,
        checkpoint_every: Duration::from_secs(arguments.checkpoint_seconds),
        report: true,
    })?;
    commands::export_after(&finished.path, &arguments.export, arguments.quiet);
    if arguments.json {
        return show(&finished.json);
    }
    show(&format!(
        "{}\nreport: {}\n",
        finished.summary,
        finished.path.join("report.html").display()
    ))
}

/// Prints; a reader that has gone away is no error.
fn show(text: &str) -> Result<(), ExperimentError> {
    use std::io::Write as _;
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(ExperimentError::Failed(format!("stdout: {error}")))
        }
        _ => Ok(()),
    }
}
