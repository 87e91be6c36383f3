//! Large models of several sizes (parts 45 and 46) and the architecture variants (parts 47 and 48), on the simulated ward.

use super::{Claim, Quoted, above, alone, below, beside};
use crate::claims::question::{
    Comparison::{Least, Middle, Most},
    Quality,
    Subject::{self, Gated, Hierarchical, Large, Parallel},
};

const BUT_PARALLEL: &[Subject] = &[Hierarchical, Gated];
const BUT_HIERARCHICAL: &[Subject] = &[Parallel, Gated];
const BUT_GATED: &[Subject] = &[Parallel, Hierarchical];

const DIVERSITY: &str = "The notebook prints the mean |correlation| of attention maps as diversity, which falls as diversity grows: on a scale of diversity its number is 0.68.";
const SPARSITY: &str =
    "The notebook counts weights below 0.01 in magnitude before any training; ours is of trained weights.";
const CORRELATION: &str =
    "The notebook takes mean correlations with their sign of raw activations; ours is linear CKA, which has none.";

pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "45.1a",
        part: 45,
        text: "superposition increases with depth",
        reading: "Read as interference between neurons that grows from layer to layer.",
        test: Some(alone(Large, Quality::SuperpositionByLayer, above(0.0))),
        quoted: None,
    },
    Claim {
        id: "45.1b",
        part: 45,
        text: "superposition reaches a plateau",
        reading: "A smaller slope over the second half of the layers than over the first.",
        test: Some(alone(Large, Quality::SuperpositionPlateau, above(0.0))),
        quoted: None,
    },
    Claim {
        id: "45.2",
        part: 45,
        text: "heads become more diverse with the size of the model",
        reading: "The notebook's score falls as diversity grows; ours grows with it.",
        test: Some(alone(Large, Quality::DiversityBySize, above(0.0))),
        quoted: None,
    },
    Claim {
        id: "45.3",
        part: 45,
        text: "deeper layers are compressed",
        reading: "Read as an effective rank that falls from layer to layer.",
        test: Some(alone(Large, Quality::RankByLayer, below(0.0))),
        quoted: None,
    },
    Claim {
        id: "45.4",
        part: 45,
        text: "attention patterns become more specialised",
        reading: "Read as an entropy of attention that falls from layer to layer.",
        test: Some(alone(Large, Quality::EntropyByLayer, below(0.0))),
        quoted: None,
    },
    Claim {
        id: "46.1a",
        part: 46,
        text: "wider models use more capacity",
        reading: "Capacity in use, read as effective rank.",
        test: Some(alone(Large, Quality::RankByWidth, above(0.0))),
        quoted: None,
    },
    Claim {
        id: "46.1b",
        part: 46,
        text: "returns of width diminish",
        reading: "The last widening adds less effective rank than the first.",
        test: Some(alone(Large, Quality::RankDiminishing, above(0.0))),
        quoted: None,
    },
    Claim {
        id: "46.2a",
        part: 46,
        text: "features interact more strongly in deeper models",
        reading: "",
        test: Some(alone(Large, Quality::InteractionByDepth, above(0.0))),
        quoted: None,
    },
    Claim {
        id: "46.2b",
        part: 46,
        text: "layers of deeper models are more specialised",
        reading: "Read as a first and a last layer that are less alike.",
        test: Some(alone(Large, Quality::LayersApartByDepth, above(0.0))),
        quoted: None,
    },
    Claim {
        id: "46.3a",
        part: 46,
        text: "gradients shrink with depth",
        reading: "The gradient of the logit at the input, of trained models.",
        test: Some(alone(Large, Quality::GradientByDepth, below(0.0))),
        quoted: None,
    },
    Claim {
        id: "46.3b",
        part: 46,
        text: "patterns become more diverse with depth",
        reading: "Diversity grows as correlations of neurons fall.",
        test: Some(alone(Large, Quality::PatternDiversityByDepth, above(0.0))),
        quoted: None,
    },
    Claim {
        id: "46.4",
        part: 46,
        text: "interactions of features grow more slowly than the width",
        reading: "An exponent below one; one that is negative counts too.",
        test: Some(alone(Large, Quality::InteractionExponent, below(1.0))),
        quoted: None,
    },
    Claim {
        id: "47.1a",
        part: 47,
        text: "the parallel model disentangles best",
        reading: "Disentanglement grows as correlations of neurons fall.",
        test: Some(beside(Parallel, Quality::Disentanglement, Most(BUT_PARALLEL))),
        quoted: None,
    },
    Claim {
        id: "47.1b",
        part: 47,
        text: "the parallel model is most sensitive",
        reading: "",
        test: Some(beside(Parallel, Quality::Sensitivity, Most(BUT_PARALLEL))),
        quoted: None,
    },
    Claim {
        id: "47.2a",
        part: 47,
        text: "the hierarchical model compresses features most",
        reading: "The smallest effective rank for its width.",
        test: Some(beside(Hierarchical, Quality::RankShare, Least(BUT_HIERARCHICAL))),
        quoted: None,
    },
    Claim {
        id: "47.2b",
        part: 47,
        text: "the hierarchical model is most robust",
        reading: "The smallest loss under noise.",
        test: Some(beside(Hierarchical, Quality::NoiseLoss, Least(BUT_HIERARCHICAL))),
        quoted: None,
    },
    Claim {
        id: "47.3",
        part: 47,
        text: "the gated model controls spurious correlations best",
        reading: "It loses least when the administrative columns come from other patients.",
        test: Some(beside(Gated, Quality::ShortcutDrop, Least(BUT_GATED))),
        quoted: None,
    },
    Claim {
        id: "48.1a",
        part: 48,
        text: "heads of the parallel model are most diverse",
        reading: "The notebook's score falls as diversity grows; ours grows with it.",
        test: Some(beside(Parallel, Quality::HeadDiversity, Most(BUT_PARALLEL))),
        quoted: Some(Quoted {
            subject: Parallel,
            quality: Quality::HeadDiversity,
            range: [0.32, 0.32],
            note: DIVERSITY,
        }),
    },
    Claim {
        id: "48.1b",
        part: 48,
        text: "components of the parallel model are correlated less than those of the hierarchical one",
        reading: "The notebook gives the gated model the lowest correlation of all, so that this one is held beside the other.",
        test: Some(beside(Parallel, Quality::ComponentCorrelation, Least(&[Hierarchical]))),
        quoted: Some(Quoted {
            subject: Parallel,
            quality: Quality::ComponentCorrelation,
            range: [0.15, 0.15],
            note: CORRELATION,
        }),
    },
    Claim {
        id: "48.2a",
        part: 48,
        text: "attention of the hierarchical model has the highest entropy",
        reading: "Better, in the notebook, is a higher entropy.",
        test: Some(beside(Hierarchical, Quality::AttentionEntropy, Most(BUT_HIERARCHICAL))),
        quoted: Some(Quoted {
            subject: Hierarchical,
            quality: Quality::AttentionEntropy,
            range: [0.68, 0.68],
            note: "The notebook soft-maxes attention twice and does not divide by the logarithm of the keys; ours lies between 0 and 1.",
        }),
    },
    Claim {
        id: "48.2b",
        part: 48,
        text: "the hierarchical model is moderately sparse",
        reading: "Between the two other variants.",
        test: Some(beside(Hierarchical, Quality::WeightSparsity, Middle(BUT_HIERARCHICAL))),
        quoted: Some(Quoted {
            subject: Hierarchical,
            quality: Quality::WeightSparsity,
            range: [0.45, 0.45],
            note: SPARSITY,
        }),
    },
    Claim {
        id: "48.3a",
        part: 48,
        text: "components of the gated model are separated most",
        reading: "Separated is what is correlated little.",
        test: Some(beside(Gated, Quality::ComponentCorrelation, Least(BUT_GATED))),
        quoted: Some(Quoted {
            subject: Gated,
            quality: Quality::ComponentCorrelation,
            range: [0.12, 0.12],
            note: CORRELATION,
        }),
    },
    Claim {
        id: "48.3b",
        part: 48,
        text: "the gated model is sparsest",
        reading: "",
        test: Some(beside(Gated, Quality::WeightSparsity, Most(BUT_GATED))),
        quoted: Some(Quoted {
            subject: Gated,
            quality: Quality::WeightSparsity,
            range: [0.58, 0.58],
            note: SPARSITY,
        }),
    },
];
