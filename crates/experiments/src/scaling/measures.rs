//! What is read off a model, by name.

/// What belongs together in the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Superposition,
    Capacity,
    Attention,
    Gradients,
    Specialisation,
    Function,
}

/// One number.
pub(super) struct Measure {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// Where it can lie: intervals are cut to it.
    pub(super) range: [f64; 2],
    pub(super) topic: Topic,
}

const INFINITE: f64 = f64::INFINITY;

const fn measure(name: &'static str, title: &'static str, range: [f64; 2], topic: Topic) -> Measure {
    Measure {
        name,
        title,
        range,
        topic,
    }
}

/// So many of [`MEASURES`], the first, are of every site too.
pub(super) const OF_SITES: usize = 11;

/// All numbers of a model. Those of sites are means over the measured sites, the last two of them over the outputs of
/// layers.
pub(super) const MEASURES: [Measure; 21] = [
    measure(
        "effective_rank",
        "effective rank",
        [1.0, INFINITE],
        Topic::Superposition,
    ),
    measure(
        "directions_used",
        "effective rank over neurons",
        [0.0, 1.0],
        Topic::Superposition,
    ),
    measure(
        "compression_ratio",
        "compression ratio",
        [1.0, INFINITE],
        Topic::Superposition,
    ),
    measure("interference", "interference", [0.0, 1.0], Topic::Superposition),
    measure(
        "excess_interference",
        "interference above chance",
        [-1.0, 1.0],
        Topic::Superposition,
    ),
    measure("alignment", "alignment", [0.0, 1.0], Topic::Superposition),
    measure("sparsity", "sparsity", [0.0, 1.0], Topic::Capacity),
    measure("range", "range of activations", [0.0, INFINITE], Topic::Capacity),
    measure("neuron_entropy", "entropy of neurons", [0.0, 1.0], Topic::Capacity),
    measure(
        "selectivity",
        "selectivity of layers",
        [0.0, INFINITE],
        Topic::Specialisation,
    ),
    measure(
        "pattern_diversity",
        "pattern diversity of layers",
        [0.0, 1.0],
        Topic::Specialisation,
    ),
    measure(
        "rank_along_depth",
        "effective rank of the last layer over that of the embedding",
        [0.0, INFINITE],
        Topic::Specialisation,
    ),
    measure("attention_entropy", "attention entropy", [0.0, 1.0], Topic::Attention),
    measure("attention_sparsity", "attention sparsity", [0.0, 1.0], Topic::Attention),
    measure("head_diversity", "head diversity", [0.0, 1.0], Topic::Attention),
    measure("gradient_norm", "gradient norm", [0.0, INFINITE], Topic::Gradients),
    measure(
        "gradient_variance",
        "gradient variance",
        [0.0, INFINITE],
        Topic::Gradients,
    ),
    measure(
        "gradient_balance",
        "log10 of the first layer's gradient norm over the last one's",
        [-INFINITE, INFINITE],
        Topic::Gradients,
    ),
    measure(
        "interaction",
        "interaction of columns",
        [0.0, INFINITE],
        Topic::Function,
    ),
    measure("roc_auc", "ROC AUC", [0.0, 1.0], Topic::Function),
    measure(
        "worst_group_accuracy",
        "worst-group accuracy",
        [0.0, 1.0],
        Topic::Function,
    ),
];

/// Where a measure stands among [`MEASURES`].
pub(super) fn place(name: &str) -> Option<usize> {
    MEASURES.iter().position(|measure| measure.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_different_and_those_of_sites_come_first() {
        for (index, one) in MEASURES.iter().enumerate() {
            assert_eq!(place(one.name), Some(index));
        }
        assert_eq!(place("pattern_diversity"), Some(OF_SITES - 1));
        assert_eq!(place("no such measure"), None);
    }
}
