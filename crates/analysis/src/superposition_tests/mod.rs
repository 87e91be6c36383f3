//! Superposition metrics against numpy, scipy and scikit-learn (`tests/fixtures/make_superposition.py`), closed forms, finite differences
//! and invariances.

mod bad_input;
mod learned;
mod properties;

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
