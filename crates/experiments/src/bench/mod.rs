//! `bench`: our work beside a peer's in Python, in one go.

mod causal;
mod mitigation;
mod records;

use std::{path::Path, process::Command, sync::atomic::AtomicBool, time::Instant};

use burn::tensor::Device;
use chrono::NaiveDateTime;
use disentangle_analysis::{Pca, probing, spectra::Spectrum};
use disentangle_data::{Dataset, InputLayer, Scaler, Seed, Split, Window, synthetic::SyntheticConfig};
use disentangle_models::{
    Classifier, HealthcareConfig, LargeConfig, Model, ModelConfig, SequenceConfig, SmallConfig, parallel,
    train::{Control, Erm, Loss, Monitor, Task, TrainConfig, train},
};
use ndarray::{Array2, Array3};
use serde_json::{Value, json};

use crate::ExperimentError;

/// Epochs of every training but `ehr`.
const EPOCHS: usize = 10;
/// Epochs of `ehr`; its peer is told the same.
const EHR_EPOCHS: usize = 5;
const REPEATS: usize = 3;

/// Something to time.
struct Workload {
    name: &'static str,
    ours: fn(&Device, usize) -> Result<Value, ExperimentError>,
    /// A script, and its arguments beside `--threads`; `None` where there is nobody to compare with.
    peer: Option<(&'static str, &'static [&'static str])>,
}

const TRAINING: &str = include_str!("../../../../benches/peer/training.py");
const CAPACITY: &str = include_str!("../../../../benches/peer/capacity.py");
const MATRICES: &str = include_str!("../../../../benches/peer/matrices.py");

const CAUSAL: &str = include_str!("../../../../benches/peer/causal.py");
const MITIGATION: &str = include_str!("../../../../benches/peer/mitigation.py");

const WORKLOADS: [Workload; 11] = [
    Workload {
        name: "finance",
        ours: finance,
        peer: Some((TRAINING, &["--model", "sequence", "--rows", "800", "--batch", "0"])),
    },
    Workload {
        name: "small",
        ours: small,
        peer: Some((
            TRAINING,
            &[
                "--model",
                "small",
                "--rows",
                "1000",
                "--sequence",
                "1",
                "--features",
                "50",
                "--batch",
                "32",
            ],
        )),
    },
    Workload {
        name: "ehr",
        ours: ehr,
        peer: Some((
            TRAINING,
            &[
                "--model",
                "healthcare",
                "--rows",
                "990",
                "--sequence",
                "10",
                "--features",
                "12",
                "--hidden",
                "128",
                "--layers",
                "3",
                "--feed-forward",
                "512",
                "--epochs",
                "5",
                "--batch",
                "0",
            ],
        )),
    },
    Workload {
        name: "capacity",
        ours: capacity,
        peer: Some((CAPACITY, &[])),
    },
    Workload {
        name: "spectrum",
        ours: |_, _| matrices("spectrum"),
        peer: Some((MATRICES, &["--what", "spectrum"])),
    },
    Workload {
        name: "pca",
        ours: |_, _| matrices("pca"),
        peer: Some((MATRICES, &["--what", "pca"])),
    },
    Workload {
        name: "capture",
        ours: capture,
        peer: None,
    },
    Workload {
        name: "records",
        ours: |_, _| records::records(),
        peer: None,
    },
    Workload {
        name: "effect-map",
        ours: causal::effect_map,
        peer: Some((CAUSAL, &["--what", "effect-map"])),
    },
    Workload {
        name: "neurons",
        ours: causal::neurons,
        peer: Some((CAUSAL, &["--what", "neurons"])),
    },
    Workload {
        name: "mitigation",
        ours: mitigation::mitigation,
        peer: Some((MITIGATION, &[])),
    },
];

/// Runs the named workloads, and the peer where a Python with torch and numpy is given. Returns one JSON document.
pub fn bench(
    workloads: &[String],
    peer: Option<&Path>,
    device: &Device,
    threads: usize,
) -> Result<Value, ExperimentError> {
    let chosen: Vec<&Workload> = workloads
        .iter()
        .map(|name| {
            let found = WORKLOADS.iter().find(|workload| workload.name == name);
            found.ok_or_else(|| {
                let names = WORKLOADS.map(|workload| workload.name).join(", ");
                ExperimentError::Input(format!("unknown workload `{name}`; expected one of: {names}"))
            })
        })
        .collect::<Result<_, _>>()?;
    let mut results = Vec::new();
    for workload in chosen {
        let ours = (workload.ours)(device, threads)?;
        let theirs = match (peer, workload.peer) {
            (Some(python), Some((script, arguments))) => Some(run_peer(python, script, arguments, threads)?),
            _ => None,
        };
        let ratio = theirs
            .as_ref()
            .and_then(|peer| Some(peer["median_seconds"].as_f64()? / ours["median_seconds"].as_f64()?));
        results.push(json!({"workload": workload.name, "ours": ours, "peer": theirs, "peer_over_ours": ratio}));
    }
    Ok(json!({"schema_version": 1, "threads": threads, "results": results}))
}

/// Standard normal rows; the label is the sign of the first feature's mean over time, as the peer's.
fn rows(count: usize, sequence: usize, features: usize) -> Dataset {
    let mut rng = Seed::new(0).child("bench").rng();
    let rows = Array2::from_shape_simple_fn((count * sequence, features), || rng.normal() as f32);
    let windows = (0..count).map(|row| {
        let start = row * sequence;
        let sum: f32 = (start..start + sequence).map(|r| rows[[r, 0]]).sum();
        Window {
            start,
            target: start + sequence,
            time: NaiveDateTime::default(),
            subject: 0,
            environment: 0,
            label: f32::from(u8::from(sum > 0.0)),
            shortcut: None,
            split: Split::Train,
        }
    });
    Dataset {
        name: "bench".into(),
        simulated: true,
        lookback: sequence,
        features: (0..features).map(|f| f.to_string()).collect(),
        groups: Vec::new(),
        windows: windows.collect(),
        rows,
        subjects: vec!["bench".into()],
        environments: vec!["bench".into()],
        scaler: Scaler::identity(features),
        layer: InputLayer::default(),
        shared_validation: false,
        notices: Vec::new(),
    }
}

/// Times a piece of work after a warm-up; `work` returns a number to compare with the peer's.
fn timed(
    rows: usize,
    repeats: usize,
    mut warm_up: impl FnMut() -> Result<f64, ExperimentError>,
    mut work: impl FnMut() -> Result<f64, ExperimentError>,
) -> Result<Value, ExperimentError> {
    warm_up()?;
    let (mut seconds, mut last) = (Vec::new(), 0.0);
    for _ in 0..repeats {
        let start = Instant::now();
        last = work()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    Ok(json!({
        "framework": "disentangle",
        "rows": rows,
        "seconds": seconds,
        "median_seconds": median,
        "rows_per_second": rows as f64 / median,
        "peak_memory_mb": peak_memory(),
        "final_loss": last,
    }))
}

/// Trains for `epochs` and returns the last epoch's training loss.
fn fit(
    model: &Model,
    dataset: &Dataset,
    batch: usize,
    epochs: usize,
    device: &Device,
    threads: usize,
) -> Result<f64, ExperimentError> {
    let windows = dataset.part(Split::Train);
    let task = Task {
        dataset,
        train: &windows,
        // The peer does not validate; one row is the least that the engine takes.
        validation: &windows[..1],
        loss: Loss::Bce,
    };
    let config = TrainConfig {
        epochs,
        batch,
        patience: 0,
        monitor: Monitor::Off,
        ..TrainConfig::default()
    };
    let control = Control {
        threads,
        cancel: &AtomicBool::new(false),
        on_epoch: &mut |_| {},
        checkpoint: None,
        resume: None,
    };
    let trained = train(model, &task, &mut Erm, &config, Seed::new(0), device, control)?;
    Ok(trained.history.last().map_or(f64::NAN, |epoch| epoch.train_loss))
}

fn finance(device: &Device, threads: usize) -> Result<Value, ExperimentError> {
    let dataset = rows(800, 30, 5);
    let model = ModelConfig::Sequence(SequenceConfig::new(5, 30)).init(Seed::new(0), device)?;
    let run = |epochs| fit(&model, &dataset, 0, epochs, device, threads);
    timed(800 * EPOCHS, REPEATS, || run(1), || run(EPOCHS))
}

fn small(device: &Device, threads: usize) -> Result<Value, ExperimentError> {
    let dataset = rows(1000, 1, 50);
    let model = ModelConfig::Small(SmallConfig::new(50)).init(Seed::new(0), device)?;
    let run = |epochs| fit(&model, &dataset, 32, epochs, device, threads);
    timed(1000 * EPOCHS, REPEATS, || run(1), || run(EPOCHS))
}

/// The healthcare model at the notebook's sizes; both attentions see all features, as there.
fn ehr(device: &Device, threads: usize) -> Result<Value, ExperimentError> {
    let dataset = rows(990, 10, 12);
    let model = ModelConfig::Healthcare(HealthcareConfig::shared(12, 10)).init(Seed::new(0), device)?;
    let run = |epochs| fit(&model, &dataset, 0, epochs, device, threads);
    timed(990 * EHR_EPOCHS, REPEATS, || run(1), || run(EHR_EPOCHS))
}

/// The notebook's 45 trainings, side by side on the threads.
fn capacity(device: &Device, threads: usize) -> Result<Value, ExperimentError> {
    let mut cells = Vec::new();
    for features in [3, 5, 7] {
        for hidden in [32, 64, 128] {
            cells.extend((0..5).map(|seed| (features, hidden, seed)));
        }
    }
    let one = |&(features, hidden, seed): &(usize, usize, u64), epochs: usize| {
        let data = SyntheticConfig {
            features,
            ..SyntheticConfig::multifeature()
        };
        let dataset = data.dataset(Seed::new(seed))?;
        let config = SmallConfig {
            hidden,
            ..SmallConfig::new(dataset.features.len())
        };
        let model = ModelConfig::Small(config).init(Seed::new(seed), device)?;
        fit(&model, &dataset, 32, epochs, device, 1)
    };
    let all = || {
        let losses = parallel::map(threads, &cells, |cell| one(cell, EPOCHS));
        let losses: Vec<f64> = losses.into_iter().collect::<Result<_, ExperimentError>>()?;
        Ok(losses.iter().sum::<f64>() / losses.len() as f64)
    };
    timed(1000 * cells.len() * EPOCHS, 1, || one(&cells[0], 1), all)
}

/// Singular values or principal components of 10,000 x 768 normal values; the number is the effective rank.
fn matrices(what: &str) -> Result<Value, ExperimentError> {
    let mut rng = Seed::new(0).child("matrix").rng();
    let x = Array2::from_shape_simple_fn((10_000, 768), || rng.normal());
    let rank = |x: ndarray::ArrayView2<f64>| -> Result<f64, ExperimentError> {
        let spectrum = Spectrum::new("matrix", x)?;
        Ok(spectrum.effective_rank().unwrap_or(f64::NAN))
    };
    let pca = |x: ndarray::ArrayView2<f64>| -> Result<f64, ExperimentError> {
        let pca = Pca::fit(x).map_err(|error| ExperimentError::Failed(error.to_string()))?;
        let s = pca.variance.mapv(f64::sqrt);
        let p = &s / s.sum();
        Ok((-p.iter().filter(|p| **p > 0.0).map(|p| p * p.ln()).sum::<f64>()).exp())
    };
    let few = x.slice(ndarray::s![..1600, ..]);
    if what == "pca" {
        timed(10_000, REPEATS, || pca(few), || pca(x.view()))
    } else {
        timed(10_000, REPEATS, || rank(few), || rank(x.view()))
    }
}

/// Every site of a 12-layer, 768-wide model over 10,000 rows: the peak memory is the figure of interest.
fn capture(device: &Device, _threads: usize) -> Result<Value, ExperimentError> {
    let model = ModelConfig::Large(LargeConfig::new(64, 2)).init(Seed::new(0), device)?;
    let sites: Vec<String> = model.sites().into_iter().map(|site| site.name).collect();
    let mut rng = Seed::new(0).child("capture").rng();
    let x = Array3::from_shape_simple_fn((10_000, 2, 64), || rng.normal() as f32);
    let work = || {
        let captured = probing::capture(&model, x.view(), &sites, 1_400_000_000, device)?;
        Ok(captured.len() as f64)
    };
    timed(10_000, 1, || Ok(0.0), work)
}

/// The process's largest resident set so far, where the system tells.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace()
        .nth(1)?
        .parse::<f64>()
        .ok()
        .map(|kilobytes| kilobytes / 1024.0)
}

fn run_peer(python: &Path, script: &str, arguments: &[&str], threads: usize) -> Result<Value, ExperimentError> {
    let failed = |reason: String| {
        ExperimentError::Input(format!(
            "--peer {}: {reason}; expected a Python with torch and numpy",
            python.display()
        ))
    };
    let mut command = Command::new(python);
    command.args(["-c", script]).args(arguments);
    command.args(["--threads", &threads.to_string()]);
    let output = command.output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(failed(
            reason.lines().last().unwrap_or("it failed without a word").to_string(),
        ));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.trim()).map_err(|error| failed(format!("its answer is no JSON: {error}")))
}

/// The document as a table.
pub fn table(document: &Value) -> String {
    let mut text = format!(
        "{:<10} {:<13} {:>9} {:>12} {:>12} {:>14}\n",
        "workload", "framework", "seconds", "rows/s", "peak MB", "loss or rank"
    );
    for result in document["results"].as_array().into_iter().flatten() {
        for side in [&result["ours"], &result["peer"]] {
            if side.is_null() {
                continue;
            }
            let number = |key: &str, digits: usize| {
                side[key]
                    .as_f64()
                    .map_or_else(|| "–".into(), |value| format!("{value:.digits$}"))
            };
            text += &format!(
                "{:<10} {:<13} {:>9} {:>12} {:>12} {:>14}\n",
                result["workload"].as_str().unwrap_or_default(),
                side["framework"].as_str().unwrap_or_default(),
                number("median_seconds", 3),
                number("rows_per_second", 0),
                number("peak_memory_mb", 0),
                number("final_loss", 4),
            );
        }
        if let Some(ratio) = result["peer_over_ours"].as_f64() {
            text += &format!("{:<10} {ratio:.2} times as fast as the peer\n", "");
        }
    }
    text
}
