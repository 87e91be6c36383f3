//! The section about information from site to site (notebook part 28).

use disentangle_analysis::{Estimate, information::NORMAL};
use disentangle_report::{Block, Mark, Section, Series, Values};

use super::outcome::{Flow, Outcome, SiteInformation};
use crate::present::{cell, figure, number, table, with_interval};

pub(super) fn information(outcome: &Outcome) -> Section {
    let settings = &outcome.flow_settings;
    let mut blocks = vec![flow_figure(outcome)];
    if outcome.flows.iter().any(|flow| flow.stream) {
        blocks.push(mutual_figure(outcome));
    }
    blocks.push(entropy_table(outcome));
    blocks.push(flow_table(outcome));
    Section {
        title: "Information from site to site".into(),
        text: vec![
            format!(
                "A neuron's entropy is of 20 bins of equal width over its standardised activations clipped to ±4, corrected after Miller and \
                 Madow and divided by ln 20: 0 for one value, {NORMAL:.2} for a normal distribution. Neurons that do not vary are left out and \
                 counted."
            ),
            "Linear CKA compares whole sites, all positions of a row side by side: 1 is a copy that is rotated or scaled, and what sites of \
             these spectra have by chance stands beside it."
                .into(),
            format!(
                "Mutual information is of the two main directions of each site, scaled to variance 1 and with normal noise of standard deviation \
                 {} added to both, because a layer without noise passes on infinitely much: by nearest neighbours ({} of them), as if the \
                 directions were normal, and from half of the {} rows. Two copies share {:.2} nats. It is of two directions only: a site may \
                 pass on what these do not show.",
                settings.noise, settings.neighbours, settings.rows, settings.ceiling
            ),
        ],
        blocks,
    }
}

pub(super) fn site_names(sites: &[SiteInformation]) -> Values {
    Values::Names(sites.iter().map(|site| site.site.clone()).collect())
}

fn flow_figure(outcome: &Outcome) -> Block {
    let entropies: Vec<&Estimate> = outcome.sites.iter().map(|site| &site.entropy).collect();
    let names = site_names(&outcome.sites);
    // The first site has none before it; all series need the same names.
    let none = Estimate::default();
    let reached = |site: &SiteInformation| {
        let mut flows = outcome.flows.iter();
        let flow = flows.find(|flow| flow.consecutive && flow.to == site.site);
        flow.map(|flow| &flow.alignment.cka)
    };
    let alignments: Vec<&Estimate> = outcome
        .sites
        .iter()
        .map(|site| reached(site).unwrap_or(&none))
        .collect();
    figure(
        "information-flow",
        "Information at every site, and what it has in common with the site before",
        "Where the second line dips, a site is a new representation; the dotted line is the entropy of normally distributed neurons.",
        ["site", "entropy over ln 20, linear CKA", ""],
        vec![
            with_interval("entropy of neurons", Mark::Line, names.clone(), &entropies),
            with_interval("CKA with the site before", Mark::Line, names, &alignments),
        ],
        vec![NORMAL],
    )
}

fn mutual_figure(outcome: &Outcome) -> Block {
    let flows: Vec<&Flow> = outcome.flows.iter().filter(|flow| flow.stream).collect();
    let reached = Values::Names(flows.iter().map(|flow| flow.to.clone()).collect());
    let estimates: Vec<&Estimate> = flows.iter().map(|flow| &flow.shared.ksg).collect();
    let bars = |name: &str, of: fn(&Flow) -> Option<f64>| Series {
        y: flows.iter().map(|flow| of(flow)).collect(),
        ..Series::new(name, Mark::Bar, reached.clone(), Vec::new())
    };
    figure(
        "mutual-information",
        "Mutual information along the residual stream",
        "Each group of bars is what a site shares with the one before it on the residual stream; bars from half of the rows that differ say \
         that there are too few rows, and the dotted line is what two copies share.",
        ["site that is reached", "nats", ""],
        vec![
            with_interval("nearest neighbours", Mark::Bar, reached.clone(), &estimates),
            bars("if Gaussian", |flow| flow.shared.gaussian),
            bars("half of the rows", |flow| flow.shared.half),
        ],
        vec![outcome.flow_settings.ceiling],
    )
}

fn entropy_table(outcome: &Outcome) -> Block {
    let row = |site: &SiteInformation| {
        let quartile = |index: usize| number(site.entropy_quartiles.map(|quartiles| quartiles[index]), 3);
        let gaussian = site.gaussian_entropy;
        vec![
            site.site.clone().into(),
            number(Some(site.neurons as f64), 0),
            number(Some(site.dead as f64), 0),
            number(Some(site.samples as f64), 0),
            cell(&site.entropy, 3),
            quartile(0),
            quartile(2),
            quartile(4),
            number(gaussian.map(|entropy| entropy.nats), 2),
            number(gaussian.map(|entropy| entropy.components as f64), 0),
        ]
    };
    let columns = [
        "site",
        "neurons",
        "dead",
        "samples",
        "mean entropy",
        "least",
        "median",
        "largest",
        "Gaussian entropy in nats",
        "of components",
    ];
    table(
        "Entropy of every site, in forward order, with 95 % intervals; the Gaussian entropy depends on the site's scale",
        &columns,
        outcome.sites.iter().map(row).collect(),
    )
}

fn flow_table(outcome: &Outcome) -> Block {
    let row = |flow: &Flow| {
        let agrees = match flow.shared.agrees() {
            None => "–",
            Some(true) => "yes",
            Some(false) => "no",
        };
        vec![
            flow.from.clone().into(),
            flow.to.clone().into(),
            if flow.stream { "yes" } else { "no" }.into(),
            cell(&flow.alignment.cka, 3),
            number(flow.alignment.chance, 3),
            cell(&flow.shared.ksg, 3),
            number(flow.shared.gaussian, 3),
            number(flow.shared.half, 3),
            agrees.into(),
        ]
    };
    let columns = [
        "from",
        "to",
        "on the stream",
        "linear CKA",
        "by chance",
        "mutual information",
        "if Gaussian",
        "half of the rows",
        "half within the interval",
    ];
    table(
        "From site to site, with 95 % intervals; mutual information in nats",
        &columns,
        outcome.flows.iter().map(row).collect(),
    )
}
