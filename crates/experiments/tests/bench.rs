//! `bench` with the real binary: cells in processes of their own, beside peers that are made up here.

mod common;

use common::{disentangle, succeed, text};
use serde_json::Value;

fn json(folder: &std::path::Path, words: &[&str]) -> Value {
    let output = succeed(
        disentangle(folder)
            .args(["bench", "--json", "--threads", "1"])
            .args(words),
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn one_cell_is_measured_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let small = ["--workloads", "small", "--repeats", "1"];
    let words = [&small[..], &["--out", "out", "--results", "RESULTS.md"]].concat();
    let document = json(folder.path(), &words);
    assert_eq!(document["schema_version"], 2);
    assert!(document["growth"].is_null());
    assert!(document["machine"]["cores"].as_u64().unwrap() > 0);
    let cells = document["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 1);
    let cell = &cells[0];
    assert_eq!(cell["workload"], "small");
    assert_eq!(cell["framework"], "flex");
    assert_eq!(cell["threads"], 1);
    assert!(cell["error"].is_null());
    assert!(cell["against"].as_array().unwrap().is_empty());
    let measured = &cell["measured"];
    assert_eq!(measured["seconds"].as_array().unwrap().len(), 1);
    assert_eq!(measured["rows"], 10_000);
    assert!(measured["rows_per_second"].as_f64().unwrap() > 0.0);
    // A loss that training brought below that of a coin.
    let loss = measured["number"].as_f64().unwrap();
    assert!(loss > 0.0 && loss < 0.7, "{loss}");
    #[cfg(target_os = "linux")]
    assert!(measured["peak_memory_mb"].as_f64().unwrap() > 1.0);

    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let written: Value = serde_json::from_str(&read("out/bench.json")).unwrap();
    assert_eq!(written, document);
    assert!(read("out/report.html").contains("Benchmarks"));
    assert!(read("RESULTS.md").contains("| small | 1 | flex |"));

    // A folder that is taken is refused before anything is measured.
    let mut again = disentangle(folder.path());
    let output = again.arg("bench").args(small).args(["--out", "out"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("already holds a run"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn what_cannot_be_measured_gets_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let check = |words: &[&str], expected: &str| {
        let output = disentangle(folder.path()).args(words).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        let error = text(&output.stderr);
        assert!(error.contains(expected), "{words:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    };
    let unknown = "error: unknown workload `moon`; expected one of: all, small, finance";
    check(&["bench", "--workloads", "small,moon"], unknown);
    let cell = ["--backend", "flex", "--threads", "1", "--repeats", "0"];
    check(&[&["bench-cell", "--workload", "moon"][..], &cell].concat(), unknown);
    check(&["bench", "--repeats", "0"], "error: --repeats 0: expected at least 1");
    check(
        &["bench", "--peer", "no-such-python"],
        "error: --peer no-such-python: cannot be started: ",
    );
    #[cfg(unix)]
    check(
        &["bench", "--peer", "false"],
        "error: --peer false: exit status: 1, without a word; expected a Python with torch, numpy and safetensors",
    );
    let compiled = [
        ("tch", cfg!(feature = "tch")),
        ("wgpu", cfg!(feature = "wgpu")),
        ("cuda", cfg!(feature = "cuda")),
    ];
    for (backend, _) in compiled.iter().filter(|(_, compiled)| !compiled) {
        let expected = format!("error: backend `{backend}` is not compiled in");
        check(&["bench", "--backend", backend], &expected);
        check(&["bench", "--backends", &format!("flex,{backend}")], &expected);
    }
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "nothing was written"
    );
}

/// Says what a Python with torch says, and runs `body` instead of a script.
#[cfg(unix)]
fn peer(folder: &std::path::Path, body: &str) -> String {
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = -c ]; then\n  \
         echo '{{\"python\": \"3\", \"torch\": \"2.9\", \"numpy\": \"2\", \"gpu\": null}}'\n  exit\nfi\n{body}\n"
    );
    let path = folder.join("python").display().to_string();
    // Written by another process: a file that this one has open cannot be executed, and tests run side by side.
    let mut write = std::process::Command::new("sh");
    succeed(write.args(["-c", "printf %s \"$0\" > \"$1\" && chmod +x \"$1\"", &script, &path]));
    path
}

#[cfg(unix)]
#[test]
fn a_peer_is_given_our_weights_and_takes_turns() {
    let folder = tempfile::tempdir().unwrap();
    let logits = ["0"; 32].join(",");
    let body = format!(
        "case \"$*\" in *training.py*--model\\ small*--threads\\ 1*--exchange*) ;; *) echo \"$*\" >&2; exit 1;; esac\n\
         for file; do :; done\n\
         grep -q bench.x \"$file\" || exit 1\n\
         grep -q transformer_layers.1.self_attn.in_proj_weight \"$file\" || exit 1\n\
         echo '{{\"framework\": \"pytorch\", \"version\": \"2.9\", \"threads\": 1, \"rows\": 10000, \"seconds\": [1e6], \
         \"peak_memory_mb\": 1e6, \"number\": 0.5, \"check\": [{logits}], \"extra\": {{}}}}'"
    );
    let python = peer(folder.path(), &body);
    let document = json(
        folder.path(),
        &["--workloads", "small", "--repeats", "2", "--peer", &python],
    );
    assert_eq!(document["machine"]["peer"]["torch"], "2.9");
    let cells = document["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 2, "{document:#}");
    assert_eq!(cells[1]["framework"], "pytorch");
    assert_eq!(cells[1]["peer"], true);
    // Each turn of the peer has one time, whatever it was asked for.
    assert_eq!(cells[0]["measured"]["seconds"].as_array().unwrap().len(), 2);
    assert_eq!(cells[1]["measured"]["seconds"], serde_json::json!([1e6, 1e6]));
    let against = &cells[0]["against"][0];
    assert_eq!(against["framework"], "pytorch");
    assert!(against["times_as_fast"].as_f64().unwrap() > 1000.0);
    // Its logits are 0, so that the difference is our largest logit.
    let difference = against["difference"].as_f64().unwrap();
    assert!(difference > 0.01 && difference < 10.0, "{difference}");
    #[cfg(target_os = "linux")]
    assert!(against["memory_share"].as_f64().unwrap() < 0.1);
}

#[cfg(unix)]
#[test]
fn a_peer_that_fails_loses_its_cell_only() {
    let folder = tempfile::tempdir().unwrap();
    let python = peer(
        folder.path(),
        "echo Traceback >&2\necho 'MemoryError: too little' >&2\nexit 1",
    );
    let words = [
        "--workloads",
        "small",
        "--repeats",
        "2",
        "--threads",
        "1",
        "--peer",
        &python,
    ];
    let output = succeed(disentangle(folder.path()).arg("bench").args(words));
    let table = text(&output.stdout);
    let row = |framework: &str| {
        let start = format!("small               1 {framework}");
        table
            .lines()
            .find(|line| line.starts_with(&start))
            .map(ToString::to_string)
    };
    assert!(
        row("pytorch").unwrap().ends_with("failed: MemoryError: too little"),
        "{table}"
    );
    assert!(!row("flex").unwrap().contains("failed"), "{table}");
}
