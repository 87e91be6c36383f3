//! The section about attention, weights and blocks (notebook part 48).

use disentangle_report::Section;

use super::{
    outcome::Outcome,
    sections::{bars, values_table},
};
use crate::present::figure;

/// Names in `VALUES`.
const PARTS: [&str; 4] = [
    "attention_entropy",
    "head_diversity",
    "weight_sparsity",
    "component_correlation",
];

pub(super) fn parts(outcome: &Outcome) -> Section {
    let series = [
        bars(outcome, "attention entropy", &|one| one.value("attention_entropy")),
        bars(outcome, "head diversity", &|one| one.value("head_diversity")),
        bars(outcome, "correlation of components", &|one| {
            one.value("component_correlation")
        }),
    ];
    Section {
        title: "Attention, weights and blocks".into(),
        text: vec![
            "Entropy is of the attention itself, over the logarithm of the keys that are no padding: 1 is even, 0 is one key. Head diversity is 1 minus the mean \
             cosine of two heads' maps of a row. Both are means over a family's attentions, and undefined where each has one key. Weight sparsity is the share of \
             weights of attention and feed-forward parts below 0.01 in magnitude. The correlation of components is the mean linear CKA of two outputs of attention \
             and feed-forward parts."
                .into(),
            "Single heads, matrices and pairs of components of one family are what `experiment components --set model=NAME` shows.".into(),
        ],
        blocks: vec![
            figure(
                "parts",
                "Attention and blocks of every family",
                "Compare one colour across families: a tall bar is attention that hardly chooses, heads that look at different things, or blocks that hold the same.",
                ["family", "entropy, diversity, CKA", ""],
                series.into(),
                vec![],
            ),
            values_table(outcome, "Means over trainings with 95 % intervals", &PARTS, 3),
        ],
    }
}
