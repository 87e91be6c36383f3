//! `bench`: our training beside the PyTorch peer's, in one go.

use std::{path::Path, process::Command, sync::atomic::AtomicBool, time::Instant};

use burn::tensor::Device;
use chrono::NaiveDateTime;
use disentangle_data::{Dataset, Scaler, Seed, Split, Window};
use disentangle_models::{
    ModelConfig, SequenceConfig,
    train::{Control, Erm, Loss, Task, TrainConfig, train},
};
use ndarray::Array2;
use serde_json::{Value, json};

use crate::ExperimentError;

const PEER: &str = include_str!("../../../benches/peer/finance.py");

/// Sizes of the finance workload; the peer is called with the same.
const ROWS: usize = 800;
const SEQUENCE: usize = 30;
const FEATURES: usize = 5;
const EPOCHS: usize = 10;
const REPEATS: usize = 3;

/// Runs the named workloads, and the peer where a Python with torch is given. Returns one JSON document.
pub fn bench(
    workloads: &[String],
    peer: Option<&Path>,
    device: &Device,
    threads: usize,
) -> Result<Value, ExperimentError> {
    let mut results = Vec::new();
    for workload in workloads {
        if workload != "finance" {
            return Err(ExperimentError::Input(format!(
                "unknown workload `{workload}`; expected one of: finance"
            )));
        }
        let ours = finance(device, threads)?;
        let theirs = peer.map(|python| run_peer(python, threads)).transpose()?;
        let ratio = theirs
            .as_ref()
            .and_then(|peer| Some(peer["median_seconds"].as_f64()? / ours["median_seconds"].as_f64()?));
        results.push(json!({"workload": workload, "ours": ours, "peer": theirs, "peer_over_ours": ratio}));
    }
    Ok(json!({"schema_version": 1, "threads": threads, "results": results}))
}

/// Standard normal rows; the label is the sign of the first feature's mean over time, as the peer's.
fn rows() -> Dataset {
    let mut rng = Seed::new(0).child("bench").rng();
    let rows = Array2::from_shape_simple_fn((ROWS * SEQUENCE, FEATURES), || rng.normal() as f32);
    let windows = (0..ROWS).map(|row| {
        let start = row * SEQUENCE;
        let sum: f32 = (start..start + SEQUENCE).map(|r| rows[[r, 0]]).sum();
        Window {
            start,
            target: start + SEQUENCE,
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
        lookback: SEQUENCE,
        features: (0..FEATURES).map(|f| f.to_string()).collect(),
        groups: Vec::new(),
        windows: windows.collect(),
        rows,
        subjects: vec!["bench".into()],
        environments: vec!["bench".into()],
        scaler: Scaler::identity(FEATURES),
        shared_validation: false,
        notices: Vec::new(),
    }
}

fn finance(device: &Device, threads: usize) -> Result<Value, ExperimentError> {
    let dataset = rows();
    let windows: Vec<usize> = (0..ROWS).collect();
    let task = Task {
        dataset: &dataset,
        train: &windows,
        // The peer does not validate; one row is the least that the engine takes.
        validation: &windows[..1],
        loss: Loss::Bce,
    };
    let model = ModelConfig::Sequence(SequenceConfig::new(FEATURES, SEQUENCE)).init(Seed::new(0), device)?;
    let run = |epochs: usize| -> Result<(f64, f64), ExperimentError> {
        let config = TrainConfig {
            epochs,
            batch: 0,
            patience: 0,
            ..TrainConfig::default()
        };
        let control = Control {
            threads,
            cancel: &AtomicBool::new(false),
            on_epoch: &mut |_| {},
            checkpoint: None,
            resume: None,
        };
        let start = Instant::now();
        let trained = train(&model, &task, &mut Erm, &config, Seed::new(0), device, control)?;
        let loss = trained.history.last().map_or(f64::NAN, |epoch| epoch.train_loss);
        Ok((start.elapsed().as_secs_f64(), loss))
    };
    run(1)?;
    let runs: Vec<(f64, f64)> = (0..REPEATS).map(|_| run(EPOCHS)).collect::<Result<_, _>>()?;
    let mut seconds: Vec<f64> = runs.iter().map(|(seconds, _)| *seconds).collect();
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    Ok(json!({
        "framework": "disentangle",
        "rows": ROWS,
        "epochs": EPOCHS,
        "seconds": seconds,
        "median_seconds": median,
        "rows_per_second": (ROWS * EPOCHS) as f64 / median,
        "peak_memory_mb": peak_memory(),
        "final_loss": runs[0].1,
    }))
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

fn run_peer(python: &Path, threads: usize) -> Result<Value, ExperimentError> {
    let failed = |reason: String| {
        ExperimentError::Input(format!(
            "--peer {}: {reason}; expected a Python with torch",
            python.display()
        ))
    };
    let arguments = [
        ("--rows", ROWS),
        ("--sequence", SEQUENCE),
        ("--features", FEATURES),
        ("--epochs", EPOCHS),
        ("--repeats", REPEATS),
        ("--threads", threads),
    ];
    let mut command = Command::new(python);
    command.args(["-c", PEER]);
    for (name, value) in arguments {
        command.args([name, &value.to_string()]);
    }
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
        "{:<10} {:<13} {:>9} {:>12} {:>12} {:>10}\n",
        "workload", "framework", "seconds", "rows/s", "peak MB", "loss"
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
                "{:<10} {:<13} {:>9} {:>12} {:>12} {:>10}\n",
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
