//! Whether the targets are met, and what failed.

use disentangle_report::{Tone, Verdict};

use crate::bench::{
    document::{BenchCell, Document},
    table::{comparison, on},
    workloads::{self, MEMORY_TARGET, TAPS_TARGET, WORKLOADS, Workload},
};

/// The targets as one sentence.
pub(super) fn targets() -> String {
    let each = WORKLOADS.iter().filter_map(|workload| {
        let target = workload.target?;
        Some(format!("`{}` {target:.1}", workload.name))
    });
    let each = each.collect::<Vec<_>>().join(", ");
    format!(
        "Targets, times as fast as PyTorch at equal threads: {each}, each with at most {MEMORY_TARGET} of its memory on the CPU; taps that are off cost less than {TAPS_TARGET} %."
    )
}

/// Targets first, then failures; where nothing was compared, that.
pub(super) fn verdicts(document: &Document) -> Vec<Verdict> {
    let cells = || document.cells.iter();
    let mut verdicts: Vec<Verdict> = cells().flat_map(of_cell).collect();
    verdicts.extend(cells().filter_map(|cell| {
        let error = cell.error.as_ref()?;
        let (name, threads, framework) = (&cell.workload, on(cell.threads), &cell.framework);
        Some(Verdict {
            text: format!("`{name}` {threads} failed with {framework}: {error}"),
            tone: Tone::Bad,
        })
    }));
    if verdicts.is_empty() {
        verdicts.push(Verdict {
            text: "Nothing was held against a target: these need a peer, and workloads that have one".into(),
            tone: Tone::Neutral,
        });
    }
    verdicts
}

fn of_cell(cell: &BenchCell) -> Vec<Verdict> {
    let Ok(workload) = workloads::find(&cell.workload) else {
        return Vec::new();
    };
    if cell.peer || cell.framework != workload.target_backend().name() {
        return Vec::new();
    }
    match (workload.name, workload.target) {
        ("taps", _) => taps(cell).into_iter().collect(),
        (_, Some(target)) => trained(workload, target, cell).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// What logits may differ by where both compute one function: on a CPU, and on a GPU that rounds factors to 11 bits.
const AGREES: [f64; 2] = [1e-3, 5e-2];

/// Speed and memory of a training against its first peer.
fn trained(workload: &Workload, target: f64, cell: &BenchCell) -> Option<Verdict> {
    let against = cell.versus(workload.peers.first()?.name)?;
    let small = workload.gpu || against.memory_share.is_none_or(|share| share <= MEMORY_TARGET);
    let same = against
        .difference
        .is_some_and(|most| most <= AGREES[usize::from(workload.gpu)]);
    let met = against.times_as_fast >= target && small && same;
    let memory = match workload.gpu {
        true => String::new(),
        false => format!(", {MEMORY_TARGET} of its memory"),
    };
    Some(Verdict {
        text: format!(
            "`{}` {} is {}: target {target:.1}{memory}: {}",
            workload.name,
            on(cell.threads),
            comparison(against, workload.check),
            if met { "met" } else { "missed" }
        ),
        tone: if met { Tone::Good } else { Tone::Bad },
    })
}

/// The upper end of what a tap costs that asks for one site, which is more than what one that is off costs.
fn taps(cell: &BenchCell) -> Option<Verdict> {
    let percent = cell.measured.as_ref()?.extra.get("tap_percent")?;
    let (value, high) = (percent["value"].as_f64()?, percent["high"].as_f64()?);
    let tone = match (high < TAPS_TARGET, value < TAPS_TARGET) {
        (true, _) => Tone::Good,
        (false, true) => Tone::Neutral,
        (false, false) => Tone::Bad,
    };
    Some(Verdict {
        text: format!(
            "A tap at one site makes a forward pass {value:.2} % longer, {high:.2} % at most; one that is off costs less than that: target {TAPS_TARGET} %"
        ),
        tone,
    })
}
