//! Where in the network a group's effect travels: its natural direct and indirect effects through every head and block output.

use std::ops::Range;

use burn::tensor::Device;
use disentangle_data::Seed;
use disentangle_models::{Classifier, Model, ModelError, Selection, Tap, is_accelerator, parallel};
use ndarray::{Array3, ArrayView3, s};
use serde::{Deserialize, Serialize};

use super::{
    ProbingError,
    resume::{Variation, resume_all, rows_at_once},
    to_input,
};
use crate::causal::mediation::RowEffects;

/// What a place is to a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Passage {
    /// Some paths from the group to the output lead through it, and some around it.
    #[default]
    Partial,
    /// All paths lead through it, whatever the weights: the direct effect is 0 by construction.
    Cut,
    /// No path leads through it, whatever the weights: the indirect effect is 0 by construction.
    Apart,
}

/// Effects of a group through one place.
#[derive(Clone, Debug, PartialEq)]
pub struct MediatorEffects {
    /// The place.
    pub mediator: Selection,
    /// Row by row.
    pub effects: RowEffects,
}

/// Effects of a group, row by row, on the logit.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupEffects {
    /// Y(x) of every row.
    pub logits: Vec<f64>,
    /// Y(x') - Y(x), the mean over draws of x'.
    pub total: Vec<f64>,
    /// One a place.
    pub mediators: Vec<MediatorEffects>,
}

/// The places that carry information without being all there is: each head's output, and each attention's and feed-forward part's
/// output before it is added to the residual stream; of gated models also the gate.
pub fn block_mediators(model: &Model) -> Vec<Selection> {
    let mut mediators = Vec::new();
    for site in model.sites() {
        let whole = Selection {
            site: site.name.clone(),
            axes: [None, None, None],
        };
        if site.name.ends_with("attn.z") {
            mediators.extend((0..site.axes[0]).map(|head| Selection {
                axes: [Some(head..head + 1), None, None],
                ..whole.clone()
            }));
        } else if ["attn.out", "ff.out", "gate.value"]
            .iter()
            .any(|end| site.name.ends_with(end))
        {
            mediators.push(whole);
        }
    }
    mediators
}

/// Every site but the input and the logit: each head of those that have heads, others whole; residual streams, which are cuts, too.
pub fn all_mediators(model: &Model) -> Vec<Selection> {
    let sites = model.sites().into_iter();
    let inner = sites.filter(|site| site.name != "input" && site.name != "logit");
    let heads = inner.flat_map(|site| {
        let parts: Vec<Option<Range<usize>>> = match site.axes[0] {
            1 => vec![None],
            heads => (0..heads).map(|head| Some(head..head + 1)).collect(),
        };
        parts.into_iter().map(move |head| Selection {
            site: site.name.clone(),
            axes: [head, None, None],
        })
    });
    heads.collect()
}

/// Each position of the embedding and of every layer's residual stream; none where there is one position only.
pub fn position_mediators(model: &Model) -> Vec<Selection> {
    let sites = model.sites().into_iter();
    let streams = sites.filter(|site| site.name.ends_with("embed") || site.name.ends_with("resid"));
    let with_positions = streams.filter(|site| site.axes[1] > 1);
    with_positions
        .flat_map(|site| {
            (0..site.axes[1]).map(move |position| Selection {
                site: site.name.clone(),
                axes: [None, Some(position..position + 1), None],
            })
        })
        .collect()
}

/// Total effect of replacing `x` by each of `counterfactuals` (means over them), and direct and indirect effects through each of
/// `mediators`. `[row, position, feature]`, all of one shape. Does not depend on `threads`.
///
/// The clean and the counterfactual pass are run once; every patched pass is resumed from the step of its site, and the patches
/// of a step pass together.
///
/// Fails for a site that the model does not have, a selection that selects nothing, and shapes that differ.
pub fn effect_map(
    model: &Model,
    x: &Array3<f32>,
    counterfactuals: &[Array3<f32>],
    mediators: &[Selection],
    device: &Device,
    threads: usize,
) -> Result<GroupEffects, ProbingError> {
    check_shapes(model, x, counterfactuals)?;
    let plan = plan(model, mediators, device)?;
    let rows = x.dim().0;
    let at_once = rows_at_once(x.dim().1);
    let starts: Vec<usize> = (0..rows).step_by(at_once).collect();
    let parts = parallel::map(threads, &starts, |&start| {
        let range = start..(start + at_once).min(rows);
        let part = |x: &Array3<f32>, range: Range<usize>| x.slice(s![range, .., ..]).to_owned();
        let changed: Vec<Array3<f32>> = counterfactuals.iter().map(|x| part(x, range.clone())).collect();
        effects_of_rows(model, part(x, range.clone()).view(), &changed, mediators, &plan, device)
    });
    let mut all = GroupEffects {
        logits: Vec::with_capacity(rows),
        total: Vec::with_capacity(rows),
        mediators: mediators
            .iter()
            .map(|mediator| MediatorEffects {
                mediator: mediator.clone(),
                effects: RowEffects::default(),
            })
            .collect(),
    };
    for part in parts {
        let part = part?;
        all.logits.extend(part.logits);
        all.total.extend(part.total);
        for (all, part) in all.mediators.iter_mut().zip(part.mediators) {
            all.effects.direct.extend(part.effects.direct);
            all.effects.indirect.extend(part.effects.indirect);
        }
    }
    Ok(all)
}

/// What each of `mediators` is to a group of columns, found on a model of the same architecture with random weights: what holds there
/// for random rows holds by construction.
pub fn passages(
    model: &Model,
    columns: &[usize],
    mediators: &[Selection],
    device: &Device,
) -> Result<Vec<Passage>, ProbingError> {
    // Fixed, so that the answer depends on the architecture alone.
    let seed = Seed::new(0).child("passages");
    let generic = model.config().init(seed.child("weights"), device)?;
    let [positions, features] = generic.input_shape();
    let mut rng = seed.child("rows").rng();
    let x = Array3::from_shape_simple_fn((4, positions, features), || rng.normal() as f32);
    let mut changed = x.clone();
    for &column in columns {
        changed
            .slice_mut(s![.., .., column])
            .mapv_inplace(|_| rng.normal() as f32);
    }
    let found = effect_map(&generic, &x, &[changed], mediators, device, 1)?;
    let largest = |values: &[f64]| values.iter().fold(0.0f64, |most, value| most.max(value.abs()));
    // Rounding stays far below, and a path that exists far above. Matrix units of accelerators may round products to 11 bits.
    let rounding = if is_accelerator(device) { 1e-3 } else { 1e-5 };
    let least = rounding * largest(&found.total);
    let passages = found.mediators.iter().map(|one| {
        match (
            largest(&one.effects.direct) <= least,
            largest(&one.effects.indirect) <= least,
        ) {
            (_, true) => Passage::Apart,
            (true, false) => Passage::Cut,
            (false, false) => Passage::Partial,
        }
    });
    Ok(passages.collect())
}

/// The step of each mediator, steps in order with the mediators' indices.
type Plan = Vec<(usize, Vec<usize>)>;

fn plan(model: &Model, mediators: &[Selection], device: &Device) -> Result<Plan, ModelError> {
    let mut plan: Plan = Vec::new();
    // Asked once: every answer of `step_of` takes a pass of its own.
    let steps = model.site_steps(device);
    for (index, mediator) in mediators.iter().enumerate() {
        let step = match steps.iter().find(|(site, _)| *site == mediator.site) {
            Some((_, step)) => *step,
            // Names the near ones.
            None => model.step_of(&mediator.site, device)?,
        };
        match plan.iter_mut().find(|(known, _)| *known == step) {
            Some((_, members)) => members.push(index),
            None => plan.push((step, vec![index])),
        }
    }
    Ok(plan)
}

pub(super) fn check_shapes(model: &Model, x: &Array3<f32>, others: &[Array3<f32>]) -> Result<(), ModelError> {
    let [positions, features] = model.input_shape();
    let (rows, found_positions, found_features) = x.dim();
    let error = |expected: String, found: String| Err(ModelError::Input { expected, found });
    if (found_positions, found_features) != (positions, features) {
        let expected = format!("windows of {positions} rows and {features} features");
        return error(
            expected,
            format!("{found_positions} rows and {found_features} features"),
        );
    }
    if rows == 0 {
        return error("at least one row".into(), "none".into());
    }
    if others.is_empty() {
        return error("at least one draw of counterfactual rows".into(), "none".into());
    }
    match others.iter().find(|other| other.dim() != x.dim()) {
        None => Ok(()),
        Some(other) => error(
            format!("counterfactual rows of shape {:?}", x.dim()),
            format!("{:?}", other.dim()),
        ),
    }
}

fn effects_of_rows(
    model: &Model,
    x: ArrayView3<f32>,
    counterfactuals: &[Array3<f32>],
    mediators: &[Selection],
    plan: &Plan,
    device: &Device,
) -> Result<GroupEffects, ModelError> {
    let names: Vec<String> = mediators.iter().map(ToString::to_string).collect();
    let traced = |x: ArrayView3<f32>| {
        let mut tap = Tap::new();
        for name in &names {
            tap = tap.record(name)?;
        }
        let trace = model.trace(&to_input(x, device), &mut tap);
        Ok::<_, ModelError>((trace, tap.finish()?))
    };
    let (clean, clean_run) = traced(x)?;
    let logits: Vec<f64> = clean.logits.clone().into_data().iter::<f64>().collect();
    let zero = || vec![0.0; logits.len()];
    let mut total = zero();
    let mut effects: Vec<RowEffects> = mediators
        .iter()
        .map(|_| RowEffects {
            direct: zero(),
            indirect: zero(),
        })
        .collect();
    let share = 1.0 / counterfactuals.len() as f64;
    let add = |sum: &mut [f64], changed: &[f64]| {
        for ((sum, changed), plain) in sum.iter_mut().zip(changed).zip(&logits) {
            *sum += share * (changed - plain);
        }
    };
    for counterfactual in counterfactuals {
        let (changed, changed_run) = traced(counterfactual.view())?;
        let changed_logits: Vec<f64> = changed.logits.clone().into_data().iter::<f64>().collect();
        add(&mut total, &changed_logits);
        for (step, members) in plan {
            let mut variations = Vec::with_capacity(2 * members.len());
            for &member in members {
                for (state, donor) in [
                    (&clean.before[*step], &changed_run),
                    (&changed.before[*step], &clean_run),
                ] {
                    variations.push(Variation {
                        state,
                        selection: &mediators[member],
                        value: donor.get(&names[member])?,
                    });
                }
            }
            let passed = resume_all(model, *step, &variations)?;
            for (pair, &member) in passed.chunks(2).zip(members) {
                add(&mut effects[member].indirect, &pair[0]);
                add(&mut effects[member].direct, &pair[1]);
            }
        }
    }
    let mediators = mediators.iter().cloned().zip(effects);
    Ok(GroupEffects {
        logits,
        total,
        mediators: mediators
            .map(|(mediator, effects)| MediatorEffects { mediator, effects })
            .collect(),
    })
}
