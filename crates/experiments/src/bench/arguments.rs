//! What `bench` and `bench-cell` are asked for on the command line.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{
    matrix::Comparison,
    workloads::{self, Workload},
};
use crate::{Backend, ExperimentError};

/// The matrix, and where its numbers go.
#[derive(Clone, Debug, clap::Args)]
pub struct BenchArguments {
    /// What to time, separated by commas, or `all` (without what needs a GPU, unless a backend on CUDA is
    /// named).
    #[arg(long, value_delimiter = ',', default_value = "finance")]
    workloads: Vec<String>,
    /// Where tensors live, separated by commas; the first is also what growth is measured on.
    #[arg(
        long,
        visible_alias = "backend",
        value_enum,
        value_delimiter = ',',
        default_value = "flex"
    )]
    backends: Vec<Backend>,
    /// Numbers of worker threads, separated by commas; all cores if absent.
    #[arg(long, value_delimiter = ',')]
    threads: Vec<usize>,
    /// A Python with torch, numpy and safetensors.
    #[arg(long)]
    pub(super) peer: Option<PathBuf>,
    /// How often each piece of work is timed; if absent, as often as suits its length.
    #[arg(long)]
    repeats: Option<usize>,
    /// Also times the finance training at growing numbers of rows, widths, depths and threads.
    #[arg(long)]
    growth: bool,
    /// A new folder for bench.json, report.html and figures; nothing is written if absent.
    #[arg(long)]
    pub(super) out: Option<PathBuf>,
    /// A Markdown file for the table and the machine; replaced if it exists.
    #[arg(long)]
    pub(super) results: Option<PathBuf>,
    /// One JSON document instead of a table.
    #[arg(long)]
    pub(super) json: bool,
}

/// One cell of the matrix.
#[derive(Clone, Debug, clap::Args)]
pub struct CellArguments {
    /// Its name.
    #[arg(long)]
    pub(super) workload: String,
    /// Where tensors live.
    #[arg(long, value_enum)]
    pub(super) backend: Backend,
    /// Worker threads.
    #[arg(long)]
    pub(super) threads: usize,
    /// How often the work is timed.
    #[arg(long)]
    pub(super) repeats: usize,
    /// A safetensors file to be written: rows and weights for the peers.
    #[arg(long)]
    pub(super) exchange: Option<PathBuf>,
    #[command(flatten)]
    pub(super) sizes: Sizes,
}

/// Sizes of the finance training; other workloads have sizes of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
pub(super) struct Sizes {
    /// Windows.
    #[arg(long, default_value_t = Sizes::default().rows)]
    pub(super) rows: usize,
    /// Width of the residual stream; the feed-forward part has four times as many neurons.
    #[arg(long, default_value_t = Sizes::default().hidden)]
    pub(super) hidden: usize,
    /// Encoder layers.
    #[arg(long, default_value_t = Sizes::default().layers)]
    pub(super) layers: usize,
    /// Passes over the rows.
    #[arg(long, default_value_t = Sizes::default().epochs)]
    pub(super) epochs: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            rows: 800,
            hidden: 64,
            layers: 2,
            epochs: 10,
        }
    }
}

impl Sizes {
    /// As `bench-cell` takes them.
    pub(super) fn ours(&self) -> Vec<String> {
        let pairs = [
            ("--rows", self.rows),
            ("--hidden", self.hidden),
            ("--layers", self.layers),
            ("--epochs", self.epochs),
        ];
        let words = pairs
            .into_iter()
            .map(|(key, value)| [key.to_string(), value.to_string()]);
        words.flatten().collect()
    }

    /// As `training.py` takes them.
    pub(super) fn peers(&self) -> Vec<String> {
        let mut words = self.ours();
        words.extend(["--feed-forward".to_string(), (4 * self.hidden).to_string()]);
        words
    }
}

/// What is asked, checked.
pub(super) struct Plan {
    pub(super) workloads: Vec<&'static Workload>,
    /// At least one.
    pub(super) backends: Vec<Backend>,
    /// At least one, each at least 1.
    pub(super) threads: Vec<usize>,
    pub(super) repeats: Option<usize>,
    pub(super) growth: bool,
}

impl BenchArguments {
    /// Fails for unknown workloads and for no repeats.
    pub(super) fn plan(&self) -> Result<Plan, ExperimentError> {
        if self.repeats == Some(0) {
            return Err(ExperimentError::Input("--repeats 0: expected at least 1".into()));
        }
        let mut backends: Vec<Backend> = Vec::new();
        for &backend in &self.backends {
            if !backends.contains(&backend) {
                backends.push(backend);
            }
        }
        let mut threads: Vec<usize> = self.threads.iter().map(|&threads| threads.max(1)).collect();
        threads.sort_unstable();
        threads.dedup();
        if threads.is_empty() {
            threads.push(cores());
        }
        Ok(Plan {
            workloads: workloads::choose(&self.workloads, &backends)?,
            backends,
            threads,
            repeats: self.repeats,
            growth: self.growth,
        })
    }
}

impl Plan {
    /// Workload by workload, threads by threads.
    pub(super) fn comparisons(&self) -> Vec<Comparison> {
        let pairs = self
            .workloads
            .iter()
            .flat_map(|&workload| self.threads.iter().map(move |&threads| (workload, threads)));
        let comparisons = pairs.map(|(workload, threads)| Comparison {
            workload,
            backends: workload.backends(&self.backends),
            threads,
            repeats: self.repeats.unwrap_or(workload.repeats),
            sizes: Sizes::default(),
        });
        comparisons.collect()
    }
}

/// That the system offers.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        bench: BenchArguments,
    }

    #[derive(Debug, Parser)]
    struct CellCli {
        #[command(flatten)]
        cell: CellArguments,
    }

    #[track_caller]
    fn check(words: &[&str], workloads: &[&str], backends: &[Backend], threads: &[usize]) {
        let cli = Cli::try_parse_from(std::iter::once(&"bench").chain(words)).unwrap();
        let plan = cli.bench.plan().unwrap();
        let names: Vec<&str> = plan.workloads.iter().map(|workload| workload.name).collect();
        assert_eq!(names, workloads, "{words:?}");
        assert_eq!(plan.backends, backends, "{words:?}");
        assert_eq!(plan.threads, threads, "{words:?}");
    }

    #[test]
    fn lists_and_single_values_are_read() {
        let finance: &[&str] = &["finance"];
        let (flex, tch) = (Backend::Flex, Backend::Tch);
        check(&[], finance, &[flex], &[cores()]);
        check(&["--backend", "tch", "--threads", "3"], finance, &[tch], &[3]);
        check(
            &["--backends", "tch,flex,tch", "--threads", "4,0,2,4"],
            finance,
            &[tch, flex],
            &[1, 2, 4],
        );
        check(
            &["--backend", "flex", "--backends=tch", "--workloads", "pca,small,pca"],
            &["pca", "small"],
            &[flex, tch],
            &[cores()],
        );
        Cli::command().debug_assert();
        CellCli::command().debug_assert();
    }

    #[test]
    fn what_cannot_be_asked_gets_a_sentence() {
        let check = |words: &[&str], expected: &str| {
            let cli = Cli::try_parse_from(std::iter::once(&"bench").chain(words)).unwrap();
            let error = cli.bench.plan().err().unwrap();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().starts_with(expected), "{error}");
        };
        check(&["--repeats", "0"], "--repeats 0: expected at least 1");
        check(
            &["--workloads", "moon"],
            "unknown workload `moon`; expected one of: all, ",
        );
        assert!(Cli::try_parse_from(["bench", "--backends", "abacus"]).is_err());
    }

    #[test]
    fn a_cell_is_told_its_sizes() {
        let sizes = Sizes {
            rows: 400,
            hidden: 32,
            ..Sizes::default()
        };
        let words = [
            "cell",
            "--workload",
            "finance",
            "--backend",
            "flex",
            "--threads",
            "2",
            "--repeats",
            "1",
        ];
        let words = words.map(String::from).into_iter().chain(sizes.ours());
        assert_eq!(CellCli::try_parse_from(words).unwrap().cell.sizes, sizes);
        let peers = sizes.peers().join(" ");
        assert_eq!(
            peers,
            "--rows 400 --hidden 32 --layers 2 --epochs 10 --feed-forward 128"
        );
    }
}
