//! Invariants.

use super::*;

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
