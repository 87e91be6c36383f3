//! The document as a table for the terminal.

use super::{
    document::{Against, BenchCell, Document, Measured},
    growth::Growth,
    workloads,
};

/// Cells in order, each of ours followed by what it is against the others.
pub(super) fn table(document: &Document) -> String {
    let mut text = format!(
        "{:<13} {:>7} {:<16} {:>9} {:>19} {:>12} {:>9} {:>13}\n",
        "workload", "threads", "framework", "seconds", "quartiles", "rows/s", "peak MB", "number"
    );
    for cell in &document.cells {
        text += &row(cell);
    }
    let sentences: Vec<String> = document.cells.iter().flat_map(against).collect();
    if !sentences.is_empty() {
        text += &format!("\n{}", sentences.concat());
    }
    if let Some(growth) = &document.growth {
        text += &grown(growth);
    }
    text
}

fn row(cell: &BenchCell) -> String {
    let start = format!("{:<13} {:>7} {:<16}", cell.workload, cell.threads, cell.framework);
    let Some(measured) = &cell.measured else {
        let error = cell.error.as_deref().unwrap_or("no reason given");
        return format!("{start} failed: {error}\n");
    };
    let fixed = |value: Option<f64>, digits: usize| match value {
        Some(value) => format!("{value:.digits$}"),
        None => "–".into(),
    };
    format!(
        "{start} {:>9} {:>19} {:>12} {:>9} {:>13}\n",
        seconds(measured.median_seconds),
        quartiles(measured),
        fixed(Some(measured.rows_per_second), 0),
        fixed(measured.peak_memory_mb, 0),
        fixed(measured.number, 4),
    )
}

/// Three decimals, or three significant digits where these would show little.
pub(super) fn seconds(seconds: f64) -> String {
    match seconds < 0.01 {
        true => format!("{seconds:.2e}"),
        false => format!("{seconds:.3}"),
    }
}

/// First and third.
pub(super) fn quartiles(measured: &Measured) -> String {
    let [low, high] = measured.quartiles;
    format!("{} - {}", seconds(low), seconds(high))
}

/// One sentence for each of those that a cell is held against.
fn against(cell: &BenchCell) -> Vec<String> {
    let what = workloads::find(&cell.workload).map_or("numbers", |workload| workload.check);
    let (name, threads, framework) = (&cell.workload, on(cell.threads), &cell.framework);
    let sentence = |other: &Against| format!("{name} {threads}: {framework} is {}\n", comparison(other, what));
    cell.against.iter().map(sentence).collect()
}

/// `on 2 threads`.
pub(super) fn on(threads: usize) -> String {
    format!("on {threads} thread{}", if threads == 1 { "" } else { "s" })
}

/// `1.87 times as fast as pytorch, with 0.42 of its memory; logits differ by 1.2e-6 at most`.
pub(super) fn comparison(other: &Against, what: &str) -> String {
    let mut text = format!("{:.2} times as fast as {}", other.times_as_fast, other.framework);
    if let Some(share) = other.memory_share {
        text += &format!(", with {share:.2} of its memory");
    }
    if let Some(difference) = other.difference {
        text += &format!("; {what} differ by {difference:.1e} at most");
    }
    text
}

fn grown(growth: &Growth) -> String {
    let mut text = format!(
        "\ngrowth of the finance training: seconds ~ size^slope\n{:<9} {:<16} slope\n",
        "size", "framework"
    );
    for trend in &growth.trends {
        text += &format!(
            "{:<9} {:<16} {}\n",
            trend.along.name(),
            trend.framework,
            trend.slope.show(2)
        );
    }
    let failed = growth
        .points
        .iter()
        .filter_map(|point| Some((point, point.cell.error.as_ref()?)));
    for (point, error) in failed {
        let (along, framework) = (point.along.name(), &point.cell.framework);
        text += &format!("{along} {}, {framework}: failed: {error}\n", point.size);
    }
    text
}
