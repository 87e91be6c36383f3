//! What is lost without each component: heads and blocks whose output is replaced by its mean, and normalisations whose gains are.

use disentangle_analysis::{
    importance::weighted_mean,
    probing::{Place, Substitute, Value, WeightSlice, block_mediators, intervene},
};
use disentangle_models::Model;

use super::{Asked, outcome::Importance, right, weights::Parameter};
use crate::ExperimentError;

/// A component, what it is a part of, and where it lies.
struct Component {
    name: String,
    kind: &'static str,
    place: Place,
}

fn components(model: &Model, parameters: &[Parameter]) -> Vec<Component> {
    let blocks = block_mediators(model).into_iter().map(|selection| {
        let site = selection.site.as_str();
        let kind = match () {
            () if site.ends_with("attn.z") => "head",
            () if site.ends_with("attn.out") => "attention",
            () if site.ends_with("ff.out") => "feed-forward",
            () => "gating",
        };
        Component {
            name: selection.to_string(),
            kind,
            place: Place::Site(selection),
        }
    });
    let gains = parameters.iter().filter(|parameter| parameter.is_gain());
    let gains = gains.map(|parameter| Component {
        name: parameter.name.clone(),
        kind: parameter.kind,
        place: Place::Weights(WeightSlice {
            name: parameter.name.clone(),
            axes: Vec::new(),
        }),
    });
    blocks.chain(gains).collect()
}

impl Asked<'_> {
    pub(super) fn importance(
        &self,
        model: &Model,
        parameters: &[Parameter],
        whole: &[f64],
    ) -> Result<Vec<Importance>, ExperimentError> {
        let (device, threads) = (self.context.device, self.context.threads);
        let kept = right(whole, &self.labels);
        let one = |component: Component| -> Result<Importance, ExperimentError> {
            self.context.go_on()?;
            let mean = Value::Fixed(Substitute::Mean);
            let without = intervene(model, &self.x, &component.place, mean, device, threads)?;
            let changes: Vec<f64> = without.iter().zip(whole).map(|(without, z)| without - z).collect();
            let sizes: Vec<f64> = changes.iter().map(|change| change.abs()).collect();
            let lost = kept.iter().zip(right(&without, &self.labels));
            let lost: Vec<f64> = lost.map(|(with, without)| with - without).collect();
            Ok(Importance {
                component: component.name,
                kind: component.kind.into(),
                mean_change: weighted_mean(&self.bootstrap, &changes),
                size: weighted_mean(&self.bootstrap, &sizes).within(0.0, f64::INFINITY),
                accuracy_lost: weighted_mean(&self.bootstrap, &lost),
            })
        };
        components(model, parameters).into_iter().map(one).collect()
    }
}
