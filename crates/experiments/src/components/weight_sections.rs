//! The sections about weights and about activations.

use disentangle_analysis::Estimate;
use disentangle_report::{Block, Cell, Mark, Section, Series, Values};

use super::{
    outcome::{ActivationPart, Outcome, Stage, WeightPart},
    sections::dash_or,
};
use crate::present::{figure, number, table, with_interval};

/// Bars of matrices, at most.
const MATRICES: usize = 30;

pub(super) fn weights(outcome: &Outcome) -> Section {
    let matrices = |stage: &Stage| -> Vec<WeightPart> {
        let own = stage.weights.iter().filter(|part| part.spectral_norm.is_some());
        own.take(MATRICES).cloned().collect()
    };
    let bars = |name: &str, parts: &[WeightPart], of: fn(&WeightPart) -> Option<f64>| Series {
        y: parts.iter().map(of).collect(),
        ..Series::new(
            name,
            Mark::Bar,
            Values::Names(parts.iter().map(|part| part.name.clone()).collect()),
            Vec::new(),
        )
    };
    let by_stage = |of: fn(&WeightPart) -> Option<f64>| -> Vec<Series> {
        let stages = outcome.stages().into_iter();
        stages.map(|(name, stage)| bars(name, &matrices(stage), of)).collect()
    };
    Section {
        title: "Weights".into(),
        text: vec![
            "The norm is the square root of the sum of squares, the spectral norm the largest singular value: how much a matrix stretches at most. The stable \
             rank is the squared norm over the squared spectral norm: along how many directions a matrix stretches about as much. Sparsity is the share of \
             weights within a hundredth of their root mean square of 0. Moved is the norm of the change by training over the initial norm."
                .into(),
        ],
        blocks: vec![
            figure(
                "weights",
                "How much every matrix stretches at most",
                "A bar that grew by training belongs to a matrix that learned to amplify some direction.",
                ["matrix", "spectral norm", ""],
                by_stage(|part| part.spectral_norm),
                vec![],
            ),
            figure(
                "stable-rank",
                "Along how many directions every matrix stretches",
                "A bar that shrank by training belongs to a matrix that came to care for few directions.",
                ["matrix", "stable rank", ""],
                by_stage(|part| part.stable_rank),
                vec![],
            ),
            weight_table(outcome),
        ],
    }
}

fn weight_table(outcome: &Outcome) -> Block {
    let pairs = outcome.trained.weights.iter().zip(&outcome.initial.weights);
    let rows = pairs.map(|(part, before)| -> Vec<Cell> {
        let shape: Vec<String> = part.shape.iter().map(ToString::to_string).collect();
        vec![
            part.name.clone().into(),
            part.kind.clone().into(),
            shape.join(" x ").into(),
            number(Some(part.mean), 4),
            number(Some(part.std), 4),
            number(Some(part.norm), 3),
            number(Some(before.norm), 3),
            number(part.moved, 3),
            number(part.spectral_norm, 3),
            number(part.stable_rank, 2),
            number(Some(part.sparsity), 4),
        ]
    });
    let columns = [
        "parameter",
        "kind",
        "shape",
        "mean",
        "standard deviation",
        "norm",
        "norm before training",
        "moved",
        "spectral norm",
        "stable rank",
        "sparsity",
    ];
    table("Every parameter of the trained model", &columns, rows.collect())
}

pub(super) fn activations(outcome: &Outcome) -> Section {
    let bars = |name: &str, stage: &Stage, of: fn(&ActivationPart) -> &Estimate| {
        let sites = stage.activations.iter().map(|part| part.site.clone());
        let values: Vec<&Estimate> = stage.activations.iter().map(of).collect();
        with_interval(name, Mark::Bar, Values::Names(sites.collect()), &values)
    };
    let by_stage = |of: fn(&ActivationPart) -> &Estimate| -> Vec<Series> {
        let stages = outcome.stages().into_iter();
        stages.map(|(name, stage)| bars(name, stage, of)).collect()
    };
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for (name, stage) in outcome.stages() {
        rows.extend(stage.activations.iter().map(|part| {
            vec![
                name.into(),
                part.site.clone().into(),
                number(Some(part.neurons as f64), 0),
                dash_or(&part.mean, 3),
                dash_or(&part.std, 3),
                dash_or(&part.sparsity, 4),
                number(Some(part.dead as f64), 0),
            ]
        }));
    }
    let columns = [
        "stage",
        "site",
        "neurons",
        "mean",
        "standard deviation",
        "sparsity",
        "dead neurons",
    ];
    Section {
        title: "Activations".into(),
        text: vec![
            "Over all rows, positions and neurons of a site. Sparsity is the share of activations within a hundredth of the site's root mean square of 0; a \
             neuron is dead if it moves by no more than a millionth of that on these rows. Sites that end in resid are what a normalisation leaves."
                .into(),
        ],
        blocks: vec![
            figure(
                "spread",
                "How far activations spread at every site",
                "Compare the two bars of a site: one that grew by training carries more.",
                ["site", "standard deviation", ""],
                by_stage(|part| &part.std),
                vec![],
            ),
            figure(
                "sparsity",
                "How many activations are silent at every site",
                "Higher is a sparser code; only ReLU makes activations that are 0.",
                ["site", "share of activations", ""],
                by_stage(|part| &part.sparsity),
                vec![],
            ),
            table("Every site, with 95 % intervals over rows", &columns, rows),
        ],
    }
}
