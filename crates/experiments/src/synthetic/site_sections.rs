//! The sections about sites: spectra, overlap, neurons, the sparse autoencoder.

use disentangle_report::{Block, Heatmap, Mark, Section, Series, Values};

use super::outcome::Outcome;
use crate::{
    present::{figure, heatmap, number, short_cell, table, with_interval},
    study::SiteStudy,
};

fn trained(outcome: &Outcome) -> Vec<&SiteStudy> {
    outcome.sites.iter().filter(|study| study.stage == "trained").collect()
}

pub(super) fn sites(outcome: &Outcome) -> Section {
    let rows = outcome.sites.iter().map(|study| {
        let m = &study.measures;
        let reached: f64 = m.spectrum.explained_variance.iter().take(3).sum();
        vec![
            study.site.clone().into(),
            study.stage.clone().into(),
            number(Some(m.columns as f64), 0),
            short_cell(&m.effective_rank, 1),
            short_cell(&m.participation_ratio, 1),
            number(Some(reached), 3),
            short_cell(&m.interference, 3),
            short_cell(&m.excess_interference, 3),
            number(study.columns.mean.value, 3),
            number(study.columns.held_out_r2, 2),
            number(study.groups.mean.value, 3),
            number(study.groups.held_out_r2, 2),
            number(m.spectrum.compression_ratio, 1),
            number(m.spectrum.spectral_slope, 3),
            number(Some(m.statistics.sparsity), 3),
            number(Some(m.statistics.dead as f64), 0),
        ]
    });
    let columns = [
        "site",
        "stage",
        "neurons",
        "effective rank",
        "participation ratio",
        "variance of 3 PCs",
        "interference",
        "above noise",
        "D of columns",
        "R²",
        "D of groups",
        "R²",
        "compression",
        "spectral slope",
        "sparsity",
        "dead",
    ];
    let curve = |stage: &str| {
        let own: Vec<&SiteStudy> = outcome.sites.iter().filter(|study| study.stage == stage).collect();
        let names = Values::Names(own.iter().map(|study| study.site.clone()).collect());
        let estimates: Vec<_> = own.iter().map(|study| &study.measures.effective_rank).collect();
        with_interval(stage, Mark::Points, names, &estimates)
    };
    Section {
        title: "Sites, before and after training".into(),
        text: vec![
            format!("Measured on {}.", outcome.data.studied),
            "Effective rank is the exponential of the entropy of the singular values; interference the mean absolute correlation of two live neurons; \
             D the share of a dimension that a feature has to itself (1 alone, 1/2 beside its opposite), for the directions of single columns and of the groups' \
             strengths, and left out where these explain under 5 % of the site's variance on held-out rows (R²). A site that does not vary has no value."
                .into(),
        ],
        blocks: vec![
            figure(
                "effective-rank",
                "Effective rank by site",
                "Where the points after training lie below those before it, training has concentrated the site on fewer directions.",
                ["site", "effective rank", ""],
                vec![curve("initial"), curve("trained")],
                vec![],
            ),
            table("Measures of every site, 95 % intervals over rows", &columns, rows.collect()),
        ],
    }
}

/// Sites whose overlap is drawn in full, at most.
const HEATMAPS: usize = 3;

pub(super) fn overlap(outcome: &Outcome) -> Section {
    let trained = trained(outcome);
    let names = Values::Names(trained.iter().map(|study| study.site.clone()).collect());
    let of = |name: &str, value: &dyn Fn(&SiteStudy) -> Option<f64>| Series {
        y: trained.iter().map(|study| value(study)).collect(),
        ..Series::new(name, Mark::Points, names.clone(), Vec::new())
    };
    let mut blocks = vec![figure(
        "overlap",
        "Overlap of feature groups by site",
        "1 means that one group's directions contain another's, 0 that they are orthogonal; points well above chance are sites at which groups share neurons more than random directions would.",
        ["site", "overlap", ""],
        vec![
            of("mean", &|study| study.overlap.mean),
            of("largest", &|study| study.overlap.most),
            of("chance", &|study| study.overlap.mean_chance),
        ],
        vec![],
    )];
    // Where features enter, and where they leave.
    let mut shown: Vec<&&SiteStudy> = trained
        .iter()
        .filter(|study| ["embed", "pool"].contains(&study.site.as_str()) || study.site.ends_with("0.resid"))
        .collect();
    shown.truncate(HEATMAPS);
    for study in shown {
        let overlap = &study.overlap;
        let components = |index: usize| overlap.components[index].map_or_else(|| "–".into(), |k| k.to_string());
        let labels: Vec<String> = (0..overlap.groups.len())
            .map(|index| format!("{} ({})", overlap.groups[index], components(index)))
            .collect();
        blocks.push(heatmap(
            &format!("overlap-{}", study.site.replace('.', "-")),
            &format!("Overlap of groups at {}", study.site),
            "Each cell compares the directions of two groups; in brackets how many directions reach 95 % of what a group does alone.",
            ["group", "group"],
            Heatmap {
                x: labels.clone(),
                y: labels,
                values: overlap.overlap.clone(),
                range: Some([0.0, 1.0]),
                unit: "overlap".into(),
                ..Heatmap::default()
            },
        ));
    }
    Section {
        title: "Do feature groups share directions?".into(),
        text: vec![
            "For each group the site is recorded while only that group varies, around several rows that stand still; its directions are the principal components \
             that reach 95 % of that variance."
                .into(),
        ],
        blocks,
    }
}

pub(super) fn neurons(outcome: &Outcome) -> Section {
    let site = &outcome.representation.site;
    let importance = outcome.neurons.iter().find(|neurons| neurons.site == *site);
    let study = trained(outcome).into_iter().find(|study| study.site == *site);
    let mut blocks = Vec::new();
    if let (Some(importance), Some(study)) = (importance, study) {
        let neurons = Values::Numbers((0..importance.neurons.len()).map(|n| n as f64).collect());
        let squares = importance.neurons.iter().map(|n| n.mean_square).collect();
        blocks.push(figure(
            "neuron-importance",
            &format!("What ablating one neuron of {site} does to the logit"),
            "Each bar is the mean squared change of the logit when one neuron is set to its mean; a few tall bars mean that few neurons carry the decision.",
            ["neuron", "mean squared change of the logit", ""],
            vec![Series::new("neurons", Mark::Bar, neurons.clone(), squares)],
            vec![],
        ));
        let of = |value: fn(&disentangle_analysis::activations::NeuronStatistics) -> f64| {
            study
                .measures
                .statistics
                .neurons
                .iter()
                .map(value)
                .collect::<Vec<f64>>()
        };
        blocks.push(figure(
            "activation-patterns",
            &format!("Mean and spread of each neuron of {site}"),
            "A point at spread 0 is a neuron that never moves; points far to the right or left are neurons that are mostly on one side.",
            ["mean activation", "standard deviation", ""],
            vec![Series::new("neurons", Mark::Points, Values::Numbers(of(|n| n.mean)), of(|n| n.std))],
            vec![],
        ));
    }
    let rows = outcome
        .neurons
        .iter()
        .filter(|site| !site.neurons.is_empty())
        .map(|site| {
            let squares: Vec<f64> = site.neurons.iter().map(|n| n.mean_square).collect();
            let total: f64 = squares.iter().sum();
            let most = squares.iter().copied().fold(0.0, f64::max);
            let mut sorted = squares.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let top: f64 = sorted.iter().take(squares.len().div_ceil(10)).sum();
            vec![
                site.site.clone().into(),
                number(Some(squares.len() as f64), 0),
                number(Some(most), 5),
                number((total > 0.0).then_some(top / total), 3),
            ]
        });
    blocks.push(table(
        "Neurons of every site",
        &["site", "neurons", "largest change", "share of the top tenth"],
        rows.collect(),
    ));
    Section {
        title: "Which neurons matter?".into(),
        text: vec![format!(
            "Every neuron of every site is ablated in turn at all positions, on {} rows.",
            outcome.neurons.first().map_or(0, |site| site.rows)
        )],
        blocks,
    }
}

pub(super) fn autoencoder(outcome: &Outcome) -> Section {
    let title = "Sparse autoencoder".to_string();
    let found = match &outcome.autoencoder {
        Ok(found) => found,
        Err(reason) => {
            return Section {
                title,
                text: vec![format!("Left out: {reason}.")],
                ..Section::default()
            };
        }
    };
    let steps = || Values::Numbers(found.curve.iter().map(|point| point.step as f64).collect());
    let errors = found.curve.iter().map(|point| point.reconstruction).collect();
    let metrics = [
        ("active latents a row (L0)", Some(found.metrics.l0), "fewer is sparser"),
        (
            "dead latents",
            Some(found.metrics.dead as f64),
            "never active on held-out rows",
        ),
        (
            "explained variance",
            found.metrics.explained_variance,
            "of held-out rows",
        ),
        (
            "ψ",
            found.metrics.psi,
            "share of latents in effective use; 1 if all alike",
        ),
        (
            "matched cosine",
            found.recovery.as_ref().map(|recovery| recovery.mean_matched),
            "between latents and the directions of the groups' strengths, one to one",
        ),
    ];
    let mut blocks: Vec<Block> = vec![
        table(
            "On rows that the autoencoder was not trained on",
            &["measure", "value", "meaning"],
            metrics
                .map(|(name, value, meaning)| vec![name.into(), number(value, 3), meaning.into()])
                .into(),
        ),
        figure(
            "autoencoder",
            "Reconstruction error while the autoencoder learns",
            "In units in which the mean squared length of a row is the number of neurons; where the curve is flat, more steps would not help.",
            ["step", "mean squared error of a row", ""],
            vec![Series::new("training rows", Mark::Line, steps(), errors)],
            vec![],
        ),
    ];
    if let Some(recovery) = &found.recovery {
        let rows = outcome.data.groups.iter().zip(&recovery.best).zip(&recovery.matched);
        let rows = rows.map(|((group, best), matched)| {
            vec![
                group.name.clone().into(),
                number(Some(*best), 3),
                number(matched.map(|(_, cosine)| cosine), 3),
            ]
        });
        blocks.push(table(
            "Cosine of each group's direction to its nearest latent, and to the one matched to it alone",
            &["group", "nearest", "matched"],
            rows.collect(),
        ));
    }
    Section {
        title,
        text: vec![format!("{} latents for site `{}`.", found.latents, found.site)],
        blocks,
    }
}
