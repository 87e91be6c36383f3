//! The document as Markdown, for `benches/RESULTS.md`.

use super::{
    document::{BenchCell, Document},
    table::{quartiles, seconds},
};

/// The machine, every cell, and the slopes.
pub(super) fn markdown(document: &Document) -> String {
    let mut text = format!(
        "# Benchmarks\n\nMeasured on {} (UTC) by `cargo xtask bench ... --results FILE`; every cell in a process of its own, those that are compared in turns. \
         Peak memory is the largest resident set of the process.\n\n| machine | |\n|---|---|\n",
        document.date
    );
    for (name, value) in document.machine.rows() {
        text += &format!("| {name} | {} |\n", plain(&value));
    }
    text += "\n| workload | threads | framework | seconds | quartiles | rows/s | peak MB | number |\n|---|---|---|---|---|---|---|---|\n";
    for cell in &document.cells {
        text += &row(cell);
    }
    let compared: Vec<String> = document.cells.iter().flat_map(compared).collect();
    if !compared.is_empty() {
        text += "\n| workload | threads | ours | against | times as fast | of its memory | largest difference |\n|---|---|---|---|---|---|---|\n";
        text += &compared.concat();
    }
    if let Some(growth) = &document.growth {
        text += &format!(
            "\nFinance training, seconds ~ size^slope, around {} rows, width {}, {} layers, {} epochs, {} threads; 95 % intervals.\n\n\
             | size | framework | slope |\n|---|---|---|\n",
            growth.base.rows, growth.base.hidden, growth.base.layers, growth.base.epochs, growth.threads
        );
        for trend in &growth.trends {
            let slope = plain(&trend.slope.show(2));
            text += &format!("| {} | {} | {slope} |\n", trend.along.name(), trend.framework);
        }
    }
    text
}

fn row(cell: &BenchCell) -> String {
    let start = format!("| {} | {} | {} |", cell.workload, cell.threads, cell.framework);
    let Some(measured) = &cell.measured else {
        let error = plain(cell.error.as_deref().unwrap_or("no reason given"));
        return format!("{start} failed: {error} | | | | |\n");
    };
    let number =
        |value: Option<f64>, digits: usize| value.map_or_else(|| "–".into(), |value| format!("{value:.digits$}"));
    format!(
        "{start} {} | {} | {:.0} | {} | {} |\n",
        seconds(measured.median_seconds),
        quartiles(measured),
        measured.rows_per_second,
        number(measured.peak_memory_mb, 0),
        number(measured.number, 4)
    )
}

fn compared(cell: &BenchCell) -> Vec<String> {
    let rows = cell.against.iter().map(|other| {
        let share = other
            .memory_share
            .map_or_else(|| "–".into(), |share| format!("{share:.2}"));
        let difference = other
            .difference
            .map_or_else(|| "–".into(), |most| format!("{most:.1e}"));
        format!(
            "| {} | {} | {} | {} | {:.2} | {share} | {difference} |\n",
            cell.workload, cell.threads, cell.framework, other.framework, other.times_as_fast
        )
    });
    rows.collect()
}

/// Text that ends no cell of a table.
fn plain(text: &str) -> String {
    text.replace('|', "/").replace('\n', " ")
}
