//! Places, paths and interventions as users write them, checked against the model and the groups before anything runs.

use std::ops::Range;

use burn::tensor::Device;
use disentangle_analysis::{
    causal::contrast::find_group,
    probing::{self, Place, Substitute, WeightSlice},
};
use disentangle_data::{Dataset, FeatureGroup, Role};
use disentangle_models::{Classifier, Model, ModelError, Selection};

use super::CausalSettings;
use crate::ExperimentError;

/// One intervention.
#[derive(Clone, Debug)]
pub(super) struct Intervention {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) substitute: Substitute,
}

/// What a configuration asks for, checked.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The groups that are traced.
    pub(super) groups: Vec<FeatureGroup>,
    pub(super) mediators: Vec<Selection>,
    /// Token positions.
    pub(super) positions: Vec<Selection>,
    /// `None`: from the strongest place on.
    pub(super) paths: Option<Vec<[Selection; 2]>>,
    pub(super) interventions: Vec<Intervention>,
    pub(super) attack_group: Option<FeatureGroup>,
}

impl Plan {
    pub(super) fn new(
        config: &CausalSettings,
        dataset: &Dataset,
        model: &Model,
        device: &Device,
    ) -> Result<Self, ExperimentError> {
        let spurious = || dataset.groups.iter().filter(|group| group.role == Role::Spurious);
        let groups: Vec<FeatureGroup> = match &config.group {
            Some(name) => vec![find_group(&dataset.groups, name)?.clone()],
            None if spurious().next().is_some() => spurious().cloned().collect(),
            None => dataset.groups.clone(),
        };
        let mediators = match &config.mediators {
            Some(text) if text.trim() == "all" => probing::all_mediators(model),
            Some(text) => parts(text)
                .map(|part| place(part, "mediators", model))
                .collect::<Result<_, _>>()?,
            None => blocks_and_streams(model),
        };
        let mut positions = probing::position_mediators(model);
        let longest = model.sites().iter().map(|site| site.axes[1]).max().unwrap_or(1);
        if config.mediators.is_some() || longest > config.most_positions {
            positions.clear();
        }
        let paths = match &config.paths {
            None => None,
            Some(text) => Some(
                parts(text)
                    .map(|part| path(part, model, device))
                    .collect::<Result<_, _>>()?,
            ),
        };
        let interventions = config.interventions.as_deref().unwrap_or_default();
        let attack_group = match &config.attack_group {
            Some(name) => Some(find_group(&dataset.groups, name)?.clone()),
            None => None,
        };
        Ok(Self {
            groups,
            mediators,
            positions,
            paths,
            interventions: parts(interventions)
                .map(|part| intervention(part, dataset, model, device))
                .collect::<Result<_, _>>()?,
            attack_group,
        })
    }
}

/// Heads and block outputs, and the streams between them, which are cuts, in forward order.
fn blocks_and_streams(model: &Model) -> Vec<Selection> {
    let blocks = probing::block_mediators(model);
    let stream = |place: &Selection| ["embed", "resid", "pool"].iter().any(|end| place.site.ends_with(end));
    let all = probing::all_mediators(model).into_iter();
    all.filter(|place| stream(place) || blocks.contains(place)).collect()
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(';').map(str::trim).filter(|part| !part.is_empty())
}

fn wrong(key: &str, part: &str, reason: impl std::fmt::Display) -> ExperimentError {
    ExperimentError::Input(format!("`{key}`: `{part}`: {reason}"))
}

/// A site or a part of one that this model has.
fn place(text: &str, key: &str, model: &Model) -> Result<Selection, ExperimentError> {
    let selection = Selection::parse(text).map_err(|error| reason_of(key, text, error))?;
    let sites = model.sites();
    let Some(site) = sites.iter().find(|site| site.name == selection.site) else {
        let known: Vec<String> = sites.into_iter().map(|site| site.name).collect();
        let near = disentangle_models::near_names(&selection.site, &known);
        return Err(wrong(key, text, format!("no site of this model; near names: {near}")));
    };
    selection.check(site.axes).map_err(|reason| wrong(key, text, reason))?;
    Ok(selection)
}

fn reason_of(key: &str, text: &str, error: ModelError) -> ExperimentError {
    match error {
        ModelError::Tap { reason, .. } => wrong(key, text, reason),
        other => other.into(),
    }
}

fn path(text: &str, model: &Model, device: &Device) -> Result<[Selection; 2], ExperimentError> {
    let (sender, receiver) = text
        .split_once("->")
        .ok_or_else(|| wrong("paths", text, "expected SITE->SITE"))?;
    let ends = [
        place(sender.trim(), "paths", model)?,
        place(receiver.trim(), "paths", model)?,
    ];
    let [from, to] = [0, 1].map(|end: usize| {
        let sites = model.site_steps(device);
        sites.iter().position(|(name, _)| *name == ends[end].site)
    });
    match to > from {
        true => Ok(ends),
        false => Err(wrong("paths", text, "the second site does not fire after the first")),
    }
}

fn intervention(
    text: &str,
    dataset: &Dataset,
    model: &Model,
    device: &Device,
) -> Result<Intervention, ExperimentError> {
    let error = |reason: &str| wrong("interventions", text, reason);
    let (name, value) = text
        .rsplit_once('=')
        .ok_or_else(|| error("expected PLACE=zero or PLACE=mean"))?;
    let substitute = match value.trim() {
        "zero" => Substitute::Zero,
        "mean" => Substitute::Mean,
        _ => return Err(error("expected PLACE=zero or PLACE=mean")),
    };
    let place = if let Some(group) = name.strip_prefix("group:") {
        Place::Columns(find_group(&dataset.groups, group.trim())?.columns.clone())
    } else if let Some(weight) = name.strip_prefix("weight:") {
        let slice =
            weight_slice(weight.trim()).ok_or_else(|| error("expected weight:NAME or weight:NAME[ROWS,COLUMNS]"))?;
        // Refused here, before a folder is made.
        model
            .with_parameter(&slice.name, &slice.axes, device, |_| ())
            .map_err(|error| reason_of("interventions", text, error))?;
        Place::Weights(slice)
    } else {
        Place::Site(place(name.trim(), "interventions", model)?)
    };
    Ok(Intervention {
        name: text.into(),
        place,
        substitute,
    })
}

/// `NAME`, or `NAME[ROWS,COLUMNS]` with `N`, `FROM..TO` or `:` (all) for each axis.
fn weight_slice(text: &str) -> Option<WeightSlice> {
    let Some((name, rest)) = text.split_once('[') else {
        return Some(WeightSlice {
            name: text.into(),
            axes: Vec::new(),
        });
    };
    let axis = |text: &str| -> Option<Option<Range<usize>>> {
        let index = |text: &str| text.trim().parse::<usize>().ok();
        match text.trim() {
            ":" => Some(None),
            text => match text.split_once("..") {
                Some((from, to)) => Some(Some(index(from)?..index(to)?)),
                None => Some(Some(index(text)?..index(text)?.checked_add(1)?)),
            },
        }
    };
    let axes = rest
        .strip_suffix(']')?
        .split(',')
        .map(axis)
        .collect::<Option<Vec<_>>>()?;
    Some(WeightSlice {
        name: name.into(),
        axes,
    })
}
