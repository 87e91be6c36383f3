//! Probing against what a forward pass says when it is asked the long way.

use burn::tensor::{Device, Tensor, TensorData};
use disentangle_data::Seed;
use disentangle_models::{Classifier, HierarchicalConfig, Layout, Model, ModelConfig, SmallConfig, Tap};
use ndarray::{Array3, Axis, s};

use super::*;
use crate::site::SiteMeasures;

fn small() -> Model {
    let config = SmallConfig {
        layout: Layout::PerGroup {
            groups: vec![vec![0, 1, 2], vec![3, 4], vec![5]],
        },
        hidden: 8,
        ..SmallConfig::new(6)
    };
    ModelConfig::Small(config).init(Seed::new(1), &Device::flex()).unwrap()
}

fn hierarchical() -> Model {
    let config = HierarchicalConfig {
        hidden: 16,
        feed_forward: 16,
        ..HierarchicalConfig::new(6, 7)
    };
    ModelConfig::Hierarchical(config)
        .init(Seed::new(1), &Device::flex())
        .unwrap()
}

fn rows(model: &Model, n: usize) -> Array3<f32> {
    let [positions, features] = model.input_shape();
    let mut rng = Seed::new(4).rng();
    Array3::from_shape_simple_fn((n, positions, features), || rng.normal() as f32)
}

fn names(model: &Model) -> Vec<String> {
    model.sites().into_iter().map(|site| site.name).collect()
}

#[test]
fn a_site_s_matrix_has_rows_and_positions_by_heads_and_neurons() {
    let device = Device::flex();
    for model in [small(), hierarchical()] {
        let x = rows(&model, 130);
        let sites = names(&model);
        let captured = capture_whole(&model, x.view(), &sites, &device).unwrap();
        for (site, matrix) in model.sites().iter().zip(&captured) {
            let [heads, positions, neurons] = site.axes;
            assert_eq!(matrix.dim(), (130 * positions, heads * neurons), "{}", site.name);
            let mut tap = Tap::new().record(&site.name).unwrap();
            model.forward(&to_input(x.view(), &device), &mut tap);
            let recorded: Vec<f32> = tap
                .finish()
                .unwrap()
                .get(&site.name)
                .unwrap()
                .into_data()
                .iter()
                .collect();
            for (row, head, position, neuron) in [(0, 0, 0, 0), (129, heads - 1, positions - 1, neurons - 1)] {
                let expected = recorded[((row * heads + head) * positions + position) * neurons + neuron];
                let found = matrix[[row * positions + position, head * neurons + neuron]];
                assert!(
                    (found - expected).abs() < 1e-5 * (1.0 + expected.abs()),
                    "{}",
                    site.name
                );
            }
        }
    }
}

#[test]
fn any_number_of_threads_captures_the_same_bits() {
    let device = Device::flex();
    let model = hierarchical();
    let x = rows(&model, 900);
    let sites: Vec<String> = ["embed", "global.layers.0.resid", "pool"].map(Into::into).into();
    for (cap, streamed) in [(usize::MAX, 0), (400_000, 3)] {
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| capture(&model, x.view(), &sites, cap, &device).unwrap())
        };
        let one = on(1);
        let moments_of = |captured: &Captured| match captured {
            Captured::Whole(_) => None,
            Captured::Streamed { moments, .. } => Some(moments.clone()),
        };
        let kept = one.iter().filter(|(_, captured)| moments_of(captured).is_some());
        assert_eq!(kept.count(), streamed);
        // 15 parts: the last round of 2 and of 4 threads has fewer than the others.
        for other in [2, 4, 15].map(on) {
            for ((_, one), (_, other)) in one.iter().zip(&other) {
                assert!(one.rows() == other.rows() && moments_of(one) == moments_of(other));
            }
        }
    }
}

#[test]
fn streamed_sites_measure_as_whole_ones() {
    let device = Device::flex();
    let model = hierarchical();
    let x = rows(&model, 900);
    let sites: Vec<String> = ["embed", "global.layers.0.resid", "pool"].map(Into::into).into();
    let whole = capture_whole(&model, x.view(), &sites, &device).unwrap();
    let cap = 400_000;
    let captured = capture(&model, x.view(), &sites, cap, &device).unwrap();
    let mut streamed = 0;
    for ((site, captured), whole) in captured.iter().zip(&whole) {
        let Captured::Streamed { moments, sample } = captured else {
            continue;
        };
        streamed += 1;
        assert!(
            sample.nrows() <= SAMPLE && sample.nrows() >= SAMPLE / 2,
            "{}",
            sample.nrows()
        );
        assert_eq!(
            sample.row(1),
            whole.row(whole.nrows().div_ceil(SAMPLE)),
            "rows are evenly spaced"
        );
        let whole = whole.mapv(f64::from);
        let sample = sample.mapv(f64::from);
        let (a, b) = (
            SiteMeasures::new(site, whole.view()).unwrap(),
            SiteMeasures::from_moments(site, moments, sample.view()).unwrap(),
        );
        assert_eq!((a.rows, a.columns, b.streamed), (b.rows, b.columns, true));
        for (a, b) in [
            (&a.effective_rank, &b.effective_rank),
            (&a.participation_ratio, &b.participation_ratio),
            (&a.interference, &b.interference),
        ] {
            assert!(
                (a.value.unwrap() - b.value.unwrap()).abs() < 1e-4 * a.value.unwrap(),
                "{site}: {a:?} {b:?}"
            );
        }
    }
    assert_eq!(streamed, 3);

    let error = capture(&model, x.view(), &sites, 1000, &device)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("capturing 3 sites needs 1 MB, more than the 0 MB allowed"),
        "{error}"
    );
    let error = capture(&model, x.view(), &["pol".into()], cap, &device)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no such site in this model; near names: input"),
        "{error}"
    );
}

#[test]
fn neurons_are_ablated_one_at_a_time() {
    let device = Device::flex();
    let model = small();
    let x = rows(&model, 40);
    for site in ["embed", "layers.0.attn.z", "layers.1.ff.hidden", "pool"] {
        let whole = capture_whole(&model, x.view(), &[site.into()], &device).unwrap();
        let width = whole[0].ncols();
        for (substitute, by_mean) in [(Substitute::Mean, true), (Substitute::Zero, false)] {
            let found = neuron_importance(&model, x.view(), site, substitute, &device, 2).unwrap();
            assert_eq!(found.len(), width);
            assert_eq!(
                found,
                neuron_importance(&model, x.view(), site, substitute, &device, 1).unwrap()
            );
            let plain = model.logits(x.view(), &device, 1).unwrap();
            for neuron in [0, width / 2, width - 1] {
                let mean = if by_mean {
                    whole[0].column(neuron).mean().unwrap()
                } else {
                    0.0
                };
                let edit = |a: Tensor<4>| {
                    let shape @ [rows, heads, positions, neurons] = a.dims();
                    let mut values: Vec<f32> = a.clone().into_data().iter().collect();
                    for row in 0..rows {
                        for position in 0..positions {
                            let (head, inside) = (neuron / neurons, neuron % neurons);
                            values[((row * heads + head) * positions + position) * neurons + inside] = mean;
                        }
                    }
                    Tensor::from_data(TensorData::new(values, shape), &a.device())
                };
                let mut tap = Tap::new().edit(site, edit).unwrap();
                let without = model.forward(&to_input(x.view(), &device), &mut tap);
                let without: Vec<f32> = without.into_data().iter().collect();
                let changes: Vec<f64> = plain.iter().zip(&without).map(|(z, w)| f64::from(w - z)).collect();
                let mean = changes.iter().sum::<f64>() / 40.0;
                let square = changes.iter().map(|c| c * c).sum::<f64>() / 40.0;
                let near = |a: f64, b: f64| (a - b).abs() < 1e-5 + 1e-3 * b.abs();
                assert!(near(found[neuron].mean_change, mean), "{site} {neuron}");
                assert!(near(found[neuron].mean_square, square), "{site} {neuron}");
            }
        }
    }
    let nothing = x.slice(s![..0, .., ..]);
    assert!(neuron_importance(&model, nothing, "pool", Substitute::Mean, &device, 1).is_err());
}

#[test]
fn only_the_group_varies() {
    let device = Device::flex();
    let model = small();
    let x = rows(&model, 60);
    let settings = OneGroupVaries {
        bases: 3,
        donors: 16,
        seed: Seed::new(2),
    };
    let sites = ["input".to_string(), "embed".into(), "pool".into()];
    let varied = one_group_varies(&model, x.view(), &[3, 4], &sites, &settings, &device).unwrap();
    assert_eq!(varied[0].dim(), (48, 6));
    for column in 0..6 {
        let spread = varied[0].column(column).iter().map(|x| x.abs()).fold(0.0, f64::max);
        assert_eq!(spread > 1e-6, [3, 4].contains(&column), "column {column}");
    }
    // Of three tokens only the group's own moves before attention.
    for (row, activation) in varied[1].axis_iter(Axis(0)).enumerate() {
        let moves = activation.iter().any(|a| a.abs() > 1e-4);
        assert!(row % 3 == 1 || !moves, "token {}", row % 3);
    }
    // Centred around each base.
    for base in varied[2].axis_chunks_iter(Axis(0), 16) {
        assert!(base.mean_axis(Axis(0)).unwrap().iter().all(|mean| mean.abs() < 1e-6));
    }
}
