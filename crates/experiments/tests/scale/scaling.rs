//! Sizes have closed forms, trends follow their points, and an interrupted grid is finished with the same bytes.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Child, Stdio},
};

use serde_json::Value;

use crate::{
    close,
    common::{disentangle, succeed},
    intervals_hold_their_values, list, number, run,
};

/// Numbers in the large transformer: input and positions, then for each layer four matrices of attention, two of the feed-forward part that
/// are four times as wide, and two normalisations, then the output; all with biases.
fn parameters(width: u64, depth: u64, positions: u64, columns: u64) -> u64 {
    let layer = 4 * (width * width + width) + (8 * width * width + 5 * width) + 4 * width;
    (columns + 1) * width + positions * width + depth * layer + width + 1
}

/// The slope of the least-squares line.
fn slope(x: &[f64], y: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (middle, level) = (mean(x), mean(y));
    let products = x.iter().zip(y).map(|(x, y)| (x - middle) * (y - level)).sum::<f64>();
    products / x.iter().map(|x| (x - middle).powi(2)).sum::<f64>()
}

#[test]
fn sizes_have_closed_forms_and_trends_follow_their_points() {
    let folder = tempfile::tempdir().unwrap();
    let (_, found) = run(folder.path(), "scaling", &[]);
    // Five genuine groups and the shortcut, ten columns each.
    assert_eq!((&found["positions"], &found["repeats"]), (&6.into(), &2.into()));
    let trends = list(&found["trends"]);
    let of_arm = |axis: &str, when: &str| -> Vec<&Value> {
        let own = trends.iter().filter(|one| one["axis"] == axis && one["when"] == when);
        own.collect()
    };
    let measures: Vec<&str> = of_arm("width", "initial")
        .iter()
        .map(|one| one["measure"].as_str().unwrap())
        .collect();
    let place = |measure: &str| measures.iter().position(|one| *one == measure).unwrap();
    for model in list(&found["models"]) {
        let (width, depth) = (model["width"].as_u64().unwrap(), model["depth"].as_u64().unwrap());
        let expected = parameters(width, depth, 6, 10);
        assert_eq!(model["parameters"], expected, "width {width}, depth {depth}");
        for stage in ["initial", "trained"].map(|stage| &model[stage]) {
            let entries = list(&stage["gradients"])
                .iter()
                .map(|one| one["entries"].as_u64().unwrap());
            assert_eq!(entries.sum::<u64>(), expected);
            let (layers, sites) = (list(&stage["layers"]), list(&stage["sites"]));
            assert_eq!((layers.len() as u64, sites.len() as u64), (depth, 2 + 3 * depth));
            // Of a model are means over layers, and over sites.
            let over_layers = layers.iter().map(|one| number(&one["head_diversity"]["value"]));
            let diversity = number(&stage["values"][place("head_diversity")]["value"]);
            close(
                "head diversity",
                diversity,
                over_layers.sum::<f64>() / layers.len() as f64,
            );
            let silent = place("sparsity");
            let over_sites = sites.iter().map(|one| number(&one["values"][silent]["value"]));
            let sparsity = number(&stage["values"][silent]["value"]);
            close("sparsity", sparsity, over_sites.sum::<f64>() / sites.len() as f64);
        }
    }
    assert!(intervals_hold_their_values(&found) > 500);
    let mut checked = 0;
    for (axis, sizes, other, at) in [
        ("width", [8.0, 16.0, 32.0], "depth", 2),
        ("depth", [1.0, 2.0, 3.0], "width", 16),
    ] {
        for when in ["initial", "trained"] {
            let own = of_arm(axis, when);
            assert_eq!(own.len(), measures.len());
            for (place, one) in own.iter().enumerate() {
                assert_eq!(one["measure"], measures[place]);
                checked += usize::from(line_is_that_of_means(one, &found, (axis, &sizes), (other, at), place));
            }
        }
    }
    assert!(checked >= 5, "{checked} lines");
    // Every trend that has a fit is drawn.
    let page = std::fs::read_to_string(folder.path().join("run/report.html")).unwrap();
    let names = ["initial", "trained"].map(|when| ["exponent", "slope"].map(|what| format!("{when}: {what} ")));
    let drawn: usize = names.iter().flatten().map(|name| page.matches(name).count()).sum();
    let fitted = trends.iter().filter(|one| one["trend"]["curve"].is_array()).count();
    assert_eq!(drawn, fitted);
}

/// Every training has a line of its own; with a value everywhere their mean slope is that of the line through the means. False where the
/// trend is no line, or a value is missing.
fn line_is_that_of_means(
    one: &Value,
    found: &Value,
    (axis, sizes): (&str, &[f64]),
    (other, at): (&str, u64),
    place: usize,
) -> bool {
    let trend = &one["trend"];
    let models = list(&found["models"]);
    let means: Option<Vec<f64>> = sizes
        .iter()
        .map(|size| {
            let model = models
                .iter()
                .find(|model| model[axis].as_f64() == Some(*size) && model[other] == at);
            let estimate = &model.unwrap()[one["when"].as_str().unwrap()]["values"][place];
            estimate["value"].as_f64().filter(|_| estimate["n"] == found["repeats"])
        })
        .collect();
    let Some(means) = means.filter(|_| trend["form"] == "linear") else {
        return false;
    };
    let expected = slope(sizes, &means);
    let what = format!("{} over {axis}, {}", one["measure"], one["when"]);
    let scale = means.iter().fold(1e-12f64, |most, mean| most.max(mean.abs()));
    for (found, expected) in [
        (&trend["slope"], expected),
        (&trend["change"], expected * (sizes[sizes.len() - 1] - sizes[0])),
    ] {
        let found = number(&found["value"]);
        assert!(
            (found - expected).abs() <= 1e-9 * scale,
            "{what}: {found}, not {expected}"
        );
    }
    true
}

/// Trainings that are done, of a run that is under way.
fn cells(run: &Path) -> usize {
    let entries = std::fs::read_dir(run.join("checkpoint/cells"));
    let names = entries.into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".json")).count()
}

/// Waits until so many trainings are done, without a clock.
fn until_cells(run: &Path, count: usize, child: &mut Child) {
    while cells(run) < count {
        assert!(
            child.try_wait().unwrap().is_none(),
            "the run ended before it could be stopped"
        );
        std::thread::yield_now();
    }
}

/// Files that must not depend on how a run went.
fn results(run: &Path) -> BTreeMap<&'static str, Vec<u8>> {
    let names = ["metrics.json", "metrics.parquet", "report.html", "config.toml"];
    names
        .into_iter()
        .map(|name| (name, std::fs::read(run.join(name)).unwrap()))
        .collect()
}

#[cfg(unix)]
#[test]
fn interrupted_grids_resume_and_end_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let start = |out: &str, threads: &str| {
        let mut command = disentangle(folder.path());
        command.args(["experiment", "scaling", "--fast", "--quiet", "--out", out]);
        command.args(["--threads", threads, "--set", "epochs=4", "--checkpoint-seconds", "0"]);
        command
    };
    succeed(&mut start("whole", "2"));
    let expected = results(&folder.path().join("whole"));
    for (out, signal, state) in [("killed", "-KILL", "running"), ("interrupted", "-INT", "interrupted")] {
        let run = folder.path().join(out);
        let mut child = start(out, "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until_cells(&run, 2, &mut child);
        let sent = std::process::Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
        assert!(!child.wait().unwrap().success());
        let status: Value = serde_json::from_slice(&std::fs::read(run.join("status.json")).unwrap()).unwrap();
        assert_eq!(status["state"], state);
        // Six sizes, twice each.
        assert!((2..12).contains(&cells(&run)), "it was stopped in the middle");
        succeed(disentangle(folder.path()).args(["experiment", "scaling", "--resume", out, "--threads", "2"]));
        for (name, content) in results(&run) {
            assert!(content == expected[name], "{out}: {name} differs after resuming");
        }
        assert!(!run.join("checkpoint").exists(), "{out}");
    }
}
