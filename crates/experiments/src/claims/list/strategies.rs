//! The notebook's four strategies on biased rows (parts 42 and 44). Best is better than each of the three others.

use super::{Claim, above, below, beside, compared};
use crate::claims::question::{
    Comparison::{Least, Middle, Most, Over},
    Quality,
    Subject::{self, Adversarial, Contrastive, Erm, GradientSurgery, UncertaintyWeighting},
};

const BUT_ADVERSARIAL: &[Subject] = &[GradientSurgery, Contrastive, UncertaintyWeighting];
const BUT_SURGERY: &[Subject] = &[Adversarial, Contrastive, UncertaintyWeighting];
const BUT_CONTRASTIVE: &[Subject] = &[Adversarial, GradientSurgery, UncertaintyWeighting];
const BUT_UNCERTAINTY: &[Subject] = &[Adversarial, GradientSurgery, Contrastive];

pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "42.1",
        part: 42,
        text: "adversarial training is best against strong spurious correlations",
        reading: "Best where the shortcut, which agrees with nine in ten labels in one environment of training, misleads.",
        test: Some(beside(Adversarial, Quality::ReversedAccuracy, Most(BUT_ADVERSARIAL))),
        quoted: None,
    },
    Claim {
        id: "42.2",
        part: 42,
        text: "gradient surgery preserves the performance of the task best",
        reading: "",
        test: Some(beside(GradientSurgery, Quality::Accuracy, Most(BUT_SURGERY))),
        quoted: None,
    },
    Claim {
        id: "42.3",
        part: 42,
        text: "contrastive regularisation disentangles features",
        reading: "More than plain training from the same weights, by at least two hundredths. The notebook's score falls as disentanglement grows; ours grows with it.",
        test: Some(compared(Contrastive, Quality::Disentanglement, Over(Erm), above(0.02))),
        quoted: None,
    },
    Claim {
        id: "42.4",
        part: 42,
        text: "uncertainty weighting is best for noisy features",
        reading: "Noise on the columns of the shortcut, whose association with the label is the unstable one.",
        test: Some(beside(
            UncertaintyWeighting,
            Quality::NoisyAccuracy,
            Most(BUT_UNCERTAINTY),
        )),
        quoted: None,
    },
    Claim {
        id: "44.1a",
        part: 44,
        text: "adversarial training shifts the decision boundary most",
        reading: "",
        test: Some(beside(Adversarial, Quality::BoundaryShift, Most(BUT_ADVERSARIAL))),
        quoted: None,
    },
    Claim {
        id: "44.1b",
        part: 44,
        text: "adversarial training disentangles moderately",
        reading: "Neither most nor least of the four.",
        test: Some(beside(Adversarial, Quality::Disentanglement, Middle(BUT_ADVERSARIAL))),
        quoted: None,
    },
    Claim {
        id: "44.2a",
        part: 44,
        text: "gradient surgery preserves important features best",
        reading: "Important are the genuine columns; preserved is what the model loses without them.",
        test: Some(beside(GradientSurgery, Quality::GenuineDrop, Most(BUT_SURGERY))),
        quoted: None,
    },
    Claim {
        id: "44.2b",
        part: 44,
        text: "gradient surgery reduces spurious features",
        reading: "Against plain training from the same weights.",
        test: Some(compared(GradientSurgery, Quality::ShortcutDrop, Over(Erm), below(0.0))),
        quoted: None,
    },
    Claim {
        id: "44.3a",
        part: 44,
        text: "contrastive regularisation disentangles most",
        reading: "The notebook's score falls as disentanglement grows; ours grows with it.",
        test: Some(beside(Contrastive, Quality::Disentanglement, Most(BUT_CONTRASTIVE))),
        quoted: None,
    },
    Claim {
        id: "44.3b",
        part: 44,
        text: "contrastive regularisation makes the boundary more sensitive",
        reading: "More than each of the other strategies.",
        test: Some(beside(Contrastive, Quality::Sensitivity, Most(BUT_CONTRASTIVE))),
        quoted: None,
    },
    Claim {
        id: "44.4a",
        part: 44,
        text: "uncertainty weighting has the most stable decision boundary",
        reading: "The least change of predictions against plain training.",
        test: Some(beside(
            UncertaintyWeighting,
            Quality::BoundaryShift,
            Least(BUT_UNCERTAINTY),
        )),
        quoted: None,
    },
    Claim {
        id: "44.4b",
        part: 44,
        text: "uncertainty weighting separates features least",
        reading: "",
        test: Some(beside(
            UncertaintyWeighting,
            Quality::Disentanglement,
            Least(BUT_UNCERTAINTY),
        )),
        quoted: None,
    },
];
