//! The report in a real Chromium: every figure draws, nothing is logged as an error, and no request leaves the page.
//!
//! Where no Chromium is installed the tests say so and pass, unless `CI` is set.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use disentangle_experiments::{
    Backend, Options,
    registry::{self, Registered},
};
use serde_json::Value;

fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let usual = [
        "/usr/bin/chromium",
        "/usr/bin/chromium-browser",
        "/usr/bin/google-chrome",
    ]
    .map(PathBuf::from);
    let found = named.into_iter().chain(usual).find(|path| path.exists());
    if found.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI needs Chromium; install it or set CHROMIUM"
        );
        eprintln!("not tested: no Chromium; install it or set CHROMIUM");
    }
    found
}

/// Watches from before the first script of the page: errors, requests, violations of the page's own policy.
const WATCH: &str = r#"<script>
window.seen = { errors: [], violations: [] };
addEventListener("error", (event) => seen.errors.push(String(event.message || event.target)), true);
addEventListener("unhandledrejection", (event) => seen.errors.push(String(event.reason)));
const log = console.error; console.error = (...words) => { seen.errors.push(words.join(" ")); log(...words); };
document.addEventListener("securitypolicyviolation", (event) => seen.violations.push(event.blockedURI));
</script>"#;

/// Afterwards: sorts a table by a number, then writes what was seen into the page.
const TELL: &str = r#"<script>
const tell = () => {
  const figures = [...document.querySelectorAll("figure")].map((figure) => ({
    id: figure.id,
    drawn: figure.querySelectorAll(".plot .main-svg, .plot canvas").length > 0,
    marks: figure.querySelectorAll(".plot .trace, .plot .bars .point, .plot .hm image, .plot canvas").length,
  }));
  const cell = document.querySelector("td.number");
  const table = cell && cell.closest("table");
  let sorted = null;
  if (table) {
    const column = cell.cellIndex;
    table.querySelectorAll("th button")[column].click();
    const values = [...table.tBodies[0].rows].map((row) => row.cells[column].dataset.value).filter((v) => v !== undefined).map(Number);
    sorted = values.length > 1 && values.every((v, i) => i === 0 || values[i - 1] <= v);
  }
  const requests = performance.getEntriesByType("resource").map((entry) => entry.name).filter((name) => !/^(data|blob):/.test(name));
  const box = document.createElement("script");
  box.type = "application/json"; box.id = "told";
  box.textContent = JSON.stringify({ ...seen, requests, figures, sorted, drawn: document.documentElement.dataset.drawn || null,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth, width: innerWidth });
  document.body.append(box);
};
const wait = (left) => document.documentElement.dataset.drawn || left === 0 ? tell() : setTimeout(wait, 100, left - 1);
addEventListener("load", () => setTimeout(wait, 100, 100));
</script>"#;

fn watched(report: &str) -> String {
    let page = report.replacen("<head>", &format!("<head>{WATCH}"), 1);
    match page.rfind("</body>") {
        Some(end) => format!("{}{TELL}{}", &page[..end], &page[end..]),
        None => page + TELL,
    }
}

fn open(chromium: &Path, folder: &Path, page: &str, width: u32) -> Value {
    let path = folder.join("watched.html");
    std::fs::write(&path, page).unwrap();
    let output = Command::new(chromium)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
        ])
        .args([
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--use-angle=swiftshader",
            "--enable-unsafe-swiftshader",
        ])
        .args(["--virtual-time-budget=20000", "--dump-dom"])
        .arg(format!("--window-size={width},900"))
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("file://{}", path.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    let start = dom
        .rfind(r#"id="told">"#)
        .unwrap_or_else(|| panic!("the page said nothing:\n{}", String::from_utf8_lossy(&output.stderr)));
    let json = &dom[start + r#"id="told">"#.len()..];
    serde_json::from_str(&json[..json.find("</script>").unwrap()]).unwrap()
}

/// Settings with which an experiment takes seconds and yet shows everything.
fn quick(experiment: &str) -> (bool, &'static [&'static str]) {
    match experiment {
        "finance" => (
            false,
            &[
                "hidden=16",
                "feed_forward=32",
                "epochs=3",
                "permutations=9",
                "resamples=20",
                "granger_draws=9",
                "window=100",
                "refit_rows=200",
            ],
        ),
        _ => (true, &[]),
    }
}

fn report(experiment: &Registered, folder: &Path) -> String {
    let (fast, sets) = quick(experiment.name);
    let finished = (experiment.run)(&Options {
        backend: Backend::Flex,
        seed: 0,
        seeds: 1,
        sets: sets.iter().map(ToString::to_string).collect(),
        config: None,
        out: Some(folder.join("run")),
        threads: 2,
        quiet: true,
        resume: None,
        fast,
        checkpoint_every: Duration::from_hours(1),
        report: true,
    })
    .unwrap();
    std::fs::read_to_string(finished.path.join("report.html")).unwrap()
}

#[test]
fn every_figure_draws_and_nothing_leaves_the_page() {
    let Some(chromium) = chromium() else { return };
    for experiment in registry::experiments() {
        let folder = tempfile::tempdir().unwrap();
        let page = report(&experiment, folder.path());
        draws(&chromium, folder.path(), &page, experiment.name);
    }
}

fn draws(chromium: &Path, folder: &Path, page: &str, name: &str) {
    let told = open(chromium, folder, &watched(page), 1200);
    for nothing in ["errors", "requests", "violations"] {
        assert_eq!(told[nothing], serde_json::json!([]), "{name}: {nothing}");
    }
    let figures = told["figures"].as_array().unwrap();
    assert!(figures.len() >= 3, "{name}: {figures:?}");
    for figure in figures {
        assert!(
            figure["drawn"] == true && figure["marks"].as_u64().unwrap() > 0,
            "{name}: {figure}"
        );
    }
    assert_eq!(told["drawn"], figures.len().to_string(), "{name}");
    assert_eq!(told["sorted"], true, "{name}: a click on a heading sorts by its number");

    let phone = open(chromium, folder, &watched(page), 390);
    assert_eq!(
        phone["overflow"], 0,
        "{name}: the page is as wide as the screen ({})",
        phone["width"]
    );
    assert_eq!(phone["errors"], serde_json::json!([]), "{name}");
}

/// The watch must be able to bark.
#[test]
fn a_page_that_asks_for_something_is_noticed() {
    let Some(chromium) = chromium() else { return };
    let folder = tempfile::tempdir().unwrap();
    let page = |policy: &str| {
        format!(
            r#"<!DOCTYPE html><html><head>{policy}</head><body><img src="http://127.0.0.1:9/x.png"><figure id="f"><div class="plot"></div></figure>
            <script>console.error("an error"); throw new Error("thrown");</script></body></html>"#
        )
    };
    let open_page = open(&chromium, folder.path(), &watched(&page("")), 1200);
    assert_eq!(open_page["requests"], serde_json::json!(["http://127.0.0.1:9/x.png"]));
    assert!(open_page["errors"].as_array().unwrap().len() >= 2, "{open_page}");
    assert_eq!(open_page["figures"][0]["drawn"], false);
    let policy =
        r#"<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'">"#;
    let strict = open(&chromium, folder.path(), &watched(&page(policy)), 1200);
    assert_eq!(strict["violations"], serde_json::json!(["http://127.0.0.1:9/x.png"]));
}
