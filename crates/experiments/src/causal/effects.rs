//! Groups: their importance, their total effects, and where these travel.

use disentangle_analysis::{
    Estimate,
    causal::{
        contrast::{Counterfactual, counterfactual},
        mediation::{mediation, total_effect},
    },
    importance::{self, weighted_mean},
    multiple::benjamini_hochberg_of,
    probing::{self, MediatorEffects, Passage, Place, Substitute, Value, intervene},
};
use disentangle_data::FeatureGroup;
use disentangle_models::{Classifier, Selection};
use rayon::prelude::*;

use super::{
    Asked, Orientation,
    outcome::{EnvironmentImportance, Intervened, Mediated, PathEffect, TotalEffect, Traced},
    right,
};
use crate::{ExperimentError, finance::permute_days};

/// A group's counterfactual rows, and how its effects are weighed.
struct Contrasted {
    side: &'static str,
    rows: Counterfactual,
    weights: Vec<f64>,
}

impl Asked<'_> {
    pub(super) fn importance(&self) -> Result<Vec<EnvironmentImportance>, ExperimentError> {
        let dataset = &self.input.rows.dataset;
        let groups: Vec<(String, Vec<usize>)> = dataset
            .groups
            .iter()
            .map(|group| (group.name.clone(), group.columns.clone()))
            .collect();
        let mut all = Vec::new();
        for environment in &self.input.rows.environments {
            self.context.go_on()?;
            let (inputs, labels) = (self.inputs(&environment.rows), dataset.labels(&environment.rows));
            let seed = self.seed("importance").child(&environment.name);
            let order = |seed: disentangle_data::Seed| match self.input.rows.block {
                1 => seed.rng().permutation(environment.rows.len()),
                _ => permute_days(dataset, &environment.rows, seed),
            };
            let ablated = importance::ablate(&inputs, &groups, self.config.permutations, order, seed, |x| {
                self.logits(x)
            })?;
            let whole = self.logits(&inputs)?;
            for (group, ablated) in dataset.groups.iter().zip(&ablated) {
                let lost = |substitute| -> Result<Estimate, ExperimentError> {
                    let place = Place::Columns(group.columns.clone());
                    let logits = self.intervene(&inputs, &place, substitute)?;
                    Ok(self.accuracy_drop(&whole, &logits, &labels))
                };
                all.push(EnvironmentImportance {
                    environment: environment.name.clone(),
                    importance: importance::importance(&whole, &labels, ablated, &self.bootstrap),
                    accuracy_drop_mean: lost(Substitute::Mean)?,
                    accuracy_drop_zero: lost(Substitute::Zero)?,
                });
            }
        }
        // One family: every group in every environment.
        let p: Vec<Option<f64>> = all.iter().map(|one| one.importance.auc_drop.p).collect();
        for (one, q) in all.iter_mut().zip(benjamini_hochberg_of(&p)) {
            one.importance.auc_drop.q = q;
        }
        Ok(all)
    }

    fn intervene(
        &self,
        x: &ndarray::Array3<f32>,
        place: &Place,
        substitute: Substitute,
    ) -> Result<Vec<f64>, ExperimentError> {
        let (device, threads) = (self.context.device, self.context.threads);
        Ok(intervene(
            self.model,
            x,
            place,
            Value::Fixed(substitute),
            device,
            threads,
        )?)
    }

    fn accuracy_drop(&self, whole: &[f64], changed: &[f64], labels: &[f32]) -> Estimate {
        let pairs = right(whole, labels).into_iter().zip(right(changed, labels));
        weighted_mean(
            &self.bootstrap,
            &pairs.map(|(with, without)| with - without).collect::<Vec<_>>(),
        )
    }

    pub(super) fn interventions(&self) -> Result<Vec<Intervened>, ExperimentError> {
        let dataset = &self.input.rows.dataset;
        let mut all = Vec::new();
        for intervention in &self.input.plan.interventions {
            for environment in &self.input.rows.environments {
                let (inputs, labels) = (self.inputs(&environment.rows), dataset.labels(&environment.rows));
                let whole = self.logits(&inputs)?;
                let changed = self.intervene(&inputs, &intervention.place, intervention.substitute)?;
                let changes: Vec<f64> = changed.iter().zip(&whole).map(|(changed, z)| changed - z).collect();
                let mean_square = |weights: &[f64]| {
                    let total: f64 = weights.iter().sum();
                    let sum: f64 = weights.iter().zip(&changes).map(|(w, c)| w * c * c).sum();
                    (total > 0.0).then(|| (sum / total).sqrt())
                };
                all.push(Intervened {
                    intervention: intervention.name.clone(),
                    environment: environment.name.clone(),
                    change: weighted_mean(&self.bootstrap, &changes),
                    root_mean_square: self.bootstrap.estimate_weighted(changes.len(), mean_square),
                    accuracy_drop: self.accuracy_drop(&whole, &changed, &labels),
                });
            }
        }
        Ok(all)
    }

    fn contrasted(&self, group: &FeatureGroup) -> Result<Contrasted, ExperimentError> {
        let rows = &self.main().rows;
        let (side, sides) = self.input.rows.sides(group, rows);
        let (contrast, draws) = (self.config.contrast, self.config.draws);
        let seed = self.seed("contrast").child(&group.name);
        let found = counterfactual(&self.inputs(rows), &group.columns, &sides, contrast, draws, seed)?;
        let weights = match self.config.orientation {
            Orientation::Side => found.orientation.clone(),
            Orientation::None => vec![1.0; rows.len()],
        };
        Ok(Contrasted {
            side,
            rows: found,
            weights,
        })
    }

    pub(super) fn total_effects(&self) -> Result<Vec<TotalEffect>, ExperimentError> {
        let inputs = self.inputs(&self.main().rows);
        let whole = self.logits(&inputs)?;
        let mut all = Vec::new();
        for group in &self.input.rows.dataset.groups {
            let contrasted = self.contrasted(group)?;
            let draws = &contrasted.rows.draws;
            let (mut total, mut size) = (vec![0.0; whole.len()], vec![0.0; whole.len()]);
            for draw in draws {
                for (row, z) in self.logits(draw)?.into_iter().enumerate() {
                    total[row] += (z - whole[row]) / draws.len() as f64;
                    size[row] += (z - whole[row]).abs() / draws.len() as f64;
                }
            }
            let effect = |weights: &[f64]| total_effect(&total, weights, &self.bootstrap);
            all.push(TotalEffect {
                group: group.name.clone(),
                side: contrasted.side.into(),
                oriented: effect(&contrasted.rows.orientation),
                plain: effect(&vec![1.0; whole.len()]),
                size: weighted_mean(&self.bootstrap, &size),
            });
        }
        Ok(all)
    }

    pub(super) fn traced(&self) -> Result<Vec<Traced>, ExperimentError> {
        let groups = self.input.plan.groups.iter();
        groups
            .map(|group| {
                self.context.go_on()?;
                self.trace(group)
            })
            .collect()
    }

    fn trace(&self, group: &FeatureGroup) -> Result<Traced, ExperimentError> {
        let (device, threads) = (self.context.device, self.context.threads);
        let plan = &self.input.plan;
        let inputs = self.inputs(&self.main().rows);
        let contrasted = self.contrasted(group)?;
        let draws = &contrasted.rows.draws;
        let places = [plan.mediators.clone(), plan.positions.clone()].concat();
        let found = probing::effect_map(self.model, &inputs, draws, &places, device, threads)?;
        let passages = probing::passages(self.model, &group.columns, &places, device)?;
        let weights = &contrasted.weights;
        let total = total_effect(&found.total, weights, &self.bootstrap);
        let mut mediated: Vec<Mediated> = found
            .mediators
            .par_iter()
            .zip(passages)
            .map(|(one, passage)| self.mediated(one, passage, &found.total, weights))
            .collect();
        let positions = mediated.split_off(plan.mediators.len());
        let paths = self.paths(&inputs, &contrasted, &mediated, &found.total)?;
        Ok(Traced {
            group: group.name.clone(),
            contrast: self.config.contrast,
            side: contrasted.side.into(),
            oriented: self.config.orientation == Orientation::Side,
            environment: self.main().name.clone(),
            rows: inputs.dim().0,
            draws: draws.len(),
            total,
            mediators: mediated,
            positions,
            paths,
        })
    }

    fn mediated(&self, one: &MediatorEffects, passage: Passage, total: &[f64], weights: &[f64]) -> Mediated {
        let first = |axis: usize| {
            let range = one.mediator.axes[axis].clone()?;
            (range.len() == 1).then_some(range.start)
        };
        Mediated {
            place: one.mediator.to_string(),
            site: one.mediator.site.clone(),
            head: first(0),
            position: first(1),
            passage,
            mediation: mediation(total, &one.effects, weights, &self.bootstrap),
        }
    }

    fn paths(
        &self,
        inputs: &ndarray::Array3<f32>,
        contrasted: &Contrasted,
        mediated: &[Mediated],
        total: &[f64],
    ) -> Result<Vec<PathEffect>, ExperimentError> {
        let pairs = match &self.input.plan.paths {
            Some(pairs) => pairs.clone(),
            None => self.usual_paths(mediated)?,
        };
        let (device, threads) = (self.context.device, self.context.threads);
        let weights = &contrasted.weights;
        pairs
            .iter()
            .map(|[sender, receiver]| {
                let draws = &contrasted.rows.draws;
                let effect = probing::path_effect(self.model, inputs, draws, sender, receiver, device, threads)?;
                let around = vec![0.0; effect.len()];
                let as_effects = disentangle_analysis::causal::mediation::RowEffects {
                    direct: around,
                    indirect: effect,
                };
                let found = mediation(total, &as_effects, weights, &self.bootstrap);
                Ok(PathEffect {
                    sender: sender.to_string(),
                    receiver: receiver.to_string(),
                    effect: found.indirect,
                    share: found.share,
                })
            })
            .collect()
    }

    /// From the place with the largest indirect effect to every block output after it, and straight to the representation.
    fn usual_paths(&self, mediated: &[Mediated]) -> Result<Vec<[Selection; 2]>, ExperimentError> {
        let size = |one: &Mediated| one.mediation.indirect.value.unwrap_or(0.0).abs();
        let candidates = mediated.iter().filter(|one| one.passage == Passage::Partial);
        let Some(strongest) = candidates.max_by(|a, b| size(a).total_cmp(&size(b))) else {
            return Ok(Vec::new());
        };
        let sender = Selection::parse(&strongest.place)?;
        let sites: Vec<String> = self.model.sites().into_iter().map(|site| site.name).collect();
        let from = sites
            .iter()
            .position(|site| *site == sender.site)
            .unwrap_or(sites.len());
        let block = sender.site.rsplit_once('.').map_or("", |(block, _)| block);
        let own = format!("{block}.out");
        let ends = ["attn.out", "ff.out", "pool"];
        let receivers = sites[(from + 1).min(sites.len())..]
            .iter()
            .filter(|site| **site != own && ends.iter().any(|end| site.ends_with(end)));
        let whole = |site: &String| Selection {
            site: site.clone(),
            axes: [None, None, None],
        };
        Ok(receivers.map(|site| [sender.clone(), whole(site)]).collect())
    }
}
