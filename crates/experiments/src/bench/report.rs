//! The document as a page: verdicts, ratios, growth, every cell, the machine.

mod figures;
mod verdicts;

use disentangle_report::{Block, Cell, Report, Section};

use super::{
    document::{Against, BenchCell, Document},
    table::{quartiles, seconds},
    workloads,
};
use crate::present::{number, table};

/// What the page says of how things were measured.
const METHOD: [&str; 3] = [
    "Every cell ran in a process of its own: its peak memory is the largest resident set of that process. Those that are compared took turns, each with half of the repeats after a warm-up; seconds are medians, with quartiles.",
    "PyTorch trains the same architecture with the same optimiser on as many threads. What must agree was exchanged: the peer loaded our initial weights strictly and computed logits of the same rows without dropout, or did the whole work on our weights and rows. Peers compute on the CPU, only that of `large-gpu` on the GPU: elsewhere a ratio of a GPU backend is one between two devices, and memory is the host's.",
    "`capture` keeps moments where a site is too large to keep: `pytorch, kept` keeps every activation as TransformerLens does, `pytorch, reduced` reduces every batch to moments too. `capture-whole` keeps everything on both sides.",
];

/// The page.
pub(super) fn report(document: &Document) -> Report {
    let mut sections = Vec::new();
    let speed = figures::speed(document);
    if !speed.is_empty() {
        sections.push(Section {
            title: "Against the others".into(),
            text: vec![
                "Above 1, ours is faster; below 1, ours needs less memory.".into(),
                verdicts::targets(),
            ],
            blocks: speed,
        });
    }
    if let Some(growth) = &document.growth {
        let base = growth.base;
        sections.push(Section {
            title: "How cost grows".into(),
            text: vec![
                format!(
                    "Training of the finance model for {} epochs. Around {} rows of 30 positions, width {}, {} layers and {} threads one of them changes at a time.",
                    base.epochs,
                    base.rows,
                    base.hidden,
                    base.layers,
                    growth.threads
                ),
                "A slope b says that the time is proportional to the size to the power of b.".into(),
            ],
            blocks: figures::growth(growth),
        });
    }
    sections.push(Section {
        title: "Every cell".into(),
        text: METHOD.iter().map(ToString::to_string).collect(),
        blocks: vec![cells(document), comparisons(document)],
    });
    let machine = document.machine.rows().into_iter();
    sections.push(Section {
        title: "Machine".into(),
        text: Vec::new(),
        blocks: vec![table(
            "What it was measured on",
            &["what", "value"],
            machine.map(|(name, value)| vec![name.into(), value.into()]).collect(),
        )],
    });
    Report {
        title: "Benchmarks".into(),
        subtitle: format!("{}, {}", document.date, document.machine.line()),
        simulated: false,
        notices: Vec::new(),
        verdicts: verdicts::verdicts(document),
        sections,
    }
}

/// How a workload on some threads is called where there may be several.
fn label(document: &Document, cell: &BenchCell) -> String {
    let several = document.cells.iter().any(|other| other.threads != cell.threads);
    match several {
        true => format!("{} on {}", cell.framework, cell.threads),
        false => cell.framework.clone(),
    }
}

fn cells(document: &Document) -> Block {
    let rows = document.cells.iter().map(|cell| {
        let name = workloads::find(&cell.workload).map_or("number", |workload| workload.number);
        let mut row: Vec<Cell> = vec![
            cell.workload.clone().into(),
            count(cell.threads),
            cell.framework.clone().into(),
        ];
        match &cell.measured {
            Some(measured) => row.extend([
                shown(measured.median_seconds, seconds(measured.median_seconds)),
                quartiles(measured).into(),
                count(measured.seconds.len()),
                number(Some(measured.rows_per_second), 0),
                number(measured.peak_memory_mb, 0),
                number(measured.number, 4),
                name.into(),
            ]),
            None => {
                row.extend((0..6).map(|_| number(None, 0)));
                row.push(format!("failed: {}", cell.error.as_deref().unwrap_or("no reason given")).into());
            }
        }
        row
    });
    let columns = [
        "workload",
        "threads",
        "framework",
        "seconds",
        "quartiles",
        "repeats",
        "rows/s",
        "peak MB",
        "number",
        "of what",
    ];
    table("Seconds, memory and what was found", &columns, rows.collect())
}

fn comparisons(document: &Document) -> Block {
    let pairs = document
        .cells
        .iter()
        .flat_map(|cell| cell.against.iter().map(move |other| (cell, other)));
    let rows = pairs.map(|(cell, other): (&BenchCell, &Against)| {
        let what = workloads::find(&cell.workload).map_or("numbers", |workload| workload.check);
        let difference = match other.difference {
            Some(most) => shown(most, format!("{most:.1e}")),
            None => number(None, 0),
        };
        vec![
            cell.workload.clone().into(),
            count(cell.threads),
            cell.framework.clone().into(),
            other.framework.clone().into(),
            number(Some(other.times_as_fast), 2),
            number(other.memory_share, 2),
            difference,
            what.into(),
        ]
    });
    let columns = [
        "workload",
        "threads",
        "ours",
        "against",
        "times as fast",
        "of its memory",
        "largest difference",
        "of what",
    ];
    table("Ours against the others", &columns, rows.collect())
}

fn shown(value: f64, shown: String) -> Cell {
    Cell::Number {
        value: Some(value),
        shown,
    }
}

fn count(value: usize) -> Cell {
    shown(value as f64, value.to_string())
}
