//! Which weights read the input, and which lie between them and the head: asked of every model.

use burn::tensor::Device;
use disentangle_data::Seed;
use ndarray::Array2;

use crate::{Classifier, Model, ModelConfig, ModelError, parameters, tests};

fn each(check: impl Fn(&ModelConfig, &Model)) {
    for config in tests::zoo() {
        check(&config, &config.init(Seed::new(1), &Device::flex()).unwrap());
    }
}

/// Whether ∂logit/∂x of a feature is not 0 somewhere.
fn read(config: &ModelConfig, model: &Model) -> Vec<bool> {
    let x = tests::rows(7, config);
    let gradient = model.input_gradient(x.view(), &Device::flex()).unwrap();
    let features = x.dim().2;
    let moves = |feature: usize| gradient.iter().skip(feature).step_by(features).any(|g| *g != 0.0);
    (0..features).map(moves).collect()
}

#[test]
fn a_feature_whose_weights_are_0_moves_nothing_and_the_others_do() {
    each(|config, model| {
        let whole = read(config, model);
        for feature in 0..whole.len() {
            let places = model.input_places(feature);
            assert_eq!(places.is_empty(), !whole[feature], "{config:?}");
            let mut flat = parameters::flatten(model);
            for place in places {
                flat[place] = 0.0;
            }
            let without = parameters::place(model.clone(), &flat, &Device::flex());
            let mut expected = whole.clone();
            expected[feature] = false;
            assert_eq!(read(config, &without), expected, "{config:?}, feature {feature}");
        }
    });
}

#[test]
fn input_weights_are_parameters_with_one_input_a_feature() {
    each(|config, model| {
        let named = parameters::names(model);
        for weight in model.input_weights() {
            let found = named.iter().find(|parameter| parameter.name == weight.name);
            assert_eq!(found.unwrap().shape[1], weight.features.len(), "{config:?}");
        }
    });
}

#[test]
fn projections_are_all_matrices_between_the_input_and_the_head() {
    each(|config, model| {
        let device = Device::flex();
        let start = parameters::flatten(model);
        let mut double = |weight: Array2<f32>| -> Result<Array2<f32>, ModelError> { Ok(weight * 2.0f32) };
        let doubled = parameters::flatten(&model.with_projections(&device, &mut double).unwrap());
        let (mut at, mut seen) = (0, 0);
        for parameter in parameters::names(model) {
            let own = at..at + parameter.len();
            at = own.end;
            let outside = ["input_proj", "group_proj", "_embedding", "output", "linear.weight"];
            let name = &parameter.name;
            let inside = parameter.shape.len() == 2 && !outside.iter().any(|part| name.contains(part));
            // Every map of a disentangled model is a `linear` of its own.
            let inside = inside || (name.starts_with("transformer_layers") && name.ends_with(".linear.weight"));
            seen += usize::from(inside);
            let factor = if inside { 2.0 } else { 1.0 };
            for (found, start) in doubled[own.clone()].iter().zip(&start[own]) {
                assert_eq!(*found, factor * start, "{name}");
            }
        }
        assert_eq!(seen == 0, matches!(config, ModelConfig::Linear(_)));
    });
}

#[test]
fn projections_are_given_row_by_row_as_pytorch_has_them() {
    let config = &tests::zoo()[0];
    let device = Device::flex();
    let model = config.init(Seed::new(1), &device).unwrap();
    // One entry of each third of the fused projection, counted in its own map.
    let mut maps = 0;
    let mut mark = |mut weight: Array2<f32>| -> Result<Array2<f32>, ModelError> {
        maps += 1;
        weight[[2, 5]] = maps as f32 * 100.0;
        Ok(weight)
    };
    let marked = model.with_projections(&device, &mut mark).unwrap();
    let name = "transformer.layers.0.self_attn.in_proj_weight";
    for (map, expected) in [(0, 100.0), (1, 200.0), (2, 300.0)] {
        let (row, column) = (16 * map + 2, 5);
        let mut found = Vec::new();
        marked
            .with_parameter(
                name,
                &[Some(row..row + 1), Some(column..column + 1)],
                &device,
                |values| {
                    found.clone_from(values);
                },
            )
            .unwrap();
        assert_eq!(found, [expected]);
    }
    // Six maps a layer: queries, keys, values, output, and two of the feed-forward part.
    assert_eq!(maps, 12);
    let error = model
        .with_projections(&device, &mut |_: Array2<f32>| Ok(Array2::zeros((1, 1))))
        .unwrap_err();
    assert!(error.to_string().contains("cannot take another shape"), "{error}");
}
