//! Interventions, effects, attributions and attacks on models of every family: against PyTorch and Captum
//! (`tests/fixtures/make_causal.py`), and against what must hold by construction.

use std::path::PathBuf;

use burn::tensor::Device;
use disentangle_data::Seed;
use disentangle_models::{
    Classifier, Family, Layout, LinearConfig, Model, ModelConfig, Selection, SmallConfig, weights,
};
use ndarray::{Array3, Axis, s};
use safetensors::SafeTensors;
use serde_json::Value as Json;

use super::*;
use crate::{
    Bootstrap,
    causal::{
        attribution::Rule,
        contrast::{Contrast, counterfactual},
        mediation::{RowEffects, total_effect},
        robustness::Disturbance,
        tests::{close, fixture, floats},
    },
    classification::{log_loss, sigmoid},
};

fn device() -> Device {
    Device::flex()
}

/// A model of `make_models.py` with PyTorch's weights, and its rows.
fn pytorch(name: &str) -> (Model, Array3<f32>) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/models");
    let config: ModelConfig =
        serde_json::from_str(&std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap()).unwrap();
    let content = std::fs::read(folder.join(format!("{name}.safetensors"))).unwrap();
    let tensors = SafeTensors::deserialize(&content).unwrap();
    let own = tensors.names().into_iter().filter_map(|full| {
        let name = full.strip_prefix("weights.")?;
        Some((name.to_string(), tensors.tensor(full).unwrap()))
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        safetensors::serialize(own.collect::<Vec<_>>(), None).unwrap(),
    )
    .unwrap();
    let model = config.init(Seed::new(0), &device()).unwrap();
    let model = weights::load(model, file.path(), &device()).unwrap();
    let x = tensors.tensor("x").unwrap();
    let shape: [usize; 3] = x.shape().try_into().unwrap();
    let values = x
        .data()
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    (model, Array3::from_shape_vec(shape, values.collect()).unwrap())
}

fn cases(name: &str) -> Vec<Json> {
    let cases = fixture(name).as_array().unwrap().clone();
    assert!(!cases.is_empty());
    cases
}

fn model_of(case: &Json) -> (String, Model, Array3<f32>) {
    let name = case["model"].as_str().unwrap().to_string();
    let (model, x) = pytorch(&name);
    (name, model, x)
}

/// Columns 0 and 1 from the next row.
fn shifted(x: &Array3<f32>) -> Array3<f32> {
    let mut changed = x.clone();
    for row in 0..x.dim().0 {
        let next = (row + 1) % x.dim().0;
        let donor = x.slice(s![next, .., ..2]);
        changed.slice_mut(s![row, .., ..2]).assign(&donor);
    }
    changed
}

fn selection(site: &Json, head: &Json) -> Selection {
    let site = site.as_str().unwrap();
    let text = head
        .as_u64()
        .map_or_else(|| site.to_string(), |head| format!("{site}[head={head}]"));
    Selection::parse(&text).unwrap()
}

#[test]
fn effects_through_every_head_and_block_agree_with_hooks_in_pytorch() {
    for case in cases("mediation") {
        let (name, model, x) = model_of(&case);
        let mediators: Vec<Selection> = case["mediators"]
            .as_array()
            .unwrap()
            .iter()
            .map(|mediator| selection(&mediator["site"], &mediator["head"]))
            .collect();
        let found = effect_map(&model, &x, &[shifted(&x)], &mediators, &device(), 2).unwrap();
        let (plain, changed) = (floats(&case["y_x"]), floats(&case["y_x1"]));
        close(&name, &found.logits, &plain, 1e-5);
        let minus = |values: &Json| -> Vec<f64> { floats(values).iter().zip(&plain).map(|(a, b)| a - b).collect() };
        close(&name, &found.total, &minus(&case["y_x1"]), 2e-6);
        assert!(plain != changed);
        for (one, expected) in found.mediators.iter().zip(case["mediators"].as_array().unwrap()) {
            let what = format!("{name}: {}", one.mediator);
            close(&what, &one.effects.indirect, &minus(&expected["y_x_m1"]), 2e-6);
            close(&what, &one.effects.direct, &minus(&expected["y_x1_m"]), 2e-6);
        }
        let all = block_mediators(&model);
        assert!(mediators.iter().all(|mediator| all.contains(mediator)), "{name}");
    }
}

#[test]
fn paths_agree_with_hooks_in_pytorch() {
    for case in cases("path") {
        let (name, model, x) = model_of(&case);
        let sender = selection(&case["sender"]["site"], &case["sender"]["head"]);
        let plain = floats(&case["y_x"]);
        for receiver in case["receivers"].as_array().unwrap() {
            let to = selection(&receiver["site"], &receiver["head"]);
            let found = path_effect(&model, &x, &[shifted(&x)], &sender, &to, &device(), 1).unwrap();
            let expected: Vec<f64> = floats(&receiver["logits"])
                .iter()
                .zip(&plain)
                .map(|(a, b)| a - b)
                .collect();
            close(&format!("{name}: {sender} to {to}"), &found, &expected, 1e-6);
        }
    }
    let (model, x) = pytorch("large");
    let path = |from: &str, to: &str| {
        let parse = |text: &str| Selection::parse(text).unwrap();
        path_effect(&model, &x, &[shifted(&x)], &parse(from), &parse(to), &device(), 1)
    };
    // From the group itself to the output and to whatever all paths pass, it is the total effect.
    let total = effect_map(&model, &x, &[shifted(&x)], &[], &device(), 1).unwrap().total;
    close("input to embed", &path("input", "embed").unwrap(), &total, 1e-6);
    let error = path("layers.1.attn.z", "layers.0.attn.z").unwrap_err().to_string();
    let expected =
        "tap `layers.0.attn.z`: does not fire after `layers.1.attn.z`; expected a later site of the same model";
    assert_eq!(error, expected);
    assert!(
        path("layers.7.attn.z", "pool")
            .unwrap_err()
            .to_string()
            .contains("no such site in this model")
    );
}

#[test]
fn attributions_agree_with_captum() {
    for case in cases("attribution") {
        let (name, model, x) = model_of(&case);
        let zero = Array3::zeros(x.dim());
        let integrated = |rule| {
            let found = model_integrated_gradients(&model, &x, &zero, rule, 50, &device(), 2).unwrap();
            found.iter().copied().collect::<Vec<f64>>()
        };
        let exact = floats(&case["integrated_gradients_gausslegendre"]);
        close(&name, &integrated(Rule::GaussLegendre), &exact, 1e-5);
        if case["integrated_gradients_riemann_middle"].is_array() {
            let expected = floats(&case["integrated_gradients_riemann_middle"]);
            close(&name, &integrated(Rule::Midpoint), &expected, 1e-5);
        }
        let gradient = logit_gradient(&model, &x, &device(), 1).unwrap();
        let gradient: Vec<f64> = gradient.iter().map(|&g| f64::from(g)).collect();
        close(&name, &gradient, &floats(&case["gradient"]), 1e-5);
        // Captum ablates one entry; with one position a column is one entry.
        if x.dim().1 == 1 {
            let columns: Vec<usize> = (0..x.dim().2).collect();
            let found = occlusion(&model, &x, &zero, &columns, &device(), 1).unwrap();
            let rows = (0..x.dim().0).flat_map(|row| found.iter().map(move |column| column[row]));
            close(&name, &rows.collect::<Vec<f64>>(), &floats(&case["ablation"]), 1e-5);
        }
    }
}

#[test]
fn attacks_agree_with_pytorch() {
    for case in cases("attacks") {
        let (name, model, x) = model_of(&case);
        let labels: Vec<f32> = floats(&case["labels"]).iter().map(|&y| y as f32).collect();
        for run in case["runs"].as_array().unwrap() {
            let kind = if run["attack"] == "fgsm" {
                Disturbance::Fgsm
            } else {
                Disturbance::Pgd
            };
            let columns: Vec<usize> = match run["columns"].is_array() {
                true => floats(&run["columns"]).iter().map(|&c| c as usize).collect(),
                false => (0..x.dim().2).collect(),
            };
            let level = run["eps"].as_f64().unwrap();
            let moved = attack(
                &model,
                &x,
                &labels,
                &Attack {
                    kind,
                    level,
                    columns: &columns,
                },
                &device(),
                1,
            )
            .unwrap();
            let found = logits(&model, &moved, &device(), 1).unwrap();
            close(&format!("{name} {run}"), &found, &floats(&run["logits"]), 1e-5);
        }
    }
}

/// A model of every family, for rows of 4 positions where it takes them.
fn families() -> Vec<Model> {
    let families = Family::ALL.iter().map(|family| {
        let config = family.config(6, 4, &[]);
        let sizes = match family {
            Family::Linear => vec![],
            _ => vec![("hidden", 16.into()), ("heads", 2.into()), ("feed_forward", 24.into())],
        };
        let config = config.with_settings(&sizes).unwrap();
        let fewer = config.with_settings(&[("layers", 2.into())]);
        fewer.unwrap_or(config).init(Seed::new(3), &device()).unwrap()
    });
    families.collect()
}

fn rows(model: &Model, n: usize) -> Array3<f32> {
    let [positions, features] = model.input_shape();
    let mut rng = Seed::new(4).rng();
    Array3::from_shape_simple_fn((n, positions, features), || rng.normal() as f32)
}

/// On every family: what a resumed and shared pass says is what whole passes with one intervention each say, also over several
/// micro-batches, several draws and whatever the number of threads.
#[test]
fn the_effect_map_is_what_single_interventions_say() {
    for model in families() {
        let x = rows(&model, 70);
        let draws = [shifted(&x), x.mapv(|x| x * 0.5)];
        let mut mediators = all_mediators(&model);
        let blocks = block_mediators(&model);
        assert!(blocks.iter().all(|block| mediators.contains(block)));
        mediators.extend(position_mediators(&model));
        let found = effect_map(&model, &x, &draws, &mediators, &device(), 2).unwrap();
        let again = effect_map(&model, &x, &draws, &mediators, &device(), 1).unwrap();
        assert_eq!(found, again);
        let plain = logits(&model, &x, &device(), 1).unwrap();
        let mean = |of: &dyn Fn(&Array3<f32>) -> Vec<f64>| -> Vec<f64> {
            let (first, second) = (of(&draws[0]), of(&draws[1]));
            (0..70)
                .map(|row| f64::midpoint(first[row], second[row]) - plain[row])
                .collect()
        };
        close(
            "total",
            &found.total,
            &mean(&|x| logits(&model, x, &device(), 1).unwrap()),
            1e-5,
        );
        for one in &found.mediators {
            let place = Place::Site(one.mediator.clone());
            let run = |x: &Array3<f32>, donors: &Array3<f32>| {
                intervene(&model, x, &place, Value::From(donors), &device(), 1).unwrap()
            };
            let what = one.mediator.to_string();
            close(&what, &one.effects.indirect, &mean(&|changed| run(&x, changed)), 1e-5);
            close(&what, &one.effects.direct, &mean(&|changed| run(changed, &x)), 1e-5);
        }
    }
}

#[test]
fn cuts_are_told_from_findings() {
    use Passage::{Apart, Cut, Partial};

    let passage = |model: &Model, columns: &[usize], sites: &[&str]| {
        let mediators: Vec<Selection> = sites.iter().map(|site| Selection::parse(site).unwrap()).collect();
        passages(model, columns, &mediators, &device()).unwrap()
    };
    for model in families() {
        let sites = model.sites();
        let has = |name: &str| sites.iter().any(|site| site.name == name);
        if has("pool") {
            let found = passage(&model, &[0, 1], &["input", "pool", "logit"]);
            assert_eq!(found, [Cut; 3]);
        }
        if has("layers.1.resid") {
            let found = passage(
                &model,
                &[0, 1],
                &["layers.0.resid", "layers.1.resid", "layers.1.ff.out"],
            );
            assert_eq!(found, [Cut, Cut, Partial]);
        }
        if has("gate.value") {
            let found = passage(&model, &[0, 1], &["gate.value", "content.layers.0.resid", "embed"]);
            assert_eq!(found, [Partial, Partial, Cut]);
        }
    }
    // Branches with columns of their own: all of a group's paths lead through its branch, and none through the other.
    let (model, _) = pytorch("healthcare-separated");
    let ModelConfig::Healthcare(config) = model.config() else {
        panic!()
    };
    let sites = [
        "admin.attn.out",
        "clinical.attn.out",
        "admin.attn.z[head=0]",
        "layers.0.attn.out",
    ];
    assert_eq!(passage(&model, &config.admin, &sites), [Cut, Apart, Partial, Partial]);
    assert_eq!(passage(&model, &config.clinical, &sites), [Apart, Cut, Apart, Partial]);
    // With one token, attention always attends to it: queries and keys carry nothing.
    let flat = ModelConfig::Small(SmallConfig::new(6))
        .init(Seed::new(0), &device())
        .unwrap();
    assert_eq!(
        passage(&flat, &[0], &["layers.0.attn.q", "layers.0.attn.z"]),
        [Apart, Partial]
    );
}

/// Two tokens, one a column. The second column is ±1 and lies in neurons that only head 1 of layer 0 reads; it writes to the neuron
/// that the output reads.
fn planted() -> Model {
    let config = SmallConfig {
        layout: Layout::PerGroup {
            groups: vec![vec![0], vec![1]],
        },
        hidden: 8,
        heads: 4,
        layers: 1,
        feed_forward: Some(4),
        ..SmallConfig::new(2)
    };
    let mut model = ModelConfig::Small(config).init(Seed::new(0), &device()).unwrap();
    let mut set = |name: &str, entries: &[(usize, usize, f32)], rest: f32| {
        model = model
            .with_parameter(name, &[], &device(), |values| values.fill(rest))
            .unwrap();
        for &(row, column, value) in entries {
            let part = [Some(row..row + 1), Some(column..column + 1)];
            model = model
                .with_parameter(name, &part, &device(), |values| values.fill(value))
                .unwrap();
        }
    };
    // Neurons come in pairs of opposite signs, so that norms see a constant size: 0/1 the first column, 2/3 the shortcut, 4/5 the output.
    set("group_proj.0.weight", &[(0, 0, 1.0), (1, 0, -1.0)], 0.0);
    set("group_proj.1.weight", &[(2, 0, 1.0), (3, 0, -1.0)], 0.0);
    for name in ["group_proj.0.bias", "group_proj.1.bias"] {
        model_fill(&mut set, name);
    }
    set(
        "transformer_layers.0.self_attn.in_proj_weight",
        &[(16 + 2, 2, 1.0), (16 + 3, 3, 1.0)],
        0.0,
    );
    // Head 1 holds neurons 2 and 3 of z.
    set(
        "transformer_layers.0.self_attn.out_proj.weight",
        &[(4, 2, 1.0), (5, 3, 1.0)],
        0.0,
    );
    set("output_proj.weight", &[(0, 4, 1.0), (0, 5, -1.0)], 0.0);
    let zeros = [
        "group_embedding",
        "transformer_layers.0.self_attn.in_proj_bias",
        "transformer_layers.0.self_attn.out_proj.bias",
        "transformer_layers.0.linear1.weight",
        "transformer_layers.0.linear1.bias",
        "transformer_layers.0.linear2.weight",
        "transformer_layers.0.linear2.bias",
        "output_proj.bias",
    ];
    for name in zeros {
        model_fill(&mut set, name);
    }
    model
}

fn model_fill(set: &mut impl FnMut(&str, &[(usize, usize, f32)], f32), name: &str) {
    set(name, &[], 0.0);
}

#[test]
fn a_shortcut_planted_in_one_head_is_found_there() {
    let model = planted();
    let mut rng = Seed::new(1).rng();
    let sign = |up: bool| if up { 1.0f32 } else { -1.0 };
    let x = Array3::from_shape_fn((40, 1, 2), |(row, _, column)| match column {
        0 => sign(rng.uniform() < 0.5),
        _ => sign(row % 2 == 0),
    });
    let mut flipped = x.clone();
    flipped.slice_mut(s![.., .., 1]).mapv_inplace(|x| -x);
    let mediators = block_mediators(&model);
    let found = effect_map(&model, &x, &[flipped], &mediators, &device(), 1).unwrap();
    let size = |values: &[f64]| values.iter().map(|v| v.abs()).sum::<f64>() / values.len() as f64;
    assert!(size(&found.total) > 0.5, "{:?}", found.total);
    for one in &found.mediators {
        let RowEffects { direct, indirect } = &one.effects;
        let share = size(indirect) / size(&found.total);
        match one.mediator.to_string().as_str() {
            "layers.0.attn.z[head=1]" | "layers.0.attn.out" => {
                assert!((share - 1.0).abs() < 1e-4 && size(direct) < 1e-4, "{one:?}");
            }
            _ => assert!(share < 1e-4, "{one:?}"),
        }
    }
    // Not by construction: with other weights, part of the effect would pass elsewhere.
    let passages = passages(&model, &[1], &mediators, &device()).unwrap();
    assert!(
        passages.iter().all(|passage| *passage == Passage::Partial),
        "{passages:?}"
    );
}

#[test]
fn interventions_set_what_they_name() {
    let fill = |value: f32| move |values: &mut Vec<f32>| values.fill(value);
    let linear = ModelConfig::Linear(LinearConfig::new(4, 1))
        .init(Seed::new(2), &device())
        .unwrap();
    let x = rows(&linear, 30);
    let plain = logits(&linear, &x, &device(), 1).unwrap();
    // A group whose input weights are 0 changes nothing, and zeroing its weights is zeroing the group.
    let weights = Place::Weights(WeightSlice {
        name: "linear.weight".into(),
        axes: vec![None, Some(1..3)],
    });
    let zero = Value::Fixed(Substitute::Zero);
    let run = |model: &Model, place: &Place, value| intervene(model, &x, place, value, &device(), 1).unwrap();
    let without = run(&linear, &weights, zero);
    close(
        "weights and columns",
        &without,
        &run(&linear, &Place::Columns(vec![1, 2]), zero),
        1e-6,
    );
    assert!(without != plain);
    let blind = linear
        .with_parameter("linear.weight", &[None, Some(1..3)], &device(), fill(0.0))
        .unwrap();
    let reversed = x.slice(s![..;-1, .., ..]).to_owned();
    for value in [zero, Value::Fixed(Substitute::Mean), Value::From(&reversed)] {
        let found = run(&blind, &Place::Columns(vec![1, 2]), value);
        assert_eq!(found, logits(&blind, &x, &device(), 1).unwrap());
    }

    // Means: a linear model's logit moves by w (mean x - x) for columns, and by (mean w - w) x for weights.
    let mut w: Vec<f32> = Vec::new();
    linear
        .with_parameter("linear.weight", &[], &device(), |values| w.clone_from(values))
        .unwrap();
    let moved = |by: &dyn Fn(usize, f32) -> f32| -> Vec<f64> {
        let of = |row: usize| {
            (1..3)
                .map(|column| f64::from(by(column, x[[row, 0, column]])))
                .sum::<f64>()
        };
        (0..30).map(|row| plain[row] + of(row)).collect()
    };
    let mean = |column: usize| x.slice(s![.., 0, column]).mean().unwrap();
    let middle = f32::midpoint(w[1], w[2]);
    let by_mean = Value::Fixed(Substitute::Mean);
    close(
        "columns at their means",
        &run(&linear, &Place::Columns(vec![1, 2]), by_mean),
        &moved(&|column, x| w[column] * (mean(column) - x)),
        1e-5,
    );
    close(
        "weights at their mean",
        &run(&linear, &weights, by_mean),
        &moved(&|column, x| (middle - w[column]) * x),
        1e-5,
    );
    for model in families() {
        let x = rows(&model, 5);
        let donors = x.slice(s![..;-1, .., ..]).to_owned();
        let run = |place: &Place, value| intervene(&model, &x, place, value, &device(), 1).unwrap();
        // The whole input from other rows gives their logits, at a cut of the network too.
        let expected = logits(&model, &donors, &device(), 1).unwrap();
        let last = model.sites().len() - 1;
        for site in [&model.sites()[0].name, &model.sites()[last].name] {
            let found = run(&Place::Site(Selection::parse(site).unwrap()), Value::From(&donors));
            close(site, &found, &expected, 1e-6);
        }
        for site in model.sites() {
            let [heads, positions, neurons] = site.axes;
            let part = format!("{}[head={},neuron={}]", site.name, heads - 1, neurons - 1);
            let found = run(
                &Place::Site(Selection::parse(&part).unwrap()),
                Value::Fixed(Substitute::Mean),
            );
            let by_neuron = neuron_importance(&model, x.view(), &site.name, Substitute::Mean, &device(), 1).unwrap();
            let plain = logits(&model, &x, &device(), 1).unwrap();
            let change: f64 = found.iter().zip(&plain).map(|(a, b)| (a - b) / 5.0).sum();
            let expected = by_neuron.last().unwrap().mean_change;
            assert!((change - expected).abs() < 1e-6, "{part}: {change} and {expected}");
            let far = Place::Site(Selection::parse(&format!("{}[position={positions}]", site.name)).unwrap());
            let error = intervene(&model, &x, &far, zero, &device(), 1).unwrap_err().to_string();
            assert!(
                error.contains(&format!("selects nothing: the site has {positions} position(s)")),
                "{error}"
            );
        }
    }
}

#[test]
fn interventions_that_select_nothing_are_errors() {
    let (model, x) = pytorch("small-per-group");
    let check = |place: Place, value: Value, expected: &str| {
        let error = intervene(&model, &x, &place, value, &device(), 1)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(expected), "{error}");
    };
    let zero = Value::Fixed(Substitute::Zero);
    let site = |text: &str| Place::Site(Selection::parse(text).unwrap());
    let weights = |name: &str, axes: &[Option<std::ops::Range<usize>>]| {
        Place::Weights(WeightSlice {
            name: name.into(),
            axes: axes.to_vec(),
        })
    };
    check(Place::Columns(vec![]), zero, "group `the intervention` has no columns");
    check(
        Place::Columns(vec![99]),
        zero,
        "group `the intervention` names column 99, but rows have ",
    );
    check(
        site("content.layers.0.resid"),
        zero,
        "tap `content.layers.0.resid`: no such site in this model; near names: layers.0.resid",
    );
    check(
        site("pool[head=3]"),
        zero,
        "tap `pool[head=3]`: selects nothing: the site has 1 head(s), counted from 0",
    );
    check(
        weights("input_proj.weight", &[]),
        zero,
        "tap `input_proj.weight`: no such parameter in this model; near names: ",
    );
    check(
        weights("output_proj.weight", &[Some(1..2)]),
        zero,
        "tap `output_proj.weight`: selects nothing: the parameter has shape [1, ",
    );
    check(
        weights("output_proj.weight", &[None, None, None]),
        zero,
        "tap `output_proj.weight`: selects nothing",
    );
    check(
        weights("output_proj.weight", &[]),
        Value::From(&x),
        "tap `output_proj.weight`: a weight does not depend on rows",
    );
    let fewer = x.slice(s![..2, .., ..]).to_owned();
    check(
        site("pool"),
        Value::From(&fewer),
        "the model takes counterfactual rows of shape ",
    );
    let none = Array3::zeros((0, x.dim().1, x.dim().2));
    let error = effect_map(&model, &none, std::slice::from_ref(&none), &[], &device(), 1)
        .unwrap_err()
        .to_string();
    assert_eq!(error, "the model takes at least one row, got none");
    let error = effect_map(&model, &x, &[], &[], &device(), 1).unwrap_err().to_string();
    assert_eq!(
        error,
        "the model takes at least one draw of counterfactual rows, got none"
    );
    let fgsm = Attack {
        kind: Disturbance::Fgsm,
        level: 0.1,
        columns: &[0],
    };
    let error = attack(&model, &x, &[1.0], &fgsm, &device(), 1).unwrap_err().to_string();
    assert!(error.starts_with("labels: 1 values, expected "), "{error}");
}

#[test]
fn fgsm_raises_the_loss_on_every_row_of_a_linear_model() {
    let model = ModelConfig::Linear(LinearConfig::new(5, 3))
        .init(Seed::new(2), &device())
        .unwrap();
    // Far out, so that some probabilities are 0 or 1 to the last bit: the attack must not lose its direction there.
    let x = rows(&model, 200).mapv(|x| x * 200.0);
    let labels: Vec<f32> = (0..200).map(|row| (row % 2) as f32).collect();
    let before = logits(&model, &x, &device(), 1).unwrap();
    assert!(before.iter().any(|z| sigmoid(*z) == 1.0));
    for level in [0.1, 0.5] {
        for kind in [Disturbance::Fgsm, Disturbance::Pgd] {
            let moved = attack(
                &model,
                &x,
                &labels,
                &Attack {
                    kind,
                    level,
                    columns: &[0, 1, 2, 3, 4],
                },
                &device(),
                2,
            )
            .unwrap();
            let after = logits(&model, &moved, &device(), 1).unwrap();
            for row in 0..200 {
                let towards = if labels[row] > 0.5 {
                    before[row] - after[row]
                } else {
                    after[row] - before[row]
                };
                assert!(towards > 0.0, "row {row}");
                let loss = |z: f64| log_loss(&[z], &labels[row..=row]).unwrap();
                assert!(loss(after[row]) >= loss(before[row]));
            }
            let far = (&moved - &x).iter().fold(0.0f32, |most, d| most.max(d.abs()));
            assert!(f64::from(far) <= level * 1.001 + 1e-4, "{far}");
        }
    }
    let only = attack(
        &model,
        &x,
        &labels,
        &Attack {
            kind: Disturbance::Pgd,
            level: 0.5,
            columns: &[2],
        },
        &device(),
        1,
    )
    .unwrap();
    for column in [0, 1, 3, 4] {
        assert_eq!(only.index_axis(Axis(2), column), x.index_axis(Axis(2), column));
    }
}

#[test]
fn integrated_gradients_add_up_on_every_family() {
    for model in families() {
        let x = rows(&model, 70);
        let zero = Array3::zeros(x.dim());
        let found = model_integrated_gradients(&model, &x, &zero, Rule::GaussLegendre, 50, &device(), 2).unwrap();
        let (f, f0) = (
            logits(&model, &x, &device(), 1).unwrap(),
            logits(&model, &zero, &device(), 1).unwrap(),
        );
        let gap = crate::causal::attribution::completeness_gap(&found, &f, &f0).unwrap();
        assert!(gap < 0.02, "{:?}: {gap}", model.config());
    }
}

/// logit = w x: moving a group from side 0 to side 1 changes it by w times the distance of the sides' means, whichever side a row is on.
#[test]
fn oriented_effects_point_from_side_0_to_side_1() {
    let linear = ModelConfig::Linear(LinearConfig::new(3, 1))
        .init(Seed::new(2), &device())
        .unwrap();
    let mut weight = 0.0;
    let first = [None, Some(0..1)];
    linear
        .with_parameter("linear.weight", &first, &device(), |values| {
            weight = f64::from(values[0]);
        })
        .unwrap();
    let sides: Vec<f32> = (0..400).map(|row| (row % 4 == 0) as u8 as f32).collect();
    let mut x = rows(&linear, 400);
    for (mut row, side) in x.outer_iter_mut().zip(&sides) {
        row[[0, 0]] = 3.0 * side + 0.1 * row[[0, 0]];
    }
    let mean_of = |wanted: f32| {
        let own = x.outer_iter().zip(&sides).filter(|(_, side)| **side == wanted);
        let values: Vec<f64> = own.map(|(row, _)| f64::from(row[[0, 0]])).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    let expected = weight * (mean_of(1.0) - mean_of(0.0));
    let found = counterfactual(&x, &[0], &sides, Contrast::Opposite, 20, Seed::new(1)).unwrap();
    let effects = effect_map(&linear, &x, &found.draws, &[], &device(), 1).unwrap();
    let bootstrap = Bootstrap::new(1, 50, Seed::new(0));
    let total = total_effect(&effects.total, &found.orientation, &bootstrap);
    assert!(
        (total.value.unwrap() - expected).abs() < 0.05 * expected.abs(),
        "{total:?}, {expected}"
    );
    assert!(total.low <= Some(expected) && Some(expected) <= total.high);
    // Unoriented, three rows of four move up and one down.
    let plain = total_effect(&effects.total, &[1.0; 400], &bootstrap).value.unwrap();
    assert!(
        (plain - expected / 2.0).abs() < 0.05 * expected.abs(),
        "{plain}, {expected}"
    );
}
