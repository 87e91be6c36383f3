//! What is trained: the sparse autoencoder, the toy model, probes.

use super::*;

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
