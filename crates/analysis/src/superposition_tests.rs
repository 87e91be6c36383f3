//! Superposition metrics against numpy, scipy and scikit-learn (`tests/fixtures/make_superposition.py`), closed forms, finite differences
//! and invariances.

use std::path::PathBuf;

use disentangle_data::Seed;
use ndarray::{Array1, Array2, ArrayView2, Axis, array, s};
use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, proptest};
use serde_json::Value;

use crate::{
    activations, classification, dimensionality, interference, linalg,
    matrix::{self, MatrixError},
    moments::Moments,
    overlap,
    probe::{self, ProbeConfig},
    similarity,
    sparse_autoencoder::{self as sae, SparseAutoencoderConfig},
    spectra::Spectrum,
    toy::{self, ToyConfig},
};

fn fixture(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/superposition.json");
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()[name].take()
}

fn cases(name: &str) -> Vec<Value> {
    let cases = fixture(name).as_array().unwrap().clone();
    assert!(!cases.is_empty());
    cases
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn integers(value: &Value) -> Vec<usize> {
    let values = value.as_array().unwrap().iter();
    values.map(|x| x.as_u64().unwrap() as usize).collect()
}

fn matrix(value: &Value) -> Array2<f64> {
    let rows: Vec<Vec<f64>> = value.as_array().unwrap().iter().map(floats).collect();
    Array2::from_shape_vec((rows.len(), rows[0].len()), rows.concat()).unwrap()
}

/// Within 1e-6 of the expected value, or undefined where that is null.
#[track_caller]
fn close(case: &Value, what: &str, found: Option<f64>, expected: &Value) {
    let name = &case["name"];
    match (found, expected.as_f64()) {
        (Some(found), Some(expected)) => assert!(
            (found - expected).abs() <= 1e-10 + 1e-6 * expected.abs(),
            "{name}, {what}: {found} instead of {expected}"
        ),
        (found, expected) => assert_eq!(found, expected, "{name}, {what}"),
    }
}

#[track_caller]
fn all_close(case: &Value, what: &str, found: &[f64], expected: &Value) {
    let expected = expected.as_array().unwrap();
    assert_eq!(found.len(), expected.len(), "{}, {what}", case["name"]);
    for (found, expected) in found.iter().zip(expected) {
        close(case, what, Some(*found), expected);
    }
}

#[track_caller]
fn near(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found} instead of {expected}");
}

fn normal(shape: (usize, usize), seed: u64) -> Array2<f64> {
    let mut rng = Seed::new(seed).rng();
    Array2::from_shape_simple_fn(shape, || rng.normal())
}

/// A random rotation `[d, d]`.
fn rotation(d: usize, seed: u64) -> Array2<f64> {
    linalg::svd(normal((d, d), seed).view()).unwrap().u
}

fn gather(matrix: &Array2<f64>, order: &[usize], axis: usize) -> Array2<f64> {
    matrix.select(Axis(axis), order)
}

#[test]
fn neurons() {
    for case in cases("matrices") {
        let site = activations::site_statistics("x", matrix(&case["X"]).view()).unwrap();
        for (what, found) in [
            ("rms", site.rms),
            ("mean", site.mean),
            ("std", site.std),
            ("sparsity", site.sparsity),
            ("selectivity", site.selectivity),
            ("dead", site.dead as f64),
            ("constant", site.constant as f64),
        ] {
            close(&case, what, Some(found), &case[what]);
        }
        let each =
            |of: fn(&activations::NeuronStatistics) -> f64| -> Vec<f64> { site.neurons.iter().map(of).collect() };
        all_close(&case, "mean", &each(|neuron| neuron.mean), &case["neuron_mean"]);
        all_close(&case, "std", &each(|neuron| neuron.std), &case["neuron_std"]);
        all_close(
            &case,
            "sparsity",
            &each(|neuron| neuron.sparsity),
            &case["neuron_sparsity"],
        );
        let dead: Vec<bool> = site.neurons.iter().map(|neuron| neuron.dead).collect();
        let expected: Vec<bool> = case["neuron_dead"]
            .as_array()
            .unwrap()
            .iter()
            .map(|dead| dead.as_bool().unwrap())
            .collect();
        assert_eq!(dead, expected, "{}", case["name"]);
    }
    let silent = activations::site_statistics("x", Array2::zeros((3, 2)).view()).unwrap();
    assert_eq!((silent.dead, silent.sparsity, silent.rms), (2, 1.0, 0.0));
}

#[test]
fn spectra() {
    for case in cases("matrices") {
        let x = matrix(&case["X"]);
        let spectrum = Spectrum::new("x", x.view()).unwrap();
        let summary = spectrum.summary();
        let expected = floats(&case["singular_values"]);
        assert_eq!(spectrum.singular_values.len(), expected.len());
        for (found, s) in spectrum.singular_values.iter().zip(&expected) {
            near(*found, *s, 1e-13 * expected[0] + 1e-9 * s);
        }
        for (found, share) in summary
            .explained_variance
            .iter()
            .zip(floats(&case["explained_variance"]))
        {
            near(*found, share, 1e-12);
        }
        let one_percent = summary.effective_rank_one_percent.map(|count| count as f64);
        for (what, found) in [
            ("effective_rank", summary.effective_rank),
            ("effective_rank_one_percent", one_percent),
            ("participation_ratio", summary.participation_ratio),
            ("alignment", summary.alignment),
            ("compression_ratio", summary.compression_ratio),
            ("spectral_slope", summary.spectral_slope),
            ("condition_number", summary.condition_number),
            ("dropped", Some(summary.dropped as f64)),
        ] {
            close(&case, what, found, &case[what]);
        }
    }
    let flat = Spectrum::new("x", Array2::from_elem((30, 3), 0.1).view())
        .unwrap()
        .summary();
    assert_eq!(
        (flat.effective_rank, flat.participation_ratio, flat.alignment),
        (None, None, None)
    );
    assert_eq!(
        (flat.compression_ratio, flat.spectral_slope, flat.condition_number),
        (None, None, None)
    );
    assert_eq!(
        (flat.effective_rank_one_percent, flat.dropped, flat.explained_variance),
        (None, 3, vec![0.0; 3])
    );
}

#[test]
fn long_matrices_are_shortened_without_loss() {
    // 8 pieces, pieces of unequal length, a piece shorter than wide, and both orientations.
    for (rows, columns) in [(2000, 7), (1003, 30), (13, 1), (97, 8), (40, 40), (20, 300)] {
        let x = normal((rows, columns), rows as u64);
        let whole = linalg::svd(x.view()).unwrap();
        let values = linalg::singular_values(x.view()).unwrap();
        let (s, vt) = linalg::right_svd(x.view()).unwrap();
        assert_eq!((values.len(), s.len()), (whole.s.len(), whole.s.len()));
        for ((found, other), expected) in values.iter().zip(&s).zip(&whole.s) {
            near(*found, *expected, 1e-12 * whole.s[0]);
            near(*other, *expected, 1e-12 * whole.s[0]);
        }
        for (found, expected) in vt.rows().into_iter().zip(whole.vt.rows()) {
            near(found.dot(&expected).abs(), 1.0, 1e-9);
        }
    }
    assert_eq!(
        linalg::singular_values(Array2::zeros((0, 3)).view()).unwrap(),
        Vec::<f64>::new()
    );
}

#[test]
fn interferences() {
    for case in cases("matrices") {
        let x = matrix(&case["X"]);
        let found = interference::interference("x", x.view()).unwrap();
        close(&case, "interference", found.value, &case["interference"]);
        close(&case, "excess", found.excess, &case["interference_excess"]);
        close(&case, "noise", Some(found.noise), &case["noise"]);
        assert_eq!(found.live + found.dead, x.ncols());
    }
    // Across blocks of columns.
    let x = normal((20, 300), 1);
    let blocked = interference::interference("x", x.view()).unwrap().value.unwrap();
    let columns: Vec<Vec<f64>> = x.columns().into_iter().map(|column| column.to_vec()).collect();
    let mut sum = 0.0;
    for (i, first) in columns.iter().enumerate() {
        for second in &columns[..i] {
            sum += crate::descriptive::pearson(first, second).unwrap().r.abs();
        }
    }
    near(blocked, sum / (300.0 * 299.0 / 2.0), 1e-12);
    // Independent neurons: nothing is left above the noise.
    let noise = interference::interference("x", normal((500, 60), 2).view()).unwrap();
    near(noise.excess.unwrap(), 0.0, 0.003);
}

#[test]
fn centred_kernel_alignment() {
    for case in cases("cka") {
        let (x, y) = (matrix(&case["X"]), matrix(&case["Y"]));
        let found = similarity::linear_cka(("x", x.view()), ("y", y.view())).unwrap();
        close(&case, "cka", found, &case["cka"]);
    }
    let x = normal((20, 3), 3);
    let flat = Array2::from_elem((20, 2), 0.1);
    assert_eq!(
        similarity::linear_cka(("x", x.view()), ("y", flat.view())).unwrap(),
        None
    );
}

#[test]
fn overlaps() {
    for case in cases("overlap") {
        let names: Vec<String> = serde_json::from_value(case["groups"].clone()).unwrap();
        let inputs: Vec<Array2<f64>> = case["X"].as_array().unwrap().iter().map(matrix).collect();
        let groups: Vec<(String, ArrayView2<f64>)> =
            names.iter().cloned().zip(inputs.iter().map(Array2::view)).collect();
        let found = overlap::group_overlap(&groups, overlap::VARIANCE).unwrap();
        let components: Vec<Option<usize>> = serde_json::from_value(case["components"].clone()).unwrap();
        assert_eq!(found.components, components, "{}", case["name"]);
        for (g, name) in names.iter().enumerate() {
            assert_eq!(found.notes[g].is_some(), components[g].is_none());
            for h in 0..names.len() {
                close(&case, name, found.overlap[g][h], &case["overlap"][g][h]);
                close(&case, name, found.chance[g][h], &case["chance"][g][h]);
            }
        }
        close(&case, "mean", found.mean, &case["mean"]);
        close(&case, "most", found.most, &case["most"]);
    }
    // Orthogonal, and one inside the other.
    let x = normal((50, 1), 4);
    let along = |axes: &[usize]| {
        let mut rows = Array2::zeros((50, 4));
        for (place, &axis) in axes.iter().enumerate() {
            rows.column_mut(axis)
                .assign(&normal((50, 1), 4 + place as u64).column(0));
        }
        rows
    };
    let (first, second, third) = (along(&[0]), along(&[1]), along(&[0, 2]));
    let groups = [
        ("a".to_string(), first.view()),
        ("b".to_string(), second.view()),
        ("c".to_string(), third.view()),
    ];
    let found = overlap::group_overlap(&groups, overlap::VARIANCE).unwrap();
    near(found.overlap[0][1].unwrap(), 0.0, 1e-12);
    near(found.overlap[0][2].unwrap(), 1.0, 1e-12);
    near(found.chance[0][2].unwrap(), 0.5, 1e-12);
    let alone = overlap::group_overlap(&[("a".to_string(), x.view())], 1.0).unwrap();
    assert_eq!((alone.mean, alone.most, alone.mean_chance), (None, None, None));
    assert_eq!(overlap::group_overlap(&[], 0.95).unwrap().groups.len(), 0);
}

/// `count` unit vectors evenly around the circle.
fn polygon(count: usize) -> Array2<f64> {
    Array2::from_shape_fn((count, 2), |(i, axis)| {
        let angle = std::f64::consts::TAU * i as f64 / count as f64;
        if axis == 0 { angle.cos() } else { angle.sin() }
    })
}

#[test]
fn dimensionalities() {
    for case in cases("dimensionality") {
        let w = matrix(&case["W"]);
        let found = dimensionality::feature_dimensionality("w", w.view()).unwrap();
        all_close(&case, "D", &found, &case["D"]);
        let ratio = dimensionality::dimensions_per_feature("w", w.view()).unwrap();
        close(&case, "per feature", ratio, &case["per_feature"]);
    }
    let tetrahedron = array![[1.0, 1.0, 1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]];
    let frame = Array2::from_shape_fn((9, 4), |(i, axis)| {
        let angle = std::f64::consts::TAU * (i * (1 + axis / 2)) as f64 / 9.0;
        if axis % 2 == 0 { angle.cos() } else { angle.sin() }
    });
    for (shape, expected) in [
        (array![[2.0], [-2.0]], 1.0 / 2.0),
        (polygon(4), 1.0 / 2.0),
        (polygon(3), 2.0 / 3.0),
        (polygon(5), 2.0 / 5.0),
        (polygon(6), 1.0 / 3.0),
        (tetrahedron, 3.0 / 4.0),
        (frame, 4.0 / 9.0),
        (Array2::eye(4), 1.0),
        (array![[0.0, 0.0]], 0.0),
        (array![[1e-200, 0.0]], 1.0),
    ] {
        for found in dimensionality::feature_dimensionality("w", shape.view()).unwrap() {
            near(found, expected, 1e-12);
        }
    }
    // A feature without a direction takes nothing from the others.
    let with_zero = array![[3.0, 0.0], [0.0, 0.0], [0.0, 0.1]];
    assert_eq!(
        dimensionality::feature_dimensionality("w", with_zero.view()).unwrap(),
        [1.0, 0.0, 1.0]
    );
    assert_eq!(
        dimensionality::dimensions_per_feature("w", Array2::zeros((2, 3)).view()).unwrap(),
        None
    );
}

#[test]
fn directions_at_a_site() {
    for case in cases("directions") {
        let (a, scores) = (matrix(&case["A"]), matrix(&case["S"]));
        let cut = case["fit"].as_u64().unwrap() as usize;
        let found = dimensionality::site_directions(
            "site",
            (a.slice(s![..cut, ..]), scores.slice(s![..cut, ..])),
            (a.slice(s![cut.., ..]), scores.slice(s![cut.., ..])),
        )
        .unwrap();
        close(&case, "R²", found.held_out_r2, &case["r2"]);
        for (row, expected) in found.directions.rows().into_iter().zip(case["W"].as_array().unwrap()) {
            all_close(&case, "W", &row.to_vec(), expected);
        }
        for (found, expected) in found.dimensionality.iter().zip(case["D"].as_array().unwrap()) {
            close(&case, "D", *found, expected);
        }
        assert_eq!(found.note.is_some(), case["D"][0].is_null());
        // A score that does not vary has no dimension, and changes nothing for the others.
        let mut wider = Array2::from_elem((scores.nrows(), scores.ncols() + 1), 0.1);
        wider.slice_mut(s![.., 1..]).assign(&scores);
        let more = dimensionality::site_directions(
            "site",
            (a.slice(s![..cut, ..]), wider.slice(s![..cut, ..])),
            (a.slice(s![cut.., ..]), wider.slice(s![cut.., ..])),
        )
        .unwrap();
        assert_eq!(more.dimensionality[0], None);
        assert_eq!(more.dimensionality[1..], found.dimensionality);
        near(more.held_out_r2.unwrap(), found.held_out_r2.unwrap(), 1e-12);
        assert!(more.note.is_some());
    }
    let (a, scores) = (normal((30, 4), 5), normal((30, 2), 6));
    let doubled = ndarray::concatenate![Axis(1), scores, scores];
    let dependent = dimensionality::site_directions("site", (a.view(), doubled.view()), (a.view(), doubled.view()));
    assert!(matches!(dependent, Err(MatrixError::Dependent { .. })));
    let flat = Array2::from_elem((30, 2), 7.0);
    let still = dimensionality::site_directions("site", (a.view(), flat.view()), (a.view(), flat.view())).unwrap();
    assert_eq!(
        (still.held_out_r2, still.note.as_deref()),
        (None, Some("no score varies"))
    );
}

#[test]
fn streamed_moments() {
    for case in cases("moments") {
        let x = matrix(&case["X"]).mapv(|x| x as f32);
        let mut moments = Moments::new(x.ncols());
        for part in x.axis_chunks_iter(Axis(0), 13) {
            moments.update("x", part).unwrap();
        }
        moments.update("x", x.slice(s![..0, ..])).unwrap();
        assert_eq!(moments.rows(), x.nrows());
        all_close(&case, "mean", &moments.mean().to_vec(), &case["mean"]);
        all_close(&case, "least", &moments.least().to_vec(), &case["least"]);
        all_close(&case, "most", &moments.most().to_vec(), &case["most"]);
        close(&case, "rms", Some(moments.rms()), &case["rms"]);
        let covariance = moments.covariance().unwrap();
        for (row, expected) in covariance
            .rows()
            .into_iter()
            .zip(case["covariance"].as_array().unwrap())
        {
            all_close(&case, "covariance", &row.to_vec(), expected);
        }
        assert_eq!(moments.variance().unwrap(), covariance.diag());
        // A large mean costs no digits.
        let mut far = Moments::new(x.ncols());
        far.update("x", x.mapv(|x| x + 4096.0).view()).unwrap();
        let exact = x.mapv(|x| f64::from(x + 4096.0));
        let mean = exact.mean_axis(Axis(0)).unwrap();
        let centred = &exact - &mean;
        let expected = centred.t().dot(&centred) / (x.nrows() - 1) as f64;
        for (found, expected) in far.covariance().unwrap().iter().zip(&expected) {
            near(*found, *expected, 1e-10 * (1.0 + expected.abs()));
        }
    }
    // More columns than a block, more rows than a part; measures agree with those of the whole matrix.
    let x = normal((1500, 140), 7)
        .dot(&normal((140, 140), 8))
        .mapv(|x| f64::from(x as f32));
    let mut moments = Moments::new(140);
    moments.update("x", x.mapv(|x| x as f32).view()).unwrap();
    let (streamed, whole) = (moments.spectrum("x").unwrap(), Spectrum::new("x", x.view()).unwrap());
    for (found, expected) in [
        (streamed.effective_rank(), whole.effective_rank()),
        (streamed.participation_ratio(), whole.participation_ratio()),
        (streamed.compression_ratio(), whole.compression_ratio()),
        (streamed.spectral_slope(), whole.spectral_slope()),
        (streamed.condition_number(), whole.condition_number()),
    ] {
        near(found.unwrap() / expected.unwrap(), 1.0, 1e-6);
    }
    let (streamed, whole) = (
        moments.interference("x").unwrap(),
        interference::interference("x", x.view()).unwrap(),
    );
    near(streamed.value.unwrap(), whole.value.unwrap(), 1e-9);
    assert_eq!((streamed.live, streamed.dead), (whole.live, whole.dead));
    assert_eq!(moments.live(), activations::live_neurons(x.view()));
    assert_eq!(Moments::new(3).covariance(), None);
    assert_eq!(Moments::new(3).live(), [false; 3]);
    assert_eq!(Moments::bytes(768) / 1_000_000, 2);
}

#[test]
fn products_do_not_depend_on_threads() {
    let (a, b) = (normal((300, 90), 9), normal((90, 200), 10));
    let whole = a.dot(&b);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let one = pool.install(|| linalg::product(a.view(), b.view()));
    assert_eq!(one, linalg::product(a.view(), b.view()));
    for (found, expected) in one.iter().zip(&whole) {
        near(*found, *expected, 1e-12 * 100.0);
    }
}

/// Central differences of `loss` in every entry of the array that `entry` picks.
fn differences<T: Clone>(
    at: &T,
    count: usize,
    entry: fn(&mut T, usize) -> &mut f64,
    loss: impl Fn(&T) -> f64,
) -> Vec<f64> {
    let step = 1e-6;
    (0..count)
        .map(|i| {
            let (mut up, mut down) = (at.clone(), at.clone());
            *entry(&mut up, i) += step;
            *entry(&mut down, i) -= step;
            (loss(&up) - loss(&down)) / (2.0 * step)
        })
        .collect()
}

#[track_caller]
fn agree<'a>(found: impl IntoIterator<Item = &'a f64>, expected: &[f64]) {
    let found: Vec<f64> = found.into_iter().copied().collect();
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().any(|&x| x != 0.0));
    for (found, expected) in found.iter().zip(expected) {
        near(*found, *expected, 1e-6 * (1.0 + expected.abs()));
    }
}

#[test]
fn autoencoder_gradients() {
    let (d, latents) = (4, 7);
    let x = normal((9, d), 11);
    let weights = sae::Weights {
        encoder: normal((d, latents), 12),
        encoder_bias: normal((1, latents), 13).row(0).to_owned(),
        decoder: normal((latents, d), 14),
        decoder_bias: normal((1, d), 15).row(0).to_owned(),
    };
    let loss = |weights: &sae::Weights<f64>| {
        let (reconstruction, sparsity, _) = sae::gradients(weights, x.view(), 0.3);
        reconstruction + 0.3 * sparsity
    };
    // The losses against their definition, row by row.
    let (mut reconstruction, mut sparsity) = (0.0, 0.0);
    for row in x.rows() {
        let pre = (&row - &weights.decoder_bias).dot(&weights.encoder) + &weights.encoder_bias;
        let h = pre.mapv(|h| h.max(0.0));
        let output = h.dot(&weights.decoder) + &weights.decoder_bias;
        reconstruction += (&output - &row).mapv(|r| r * r).sum();
        sparsity += h.sum();
    }
    let (found, active, gradient) = sae::gradients(&weights, x.view(), 0.3);
    near(found, reconstruction, 1e-9);
    near(active, sparsity, 1e-9);
    agree(
        &gradient.encoder,
        &differences(&weights, d * latents, |w, i| w.encoder.iter_mut().nth(i).unwrap(), loss),
    );
    agree(
        &gradient.encoder_bias,
        &differences(&weights, latents, |w, i| &mut w.encoder_bias[i], loss),
    );
    agree(
        &gradient.decoder,
        &differences(&weights, d * latents, |w, i| w.decoder.iter_mut().nth(i).unwrap(), loss),
    );
    agree(
        &gradient.decoder_bias,
        &differences(&weights, d, |w, i| &mut w.decoder_bias[i], loss),
    );
}

/// `[rows, d]`: sums of a few of the unit directions `[features, d]`, which are returned second.
fn planted(rows: usize, features: usize, d: usize, active: f64, seed: Seed) -> (Array2<f64>, Array2<f64>) {
    let mut rng = seed.rng();
    let mut directions = Array2::from_shape_simple_fn((features, d), || rng.normal());
    for mut row in directions.rows_mut() {
        let norm = row.dot(&row).sqrt();
        row /= norm;
    }
    let density = active / features as f64;
    let amounts = Array2::from_shape_simple_fn((rows, features), || {
        let present = rng.uniform() < density;
        f64::from(u8::from(present)) * (0.5 + rng.uniform())
    });
    (amounts.dot(&directions), directions)
}

#[test]
fn autoencoder_recovers_planted_features() {
    let (x, truth) = planted(5000, 24, 16, 2.0, Seed::new(16));
    let config = SparseAutoencoderConfig {
        latents: 48,
        steps: 2000,
        ..SparseAutoencoderConfig::default()
    };
    let (train, test) = (x.slice(s![..4000, ..]), x.slice(s![4000.., ..]));
    let model = sae::train("site", train, &config, Seed::new(17)).unwrap();
    let directions = model.directions();
    for row in directions.rows() {
        near(row.dot(&row), 1.0, 1e-5);
    }
    let found = sae::recovery(("truth", truth.view()), ("latents", directions.view())).unwrap();
    assert!(found.mean_best > 0.9 && found.mean_matched > 0.9, "{found:?}");
    let metrics = model.evaluate("site", test).unwrap();
    assert!(metrics.explained_variance.unwrap() > 0.8, "{metrics:?}");
    assert!(metrics.l0 < 12.0 && metrics.dead < 20, "{metrics:?}");
    let psi = metrics.psi.unwrap();
    assert!((1.0 / 48.0..=1.0).contains(&psi), "{metrics:?}");
    assert_eq!((model.curve.len(), model.curve[99].step), (100, 2000));
    let loss = |point: &sae::CurvePoint| point.reconstruction + config.l1 * point.sparsity;
    assert!(loss(&model.curve[99]) < loss(&model.curve[0]));
    // The measures against what they are made of.
    let (latents, output) = (
        model.encode("site", test).unwrap(),
        model.reconstruct("site", test).unwrap(),
    );
    near(
        latents.iter().filter(|&&h| h > 0.0).count() as f64 / 1000.0,
        metrics.l0,
        1e-12,
    );
    let squares = |x: &Array2<f64>| x.iter().map(|x| x * x).sum::<f64>();
    let left = squares(&(&test - &output));
    near(left / 1000.0, metrics.reconstruction, 1e-9);
    let all = squares(&(&test - &test.mean_axis(Axis(0)).unwrap()));
    near(1.0 - left / all, metrics.explained_variance.unwrap(), 1e-9);
    // Scale and shift of the inputs change nothing but their units.
    let moved = x.mapv(|x| 100.0 * x + 3.0);
    let short = SparseAutoencoderConfig { steps: 50, ..config };
    let explained = |x: ArrayView2<f64>| {
        let model = sae::train("site", x, &short, Seed::new(18)).unwrap();
        model.evaluate("site", x).unwrap().explained_variance.unwrap()
    };
    near(explained(moved.view()), explained(x.view()), 1e-3);
}

#[test]
fn autoencoder_is_reproducible() {
    let (x, _) = planted(300, 8, 64, 2.0, Seed::new(19));
    let config = SparseAutoencoderConfig {
        latents: 128,
        steps: 30,
        batch: 1000,
        ..SparseAutoencoderConfig::default()
    };
    let train = || sae::train("site", x.view(), &config, Seed::new(20)).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(train(), pool.install(train));
    let other = sae::train("site", x.view(), &config, Seed::new(21)).unwrap();
    assert_ne!(train().decoder, other.decoder);
}

#[test]
fn autoencoder_measures() {
    let case = fixture("recovery");
    let (known, latents) = (matrix(&case["known"]), matrix(&case["latents"]));
    let found = sae::recovery(("known", known.view()), ("latents", latents.view())).unwrap();
    all_close(&case, "best", &found.best, &case["best"]);
    for (found, expected) in found.matched.iter().zip(case["matched"].as_array().unwrap()) {
        let (latent, cosine) = found.unwrap();
        assert_eq!(latent as u64, expected[0].as_u64().unwrap());
        close(&case, "matched", Some(cosine), &expected[1]);
    }
    let totals = Array1::from(floats(&case["totals"]));
    close(&case, "psi", sae::superposition_ratio(totals.view()), &case["psi"]);
    assert_eq!(sae::superposition_ratio(Array1::zeros(3).view()), None);
    near(sae::superposition_ratio(Array1::ones(5).view()).unwrap(), 1.0, 1e-12);
    // More directions than latents: one is left over.
    let few = sae::recovery(("known", known.view()), ("latents", known.slice(s![..5, ..]))).unwrap();
    assert_eq!(few.matched.iter().filter(|pair| pair.is_none()).count(), 1);
    near(few.mean_matched, 5.0 / 6.0, 1e-12);
}

#[test]
fn toy_gradients() {
    let (n, m) = (6, 3);
    let x = normal((11, n), 22).mapv(|x| x.max(0.0));
    let importance = array![1.0, 0.9, 0.5, 0.3, 0.2, 2.0];
    let at = (normal((m, n), 23), normal((1, n), 24).row(0).to_owned());
    let loss =
        |at: &(Array2<f64>, Array1<f64>)| toy::gradients(at.0.view(), at.1.view(), x.view(), importance.view()).loss;
    let found = toy::gradients(at.0.view(), at.1.view(), x.view(), importance.view());
    let output = (x.dot(&at.0.t().dot(&at.0)) + &at.1).mapv(|z| z.max(0.0));
    let expected = ((&output - &x).mapv(|e| e * e) * &importance).sum();
    near(found.loss, expected, 1e-9);
    agree(
        &found.w,
        &differences(&at, m * n, |at, i| at.0.iter_mut().nth(i).unwrap(), loss),
    );
    agree(&found.b, &differences(&at, n, |at, i| &mut at.1[i], loss));
}

#[test]
fn toy_models() {
    let small = |density: f64| ToyConfig {
        density,
        learning_rate: 5e-3,
        steps: 4000,
        batch: 256,
        ..ToyConfig::default()
    };
    let dimensions = |config: &ToyConfig| {
        let model = toy::train(config, Seed::new(25)).unwrap();
        assert_eq!(model.loss.len(), 40);
        assert!(model.loss[39] < model.loss[0]);
        dimensionality::feature_dimensionality("toy", model.directions().view()).unwrap()
    };
    // Dense features: the two most important ones get a dimension each.
    for (found, expected) in dimensions(&small(1.0)).iter().zip([1.0, 1.0, 0.0, 0.0, 0.0]) {
        near(*found, expected, 0.05);
    }
    // Sparse ones share: all dimensions are used, by more features than there are dimensions.
    let sparse = dimensions(&small(0.05));
    near(sparse.iter().sum(), 2.0, 0.05);
    assert!(sparse.iter().filter(|&&d| d > 0.3).count() >= 4, "{sparse:?}");

    let config = ToyConfig {
        steps: 30,
        batch: 300,
        ..ToyConfig::default()
    };
    let train = || toy::train(&config, Seed::new(26)).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(train(), pool.install(train));
    assert_ne!(train(), toy::train(&config, Seed::new(27)).unwrap());
}

#[test]
fn sparse_features_have_their_density() {
    // 515 entries: a row spans both halves of a block of draws, and the last block is odd.
    let (rows, features, density) = (4000, 515, 0.3);
    let x = disentangle_data::sparse_features(1, features * rows, density, &mut Seed::new(28).rng());
    let x = x.into_shape_with_order((rows, features)).unwrap().mapv(f64::from);
    assert!(x.iter().all(|x| (0.0..=1.0).contains(x)));
    let count: f64 = x.len() as f64;
    let present: Vec<f64> = x.iter().copied().filter(|&x| x > 0.0).collect();
    // Five standard errors each.
    near(present.len() as f64 / count, density, 5.0 * (0.21 / count).sqrt());
    let moment = |power: i32| present.iter().map(|x| x.powi(power)).sum::<f64>() / present.len() as f64;
    near(moment(1), 0.5, 5.0 * (1.0 / 12.0 / present.len() as f64).sqrt());
    near(moment(2), 1.0 / 3.0, 5.0 * (4.0 / 45.0 / present.len() as f64).sqrt());
    // Neighbours, and both halves of one draw (256 entries apart), know nothing of each other.
    let flat: Vec<f64> = x.iter().copied().collect();
    for lag in [1, 256, 512] {
        let r = crate::descriptive::pearson(&flat[lag..], &flat[..flat.len() - lag])
            .unwrap()
            .r;
        near(r, 0.0, 5.0 / count.sqrt());
    }
    let all = disentangle_data::sparse_features(100, 7, 1.0, &mut Seed::new(28).rng());
    assert!(all.iter().all(|&x| x > 0.0));
}

#[test]
fn toy_closed_forms() {
    for case in cases("toy") {
        let (p, r) = (case["density"].as_f64().unwrap(), case["ratio"].as_f64().unwrap());
        let (antipodal, dedicated) = (toy::antipodal_loss(p, r), toy::dedicated_loss(p, r));
        close(&case, "antipodal", Some(antipodal), &case["antipodal"]);
        close(&case, "dedicated", Some(dedicated), &case["dedicated"]);
        assert_eq!(antipodal < dedicated, p < toy::crossing_density(r), "{}", case["name"]);
    }
    near(toy::crossing_density(0.5), 0.444_444, 1e-6);
    for ratio in [0.05, 0.3, 1.0] {
        let p = toy::crossing_density(ratio);
        near(toy::antipodal_loss(p, ratio), toy::dedicated_loss(p, ratio), 1e-12);
    }
}

#[test]
fn probes() {
    for case in cases("probe") {
        let x = matrix(&case["X"]);
        let labels: Vec<f32> = floats(&case["labels"]).into_iter().map(|y| y as f32).collect();
        let config = ProbeConfig {
            components: case["components"].as_u64().unwrap() as usize,
            penalty: case["penalty"].as_f64().unwrap(),
            ..ProbeConfig::default()
        };
        let logits = probe::cross_fitted_logits(x.view(), &labels, &integers(&case["folds"]), &config).unwrap();
        for (found, expected) in logits.iter().zip(floats(&case["logits"])) {
            near(*found, expected, 1e-5 * (1.0 + expected.abs()));
        }
        close(&case, "auc", classification::roc_auc(&logits, &labels), &case["auc"]);
        let estimate = probe::probe_auc("x", x.view(), &labels, &config, Seed::new(29)).unwrap();
        near(estimate.value.unwrap(), case["auc"].as_f64().unwrap(), 0.1);
        assert!(
            estimate.low < estimate.value && estimate.value < estimate.high,
            "{estimate:?}"
        );
    }
    // Without signal the interval holds 1/2; a class that is too small, or nothing to read from, is no AUC.
    let x = normal((200, 60), 30);
    let labels: Vec<f32> = (0..200u8).map(|i| f32::from(i % 2)).collect();
    let blind = probe::probe_auc("x", x.view(), &labels, &ProbeConfig::default(), Seed::new(31)).unwrap();
    assert!(blind.low.unwrap() < 0.5 && blind.high.unwrap() > 0.5, "{blind:?}");
    let rare: Vec<f32> = (0..200u8).map(|i| f32::from(u8::from(i < 4))).collect();
    let undefined = probe::probe_auc("x", x.view(), &rare, &ProbeConfig::default(), Seed::new(31)).unwrap();
    assert_eq!(
        (undefined.value, undefined.note.as_deref()),
        (None, Some("the smaller class has 4 rows, 5 are needed"))
    );
    let flat = Array2::from_elem((200, 3), 0.1);
    let undefined = probe::probe_auc("x", flat.view(), &labels, &ProbeConfig::default(), Seed::new(31)).unwrap();
    assert_eq!(undefined.note.as_deref(), Some("no column varies"));
    let folds = probe::stratified_folds(&rare, 4, Seed::new(32));
    for fold in 0..4 {
        let members: Vec<usize> = (0..200).filter(|&row| folds[row] == fold).collect();
        assert_eq!(members.len(), 50);
        assert_eq!(members.iter().filter(|&&row| rare[row] > 0.5).count(), 1);
    }
}

/// A measure of one matrix, its result dropped.
type Measure = fn(ArrayView2<f64>) -> Result<(), MatrixError>;

#[test]
fn bad_input_is_named() {
    let good = normal((10, 3), 33);
    let mut broken = good.clone();
    broken[[4, 1]] = f64::NAN;
    broken[[7, 2]] = f64::INFINITY;
    broken[[8, 0]] = f64::NEG_INFINITY;
    let mut large = good.clone();
    large[[2, 2]] = -1e101;
    let (short, none, other) = (
        good.slice(s![..1, ..]),
        good.slice(s![.., ..0]),
        good.slice(s![..9, ..2]),
    );
    let not_finite = "m holds 1 NaN and 2 infinite values, the first at row 4, column 1 (counted from 0); every value must be finite";
    let too_large = "m holds -1e101 at row 2, column 2 (counted from 0); magnitudes up to 1e100 are expected";
    let too_short = "m has too few rows: 1, where at least 2 are needed";
    let no_columns = "m has no columns";
    let settings = SparseAutoencoderConfig::default;
    let measures: [(&str, Measure); 6] = [
        ("neurons", |m| activations::site_statistics("m", m).map(|_| ())),
        ("spectrum", |m| Spectrum::new("m", m).map(|_| ())),
        ("interference", |m| interference::interference("m", m).map(|_| ())),
        ("cka", |m| similarity::linear_cka(("m", m), ("same", m)).map(|_| ())),
        ("overlap", |m| {
            overlap::group_overlap(&[("m".into(), m)], 0.95).map(|_| ())
        }),
        ("autoencoder", |m| {
            let config = SparseAutoencoderConfig {
                steps: 1,
                ..SparseAutoencoderConfig::default()
            };
            sae::train("m", m, &config, Seed::new(0)).map(|_| ())
        }),
    ];
    for (what, measure) in measures {
        for (input, expected) in [
            (broken.view(), not_finite),
            (large.view(), too_large),
            (short, too_short),
            (none, no_columns),
        ] {
            assert_eq!(measure(input).unwrap_err().to_string(), expected, "{what}");
        }
        measure(good.view()).unwrap();
    }

    let text = |result: Result<(), MatrixError>| result.unwrap_err().to_string();
    let check = |result: Result<(), MatrixError>, expected: &str| assert_eq!(text(result), expected);
    check(
        dimensionality::feature_dimensionality("m", broken.view()).map(|_| ()),
        not_finite,
    );
    check(
        similarity::linear_cka(("a", good.view()), ("b", other)).map(|_| ()),
        "the number of rows of a is 10, that of b is 9; they must be equal",
    );
    check(
        overlap::group_overlap(&[("a".into(), good.view()), ("b".into(), other)], 0.95).map(|_| ()),
        "the number of columns of b is 2, that of a is 3; they must be equal",
    );
    check(
        overlap::group_overlap(&[], 0.0).map(|_| ()),
        "variance share is 0; expected is a number above 0 and at most 1",
    );
    check(
        Spectrum::from_covariance("c", good.view(), 5).map(|_| ()),
        "the number of rows of c is 10, that of its transpose is 3; they must be equal",
    );
    let mut moments = Moments::new(3);
    check(
        moments.spectrum("m").map(|_| ()),
        "m has too few rows: 0, where at least 2 are needed",
    );
    check(moments.update("m", broken.mapv(|x| x as f32).view()), not_finite);
    check(
        moments.update("m", Array2::zeros((2, 4)).view()),
        "the number of columns of m is 4, that of the moments is 3; they must be equal",
    );
    check(
        moments.merge(&Moments::new(2)),
        "the number of columns of the merged moments is 2, that of the moments is 3; they must be equal",
    );
    assert_eq!(moments, Moments::new(3));
    check(
        sae::train("m", Array2::from_elem((9, 2), 0.1).view(), &settings(), Seed::new(0)).map(|_| ()),
        "m is constant: no column varies over the rows",
    );
    let config = SparseAutoencoderConfig {
        l1: f64::NAN,
        ..settings()
    };
    check(config.check(), "l1 is NaN; expected is a number that is not negative");
    let config = ToyConfig {
        density: 0.0,
        ..ToyConfig::default()
    };
    check(
        toy::train(&config, Seed::new(0)).map(|_| ()),
        "density is 0; expected is a number above 0 and at most 1",
    );
    let config = ToyConfig {
        hidden: 0,
        ..ToyConfig::default()
    };
    check(config.check(), "hidden is 0; expected is a whole number above 0");
    let probe = |labels: &[f32]| {
        let config = ProbeConfig::default();
        probe::probe_auc("m", good.view(), labels, &config, Seed::new(0)).map(|_| ())
    };
    check(
        probe(&[0.0; 9]),
        "the number of rows of the labels of m is 9, that of m is 10; they must be equal",
    );
    let mut labels = [0.0; 10];
    labels[6] = 2.0;
    check(
        probe(&labels),
        "the labels of m hold 2 at row 6 (counted from 0); labels must be 0 or 1",
    );
    let config = ProbeConfig {
        folds: 1,
        ..ProbeConfig::default()
    };
    check(config.check(), "folds is 1; expected is a whole number of at least 2");
    assert!(matrix::check_finite("m", good.view()).is_ok());
}

/// Matrices of normal values with columns of very different scale, 2 to 14 rows and 1 to 9 columns.
fn matrices() -> impl Strategy<Value = Array2<f64>> {
    (2usize..15, 1usize..10, 0u64..1000, -3i32..4).prop_map(|(rows, columns, seed, power)| {
        let mut x = normal((rows, columns), seed);
        for (column, mut values) in x.columns_mut().into_iter().enumerate() {
            values *= 10f64.powi(power * (column as i32 % 3));
        }
        x
    })
}

proptest! {
    #[test]
    fn ranks_stay_in_their_ranges(x in matrices()) {
        let (n, d) = x.dim();
        let summary = Spectrum::new("x", x.view()).unwrap().summary();
        let most = n.min(d) as f64 * (1.0 + 1e-12);
        let least = 1.0 - 1e-12;
        prop_assert!((least..=most).contains(&summary.effective_rank.unwrap()));
        prop_assert!((least..=most).contains(&summary.participation_ratio.unwrap()));
        prop_assert!((least..=most).contains(&summary.compression_ratio.unwrap()));
        prop_assert!(summary.effective_rank_one_percent.unwrap() <= n.min(d));
        prop_assert!(summary.condition_number.unwrap() >= 1.0);
        prop_assert!(summary.spectral_slope.is_none_or(|slope| slope <= 0.0));
        prop_assert!((summary.explained_variance.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn order_and_scale_do_not_matter(x in matrices(), seed in 0u64..100, scale in 1e-3f64..1e3) {
        let mut rng = Seed::new(seed).rng();
        let (rows, columns) = (rng.permutation(x.nrows()), rng.permutation(x.ncols()));
        let moved = gather(&gather(&x, &rows, 0), &columns, 1) * scale;
        let measure = |x: &Array2<f64>| {
            let (site, spectrum) = (
                activations::site_statistics("x", x.view()).unwrap(),
                Spectrum::new("x", x.view()).unwrap(),
            );
            [
                Some(site.sparsity),
                Some(site.dead as f64),
                spectrum.effective_rank(),
                spectrum.participation_ratio(),
                spectrum.compression_ratio(),
                interference::interference("x", x.view()).unwrap().value,
            ]
        };
        for (found, expected) in measure(&moved).iter().zip(measure(&x)) {
            prop_assert_eq!(found.is_some(), expected.is_some());
            let (found, expected) = (found.unwrap_or(0.0), expected.unwrap_or(0.0));
            prop_assert!((found - expected).abs() < 1e-9 * (1.0 + expected.abs()), "{found} {expected}");
        }
    }

    #[test]
    fn alignment_of_kernels_knows_no_rotation(x in matrices(), columns in 1usize..7, seed in 0u64..100, scale in 0.01f64..100.0) {
        let y = normal((x.nrows(), columns), seed + 5000);
        let cka = |x: &Array2<f64>, y: &Array2<f64>| {
            similarity::linear_cka(("x", x.view()), ("y", y.view())).unwrap().unwrap()
        };
        let value = cka(&x, &y);
        prop_assert!((0.0..=1.0).contains(&value));
        let turned = x.dot(&rotation(x.ncols(), seed)) * scale + 1.0;
        prop_assert!((cka(&turned, &y) - value).abs() < 1e-6);
        prop_assert!((cka(&y, &x) - value).abs() < 1e-9);
        prop_assert!(cka(&x, &turned) > 1.0 - 1e-6);
        let order = Seed::new(seed).rng().permutation(x.nrows());
        prop_assert!((cka(&gather(&x, &order, 0), &gather(&y, &order, 0)) - value).abs() < 1e-9);
    }

    #[test]
    fn overlaps_are_symmetric_shares(rows in 2usize..12, d in 1usize..8, seed in 0u64..500) {
        let inputs = [normal((rows, d), seed), normal((rows + 1, d), seed + 1000)];
        let names = ["a".to_string(), "b".to_string()];
        let group = |inputs: &[Array2<f64>; 2], first: usize| {
            let pick = |i: usize| (names[i].clone(), inputs[i].view());
            overlap::group_overlap(&[pick(first), pick(1 - first)], overlap::VARIANCE).unwrap()
        };
        let (found, turned) = (group(&inputs, 0), group(&inputs, 1));
        let value = found.overlap[0][1].unwrap();
        prop_assert!((0.0..=1.0).contains(&value));
        prop_assert_eq!(found.overlap[0][1], found.overlap[1][0]);
        prop_assert!((turned.overlap[0][1].unwrap() - value).abs() < 1e-9);
        let both = rotation(d, seed);
        let rotated = [inputs[0].dot(&both), inputs[1].dot(&both)];
        prop_assert!((group(&rotated, 0).overlap[0][1].unwrap() - value).abs() < 1e-6);
        let order = Seed::new(seed).rng().permutation(rows);
        let shuffled = [gather(&inputs[0], &order, 0), inputs[1].clone()];
        prop_assert!((group(&shuffled, 0).overlap[0][1].unwrap() - value).abs() < 1e-6);
    }

    #[test]
    fn dimensionalities_stay_in_their_range(features in 1usize..9, d in 1usize..6, seed in 0u64..500) {
        let w = normal((features, d), seed);
        let found = dimensionality::feature_dimensionality("w", w.view()).unwrap();
        prop_assert!(found.iter().all(|found| (0.0..=1.0).contains(found)));
        // Never more dimensions than there are.
        prop_assert!(found.iter().sum::<f64>() <= d as f64 + 1e-9);
        let turned = w.dot(&rotation(d, seed)) * 3.0;
        for (a, b) in found.iter().zip(dimensionality::feature_dimensionality("w", turned.view()).unwrap()) {
            prop_assert!((a - b).abs() < 1e-9);
        }
    }

    #[test]
    fn merged_moments_are_those_of_one_pass(x in matrices(), cut in 0.0f64..1.0) {
        let x = x.mapv(|x| x as f32);
        let cut = (cut * x.nrows() as f64) as usize;
        let moments = |x: ArrayView2<f32>| {
            let mut moments = Moments::new(x.ncols());
            moments.update("x", x).unwrap();
            moments
        };
        let whole = moments(x.view());
        let mut merged = moments(x.slice(s![..cut, ..]));
        merged.merge(&moments(x.slice(s![cut.., ..]))).unwrap();
        let mut empty = Moments::new(x.ncols());
        empty.merge(&whole).unwrap();
        prop_assert_eq!(&empty, &whole);
        prop_assert_eq!(merged.rows(), whole.rows());
        prop_assert_eq!((merged.least(), merged.most()), (whole.least(), whole.most()));
        let scale = whole.rms();
        for (a, b) in merged.mean().iter().zip(whole.mean()) {
            prop_assert!((a - b).abs() < 1e-12 * (1.0 + scale));
        }
        for (a, b) in merged.covariance().unwrap().iter().zip(&whole.covariance().unwrap()) {
            prop_assert!((a - b).abs() < 1e-11 * (1.0 + scale * scale));
        }
    }
}
