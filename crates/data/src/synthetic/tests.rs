//! Rates, balance and known answers of the generators.

use super::*;

fn rate(dataset: &Dataset, rows: &[usize], holds: impl Fn(&Window) -> bool) -> f64 {
    rows.iter().filter(|&&row| holds(&dataset.windows[row])).count() as f64 / rows.len() as f64
}

/// Five standard errors of a share.
fn near(found: f64, expected: f64, n: usize) {
    let error = 5.0 * (expected * (1.0 - expected) / n as f64).sqrt() + 1e-9;
    assert!((found - expected).abs() < error, "{found} instead of {expected}");
}

fn of_environment(dataset: &Dataset, split: Split, name: &str) -> Vec<usize> {
    let index = dataset.environments.iter().position(|other| other == name).unwrap();
    let rows = dataset.part(split).into_iter();
    rows.filter(|&row| dataset.windows[row].environment as usize == index)
        .collect()
}

#[test]
fn the_shortcut_agrees_at_its_rate_and_labels_are_balanced() {
    let config = SyntheticConfig {
        samples: 20_000,
        validation: 8000,
        test: 8000,
        ..SyntheticConfig::default()
    };
    let dataset = config.dataset(Seed::new(1)).unwrap();
    assert_eq!(
        dataset.environments,
        ["rate 0.9", "rate 0.7", "independent", "reversed"]
    );
    let parts = [
        (Split::Train, "rate 0.9", 0.9, 10_000),
        (Split::Train, "rate 0.7", 0.7, 10_000),
        (Split::Validation, "rate 0.9", 0.9, 4000),
        (Split::Test, "rate 0.7", 0.7, 4000),
        (Split::Test, "independent", 0.5, 8000),
        (Split::Test, "reversed", 0.1, 8000),
    ];
    for (split, name, expected, count) in parts {
        let rows = of_environment(&dataset, split, name);
        assert_eq!(rows.len(), count);
        near(rate(&dataset, &rows, |w| w.shortcut == Some(w.label)), expected, count);
        near(rate(&dataset, &rows, |w| w.label == 1.0), 0.5, count);
        near(rate(&dataset, &rows, |w| w.shortcut == Some(1.0)), 0.5, count);
    }
    for unseen in ["independent", "reversed"] {
        assert!(of_environment(&dataset, Split::Train, unseen).is_empty());
        assert!(of_environment(&dataset, Split::Validation, unseen).is_empty());
    }
}

#[test]
fn labels_and_shortcuts_follow_from_the_columns() {
    let dataset = SyntheticConfig::default().dataset(Seed::new(3)).unwrap();
    // scipy.stats.chi2.median(50) and (10).
    let (of_genuine, of_bias) = (49.334_937, 9.341_818);
    for window in &dataset.windows {
        let row = dataset.rows.row(window.start);
        let squares = |columns: std::ops::Range<usize>| columns.map(|c| f64::from(row[c]).powi(2)).sum::<f64>();
        let (genuine, bias) = (squares(0..50), squares(50..60));
        // Rounding to f32 can move a sum across its threshold.
        if (genuine - of_genuine).abs() > 1e-4 && (bias - of_bias).abs() > 1e-4 {
            assert_eq!(window.label == 1.0, genuine > of_genuine);
            assert_eq!(window.shortcut == Some(1.0), bias > of_bias);
        }
    }
    let moments = |p: i32| dataset.rows.iter().map(|&x| f64::from(x).powi(p)).sum::<f64>() / dataset.rows.len() as f64;
    assert!(
        moments(1).abs() < 0.01 && (moments(2) - 1.0).abs() < 0.01,
        "{} {}",
        moments(1),
        moments(2)
    );
}

#[test]
fn groups_have_roles_and_names() {
    let dataset = SyntheticConfig::default().dataset(Seed::new(3)).unwrap();
    let roles: Vec<Role> = dataset.groups.iter().map(|group| group.role).collect();
    assert_eq!(roles[..5], [Role::Genuine; 5]);
    assert_eq!((roles[5], dataset.groups[5].name.as_str()), (Role::Spurious, "bias"));
    assert_eq!(dataset.groups[5].columns, (50..60).collect::<Vec<_>>());
    assert_eq!((dataset.features.len(), dataset.features[50].as_str()), (60, "bias.1"));
    crate::check_groups(&dataset.groups, 60).unwrap();
    let plain = SyntheticConfig::multifeature().dataset(Seed::new(3)).unwrap();
    assert_eq!((plain.groups.len(), plain.environments.len()), (5, 1));
    assert!(plain.subgroups(&[0]).is_none() && dataset.subgroups(&[0]).is_some());
}

#[test]
fn the_notebook_s_rules_are_kept_and_said() {
    let notebook = SyntheticConfig {
        threshold: Threshold::Notebook,
        samples: 20_000,
        ..SyntheticConfig::multifeature()
    };
    let refused = notebook.dataset(Seed::new(1)).unwrap_err().to_string();
    assert!(
        refused.contains("labels are positive; expected both classes"),
        "{refused}"
    );
    let dataset = SyntheticConfig {
        degenerate: true,
        ..notebook
    }
    .dataset(Seed::new(1))
    .unwrap();
    let rows = dataset.part(Split::Train);
    // 1 - scipy.stats.chi2.cdf(25, 50)
    near(rate(&dataset, &rows, |w| w.label == 1.0), 0.998_808, rows.len());
    assert!(dataset.notices[0].starts_with("threshold = notebook"));

    let mixed = SyntheticConfig {
        rule: Rule::Mixed,
        samples: 20_000,
        test: 20_000,
        ..SyntheticConfig::default()
    };
    let dataset = mixed.dataset(Seed::new(1)).unwrap();
    assert!(dataset.notices[0].contains("is a cause of the label"));
    // With probability 0.8 the label is the bias group's, otherwise it agrees by chance.
    for (split, name, expected) in [
        (Split::Train, "mixed", 0.9),
        (Split::Test, "independent", 0.5),
        (Split::Test, "reversed", 0.1),
    ] {
        let rows = of_environment(&dataset, split, name);
        near(
            rate(&dataset, &rows, |w| w.shortcut == Some(w.label)),
            expected,
            rows.len(),
        );
    }
}

#[test]
fn the_seed_decides_and_blocks_are_drawn_alike_by_any_thread() {
    let config = SyntheticConfig {
        samples: 3 * BLOCK,
        ..SyntheticConfig::default()
    };
    let (a, b) = (
        config.dataset(Seed::new(5)).unwrap(),
        config.dataset(Seed::new(5)).unwrap(),
    );
    assert!(a.rows == b.rows && a.windows == b.windows);
    assert!(a.rows != config.dataset(Seed::new(6)).unwrap().rows);
    // Later blocks have streams of their own.
    assert_ne!(a.rows.row(0), a.rows.row(BLOCK));
}

#[test]
fn sizes_and_rates_that_cannot_work() {
    let check = |config: SyntheticConfig, expected: &str| {
        let error = config.dataset(Seed::new(0)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let base = SyntheticConfig::default;
    check(
        SyntheticConfig { samples: 1, ..base() },
        "`samples = 1` cannot be used: expected at least 2",
    );
    check(
        SyntheticConfig { features: 0, ..base() },
        "`features = 0` cannot be used: expected at least 1",
    );
    check(
        SyntheticConfig {
            feature_dim: usize::MAX,
            ..base()
        },
        "expected rows times columns of at most",
    );
    for rate in [f64::NAN, -0.1, 0.05, 0.95] {
        check(
            SyntheticConfig {
                bias_strength: rate,
                ..base()
            },
            "expected a rate from 0.1 to 0.9",
        );
    }
}
