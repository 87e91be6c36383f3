//! What can be measured: a quality of a subject, alone or beside the same quality of others.

use super::measure::Numbers;

/// A trained model, or a family of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    Small,
    Sequence,
    Healthcare,
    Erm,
    Adversarial,
    GradientSurgery,
    Contrastive,
    UncertaintyWeighting,
    Large,
    Parallel,
    Hierarchical,
    Gated,
}

impl Subject {
    /// As in reports.
    pub(super) fn name(self) -> &'static str {
        match self {
            Subject::Small => "small",
            Subject::Sequence => "sequence",
            Subject::Healthcare => "healthcare",
            Subject::Erm => "erm",
            Subject::Adversarial => "adversarial",
            Subject::GradientSurgery => "pcgrad",
            Subject::Contrastive => "contrastive",
            Subject::UncertaintyWeighting => "uncertainty_weighting",
            Subject::Large => "large",
            Subject::Parallel => "parallel",
            Subject::Hierarchical => "hierarchical",
            Subject::Gated => "gated",
        }
    }

    /// The rows on which it is trained and asked.
    pub(super) fn dataset(self) -> &'static str {
        match self {
            Subject::Sequence => "market",
            Subject::Healthcare | Subject::Large | Subject::Parallel | Subject::Hierarchical | Subject::Gated => "ward",
            _ => "biased",
        }
    }
}

/// What is measured of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Quality {
    Accuracy,
    AdmissionDayExcess,
    AttackOverNoise,
    AttentionEntropy,
    BoundaryShift,
    ComponentCorrelation,
    CompressionGain,
    CompressionRatio,
    ConvergenceRate,
    Disentanglement,
    DiversityBySize,
    EntropyByLayer,
    EntropyLead,
    FirstComponent,
    GeneralisationDrop,
    GenuineDrop,
    GenuineOnly,
    GradientByDepth,
    GroupsPerNeuron,
    HeadDiversity,
    ImportanceLead,
    ImportanceSpread,
    ImportanceSteadiness,
    InsuranceExcess,
    Interaction,
    InteractionByDepth,
    InteractionExponent,
    LayersApartByDepth,
    LeadLag,
    LocalLinearity,
    MediatedShare,
    NeuronEvenness,
    NoiseLoss,
    NoisyAccuracy,
    OnlyLead,
    OverlapAboveChance,
    OverlapByWidth,
    PatternDiversityByDepth,
    PatternSeparation,
    PeriodicInterference,
    RankByLayer,
    RankByWidth,
    RankDiminishing,
    RankShare,
    RelevanceByPosition,
    ReversedAccuracy,
    Season,
    Sensitivity,
    ShortcutDecay,
    ShortcutDrop,
    SilentActivations,
    StabilityByInsurance,
    SuperpositionByLayer,
    SuperpositionPlateau,
    VolatilityLink,
    WeightSparsity,
}

impl Quality {
    /// The metric's name.
    pub(super) fn name(self) -> &'static str {
        self.describe()[0]
    }

    /// Whether it is the p value of a test.
    pub(super) fn is_p(self) -> bool {
        matches!(self, Quality::LeadLag | Quality::Season)
    }

    /// What it is, in words.
    pub(super) fn about(self) -> &'static str {
        self.describe()[1]
    }

    fn describe(self) -> [&'static str; 2] {
        match self {
            Quality::Accuracy => ["accuracy", "accuracy on test rows of the environments of training"],
            Quality::AdmissionDayExcess => [
                "admission_day_excess",
                "correlation ratio of the predictions with the admission day minus that of the labels, in the hospital that training did not see",
            ],
            Quality::AttackOverNoise => [
                "attack_over_noise",
                "ROC AUC under Gaussian noise minus ROC AUC under FGSM, both of level 0.2",
            ],
            Quality::AttentionEntropy => [
                "attention_entropy",
                "entropy of attention over ln(keys), mean over heads and layers",
            ],
            Quality::BoundaryShift => [
                "boundary_shift",
                "mean |change of the probability| against plain training from the same weights",
            ],
            Quality::ComponentCorrelation => [
                "component_correlation",
                "mean linear CKA between the outputs of attention and feed-forward parts",
            ],
            Quality::CompressionGain => [
                "compression_gain",
                "compression ratio of the last residual stream minus that of the embedding",
            ],
            Quality::CompressionRatio => [
                "compression_ratio",
                "largest over mean variance of the pool's directions",
            ],
            Quality::ConvergenceRate => [
                "convergence_rate",
                "factor by which the distance to the best training loss shrinks in an epoch",
            ],
            Quality::Disentanglement => ["disentanglement", "1 - mean |correlation| of two neurons of the pool"],
            Quality::DiversityBySize => [
                "diversity_by_size",
                "slope of head diversity on the logarithm of the number of parameters",
            ],
            Quality::EntropyByLayer => [
                "entropy_by_layer",
                "slope of attention entropy on the layer, deepest model",
            ],
            Quality::EntropyLead => [
                "entropy_lead",
                "entropy of the clinical attention minus that of the administrative one",
            ],
            Quality::FirstComponent => [
                "first_component",
                "ROC AUC of the pool's first principal component alone minus that of the model",
            ],
            Quality::GeneralisationDrop => [
                "generalisation_drop",
                "ROC AUC where the shortcut holds minus ROC AUC where it does not",
            ],
            Quality::GenuineDrop => [
                "genuine_drop",
                "ROC AUC lost when all genuine columns come from other rows",
            ],
            Quality::GenuineOnly => [
                "genuine_only",
                "ROC AUC with genuine columns only, where the shortcut does not hold",
            ],
            Quality::GradientByDepth => [
                "gradient_by_depth",
                "mean norm of the logit's gradient at the input, deepest minus shallowest model",
            ],
            Quality::GroupsPerNeuron => [
                "groups_per_neuron",
                "effective number of groups that move a feed-forward neuron, mean over neurons",
            ],
            Quality::HeadDiversity => [
                "head_diversity",
                "1 - mean cosine of the attention maps of two heads, mean over layers",
            ],
            Quality::ImportanceLead => [
                "importance_lead",
                "squared change of the probability without the genuine group minus that without the spurious one",
            ],
            Quality::ImportanceSpread => [
                "importance_spread",
                "standard error over rows of a column's importance divided by it, mean over columns",
            ],
            Quality::ImportanceSteadiness => [
                "importance_steadiness",
                "relative spread over periods of the clinical group's importance minus that of the administrative one",
            ],
            Quality::InsuranceExcess => [
                "insurance_excess",
                "correlation ratio of the predictions with the insurance minus that of the labels, in the hospital that training did not see",
            ],
            Quality::Interaction => [
                "interaction",
                "root mean square interaction of genuine and spurious columns over the logit's standard deviation",
            ],
            Quality::InteractionByDepth => [
                "interaction_by_depth",
                "that interaction, deepest minus shallowest model",
            ],
            Quality::InteractionExponent => [
                "interaction_exponent",
                "slope of the logarithm of the root mean square interaction on the logarithm of the width",
            ],
            Quality::LayersApartByDepth => [
                "layers_apart_by_depth",
                "1 - linear CKA of the first and the last residual stream, deepest minus shallowest model",
            ],
            Quality::LeadLag => [
                "lead_lag",
                "smaller p of Granger's test both ways between the groups' importance series, times 2",
            ],
            Quality::LocalLinearity => [
                "local_linearity",
                "1 - what the gradient misses of a step of length 0.1, as a share of the step's effect",
            ],
            Quality::MediatedShare => [
                "mediated_share",
                "indirect over total effect of the spurious group through an attention or feed-forward output, mean over them",
            ],
            Quality::NeuronEvenness => [
                "neuron_evenness",
                "effective number of important neurons over all neurons of the pool",
            ],
            Quality::NoiseLoss => ["noise_loss", "ROC AUC lost under Gaussian noise of level 0.5"],
            Quality::NoisyAccuracy => [
                "noisy_accuracy",
                "accuracy under Gaussian noise of level 1 on the spurious columns",
            ],
            Quality::OnlyLead => [
                "only_lead",
                "ROC AUC with genuine columns only minus that with spurious columns only",
            ],
            Quality::OverlapAboveChance => [
                "overlap_above_chance",
                "mean overlap of the groups' subspaces at the last residual stream minus its chance value",
            ],
            Quality::OverlapByWidth => [
                "overlap_by_width",
                "slope of the groups' mean overlap on the binary logarithm of the width",
            ],
            Quality::PatternDiversityByDepth => [
                "pattern_diversity_by_depth",
                "1 - mean |correlation| of two neurons of the last residual stream, deepest minus shallowest model",
            ],
            Quality::PatternSeparation => [
                "pattern_separation",
                "1 - cosine of the clinical and the administrative attention map, after minus before training",
            ],
            Quality::PeriodicInterference => [
                "periodic_interference",
                "share of the variance of the groups' interaction that goes with the weekday, above its permutation mean",
            ],
            Quality::RankByLayer => [
                "rank_by_layer",
                "slope of effective rank over width on the layer, deepest model",
            ],
            Quality::RankByWidth => [
                "rank_by_width",
                "slope of the last residual stream's effective rank on the binary logarithm of the width",
            ],
            Quality::RankDiminishing => [
                "rank_diminishing",
                "gain of effective rank by the first widening minus the gain by the last",
            ],
            Quality::RankShare => ["rank_share", "effective rank of the pool over its width"],
            Quality::RelevanceByPosition => [
                "relevance_by_position",
                "the genuine group's share of importance in the last third of a window minus that in the first",
            ],
            Quality::ReversedAccuracy => ["reversed_accuracy", "accuracy where the shortcut misleads"],
            Quality::Season => ["season", "p of Fisher's g of the genuine group's importance series"],
            Quality::Sensitivity => ["sensitivity", "mean norm of the logit's gradient at the input"],
            Quality::ShortcutDecay => [
                "shortcut_decay",
                "ROC AUC with spurious columns only, in the hospitals of training minus the one that training did not see",
            ],
            Quality::ShortcutDrop => [
                "shortcut_drop",
                "ROC AUC lost when the spurious columns come from other rows",
            ],
            Quality::SilentActivations => [
                "silent_activations",
                "share of feed-forward activations of at most 0.01 root mean squares",
            ],
            Quality::StabilityByInsurance => [
                "stability_by_insurance",
                "range over insurances of the mean |change of the probability| from day to day, minus its permutation mean",
            ],
            Quality::SuperpositionByLayer => [
                "superposition_by_layer",
                "slope of interference above noise on the layer, deepest model",
            ],
            Quality::SuperpositionPlateau => [
                "superposition_plateau",
                "that slope over the first half of the layers minus that over the second",
            ],
            Quality::VolatilityLink => [
                "volatility_link",
                "correlation over windows of the market's volatility and the spread of the genuine group's importance",
            ],
            Quality::WeightSparsity => [
                "weight_sparsity",
                "share of weights of attention and feed-forward below 0.01 in magnitude",
            ],
        }
    }
}

/// Beside what a quality is held.
#[derive(Clone, Copy, Debug)]
pub(super) enum Comparison {
    /// The value itself.
    Alone,
    /// Minus that of another subject.
    Over(Subject),
    /// Minus that of each rival: above 0 where the subject has most.
    Most(&'static [Subject]),
    /// That of each rival minus the subject's: above 0 where the subject has least.
    Least(&'static [Subject]),
    /// The distance to the nearer of the rivals' ends: above 0 between the highest and the lowest rival.
    Middle(&'static [Subject]),
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measurement {
    pub(super) subject: Subject,
    pub(super) quality: Quality,
    pub(super) comparison: Comparison,
}

/// Values of a measurement, one a repeat.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// Beside whom, if beside somebody.
    pub(super) rival: Option<Subject>,
    pub(super) values: Vec<Option<f64>>,
}

impl Measurement {
    /// One reading, or one a rival.
    pub(super) fn readings(&self, repeats: &[Numbers]) -> Vec<Reading> {
        let over = |rival: Option<Subject>, of: &dyn Fn(&Numbers) -> Option<f64>| Reading {
            rival,
            values: repeats.iter().map(of).collect(),
        };
        let ours = |numbers: &Numbers| numbers.get(self.subject, self.quality);
        let difference = |rival: Subject, sign: f64| {
            over(Some(rival), &|numbers| {
                Some(sign * (ours(numbers)? - numbers.get(rival, self.quality)?))
            })
        };
        match self.comparison {
            Comparison::Alone => vec![over(None, &ours)],
            Comparison::Over(other) => vec![difference(other, 1.0)],
            Comparison::Most(rivals) => rivals.iter().map(|rival| difference(*rival, 1.0)).collect(),
            Comparison::Least(rivals) => rivals.iter().map(|rival| difference(*rival, -1.0)).collect(),
            Comparison::Middle(rivals) => vec![over(None, &|numbers| {
                let own = ours(numbers)?;
                let theirs = rivals.iter().map(|rival| numbers.get(*rival, self.quality));
                let theirs: Vec<f64> = theirs.collect::<Option<_>>()?;
                let highest = theirs.iter().copied().reduce(f64::max)?;
                let lowest = theirs.iter().copied().reduce(f64::min)?;
                Some((highest - own).min(own - lowest))
            })],
        }
    }

    /// In words.
    pub(super) fn about(&self) -> String {
        let what = self.quality.about();
        let names = |rivals: &[Subject]| rivals.iter().map(|rival| rival.name()).collect::<Vec<_>>().join(", ");
        let subject = self.subject.name();
        match self.comparison {
            Comparison::Alone => format!("{subject}: {what}"),
            Comparison::Over(other) => format!("{subject} minus {}: {what}", other.name()),
            Comparison::Most(rivals) => format!("{subject} minus the nearest of {}: {what}", names(rivals)),
            Comparison::Least(rivals) => format!("the nearest of {} minus {subject}: {what}", names(rivals)),
            Comparison::Middle(rivals) => {
                format!("{subject}, distance to the ends of {}: {what}", names(rivals))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHERS: &[Subject] = &[Subject::Hierarchical, Subject::Gated];
    const ENDS: &[Subject] = &[Subject::Parallel, Subject::Hierarchical];

    #[test]
    fn comparisons_are_above_zero_where_the_claim_holds() {
        let mut numbers = Numbers::default();
        for (subject, value) in [
            (Subject::Parallel, 0.5),
            (Subject::Hierarchical, 0.2),
            (Subject::Gated, 0.9),
        ] {
            numbers.put(subject, Quality::Sensitivity, Some(value));
        }
        let repeats = [numbers];
        let check = |subject: Subject, comparison: Comparison, expected: &[(Option<Subject>, Option<f64>)]| {
            let measurement = Measurement {
                subject,
                quality: Quality::Sensitivity,
                comparison,
            };
            let found = measurement.readings(&repeats);
            assert_eq!(found.len(), expected.len(), "{comparison:?}");
            for (reading, (rival, value)) in found.iter().zip(expected) {
                assert_eq!(reading.rival, *rival, "{comparison:?}");
                // Rounded to thousandths.
                let round = |value: f64| (1000.0 * value).round();
                assert_eq!(reading.values.len(), 1);
                assert_eq!(reading.values[0].map(round), value.map(round), "{comparison:?}");
            }
        };
        let (hierarchical, gated) = (Some(Subject::Hierarchical), Some(Subject::Gated));
        check(Subject::Parallel, Comparison::Alone, &[(None, Some(0.5))]);
        check(
            Subject::Parallel,
            Comparison::Over(Subject::Hierarchical),
            &[(hierarchical, Some(0.3))],
        );
        check(
            Subject::Parallel,
            Comparison::Most(OTHERS),
            &[(hierarchical, Some(0.3)), (gated, Some(-0.4))],
        );
        check(
            Subject::Parallel,
            Comparison::Least(OTHERS),
            &[(hierarchical, Some(-0.3)), (gated, Some(0.4))],
        );
        check(Subject::Parallel, Comparison::Middle(OTHERS), &[(None, Some(0.3))]);
        // Beyond the higher end by 0.4.
        check(Subject::Gated, Comparison::Middle(ENDS), &[(None, Some(-0.4))]);
        check(
            Subject::Small,
            Comparison::Most(OTHERS),
            &[(hierarchical, None), (gated, None)],
        );
    }
}
