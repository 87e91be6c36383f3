//! What cannot be measured is named.

use super::*;

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
